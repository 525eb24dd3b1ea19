"""The suite ``llm``: how aligned cells rank the names of cell types, and how far apart they lie.

``python -m training.evaluate.llm --data FOLDER [--weights FOLDER] [--picture FILE.png]``

Three sets that no weight was trained on: simulated cells of the held-out types (unseen types), and
PBMC3k and PBMC68k (unseen datasets, which hold seen and unseen types). Two settings: restricted to
the set's own types, and open to all types with markers. Beside the aligned projector stand

* untrained: a projector of the same form with random weights, over seeds;
* random: one random linear layer, over seeds;
* centroid: the nearest mean vector of the training cells of a type, which says nothing of types
  without training cells; and the same spread over the ontology by the rule of the alignment;
* marker centroid: the nearest vector of a type's own markers, those of the held-out types among
  them, which the aligned projector never saw;
* top-20 genes as text: the language model's likelihood of each name after the highest genes,
  plainly and less its likelihood without them, on a sample of the cells (restricted setting only);
* majority.

No constant is chosen here.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from encoders import aligned as alignments
from encoders.aligned import SHIPPED, Aligned, expected
from encoders.labels import term_text
from kg.backoff import Hierarchy
from kg.terms import Curie, Term
from training import profiles
from training.align_data import Material, gather
from training.annotation.data import Dataset, load
from training.background import read
from training.evaluate.figures import Report, versions
from training.evaluate.ranking import Gap, Ranking, gap, paired
from training.holdout import KEPT_OUT
from training.profiles import CellSet, Profiles

if TYPE_CHECKING:
    from encoders.celltext import CellEncoder
    from encoders.language import LanguageModel

__all__ = ["FORMATS", "UNSEEN", "Bench", "Set", "draw", "llm", "main"]

SEEDS = 10
"""Seeds of what is random."""

UNSEEN = "unseen types"
"""Simulated cells of the held-out types."""

SAMPLE = 200
"""Cells of a dataset that the language model reads as text: a cell takes it a third of a second."""

_MOST = 100  # standard errors that are worth a number

TOP = 20
"""Genes in that text."""

FORMATS = (".png", ".pdf", ".svg")
"""Of the picture."""

_READING = (
    f"{UNSEEN}: simulated cells of held-out types; {' and '.join(KEPT_OUT)}: real cells, never "
    "trained on; own types: the set's, all types: every type with markers",
    "marker centroid knows the markers of the held-out types, the others do not; majority is told "
    "how many cells of the set each type has",
    "balanced R@5 counts each type alike: the same five of n types for every cell give 5 / n there "
    "and, in R@5, their share of the cells",
)

_SIMULATION = profiles.SimulationConfig(donors=3, cells=4)
_SEED = 7  # of the simulated cells that are scored; training draws with 0


@dataclass(frozen=True, eq=False)
class Set:
    """Cells to score on: vectors, true terms, and their profiles."""

    name: str
    vectors: NDArray[np.float32]
    truth: tuple[Curie, ...]
    parts: tuple[Profiles, ...]

    @property
    def own(self) -> tuple[Curie, ...]:
        """Its types."""
        return tuple(sorted(set(self.truth)))

    def sample(self, cells: int, seed: int = 0) -> tuple[Set, NDArray[np.int64]]:
        """So many of its cells, without their profiles, and their places."""
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(len(self.truth), min(cells, len(self.truth)), replace=False))
        return Set(self.name, self.vectors[rows], tuple(self.truth[i] for i in rows), ()), rows


class Bench:
    """The three sets, the candidates, and the baselines on them.

    Parameters
    ----------
    folder
        Of development data.
    material
        What was trained on.
    encoder
        That of the cells.
    """

    def __init__(self, folder: Path, material: Material, encoder: CellEncoder) -> None:
        self.material, self.encoder = material, encoder
        self.tree: Hierarchy = material.hierarchy
        self.markers = profiles.marker_sets(self.tree)
        self.open = tuple(self.markers.ids)
        unseen = self.markers.of(set(self.markers.ids) & material.unseen)
        drawn = profiles.simulate(unseen, read(), _SIMULATION, seed=_SEED)
        self.sets = [self._set(UNSEEN, drawn)]
        for name in KEPT_OUT:
            self.sets.append(self._set(name, [_profiles(load(name, folder))]))

    def _set(self, name: str, parts: Sequence[Profiles]) -> Set:
        found: CellSet = profiles.encoded(parts, self.encoder)
        return Set(name, found.vectors, found.types, tuple(parts))

    def candidates(self, some: Set, *, restricted: bool) -> tuple[Curie, ...]:
        """The types to choose from; the true ones are always among them."""
        return some.own if restricted else tuple(sorted({*self.open, *some.own}))

    def terms(self, ids: Sequence[Curie]) -> list[Term]:
        """The terms of ids."""
        return [self.material.terms[one] for one in ids]

    def rank(self, some: Set, candidates: Sequence[Curie], scores: NDArray[Any]) -> Ranking:
        """Figures of scores [cells, candidates]."""
        return Ranking.of(scores, candidates, some.truth, self.tree)

    # --- baselines -----------------------------------------------------------------------------

    @cached_property
    def _centroids(self) -> dict[Curie, NDArray[np.float32]]:
        cells = self.material.cells
        types = np.array(cells.types)
        return {str(t): cells.vectors[types == t].mean(axis=0) for t in np.unique(types)}

    @cached_property
    def _marker_centroids(self) -> dict[Curie, NDArray[np.float32]]:
        rows = self.encoder.encode(self.markers.on, self.markers.genes)
        return dict(zip(self.markers.ids, rows, strict=True))

    def nearest(
        self, some: Set, candidates: Sequence[Curie], *, markers: bool = False
    ) -> NDArray[np.float32]:
        """Cosine to each candidate's centroid; -1 where it has none."""
        known = self._marker_centroids if markers else self._centroids
        scores = np.full((len(some.truth), len(candidates)), -1.0, dtype=np.float32)
        here = [i for i, one in enumerate(candidates) if one in known]
        if here:
            middle = np.array([known[candidates[i]] for i in here])
            middle /= np.maximum(np.linalg.norm(middle, axis=1, keepdims=True), 1e-12)
            scores[:, here] = some.vectors @ middle.T
        return scores

    def spread(self, some: Set, candidates: Sequence[Curie], found: Aligned) -> NDArray[np.float32]:
        """The nearest centroids, spread over the ontology as an alignment's scores are."""
        known = sorted(set(self._centroids) & set(found.known))
        middle = np.array([self._centroids[one] for one in known])
        middle /= np.maximum(np.linalg.norm(middle, axis=1, keepdims=True), 1e-12)
        nothing = np.zeros((len(candidates), middle.shape[1]), np.float32)
        return expected(
            some.vectors, middle, known, nothing, candidates, self.tree, found.config
        )  # fmt: skip

    def randomly(
        self, some: Set, found: Aligned, ids: Sequence[Curie], seed: int
    ) -> NDArray[np.float32]:
        """Scores of a random linear layer's output, by the same rule."""
        texts = found.texts(self.terms(ids))
        rng = np.random.default_rng(seed)
        layer = rng.standard_normal((some.vectors.shape[1], texts.shape[1])).astype(np.float32)
        cells = some.vectors @ layer
        cells /= np.maximum(np.linalg.norm(cells, axis=1, keepdims=True), 1e-12)
        return expected(
            cells, found.known_texts, found.known, texts, ids, self.tree, found.config
        )  # fmt: skip


def llm(
    folder: Path,
    weights: Path = SHIPPED,
    *,
    sample: int = SAMPLE,
    picture: Path | None = None,
    seed: int = 0,
) -> Report:
    """Run the suite.

    Parameters
    ----------
    folder
        Of development data.
    weights
        The alignment to score.
    sample
        Cells of each dataset that the language model reads as text; 0 to leave that out.
    picture
        Where to draw cells and texts before and after alignment; None to draw nothing.
    seed
        Of the training cells and of the sample.

    Raises
    ------
    BadInput
        When the picture cannot be written there; told before anything is measured.
    DependencyMissing
        When a picture is asked for without the ``plot`` extra.
    """
    from encoders.celltext import CellEncoder

    if picture:
        _drawable(picture)
    encoder = CellEncoder.shipped()
    material = gather((), folder, seed=seed)
    bench = Bench(folder, material, encoder)
    found = alignments.load(weights)
    report = Report("llm", seed=seed, versions=versions("torch", "transformers"))
    starts = _starts(found)
    for some in bench.sets:
        for restricted in (True, False):
            _rank(report, bench, some, found, starts, restricted=restricted)
        if sample and some.name in KEPT_OUT:
            _as_text(report, bench, some, found, sample, seed)
        _gaps(report, bench, some, found, starts[0])
    report.assets = {"encoder": encoder.identity["content"], **_hashes(weights)}
    share = np.mean([origin == profiles.SIMULATED for origin in material.cells.origins])
    report.notes.append(
        f"trained on {len(material.cells):,} cells of {len(set(material.cells.types))} types, "
        f"{share:.0%} of them simulated"
    )
    report.notes += _READING
    if picture:
        draw(bench.sets[0], found, starts[0], bench.material.terms, picture)
        report.notes.append(f"drawn to {picture}")
    return report


def _starts(found: Aligned) -> list[Aligned]:
    """A projector of the same form that knows nothing, with several seeds."""
    from training.align import AlignConfig, untrained

    config = found.model.projector.config
    plan = AlignConfig(
        kind=config.kind, tokens=config.tokens, hidden=config.hidden, bt=config.bt, ridge=None
    )  # fmt: skip
    language = found.model.language
    models = [untrained(language, config.width_in, plan, seed) for seed in range(SEEDS)]
    return [
        Aligned(model, found.config, found.centre, found.known, found.known_texts)
        for model in models
    ]


def _rank(
    report: Report,
    bench: Bench,
    some: Set,
    found: Aligned,
    starts: Sequence[Aligned],
    *,
    restricted: bool,
) -> None:
    ids = bench.candidates(some, restricted=restricted)
    terms = bench.terms(ids)
    where = f"{some.name}, {'own' if restricted else 'all'} {len(ids)} types"
    own = bench.rank(some, ids, found.expected(some.vectors, terms, bench.tree))
    for name, value in own.figures().items():
        report.add(f"{where}: {name}", value, len(some.truth))
    untrained = [bench.rank(some, ids, s.expected(some.vectors, terms, bench.tree)) for s in starts]
    random = [bench.rank(some, ids, bench.randomly(some, found, ids, s)) for s in range(SEEDS)]
    _several(report, "untrained", where, untrained)
    _several(report, "random", where, random)
    single = {
        "aligned, by text alone": found.compare(some.vectors, terms),
        "centroid": bench.nearest(some, ids),
        "centroid, spread": bench.spread(some, ids, found),
        "marker centroid": bench.nearest(some, ids, markers=True),
        "majority": _majority(some, ids),
    }
    for name, scores in single.items():
        _several(report, name, where, [bench.rank(some, ids, scores)])
    for name, others in (("untrained", untrained), ("random", random)):
        _margins(report, where, own, name, others)


def _margins(
    report: Report, where: str, own: Ranking, name: str, others: Sequence[Ranking]
) -> None:
    """How far above a random method, in standard errors of the mean over its seeds and the cells.

    The error of the cells is that of R@1 on so many; for the other figures it is the spread over
    the seeds alone.
    """
    n = len(own.right)
    said = []
    for figure, value in own.figures().items():
        values = [other.figures()[figure] for other in others]
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        if figure in ("R@1", "R@5"):
            error = np.hypot(error, np.sqrt(value * (1 - value) / n))
        margin = (value - np.mean(values)) / max(error, 1e-9)
        said.append(_margin(figure, margin))
    worst = _least([paired(own.right, other.right) for other in others])
    report.notes.append(
        f"{where}: above {name} (mean of {len(others)} seeds) by standard errors: "
        f"{', '.join(said)}; above its luckiest seed, cell by cell, R@1 {worst:+.1f}"
    )


def _margin(figure: str, errors: float) -> str:
    """So many standard errors; seeds that all say the same have no spread to measure by.

    >>> _margin("Lin", -4.23), _margin("Lin", 3689.2)
    ('Lin -4.2', 'Lin beyond +100')
    """
    if abs(errors) < _MOST:
        return f"{figure} {errors:+.1f}"
    return f"{figure} beyond {_MOST if errors > 0 else -_MOST:+d}"


def _least(margins: Sequence[tuple[float, float]]) -> float:
    return min(mean / error if error > 0 else 0.0 for mean, error in margins)


def _several(report: Report, name: str, where: str, runs: Sequence[Ranking]) -> None:
    """Figures of a baseline: mean and standard deviation over its seeds."""
    for figure in runs[0].figures():
        values = [run.figures()[figure] for run in runs]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        report.beside(
            name, f"{where}: {figure}", float(np.mean(values)), len(runs[0].right), spread
        )


def _majority(some: Set, ids: Sequence[Curie]) -> NDArray[np.float32]:
    """Candidates by how many cells of the set they are true of: it is told the truth's counts."""
    counts = Counter(some.truth)
    row = np.array([counts.get(one, 0) - 1e-3 * i / len(ids) for i, one in enumerate(ids)])
    return np.tile(row.astype(np.float32), (len(some.truth), 1))


# --- the language model reads genes ------------------------------------------------------------


def _as_text(
    report: Report, bench: Bench, some: Set, found: Aligned, sample: int, seed: int
) -> None:
    """The same cells for the aligned projector and for the model that reads gene names."""
    part, rows = some.sample(sample, seed)
    ids = bench.candidates(some, restricted=True)
    labels = [term_text(term) for term in bench.terms(ids)]
    language = found.model.language
    plain = read_genes(language, top_genes(some.parts[0], rows), labels)
    nothing = read_genes(language, [""], labels)
    where = f"{some.name}, {len(rows)} cells, own {len(ids)} types"
    own = bench.rank(part, ids, found.expected(part.vectors, bench.terms(ids), bench.tree))
    for name, value in own.figures().items():
        report.add(f"{where}: {name}", value, len(rows))
    for name, scores in (
        ("top-20 genes as text", plain),
        ("the same, less the name alone", plain - nothing),
    ):
        other = bench.rank(part, ids, scores)
        _several(report, name, where, [other])
        margin = _least([paired(own.right, other.right)])
        report.notes.append(
            f"{where}: R@1 above {name} by {margin:+.1f} standard errors, cell by cell"
        )


def top_genes(cells: Profiles, rows: NDArray[np.integer], top: int = TOP) -> list[str]:
    """The names of the highest genes of cells, highest first."""
    found = []
    for i in rows:
        line = cells.values[[int(i)]].tocsr()
        order = np.argsort(-line.data, kind="stable")[:top]
        found.append(" ".join(cells.genes[int(j)] for j in line.indices[order]))
    return found


def read_genes(
    language: LanguageModel, sentences: Sequence[str], labels: Sequence[str]
) -> NDArray[np.float64]:
    """Mean log probability of each label's tokens after each list of genes, [lists, labels].

    The wording is Cell2Sentence's (algorithms of 2024), in the model's own chat.
    """
    import torch

    rows = []
    for genes in sentences:
        question = (
            f"The genes of a human cell, highest expression first: {genes}. "
            if genes
            else "The cell is human. "
        ) + "Which cell type is this? Answer with its name."
        prompt = language.tokens(language.chat([{"role": "user", "content": question}]))
        ids = torch.tensor([prompt], device=language.device)
        with torch.inference_mode():
            words = language.words(ids)
        rows.append(language.score_from(words, torch.ones_like(ids), labels)[0])
    return np.array(rows)


# --- gaps --------------------------------------------------------------------------------------


def middles(
    some: Set, found: Aligned, terms: Mapping[Curie, Term]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean cell of each type and its text, where they lie: nothing is centred, [types, w]."""
    from encoders.labels import state_vectors, token_vectors

    cells = found.raw_cells(some.vectors)
    cells /= np.maximum(np.linalg.norm(cells, axis=1, keepdims=True), 1e-12)
    truth = np.array(some.truth)
    means = np.array([cells[truth == one].mean(axis=0) for one in some.own])
    make = token_vectors if found.config.space == "token" else state_vectors
    return means, make(
        found.model.language, [term_text(terms[one], found.config.text) for one in some.own]
    )


def _gaps(report: Report, bench: Bench, some: Set, found: Aligned, start: Aligned) -> None:
    after: Gap = gap(*middles(some, found, bench.material.terms))
    before: Gap = gap(*middles(some, start, bench.material.terms))
    n = len(some.own)
    for name, value, other in (
        ("distance of the centroids of cells and texts", after.distance, before.distance),
        ("mean cell to text R@1", after.cell_to_text[0], before.cell_to_text[0]),
        ("mean cell to text R@5", after.cell_to_text[1], before.cell_to_text[1]),
        ("text to mean cell R@1", after.text_to_cell[0], before.text_to_cell[0]),
        ("text to mean cell R@5", after.text_to_cell[1], before.text_to_cell[1]),
    ):
        report.add(f"{some.name}: {name}", value, n)
        report.beside("untrained", f"{some.name}: {name}", other, n)


def _drawable(path: Path) -> None:
    from importlib.util import find_spec

    from data.errors import DependencyMissing

    if path.suffix.lower() not in FORMATS or not path.parent.is_dir():
        raise BadInput(
            f"no picture can be written to {path}; expected a file that ends with "
            f"{', '.join(FORMATS)}, in a folder that is there"
        )
    if any(find_spec(one) is None for one in ("umap", "matplotlib")):
        raise DependencyMissing("the picture needs: pip install 'celloquy[plot]'")


def draw(
    some: Set,
    found: Aligned,
    start: Aligned,
    terms: Mapping[Curie, Term],
    path: Path,
    cells: int = 1500,
) -> None:
    """Draw cells and the names of their types on one UMAP, before and after alignment.

    Parameters
    ----------
    some
        The cells; so many of them, drawn with a fixed seed.
    found, start
        The alignment, and one that knows nothing.
    terms
        Of the cells' types.
    path
        A file of one of :data:`FORMATS`.
    cells
        The most that are drawn.
    """
    import umap
    from matplotlib.figure import Figure

    rows = np.sort(np.random.default_rng(0).permutation(len(some.truth))[:cells])
    part = replace(some, vectors=some.vectors[rows], truth=tuple(some.truth[i] for i in rows))
    figure = Figure(figsize=(10, 5), layout="constrained")
    for axes, one, title in zip(
        figure.subplots(1, 2), (start, found), ("before alignment", "after alignment"), strict=True
    ):
        left = one.raw_cells(part.vectors)
        _, texts = middles(part, one, terms)
        both = np.concatenate([left, texts])
        both /= np.maximum(np.linalg.norm(both, axis=1, keepdims=True), 1e-12)
        flat = umap.UMAP(metric="cosine", random_state=0, n_jobs=1).fit_transform(both)
        axes.scatter(*flat[: len(left)].T, s=4, c="#4477aa", label=f"cells, {some.name}")
        axes.scatter(*flat[len(left) :].T, s=14, c="#ee6677", marker="^", label="their names")
        axes.set(title=title, xticks=[], yticks=[])
        axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=120)


def _profiles(found: Dataset) -> Profiles:
    import scipy.sparse as sp

    return Profiles(sp.csr_array(found.values), found.genes, found.truth, found.name)


def _hashes(weights: Path) -> dict[str, str]:
    from encoders import checkpoint

    _, document = checkpoint.load(weights, "adapter")
    return {"adapter": document["sha256"][:16]}


def main(arguments: list[str] | None = None) -> int:
    """Run the suite and print it."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate.llm")
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    parser.add_argument("--weights", type=Path, default=SHIPPED, help="the alignment")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="cells read as text; 0: none")
    parser.add_argument("--picture", type=Path, help="also draw a UMAP")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    report = llm(given.data, given.weights, sample=given.sample, picture=given.picture)
    sys.stdout.write((report.text() if given.json else report.table()) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
