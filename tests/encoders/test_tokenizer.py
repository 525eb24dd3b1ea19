"""Cells as gene tokens: which genes, how high, where, and that order and padding do not matter."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from data.errors import BadInput
from encoders.genetokens.tokenizer import MOST, Held, TokenConfig, Tokenizer, genomic, held, special


def cells(*rows: list[float]) -> sp.csr_array:
    return sp.csr_array(np.array(rows, dtype=np.float32))


def test_held_are_the_highest_known_genes() -> None:
    """Column 1 is not in the vocabulary; equal values stand by place."""
    found = held(cells([1, 9, 3, 3], [0, 9, 0, 0]), np.array([7, -1, 5, 4]), keep=2)
    assert found.genes.tolist() == [[4, 5], [-1, -1]]
    assert found.values.tolist() == [[3, 3], [0, 0]]


def test_bins_by_hand() -> None:
    """Five steps up to 5: values 0.5, 2.5 and 9 are the steps 0, 2 and 4 of 0..4."""
    config = TokenConfig(tokens=3, bins=5, ceiling=5.0, relative=False)
    found = Tokenizer(config)(held(cells([0.5, 2.5, 9.0]), np.arange(3)))
    assert found.genes.tolist() == [[2, 1, 0]]
    assert found.levels.tolist() == [[1.0, 0.5, 0.0]]
    assert found.there.all()


def test_ranks_by_hand() -> None:
    config = TokenConfig(tokens=4, layout="rank", relative=False)
    found = Tokenizer(config)(held(cells([3, 1, 2, 0.5], [8, 0, 0, 0]), np.arange(4)))
    assert found.levels.tolist() == [[1.0, 0.75, 0.5, 0.25], [1.0, 0.0, 0.0, 0.0]]
    assert found.there.tolist() == [[True] * 4, [True, False, False, False]]


def test_relative_levels_choose_what_is_unusual() -> None:
    """Gene 0 is at 4 of a usual 4, gene 1 at 2 of 1: gene 1 comes first; its level stays 2."""
    usual = np.array([4.0, 1.0, 0.0], dtype=np.float32)
    one = held(cells([4.0, 2.0, 0.0]), np.arange(3))
    relative = Tokenizer(TokenConfig(tokens=1, bins=5, ceiling=5.0), usual)(one)
    assert relative.genes.tolist() == [[1]]
    assert relative.levels.tolist() == [[0.5]]
    assert Tokenizer(TokenConfig(tokens=1, relative=False), usual)(one).genes.tolist() == [[0]]
    # A gene that was never seen counts as usual as the middle one (2.5 here).
    odd = held(cells([4.0, 0.0, 4.0]), np.arange(3))
    assert Tokenizer(TokenConfig(tokens=1), usual)(odd).genes.tolist() == [[2]]


def test_hidden_genes_are_as_if_not_expressed() -> None:
    config = TokenConfig(tokens=2, relative=False)
    one = held(cells([3, 2, 1]), np.arange(3))
    found = Tokenizer(config)(one, hide=np.array([[True, False, False]]))
    assert found.genes.tolist() == [[1, 2]]
    assert Tokenizer(config)(one, tokens=1).genes.tolist() == [[0]]


@given(st.data())
def test_the_order_of_columns_changes_no_token(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    row = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=n, max_size=n))
    order = data.draw(st.permutations(range(n)))
    for layout in ("bins", "rank"):
        tokenizer = Tokenizer(TokenConfig(tokens=5, layout=layout, relative=False))
        whole = tokenizer(held(cells(row), np.arange(n)))
        moved = tokenizer(held(cells([row[i] for i in order]), np.array(order)))
        assert np.array_equal(whole.genes, moved.genes)
        assert np.array_equal(whole.levels, moved.levels)
        assert np.array_equal(whole.there, moved.there)


@given(st.integers(0, 4))
def test_padding_changes_no_token(more: int) -> None:
    tokenizer = Tokenizer(TokenConfig(tokens=4, layout="rank", relative=False))
    one = held(cells([3, 1, 2]), np.arange(3))
    wide = Held(
        np.pad(one.genes, ((0, 0), (0, more)), constant_values=-1),
        np.pad(one.values, ((0, 0), (0, more))),
    )
    assert np.array_equal(tokenizer(one).genes, tokenizer(wide).genes)
    assert np.array_equal(tokenizer(one).levels, tokenizer(wide).levels)


def test_some_cells_are_no_wider_than_they_need() -> None:
    found = held(cells([3, 1, 2], [1, 0, 0]), np.arange(3)).of(np.array([1]))
    assert found.genes.tolist() == [[0]]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(BadInput, match=f"1 to {MOST} tokens"):
        TokenConfig(tokens=MOST + 1)
    with pytest.raises(BadInput, match="bins, rank"):
        TokenConfig(layout="size")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="2 columns were given for 3 genes"):
        held(cells([1, 2]), np.arange(3))
    with pytest.raises(BadInput, match="each once"):
        special(("tissue", "tissue"))
    assert special(("tissue",)) == ("cell", "tissue")


@pytest.mark.assets
def test_neighbours_on_the_genome_lie_together() -> None:
    """CD3D, CD3E and CD3G lie within 200,000 bases on chromosome 11; MS4A1 on its other arm."""
    known, rows = genomic(["CD3D", "CD3E", "CD3G", "MS4A1", "HBB", "no gene"])
    assert known == ("CD3D", "CD3E", "CD3G", "MS4A1", "HBB")
    assert rows.shape == (5, 16)
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
    assert apart[0, 2] < apart[0, 3]
    assert apart[0, 1] < apart[0, 4]
