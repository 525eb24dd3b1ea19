"""Train the classifier of routes (:mod:`encoders.routes`) and measure it.

Examples are the wordings of the generated questions (:mod:`training.wordings`) and those of
``training/route_wordings.toml``, with the kinds of their terms in place of the terms; questions
that nothing answers are one more class. L2-regularised softmax regression; every wording weighs
the same, however many kinds of term it takes. Regularisation, threshold and the nearness of words
are chosen by cross-validation over wordings, never on the held-out list
(``tests/golden/rewordings.tsv``), which was written before the first training run.

``python -m training.route_classifier [--write] [--json FILE]``
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from encoders import routes, text
from encoders.routes import NONE, REVERSED, RouteClassifier, masked
from kg.grounding import FUNCTION_WORDS
from training.evaluate.figures import Report, versions
from training.wordings import ABSURD, KEPT, OFF_TOPIC, WORDINGS

if TYPE_CHECKING:
    from encoders.text import TextEncoder

__all__ = ["Example", "centroids", "content", "examples", "fit", "main"]

TABLE = Path(__file__).with_name("route_wordings.toml")
FOLDS = 5
STRENGTHS = (40.0, 160.0)
# Of wordings that nothing answers, at most this share may be taken for a question.
FALSE_GUESSES = 0.03
# What turns a question into another one, put behind it: nothing answers what comes of it.
TURNS = (
    "in smokers", "after a transplant", "in zebrafish", "on the X chromosome", "since last year",
    "that are druggable", "by weight", "in outer space", "at low temperature", "in old people",
    "in my own data", "in the wild", "for free", "according to my boss", "with high affinity",
    "that cost least", "by accident", "in winter", "under stress", "in plants", "in babies",
    "most often", "least of all", "in the morning", "with low toxicity", "that were retracted",
    "in vegetarians", "after exercise", "in percent", "per day", "before surgery", "on a diet",
    "that survive freezing", "in newborn twins", "with a short half life", "in microgravity",
    "that predict survival", "in cold water", "after death", "that respond to therapy",
)  # fmt: skip
# Tools for which it does not matter which term comes first.
_EITHER_WAY = frozenset({"related", "difference", "genes_linking"})
# Kinds of the generated questions that one tool answers under other names.
_TOOL = {
    "involved": "annotated", "located": "annotated", "enables": "annotated",
    "disease_genes": "genes_of",
}  # fmt: skip
_TAKES = {
    "involved": "GP", "located": "GL", "enables": "GF", "disease_genes": "D", "genes_of": "P L",
}  # fmt: skip
_SLOT = re.compile(r"\{([ab])\}")
_WORD = re.compile(r"[a-z][a-z\-]+")


@dataclass(frozen=True, slots=True)
class Example:
    """A masked question with its label; ``wording`` is the same for its kinds of term."""

    text: str
    label: str
    wording: str
    kept: bool = False


def content(wording: str) -> tuple[str, ...]:
    """The words of a wording that mean something, its terms left out."""
    words = _WORD.findall(_SLOT.sub(" ", wording).lower())
    return tuple(dict.fromkeys(word for word in words if word not in FUNCTION_WORDS))


def examples(file: Path = TABLE) -> list[Example]:
    """All examples; those of :data:`training.wordings.KEPT` are marked."""
    table = tomllib.loads(file.read_text("utf-8"))
    takes = {tool: entry["takes"] for tool, entry in table.items()} | _TAKES
    found: list[Example] = []
    for tool, entry in table.items():
        for wording in filter(None, entry["wordings"].split("\n")):
            found += _of(wording, tool, takes[tool])
    for source, kept in ((WORDINGS, False), (KEPT, True)):
        for kind, wordings in source.items():
            for wording in wordings:
                found += _of(wording, _TOOL.get(kind, kind), takes[kind], kept=kept)
    for wording in (*ABSURD, *OFF_TOPIC):
        found += _of(wording, NONE, takes[NONE])
    once = {(example.text, example.label): example for example in found}
    return list(once.values())


def _of(wording: str, tool: str, takes: str, *, kept: bool = False) -> Iterator[Example]:
    slots = _SLOT.findall(wording)
    first = slots[0] if slots else "a"
    # Terms of different kinds go where they fit: order says nothing there.
    alike = any(len(letters) == 2 and len(set(letters)) == 1 for letters in takes.split())
    turned = first == "b" and alike and tool not in _EITHER_WAY | {NONE}
    for letters in takes.split():
        if len(letters) < len(set(slots)):
            continue
        kinds = dict(zip("ab", letters, strict=False))
        parts, start = [], 0
        for match in _SLOT.finditer(wording):
            parts.append((wording[start : match.start()], kinds[match[1]]))
            start = match.end()
        parts.append((wording[start:], ""))
        label = tool + REVERSED if turned else tool
        yield Example(masked(parts), label, wording, kept)
        if not slots:
            return


def turned(of: Sequence[Example], *, learnt: bool) -> list[Example]:
    """Questions that one more word makes into others, one of each wording.

    Those to learn from and those to try have different words.
    """
    turns = TURNS[::2] if learnt else TURNS[1::2]
    found, once = [], set[str]()
    for example in of:
        if example.label != NONE and example.wording not in once:
            once.add(example.wording)
            place = int(hashlib.sha256(example.text.encode()).hexdigest()[:8], 16)
            turn = turns[place % len(turns)]
            end = "?" if example.text.endswith("?") else ""
            text, wording = (
                t.rstrip("?.") + f" {turn}{end}" for t in (example.text, example.wording)
            )
            found.append(Example(text, NONE, wording))
    return found


def fit(
    chosen: Sequence[Example], vectors: NDArray[np.float32], strength: float
) -> tuple[tuple[str, ...], NDArray[np.float32], NDArray[np.float32]]:
    """Labels, weights [labels, width] and biases; ``strength`` is scikit-learn's ``C``."""
    from sklearn.linear_model import LogisticRegression

    kinds = Counter((e.wording, e.label) for e in chosen)
    each = np.array([1 / kinds[e.wording, e.label] for e in chosen])
    model = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
    model.fit(vectors, [e.label for e in chosen], sample_weight=each)
    weight = np.asarray(model.coef_, np.float32)
    return tuple(map(str, model.classes_)), weight, np.asarray(model.intercept_, np.float32)


def _classifier(
    chosen: Sequence[Example], strength: float, encoder: _Remembering
) -> RouteClassifier:
    every = [*chosen, *turned(chosen, learnt=True)]
    labels, weight, bias = fit(every, encoder.encode([e.text for e in every]), strength)
    words = sorted({w for e in chosen if e.label != NONE for w in content(e.wording)})
    at = {word: i for i, word in enumerate(words)}
    own: dict[str, tuple[int, ...]] = {}
    for label in labels:
        tool = label.removesuffix(REVERSED)
        if tool != NONE:
            same = (e for e in chosen if e.label.removesuffix(REVERSED) == tool)
            own[tool] = tuple(sorted({at[w] for e in same for w in content(e.wording)}))
    return RouteClassifier(
        labels, weight, bias, tuple(words), encoder.encode(words), own, 0.0, 0.0, encoder
    )


class _Remembering:
    """An encoder that reads each text once: cross-validation asks for the same words again."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder, self._known = encoder, dict[str, NDArray[np.float32]]()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, one a row."""
        new = [t for t in dict.fromkeys(texts) if t not in self._known]
        self._known.update(zip(new, self._encoder.encode(new), strict=True))
        return np.stack([self._known[t] for t in texts])


@dataclass(frozen=True, slots=True)
class _Tried:
    """What a classifier made of an example that it had not seen."""

    label: str
    guess: str
    probability: float
    nearest: float
    ordered: bool


def _try(classifier: RouteClassifier, chosen: Sequence[Example]) -> list[_Tried]:
    """The guess for each example, with how near its strangest word is to the guess's own."""
    chances = classifier.probabilities([e.text for e in chosen])
    found = []
    for example, row in zip(chosen, chances, strict=True):
        best = int(row.argmax())
        label = classifier.labels[best]
        own = classifier.own.get(label.removesuffix(REVERSED), ())
        known = {classifier.words[i] for i in own}
        new = [word for word in content(example.wording) if word not in known]
        near = 1.0
        if new and own:
            cosines = classifier.encoder.encode(new) @ classifier.word_vectors[list(own)].T
            near = float(cosines.max(axis=1).min())
        ordered = label.removesuffix(REVERSED) + REVERSED in classifier.labels
        found.append(_Tried(example.label, label, float(row[best]), near, ordered))
    return found


def _crossed(seen: Sequence[Example], strength: float, encoder: _Remembering) -> list[_Tried]:
    """Cross-validation by wording: what is tried was in no wording that was learnt from."""
    fold = [int(hashlib.sha256(e.wording.encode()).hexdigest()[:8], 16) % FOLDS for e in seen]
    tried: list[_Tried] = []
    for left in range(FOLDS):
        inside = [i for i, f in enumerate(fold) if f != left]
        outside = [e for e, f in zip(seen, fold, strict=True) if f == left]
        made = _classifier([seen[i] for i in inside], strength, encoder)
        tried += _try(made, [*outside, *turned(outside, learnt=False)])
    return tried


def _used(t: _Tried, threshold: float, nearness: float) -> bool:
    needed = (1 + threshold) / 2 if t.ordered else threshold
    return t.guess != NONE and t.probability >= needed and t.nearest >= nearness


def _settings(tried: Sequence[_Tried]) -> tuple[float, float]:
    """Threshold and nearness with the most right guesses at so few false ones."""
    best, chosen = -1, (1.0, 1.0)
    nothing = sum(t.label == NONE for t in tried)
    for threshold in np.arange(0.2, 0.96, 0.05):
        for nearness in np.arange(0.3, 0.81, 0.05):
            used = [t for t in tried if _used(t, float(threshold), float(nearness))]
            false = sum(t.label == NONE for t in used)
            wrong = sum(t.label != t.guess for t in used)
            right = len(used) - wrong
            if false <= FALSE_GUESSES * nothing and wrong <= 0.05 * len(used) and right > best:
                best, chosen = right, (round(float(threshold), 2), round(float(nearness), 2))
    return chosen


def _figures(
    report: Report, name: str, tried: Sequence[_Tried], settings: tuple[float, float]
) -> None:
    asked = [t for t in tried if t.label != NONE]
    none = [t for t in tried if t.label == NONE]
    threshold, nearness = settings

    def used(t: _Tried) -> bool:
        return _used(t, threshold, nearness)

    report.add(
        f"{name}: right kind", sum(t.label == t.guess for t in tried) / len(tried), len(tried)
    )
    right = sum(used(t) and t.label == t.guess for t in asked)
    report.add(
        f"{name}: used and right, of what can be answered", right / max(1, len(asked)), len(asked)
    )
    taken = [t for t in tried if used(t)]
    report.add(
        f"{name}: right, of those used",
        sum(t.label == t.guess for t in taken) / max(1, len(taken)),
        len(taken),
    )
    if none:
        refused = sum(not used(t) for t in none)
        report.add(f"{name}: refused, of what nothing answers", refused / len(none), len(none))
    most = Counter(t.label for t in tried).most_common(1)[0][1]
    report.beside("largest class", f"{name}: right kind", most / len(tried), len(tried))


def centroids(
    seen: Sequence[Example], vectors: NDArray[np.float32], others: NDArray[np.float32]
) -> list[str]:
    """The label whose mean vector is nearest: a classifier without training."""
    labels = sorted({e.label for e in seen})
    means = np.stack(
        [
            vectors[[i for i, e in enumerate(seen) if e.label == label]].mean(axis=0)
            for label in labels
        ]
    )
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return [labels[int(i)] for i in (others @ means.T).argmax(axis=1)]


def main(arguments: list[str] | None = None) -> int:
    """Train, measure, and with ``--write`` put the weights in their place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="replace the shipped weights")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    given = parser.parse_args(arguments)
    encoder = _Remembering(text.load())
    every = examples()
    seen, kept = [e for e in every if not e.kept], [e for e in every if e.kept]
    vectors, kept_vectors = (encoder.encode([e.text for e in some]) for some in (seen, kept))
    crossed = {c: _crossed(seen, c, encoder) for c in STRENGTHS}
    scores = {c: sum(t.label == t.guess for t in tried) for c, tried in crossed.items()}
    strength = max(scores, key=lambda c: (scores[c], -c))
    settings = _settings(crossed[strength])
    report = Report("route classifier", versions=versions("scikit-learn", "torch"))
    _figures(report, "cross-validated wordings", crossed[strength], settings)
    learnt = _classifier(seen, strength, encoder)
    _figures(
        report,
        "wordings of the test split",
        _try(learnt, [*kept, *turned(kept, learnt=False)]),
        settings,
    )
    for name, some, theirs in (("wordings of the test split", kept, kept_vectors),):
        near = centroids(seen, vectors, theirs)
        value = sum(a == e.label for a, e in zip(near, some, strict=True)) / len(some)
        report.beside("nearest centroid", f"{name}: right kind", value, len(some))
    report.notes.append(f"C {strength:g}, threshold {settings[0]}, nearness {settings[1]}")
    shown: dict[str, Any] = report.document()
    if given.write:
        made = replace(learnt, threshold=settings[0], nearness=settings[1])
        routes.save(routes.SHIPPED, made, _provenance(every, strength, shown))
    report.show(given.json)
    return 0


def _provenance(every: Sequence[Example], strength: float, shown: dict[str, Any]) -> dict[str, Any]:
    wordings = sorted({f"{e.label}\t{e.wording}" for e in every if not e.kept})
    return {
        "what": "softmax regression over sentence vectors of masked questions",
        "made_by": "python -m training.route_classifier --write",
        "wordings": len(wordings),
        "wordings_sha256": hashlib.sha256("\n".join(wordings).encode()).hexdigest(),
        "strength": strength,
        "figures": shown["figures"],
        "licence": "that of Celloquy; the sentence encoder all-MiniLM-L6-v2 is Apache-2.0",
    }


if __name__ == "__main__":
    sys.exit(main())
