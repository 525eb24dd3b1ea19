"""The held-out list: what it closes over, what it leaves to train on, files that are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data import sources
from data.errors import BadFile, BadInput
from kg.backoff import Hierarchy
from training import holdout

# root > a > b > c; a > d
HIERARCHY = Hierarchy.make(
    {"r": "r", "a": "ra", "b": "rab", "c": "rabc", "d": "rad"}, {i: i for i in "rabcd"}
)


def test_everything_below_is_held_out_too() -> None:
    assert holdout.held_out(HIERARCHY, ["b", "CL:9"]) == {"b", "c"}
    assert holdout.held_out(HIERARCHY, []) == frozenset()


def test_held_out_types_are_test_and_the_others_never() -> None:
    ids = [f"CL:{i:07d}" for i in range(1000)]
    unseen = set(ids[:100])
    splits = {one: holdout.split_of_term(one, unseen) for one in ids}
    assert {splits[one] for one in unseen} == {"test"}
    others = [splits[one] for one in ids[100:]]
    assert "test" not in others
    assert 60 < others.count("dev") < 130


def test_a_broken_list_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.tsv"
    path.write_text("id\twhy\nCL:1\tx\n")
    with pytest.raises(BadFile, match="no list of held-out types"):
        holdout.held_out_roots(path)


@pytest.mark.assets
class TestShipped:
    def test_the_list_holds_populations_of_the_kept_out_datasets_and_leaves_others(self) -> None:
        from training.annotation.data import cell_ontology, label_map

        hierarchy, _ = cell_ontology()
        unseen = holdout.held_out(hierarchy)
        assert set(holdout.held_out_roots()) <= unseen
        assert 250 < len(unseen) < 0.2 * len(hierarchy)
        for name in holdout.KEPT_OUT:
            terms = {term for term, _ in label_map(name).values()}
            assert terms & unseen and terms - unseen
        # The real training cells stay, or there would be none.
        real = {term for term, _ in label_map("tcells").values()}
        assert not real & unseen

    def test_a_kept_out_dataset_is_known_by_content(self, tmp_path: Path) -> None:
        copy = tmp_path / "mine.h5ad"
        shutil.copy(sources.path("pbmc68k"), copy)
        with pytest.raises(BadInput, match="PBMC68k-reduced, on which the aligned model is scored"):
            holdout.refuse_kept_out(copy)
        copy.write_bytes(b"other")
        holdout.refuse_kept_out(copy)

    @pytest.mark.shared
    def test_so_is_pbmc3k(self, shared_data: Path) -> None:
        with pytest.raises(BadInput, match="PBMC3k"):
            holdout.refuse_kept_out(
                shared_data / "cells" / "pbmc3k_clustifyr_2638x2000_lognorm.h5ad"
            )
