"""Which tool answers a question, and why: by the grounded terms and the words around them.

Two readings, the cheaper first. A pattern of :data:`PATTERNS` fits the question with its terms
replaced by slots; or the words between the terms are a relation of
:mod:`agent.verification.phrases`, asked as yes-no ("Is X a marker of Y") or with one end open
("Which genes mark Y"). A reading must account for every word that means something: "What is the
airspeed of a T cell" is not a question for a definition, because of "airspeed". What no reading
accounts for is left to the literature or to an abstention. Knows no graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agent.routing.asked import open_relation, yes_no
from agent.routing.patterns import HARMLESS, PATTERNS
from agent.routing.questions import Slotted, slotted
from agent.routing.unheld import unheld
from kg.naming.mentions import Mention
from kg.terms import Curie

__all__ = ["LITERATURE", "Plan", "route", "turning"]

_TURNING = frozenset(
    [
        "not",
        "no",
        "never",
        "none",
        "neither",
        "nor",
        "without",
        "except",
        "unless",
        "false",
        "hardly",
    ]
)
# "Are some X Y?" is true where "are X Y?" is not.
_TURNING_WHETHER = frozenset(
    ["some", "few", "most", "only", "many", "partly", "sometimes", "often"]
)
_WHETHER = frozenset(["is_a", "part_of", "does_develop", "is_marker", "annotated", "holds"])
# Told by a sentence of its own either way, so that no yes or no is read for the other one.
_SETTLED = frozenset({"is_a", "part_of"})
_MAY = frozenset({"can", "could", "may", "might"})
_CLASSING = frozenset({"classified", "categorised", "categorized", "considered", "called", "count"})

LITERATURE = "literature"
"""The tool that quotes passages; it takes the question itself."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The chosen tool with the mentions it is run on; ``tool`` is "" where none fits.

    ``unread`` are the words that no reading accounts for, ``turning`` those that turn the
    question into another one than its terms and its relation make. ``negated`` is a question
    whose only such word is its "not", and which a release can settle either way: "Is A not a B?".
    ``most`` is how many a question wants of a list, 0 where it does not say; ``lacking`` is why no
    loaded source can answer it, where that is known.
    """

    tool: str
    terms: tuple[Mention, ...] = ()
    why: str = ""
    unread: tuple[str, ...] = ()
    organism: Curie = ""
    turning: tuple[str, ...] = ()
    negated: bool = False
    most: int = 0
    lacking: str = ""


@dataclass(frozen=True, slots=True)
class _Reading:
    tool: str
    slots: tuple[int, ...]
    why: str
    unread: tuple[str, ...]
    read: int = 0

    @property
    def worth(self) -> tuple[int, int, int]:
        """Fewest words unread first, then most terms used, then most words read."""
        return (len(self.unread), -len(self.slots), -self.read)


def route(question: str, mentions: Sequence[Mention]) -> Plan:
    """Choose the tool for a question."""
    plan = _routed(question, mentions)
    return plan if plan.tool or plan.turning else replace(plan, lacking=unheld(question))


def _routed(question: str, mentions: Sequence[Mention]) -> Plan:
    plans: list[tuple[_Reading, Slotted]] = []
    for meant in _meanings(mentions):
        for general_too in (False, True):
            asked = slotted(question, meant, general_too=general_too)
            readings = [*_by_pattern(asked), *_by_relation(asked)]
            if readings:
                plans.append((min(readings, key=lambda reading: reading.worth), asked))
        if any(not reading.unread for reading, _ in plans):
            break
    if not plans:
        asked = slotted(question, mentions)
        return Plan("", why="no pattern and no relation fits", unread=_meaningful(asked.words))
    best, asked = min(plans, key=lambda plan: plan[0].worth)
    terms = tuple(asked.mentions[slot] for slot in best.slots)
    if best.unread:
        why = f"closest was {best.tool}, but it says nothing of {' '.join(best.unread)!r}"
        return Plan("", terms, why, best.unread, asked.organism)
    if turned := turning(best.tool, asked.words):
        if turned == ("not",) and best.tool in _SETTLED and asked.words[0] in ("be", "why"):
            return Plan(best.tool, terms, f"{best.why}, negated", negated=True)
        why = f"looks like {best.tool}, but turns on {' '.join(turned)!r}"
        return Plan("", terms, why, organism=asked.organism, turning=turned)
    return Plan(best.tool, terms, best.why, organism=asked.organism, most=asked.most)


def _meanings(mentions: Sequence[Mention]) -> Iterator[tuple[Mention, ...]]:
    """The mentions as grounded, then with one of them taken for a term of another category.

    "Is HP a marker of monocytes" is asked of the gene, though a disease is called HP as well.
    """
    yield tuple(mentions)
    for i, mention in enumerate(mentions):
        for category in dict.fromkeys(c.category for c in mention.candidates):
            if category is not mention.category:
                others = tuple(c for c in mention.candidates if c.category is category)
                yield (*mentions[:i], replace(mention, candidates=others), *mentions[i + 1 :])


def turning(tool: str, words: Sequence[str]) -> tuple[str, ...]:
    """Words that make the answer to the bare question a wrong one."""
    if tool == LITERATURE:
        return ()
    said = [word for i, word in enumerate(words) if words[max(0, i - 1) : i + 1] != ("or", "not")]
    found = [word for word in said if word in _TURNING]
    if tool in _WHETHER:
        found += [word for word in said if word in _TURNING_WHETHER]
        # "Can an X be a Y" asks for some X; "can X be classified as Y" asks for the class.
        if tool in ("is_a", "part_of") and words[0] in _MAY and not _CLASSING & set(said):
            found.append(words[0])
    return tuple(dict.fromkeys(found))


def _meaningful(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in HARMLESS and not word.startswith("@o"))


def _by_pattern(asked: Slotted) -> list[_Reading]:
    readings = []
    for pattern in PATTERNS:
        match = pattern.regex.search(asked.text)
        if match is None:
            continue
        if pattern.tool == LITERATURE:
            why = f"asks {match[0]!r}"
            return [_Reading(LITERATURE, (), why, (), len(asked.words))]
        slots = tuple(
            int(match[name][2:]) for name in ("a", "b") if match.groupdict().get(name) is not None
        )
        rest = f"{asked.text[: match.start()]} {asked.text[match.end() :]}"
        unread = tuple(w for w in _meaningful(rest.split()) if w not in pattern.also)
        kinds = " and ".join(asked.mentions[slot].category.value.split(":")[1] for slot in slots)
        why = f"asks {match[0]!r} of a {kinds}"
        readings.append(_Reading(pattern.tool, slots, why, unread, len(match[0].split())))
    return readings


def _by_relation(asked: Slotted) -> list[_Reading]:
    found = [*yes_no(asked), *open_relation(asked)]
    return [
        _Reading(each.tool, each.slots, each.why, _meaningful(each.unread), each.read)
        for each in found
    ]
