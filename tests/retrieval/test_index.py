"""The index as a whole: build, add, delete, resume, refuse; every quote where it says it is."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.errors import AssetMissing, BadFile, BadInput, CelloquyError, CorruptAsset, Missing
from retrieval.filters import Filters
from retrieval.index import LiteratureIndex, open_index
from retrieval.manifest import writing
from retrieval.writing import writer
from tests.retrieval.little_encoder import LittleEncoder
from tests.retrieval.pubmed_xml import article, deletion, document

TOPICS = [
    "kinase",
    "neuron",
    "macrophage",
    "fibroblast",
    "exosome",
    "telomere",
    "histone",
    "insulin",
]


def corpus(n: int, first: int = 1, seed: int = 0) -> str:
    rng = random.Random(seed)
    made = []
    for i in range(first, first + n):
        topic = TOPICS[i % len(TOPICS)]
        sentences = [
            f"The {topic} of sample {i} {rng.choice(['grew', 'fell', 'stayed'])} "
            f"{rng.randint(1, 99)}.{rng.randint(0, 9)} % vs. others (p < .05)."
            for _ in range(rng.randint(1, 14))
        ]
        made.append(
            article(
                i,
                f"On {topic} number{i}.",
                {"AIM": sentences[0], "": " ".join(sentences)},
                year=2000 + i % 20,
                mesh=(topic.title(),),
            )
        )
    return "".join(made)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of 300 articles with vectors; copied by those who change it."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "one.xml"
    source.write_bytes(document(corpus(300)))
    with writer(folder / "index", corpus="test") as change:
        change.add(source)
        change.embed(LittleEncoder())
    return folder / "index"


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "index"))


@pytest.fixture
def index(built: Path) -> Iterator[LiteratureIndex]:
    with open_index(built, encoder=LittleEncoder()) as opened:
        yield opened


@pytest.mark.parametrize("mode", ["lexical", "dense", "hybrid"])
def test_every_quote_stands_where_it_says(index: LiteratureIndex, mode: str) -> None:
    for query in ("kinase grew", "how many samples of the neuron fell?", "number17", "p value"):
        passages = index.search(query, 20, mode=mode)  # type: ignore[arg-type]
        assert passages
        assert len({passage.pmid for passage in passages}) == len(passages)
        scores = [passage.score for passage in passages]
        assert scores == sorted(scores, reverse=True)
        for passage in passages:
            text = index.text(passage.pmid)
            assert text is not None
            assert text[passage.start : passage.end] == passage.quote
            assert passage.quote.strip() == passage.quote != ""
            assert set(passage.ranks) <= {"dense", "lexical"}


def test_the_quote_is_the_sentence_that_was_asked_for(tmp_path: Path) -> None:
    source = tmp_path / "a.xml"
    text = (
        "Nothing is known of this matter in the wider literature of the field. "
        "Telomeres were shortened in the fibroblasts of every treated animal. "
        "Further work should look at other tissues and at other animals too."
    )
    source.write_bytes(document(article(1, "A study.", text)))
    with writer(tmp_path / "index") as change:
        change.add(source)
    with open_index(tmp_path / "index") as opened:
        (passage,) = opened.search("are telomeres shortened?", mode="lexical")
    assert passage.quote == "Telomeres were shortened in the fibroblasts of every treated animal."


def test_filters_apply_in_every_mode(index: LiteratureIndex) -> None:
    for mode in ("lexical", "dense", "hybrid"):
        found = index.search(
            "kinase grew", 50, mode=mode, filters=Filters(years=(2005, 2008), mesh="neuron")
        )
        assert {passage.year for passage in found} <= {2005, 2006, 2007, 2008}
        assert {int(passage.pmid) % len(TOPICS) for passage in found} == {1}
    assert index.search("kinase", mode="hybrid", filters=Filters(mesh="nothing")) == []


def test_bad_queries_are_refused_in_one_line(index: LiteratureIndex) -> None:
    for query, k in (("", 5), ("?! ...", 5), ("kinase", 0), ("kinase", -1)):
        with pytest.raises(BadInput) as caught:
            index.search(query, k)
        assert "\n" not in str(caught.value)


def test_expansion_finds_what_only_a_synonym_names(index: LiteratureIndex) -> None:
    assert index.search("nerve cell", mode="lexical") == []
    found = index.search("nerve cell", 5, mode="lexical", expand=lambda query: ["neuron"])
    assert {int(passage.pmid) % len(TOPICS) for passage in found} == {1}


def test_a_second_model_orders_the_head_anew(built: Path) -> None:
    def by_number(query: str, texts: list[str]) -> list[float]:
        return [float(text.split("number")[1].split(".")[0]) for text in texts]

    with open_index(built, encoder=LittleEncoder(), rerank=by_number) as opened:  # type: ignore[arg-type]
        found = [int(p.pmid) for p in opened.search("kinase grew", 10, mode="hybrid")]
    assert found == sorted(found, reverse=True)


def test_nothing_is_read_or_encoded_twice(copied: Path, tmp_path: Path) -> None:
    source = copied.parent / "again.xml"
    source.write_bytes(document(corpus(300)))
    little = LittleEncoder()
    with writer(copied) as change:
        assert change.add(source).known
        other = tmp_path / "other.xml"
        other.write_bytes(document(corpus(300)) + b"<!-- other bytes -->")
        put = change.add(other).put
        assert (put.added, put.updated, put.unchanged) == (0, 0, 300)
        change.embed(little)
    assert little.encoded == 0


def test_add_update_and_delete_reach_both_rankings(copied: Path, tmp_path: Path) -> None:
    source = tmp_path / "update.xml"
    source.write_bytes(
        document(
            corpus(20, first=1000),
            article(5, "On spermatogonia.", "Spermatogonia divided.", revised="2022-01-01"),
            deletion(6, 7),
        )
    )
    little = LittleEncoder()
    with writer(copied) as change:
        added = change.add(source)
        assert (added.put.added, added.put.updated, added.put.deleted) == (20, 1, 2)
        assert change.delete(["8", "8888"]) == 1
        change.embed(little)
    with open_index(copied, encoder=little) as opened:
        assert opened.stats()["citations"] == 300 + 20 - 2 - 1
        assert opened.stats()["dense"]["vectors"] == opened.stats()["windows"]
        for mode in ("lexical", "dense"):
            first = opened.search("spermatogonia divided", 1, mode=mode)[0]  # type: ignore[arg-type]
            assert first.pmid == "5"
            found = {p.pmid for p in opened.search("kinase exosome telomere", 400, mode=mode)}  # type: ignore[arg-type]
            assert not found & {"6", "7", "8"}
            assert "1000" in found
        assert opened.text("6") is None


def test_a_file_may_be_read_again_after_a_deletion_but_not_what_nlm_withdrew(
    copied: Path, tmp_path: Path
) -> None:
    source, update = tmp_path / "a.xml", tmp_path / "b.xml"
    source.write_bytes(document(corpus(3, first=700)))
    update.write_bytes(document(deletion(701)))
    with writer(copied) as change:
        change.add(source)
        change.add(update)
        assert change.delete(["7777"]) == 0
        assert change.add(source).known
        assert change.delete(["700"]) == 1
        put = change.add(source).put
        assert (put.added, put.unchanged, put.older) == (1, 1, 1)
        assert change.add(source).known
    with open_index(copied) as opened:
        assert opened.text("700") is not None
        assert opened.text("701") is None


def test_between_a_change_and_its_vectors_search_still_works(copied: Path, tmp_path: Path) -> None:
    source = tmp_path / "update.xml"
    source.write_bytes(document(article(900, "On spermatogonia.", "They divided."), deletion(1, 2)))
    with writer(copied) as change:
        change.add(source)
    with open_index(copied, encoder=LittleEncoder()) as opened:
        found = [p.pmid for p in opened.search("kinase neuron spermatogonia", 400, mode="hybrid")]
        assert "900" in found
        assert not {"1", "2"} & set(found)


def test_a_retracted_article_is_never_cited_without_the_word(copied: Path, tmp_path: Path) -> None:
    source = tmp_path / "notice.xml"
    source.write_bytes(
        document(
            article(2000, "Retraction: on kinase.", "", notices=(("RetractionOf", 8),)),
            article(2001, "RETRACTED: kinase.", "Kinase grew.", types=("Retracted Publication",)),
        )
    )
    with writer(copied) as change:
        change.add(source, keep=lambda citation: bool(citation.abstract))
    with open_index(copied, encoder=LittleEncoder()) as opened:
        for mode in ("lexical", "dense", "hybrid"):
            found = {p.pmid: p for p in opened.search("kinase grew", 400, mode=mode)}  # type: ignore[arg-type]
            for pmid in {"8", "2001"} & set(found):
                passage = found[pmid]
                assert passage.retracted
                assert "retracted" in passage.text
                assert "retracted" in passage.evidence().text
            assert "8" in found
        left = opened.search("kinase grew", 400, filters=Filters(retracted=False))
        assert not {"8", "2001"} & {passage.pmid for passage in left}


def test_another_encoder_replaces_all_vectors(copied: Path) -> None:
    other = LittleEncoder("other", 48)
    with writer(copied) as change:
        change.embed(other)
    with open_index(copied, encoder=other) as opened:
        assert opened.stats()["dense"]["encoder"] == "other"
        assert opened.search("kinase", 3, mode="dense")
    with (
        open_index(copied, encoder=LittleEncoder()) as opened,
        pytest.raises(CelloquyError, match="another version"),
    ):
        opened.search("kinase", 3, mode="dense")


def test_without_vectors_hybrid_falls_back_and_says_so(tmp_path: Path) -> None:
    source = tmp_path / "a.xml"
    source.write_bytes(document(corpus(5)))
    with writer(tmp_path / "index") as change:
        change.add(source)
    with open_index(tmp_path / "index") as opened:
        assert opened.resolve("lexical") == ("lexical", "")
        mode, why = opened.resolve("hybrid")
        assert mode == "lexical"
        assert "no vectors yet" in why
        assert opened.search("neuron")
        with pytest.raises(Missing, match="no vectors yet"):
            opened.resolve("dense")


def test_no_index_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(AssetMissing, match="run: celloquy index build"):
        open_index(tmp_path / "none")


def test_a_flipped_byte_in_any_file_is_refused(copied: Path, tmp_path: Path) -> None:
    rng = random.Random(1)
    files = [path for path in sorted(copied.iterdir()) if path.stat().st_size]
    assert {path.suffix for path in files} == {".json", ".sqlite", ".faiss", ".npz"}
    for path in files:
        content = path.read_bytes()
        places = {0, len(content) - 1, *(rng.randrange(len(content)) for _ in range(20))}
        for place in places:
            damaged = bytearray(content)
            damaged[place] ^= 1 << rng.randrange(8)
            path.write_bytes(damaged)
            if path.suffix == ".json" and _reads_the_same(content, bytes(damaged)):
                continue
            with pytest.raises(CorruptAsset) as caught:
                open_index(copied).close()
            assert str(path) in str(caught.value)
            assert "\n" not in str(caught.value)
            with pytest.raises(CorruptAsset), writer(copied):
                pass
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(CorruptAsset):
            open_index(copied).close()
        path.unlink()
        with pytest.raises((CorruptAsset, AssetMissing)):
            open_index(copied).close()
        path.write_bytes(content)
    open_index(copied).close()
    with writer(copied, fresh=True) as change:
        assert change.docs.counts()["citations"] == 0


def _reads_the_same(one: bytes, other: bytes) -> bool:
    """White space of JSON carries no meaning: the manifest is the same document."""
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


def test_one_writer_at_a_time_and_readers_are_told(copied: Path) -> None:
    with writing(copied):
        with pytest.raises(CelloquyError, match="another process is writing"), writer(copied):
            pass
        open_index(copied).close()  # the citations are sealed: reading goes on
    with writer(copied) as change:
        change.delete(["1"])
        with pytest.raises(CelloquyError, match="another process is writing"):
            open_index(copied)


def test_a_failed_change_keeps_what_was_acknowledged(copied: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.xml"
    source.write_bytes(document(corpus(10, first=500)))
    (tmp_path / "b.xml").write_bytes(b"not MEDLINE")
    with pytest.raises(BadFile), writer(copied) as change:
        change.add(source)
        change.add(tmp_path / "b.xml")
    with open_index(copied) as opened:
        assert opened.stats()["citations"] == 310


def test_an_open_index_follows_a_writer(copied: Path, tmp_path: Path) -> None:
    """A server keeps its index open while another process adds to it."""
    source = tmp_path / "a.xml"
    source.write_bytes(document(article(900, "On spermatogonia.", "They divided.")))
    with open_index(copied, encoder=LittleEncoder()) as opened:
        assert opened.search("spermatogonia", mode="lexical") == []
        with writer(copied) as change:
            change.add(source)
            change.delete(["9"])
        assert [p.pmid for p in opened.search("spermatogonia", mode="lexical")] == ["900"]
        found = {p.pmid for p in opened.search("neuron number9", 50, mode="hybrid")}
        assert "9" not in found
