"""`celloquy search` and `celloquy index`, as a user types them."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.main import run
from agent.literature import Literature
from retrieval.index import open_index
from tests.retrieval.pubmed_xml import article, deletion, document


@pytest.fixture
def folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    source = tmp_path / "some.xml"
    source.write_bytes(
        document(
            article(1, "On neurons.", "Neurons fired. They then rested for an hour or two."),
            article(2, "Neurons again.", "Neurons fell.", types=("Retracted Publication",)),
            article(3, "On kinases.", "Kinases grew.", year=2001, mesh=("Kinases",)),
            article("x"),
        )
    )
    index = tmp_path / "index"
    assert run(["index", "build", str(source), "--words-only", "--index", str(index)]) == 0
    said = capfd.readouterr()
    assert said.out == ""
    assert "some.xml: 3 added" in said.err
    assert "passed over: some.xml record 4: no usable PMID: 'x'" in said.err
    return index


def test_json_is_as_documented(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["search", "neurons fired", "--k", "2", "--json", "--index", str(folder)]
    assert run(arguments) == 0
    said = capfd.readouterr()
    found = json.loads(said.out)
    assert list(found) == ["query", "results"]
    assert {"pmid", "title", "journal", "year", "quote", "start", "end", "score", "ranks"} <= set(
        found["results"][0]
    )
    assert found["results"][0]["ranks"] == {"lexical": 1}
    assert [row["retracted"] for row in found["results"]] == [False, True]
    assert "searching by words only" in said.err
    with open_index(folder) as index:
        for row in found["results"]:
            text = index.text(row["pmid"])
            assert text is not None
            assert text[row["start"] : row["end"]] == row["quote"]


def test_a_reader_sees_the_word_retracted(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["search", "neurons fell", "--mode", "lexical", "--index", str(folder)]) == 0
    out = capfd.readouterr().out
    shown = next(part for part in out.split("\n\n") if "PMID:2" in part)
    assert "[retracted] “Neurons fell.”" in shown


@pytest.mark.parametrize(
    ("more", "pmids"),
    [
        (["--year", "2000:2005"], ["3"]),
        (["--year", ":2005"], ["3"]),
        (["--year", "2001"], ["3"]),
        (["--mesh", "kinases"], ["3"]),
        (["--journal", "j tests"], ["1", "2", "3"]),
        (["--journal", "Nature"], []),
    ],
)
def test_filters(
    folder: Path, capfd: pytest.CaptureFixture[str], more: list[str], pmids: list[str]
) -> None:
    words = ["search", "neurons kinases", "--json", "--mode", "lexical", "--index", str(folder)]
    assert run([*words, *more]) == (0 if pmids else 3)
    found = json.loads(capfd.readouterr().out)["results"]
    assert sorted(row["pmid"] for row in found) == pmids


@pytest.mark.parametrize("mode", ["lexical", "hybrid"])
def test_nothing_found_is_an_abstention(
    folder: Path, capfd: pytest.CaptureFixture[str], mode: str
) -> None:
    words = ["--quiet", "search", "qwxzzy", "--mode", mode, "--index", str(folder)]
    assert run(words) == 3
    assert capfd.readouterr().out == "no passage of the index answers to 'qwxzzy'\n"
    assert run([*words, "--json"]) == 3
    assert json.loads(capfd.readouterr().out) == {"query": "qwxzzy", "results": []}
    assert run([*words[:2], "neurons", *words[3:], "--journal", "Nature"]) == 3
    out = capfd.readouterr().out
    assert out == "no passage of the index answers to 'neurons' with these filters\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["search", "?!"], 2, "has no word to search for"),
        (["search", "kinase", "--year", "last"], 2, "expected FROM:TO"),
        (["search", "kinase", "--year", ":"], 2, "expected FROM:TO"),
        (["search", "kinase", "--year", "2021:2019"], 2, "expected the earlier year first"),
        (["search", "kinase", "--k", "0"], 2, "expected a positive number"),
        (["search", "kinase", "--mode", "dense"], 4, "no vectors yet"),
        (["index", "add"], 2, "nothing to add"),
        (["index", "add", "missing.xml"], 2, "cannot be read"),
        (["index", "delete", "abc"], 2, "not a PMID"),
        (["index", "build", "--corpus", "everything"], 2, "no corpus is named"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    assert run([*arguments, "--index", str(folder)]) == code
    error = capfd.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("celloquy: ")
    assert said in error


def test_add_delete_stats(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    more = tmp_path / "more.xml"
    more.write_bytes(document(article(9, "On telomeres.", "They shortened."), deletion(3)))
    where = ["--index", str(folder)]
    assert run(["index", "add", str(more), "--words-only", *where]) == 0
    assert "1 added, 0 updated, 1 deleted" in capfd.readouterr().err
    assert run(["index", "add", str(more), "--words-only", *where]) == 0
    assert "more.xml was read before" in capfd.readouterr().err
    assert run(["index", "delete", "PMID:1", "77", *where]) == 0
    assert capfd.readouterr().out == "1 of 2 deleted\n"
    assert run(["index", "stats", "--json", *where]) == 0
    stats = json.loads(capfd.readouterr().out)
    assert (stats["citations"], stats["retracted"], stats["dense"]) == (2, 1, None)


def test_a_file_of_which_nothing_can_be_read_is_refused(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken, cut = tmp_path / "broken.xml", tmp_path / "cut.xml.gz"
    broken.write_bytes(document(article(21).replace("</Article>", "")))
    noise = random.Random(3).randbytes(100_000).hex()
    packed = gzip.compress(document(article(22, "T", noise)))
    cut.write_bytes(packed[: len(packed) // 2])
    lines = tmp_path / "bad.jsonl"
    lines.write_text('{"pmid": "x"}\n')
    for path in (broken, cut, lines):
        for _ in range(2):  # and it is not remembered as read
            assert run(["index", "add", str(path), "--words-only", "--index", str(folder)]) == 2
            said = [line for line in capfd.readouterr().err.splitlines() if "celloquy: " in line]
            assert len(said) == 1
            assert f"nothing of {path} can be read" in said[0]


def test_a_damaged_index_is_one_line_and_can_be_built_anew(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    database = folder / "literature.sqlite"
    content = bytearray(database.read_bytes())
    content[len(content) // 2] ^= 1
    database.write_bytes(content)
    assert run(["search", "kinases", "--index", str(folder)]) == 1
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "index build --fresh" in said
    build = ["index", "build", str(tmp_path / "some.xml"), "--words-only", "--fresh"]
    assert run([*build, "--index", str(folder)]) == 0
    assert run(["search", "kinase", "--index", str(folder)]) == 0


def test_without_the_models_extra_everything_but_vectors_works(folder: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'faiss', 'sentence_transformers', 'transformers'):\n"
        "    sys.modules[name] = None\n"
        "from agent.cli.main import run\n"
        f"sys.exit(run(['search', 'neurons', '--json', '--index', {str(folder)!r}]))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert found.returncode == 0
    assert "searching by words only" in found.stderr
    assert len(json.loads(found.stdout)["results"]) == 2


@pytest.mark.assets
@pytest.mark.slow
def test_a_thousand_random_hits_stand_where_they_say(tmp_path: Path) -> None:
    """Over the whole default corpus: random words of random abstracts, every quote checked."""
    from data import sources
    from retrieval.corpora import CORPORA
    from retrieval.lexical import tokens
    from retrieval.writing import writer

    corpus = CORPORA["default"]
    with writer(tmp_path / "index") as change:
        for name in corpus.assets:
            change.add(sources.path(name), keep=corpus.keep)
    rng = random.Random(11)
    checked = 0
    with open_index(tmp_path / "index") as index:
        numbers = index.docs.passage_ids().tolist()
        while checked < 1000:
            sample = rng.sample(numbers, 20)
            for _, title, words in index.docs.window_texts(sorted(sample)):
                terms = tokens(f"{title} {words}")
                query = " ".join(rng.sample(terms, min(5, len(terms))))
                if not query:
                    continue
                for passage in index.search(query, 3, mode="lexical"):
                    text = index.text(passage.pmid)
                    assert text is not None
                    assert text[passage.start : passage.end] == passage.quote
                    assert passage.quote
                    checked += 1


@pytest.mark.parametrize("verb", ["mention", "discuss", "describe", "report on", "talk about"])
def test_verbs_of_asking_are_not_searched_for(folder: Path, verb: str) -> None:
    with open_index(folder) as index:
        found = Literature(index).found(f"Which papers {verb} kinases?", 3)
        assert [finding.statement.subject for finding in found.findings] == ["PMID:3"]
