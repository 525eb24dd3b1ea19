"""A retracted article is never cited without the word: by `search`, by `ask`, by a writer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import run
from agent.literature import Literature
from agent.llm import Drafted
from agent.qa import Agent
from agent.retriever import document as langchain_document
from kg.graph import KnowledgeGraph
from retrieval.index import open_index
from tests.retrieval.pubmed_xml import article, document

GONE = {"2", "3", "4"}  # by its type, by a notice in the record, by another article's notice
QUOTE = "Monocytes make telomerase when {} is added."


class Plain:
    """A writer that repeats the facts without what goes before them."""

    name = "plain"

    def draft(self, question: str, facts: Sequence[tuple[str, tuple[str, ...]]]) -> Drafted:
        bare = [(text.removeprefix("A retracted article: "), keys) for text, keys in facts]
        return Drafted(" ".join(f"{text} [{', '.join(keys)}]" for text, keys in bare))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("retracted")
    made = [
        article(1, "Telomerase one.", QUOTE.format("zinc")),
        article(2, "Telomerase two.", QUOTE.format("iron"), types=("Retracted Publication",)),
        article(3, "Telomerase three.", QUOTE.format("lead"), notices=(("RetractionIn", 90),)),
        article(4, "Telomerase four.", QUOTE.format("gold")),
        article(91, "Retraction: telomerase four.", "", notices=(("RetractionOf", 4),)),
    ]
    (home / "a.xml").write_bytes(document(*made))
    build = ["--quiet", "index", "build", str(home / "a.xml"), "--words-only"]
    assert run([*build, "--index", str(home / "index")]) == 0
    return home / "index"


def test_search_says_so_as_text_and_as_json(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--quiet", "search", "monocytes make telomerase", "--index", str(folder)]
    assert run(words) == 0
    shown = capfd.readouterr().out.strip().split("\n\n")
    assert len(shown) == 5
    for part in shown:
        pmid = part.split("PMID:")[1].split()[0]
        assert ("retracted" in part) == (pmid in GONE), part
    assert run([*words, "--json"]) == 0
    for row in json.loads(capfd.readouterr().out)["results"]:
        assert row["retracted"] == (row["pmid"] in GONE)
        assert "PMID 4" in " ".join(row["notices"]) or row["pmid"] != "91"


@pytest.mark.parametrize("writer", [None, Plain()], ids=["extractive", "plain"])
def test_an_answer_says_so(small: KnowledgeGraph, folder: Path, writer: Any) -> None:
    with open_index(folder) as index:
        agent = Agent(small)
        agent.literature = Literature(index)
        agent.writer = writer
        answer = agent.ask("What do papers say about telomerase?").to_json()
    assert answer["status"] == "ok"
    cited = {citation["pmid"]: citation for citation in answer["citations"]}
    assert set(cited) >= GONE
    for pmid, citation in cited.items():
        assert citation["retracted"] == (pmid in GONE)
        assert citation["text"].startswith("[retracted] ") == (pmid in GONE)
        assert f"[{citation['key']}]" in answer["answer"]
    for pmid in GONE:
        before, named, _ = answer["answer"].partition(f"PMID:{pmid} ")
        assert named
        assert before.endswith("A retracted article: ")


def test_evidence_and_documents_say_so(folder: Path) -> None:
    with open_index(folder) as index:
        for passage in index.search("monocytes make telomerase", 10):
            gone = passage.pmid in GONE
            assert passage.text.startswith("[retracted]") == gone
            assert passage.evidence().text.startswith("[retracted]") == gone
            assert langchain_document(passage).page_content.startswith("[retracted]") == gone
