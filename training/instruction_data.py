"""Instructions with exact answers: about cells, and about facts that stand in the prompt.

:func:`yes_no` makes balanced questions on *is a*. Every item, yes or no, shows the same kind of
list: a chain of direct parents and one edge of a type beside it. No-items are reversed questions,
siblings and types one hop off the chain; half of these stand in the list themselves, so that
finding a name there decides nothing.

:class:`Writer` makes all kinds, for the terms of one split: type, parent, markers, membership and
choice of a cell given as soft tokens; parents, markers and degrees of certainty read from facts
with the keys of the evidence; and questions whose facts are beside the point, for which the right
answer is :data:`ABSTAIN`. A term is in one split (:mod:`training.holdout`); test questions are
partly in wordings that training does not have. Answers have one form for each kind, :data:`FORMS`:
a form is checked, a style is not.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from encoders.labels import naming
from kg.backoff import Hierarchy
from kg.terms import Curie
from training.holdout import split_of_term
from training.instruction_wordings import CLOSING, DEV, KEPT, MORE, WORDINGS

__all__ = [
    "ABSTAIN",
    "FORMS",
    "KINDS",
    "Item",
    "Kind",
    "Scene",
    "Writer",
    "ordered",
    "read_label",
    "string_match",
    "valid",
    "verdict",
    "yes_no",
]

Kind = Literal[
    "yes_no", "type", "parent", "markers", "member", "choice", "fact_parent", "fact_marker",
    "certainty", "abstain",
]  # fmt: skip

ABSTAIN = "The evidence does not say."

_KEYS = r" \[E\d+(?:, E\d+)*\]"
FORMS: Mapping[str, re.Pattern[str]] = {
    "yes_no": re.compile(rf"(?:Yes{_KEYS}|No)\."),
    "type": re.compile(r"This is an? (?P<label>.+)\."),
    "parent": re.compile(r"It is a kind of (?P<label>.+)\."),
    "markers": re.compile(r"[A-Z0-9][A-Za-z0-9\-]*(?:, [A-Z0-9][A-Za-z0-9\-]*){0,2}\."),
    "member": re.compile(r"(?:Yes|No)\."),
    "choice": re.compile(r"This is an? (?P<label>.+)\."),
    "fact_parent": re.compile(rf"(?P<label>.+){_KEYS}\."),
    "fact_marker": re.compile(rf"[A-Za-z0-9\-]+{_KEYS}\."),
    "certainty": re.compile(rf"\d+ %{_KEYS}\."),
    "abstain": re.compile(re.escape(ABSTAIN)),
}
"""What a valid answer of each kind looks like, the whole of it."""

KINDS: Mapping[Kind, float] = {
    "yes_no": 0.2, "type": 0.25, "parent": 0.06, "markers": 0.04, "member": 0.1, "choice": 0.08,
    "fact_parent": 0.06, "fact_marker": 0.08, "certainty": 0.04, "abstain": 0.09,
}  # fmt: skip
"""Share of each kind; talks (:meth:`Writer.conversation`) add questions of yes or no."""

_ROOT = "CL:0000000"
_WORDS = 5  # of a label: longer ones are descriptions


@dataclass(frozen=True, slots=True)
class Item:
    """One instruction.

    ``cell`` is the type of which a cell is to be put in for ``[BIO]``, empty where there is none;
    ``facts`` go in front of the question; ``truth`` is the term that the answer names, if any;
    ``how`` says of a yes-no item how it was made.
    """

    kind: Kind
    question: str
    answer: str
    term: Curie
    facts: str = ""
    cell: Curie = ""
    truth: Curie = ""
    how: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """Facts on *is a*: a chain from low to high, and a child ``extra`` of ``chain[place + 1]``."""

    chain: tuple[Curie, ...]
    extra: Curie
    place: int
    edges: tuple[tuple[Curie, Curie], ...]
    facts: str


class Writer:
    """Makes items of one split.

    Parameters
    ----------
    hierarchy
        The Cell Ontology.
    unseen
        The held-out types: the test split.
    split
        Whose terms are asked about.
    markers
        Positive markers of types, best first; types without are asked other things.
    seed
        The same seed makes the same items.
    fits
        Whether facts and question are short enough.
    cells
        Types of which there are cells; kinds with cells ask about these alone.
    closing
        Also the wordings of the closing steps, in the training split.
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        unseen: Collection[Curie],
        split: Literal["train", "dev", "test"],
        *,
        markers: Mapping[Curie, Sequence[str]] | None = None,
        cells: Collection[Curie] = (),
        seed: int = 0,
        fits: Callable[[str], bool] = lambda text: True,
        closing: bool = False,
    ) -> None:
        self.hierarchy, self.split, self.fits = hierarchy, split, fits
        self.closing = closing
        self.random = random.Random(f"{split} {seed}")  # noqa: S311 - nothing secret
        self.unseen = frozenset(unseen)
        own = [t for t in hierarchy.ids if split_of_term(t, self.unseen) == split]
        self.terms = [t for t in own if self._askable(t) and t != _ROOT and self._up(t)]
        self.cells = sorted(set(cells) & set(own))
        self.markers = dict(markers or {})
        self.marked = [t for t in self.terms if len(self.markers.get(t, ())) >= 3]

    # --- terms ---

    def label(self, term: Curie) -> str:
        """The label of a term."""
        return self.hierarchy.labels[self.hierarchy.index(term)]

    def _askable(self, term: Curie) -> bool:
        label = self.label(term)
        return len(label.split()) <= _WORDS and "(" not in label and "obsolete" not in label

    def _allowed(self, term: Curie) -> bool:
        """Training never names a held-out type, not even as the wrong answer."""
        return self.split == "test" or term not in self.unseen

    def _up(self, term: Curie) -> list[Curie]:
        ids = self.hierarchy.ids
        above = [ids[p] for p in self.hierarchy.parents[self.hierarchy.index(term)]]
        return [one for one in above if one != _ROOT and self._askable(one)]

    def _down(self, term: Curie) -> list[Curie]:
        if not hasattr(self, "_children"):
            found: dict[Curie, list[Curie]] = {}
            for i, parents in enumerate(self.hierarchy.parents):
                for p in parents:
                    found.setdefault(self.hierarchy.ids[p], []).append(self.hierarchy.ids[i])
            self._children = found
        below = self._children.get(term, [])
        return [one for one in below if self._askable(one) and self._allowed(one)]

    def _chain(self, low: Curie, most: int = 3) -> list[Curie]:
        """The term and a walk up, one direct parent after the other."""
        chain = [low]
        while len(chain) <= most and (above := self._up(chain[-1])):
            chain.append(self.random.choice(above))
        return chain

    def _beside(self, chain: Sequence[Curie], place: int) -> Curie | None:
        """A child of ``chain[place + 1]`` that is neither on the chain's line nor below it."""
        low = self.hierarchy.ancestors(chain[0])
        others = [
            one
            for one in self._down(chain[place + 1])
            if one not in low and chain[0] not in self.hierarchy.ancestors(one)
        ]
        return self.random.choice(others) if others else None

    def _wording(self, kind: str) -> str:
        if self.split == "train":
            late = CLOSING.get(kind, ()) if self.closing else ()
            return self.random.choice((*WORDINGS[kind], *MORE[kind], *late))
        own = KEPT if self.split == "test" else DEV
        return self.random.choice((own if self.random.random() < 1 / 3 else WORDINGS)[kind])

    # --- yes or no ---

    def scene(self) -> Scene | None:
        """A chain of types with one beside it; None where the term drawn allows none."""
        chain = self._chain(self.random.choice(self.terms))
        if len(chain) < 3:
            return None
        place = self.random.randrange(len(chain) - 1)
        extra = self._beside(chain, place)
        if extra is None:
            return None
        edges = list(pairwise(chain))
        edges.insert(self.random.randint(0, len(edges)), (extra, chain[place + 1]))
        facts = " ".join(
            f"[E{i}] {self.label(low)} is a {self.label(high)}."
            for i, (low, high) in enumerate(edges, 1)
        )
        return Scene(tuple(chain), extra, place, tuple(edges), facts)

    def asked(self, scene: Scene, how: str) -> Item | None:
        """A question on a scene; None where the scene allows none. ``how`` as in :data:`HOW`."""
        chain, extra = scene.chain, scene.extra
        line = [extra, *chain[scene.place + 1 :]] if how == "beside" else list(chain)
        # Reversed from the middle, what is asked about is above something in the facts as well.
        low = (
            0 if how == "beside" else self.random.choice((0, 1) if how == "reversed" else (0, 0, 1))
        )
        low = min(low, len(line) - 2)
        high = self.random.randrange(low + 1, len(line))
        if how in ("chain", "beside"):
            path = list(pairwise(line[low : high + 1]))
            keys = ", ".join(f"E{scene.edges.index(edge) + 1}" for edge in path)
            return self._yes_no(scene, line[low], line[high], f"Yes [{keys}].", how)
        if how == "reversed":
            return self._yes_no(scene, line[high], line[low], "No.", how)
        sibling = how == "sibling"
        # Half of the wrong types stand in the facts themselves, where they are of the right kind.
        other: Curie | None = extra if (scene.place == 0) == sibling else None
        if other is None or self.random.random() < 0.5:
            places = [0] if sibling else list(range(1, len(chain) - 1))
            other = self._beside(chain, self.random.choice(places))
        if other is None or (other == extra and (scene.place == 0) != sibling):
            return None
        return self._yes_no(scene, chain[0], other, "No.", how)

    def _yes_no(self, scene: Scene, a: Curie, b: Curie, answer: str, how: str) -> Item | None:
        if answer == "No." and b in self.hierarchy.ancestors(a):
            return None
        question = self._wording("yes_no").format(a=self.label(a), b=self.label(b))
        if not self.fits(f"{scene.facts} {question}"):
            return None
        return Item("yes_no", question, answer, scene.chain[0], scene.facts, how=how)

    def conversation(self, turns: int = 6) -> list[Item]:
        """Several questions on one scene, half of the yes-or-no ones with yes; may be empty.

        What differs between them is the question alone, so that nothing else can be learnt.
        """
        scene = self.scene()
        if scene is None:
            return []
        found: list[Item] = []
        for number in range(turns):
            _, how = self.random.choice(HOW[:3] if number % 2 else HOW[3:])
            item = self.asked(scene, how)
            if self.random.random() < 1 / 8:
                item = self._on_scene(scene)
            if item is not None and all(item.question != other.question for other in found):
                found.append(item)
        self.random.shuffle(found)
        return found

    def _on_scene(self, scene: Scene) -> Item:
        """The direct parent of a type of the scene, or of one that the facts say nothing of."""
        edge = self.random.choice(scene.edges)
        term, answer = edge[0], f"{self.label(edge[1])} [E{scene.edges.index(edge) + 1}]."
        kind: Kind = "fact_parent"
        far = self.random.choice(self.terms)
        if self.random.random() < 0.4 and self.label(far) not in scene.facts:
            kind, term, answer = "abstain", far, ABSTAIN
        question = self._wording("fact_parent").format(a=self.label(term))
        return Item(kind, question, answer, term, scene.facts)

    def reading(self, turns: int = 6) -> list[Item]:
        """Several questions on one list of markers, parents or degrees of certainty.

        A third asks what the list does not say: of a type that is not there, or of one that is
        there with something else. May be empty.
        """
        relation: Kind = self.random.choice(("fact_marker", "fact_parent", "certainty"))
        pool = self.marked if relation == "fact_marker" else self.terms
        if len(pool) < 4:
            return []
        told = self.random.sample(pool, self.random.choice((2, 3, 3)))
        said = [self._said(relation, one) for one in told]
        facts = " ".join(f"[E{i}] {line}" for i, (line, _) in enumerate(said, 1))
        found: list[Item] = []
        for _ in range(turns):
            place = self.random.randrange(len(told))
            kind, term, answer = relation, told[place], f"{said[place][1]} [E{place + 1}]."
            asked = relation
            if self.random.random() < 1 / 3:
                kind, answer = "abstain", ABSTAIN
                if self.random.random() < 0.5:
                    term = self.random.choice(pool)
                    if self.label(term) in facts:
                        continue
                else:
                    others: list[Kind] = ["fact_marker", "fact_parent", "certainty"]
                    asked = self.random.choice([one for one in others if one != relation])
            question = self._wording(asked).format(a=self.label(term))
            item = Item(kind, question, answer, term, facts)
            if self.fits(f"{facts} {question}") and all(question != i.question for i in found):
                found.append(item)
        return found

    # --- the other kinds ---

    def _said(self, relation: Kind, term: Curie) -> tuple[str, str]:
        """What is said of a type, and the answer when it is asked for."""
        label = self.label(term)
        if relation == "certainty":
            share = f"{self.random.randint(1, 99)} %"
            return f"{label}: {share}.", share
        if relation == "fact_parent":
            parent = self.label(sorted(self._up(term))[0])
            return f"{label} is a {parent}.", parent
        gene = self.random.choice(list(self.markers[term])[:8])
        return f"{gene} is a marker of {label}.", gene

    def item(self, kind: Kind) -> Item | None:
        """One item of a kind; None where what was drawn allows none."""
        if kind == "yes_no":
            scene = self.scene()
            return self.asked(scene, self.random.choice(HOW)[1]) if scene else None
        if kind in ("type", "parent", "markers", "member", "choice"):
            return self._about_cell(kind) if self.cells else None
        return self._about_facts(kind)

    def _about_cell(self, kind: Kind) -> Item | None:
        cell = self.random.choice(self.cells)
        label, ask = self.label(cell), self._wording(kind)
        if kind == "type":
            return Item(kind, ask, naming(label), cell, cell=cell, truth=cell)
        if kind == "markers":
            genes = self.markers.get(cell, ())[:3]
            return Item(kind, ask, f"{', '.join(genes)}.", cell, cell=cell) if genes else None
        above = self._up(cell)
        if not above:
            return None
        parent = self.random.choice(above) if kind != "parent" else sorted(above)[0]
        if kind == "parent":
            answer = f"It is a kind of {self.label(parent)}."
            return Item(kind, ask, answer, cell, cell=cell, truth=parent)
        ancestors = self.hierarchy.ancestors(cell)
        pool = [c for c in self._down(parent) if c not in ancestors]
        pool = [c for c in pool if cell not in self.hierarchy.ancestors(c)]
        far = self.random.choice(self.terms)
        if self.random.random() < 0.5 and far not in ancestors and self._allowed(far):
            pool = [far] if cell not in self.hierarchy.ancestors(far) else pool
        if not pool:
            return None
        other = self.random.choice(pool)
        if kind == "choice":
            pair = [label, self.label(other)]
            self.random.shuffle(pair)
            question = ask.format(a=pair[0], b=pair[1])
            return Item(kind, question, naming(label), cell, cell=cell, truth=cell)
        right = self.random.random() < 0.5
        named = self.random.choice([cell, *above]) if right else other
        answer = "Yes." if right else "No."
        return Item(kind, ask.format(b=self.label(named)), answer, cell, cell=cell)

    def _about_facts(self, kind: Kind) -> Item | None:
        pool = self.terms if kind == "fact_parent" else self.marked
        if len(pool) < 3:
            return None
        term = self.random.choice(pool)
        others = [one for one in self.random.sample(pool, 2) if one != term]
        lines = [self._said(kind, one) for one in [term, *others]]
        right = lines[0]
        asked = self.random.choice(("fact_marker", "fact_parent")) if kind == "abstain" else kind
        if kind == "abstain":
            lines = lines[1:] if asked == "fact_marker" else lines
        self.random.shuffle(lines)
        facts = " ".join(f"[E{i}] {said}" for i, (said, _) in enumerate(lines, 1))
        question = self._wording(asked).format(a=self.label(term))
        answer = ABSTAIN
        if kind != "abstain":
            answer = f"{right[1]} [E{lines.index(right) + 1}]."
        if not lines or not self.fits(f"{facts} {question}"):
            return None
        return Item(kind, question, answer, term, facts)

    def items(self, n: int, kinds: Mapping[Kind, float] | None = None) -> list[Item]:
        """About ``n`` items, kinds in the given shares, none twice."""
        shares = KINDS if kinds is None else kinds
        made: dict[tuple[str, str, str], Item] = {}
        names = list(shares)
        for _ in range(40 * n):
            kind = self.random.choices(names, weights=list(shares.values()))[0]
            item = self.item(kind)
            if item is not None:
                made.setdefault((item.facts, item.question, item.cell), item)
            if len(made) == n:
                break
        return list(made.values())


HOW: tuple[tuple[Literal["yes", "no"], str], ...] = (
    ("yes", "chain"), ("yes", "chain"), ("yes", "beside"),
    ("no", "reversed"), ("no", "sibling"), ("no", "hop off"),
)  # fmt: skip
"""Leads and how they are made; three in six are yes."""


def yes_no(writer: Writer, n: int) -> list[Item]:
    """``n`` items, half of them yes, a third of the others of each kind; none twice."""
    made: dict[tuple[str, str], Item] = {}
    for number in range(n):
        _, how = HOW[(number % 2) * 3 + (number // 2) % 3]
        for _ in range(2_000):
            scene = writer.scene()
            item = writer.asked(scene, how) if scene else None
            if item is not None and (item.facts, item.question) not in made:
                made[item.facts, item.question] = item
                break
    return list(made.values())


# --- reading answers ---------------------------------------------------------------------------


def valid(item: Item, answer: str) -> bool:
    """Whether an answer has the form of its kind, or abstains; keys must stand in the facts."""
    text = answer.strip()
    if text == ABSTAIN:
        return True
    if not FORMS[item.kind].fullmatch(text):
        return False
    keys = re.findall(r"E\d+", "".join(re.findall(r"\[[^\]]*\]", text)))
    return all(f"[{key}]" in item.facts for key in keys)


def verdict(answer: str) -> str:
    """``yes``, ``no`` or nothing."""
    found = re.match(r"\W*(yes|no)\b", answer.strip(), re.IGNORECASE)
    return found[1].lower() if found else ""


def read_label(item: Item, answer: str) -> str:
    """The type that an answer names, by the form of its kind; nothing where it names none."""
    found = FORMS[item.kind].fullmatch(answer.strip())
    return (found.groupdict().get("label") or "") if found else ""


def _asked(item: Item, names: Sequence[str]) -> list[str]:
    inside = sorted((n for n in names if n in item.question), key=len, reverse=True)
    kept: list[str] = []
    rest = item.question
    for name in inside:
        if name in rest:
            kept.append(name)
            rest = rest.replace(name, " ", 1)
    return sorted(kept, key=item.question.index)


def string_match(item: Item) -> str:
    """The plain baseline: yes where the second type asked about is the object of any fact."""
    return "yes" if any(item.question.rstrip("?").endswith(o) for o in _objects(item)) else "no"


def ordered(item: Item) -> str:
    """A cleverer one: yes where both stand in the facts and the first one comes first."""
    facts = item.facts.lower()
    names = {n for edge in _edges(item) for n in edge}
    asked = _asked(item, sorted(names))
    if len(asked) < 2:
        return "no"
    return "yes" if facts.index(asked[0].lower()) < facts.index(asked[1].lower()) else "no"


def _edges(item: Item) -> list[tuple[str, str]]:
    return re.findall(r"\[E\d+\] (.+?) is a (.+?)\.(?= \[E|$)", item.facts)


def _objects(item: Item) -> list[str]:
    return [o for _, o in _edges(item)]
