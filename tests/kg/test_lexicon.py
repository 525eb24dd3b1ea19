"""Lexicon keys: what they unify, what they keep apart, and that they are made per word."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kg.naming.lexicon
from kg.naming.lexicon import normalise

TEXTS = st.one_of(
    st.text(max_size=20), st.text(alphabet="cdDC48+-\u2212αβ's sxie,HSCs", max_size=14)
)


def test_examples_of_the_docstrings() -> None:
    result = doctest.testmod(kg.naming.lexicon)
    assert result.attempted >= 5
    assert result.failed == 0


@given(TEXTS)
def test_a_key_is_its_own_key(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(TEXTS, TEXTS)
def test_keys_of_texts_joined_by_a_space_are_joined(a: str, b: str) -> None:
    assert normalise(f"{a} {b}") == f"{normalise(a)} {normalise(b)}".strip()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CD8+ T cells", "cd8-positive T cell"),
        ("CD8⁺ T-cell", "CD8+ T cell"),
        ("γδ T cell", "gamma-delta T cell"),
        ("natural killer cells", "Natural-Killer Cell"),
        ("Treg cells", "Tregs cell"),
        ("basal ganglia", "basal ganglion"),
        ("lymph node arteries", "lymph node artery"),
        ("Sjögren's syndrome", "Sjogren syndrome"),
    ],
)
def test_spellings_of_one_name_share_a_key(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CD4+ T cell", "CD4- T cell"),
        ("CD4+ T cell", "CD4 T cell"),
        ("KRAS", "KRA"),
        ("T cell", "B cell"),
        ("3' UTR", "UTR"),
        ("virus", "viru"),
    ],
)
def test_different_names_keep_different_keys(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)
