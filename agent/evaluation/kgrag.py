"""Published true-false and multiple-choice questions on genes and diseases, asked of the agent.

The questions of KG-RAG (K. Soman et al. 2024, 10.1093/bioinformatics/btae560) are put as plain
questions; their word "associates" and the negations are turned, nothing else. Figures are the
share that the loaded sources can decide (coverage) and the share right of those. An annotation
that is not recorded decides nothing.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

from agent.qa import Agent
from training.evaluate.figures import Report
from training.evaluate.qa import said

__all__ = ["choose", "decide", "kgrag"]


def decide(agent: Agent, statement: str) -> bool | None:
    """Whether a statement holds; None where the loaded sources do not say."""
    plain = re.sub(r"\bis not\b", "is", statement)
    plain = re.sub(r"\bassociates Gene\b|\bassociated with Gene\b", "associated with", plain)
    plain = re.sub(r"(?<!is )\bassociated with\b", "is associated with", plain)
    plain = re.sub(r"\s*\(disorder\)", "", plain)
    answer = agent.ask(f"Is it true that {plain}?")
    verdict = {"yes": True, "no": False}.get(said(answer.to_json()))
    if answer.status != "ok" or answer.answer.startswith("Not"):
        return None
    return None if verdict is None else verdict == ("is not" not in statement)


def choose(agent: Agent, options: list[str], diseases: tuple[str, str]) -> str | None:
    """The one gene of a list that is recorded for most of two diseases; None if several are."""
    counts = {
        option: sum(
            decide(agent, f"{disease} associates Gene {option}") is True for disease in diseases
        )
        for option in options
    }
    most = max(counts.values())
    best = [option for option, count in counts.items() if count == most]
    return best[0] if most and len(best) == 1 else None


Choosing = Callable[[str, list[str]], str]
"""From a question and its options to one of them."""


def kgrag(
    report: Report,
    agent: Agent,
    folder: Path,
    alone: Callable[[str], str] | None,
    choosing: Choosing | None = None,
) -> None:
    """Add both sets to a report.

    Parameters
    ----------
    report
        Where to.
    agent
        What is asked.
    folder
        That of the evaluation data.
    alone
        A baseline on the statements: from a yes-no question to "yes" or "no".
    choosing
        A baseline on the choices.
    """
    with (folder / "qa" / "kgrag_true_false_311.csv").open(encoding="utf-8", newline="") as stream:
        statements = [(row["text"], row["label"] == "True") for row in csv.DictReader(stream)]
    verdicts = [(decide(agent, text), label) for text, label in statements]
    decided = [(verdict, label) for verdict, label in verdicts if verdict is not None]
    name = "KG-RAG, true or false"
    report.add(f"{name}: decided", len(decided) / len(verdicts), len(verdicts))
    right = sum(verdict == label for verdict, label in decided)
    report.add(f"{name}: right, of those decided", right / max(1, len(decided)), len(decided))
    majority = max(sum(label for _, label in decided), sum(not label for _, label in decided))
    baseline = f"{name}: right, of those decided"
    report.beside("always yes", baseline, majority / max(1, len(decided)), len(decided))
    if alone:
        texts = [(t, label) for (t, label), (v, _) in zip(statements, verdicts, strict=True)
                 if v is not None][:: max(1, len(decided) // 60)]  # fmt: skip
        guessed = sum(
            (alone(f"Is this statement true? {text}.") == "yes") == label for text, label in texts
        )
        report.beside("SmolLM2 alone", baseline, guessed / max(1, len(texts)), len(texts))
    _choices(report, agent, folder, choosing)


def _choices(report: Report, agent: Agent, folder: Path, choosing: Choosing | None) -> None:
    with (folder / "qa" / "kgrag_mcq_306.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    picked = []
    guessed = []
    for row in rows:
        options = [option.strip() for option in row["options_combined"].split(",")]
        diseases = (row["disease_1"], row["disease_2"])
        choice = choose(agent, options, diseases)
        if choice is None:
            continue
        picked.append(choice == row["correct_node"])
        if choosing:
            asked = f"Which gene is associated with both {diseases[0]} and {diseases[1]}?"
            guessed.append(choosing(asked, options) == row["correct_node"])
    name = "KG-RAG, five choices"
    report.add(f"{name}: decided", len(picked) / len(rows), len(rows))
    report.add(f"{name}: right, of those decided", sum(picked) / max(1, len(picked)), len(picked))
    report.beside("always yes", f"{name}: right, of those decided", 0.2, len(picked))
    if guessed:
        share = sum(guessed) / len(guessed)
        report.beside("SmolLM2 alone", f"{name}: right, of those decided", share, len(guessed))
