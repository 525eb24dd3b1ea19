"""Citations stored once, newest record first; retractions from either end; filters."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrieval import docstore
from retrieval.docstore import Docstore, Put
from retrieval.filters import Filters
from retrieval.lexical import query_terms
from retrieval.medline import Citation, Notice, stored_text


@pytest.fixture
def docs(tmp_path: Path) -> Docstore:
    return Docstore(tmp_path / "x.sqlite", writable=True)


def found(docs: Docstore, query: str) -> list[str]:
    ranked = docs.lexical.search(query_terms(query), 10)
    stored = docs.get([doc for doc, _ in ranked])
    return [stored[doc].citation.pmid for doc, _ in ranked]


ONE = Citation(
    "1",
    "Kinase of mice.",
    "It grew. Then it fell.",
    journal="Journal of Tests",
    journal_abbreviation="J Tests",
    year=2019,
    mesh=("Mice", "Kinases", "mice"),
    types=("Journal Article",),
    notices=(Notice("ErratumIn", "9"), Notice("ErratumIn", "8")),
    revised="2020-01-01",
)


def test_what_goes_in_comes_out(docs: Docstore) -> None:
    assert docs.write([ONE], origin="a") == Put(added=1)
    stored = docs.by_pmid("1")
    assert stored is not None
    assert stored.citation.digest == ONE.digest
    assert stored_text(stored.citation) == stored_text(ONE)
    assert (stored.origin, stored.retracted) == ("a", False)
    assert stored.notices == ("has an erratum: PMID 8", "has an erratum: PMID 9")
    assert docs.check() == ""


def test_an_equal_record_is_stored_once(docs: Docstore) -> None:
    docs.write([ONE], origin="a")
    assert docs.write([ONE], origin="b") == Put(unchanged=1)
    assert docs.counts()["windows"] == 1


def test_a_newer_record_replaces_an_older_never_the_other_way(docs: Docstore) -> None:
    docs.write([ONE], origin="a")
    newer = replace(ONE, title="Phosphatase of rats.", revised="2021-01-01")
    assert docs.write([newer], origin="b") == Put(updated=1)
    assert docs.write([ONE], origin="a") == Put(older=1)
    assert found(docs, "phosphatase") == ["1"]
    assert found(docs, "kinase") == []
    second = replace(ONE, title="Ligase.", version=2, revised="2019-01-01")
    assert docs.write([second], origin="c") == Put(updated=1)
    assert docs.counts() == {"citations": 1, "windows": 1, "retracted": 0, "files": 0}
    assert docs.check() == ""


def test_versions_within_one_batch(docs: Docstore) -> None:
    batch = [replace(ONE, version=v, title=f"Word{v}.") for v in (1, 3, 2)]
    assert docs.write(batch, origin="a") == Put(added=1, updated=1, older=1)
    assert found(docs, "word3") == ["1"]
    assert found(docs, "word1") == []


def test_deletion(docs: Docstore) -> None:
    docs.write([ONE, replace(ONE, pmid="2")], origin="a")
    assert docs.write([], ["1", "77"], origin="a") == Put(deleted=1)
    assert found(docs, "kinase") == ["2"]
    assert docs.by_pmid("1") is None


def test_a_failure_leaves_nothing_of_the_batch(docs: Docstore) -> None:
    docs.write([ONE], origin="a")
    broken = replace(ONE, pmid="4", journal=None)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        docs.write([replace(ONE, pmid="2"), broken], origin="a")
    assert docs.counts()["citations"] == 1
    assert found(docs, "kinase") == ["1"]


@pytest.mark.parametrize("first", ["article", "notice"])
@pytest.mark.parametrize("bare", [False, True])
def test_a_retraction_counts_from_the_notice_too(docs: Docstore, first: str, bare: bool) -> None:
    notice = Citation("50", "Retraction: kinase.", notices=(Notice("RetractionOf", "1"),))
    steps = {
        "article": lambda: docs.write([ONE], origin="a"),
        "notice": lambda: docs.write(
            [] if bare else [notice], origin="b", bare=[notice] if bare else []
        ),
    }
    for name in sorted(steps, key=lambda name: name != first):
        steps[name]()
    stored = docs.by_pmid("1")
    assert stored is not None
    assert stored.retracted
    assert "retracted: PMID 50" in stored.notices
    assert docs.counts()["retracted"] == 1
    # The notice is itself withdrawn: the article stands again.
    docs.write([], ["50"], origin="c")
    stored = docs.by_pmid("1")
    assert stored is not None
    assert not stored.retracted


def test_retracted_by_its_own_record(docs: Docstore) -> None:
    by_type = replace(ONE, types=("Retracted Publication",))
    by_link = replace(ONE, pmid="2", notices=(Notice("RetractionIn", ""),))
    docs.write([by_type, by_link], origin="a")
    assert docs.counts()["retracted"] == 2
    stored = docs.by_pmid("2")
    assert stored is not None
    assert stored.notices == ("retracted",)


@pytest.mark.parametrize(
    ("title", "abstract", "said"),
    [
        ("Retracted: On neurons.", "They fired.", "title"),
        ("RETRACTED ARTICLE: On neurons.", "They fired.", "title"),
        ("[Retracted] On neurons.", "They fired.", "title"),
        ("[Retracted Article: On neurons].", "They fired.", "title"),
        ("On neurons [retracted].", "They fired.", "title"),
        ("On neurons.", "The Publisher has retracted this article.", "abstract"),
        ("On neurons.", "They fired.", ""),
        ("Retracted articles: how they are cited.", "They are.", ""),
        ("Retracted papers of one author.", "Many authors retracted a paper.", ""),
        ("A claw that is not retracted.", "It was retracted: the animal walked.", ""),
        ("Retraction Note: On neurons.", "The Publisher has retracted this article.", ""),
    ],
)
def test_retracted_by_its_words(docs: Docstore, title: str, abstract: str, said: str) -> None:
    docs.write([replace(ONE, title=title, abstract=abstract, notices=())], origin="a")
    # As an index made before the words were looked at has it.
    docs._db.execute("UPDATE citations SET retracted = 0")
    stored = docs.by_pmid(ONE.pmid)
    assert stored is not None
    assert stored.retracted == bool(said)
    assert stored.notices == ((f"retracted: its {said} says so",) if said else ())
    assert docs.counts()["retracted"] == bool(said)
    allowed = docs.allowed(Filters(retracted=True))
    assert allowed is not None
    assert len(allowed) == bool(said)


def test_filters(docs: Docstore) -> None:
    docs.write(
        [
            ONE,
            replace(ONE, pmid="2", year=2021, journal="Cell", journal_abbreviation="Cell"),
            replace(ONE, pmid="3", year=None, mesh=("Rats",)),
            replace(ONE, pmid="4", year=2021, types=("Retracted Publication",)),
        ],
        origin="a",
    )

    def passing(**filters: object) -> list[str]:
        allowed = docs.allowed(Filters(**filters))  # type: ignore[arg-type]
        assert allowed is not None
        return [stored.citation.pmid for stored in docs.get(allowed.tolist()).values()]

    assert docs.allowed(Filters()) is None
    assert passing(years=(2020, None)) == ["2", "4"]
    assert passing(years=(None, 2020)) == ["1"]
    assert passing(years=(2019, 2019)) == ["1"]
    assert passing(mesh="MICE") == ["1", "2", "4"]
    assert passing(journal="j tests") == ["1", "3", "4"]
    assert passing(journal="CELL", years=(2021, 2021)) == ["2"]
    assert passing(retracted=True) == ["4"]
    assert passing(retracted=False) == ["1", "2", "3"]
    assert passing(mesh="'; DROP TABLE citations; --") == []


def test_windows_point_into_the_stored_text(docs: Docstore) -> None:
    docs.write([ONE, Citation("2", "Only a title.")], origin="a")
    ids = docs.passage_ids()
    texts = {ONE.pmid: stored_text(ONE), "2": "Only a title."}
    places = docs.passages(ids.tolist())
    for number, title, words in docs.window_texts(ids.tolist()):
        doc, start, end = places[number]
        pmid = docs.get([doc])[doc].citation.pmid
        assert texts[pmid][start:end] == words
        assert texts[pmid].startswith(title)


def test_windows_of_some_citations_are_the_same_either_way(
    docs: Docstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(f"Sentence {i} of many about kinases in mice and men." for i in range(60))
    docs.write([replace(ONE, pmid=str(i), abstract=text) for i in range(1, 9)], origin="a")
    everything = docs.passage_ids()
    wanted = np.array([2, 3, 7, 999])
    few = docs.passage_ids(wanted)
    monkeypatch.setattr(docstore, "_FEW", 0)
    assert few.tolist() == docs.passage_ids(wanted).tolist() == sorted(few)
    assert 3 < len(few) < len(everything)
    assert {docs.passages([number])[number][0] for number in few.tolist()} == {2, 3, 7}
    assert docs.passage_ids(np.array([], np.int64)).tolist() == []
