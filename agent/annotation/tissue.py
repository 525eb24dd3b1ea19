"""The tissue that a user means, by its id, its name or a synonym."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.errors import BadInput, UnknownTerm
from kg.terms import Category, Curie, is_curie

if TYPE_CHECKING:
    from kg.graph import KnowledgeGraph

__all__ = ["said", "tissue_of"]

_OFFERED = 5
_EQUAL = 0.005  # candidates this close are equally good: the user is asked


def tissue_of(text: str | None, graph: KnowledgeGraph) -> Curie | None:
    """The anatomical entity that a text names; None where there is no text.

    Raises
    ------
    BadInput
        When several are named so.
    UnknownTerm
        When none is; the message has suggestions.
    """
    if text is None:
        return None
    from agent.lookup import term

    found = term(text, categories=(Category.ANATOMY,), limit=_OFFERED, graph=graph)
    named = [one for one in found if one.how not in ("part", "words")]
    if not named:
        offers = ", ".join(_like(text, graph) or [f"{one.label} ({one.id})" for one in found])
        like = f"like one of these: {offers}" if offers else "such as lung or UBERON:0002048"
        what = "id" if is_curie(text) else "name"
        raise UnknownTerm(
            f"no tissue of the graph has the {what} {text!r}; expected a name or an id, {like}"
        )
    first, *others = named
    if rivals := [one for one in others if one.score >= first.score - _EQUAL]:
        offers = ", ".join(f"{one.label} ({one.id})" for one in (first, *rivals))
        raise BadInput(f"the tissue {text!r} may be {offers}; name one of them by its id")
    return first.id


def _like(text: str, graph: KnowledgeGraph) -> list[str]:
    """Tissues of the marker knowledge that are spelled alike."""
    from difflib import get_close_matches

    from kg.tissues import tissues_of

    places = graph.terms({place for some in tissues_of().values() for place in some})
    called = {term.label: f"{term.label} ({term.id})" for term in places.values()}
    return [called[one] for one in get_close_matches(text.casefold(), called, _OFFERED)]


def said(text: str | None, tissue: Curie | None, graph: KnowledgeGraph) -> tuple[str, ...]:
    """How a text that is no id was read, as a notice."""
    if tissue is None or text == tissue:
        return ()
    known = graph.term(tissue)
    return (f"tissue {text!r} is read as {known.label if known else tissue} ({tissue})",)
