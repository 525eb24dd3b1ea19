"""MEDLINE XML: every element that is read, and what is refused or passed over."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from data.errors import BadFile, UnsafeFile
from retrieval.medline import Citation, Deletion, Notice, Record, read_xml, stored_text
from retrieval.recordcutter import Problem
from tests.retrieval.pubmed_xml import EPILOG, PROLOG, article, deletion, document


def records(path: Path, content: bytes) -> tuple[list[Record], list[Problem]]:
    path.write_bytes(content)
    problems: list[Problem] = []
    return list(read_xml(path, problems.append)), problems


def test_everything_that_is_kept(tmp_path: Path) -> None:
    one = article(
        12,
        "IL-2 & T cells.",
        {"Background": "We  asked.\u2009Twice.", "": "No label.", "RESULTS": "It <grew>."},
        mesh=("T-Lymphocytes", "Mice"),
        types=("Journal Article", "Retracted Publication"),
        notices=(("RetractionIn", 99), ("CommentIn", 5), ("ErratumIn", 7)),
    )
    found, problems = records(tmp_path / "a.xml", document(one))
    assert problems == []
    assert found == [
        Citation(
            pmid="12",
            title="IL-2 & T cells.",
            abstract="BACKGROUND: We asked. Twice.\nNo label.\nRESULTS: It <grew>.",
            journal="Journal of Tests",
            journal_abbreviation="J Tests",
            year=2020,
            mesh=("T-Lymphocytes", "Mice"),
            types=("Journal Article", "Retracted Publication"),
            notices=(Notice("RetractionIn", "99"), Notice("ErratumIn", "7")),
            version=1,
            revised="2021-06-07",
        )
    ]
    assert isinstance(found[0], Citation)
    assert found[0].retracted
    assert stored_text(found[0]).startswith("IL-2 & T cells.\n\nBACKGROUND: We")


def test_inline_markup_is_text(tmp_path: Path) -> None:
    one = article(1, "T", "H@O").replace("@", "<sub>2</sub>")
    found, _ = records(tmp_path / "a.xml", document(one))
    assert isinstance(found[0], Citation)
    assert found[0].abstract == "H2O"


def test_a_free_form_date_gives_its_year(tmp_path: Path) -> None:
    found, _ = records(tmp_path / "a.xml", document(article(1, year=None)))
    assert isinstance(found[0], Citation)
    assert found[0].year == 1976


def test_deletions_and_the_older_root_element(tmp_path: Path) -> None:
    inner = article(3).removeprefix("<PubmedArticle>").split("<PubmedData>")[0]
    content = f"<MedlineCitationSet>{inner}{deletion(4, 5)}</MedlineCitationSet>".encode()
    found, problems = records(tmp_path / "a.xml", content)
    assert [record.pmid for record in found if isinstance(record, Citation)] == ["3"]
    assert found[1] == Deletion(("4", "5"))
    assert problems == []


def test_gzip_by_content_not_by_name(tmp_path: Path) -> None:
    found, _ = records(tmp_path / "a.xml", gzip.compress(document(article(1))))
    assert len(found) == 1


def test_other_encodings_that_the_declaration_names(tmp_path: Path) -> None:
    content = document(article(1, "Größe")).decode().replace("utf-8", "iso-8859-1")
    found, _ = records(tmp_path / "a.xml", content.encode("iso-8859-1"))
    assert isinstance(found[0], Citation)
    assert found[0].title == "Größe"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (article(0), "no usable PMID"),
        (article("1e3"), "no usable PMID"),
        (article(8, "", ""), "neither a title nor an abstract"),
        (article(8).replace("</Article>", ""), "mismatched tag"),
        (article(8, "A \x01 control"), "not well-formed"),
        (article(8, "An &unknown; entity").replace("&amp;", "&"), "undefined entity"),
        ("<PubmedBookArticle><BookDocument/></PubmedBookArticle>", "book chapter"),
        ("<PubmedArticle></PubmedArticle>", "no MedlineCitation"),
    ],
)
def test_a_bad_record_is_named_and_costs_itself_alone(tmp_path: Path, bad: str, why: str) -> None:
    found, problems = records(tmp_path / "a.xml", document(article(1), bad, article(2)))
    assert [record.pmid for record in found if isinstance(record, Citation)] == ["1", "2"]
    assert len(problems) == 1
    assert why in problems[0].why
    assert problems[0].where.startswith("a.xml record 2")


def test_a_lost_end_tag_costs_one_record(tmp_path: Path) -> None:
    lost = article(7).replace("</PubmedArticle>", "")
    found, problems = records(tmp_path / "a.xml", document(article(1), lost, article(2)))
    assert [record.pmid for record in found if isinstance(record, Citation)] == ["1", "2"]
    assert [problem.where for problem in problems] == ["a.xml record 2 (PMID 7)"]


def test_what_is_cut_short_is_named_and_the_rest_kept(tmp_path: Path) -> None:
    rng = random.Random(3)  # text that does not compress away
    long = " ".join(str(rng.random()) for _ in range(60_000))
    packed = gzip.compress(document(article(1), article(2), article(3, "T", long)))
    found, problems = records(tmp_path / "a.xml.gz", packed[: len(packed) // 2])
    assert [record.pmid for record in found if isinstance(record, Citation)] == ["1", "2"]
    assert problems[0].where == "a.xml.gz record 3 (PMID 3)"
    assert "cut short" in problems[1].why


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd" [ ]>',
    ],
)
def test_entity_declarations_are_refused(tmp_path: Path, doctype: str) -> None:
    content = f"<?xml version='1.0'?>{doctype}<PubmedArticleSet>{article(1, '&b;')}{EPILOG}"
    with pytest.raises(UnsafeFile, match="declares XML entities"):
        records(tmp_path / "a.xml", content.encode())


def test_an_entity_declared_inside_a_record_is_never_expanded(tmp_path: Path) -> None:
    bomb = article(1, "@").replace("@", '<!DOCTYPE x [<!ENTITY a "aaaa">]>&a;')
    found, problems = records(tmp_path / "a.xml", document(bomb, article(2)))
    assert [record.pmid for record in found if isinstance(record, Citation)] == ["2"]
    assert len(problems) == 1


def test_a_compression_bomb_is_refused(tmp_path: Path) -> None:
    bomb = gzip.compress(PROLOG.encode() + bytes(72 << 20), compresslevel=9)
    with pytest.raises(UnsafeFile, match="unpacks to more than 200 times"):
        records(tmp_path / "a.xml.gz", bomb)


def test_a_record_without_end_does_not_fill_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    with path.open("wb") as stream:
        stream.write(PROLOG.encode() + b"<PubmedArticle>")
        for _ in range(40):
            stream.write(b"x" * (1 << 20))
        stream.write(document(article(2)))
    problems: list[Problem] = []
    found = list(read_xml(path, problems.append))
    assert [record.pmid for record in found if isinstance(record, Citation)] == ["2"]
    assert problems[0].why == "longer than 32 MiB"


@pytest.mark.parametrize("content", [b"", b"<html></html>", b"\x1f\x8b", bytes(1000)])
def test_what_is_no_medline_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadFile, match="no PubMed record") as caught:
        records(tmp_path / "a.xml", content)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be read"):
        list(read_xml(tmp_path / "none.xml", print))


@pytest.mark.assets
@pytest.mark.slow
def test_the_pinned_samples_as_counted() -> None:
    from data import sources

    counted = {"pubmed-2021": (20787, 18445, 4, 20), "pubmed-1970s": (30000, 14832, 2, 0)}
    for name, (citations, abstracts, retracted, deleted) in counted.items():
        problems: list[Problem] = []
        found = list(read_xml(sources.path(name), problems.append))
        real = [record for record in found if isinstance(record, Citation)]
        gone = [pmid for record in found if isinstance(record, Deletion) for pmid in record.pmids]
        assert (len(real), sum(bool(c.abstract) for c in real)) == (citations, abstracts)
        assert sum(c.retracted for c in real) == retracted
        assert len(gone) == deleted
        # One record of 2021 has neither a title nor an abstract.
        assert [str(problem) for problem in problems] == (
            ["pubmed21n1298.xml.gz record 7788 (PMID 33977567): neither a title nor an abstract"]
            if name == "pubmed-2021"
            else []
        )
