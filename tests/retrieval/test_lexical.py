"""BM25: by hand, against a plain computation, and the same however the index was made."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval import lexical
from retrieval.lexical import Lexical, best, query_terms, tokens

WORDS = st.sampled_from(["alpha", "beta", "gamma", "delta", "cell", "il-2", "kinase", "x1"])
DOCUMENT = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)


def fresh() -> tuple[sqlite3.Connection, Lexical]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(lexical.SCHEMA)
    return connection, Lexical(connection)


def plain(documents: dict[int, str], query: str) -> dict[int, float]:
    """BM25 as the textbook has it."""
    split = {doc: tokens(text) for doc, text in documents.items()}
    mean = sum(map(len, split.values())) / len(split)
    scores: dict[int, float] = {}
    for term, weight in query_terms(query).items():
        n = sum(term in words for words in split.values())
        idf = math.log(1 + (len(split) - n + 0.5) / (n + 0.5))
        for doc, words in split.items():
            tf = Counter(words)[term]
            if tf:
                length = 1.2 * (1 - 0.75 + 0.75 * len(words) / mean)
                scores[doc] = scores.get(doc, 0) + weight * idf * tf * 2.2 / (tf + length)
    return scores


def test_one_score_by_hand() -> None:
    # Two documents of 2 and 4 terms, mean 3; "kinase" stands twice in the second alone:
    # idf = ln(1 + 1.5 / 1.5) = ln 2; norm = 1.2 (.25 + .75 * 4 / 3) = 1.5;
    # score = ln 2 * 2 * 2.2 / (2 + 1.5) = .87138...
    _, index = fresh()
    index.stage(1, "alpha beta")
    index.stage(2, "kinase kinase alpha gamma")
    index.flush()
    assert index.search({"kinase": 1.0}, 10) == [
        (2, pytest.approx(math.log(2) * 4.4 / 3.5, rel=1e-6))
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.integers(1, 300), DOCUMENT, min_size=2, max_size=40),
    DOCUMENT,
    st.integers(1, 7),
    st.data(),
)
def test_as_the_textbook_has_it_after_any_history(
    documents: dict[int, str], query: str, batch: int, data: st.DataObject
) -> None:
    connection, index = fresh()
    order = list(documents)
    for i in range(0, len(order), batch):
        for doc in order[i : i + batch]:
            index.stage(doc, documents[doc])
        index.flush()
    gone = data.draw(st.lists(st.sampled_from(order), unique=True, max_size=len(order) - 1))
    for doc in gone:
        index.remove(doc)
    index.flush()
    left = {doc: text for doc, text in documents.items() if doc not in gone}
    found = dict(Lexical(connection).search(query_terms(query), 1000))
    expected = plain(left, query)
    if not gone:
        assert found == {doc: pytest.approx(score, rel=1e-4) for doc, score in expected.items()}
    # A term's document frequency may still count the dead until their segment is merged: the
    # scores then differ a little, the documents never.
    assert set(found) == set(expected)


def test_segments_are_merged_and_the_dead_leave_them() -> None:
    connection, index = fresh()
    for doc in range(1, 8):
        index.stage(doc, "kinase alpha")
        index.flush()
    index.remove(3)
    index.stage(8, "kinase")
    index.flush()  # the eighth segment: all are merged into one
    assert connection.execute("SELECT level FROM segments").fetchall() == [(1,)]
    docs = connection.execute("SELECT docs FROM postings WHERE term = 'kinase'").fetchone()[0]
    assert np.frombuffer(docs, np.uint32).tolist() == [1, 2, 4, 5, 6, 7, 8]


def test_ties_go_by_number_and_the_limit_is_exact() -> None:
    _, index = fresh()
    for doc in (5, 3, 9, 7):
        index.stage(doc, "kinase")
    index.flush()
    assert [doc for doc, _ in index.search({"kinase": 1.0}, 2)] == [3, 5]
    assert [doc for doc, _ in index.search({"kinase": 1.0}, 9)] == [3, 5, 7, 9]


def test_restricting_documents_keeps_their_scores() -> None:
    _, index = fresh()
    for doc in range(1, 30):
        index.stage(doc, "kinase " * (doc % 5 + 1) + "alpha")
    index.flush()
    everything = dict(index.search({"kinase": 1.0}, 100))
    allowed = np.array([2, 4, 11, 900], np.int64)
    assert dict(index.search({"kinase": 1.0}, 100, allowed)) == {
        doc: everything[doc] for doc in (2, 4, 11)
    }


def test_another_writer_is_noticed(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "x.sqlite"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.executescript(lexical.SCHEMA)
    first = Lexical(writer)
    first.stage(1, "kinase")
    first.flush()
    reader = Lexical(sqlite3.connect(path, isolation_level=None))
    assert [doc for doc, _ in reader.search({"kinase": 1.0}, 5)] == [1]
    first.stage(70_000, "kinase")
    first.remove(1)
    first.flush()
    assert [doc for doc, _ in reader.search({"kinase": 1.0}, 5)] == [70_000]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TNF-α", ["tnf", "alpha"]),
        ("IL-2Rβγ", ["il", "2r", "il2r", "beta", "gamma"]),
        ("Alzheimer's diseases", ["alzheimer", "disease"]),
        ("studies, bodies; glass analysis virus", ["study", "body", "glass", "analysis", "virus"]),
        ("naïve Köln", ["naive", "koln"]),
        ("CD8⁺ H₂O", ["cd8", "h2o"]),
        ("the of and", []),
        ("CD4-CD8", ["cd4", "cd8", "cd4cd8"]),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_words_that_only_ask_are_left_out_of_queries() -> None:
    assert query_terms("What does IL-2 do in T cells?") == {
        "il": 1.0,
        "2": 1.0,
        "il2": 1.0,
        "t": 1.0,
        "cell": 1.0,
    }
    assert query_terms("what is this") == {"what": 1.0}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.booleans())
def test_the_best_of_many_are_those_that_sorting_gives(seed: int, limit: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    scores = np.zeros(20_000, np.float32)
    places = rng.choice(len(scores), rng.integers(0, 3000), replace=False)
    scores[places] = rng.integers(1, 6, len(places)) if ties else rng.random(len(places))
    order = np.lexsort((np.arange(len(scores)), -scores))[:limit]
    expected = [(int(doc), float(scores[doc])) for doc in order if scores[doc] > 0]
    assert best(scores, limit) == expected
    allowed = np.sort(rng.choice(len(scores), 9000, replace=False))
    inside = allowed[np.lexsort((allowed, -scores[allowed]))]
    expected = [(int(doc), float(scores[doc])) for doc in inside[:limit] if scores[doc] > 0]
    assert best(scores, limit, allowed) == expected
