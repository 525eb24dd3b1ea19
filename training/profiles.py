"""Cells to align on without a hub: profiles drawn from the graph's marker knowledge, and real ones.

:func:`simulate` draws, for every type with positive markers, cells of several made-up donors:
counts are negative binomial around the measured background (:mod:`training.background`) at a
measured depth; a marker is switched on with a chance that rises with the belief in it
(:mod:`encoders.celltypes.markersets`) and then has a measured level; negative markers go down. Half
of the donors are seen through a panel of genes only, as files of variable genes are. Simulated
cells are always marked as such (``simulated``): they hold what marker tables say and nothing else.

:func:`real` reads labelled cells of a file, with Cell Ontology ids or labels that ground to them.
:func:`training_cells` puts both together as cell vectors with their terms, held-out types
(:mod:`training.holdout`) left out. Knows no model.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from encoders.celltext import CellEncoder
from encoders.celltypes.markersets import MarkerSets
from encoders.genept import Centring, cell_vectors
from kg.backoff import Hierarchy
from kg.terms import Curie
from training.background import Background, read
from training.holdout import held_out, refuse_kept_out

if TYPE_CHECKING:
    import scipy.sparse as sp

    from kg.graph import KnowledgeGraph

__all__ = [
    "CellSet",
    "Profiles",
    "SimulationConfig",
    "development",
    "encoded",
    "fitted",
    "gene_weights",
    "joined",
    "main",
    "marker_sets",
    "parts",
    "real",
    "simulate",
    "training_cells",
]

SIMULATED = "simulated"
"""Origin of the cells that were drawn."""

_BELIEF = (0.0, 0.05, 0.2, 0.45, 0.8)
_CHANCE = (0.15, 0.38, 0.72, 0.83, 1.0)
_LEVEL = (0.4, 0.5, 0.95, 1.1, 1.7)
_LEVEL_SD = 1.2
"""Belief in a marker, the share of such markers above 0.3 counts in 10,000 in cells of the type,
and the mean and standard deviation of the log of their level: T cells, macrophages and monocytes
of the two datasets of :mod:`training.background`, 791 pairs of type and marker."""

_DOWN = 0.98
"""Share of its level that a sure negative marker loses."""


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """How many cells: ``donors`` x ``cells`` a type.

    A donor has its own genes on, its own levels and, with the chance ``panel_share``, a panel of
    ``panel_genes`` (least and most) in which markers are twice as likely as other genes.
    """

    donors: int = 4
    cells: int = 6
    panel_share: float = 0.5
    panel_genes: tuple[int, int] = (600, 2_500)
    marker_weight: float = 2.0


@dataclass(frozen=True, eq=False)
class Profiles:
    """Expression of labelled cells: log1p of counts in 10,000, [cells, genes]."""

    values: sp.csr_array
    genes: tuple[str, ...]
    types: tuple[Curie, ...]
    origin: str

    @property
    def simulated(self) -> bool:
        """Whether the cells were drawn rather than measured."""
        return self.origin == SIMULATED

    def __len__(self) -> int:
        return len(self.types)


@dataclass(frozen=True, eq=False)
class CellSet:
    """Cell vectors [cells, dimension] with their terms and where each comes from."""

    vectors: NDArray[np.float32]
    types: tuple[Curie, ...]
    origins: tuple[str, ...]

    @property
    def simulated(self) -> NDArray[np.bool_]:
        """Which cells were drawn."""
        return np.array([origin == SIMULATED for origin in self.origins], dtype=bool)

    def __len__(self) -> int:
        return len(self.types)

    def of(self, chosen: NDArray[np.bool_]) -> CellSet:
        """Some of the cells."""
        rows = np.flatnonzero(chosen)
        return CellSet(
            self.vectors[rows],
            tuple(self.types[i] for i in rows),
            tuple(self.origins[i] for i in rows),
        )


# --- simulated ---------------------------------------------------------------------------------


def marker_sets(hierarchy: Hierarchy, unseen: Collection[Curie] = ()) -> MarkerSets:
    """The shipped markers on the ontology, without the types of ``unseen``."""
    from data.markers import read_markers
    from encoders.celltypes.markersets import build_sets
    from kg.blocked import blocked

    facts = [marker for marker in read_markers() if marker.cl_id not in set(unseen)]
    sets = build_sets(facts, hierarchy, never=blocked(hierarchy))
    return sets.of(set(sets.ids) - set(unseen))


def simulate(
    sets: MarkerSets,
    background: Background,
    config: SimulationConfig | None = None,
    *,
    seed: int = 0,
) -> list[Profiles]:
    """Draw cells of every type of ``sets``.

    Returns
    -------
    list of Profiles
        One for each donor: donors differ in the genes that are seen.
    """
    config = config or SimulationConfig()
    genes = tuple(sorted(set(background.genes) | set(sets.genes)))
    place = {gene: i for i, gene in enumerate(genes)}
    base = np.zeros(len(genes))
    base[[place[gene] for gene in background.genes]] = background.rates
    columns = np.array([place[gene] for gene in sets.genes])
    random = np.random.default_rng(seed)
    made = []
    for _ in range(config.donors):
        noise = np.exp(random.normal(0, background.between, len(genes)))
        levels = _levels(sets, columns, base * noise, random)
        drawn = _draw(levels, config.cells, background, random)
        types = tuple(term for term in sets.ids for _ in range(config.cells))
        profiles = Profiles(drawn, genes, types, SIMULATED)
        if random.random() < config.panel_share:
            profiles = on_panel(profiles, set(sets.genes), config, random)
        made.append(profiles)
    return made


def _levels(
    sets: MarkerSets,
    columns: NDArray[np.int64],
    base: NDArray[np.float64],
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """Rates [types, genes] of one donor, each row summing to 1."""
    levels = np.tile(base.astype(np.float32), (len(sets.ids), 1))
    for t in range(len(sets.ids)):
        span = slice(sets.on.indptr[t], sets.on.indptr[t + 1])
        belief = sets.on.data[span].astype(float)
        on = random.random(len(belief)) < np.interp(belief, _BELIEF, _CHANCE)
        height = np.exp(random.normal(np.interp(belief, _BELIEF, _LEVEL), _LEVEL_SD))
        where = columns[sets.on.indices[span]][on]
        levels[t, where] = np.maximum(levels[t, where], height[on])
        span = slice(sets.off.indptr[t], sets.off.indptr[t + 1])
        levels[t, columns[sets.off.indices[span]]] *= 1 - _DOWN * sets.off.data[span]
    return np.asarray(levels / levels.sum(axis=1, keepdims=True))


def _draw(
    levels: NDArray[np.float32], cells: int, background: Background, random: np.random.Generator
) -> sp.csr_array:
    """Counts around the levels, as log1p in 10,000; ``cells`` rows for each row of levels."""
    import scipy.sparse as sp

    parts = []
    shape = 1 / background.dispersion
    for row in levels:
        depth = np.exp(random.normal(background.depth_mean, background.depth_sd, cells))
        mean = depth[:, None] * row[None, :]
        counts = sp.csr_array(random.poisson(mean * random.gamma(shape, 1 / shape, mean.shape)))
        total = np.maximum(np.asarray(counts.sum(axis=1), dtype=float).ravel(), 1.0)
        scaled = counts.astype(np.float32)
        scaled.data = np.log1p(scaled.data * np.repeat(1e4 / total, np.diff(counts.indptr))).astype(
            np.float32
        )
        parts.append(scaled)
    return sp.csr_array(sp.vstack(parts))


def on_panel(
    profiles: Profiles,
    markers: Collection[str],
    config: SimulationConfig,
    random: np.random.Generator,
) -> Profiles:
    """The same cells with some of the genes only; values were scaled before, as in real files."""
    weight = np.array([config.marker_weight if gene in markers else 1.0 for gene in profiles.genes])
    least, most = config.panel_genes
    size = min(int(random.integers(least, most + 1)), len(profiles.genes))
    chosen = random.choice(len(profiles.genes), size, replace=False, p=weight / weight.sum())
    chosen.sort()
    genes = tuple(profiles.genes[i] for i in chosen)
    return replace(profiles, values=profiles.values[:, chosen], genes=genes)


# --- real --------------------------------------------------------------------------------------


def real(path: Path, column: str, graph: KnowledgeGraph, hierarchy: Hierarchy) -> Profiles:
    """Labelled cells of a file; cells whose label is no current term are left out.

    Parameters
    ----------
    path
        An .h5ad file.
    column
        Its column of Cell Ontology ids or of labels, which are grounded.
    graph
        The names of cell types.
    hierarchy
        The Cell Ontology.

    Raises
    ------
    BadInput
        When the file is kept out of training, or no label of it grounds to a term.
    """
    from data.h5ad import open_cells
    from kg.naming.labels import ground_label

    refuse_kept_out(path)
    with open_cells(path) as found:
        cells = found.harmonised()
        labels = [str(label) for label in np.asarray(cells.column(column))]
        values = _stacked(block.values for block in cells.blocks())
        genes = tuple(cells.genes)
    terms: dict[str, Curie] = {}
    for label in sorted(set(labels)):
        named = label.replace("_", ":", 1) if label.startswith("CL_") else label
        best = [] if named in hierarchy else ground_label(named, graph)
        term = named if named in hierarchy else best[0].id if best else ""
        if term in hierarchy:
            terms[label] = term
    kept = [i for i, label in enumerate(labels) if label in terms]
    if not kept:
        some = ", ".join(sorted(set(labels))[:5])
        raise BadInput(
            f"{path}: no label in {column!r} names a cell type ({some}); expected Cell Ontology "
            "ids or names"
        )
    return Profiles(values[kept], genes, tuple(terms[labels[i]] for i in kept), path.stem)


def development(folder: Path) -> list[Profiles]:
    """The development datasets that are not kept out, with their labels mapped by hand."""
    import scipy.sparse as sp

    from training.annotation.data import DATASETS, load
    from training.holdout import KEPT_OUT

    found = [load(name, folder) for name in DATASETS if name not in KEPT_OUT]
    return [Profiles(sp.csr_array(d.values), d.genes, d.truth, d.name) for d in found]


def _stacked(blocks: Iterable[sp.csr_matrix]) -> sp.csr_array:
    import scipy.sparse as sp

    return sp.csr_array(sp.vstack(list(blocks)))


# --- together ----------------------------------------------------------------------------------


def gene_weights(sets: MarkerSets) -> dict[str, float]:
    """Square root of how well each gene is known as a marker of any type."""
    known = np.sqrt(sets.reliability)
    return {gene: round(float(w), 4) for gene, w in zip(sets.genes, known, strict=True) if w > 0}


def parts(
    hierarchy: Hierarchy,
    measured: Sequence[Profiles] = (),
    *,
    config: SimulationConfig | None = None,
    views: int = 2,
    seed: int = 0,
) -> list[Profiles]:
    """Simulated and real cells to train on, held-out types left out of the simulated ones.

    ``views`` is how often real cells are shown through a panel of genes, beside once in full.
    """
    config = config or SimulationConfig()
    sets = marker_sets(hierarchy, held_out(hierarchy))
    found = simulate(sets, read(), config, seed=seed)
    random = np.random.default_rng([seed, 1])
    for one in measured:
        found.append(one)
        if len(one.genes) > config.panel_genes[1]:
            found += [on_panel(one, set(sets.genes), config, random) for _ in range(views)]
    return found


def encoded(
    profiles: Iterable[Profiles],
    encoder: CellEncoder,
    *,
    unseen: Collection[Curie] = (),
    progress: bool = False,
) -> CellSet:
    """Cell vectors of all profiles, without the types of ``unseen`` and cells without a gene."""
    some = list(profiles)
    found = encoder.gene_vectors(sorted({g for p in some for g in p.genes}), progress=progress)
    sets = []
    for part in some:
        vectors = cell_vectors(part.values, part.genes, found, centring=encoder.centring)
        keep = vectors.any(axis=1) & np.array([term not in unseen for term in part.types])
        sets.append(CellSet(vectors, part.types, (part.origin,) * len(part)).of(keep))
    return joined(sets)


def joined(sets: Sequence[CellSet]) -> CellSet:
    """Several sets as one."""
    return CellSet(
        np.concatenate([one.vectors for one in sets]),
        tuple(term for one in sets for term in one.types),
        tuple(origin for one in sets for origin in one.origins),
    )


def fitted(
    hierarchy: Hierarchy, profiles: Sequence[Profiles], *, whiten: bool = True
) -> CellEncoder:
    """The default encoder with its centring fitted on these cells, held-out types left out."""
    unseen = held_out(hierarchy)
    plain = CellEncoder(gene_weights(marker_sets(hierarchy, unseen)))
    cells = encoded(profiles, plain, unseen=unseen)
    return replace(plain, centring=Centring.fit(cells.vectors, whiten=whiten))


def training_cells(
    hierarchy: Hierarchy,
    measured: Sequence[Profiles] = (),
    *,
    encoder: CellEncoder | None = None,
    config: SimulationConfig | None = None,
    views: int = 2,
    seed: int = 0,
) -> CellSet:
    """Simulated and real cells to align on, as vectors, held-out types left out.

    Parameters
    ----------
    hierarchy
        The Cell Ontology.
    measured
        Real cells, of :func:`real` or :func:`development`.
    encoder
        The shipped one by default.
    config
        How many simulated cells.
    views
        Times that real cells are shown through a panel of genes, beside once in full.
    seed
        Of the draw.
    """
    made = parts(hierarchy, measured, config=config, views=views, seed=seed)
    return encoded(made, encoder or CellEncoder.shipped(), unseen=held_out(hierarchy))


def main(arguments: list[str] | None = None) -> int:
    """Fit the default encoder's weights and centring and write them where they ship."""
    from training.annotation.data import cell_ontology

    parser = argparse.ArgumentParser(prog="python -m training.profiles")
    parser.add_argument("--data", type=Path, help="folder of development data")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    hierarchy, _ = cell_ontology()
    measured = development(options.data) if options.data else []
    encoder = fitted(hierarchy, parts(hierarchy, measured, seed=options.seed))
    digest = encoder.save()
    sys.stdout.write(f"{len(encoder.weights):,} genes with a weight; sha256 {digest}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
