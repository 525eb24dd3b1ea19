"""Relations that a question asks about in plain words, read by the phrases of the closed table.

"Is X a marker of Y" asks whether a relation holds; "Which genes mark Y" and "What does X develop
into" leave one end of it open. The same phrases are read in a model's sentences
(:mod:`agent.verification.clauses`), so that whatever can be said can be asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from agent.routing.questions import Slotted
from agent.verification.clauses import noun_table, phrase_table
from kg.terms import (
    CAPABLE_OF,
    COLOCALIZES_WITH,
    CONTRIBUTES_TO,
    DEVELOPS_FROM,
    ENABLES,
    EXPRESSES,
    GENE_DISEASE,
    HAS_PART,
    HAS_PHENOTYPE,
    INTERACTS_WITH,
    INVOLVED_IN,
    IS_A,
    IS_A_OR_PART_OF,
    LOCATED_IN,
    MARKER_OF,
    NEGATIVELY_REGULATES,
    ORTHOLOGOUS_TO,
    PART_OF,
    POSITIVELY_REGULATES,
    PREDICATES,
    REGULATES,
    Curie,
)

__all__ = ["Asked", "open_relation", "yes_no"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A tool with its slots in the tool's order.

    ``unread`` are words that were not needed, ``read`` is how many the relation's phrase has.
    """

    tool: str
    slots: tuple[int, ...]
    why: str
    unread: tuple[str, ...]
    read: int = 0


_ONTOLOGY = "CADHPFL"
# Which categories (letters of agent.routing.questions) stand before and after each relation.
_ENDS: dict[Curie, tuple[str, str]] = {
    IS_A: (_ONTOLOGY, _ONTOLOGY),
    IS_A_OR_PART_OF: ("A", "A"),
    PART_OF: ("CALP", "CALP"),
    HAS_PART: ("CALP", "CALP"),
    DEVELOPS_FROM: ("CA", "CA"),
    CAPABLE_OF: ("C", "PF"),
    REGULATES: ("P", "PF"),
    POSITIVELY_REGULATES: ("P", "PF"),
    NEGATIVELY_REGULATES: ("P", "PF"),
    INVOLVED_IN: ("G", "P"),
    ENABLES: ("G", "F"),
    CONTRIBUTES_TO: ("G", "F"),
    COLOCALIZES_WITH: ("G", "L"),
    LOCATED_IN: ("G", "L"),
    EXPRESSES: ("C", "G"),
    INTERACTS_WITH: ("G", "G"),
    GENE_DISEASE: ("G", "D"),
    HAS_PHENOTYPE: ("D", "H"),
    ORTHOLOGOUS_TO: ("G", "G"),
    MARKER_OF: ("G", "C"),
}
# The tool that says whether the relation holds, its arguments being subject and object.
_WHETHER = {
    IS_A: "is_a",
    IS_A_OR_PART_OF: "part_of",
    PART_OF: "part_of",
    DEVELOPS_FROM: "does_develop",
    MARKER_OF: "is_marker",
    INVOLVED_IN: "annotated",
    ENABLES: "annotated",
    CONTRIBUTES_TO: "annotated",
    LOCATED_IN: "annotated",
    COLOCALIZES_WITH: "annotated",
    GENE_DISEASE: "annotated",
    EXPRESSES: "expresses",
}
# Tools for an open end: (subject is known, object is known).
_WHICH: dict[Curie, tuple[str, str]] = {
    IS_A: ("supertypes", "subtypes"),
    IS_A_OR_PART_OF: ("supertypes", "subtypes"),
    PART_OF: ("wholes", "parts"),
    HAS_PART: ("parts", "wholes"),
    DEVELOPS_FROM: ("develops_from", "develops_into"),
    CAPABLE_OF: ("capabilities", "capable"),
    REGULATES: ("regulated", "regulators"),
    POSITIVELY_REGULATES: ("regulated", "regulators"),
    NEGATIVELY_REGULATES: ("regulated", "regulators"),
    INVOLVED_IN: ("function", "genes_of"),
    ENABLES: ("function", "genes_of"),
    CONTRIBUTES_TO: ("function", "genes_of"),
    LOCATED_IN: ("location", "genes_of"),
    COLOCALIZES_WITH: ("location", "genes_of"),
    EXPRESSES: ("markers", "types_of_gene"),
    INTERACTS_WITH: ("partners", "partners"),
    GENE_DISEASE: ("diseases", "genes_of"),
    HAS_PHENOTYPE: ("phenotypes", ""),
    ORTHOLOGOUS_TO: ("orthologues", "orthologues"),
    MARKER_OF: ("marked_types", "markers"),
}
# Head nouns of "which ..." and the categories they ask for.
_HEADS = {
    "gene": "G",
    "protein": "G",
    "cell": "C",
    "type": "C",
    "population": "C",
    "disease": "D",
    "disorder": "D",
    "condition": "D",
    "process": "P",
    "processe": "P",
    "pathway": "P",
    "function": "FP",
    "activity": "F",
    "compartment": "L",
    "component": "L",
    "organelle": "L",
    "organ": "A",
    "tissue": "A",
    "structure": "A",
    "phenotype": "H",
    "symptom": "H",
}
_ASKING = frozenset({*("be", "do", "can", "have", "could", "would", "should"), "that", "not"})
_AUXILIARIES = frozenset({"be", "do", "can", "have", "could", "would", "should", "will", "may"})
_FILLERS = frozenset(
    [
        "really",
        "actually",
        "also",
        "itself",
        "generally",
        "usually",
        "always",
        "thought",
        "considered",
        "said",
        "known",
        "recorded",
        "annotated",
        "listed",
        "described",
        "every",
        "all",
        "any",
        "each",
        "directly",
    ]
)


def _slot(word: str) -> int | None:
    return int(word[2:]) if word.startswith("@") and word[2:].isdigit() else None


def _fits(predicate: Curie, subject: str, target: str) -> bool:
    left, right = _ENDS.get(predicate, ("", ""))
    if subject not in left or target not in right:
        return False
    if predicate == IS_A:
        return subject == target
    return True


def yes_no(asked: Slotted) -> list[Asked]:
    """Readings of "is/does X ... Y": the words around X up to Y are a relation's phrase."""
    words = asked.words
    places = [i for i, word in enumerate(words) if _slot(word) is not None]
    if len(places) != 2 or not (asked.stated or words[0] in _AUXILIARIES):
        return []
    first, second = places
    before, between, after = words[:first], words[first + 1 : second], words[second + 1 :]
    found = []
    for start in range(len(before) + asked.stated):
        inner = (*(w for w in before[start:] if w in ("be", "have")), *between)
        for cut in (inner, between, ("be", *between)):
            found += _whether(asked, cut, words[first], words[second])
    rest = (*(w for w in before if w not in _ASKING), *after)
    return [replace(r, unread=(*r.unread, *rest)) for r in found]


def _whether(asked: Slotted, phrase: Sequence[str], left: str, right: str) -> list[Asked]:
    plain = tuple(word for word in phrase if word != "not")
    bare = tuple(word for word in plain if word not in _FILLERS)
    readings = []
    for predicate, inverse, qualifier in phrase_table().get(plain) or phrase_table().get(bare, ()):
        if qualifier:
            continue
        subject, target = (right, left) if inverse else (left, right)
        if not _fits(predicate, subject[1], target[1]):
            continue
        tool = _WHETHER.get(predicate, "holds")
        slots = (int(subject[2:]), int(target[2:]))
        label = PREDICATES[predicate].label
        why = f"asks whether {label!r} holds between two terms"
        readings.append(Asked(tool, slots, why, (), len(bare)))
    return readings


def open_relation(asked: Slotted) -> list[Asked]:
    """Readings of "which ... <relation> Y" and "what does X <relation>": one end is open."""
    words = asked.words
    places = [i for i, word in enumerate(words) if _slot(word) is not None]
    if len(places) != 1 or (words[0] in ("be", "do") and "any" not in words):
        return []  # "Is cell a parent of Y" is no question for the parents of Y
    place = places[0]
    known = words[place]
    wanted = _wanted(words[:place])
    readings = [*_before(words, place, known, wanted), *_after(words, place, known, wanted)]
    return [*readings, *_noun_of(words, place, known)]


def _wanted(words: Sequence[str]) -> str:
    """Categories that the head noun of "which genes ..." allows; all where there is none."""
    for word in words[:4]:
        if word in _HEADS:
            return _HEADS[word]
    return _ONTOLOGY + "GO"


def _before(words: Sequence[str], place: int, known: str, wanted: str) -> Iterable[Asked]:
    """The phrase stands before the term: "which cells develop into Y"."""
    for length in range(min(place, 8), 0, -1):
        phrase = _bare(words[place - length : place])
        rest = (*words[: place - length], *words[place + 1 :])
        for predicate, inverse, _ in phrase_table().get(phrase, ()):
            # "? phrase Y": forwards the open end is the subject.
            yield from _open(predicate, known, not inverse, wanted, rest, len(phrase))


def _after(words: Sequence[str], place: int, known: str, wanted: str) -> Iterable[Asked]:
    """The phrase stands behind the term: "what does X develop into", "what is X part of"."""
    auxiliary = [word for word in words[:place] if word in ("be", "have")][-1:]
    tail = words[place + 1 :]
    for length in range(min(len(tail), 8), 0, -1):
        for phrase in (_bare(tail[:length]), _bare((*auxiliary, *tail[:length]))):
            rest = (*(w for w in words[:place] if w not in _HEADS), *tail[length:])
            for predicate, inverse, _ in phrase_table().get(phrase, ()):
                yield from _open(predicate, known, inverse, wanted, rest, len(phrase))


def _noun_of(words: Sequence[str], place: int, known: str) -> Iterable[Asked]:
    """The phrase is a noun: "the markers of Y", "Y's markers"."""
    spans = []
    if place > 1 and words[place - 1] in ("of", "for"):
        spans = [(start, place - 1) for start in range(max(0, place - 5), place - 1)]
    spans += [
        (place + 1, end)
        for end in range(place + 2, min(len(words), place + 5) + 1)
        if words[end : end + 1] not in (("of",), ("for",))  # "what is X a kind of" is no "X's kind"
    ]
    if words[place + 1 : place + 2] == ("have",):  # "which markers does X have"
        verb = place - 1 if words[place - 1] in ("do", "can") else place
        spans += [(start, verb) for start in range(max(0, verb - 4), verb)]
    for start, end in spans:
        for predicate, inverse, _ in noun_table().get(tuple(words[start:end]), ()):
            have = words[place + 1 : place + 2] == ("have",)
            low, high = min(start, place), max(end, place + 1 + have)
            rest = (*words[:low], *words[high:])
            yield from _open(predicate, known, inverse, _ONTOLOGY + "GO", rest, end - start)


def _bare(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in _FILLERS)


def _open(
    predicate: Curie,
    known: str,
    known_is_object: bool,
    wanted: str,
    rest: Sequence[str],
    read: int,
) -> Iterable[Asked]:
    ends = _ENDS.get(predicate)
    if ends is None or predicate not in _WHICH:
        return
    own, other = (ends[1], ends[0]) if known_is_object else ends
    if known[1] not in own or not set(other) & set(wanted):
        return
    tool = _WHICH[predicate][known_is_object]
    if tool == "parts" and wanted == "C" and known[1] == "A":
        return  # "which cells are in the lung" is no question for the lung's lobes
    if tool:
        label = PREDICATES[predicate].label
        heads = (word for word in rest if word not in _HEADS)
        why = f"asks for the open end of {label!r}"
        yield Asked(tool, (int(known[2:]),), why, tuple(heads), read)
