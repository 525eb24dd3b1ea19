"""Questions about a term itself: its definition, its other names, what became of an old id."""

from __future__ import annotations

from agent.facts import Facts, Finding, Found, none_found
from agent.kinds.hierarchy import supertypes
from agent.verification.statement import Form, Statement
from kg.terms import Category, Curie, Scope

__all__ = ["definition", "names"]


def definition(facts: Facts, a: Curie) -> Found:
    """What a term is: its source's definition, word for word, or its place where it has none."""
    term = facts.names.term(a)
    if term is None:
        return none_found(f"{a} is in none of the loaded releases")
    if term.obsolete:
        return _obsolete(facts, a)
    words = facts.words(a, "definition")
    if words is not None:
        statement = Statement(Form.DEFINED, subject=a, quotes=(words.text,))
        return Found((Finding(statement, (words,)),))
    if term.category is Category.GENE:
        return names(facts, a)
    above = supertypes(facts, a)
    note = f"{term.source} {term.release} gives {facts.label(a)} no definition."
    return Found(above.findings, (*above.notes, note), above.lacking)


def names(facts: Facts, a: Curie) -> Found:
    """The other names of a term."""
    term = facts.names.term(a)
    words = facts.words(a, "synonyms")
    if term is None or words is None:
        return none_found(f"no loaded release gives another name for {facts.label(a)}")
    exact = [s.text for s in term.synonyms if s.scope is Scope.EXACT] or [
        s.text for s in term.synonyms
    ]
    shown = tuple(dict.fromkeys(exact))[: facts.shown]
    statement = Statement(Form.NAMED, subject=a, quotes=shown)
    return Found((Finding(statement, (words,)),))


def _obsolete(facts: Facts, a: Curie) -> Found:
    term = facts.names.term(a)
    assert term is not None
    words = facts.words(a, "replaced_by")
    successor = facts.names.term(term.replaced_by) if term.replaced_by else None
    if words is None or successor is None:
        considered = ", ".join(facts.label(other) for other in term.consider)
        hint = f"; its source suggests {considered}" if considered else ""
        return none_found(f"{facts.label(a)} is obsolete and nothing replaces it{hint}")
    replaced = Statement(Form.REPLACED, subject=a, objects=(successor.id,))
    following = definition(facts, successor.id)
    return Found((Finding(replaced, (words,)), *following.findings), following.notes)
