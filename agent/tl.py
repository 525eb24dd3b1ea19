"""``celloquy.tl``: tools on an AnnData, after the custom of the scverse packages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data.errors import BadInput

if TYPE_CHECKING:
    from agent.annotation.result import Annotation
    from data.genes import Species

__all__ = ["annotate"]


def annotate(
    adata: Any,
    *,
    groupby: str | None = None,
    key_added: str = "celloquy",
    candidates: str | Sequence[str] | None = None,
    tissue: str | None = None,
    encoder: str | None = None,
    reference: Any = None,
    reference_key: str | None = None,
    layer: str | None = None,
    min_confidence: float = 0.5,
    copy: bool = False,
    species: Species | None = None,
    smooth: bool | None = None,
) -> Any:
    """Give every cell the deepest Cell Ontology term that its marker genes support.

    No label of the dataset is read and nothing is trained on it.

    Parameters
    ----------
    adata
        An AnnData with counts or log1p values in ``X``, ``raw`` or a layer.
    groupby
        Column of ``obs`` whose groups (clusters) vote as well; cells that are surely of another
        type than their group keep their own.
    key_added
        Beginning of the names of what is added.
    candidates
        Only answers at or below these Cell Ontology terms.
    tissue
        Id or name of the tissue: types that were never reported from it are less expected.
    encoder
        What speaks beside the markers: ``"obsm:KEY"``, an embedding of the dataset, or the name
        of an encoder (``"gene-text"``); by default nothing does.
    reference
        Column of ``obs`` with cell types of some cells: their mean vectors in the encoder's space
        join the markers; a type that no centroid fits is left to the markers. Or another dataset,
        a path or an AnnData: its labels are carried over, by principal components of the genes
        that both have or by ``encoder``, and a cell that is like none of them is unknown.
    reference_key
        The column of the other dataset's labels.
    layer
        ``"X"``, ``"raw"`` or a layer; the best is found where not given.
    min_confidence
        What an answer's confidence must reach; below it the answer is a more general term.
    copy
        Return an annotated copy and leave ``adata`` as it is.
    species
        ``"human"`` or ``"mouse"``; found from the names of the genes where not given.
    smooth
        Whether neighbouring cells have a say; where not given, up to 100,000 cells.

    Returns
    -------
    AnnData or None
        The copy, or None where ``adata`` itself was annotated: ``obs`` has
        ``celloquy_cell_type``, ``celloquy_cell_type_ontology_term_id``, ``celloquy_confidence``,
        ``celloquy_leaf``, ``celloquy_leaf_ontology_term_id``, ``celloquy_reason`` (and
        ``celloquy_cluster_...``), ``obsm`` has ``X_celloquy``, ``uns`` has ``celloquy``.

    Raises
    ------
    BadInput
        When an option cannot be used, or the dataset holds no expression or no known genes.
    """
    from agent.annotation.annotate import AnnotateConfig, annotate_cells
    from data.h5ad import open_cells

    if not key_added or "/" in key_added:
        raise BadInput(f"{key_added!r} is no beginning of a column's name; expected one without /")
    config = AnnotateConfig(
        min_confidence=min_confidence,
        groupby=groupby,
        candidates=(candidates,) if isinstance(candidates, str) else tuple(candidates or ()),
        tissue=tissue,
        encoder=encoder,
        **_reference(reference, reference_key),
        smooth=smooth,
        species=species,
    )
    with open_cells(adata, layer) as cells:
        found = annotate_cells(cells, config)
    target = adata.copy() if copy else adata
    _put(found, target, key_added)
    return target if copy else None


def _reference(reference: Any, key: str | None) -> dict[str, Any]:
    """A column's name, or another dataset with the column of its labels."""
    if key is None:
        return {"reference": reference}
    return {"atlas": reference, "atlas_key": key}


def _put(found: Annotation, adata: Any, key: str) -> None:
    # An earlier annotation by groups would otherwise stand beside answers that it does not fit.
    old = [name for name in adata.obs.columns if str(name).startswith(f"{key}_cluster_")]
    if old:
        adata.obs = adata.obs.drop(columns=old)
    for name, values in found.columns(key).items():
        adata.obs[name] = values
    adata.obsm[f"X_{key}"] = found.embedding
    adata.uns[key] = found.uns()
