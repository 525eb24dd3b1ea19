"""What instruction tuning gave: verdicts on facts in the prompt, form, labels, and what it cost.

``python -m training.evaluate.instruct --model FOLDER`` scores a tuned model on the test split:
held-out terms (:mod:`training.holdout`), a third of the questions in wordings that training does
not have, cells drawn from the markers of the held-out types. Beside stand the model before tuning
(greedy, and forced to say Yes or No by likelihood), a constant answer and two rules that match
strings; and perplexity on abstracts of the PubMed sample before and after.

``--split dev`` scores on the development terms instead, in wordings of their own, and on the
abstracts after those of the test: what recipes are chosen on. ``--kinds`` asks other items of some
kinds alone. ``--read FILE`` writes every answer down, one JSON line each.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from data import sources
from encoders.adapter import SoftTokenModel
from encoders.celltext import CellEncoder
from encoders.labels import naming
from encoders.language import LanguageModel, load
from training.align_data import cell_terms
from training.annotation.data import cell_ontology
from training.evaluate import metrics
from training.evaluate.figures import Report, versions
from training.holdout import held_out, split_of_term
from training.instruct import InstructConfig, Instructions, plain_batch, prompts
from training.instruction_data import (
    KINDS,
    Item,
    Kind,
    Writer,
    ordered,
    read_label,
    string_match,
    valid,
    verdict,
    yes_no,
)
from training.material import marker_lists

if TYPE_CHECKING:
    from kg.backoff import Hierarchy
    from training.profiles import CellSet

__all__ = ["Verdicts", "answers", "evaluate", "main", "perplexity", "test_cells"]

_BATCH = 16
_NEW_TOKENS = 32
_TEXTS, _TEXT_TOKENS = 64, 128
"""Abstracts and tokens of each for perplexity: 8,000 tokens, half a minute."""


Split = Literal["dev", "test"]


def test_cells(hierarchy: Hierarchy, seed: int = 1, split: Split = "test") -> CellSet:
    """Cells drawn from the markers of the split's types: stage 2 has seen none of the like."""
    from training import profiles
    from training.background import read

    sets = profiles.marker_sets(hierarchy)
    unseen = held_out(hierarchy)
    wanted = sets.of({one for one in sets.ids if split_of_term(one, unseen) == split})
    config = profiles.SimulationConfig(donors=2, cells=3)
    drawn = profiles.simulate(wanted, read(), config, seed=seed)
    return profiles.encoded(drawn, CellEncoder.shipped())


def answers(
    model: SoftTokenModel,
    items: Sequence[Item],
    cells: CellSet | None = None,
    allowed: Sequence[str] | None = None,
) -> list[str]:
    """What the model writes, greedily, to each item; of ``allowed`` alone where they are given."""
    drawn = Instructions(items, cells, (), (), InstructConfig())
    order = sorted(range(len(items)), key=lambda i: len(items[i].facts) + len(items[i].question))
    found = [""] * len(items)
    for start in range(0, len(order), _BATCH):
        some = [items[i] for i in order[start : start + _BATCH]]
        vectors = drawn.vectors(some, random.Random(start))  # noqa: S311 - nothing secret
        written = model.generate(
            prompts(some, answers=False), vectors, max_new_tokens=_NEW_TOKENS, allowed=allowed
        )
        for i, one in zip(order[start : start + _BATCH], written, strict=True):
            found[i] = one.text.strip()
    return found


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Yes-no answers, scored.

    ``commonest`` is the share of the commoner answer among all that were given, ``by`` the accuracy
    by how items were made.
    """

    accuracy: float
    commonest: float
    by: Mapping[str, float]
    n: int

    @classmethod
    def of(cls, items: Sequence[Item], said: Sequence[str]) -> Verdicts:
        """Score verdicts; an answer that is neither yes nor no is wrong."""
        right = [verdict(item.answer) == one for item, one in zip(items, said, strict=True)]
        by: dict[str, list[bool]] = defaultdict(list)
        for item, hit in zip(items, right, strict=True):
            by[item.how].append(hit)
        commonest = Counter(said).most_common(1)[0][1] / len(said)
        shares = {how: float(np.mean(hits)) for how, hits in sorted(by.items())}
        return cls(float(np.mean(right)), commonest, shares, len(items))


def forced(model: SoftTokenModel, items: Sequence[Item]) -> list[str]:
    """The likelier of " Yes" and " No" after each prompt: what a model says that must choose."""
    said = []
    for start in range(0, len(items), _BATCH):
        asked = prompts(items[start : start + _BATCH], answers=False)
        scores = model.score(asked, None, [" Yes", " No"])
        said += ["yes" if yes > no else "no" for yes, no in scores]
    return said


def perplexity(language: LanguageModel, texts: Sequence[str], tokens: int = _TEXT_TOKENS) -> float:
    """Exp of the mean negative log likelihood of a token, over the first tokens of the texts."""
    total, count = 0.0, 0
    language.model.eval()
    with torch.inference_mode():
        for start in range(0, len(texts), 8):
            batch = plain_batch(language, texts[start : start + 8], tokens)
            logits = language.forward(batch.embeddings, batch.mask)[:, :-1].float()
            targets = batch.labels[:, 1:]
            total += float(
                torch.nn.functional.cross_entropy(
                    logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="sum"
                )
            )
            count += int((targets != -100).sum())
    return math.exp(total / count)


def abstracts(n: int = _TEXTS, after: int = 0) -> list[str]:
    """Abstracts of the PubMed sample of 2021 that have 100 words and more, in its order.

    Parameters
    ----------
    n
        How many.
    after
        How many to leave out before.
    """
    from retrieval.medline import Citation, read_xml

    found: list[str] = []
    for record in read_xml(sources.path("pubmed-2021"), lambda problem: None):
        if isinstance(record, Citation) and len(record.abstract.split()) >= 100:
            found.append(record.abstract)
        if len(found) == after + n:
            break
    return found[after:]


def evaluate(
    model: SoftTokenModel,
    before: SoftTokenModel | None = None,
    *,
    verdicts: int = 400,
    others: int = 300,
    texts: int = _TEXTS,
    seed: int = 0,
    split: Split = "test",
    kinds: Collection[Kind] = (),
    read: Path | None = None,
) -> Report:
    """Score a tuned model beside the same one before tuning.

    Parameters
    ----------
    model, before
        With and without the adapter of the language model; None to leave out what it said before.
    verdicts, others, texts
        How many yes-or-no items, items of all kinds, and abstracts.
    seed
        Of the items.
    split
        Whose terms: ``dev`` to choose a recipe, ``test`` once it is chosen.
    kinds
        Of the other items; all, in the shares of the test, where none is given.
    read
        File for every answer of the tuned model, one JSON line each.
    """
    hierarchy, release = cell_ontology()
    unseen = held_out(hierarchy)
    report = Report("instruct", versions=versions("torch", "transformers", "peft"), seed=seed,
                    assets={"CL": release})  # fmt: skip
    cells = test_cells(hierarchy, split=split)
    writer = Writer(
        hierarchy, unseen, split, markers=marker_lists(), cells=set(cells.types), seed=seed,
        fits=lambda text: model.language.count(text) <= 100,
    )  # fmt: skip
    written = _verdicts(report, model, before, yes_no(writer, verdicts)) if verdicts else []
    shares = {kind: share for kind, share in KINDS.items() if not kinds or kind in kinds}
    if others:
        written += _forms(report, model, writer.items(others, shares), cells, hierarchy)
    if read is not None:
        lines = [json.dumps(asdict(item) | {"said": said, "valid": valid(item, said)}) + "\n"
                 for item, said in written]  # fmt: skip
        read.write_text("".join(lines), encoding="utf-8")
    if not texts:
        return report
    plain = abstracts(texts, after=_TEXTS if split == "dev" else 0)
    report.add("perplexity on PubMed", perplexity(model.language, plain), len(plain))
    if before is not None:
        old = perplexity(before.language, plain)
        report.beside("before", "perplexity on PubMed", old, len(plain))
    return report


def _verdicts(
    report: Report, model: SoftTokenModel, before: SoftTokenModel | None, items: Sequence[Item]
) -> list[tuple[Item, str]]:
    said = answers(model, items)
    found = Verdicts.of(items, [verdict(one) for one in said])
    name = "yes or no, facts in the prompt"
    report.add(
        name, found.accuracy, found.n, math.sqrt(found.accuracy * (1 - found.accuracy) / found.n)
    )
    report.add("share of the commoner answer", found.commonest, found.n)
    for how, share in found.by.items():
        report.add(f"yes or no: {how}", share, sum(item.how == how for item in items))
    whole = [item.answer == one for item, one in zip(items, said, strict=True)]
    report.add("yes or no with every key right", float(np.mean(whole)), found.n)
    rules: Mapping[str, list[str]] = {
        "string match": [string_match(item) for item in items],
        "order of names": [ordered(item) for item in items],
        "always no": ["no"] * len(items),
    }
    if before is not None:
        written = [verdict(one) for one in answers(before, items)]
        rules = {"before": written, "before, forced": forced(before, items), **rules}
    for rule, verdicts in rules.items():
        other = Verdicts.of(items, verdicts)
        report.beside(rule, name, other.accuracy, other.n)
        report.beside(rule, "share of the commoner answer", other.commonest, other.n)
        for how, share in other.by.items():
            report.beside(rule, f"yes or no: {how}", share, other.n)
    return list(zip(items, said, strict=True))


def _forms(
    report: Report,
    model: SoftTokenModel,
    items: Sequence[Item],
    cells: CellSet,
    hierarchy: Hierarchy,
) -> list[tuple[Item, str]]:
    """Form of every answer, labels that exist, and how often facts are read right."""
    said = answers(model, items, cells)
    good = [valid(item, one) for item, one in zip(items, said, strict=True)]
    report.add("valid form", float(np.mean(good)), len(items))
    for kind in sorted({item.kind for item in items}):
        own = [ok for item, ok in zip(items, good, strict=True) if item.kind == kind]
        report.add(f"valid form: {kind}", float(np.mean(own)), len(own))
    if any(item.kind == "type" for item in items):
        _written_names(report, model, list(zip(items, said, strict=True)), cells, hierarchy)
    for kind in ("fact_parent", "fact_marker", "certainty", "abstain", "member", "choice"):
        hits = [i.answer == s for i, s in zip(items, said, strict=True) if i.kind == kind]
        if hits:
            report.add(f"exact: {kind}", float(np.mean(hits)), len(hits))
    chance = [i.kind == "member" and verdict(i.answer) == "no" for i in items]
    members = sum(i.kind == "member" for i in items)
    if members:
        report.beside("always no", "exact: member", sum(chance) / members, members)
    return list(zip(items, said, strict=True))


def _written_names(
    report: Report,
    model: SoftTokenModel,
    written: Sequence[tuple[Item, str]],
    cells: CellSet,
    hierarchy: Hierarchy,
) -> None:
    """Types written freely, and held to the names of CL: whether they exist, how near they are."""
    names = _names(hierarchy)
    about = [item for item, _ in written if item.kind == "type"]
    free = [one for item, one in written if item.kind == "type"]
    labels = [read_label(item, one) for item, one in zip(about, free, strict=True)]
    known = [label.casefold() in names for label in labels]
    report.add("a generated type is a label or synonym of CL", float(np.mean(known)), len(known))
    held = answers(model, about, cells, [f" {naming(label)}" for label in hierarchy.labels])
    others = [valid(item, one) for item, one in written if item.kind != "type"]
    kept = [valid(item, one) for item, one in zip(about, held, strict=True)]
    report.add("valid form, types held to names", float(np.mean([*others, *kept])), len(written))
    for name, some in (("written freely", free), ("held to the names of CL", held)):
        exact = [item.answer == one for item, one in zip(about, some, strict=True)]
        report.add(f"a type, {name}: exact", float(np.mean(exact)), len(about))
        report.add(f"a type, {name}: Lin", _lin(about, some, hierarchy), len(about))


def _lin(items: Sequence[Item], said: Sequence[str], hierarchy: Hierarchy) -> float:
    """Lin's similarity of what was named to the truth; 0 for what is no label."""
    place = {label: one for one, label in zip(hierarchy.ids, hierarchy.labels, strict=True)}
    named = [place.get(read_label(item, one)) for item, one in zip(items, said, strict=True)]
    return metrics.lin([item.truth for item in items], named, hierarchy)


def _names(hierarchy: Hierarchy) -> set[str]:
    found: set[str] = set()
    for term in cell_terms(hierarchy).values():
        found |= {term.label.casefold(), *(s.text.casefold() for s in term.synonyms)}
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the figures of a tuned model."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate.instruct")
    parser.add_argument("--model", type=Path, required=True, help="folder of a tuned model")
    parser.add_argument("--llm", default="local")
    parser.add_argument("--verdicts", type=int, default=400)
    parser.add_argument("--others", type=int, default=300)
    parser.add_argument("--texts", type=int, default=_TEXTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--alone", action="store_true", help="leave out the model before tuning")
    parser.add_argument("--split", choices=("dev", "test"), default="test")
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), default=(),
                        help="kinds of the other items (all)")  # fmt: skip
    parser.add_argument("--read", type=Path, help="file for every answer")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    language = load(options.llm)
    model = SoftTokenModel.load(options.model, language)
    before = None if options.alone else SoftTokenModel.load(options.model, language, lora=False)
    report = evaluate(
        model,
        before,
        verdicts=options.verdicts,
        others=options.others,
        texts=options.texts,
        seed=options.seed,
        split=options.split,
        kinds=options.kinds,
        read=options.read,
    )
    report.show(options.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
