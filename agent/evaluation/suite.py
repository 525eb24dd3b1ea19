"""What the suite ``qa`` is run on: the agent, and the baselines that stand beside it.

``python -m agent.evaluation.suite [--split test] [--per-kind N] [--llm local] [--json]``
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from agent.config import AskConfig
from agent.evaluation.byhand import add_rewordings, add_second
from agent.evaluation.kgrag import kgrag
from agent.lookup import open_graph
from agent.qa import Agent
from kg.graph import KnowledgeGraph
from training.evaluate.figures import Report
from training.evaluate.qa import Asked, qa, read_questions, run
from training.synthetic_qa import Split, generate

__all__ = ["evaluate", "main"]

MORE = ("questions_second.tsv", "rewordings.tsv")
"""Sets that are scored as well where they lie beside the questions."""


def evaluate(
    graph: KnowledgeGraph,
    questions: Path,
    folder: Path | None = None,
    *,
    split: Split = "test",
    per_kind: int = 40,
    model_alone: bool = True,
    seed: int = 0,
) -> tuple[Report, Asked, Asked]:
    """Run the suite with the extractive writer.

    Parameters
    ----------
    graph
        The releases to ask.
    questions
        The questions written by hand.
    folder
        That of the evaluation data, for published questions; without it they are left out.
    split, per_kind, seed
        Of the generated ones.
    model_alone
        Also ask the bundled language model, which takes a second a question.
    """
    agent = Agent(graph)
    items = generate(graph, split, per_kind, seed)
    alone: dict[str, Callable[[str], str]] = {"top passage (BM25)": _top_passage(agent)}
    if model_alone:
        alone["SmolLM2 alone"] = _model_alone()
    report, made, hand = qa(
        lambda question: agent.ask(question).to_json(),
        items,
        read_questions(questions),
        alone=alone,
        seed=seed,
    )
    if folder is not None:
        choosing = _model_choosing if model_alone else None
        kgrag(report, agent, folder, alone.get("SmolLM2 alone"), choosing)
    second, reworded = (questions.with_name(name) for name in MORE)
    if second.is_file():
        add_second(report, graph, second)
    if reworded.is_file():
        add_rewordings(report, graph, reworded)
    report.assets = {source: release.version for source, release in graph.releases.items()}
    return report, made, hand


def _top_passage(agent: Agent) -> Callable[[str], str]:
    """A yes where the best passage holds no negation: what a search alone can say."""

    def answer(question: str) -> str:
        if agent.literature is None:
            return ""
        passages = agent.literature.index.search(question, 1, mode="lexical")
        words = set(passages[0].quote.lower().split()) if passages else set()
        return "" if not passages else "no" if words & {"no", "not", "without"} else "yes"

    return answer


def _model_alone() -> Callable[[str], str]:
    """The likelier of Yes and No, by the bundled model without any fact."""
    from encoders.language import load

    model = load("local")

    def answer(question: str) -> str:
        prompt = model.chat([{"role": "user", "content": f"{question} Answer Yes or No."}])
        yes, no = model.log_likelihoods(prompt, ["Yes", "No"])
        return "yes" if yes > no else "no"

    return answer


def _model_choosing(question: str, options: list[str]) -> str:
    """The likeliest of several options, by the bundled model without any fact."""
    from encoders.language import load

    model = load("local")
    listed = ", ".join(options)
    prompt = model.chat([{"role": "user", "content": f"{question} Answer with one of: {listed}."}])
    scores = model.log_likelihoods(prompt, options)
    return max(zip(scores, options, strict=True))[1]


def main(arguments: list[str] | None = None) -> int:
    """Run the suite and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=Path, default=Path("tests/golden/questions.tsv"))
    parser.add_argument("--data", type=Path, help="folder of evaluation data")
    parser.add_argument("--split", choices=("train", "dev", "test"), default="test")
    parser.add_argument("--per-kind", type=int, default=40)
    parser.add_argument("--no-model", action="store_true", help="without the language model")
    parser.add_argument("--llm", help="also ask a sample with this writer")
    parser.add_argument("--wrong", type=int, default=0, help="print so many wrong answers")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    graph = open_graph()
    report, made, hand = evaluate(
        graph,
        given.questions,
        given.data,
        split=given.split,
        per_kind=given.per_kind,
        model_alone=not given.no_model,
    )
    if given.llm:
        _with_writer(report, graph, given.llm, made)
    sys.stdout.write((report.text() if given.json else report.table()) + "\n")
    wrong = [
        f"{item.kind}: {item.question} -> {document['answer'][:160]} ({'; '.join(reasons)})"
        for asked in (hand, made)
        for item, document, reasons in zip(asked.items, asked.documents, asked.reasons, strict=True)
        if reasons
    ]
    sys.stderr.writelines(f"wrong: {line}\n" for line in wrong[: given.wrong])
    return 0


def _with_writer(report: Report, graph: KnowledgeGraph, llm: str, made: Asked) -> None:
    """The same questions, a sample of them, with a language model as the writer."""
    answerable = [item for item in made.items if item.status == "ok"]
    sample = answerable[:: max(1, len(answerable) // 40)]
    written = Agent(graph, AskConfig(llm=llm))
    asked = run(lambda question: written.ask(question).to_json(), sample)
    value, n = asked.right()
    report.add(f"a sample, written by {llm}: right", value, n)
    chosen = set(sample)
    value, n = made.right(lambda item: item in chosen)
    report.add("the same sample, extractive: right", value, n)


if __name__ == "__main__":
    sys.exit(main())
