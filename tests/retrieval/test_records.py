"""NBIB and JSON lines, told apart by content."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from data.errors import BadFile
from retrieval.medline import Citation, Notice
from retrieval.recordcutter import Problem
from retrieval.records import read

NBIB = """\
PMID- 101
OWN - NLM
LR  - 20210607
TI  - A title that goes
      on.
AB  - AIM: We asked. RESULTS: It grew by 2.5 %. CONCLUSION: Good.
DP  - 1976 Nov-Dec
TA  - J Tests
JT  - Journal of Tests
MH  - Cocaine/*metabolism
MH  - *Mice
MH  - Mice/physiology
PT  - Journal Article
PT  - Retracted Publication
RIN - J Tests. 1980 Jan;1(1):2. PMID: 303
EIN - J Tests. 1979

PMID- 102
TI  - Second.
PMID- 103
TI  - Third, with no empty line before.
"""


def whole(path: Path) -> tuple[list[Citation], list[Problem]]:
    problems: list[Problem] = []
    return [r for r in read(path, problems.append) if isinstance(r, Citation)], problems


def test_nbib(tmp_path: Path) -> None:
    path = tmp_path / "export.txt"
    path.write_text(NBIB)
    found, problems = whole(path)
    assert problems == []
    assert [citation.pmid for citation in found] == ["101", "102", "103"]
    first = found[0]
    assert first.title == "A title that goes on."
    assert first.abstract == "AIM: We asked.\nRESULTS: It grew by 2.5 %.\nCONCLUSION: Good."
    assert (first.year, first.journal, first.journal_abbreviation) == (
        1976,
        "Journal of Tests",
        "J Tests",
    )
    assert first.mesh == ("Cocaine", "Mice")
    assert first.notices == (Notice("RetractionIn", "303"), Notice("ErratumIn", ""))
    assert first.retracted
    assert first.revised == "2021-06-07"


def test_nbib_names_what_it_passes_over(tmp_path: Path) -> None:
    path = tmp_path / "a.nbib"
    path.write_text("PMID- x\nTI  - No number.\n\nPMID- 5\nTI  - Good.\nwhat is this\n")
    found, problems = whole(path)
    assert [citation.pmid for citation in found] == ["5"]
    assert [str(problem) for problem in problems] == [
        "a.nbib line 1: no usable PMID: 'x'",
        "a.nbib line 6: neither a tag nor a continued line",
    ]


def test_json_lines(tmp_path: Path) -> None:
    rows = [
        {
            "pmid": 5,
            "title": "  A   title. ",
            "abstract": "One.\n\nTwo.",
            "journal": "J",
            "year": 1999,
            "mesh": ["Mice"],
            "retracted": True,
        },
        {"pmid": "6", "title": "Bare."},
    ]
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    found, problems = whole(path)
    assert problems == []
    assert found[0] == Citation(
        "5",
        "A title.",
        "One.\nTwo.",
        journal="J",
        year=1999,
        mesh=("Mice",),
        notices=(Notice("RetractionIn", ""),),
    )
    assert found[0].retracted
    assert found[1] == Citation("6", "Bare.")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"pmid": "5"', "Expecting"),
        ("[1]", "expected an object"),
        ('{"title": "t"}', "no usable PMID: ''"),
        ('{"pmid": true, "title": "t"}', "no usable PMID"),
        ('{"pmid": "5"}', "neither a title nor an abstract"),
        ('{"pmid": "5", "title": 7}', "title is int, expected text"),
        ('{"pmid": "5", "title": "t", "year": "1999"}', "year is '1999'"),
        ('{"pmid": "5", "title": "t", "year": 12}', "year is 12"),
        ('{"pmid": "5", "title": "t", "mesh": "Mice"}', "mesh must be a list"),
        ("[" * 5000, "recursion"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"pmid": "1", "title": "Good."}\n' + line + "\n")
    found, problems = whole(path)
    assert [citation.pmid for citation in found] == ["1"]
    assert len(problems) == 1
    assert problems[0].where == "a.jsonl line 2"
    assert why in problems[0].why


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x89PNG\r\n", b"\x1f\x8bnot gzip"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    with pytest.raises(BadFile, match="expected MEDLINE XML"):
        read(path, print)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be read"):
        read(tmp_path, print)
