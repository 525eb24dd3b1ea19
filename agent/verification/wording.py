"""Sentences from statements: what Celloquy says about a checked claim, in plain prose.

One sentence a statement, with the keys of its evidence in brackets where they are wanted. Knows
the graph for names alone; whether a statement is true is :mod:`agent.verification.verify`'s to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from agent.verification.phrases import PHRASES
from agent.verification.statement import Form, Statement
from kg.graph import KnowledgeGraph
from kg.naming.lexicon import normalise
from kg.terms import (
    DEVELOPS_FROM,
    ENABLES,
    HAS_PART,
    INVOLVED_IN,
    IS_A,
    IS_A_OR_PART_OF,
    LOCATED_IN,
    MARKER_OF,
    PART_OF,
    Category,
    Curie,
    Scope,
    Term,
)

__all__ = ["Names", "article", "counted", "join", "sentence"]

Cite = Callable[[Curie], str]


class Names:
    """Labels, categories and accepted names of terms, read once each."""

    def __init__(self, graph: KnowledgeGraph) -> None:
        self.graph = graph
        self._terms: dict[Curie, Term | None] = {}
        self._names: dict[Curie, tuple[str, ...]] = {}

    def load(self, ids: Iterable[Curie]) -> None:
        """Read several terms at once."""
        missing = [node for node in ids if node not in self._terms]
        if missing:
            self._terms |= dict.fromkeys(missing) | self.graph.terms(missing)

    def term(self, id: Curie) -> Term | None:
        """The term of this id."""
        self.load((id,))
        return self._terms[id]

    def label(self, id: Curie) -> str:
        """The term's label, or its id where the graph has none."""
        term = self.term(id)
        return term.label if term and term.label else id

    def category(self, id: Curie) -> Category:
        """The term's category."""
        term = self.term(id)
        return term.category if term else Category.OTHER

    def names(self, id: Curie) -> tuple[str, ...]:
        """The label and the exact synonyms that are no other term's label."""
        if id not in self._names:
            term = self.term(id)
            if term is None:
                return ()
            others = [s.text for s in term.synonyms if s.scope in (Scope.EXACT, Scope.LABEL)]
            entries = self.graph.lookup({normalise(name) for name in others})
            free = [
                name
                for name in others
                if not any(
                    entry.scope is Scope.LABEL
                    and entry.id != id
                    and entry.category is term.category
                    for entry in entries.get(normalise(name), ())
                )
            ]
            self._names[id] = tuple(dict.fromkeys((term.label, *free)))
        return self._names[id]


def article(noun: str) -> str:
    """The noun with its indefinite article, by sound.

    >>> article("lymphocyte"), article("alpha-beta T cell"), article("NK cell"), article("unit")
    ('a lymphocyte', 'an alpha-beta T cell', 'an NK cell', 'a unit')
    """
    first = noun.split()[0].split("-")[0] if noun.split() else noun
    if len(first) > 1 and first.isupper():
        vowel = first[0] in "AEFHILMNORSX"
    elif len(first) == 1:
        vowel = first in "AEFHILMNORSXaefhilmnorsx"
    else:
        vowel = first[0].lower() in "aeiou" and not first.lower().startswith(
            ("uni", "use", "eu", "ure", "uro", "ute", "one")
        )
    return ("an " if vowel else "a ") + noun


def join(items: Sequence[str]) -> str:
    """Items as English lists them; semicolons where an item holds a comma of its own.

    >>> join(["a", "b", "c"]), join(["CD8-positive, alpha-beta T cell", "B cell"])
    ('a, b and c', 'CD8-positive, alpha-beta T cell; and B cell')
    """
    if len(items) < 2:
        return "".join(items)
    if any(", " in item for item in items):
        return "; ".join(items[:-1]) + "; and " + items[-1]
    return ", ".join(items[:-1]) + " and " + items[-1]


def counted(n: int, noun: str) -> str:
    """The number with its noun.

    >>> counted(1, "marker"), counted(3, "kind"), counted(0, "gene")
    ('1 marker', '3 kinds', '0 genes')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def many(n: int, noun: str) -> str:
    """The same for counts that may be large.

    >>> many(1, "cell"), many(68579, "cell")
    ('1 cell', '68,579 cells')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _plain(_: Curie) -> str:
    return ""


def _with_id(names: Names, id: Curie) -> str:
    term = names.term(id)
    label = names.label(id)
    return f"{label} ({id})" if term and term.label and term.label != id else label


def _capital(text: str) -> str:
    """A capital at the sentence's start, unless the word has capitals or digits of its own."""
    first = text.split(" ", 1)[0]
    return text[0].upper() + text[1:] if first.islower() and first.isalpha() else text


def sentence(statement: Statement, names: Names, cite: Cite = _plain) -> str:
    """Write the sentence that says the statement.

    Parameters
    ----------
    statement
        What to say.
    names
        Labels of the entities.
    cite
        Gives the bracketed evidence keys to put behind an object ("" for none).
    """
    names.load(statement.entities)
    return _capital(_WRITERS[statement.form](statement, names, cite)) + "."


def _fact(statement: Statement, names: Names, cite: Cite) -> str:
    subject = _with_id(names, statement.subject)
    if len(statement.objects) == 1:
        objects = _with_id(names, statement.objects[0]) + cite(statement.objects[0])
    else:
        objects = join([names.label(other) + cite(other) for other in statement.objects])
    if statement.unlike:
        which = "none of which is" if len(statement.objects) > 1 else "which is not"
        unlike = _with_id(names, statement.unlike) + cite(statement.unlike)
        objects += f", {which} recorded for {unlike}"
    return f"{subject} {_verb(statement)} {objects}"


_INVERSE_MANY = {
    IS_A: "has the kinds",
    PART_OF: "has the parts",
    IS_A_OR_PART_OF: "has as kinds or parts",
    MARKER_OF: "has the markers",
}
_INVERSE_ONE = {IS_A: "has the kind", PART_OF: "has the part", MARKER_OF: "has the marker"}


def _verb(statement: Statement) -> str:
    """The verb phrase, in the statement's direction and polarity."""
    row = PHRASES[statement.predicate]
    many = len(statement.objects) > 1
    if statement.inverse:
        verb = row.backward[0]
        chosen = (_INVERSE_MANY if many else _INVERSE_ONE).get(statement.predicate)
        verb = chosen or verb
    else:
        verb = row.forward[0]
    if statement.qualifier == "negative":
        verb = verb.replace("marker", "negative marker")
    if statement.negated:
        verb = negate(verb)
    return verb


def negate(verb: str) -> str:
    """The verb phrase with a not.

    >>> negate("is involved in"), negate("develops from"), negate("has the marker")
    ('is not involved in', 'does not develop from', 'does not have the marker')
    """
    head, _, rest = verb.partition(" ")
    if head in ("is", "are", "can"):
        return f"{head} not {rest}".strip()
    base = {"has": "have", "carries": "carry"}.get(head)
    if base is None:
        base = head[:-2] if head.endswith(("sses", "ches", "shes")) else head.removesuffix("s")
    return f"does not {base} {rest}".strip()


def _walk(statement: Statement, names: Names, cite: Cite) -> str:
    parts = [_with_id(names, statement.subject)]
    for n, (hop, node) in enumerate(zip(statement.hops, statement.objects, strict=True)):
        joint = " " if n == 0 else ", which "
        parts.append(f"{joint}{PHRASES[hop].forward[0]} {_with_id(names, node)}")
    return "".join(parts) + cite(statement.objects[-1])


def _not_found(statement: Statement, names: Names, cite: Cite) -> str:
    subject, other = _with_id(names, statement.subject), _with_id(names, statement.objects[0])
    term = names.term(statement.subject)
    where = f"{term.source} {term.release}" if term else "the loaded graph"
    if statement.predicate == IS_A:
        text = f"{where} does not place {subject} under {other}"
    else:
        verb = PHRASES[statement.predicate].forward[0]
        text = f"no statement of the loaded releases says that {subject} {verb} {other}"
    return text + cite(statement.objects[0])


def _common(statement: Statement, names: Names, cite: Cite) -> str:
    left, right = (_with_id(names, other) for other in statement.objects)
    meeting = _with_id(names, statement.subject)
    what = "kinds of" if statement.predicate == IS_A else "kinds or parts of"
    if statement.subject in statement.objects:
        return f"{left} and {right} meet in {meeting}" + cite(statement.subject)
    return f"{left} and {right} are both {what} {meeting}" + cite(statement.subject)


_NOUNS: dict[tuple[Curie, bool], str] = {
    (IS_A, True): "direct kind",
    (IS_A, False): "direct parent class",
    (PART_OF, True): "direct part",
    (PART_OF, False): "direct whole",
    (IS_A_OR_PART_OF, True): "direct kind or part",
    (HAS_PART, False): "part",
    (MARKER_OF, True): "marker",
    (MARKER_OF, False): "cell type as whose marker it is listed",
    (DEVELOPS_FROM, True): "direct product of development",
    (DEVELOPS_FROM, False): "direct precursor",
    (INVOLVED_IN, False): "biological process",
    (ENABLES, False): "molecular function",
    (LOCATED_IN, False): "cellular location",
}


def noun(predicate: Curie, inverse: bool) -> str:
    """What the neighbours by a relation are called."""
    row = PHRASES[predicate]
    default = (row.role if inverse else row.counterpart) or ("entry",)
    return _NOUNS.get((predicate, inverse), default[0])


def _total(statement: Statement, names: Names, cite: Cite) -> str:
    text = f"{_with_id(names, statement.subject)} has "
    kind = noun(statement.predicate, statement.inverse)
    number = statement.numbers[0]
    if kind.startswith("cell type as"):
        text += counted(number, "cell type") + kind.removeprefix("cell type")
    else:
        text += counted(number, kind).replace("classs", "classes").replace("entrys", "entries")
    return text + " in the loaded releases" + cite(statement.subject)


def _compared(statement: Statement, names: Names, cite: Cite) -> str:
    left, right = statement.numbers
    how = "more" if left > right else "as many"
    than = "than" if left > right else "as"
    plural = counted(2, noun(statement.predicate, statement.inverse)).removeprefix("2 ")
    plural = plural.replace("classs", "classes")
    return (
        f"{_with_id(names, statement.subject)} has {how} {plural} {than} "
        f"{_with_id(names, statement.objects[0])}: {left} against {right}" + cite(statement.subject)
    )


def _defined(statement: Statement, names: Names, cite: Cite) -> str:
    quote = statement.quotes[0].strip().removesuffix(".")
    return f"{_with_id(names, statement.subject)} is defined as “{quote}”" + cite(statement.subject)


def _named(statement: Statement, names: Names, cite: Cite) -> str:
    others = join([f"“{quote}”" for quote in statement.quotes])
    return f"{_with_id(names, statement.subject)} is also called {others}" + cite(statement.subject)


def _replaced(statement: Statement, names: Names, cite: Cite) -> str:
    return (
        f"{_with_id(names, statement.subject)} is obsolete and replaced by "
        f"{_with_id(names, statement.objects[0])}" + cite(statement.subject)
    )


def _quoted(statement: Statement, _: Names, cite: Cite) -> str:
    quote = statement.quotes[0].strip()
    return f"{statement.subject} states: “{quote.removesuffix('.')}”" + cite(statement.subject)


def _measured(statement: Statement, _: Names, cite: Cite) -> str:
    """Measurements; several that begin alike, up to a colon, say their beginning once."""
    first, *others = (quote.strip().removesuffix(".") for quote in statement.quotes)
    if not others:
        return first + cite(statement.subject)
    lead = first.partition(": ")[0] + ": "
    bodies = [
        text.removeprefix(lead) + cite(quote)
        for text, quote in zip((first, *others), statement.quotes, strict=True)
    ]
    return lead + "; ".join(bodies)


_WRITERS: Mapping[Form, Callable[[Statement, Names, Cite], str]] = {
    Form.FACT: _fact,
    Form.WALK: _walk,
    Form.NOT_FOUND: _not_found,
    Form.COMMON: _common,
    Form.TOTAL: _total,
    Form.COMPARED: _compared,
    Form.DEFINED: _defined,
    Form.NAMED: _named,
    Form.REPLACED: _replaced,
    Form.QUOTED: _quoted,
    Form.MEASURED: _measured,
}
