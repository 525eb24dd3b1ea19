"""The suite ``qa``: are answers right, cited, checked, and refused where they should be.

Takes plain callables from question to the document of ``ask --json``; knows no agent. Judged are

* the generated questions of one split (:mod:`training.synthetic_qa`), each against what a right
  answer must hold;
* the questions written by hand (``tests/golden/questions.tsv``), frozen before the router was
  tuned on them;
* every citation, by a checker that reads the raw source files (:mod:`training.evaluate.raw_check`).

Baselines beside: the answer that is most often right, the best passage of a literature search, a
language model alone.
"""

from __future__ import annotations

import csv
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.errors import BadFile
from training.evaluate.figures import Report, versions
from training.evaluate.raw_check import check
from training.synthetic_qa import Item

__all__ = ["Asked", "judge", "qa", "read_questions", "run", "said", "tool"]

Answering = Callable[[str], Mapping[str, Any]]
"""From a question to the document of ``ask --json``."""


@dataclass
class Asked:
    """The items with their documents, why each was judged wrong, and how long each took."""

    items: list[Item] = field(default_factory=list)
    documents: list[Mapping[str, Any]] = field(default_factory=list)
    reasons: list[list[str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def right(self, chosen: Callable[[Item], bool] = lambda _: True) -> tuple[float, int]:
        """The share of right answers among the chosen items, and how many those are."""
        judged = [not r for i, r in zip(self.items, self.reasons, strict=True) if chosen(i)]
        return (sum(judged) / len(judged) if judged else 0.0), len(judged)

    def routed(self) -> tuple[float, int]:
        """The share of items that were sent to the tool that fits."""
        same = [tool(d) == i.tool for i, d in zip(self.items, self.documents, strict=True)]
        return sum(same) / len(same), len(same)


def read_questions(path: Path) -> list[Item]:
    """The questions written by hand.

    Raises
    ------
    BadFile
        When the file has not the columns of one.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    if not rows or set(rows[0]) != {"question", "tool", "status", "lead", "ids"}:
        raise BadFile(f"{path} is no set of questions; expected question, tool, status, lead, ids")
    return [
        Item(
            row["question"],
            row["tool"] or "unanswerable",
            row["tool"],
            row["status"],
            row["lead"],
            tuple(filter(None, row["ids"].split(","))),
        )
        for row in rows
    ]


def tool(document: Mapping[str, Any]) -> str:
    """The tool that a document's trace names, or ""."""
    names = [step["tool"] for step in document["route"]]
    return next((n.removeprefix("graph.") for n in names if n.startswith("graph.")), "")


def said(document: Mapping[str, Any]) -> str:
    """Whether the answer says yes, or no, or neither."""
    lead = document["answer"].split(":")[0].lower()
    if lead.startswith(("yes", "as a kind or as a part, yes")):
        return "yes"
    return "no" if lead.startswith(("no", "by a not")) else ""


def judge(item: Item, document: Mapping[str, Any]) -> list[str]:
    """Why an answer is wrong; empty if it is right."""
    # A writer that met its limit leaves a whole answer: what is shown is judged.
    status = "ok" if document["status"] == "truncated" else document["status"]
    if status != item.status:
        return [f"status {document['status']}, expected {item.status}"]
    if item.status != "ok":
        return []
    cited: set[str] = set()
    related: set[str] = set()
    for citation in document["citations"]:
        if "path" in citation:
            cited |= {node["id"] for node in citation["path"]["nodes"]}
        if "edge" in citation:
            ends = {citation["edge"]["subject"], citation["edge"]["object"]}
            cited |= ends
            if citation["edge"]["predicate"] == item.predicate:
                related |= ends
    reasons = []
    if item.lead and said(document) != item.lead:
        reasons.append(f"says {said(document) or 'neither'}, expected {item.lead}")
    if missing := set(item.cites) - cited:
        reasons.append(f"does not cite {', '.join(sorted(missing))}")
    if item.among and (wrong := related - set(item.among)):
        reasons.append(f"names {', '.join(sorted(wrong))}")
    if item.says and item.says not in document["answer"]:
        reasons.append(f"does not say {item.says[:60]!r}")
    return reasons


def run(answer: Answering, items: Iterable[Item]) -> Asked:
    """Ask every item and judge the answers."""
    asked = Asked()
    for item in items:
        start = time.perf_counter()
        document = answer(item.question)
        asked.seconds.append(time.perf_counter() - start)
        asked.items.append(item)
        asked.documents.append(document)
        asked.reasons.append(judge(item, document))
    return asked


def qa(
    answer: Answering,
    generated: Sequence[Item],
    by_hand: Sequence[Item],
    *,
    alone: Mapping[str, Callable[[str], str]],
    seed: int = 0,
) -> tuple[Report, Asked, Asked]:
    """Run the suite.

    Parameters
    ----------
    answer
        The system under test.
    generated, by_hand
        The questions.
    alone
        Baselines by name: from a yes-no question to "yes", "no" or "".
    seed
        With which the items were made.
    """
    report = Report("qa", versions=versions("langgraph", "transformers"), seed=seed)
    made, hand = run(answer, generated), run(answer, by_hand)
    _figures(report, "generated", made)
    _figures(report, "by hand", hand)
    value, n = made.right(lambda item: item.status == "ok" and not item.seen)
    if n:
        report.add("generated, wordings not in other splits: right", value, n)
    for kind in dict.fromkeys(item.kind for item in made.items):
        value, n = made.right(lambda item, kind=kind: item.kind == kind)  # type: ignore[misc]
        report.add(f"generated, {kind}", value, n)
    documents = [*made.documents, *hand.documents]
    shown = sum(len(document["citations"]) for document in documents)
    problems = check(documents)
    report.add("citation validity", 1 - len(problems) / max(1, shown), shown)
    report.notes += [f"citation: {problem}" for problem in problems[:10]]
    _times(report, [*made.seconds, *hand.seconds])
    _alone(report, alone, made, hand)
    return report, made, hand


def _figures(report: Report, name: str, asked: Asked) -> None:
    value, n = asked.right(lambda item: item.status == "ok")
    report.add(f"{name}: right, of what can be answered", value, n)
    value, n = asked.right()
    report.add(f"{name}: right, of all", value, n)
    value, n = asked.routed()
    report.add(f"{name}: route", value, n)
    statuses = [
        (item.status, document["status"])
        for item, document in zip(asked.items, asked.documents, strict=True)
    ]
    unanswerable = [got for wanted, got in statuses if wanted == "abstained"]
    answerable = [got for wanted, got in statuses if wanted == "ok"]
    if unanswerable:
        kept = sum(got == "abstained" for got in unanswerable)
        report.add(f"{name}: abstention recall", kept / len(unanswerable), len(unanswerable))
    refused = sum(got == "abstained" for got in answerable)
    report.add(f"{name}: false abstentions", refused / max(1, len(answerable)), len(answerable))
    wanted_ids = [(set(i.cites), d) for i, d in zip(asked.items, asked.documents, strict=True)]
    recalls = [len(ids & _ids(d)) / len(ids) for ids, d in wanted_ids if ids]
    report.add(f"{name}: citation recall", sum(recalls) / max(1, len(recalls)), len(recalls))


def _ids(document: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for citation in document["citations"]:
        if "path" in citation:
            found |= {node["id"] for node in citation["path"]["nodes"]}
        if "edge" in citation:
            found |= {citation["edge"]["subject"], citation["edge"]["object"]}
    return found


def _times(report: Report, seconds: Sequence[float]) -> None:
    ordered = sorted(seconds)
    report.add("seconds, median", ordered[len(ordered) // 2], len(ordered))
    report.add("seconds, 95th percentile", ordered[int(len(ordered) * 0.95)], len(ordered))


def _alone(report: Report, alone: Mapping[str, Callable[[str], str]], *answered: Asked) -> None:
    """The yes-no questions, balanced (as many of each answer), and the baselines on them."""
    by_lead: dict[str, list[tuple[Item, bool]]] = defaultdict(list)
    for asked in answered:
        for item, reasons in zip(asked.items, asked.reasons, strict=True):
            if item.lead:
                by_lead[item.lead].append((item, not reasons))
    size = min(map(len, by_lead.values()), default=0)
    chosen_pairs = [pair for group in by_lead.values() for pair in group[:size]]
    if len(by_lead) < 2 or not size:
        return
    balanced = [item for item, _ in chosen_pairs]
    name = "yes-no questions, balanced: right"
    own = sum(right for _, right in chosen_pairs) / len(chosen_pairs)
    report.add(name, own, len(chosen_pairs))
    report.beside("always yes", name, 0.5, len(balanced))
    for baseline, asks in alone.items():
        chosen = balanced[:: max(1, len(balanced) // 60)]  # a model on a CPU answers one a second
        right = sum(asks(item.question) == item.lead for item in chosen)
        report.beside(baseline, name, right / len(chosen), len(chosen))
