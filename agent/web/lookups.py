"""Routes that read the knowledge graph and the literature alone."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query

from agent.web.models import Health, PassageDocument
from agent.web.serving import Limits, Visitor
from agent.web.sessions import NotThere

if TYPE_CHECKING:
    from kg.graph import KnowledgeGraph

__all__ = ["router"]

router = APIRouter(tags=["look-ups"])

Words = Annotated[str, Query(min_length=1, max_length=300)]


def _graph(limits: Limits) -> KnowledgeGraph:
    from agent.lookup import open_graph

    return open_graph(limits.graph)


@router.get("/health")
def health(limits: Limits) -> Health:
    """The state of the server, and the releases that answers rest on."""
    from agent.evaluation.demo import ASSET
    from data import sources

    releases = {name: one.version for name, one in sorted(_graph(limits).releases.items())}
    return Health(
        status="ok",
        version=version("celloquy"),
        demo=sources.present(ASSET),
        upload_bytes=limits.upload_bytes,
        image_bytes=min(limits.image_bytes, limits.upload_bytes),
        knockouts=limits.knockouts is not None,
        drawn=limits.drawn,
        releases=releases,
    )


@router.get("/term")
def term(limits: Limits, q: Words, limit: Annotated[int, Query(ge=1, le=50)] = 8) -> dict[str, Any]:
    """Terms that a text names, as ``celloquy term --json`` gives them."""
    from agent import lookup
    from agent.documents import term_document

    graph = _graph(limits)
    return term_document(q, lookup.term(q, limit=limit, graph=graph), graph)


@router.get("/path")
def path(
    limits: Limits,
    a: Words,
    b: Words,
    predicates: Annotated[str | None, Query(max_length=80)] = None,
) -> dict[str, Any]:
    """How two terms are related, as ``celloquy path --json`` gives it."""
    from agent import lookup
    from agent.documents import path_document

    graph = _graph(limits)
    return path_document(lookup.path(a, b, predicates=predicates, graph=graph), graph)


@router.get("/neighbours")
def neighbours(
    limits: Limits,
    gene: Words,
    relation: Annotated[
        list[Annotated[str, Query(max_length=80)]] | None, Query(max_length=8)
    ] = None,
    evidence: Annotated[
        list[Annotated[str, Query(max_length=80)]] | None, Query(max_length=8)
    ] = None,
    hops: Annotated[int, Query(ge=1, le=2)] = 1,
    limit: Annotated[int, Query(ge=1, le=200)] = 30,
    offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
    species: Literal["human", "mouse"] | None = None,
) -> dict[str, Any]:
    """A gene's neighbours, as ``celloquy neighbours --json`` gives them."""
    from agent import lookup
    from agent.documents import neighbours_document

    graph = _graph(limits)
    found = lookup.gene_neighbourhood(
        gene, relations=relation, evidence=evidence or (), hops=hops, limit=limit, offset=offset,
        species=species, graph=graph,
    )  # fmt: skip
    return neighbours_document(found, graph)


@router.get("/passage")
def passage(
    session: Visitor, pmid: Annotated[str, Query(pattern=r"^\d{1,10}$")]
) -> PassageDocument:
    """The stored text of a citation: what the offsets of a quote count in."""
    literature = session.conversation.agent.literature
    text = literature.stored_text(pmid) if literature is not None else None
    if text is None:
        raise NotThere(f"the literature index has no PMID:{pmid}")
    return PassageDocument(pmid=pmid, text=text)
