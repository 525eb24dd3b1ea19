"""What each part of the gene-token recipe is worth, and what stands beside it.

``python -m training.evaluate.ablate_gene_tokens --data FOLDER --suite NAME --out FILE`` trains on
one blood dataset and names the cells of the other (pbmc68k and pbmc3k), part by part: ``beside``
(the simple encoders), ``base``, ``channels``, ``controls``, ``losses``, ``tokens``, ``steps``,
``within`` (five folds of one dataset), ``footing`` (trained on those genes alone that the target
has too). ``development`` is where choices were made: a fifth of one dataset's cells are the target,
and either side sees six tenths of the genes, drawn apart. Each run leaves a line of JSON; runs that
the file already holds are not made again. ``--show`` prints the table of a file.

Every method names cells alike: logistic regression on its vectors, standardised on the training
cells, with fine labels. Coarse classes are those of the target that the training dataset has as
well; fine ones the labels that both have. A seed is a tenth of the training cells left out, by
type, and the encoder's own seed: spread is the standard deviation over seeds. Nothing here was
chosen on a target.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.genetokens.expression import GeneTokens
from training.annotation.data import Dataset, cell_ontology, load
from training.evaluate.metrics import accuracy, macro_f1
from training.genetext import folds
from training.genetokens.cell_store import of_datasets
from training.genetokens.recipe import CHANNELS, GeneTokenConfig, Weights, channels_for, train

__all__ = ["main", "over", "scores", "small"]

_WAYS = (("pbmc68k", "pbmc3k"), ("pbmc3k", "pbmc68k"))


def small(steps: int, tokens: int = 64, seed: int = 0) -> GeneTokenConfig:
    """The recipe with half of its tokens: half a minute of one core at 300 steps."""
    base = GeneTokenConfig()
    return replace(
        base,
        tokens=replace(base.tokens, tokens=tokens),
        loop=replace(base.loop, steps=steps, seed=seed, save_every=0),
    )


# --- data --------------------------------------------------------------------------------------


def over(found: Dataset, genes: Sequence[str]) -> Dataset:
    """A dataset over some of its genes."""
    place = {gene: i for i, gene in enumerate(found.genes)}
    columns = [place[gene] for gene in genes]
    return replace(found, genes=tuple(genes), values=found.values[:, columns].tocsr())


def _shared(train_on: Dataset, target: Dataset) -> list[str]:
    return sorted(set(train_on.genes) & set(target.genes))


def _columns(found: Dataset, genes: Sequence[str]) -> NDArray[np.float32]:
    place = {gene: i for i, gene in enumerate(found.genes)}
    return np.asarray(found.values[:, [place[gene] for gene in genes]].toarray(), dtype=np.float32)


# --- naming ------------------------------------------------------------------------------------


def scores(
    near: NDArray[np.floating],
    train_on: Dataset,
    far: NDArray[np.floating],
    target: Dataset,
    said: Sequence[str] | None = None,
) -> dict[str, float]:
    """Name the target's cells and score them, coarse and fine.

    Parameters
    ----------
    near, far
        Vectors of the cells of both, [n, d].
    train_on, target
        The datasets.
    said
        Names given otherwise; by logistic regression where it is None.
    """
    if said is None:
        said = _named(near, train_on.truth, far)
    assert train_on.coarse is not None and target.coarse is not None
    up = dict(zip(train_on.truth, train_on.coarse, strict=True))
    coarse = [i for i, c in enumerate(target.coarse) if c in set(train_on.coarse)]
    fine = [i for i, t in enumerate(target.truth) if t in set(train_on.truth)]
    truth_coarse = [target.coarse[i] for i in coarse]
    answers = [up[said[i]] for i in coarse]
    return {
        "coarse accuracy": accuracy(truth_coarse, answers),
        "coarse macro-F1": macro_f1(truth_coarse, answers),
        "fine accuracy": accuracy([target.truth[i] for i in fine], [said[i] for i in fine]),
        "fine macro-F1": macro_f1([target.truth[i] for i in fine], [said[i] for i in fine]),
    }


def _named(
    near: NDArray[np.floating], labels: Sequence[str], far: NDArray[np.floating]
) -> list[str]:
    from sklearn.linear_model import LogisticRegression

    mean, size = near.mean(axis=0), np.maximum(near.std(axis=0), 1e-6)
    model = LogisticRegression(max_iter=2000).fit((near - mean) / size, np.array(labels))
    return [str(one) for one in model.predict((far - mean) / size)]


# --- what stands beside --------------------------------------------------------------------------


def _beside(name: str, a: Dataset, b: Dataset, seed: int) -> dict[str, float]:
    if name == "majority":
        top = max(sorted(set(a.truth)), key=a.truth.count)
        return scores(np.zeros((0, 1)), a, np.zeros((0, 1)), b, [top] * len(b))
    if name in ("PCA-50", "all shared genes"):
        genes = _shared(a, b)
        near, far = _columns(a, genes), _columns(b, genes)
        if name == "PCA-50":
            mean = near.mean(axis=0)
            turn = np.linalg.svd(near - mean, full_matrices=False)[2][:50].T
            near, far = (near - mean) @ turn, (far - mean) @ turn
        return scores(near, a, far, b)
    from encoders.celltext import CellEncoder
    from encoders.genept import cell_vectors, permuted, random_like, vectors

    if name == "gene-text, shipped":
        encoder = CellEncoder.shipped()
        return scores(encoder.encode(a.values, a.genes), a, encoder.encode(b.values, b.genes), b)
    rows = []
    table = vectors(sorted({*a.genes, *b.genes}))
    if name == "random gene vectors":
        table = random_like(table, seed)
    elif name == "permuted gene texts":
        table = permuted(table, seed)
    for one in (a, b):
        rows.append(cell_vectors(one.values, one.genes, table))
    return scores(rows[0], a, rows[1], b)


BESIDE = ("majority", "PCA-50", "all shared genes", "GenePT-w", "gene-text, shipped",
          "random gene vectors", "permuted gene texts")  # fmt: skip


# --- the recipe ----------------------------------------------------------------------------------


def _trained(
    config: GeneTokenConfig, a: Dataset, b: Dataset, *, both: bool = False
) -> dict[str, float]:
    """Train, name and score.

    With ``both`` also with unseen genes the other way, and with the training cells read over those
    genes alone that the target has too.
    """
    hierarchy, _ = cell_ontology()
    store = of_datasets([(a.name, a.values, a.genes, a.truth)])
    began = time.process_time()
    made, history = train(store, hierarchy, config, channels_for(config, [(a.values, a.genes)]))
    seconds = time.process_time() - began
    near, far = made.encode(a.values, a.genes), made.encode(b.values, b.genes)
    found = scores(near, a, far, b)
    if both:
        part = over(a, _shared(a, b))
        footing = scores(made.encode(part.values, part.genes), a, far, b)
        found |= {f"genes of both read: {key}": value for key, value in footing.items()}
        made.model.config = replace(made.model.config, unseen=not made.model.config.unseen)
        again = GeneTokens(made.model, made.knowledge, config.tokens, made.usual)
        other = scores(near, a, again.encode(b.values, b.genes), b)
        found |= {f"other genes: {key}": value for key, value in other.items()}
    own = [made.leaves[i] for i in made.chances(b.values, b.genes).argmax(axis=1)]
    told = scores(near, a, far, b, own)
    found |= {f"own head: {key}": value for key, value in told.items()}
    return found | {"cpu seconds": round(seconds, 1), "loss": history.loss}


def _runs(suite: str, steps: int) -> Iterator[tuple[str, Callable[[int], GeneTokenConfig]]]:
    def base(seed: int) -> GeneTokenConfig:
        return small(steps, seed=seed)

    if suite in ("base", "within"):
        yield "base", base
    if suite == "channels":
        yield "no channel", lambda seed: replace(base(seed), channels=())
        for name in CHANNELS:
            rest = tuple(one for one in CHANNELS if one != name)
            yield f"without {name}", lambda seed, rest=rest: replace(base(seed), channels=rest)  # type: ignore[misc]
            yield f"{name} alone", lambda seed, name=name: replace(base(seed), channels=(name,))  # type: ignore[misc]
    if suite == "controls":
        yield "random channels", lambda seed: replace(base(seed), control="random")
        yield "permuted channels", lambda seed: replace(base(seed), control="permuted")
    if suite == "losses":
        for name in ("genes", "levels", "inter", "intra", "labels", "independence"):
            off = {name: 0.0} | ({"regular": 0.0} if name == "intra" else {})
            yield (
                f"without {name}",
                lambda seed, off=off: replace(  # type: ignore[misc]
                    base(seed), weights=replace(Weights(), **off)
                ),
            )
        none = Weights(genes=0.0, levels=0.0, inter=0.0, intra=0.0, regular=0.0, independence=0.0)
        yield "labels alone", lambda seed: replace(base(seed), weights=none)
    if suite == "tokens":
        for n in (32, 128, 256):
            yield f"{n} tokens", lambda seed, n=n: small(steps, tokens=n, seed=seed)  # type: ignore[misc]
        yield (
            "by rank",
            lambda seed: replace(base(seed), tokens=replace(base(seed).tokens, layout="rank")),
        )
        yield (
            "highest, not relative",
            lambda seed: replace(base(seed), tokens=replace(base(seed).tokens, relative=False)),
        )
    if suite == "shape":
        unit = Weights(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
        yield "shape: unit weights", lambda seed: replace(base(seed), weights=unit)
        for key, values in (
            ("facts", (0.05, 1.0)),
            ("bag", (False,)),
            ("layers", (1,)),
            ("unseen", (True,)),
        ):
            for value in values:
                yield (
                    f"shape: {key} {value}",
                    lambda seed, k=key, v=value: replace(  # type: ignore[misc]
                        base(seed), model=replace(base(seed).model, **{k: v})
                    ),
                )
        for share in (0.0, 0.6):
            yield (
                f"shape: forget {share}",
                lambda seed, share=share: replace(  # type: ignore[misc]
                    base(seed), forget=share
                ),
            )
    if suite == "steps":
        for n in (100, 1200):
            yield f"{n} steps", lambda seed, n=n: small(n, seed=seed)  # type: ignore[misc]


# --- command -------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a suite, or show what a file holds."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate.ablate_gene_tokens")
    parser.add_argument("--data", type=Path, help="folder of development data")
    parser.add_argument("--suite", default="base")
    parser.add_argument("--ways", default="both", choices=("both", "68k-3k", "3k-68k"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--only", default="", help="runs whose name contains this")
    parser.add_argument("--out", type=Path, default=Path("gene_tokens.jsonl"))
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args(arguments)
    if options.show:
        sys.stdout.write(_table(_read(options.out)))
        return 0
    chosen = {"both": _WAYS, "68k-3k": _WAYS[:1], "3k-68k": _WAYS[1:]}[options.ways]
    held = {name: load(name, options.data) for way in chosen for name in way}
    for seed in range(options.seeds):
        for a, b in chosen:
            for name, run in _jobs(options, held, a, b, seed):
                key = {"suite": options.suite, "run": name, "way": f"{a}-{b}", "seed": seed,
                       "steps": options.steps}  # fmt: skip
                if any(all(row.get(k) == v for k, v in key.items()) for row in _read(options.out)):
                    continue
                row = key | run()
                with options.out.open("a", encoding="utf-8") as handle:
                    handle.write(json.dumps(row) + "\n")
                sys.stdout.write(_line(row) + "\n")
                sys.stdout.flush()
    return 0


def _jobs(
    options: argparse.Namespace, held: dict[str, Dataset], a: str, b: str, seed: int
) -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    if options.suite == "development":
        yield from _development(options, held[a], seed)
        return
    if options.suite == "within":
        yield from _within(options.steps, held[a], seed)
        return
    part = held[a].nine_tenths(seed)
    if options.suite == "footing":
        yield from _footing(options.steps, part, held[b], seed)
        return
    if options.suite == "beside":
        for name in BESIDE:
            yield name, lambda name=name: _beside(name, part, held[b], seed)  # type: ignore[misc]
        return
    for name, config in _runs(options.suite, options.steps):
        if options.only in name:
            both = options.suite == "base"
            yield name, lambda c=config, both=both: _trained(c(seed), part, held[b], both=both)  # type: ignore[misc]


def _development(
    options: argparse.Namespace, found: Dataset, seed: int
) -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """Another panel of other cells of the same dataset."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(found))
    some, rest = order[: len(found) // 5][:500], order[len(found) // 5 :][:1000]

    def seen(rows: NDArray[np.integer]) -> Dataset:
        part = found.part(rows)
        n = len(found.genes)
        kept = np.sort(rng.permutation(n)[: int(0.6 * n)])
        genes = tuple(found.genes[i] for i in kept)
        return replace(part, values=part.values[:, kept], genes=genes)

    a, b = seen(rest), seen(some)
    if options.only in ("PCA-50", ""):
        yield "PCA-50", lambda: _beside("PCA-50", a, b, seed)
    if options.only in "footing":
        yield from _footing(options.steps, a, b, seed)
    for suite in ("base", "channels", "shape", "losses"):
        for name, config in _runs(suite, options.steps):
            if options.only in name:
                yield name, lambda config=config: _trained(config(seed), a, b, both=True)  # type: ignore[misc]


def _footing(
    steps: int, a: Dataset, b: Dataset, seed: int
) -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """Trained on every gene of its own, and on those alone that the target has too."""
    config = small(steps, seed=seed)
    yield "footing: all genes", lambda: _trained(config, a, b, both=True)
    yield "footing: genes of both", lambda: _trained(config, over(a, _shared(a, b)), b)


def _within(
    steps: int, found: Dataset, seed: int
) -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """Five folds of one dataset: the mean over folds, of the recipe and of what stands beside."""
    fold = folds(found.truth, 5, seed)
    parts = [
        (found.part(np.flatnonzero(fold != k)), found.part(np.flatnonzero(fold == k)))
        for k in range(5)
    ]

    def mean(rows: list[dict[str, float]]) -> dict[str, float]:
        return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}

    for name in BESIDE:
        yield name, lambda name=name: mean([_beside(name, a, b, seed) for a, b in parts])  # type: ignore[misc]
    config = small(steps, seed=seed)
    yield "base", lambda: mean([_trained(config, a, b) for a, b in parts])


def _read(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]


_SHOWN = (
    "coarse accuracy",
    "coarse macro-F1",
    "fine accuracy",
    "fine macro-F1",
    "own head: coarse macro-F1",
    "own head: fine macro-F1",
    "other genes: fine macro-F1",
    "genes of both read: coarse macro-F1",
    "genes of both read: fine macro-F1",
)


def _line(row: dict[str, Any]) -> str:
    found = "  ".join(f"{key} {row[key]:.3f}" for key in _SHOWN if key in row)
    return f"{row['way']:<15} {row['run']:<24} seed {row['seed']}  {found}"


def _table(rows: list[dict[str, Any]]) -> str:
    """Mean and standard deviation over seeds, as Markdown."""
    lines = [f"| way | run | n | {' | '.join(_SHOWN)} |", "|---" * (3 + len(_SHOWN)) + "|"]
    keys = dict.fromkeys((row["way"], row["suite"], row["run"], row["steps"]) for row in rows)
    for way, suite, run, steps in keys:
        some = [r for r in rows if (r["way"], r["suite"], r["run"], r["steps"])
                == (way, suite, run, steps)]  # fmt: skip
        cells = []
        for key in _SHOWN:
            values = [row[key] for row in some if key in row]
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            cells.append(f"{np.mean(values):.3f} ± {spread:.3f}" if values else "")
        title = (
            f"{run} ({suite}, {steps} steps)" if "cpu seconds" in some[0] else f"{run} ({suite})"
        )
        lines.append(f"| {way} | {title} | {len(some)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
