"""Near words: found by cosine, counted by BM25, kept with the index; and what is no hit at all."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data.errors import CorruptAsset
from retrieval import lexical, nearwords
from retrieval.hybrid import FLOOR
from retrieval.index import open_index
from retrieval.lexical import Lexical
from retrieval.nearwords import NearWords
from retrieval.writing import writer
from tests.retrieval.pubmed_xml import article, document

AXES = {"cancer": 0, "malignancy": 0, "heart": 1, "cardiac": 1, "leaf": 2, "plant": 2, "zzz": 3}
REST, TURN, WIDTH = 4, 8, 9


class Pairs:
    """A dummy encoder: some words point nearly the same way, others nowhere near."""

    name = "pairs"
    dimension = WIDTH
    fingerprint = "pairs"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = np.full((len(texts), WIDTH), 1e-3, np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().replace(".", "").split():
                row[AXES.get(word, REST + len(word) % 4)] += 1.0
                row[TURN] += 0.3 if word in ("malignancy", "cardiac") else 0.0
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def filled(*texts: str) -> Lexical:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(lexical.SCHEMA)
    index = Lexical(connection)
    for i, text in enumerate(texts, start=1):
        index.stage(i, text)
    index.flush()
    return index


def test_a_near_word_counts_by_its_cosine() -> None:
    # Two documents of two terms: every length is the mean, the norm 1.2. "cancer" stands in the
    # first, "tumor" twice in the second and counts .8 each: 1 and 1.6 times; in 1 + .8 documents.
    index = filled("cancer cell", "tumor tumor")
    found = index.scores({"cancer": 1.0}, {"cancer": {"tumor": 0.8}})
    idf = math.log1p((2 - 1.8 + 0.5) / (1.8 + 0.5))
    assert found[1] == pytest.approx(idf * 1 * 2.2 / (1 + 1.2))
    assert found[2] == pytest.approx(idf * 1.6 * 2.2 / (1.6 + 1.2))
    assert index.highest({"cancer": 1.0}, {"cancer": {"tumor": 0.8}}) == pytest.approx(idf * 2.2)
    assert index.weights(["cancer"]) == {"cancer": pytest.approx(math.log(2))}


def test_without_near_words_the_scores_are_plain() -> None:
    index = filled("cancer cell", "tumor tumor", "cell cell")
    plain = index.scores({"cell": 2.0, "cancer": 1.0})
    assert np.array_equal(plain, index.scores({"cell": 2.0, "cancer": 1.0}, {"cell": {}}))


def test_only_what_is_close_and_frequent_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    index = filled(*["malignancy cancer heart"] * 3, "cardiac", "17 17", "17", "17")
    assert index.frequent(2, 10) == ["17", "cancer", "heart", "malignancy"]
    assert index.frequent(2, 2) == ["17", "cancer"]
    known = NearWords.build(index, Pairs().encode)
    assert known.words == ("cancer", "heart", "malignancy")  # no number, and "cardiac" is rare
    near = known.near(["cancer", "heart", "cardiac"], Pairs().encode)
    assert {word: set(others) for word, others in near.items()} == {
        "cancer": {"malignancy"},
        "heart": set(),
        "cardiac": {"heart"},
    }
    assert all(nearwords.CLOSE <= c <= 1 for others in near.values() for c in others.values())
    monkeypatch.setattr(nearwords, "NEAREST", 1)
    assert known.near(["cancer"], Pairs().encode) == {"cancer": {}}  # itself is the nearest


def test_kept_and_not_encoded_twice(tmp_path: Path) -> None:
    index = filled(*["malignancy cancer heart"] * 3)
    made = NearWords.build(index, Pairs().encode)
    made.save(tmp_path / "words.npz")
    read = NearWords.load(tmp_path / "words.npz")
    assert read.words == made.words
    assert np.array_equal(read.vectors, made.vectors)

    def none(texts: Sequence[str]) -> NDArray[np.float32]:
        assert not texts
        return np.zeros((0, WIDTH), np.float32)

    assert np.array_equal(NearWords.build(index, none, read).vectors, made.vectors)
    (tmp_path / "words.npz").write_bytes(b"PK nothing")
    with pytest.raises(CorruptAsset, match="index build --fresh"):
        NearWords.load(tmp_path / "words.npz")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "a.xml"
    texts = ["cancer grows", "cancer spreads", "cancer kills", "leaf falls", "leaf dries"]
    source.write_bytes(
        document(*(article(i, "", text.capitalize()) for i, text in enumerate(texts, start=1)))
    )
    with writer(tmp_path / "index") as change:
        change.add(source)
        change.embed(Pairs())
    return tmp_path / "index"


def test_other_words_meet_in_a_hybrid_search_only(folder: Path) -> None:
    with open_index(folder, encoder=Pairs()) as index:
        assert index.search("malignancy", mode="lexical") == []
        found = index.search("malignancy", mode="hybrid")
        assert {row.pmid for row in found} == {"1", "2", "3"}
        assert {"dense", "lexical"} == set(found[0].ranks)
        exact = index.rank("malignancy", fusion="exact")
        assert all("lexical" not in row.ranks for row in exact)


@pytest.mark.parametrize("mode", ["dense", "hybrid", "lexical"])
def test_a_query_of_unknown_words_finds_what_is_near_or_nothing(folder: Path, mode: str) -> None:
    """Every query has a nearest vector; one without a known word must also be near to it."""
    vector = Pairs().encode(["plant", "zzz"]) @ Pairs().encode(["Leaf falls", "Leaf dries"]).T
    assert vector[0].min() > FLOOR > vector[1].max()
    with open_index(folder, encoder=Pairs()) as index:
        assert index.search("zzz", mode=mode) == []  # type: ignore[arg-type]
        found = {row.pmid for row in index.search("plant", mode=mode)}  # type: ignore[arg-type]
        assert found == (set() if mode == "lexical" else {"4", "5"})
        assert index.search("zzz leaf", mode=mode)  # type: ignore[arg-type]


def test_an_index_without_word_vectors_counts_the_words_of_the_query(folder: Path) -> None:
    with open_index(folder, encoder=Pairs()) as index:
        assert index.manifest.dense is not None
        del index.manifest.dense["words"]
        without, exact = index.rank("cancer leaf"), index.rank("cancer leaf", fusion="exact")
        assert without == exact != []
