"""Sentences and windows: exact offsets, nothing lost, abbreviations kept whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.passages import Passage, sentences, windows

PIECES = st.sampled_from(
    [
        "Cells grew. ",
        "vs. controls ",
        "(Fig. 2) ",
        "E. coli ",
        "p < 0.05. ",
        "RESULTS: ",
        "\n",
        "We did? ",
        "β-cells! ",
        "  ",
        "e.g. ",
        "[a. B. ",
        "x ",
        "1. ",
        "Hepatitis B. The ",
    ]
)
TEXTS = st.lists(PIECES, max_size=30).map("".join)


@given(TEXTS | st.text(max_size=200), st.integers(0, 50))
def test_spans_are_ordered_trimmed_and_shifted(text: str, offset: int) -> None:
    spans = sentences(text, offset)
    last = offset
    for start, end in spans:
        assert last <= start < end <= offset + len(text)
        quote = text[start - offset : end - offset]
        assert quote == quote.strip()
        last = end


@given(TEXTS)
def test_nothing_but_space_and_labels_is_lost(text: str) -> None:
    covered = set()
    for start, end in sentences(text):
        covered |= set(range(start, end))
    left = "".join(c for i, c in enumerate(text) if i not in covered)
    assert left.replace("RESULTS:", "").replace("1.", "").split() == []


@given(TEXTS, st.integers(20, 200))
def test_windows_hold_every_sentence_once_and_in_order(text: str, size: int) -> None:
    grouped = windows(text, 0, size)
    assert [span for group in grouped for span in group] == sentences(text)
    assert all(grouped)


def test_windows_are_of_like_length() -> None:
    for n in (20, 30, 40, 55):
        text = "Nine words stand in this sentence of the text. " * n
        lengths = [group[-1].end - group[0].start for group in windows(text, 0, 800)]
        assert len(lengths) == -(-(len(text) - 1) // 800)
        assert max(lengths) < 1.3 * 800
        assert min(lengths) > 0.5 * max(lengths)


def test_a_title_alone_is_one_window() -> None:
    assert windows("A title.", 8) == [[(0, 8)]]
    assert windows("", 0) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We grew E. coli. It died.", ["We grew E. coli.", "It died."]),
        ("A (cf. Fig. 2) B. C.", ["A (cf. Fig. 2) B. C."]),
        ("It rose (p < .05). Then fell.", ["It rose (p < .05).", "Then fell."]),
        ("We saw it (Smith et al. 2019. J Test). Good.", None),
        ("Hepatitis B. The virus grew.", ["Hepatitis B.", "The virus grew."]),
        ("Given by J. Smith. Done.", ["Given by J. Smith.", "Done."]),
        ("AIM: To ask.\nRESULTS: It was 2.5 h.", ["To ask.", "It was 2.5 h."]),
        ("Was it so? Yes! Indeed.", ["Was it so?", "Yes!", "Indeed."]),
        ('He said "yes." Then left.', ['He said "yes."', "Then left."]),
        ("Cells at 37 °C. α-Actin rose. β fell.", ["Cells at 37 °C. α-Actin rose. β fell."]),
        ("T cells vs. B cells differ.", ["T cells vs. B cells differ."]),
        ("1. Cells grew. 2. Cells died.", ["1. Cells grew.", "2. Cells died."]),
        ("No end", ["No end"]),
        ("", []),
    ],
)
def test_by_hand(text: str, expected: list[str] | None) -> None:
    found = [text[start:end] for start, end in sentences(text)]
    if expected is None:
        expected = ["We saw it (Smith et al. 2019. J Test).", "Good."]
    assert found == expected


def test_a_retracted_passage_says_so_in_text_and_evidence() -> None:
    passage = Passage("1", "T", "J", 2020, "It grew.", 3, 11, 1.0, retracted=True, release="x")
    assert passage.text == "[retracted] It grew."
    assert passage.evidence().text == "[retracted] It grew."
    assert (passage.evidence().start, passage.evidence().end) == (3, 11)
