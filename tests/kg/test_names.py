"""Variants of names: what a phenotype says, and that no variant adds what was not said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.naming.lexicon import normalise
from kg.naming.variants import MARKER, phenotype, variants
from kg.terms import Scope


def keys(text: str) -> dict[str, tuple[float, Scope | None]]:
    return {v.key: (v.factor, v.scope) for v in variants(tuple(normalise(text).split()))}


def test_a_phenotype_taken_apart() -> None:
    parts = phenotype(tuple(normalise("naive CD45RA+ CD4 gamma-delta T cell").split()))
    assert parts is not None
    assert parts.markers == (("cd45ra", "positive"), ("cd4", "positive"))
    assert (parts.states, parts.lineage, parts.head) == (
        ("naive",),
        ("gamma", "delta"),
        ("t", "cell"),
    )
    assert parts.bare == ("cd4",)


@pytest.mark.parametrize("text", ["T cell receptor", "the T cell", "CD8A T cell", "enterocyte", ""])
def test_a_word_not_understood_is_no_phenotype(text: str) -> None:
    assert phenotype(tuple(normalise(text).split())) is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("T lymphocyte", "t cell"),
        ("pre-B cell", "pre b lymphocyte"),
        ("gamma delta T", "gamma delta t cell"),
        ("CD4 T cell", "cd4 positive t cell"),
        ("CD4+ T cell", "cd4 positive alpha beta t cell"),
        ("memory CD8+ T cell", "cd8 positive alpha beta memory t cell"),
        ("T cells CD8+", "cd8 positive alpha beta t cell"),
        ("CD14hi monocyte", "cd14 high monocyte"),
        ("CD4+CD25+ regulatory T cell", "cd4 positive cd25 positive alpha beta regulatory t cell"),
        ("naive CD4 T cell", "naive thymus derived cd4 positive alpha beta t cell"),
    ],
)
def test_variants_of_a_name(text: str, key: str) -> None:
    assert key in keys(text)


def test_a_small_t_is_no_lineage() -> None:
    assert list(variants(("gamma", "delta", "t"), open_end=False)) == []


def test_gamma_delta_is_never_made_alpha_beta() -> None:
    assert not any("alpha" in key for key in keys("CD8+ gamma-delta T cells"))
    # And a cell without CD8 is not taken for one with it.
    assert not any("alpha" in key for key in keys("CD8- T cells"))


WORDS = st.sampled_from(
    ["cd4", "cd8", "cd25", "positive", "negative", "t", "b", "cell", "naive", "memory", "alpha",
     "beta", "lymphocyte", "monocyte", "of", "x"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=8).map(tuple))
def test_no_variant_adds_a_marker_or_a_state(words: tuple[str, ...]) -> None:
    said = set(words)
    for variant in variants(words):
        has = variant.key.split()
        assert {w for w in has if MARKER.fullmatch(w)} <= said
        assert set(has) & {"naive", "memory", "negative", "b", "monocyte"} <= said
        assert 0.0 < variant.factor < 1.0
        # What is left out or added is told, or it is a noun alone.
        if set(has) - said - {"cell", "lymphocyte"}:
            assert variant.notice or variant.scope is None
