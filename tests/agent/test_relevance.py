"""200 shown claims, judged by hand against what they cite (``tests/golden/relevance.tsv``).

A verdict is of a claim with its evidence; where answers change, claims have to be judged again.
``entailed``: the cited records say it. ``release``: an absence or a total, which no record says
alone; the release that the citation names decides. ``bears`` is whether it answers the question.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from agent.qa import Agent
from kg.embedded import EmbeddedGraph

FILE = Path(__file__).parents[1] / "golden" / "relevance.tsv"


def judged() -> list[dict[str, str]]:
    with FILE.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


def shown(agent: Agent, question: str) -> set[str]:
    """Ids of the claims of an answer: hashes of a claim's words and of its evidence."""
    answer = agent.ask(question)
    pieces = {citation.key: citation.evidence.digest for citation in answer.citations}
    return {
        hashlib.sha256(
            json.dumps([claim.text, sorted(pieces[key] for key in claim.evidence)]).encode()
        ).hexdigest()[:12]
        for claim in answer.claims
        if claim.verdict == "supported"
    }


def test_what_is_asserted_is_entailed() -> None:
    rows = judged()
    assert len({row["id"] for row in rows}) == 200
    verdicts = Counter(row["verdict"] for row in rows)
    assert set(verdicts) <= {"entailed", "release", "not entailed"}
    assert verdicts["entailed"] + verdicts["release"] >= 0.97 * 200
    assert verdicts["entailed"] >= 0.97 * (200 - verdicts["release"])
    assert sum(row["bears"] != "no" for row in rows) >= 0.97 * 200
    assert all(row["reason"] for row in rows)


def test_no_sentence_of_an_abstract_is_in_the_file() -> None:
    for row in judged():
        if row["tool"] == "literature":
            pmid, _, offsets = row["evidence"].removeprefix("PMID:").partition(":")
            assert pmid.isdigit()
            assert all(part.isdigit() for part in offsets.split("-"))


@pytest.mark.assets
def test_the_judged_claims_are_those_that_are_shown(real: EmbeddedGraph) -> None:
    agent = Agent(real)
    rows = judged()
    literature = agent.literature is not None
    asked = {row["question"]: set() for row in rows if literature or row["tool"] != "literature"}
    found = {question: shown(agent, question) for question in asked}
    still = [row["id"] in found[row["question"]] for row in rows if row["question"] in found]
    assert sum(still) >= 0.95 * len(still)
