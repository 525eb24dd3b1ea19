"""``celloquy.pl``: pictures, Axes in and Axes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from data.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["neighbours", "path", "umap"]


def umap(
    adata: Any,
    *,
    color: str = "celloquy_cell_type",
    basis: str = "X_umap",
    palette: Mapping[str, str] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the cells of an AnnData, coloured by a column of ``obs``.

    Parameters
    ----------
    adata
        An AnnData with an embedding.
    color
        The column.
    basis
        Key of ``obsm``; its first two dimensions are drawn.
    palette
        Colours that some labels shall have.
    title
        What stands above; the name of the column where not given.
    ax
        Axes to draw into; None makes a figure.

    Raises
    ------
    BadInput
        When there is no such column or embedding.
    """
    from agent.pictures.scatter import draw_cells

    if color not in adata.obs.columns:
        raise BadInput(f"obs has no column {color!r}; annotate first: celloquy.tl.annotate(adata)")
    if basis not in adata.obsm:
        some = ", ".join(sorted(adata.obsm)) or "none"
        raise BadInput(f"obsm has no {basis!r} (it has: {some}); make one with scanpy.tl.umap")
    xy = np.asarray(adata.obsm[basis])[:, :2]
    labels = adata.obs[color].astype(str).to_numpy()
    return draw_cells(xy, labels, title=color if title is None else title, colours=palette, ax=ax)


def path(a: str, b: str, *, predicates: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw how two terms are related, through their lowest common ancestor.

    Parameters
    ----------
    a, b
        Names or ids.
    predicates
        What leads upward: ``"i"`` (is a), ``"p"`` (part of) or ``"i,p"``.
    ax
        Axes to draw into; None makes a figure.
    """
    from agent import lookup
    from agent.documents import sources_of
    from agent.pictures.picture import draw_path

    graph = lookup.open_graph()
    found = lookup.path(a, b, predicates=predicates, graph=graph)
    return draw_path(found, releases=_releases(graph, sources_of(found)), ax=ax)


def neighbours(
    gene: str,
    *,
    relations: Iterable[str] | None = None,
    limit: int = 30,
    ax: Axes | None = None,
) -> Axes:
    """Draw a gene's neighbours in the knowledge graph, the best supported ones.

    Parameters
    ----------
    gene
        A symbol, an alias or an id.
    relations
        Only these relations ("involved in").
    limit
        At most so many.
    ax
        Axes to draw into; None makes a figure.
    """
    from agent import lookup
    from agent.documents import sources_of
    from agent.pictures.picture import draw_neighbours

    graph = lookup.open_graph()
    found = lookup.gene_neighbourhood(gene, relations=relations, limit=limit, graph=graph)
    return draw_neighbours(found, releases=_releases(graph, sources_of(found)), ax=ax)


def _releases(graph: Any, sources: Iterable[str]) -> list[str]:
    from agent.documents import releases_of

    return [f"{name} {row['version']}" for name, row in releases_of(graph, sources).items()]
