"""Sentences of edges: readable, complete, and the same edge when read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import BadInput
from kg.terms import INVOLVED_IN, IS_A, MARKER_OF, PREDICATES, Edge
from kg.verbalise import PHRASES, parse, sentence

LABELS = {
    "HGNC:1706": "CD8A",
    "GO:0042110": "T cell activation",
    "CL:0000625": "CD8-positive, alpha-beta T cell",
    "CL:0000084": "T cell",
}


def test_a_sentence_by_hand() -> None:
    edge = Edge(
        "HGNC:1706",
        INVOLVED_IN,
        "GO:0042110",
        "GOA-human",
        "2019-01-14",
        "IDA",
        ("PMID:1", "PMID:2"),
        taxon="NCBITaxon:9606",
    )
    assert sentence(edge, LABELS) == (
        "CD8A (HGNC:1706) is involved in T cell activation (GO:0042110). "
        "[evidence IDA; cites PMID:1, PMID:2; in NCBITaxon:9606; GOA-human 2019-01-14]"
    )


def test_a_denial_says_not_and_nothing_else_does() -> None:
    for predicate, (yes, no) in PHRASES.items():
        assert " not " in f" {no} "
        assert " not " not in f" {yes} "
        denied = Edge("HGNC:1706", predicate, "CL:0000084", "X", "1", negated=True)
        assert no in sentence(denied, LABELS)
        assert parse(sentence(denied, LABELS)).negated


def test_a_marker_by_its_absence() -> None:
    edge = Edge("HGNC:1706", MARKER_OF, "CL:0000084", "M", "1", qualifiers=("negative", "source:x"))
    text = sentence(edge, LABELS)
    assert text.startswith("CD8A (HGNC:1706) is, by its absence, a marker of T cell")
    assert parse(text) == edge


def test_every_relation_has_a_phrase_and_none_begins_another() -> None:
    assert set(PHRASES) == set(PREDICATES)
    phrases = [phrase for pair in PHRASES.values() for phrase in pair]
    assert len(set(phrases)) == len(phrases)
    for one in phrases:
        assert not [other for other in phrases if other.startswith(one + " ")]


NAMES = st.text(max_size=30) | st.sampled_from(
    ["T cell", "cell (CL:0000000) is a kind of", "x. [y]", "is part of", "a\nb", "\u2028", "[", ")"]
)
IDS = st.from_regex(r"[A-Z]{2,4}:[0-9]{1,7}", fullmatch=True)
WORDS = st.from_regex(r"[A-Za-z][A-Za-z0-9:._+-]{0,12}", fullmatch=True)


@st.composite
def edges(draw: st.DrawFn) -> Edge:
    qualifiers = tuple(draw(st.lists(WORDS, max_size=2, unique=True)))
    return Edge(
        subject=draw(IDS),
        predicate=draw(st.sampled_from(sorted(PREDICATES))),
        object=draw(IDS),
        source=draw(WORDS),
        release=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 :._-]{0,15}[a-z0-9]", fullmatch=True)),
        evidence_code=draw(st.sampled_from([None, "IDA", "IEA"])),
        publications=tuple(draw(st.lists(IDS, max_size=3, unique=True))),
        negated=draw(st.booleans()),
        qualifiers=qualifiers,
        taxon=draw(st.sampled_from([None, "NCBITaxon:9606"])),
        weight=draw(st.none() | st.floats(allow_nan=False, allow_infinity=False)),
    )


@given(edges(), NAMES, NAMES)
def test_a_sentence_gives_its_edge_back(edge: Edge, subject: str, other: str) -> None:
    text = sentence(edge, {edge.subject: subject, edge.object: other})
    assert "\n" not in text
    assert parse(text) == edge
    assert parse(text).key == edge.key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CD8A is involved in T cell activation.",
        "CD8A (HGNC:1706) adores T cell (CL:0000084). [X 1]",
        "CD8A (HGNC:1706) is a marker of T cell (CL:0000084).",
    ],
)
def test_what_is_no_such_sentence_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse(text)


def test_labels_are_for_the_reader_alone() -> None:
    edge = Edge("CL:0000625", IS_A, "CL:0000084", "CL", "v1")
    assert parse(sentence(edge, LABELS)) == parse(sentence(edge, {})) == edge
