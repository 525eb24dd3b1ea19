"""A perturbation screen as profiles: what each perturbation changes, against its own controls.

Gives :func:`read_screen`. A profile is the mean log1p expression of a perturbation's cells less the
mean of the control cells; with ``within`` (a replicate, a cell line) each cell is compared with the
controls of its own kind. One pass over the file; memory is perturbations x genes, whatever the
number of cells. Knows no model, and nothing of genes beyond their names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadFile, BadInput, CelloquyError

__all__ = ["CONTROLS", "LEAST", "Screen", "is_control", "parts_of", "read_screen"]

COLUMNS = (
    "perturbation", "condition", "gene", "target_gene", "target", "gene_target", "perturbed_gene",
    "perturbations", "knockout", "guide_target",
)  # fmt: skip
"""Columns in which screens keep what was perturbed (scPerturb's, GEARS's and Perturb-seq's names),
in the order in which they are tried."""

ENOUGH = 10
"""Control cells that a kind of cells needs to be compared with its own."""

KINDS = ("dataset", "cell_line", "cell_type")
"""Columns whose values should not be compared with each other's controls."""

CONTROLS = frozenset({
    "control", "ctrl", "nontargeting", "nontargetingcontrol", "nt", "ntc", "neg", "negctrl",
    "negativecontrol", "safetargeting", "scramble", "scrambled", "unperturbed", "none",
})  # fmt: skip
"""Names of controls, without what is no letter or digit."""

HARBOURS = frozenset({"AAVS1", "ROSA26", "CLYBL"})
"""Places where guides cut as a control: safe harbours, which gene tables list as genes."""

LEAST = 10
"""Cells that a perturbation must have: the mean of fewer is noise (GEARS's own data filter)."""

_HOW = re.compile(r"type|method|modality|technology|crispr", re.IGNORECASE)
_RAISED = re.compile(r"crispr-?a\b|activat|over-?express|\borf\b", re.IGNORECASE)
_JOIN = re.compile(r"\s*[+;|&]\s*")


@dataclass(frozen=True, eq=False)
class Screen:
    """Profiles of a screen.

    Attributes
    ----------
    genes
        [N] names of the measured genes, as the file has them.
    sets
        [C] the genes of each perturbation, as current symbols where they are known, sorted.
    labels
        [C] what the file calls it.
    changes, errors
        [C, N] change of mean log1p expression, and its standard error.
    cells
        [C] cells of each perturbation.
    control, control_cells
        [N] mean log1p expression of the control cells, and how many there are.
    source, column, notes
        Where it comes from, and what the reader should know.
    gain
        What the file calls a way of raising genes (CRISPRa), where it names one.
    """

    genes: tuple[str, ...]
    sets: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...]
    changes: NDArray[np.float64]
    errors: NDArray[np.float64]
    cells: NDArray[np.int64]
    control: NDArray[np.float64]
    control_cells: int
    source: str = ""
    column: str = ""
    notes: tuple[str, ...] = ()
    gain: str = ""

    @property
    def perturbed(self) -> tuple[str, ...]:
        """Every gene that is perturbed, sorted."""
        return tuple(sorted({gene for some in self.sets for gene in some}))

    def taken(self, rows: Sequence[int]) -> Screen:
        """The same screen with these perturbations only."""
        at = np.asarray(rows, dtype=np.int64)
        return replace(
            self, sets=tuple(self.sets[i] for i in at), labels=tuple(self.labels[i] for i in at),
            changes=self.changes[at], errors=self.errors[at], cells=self.cells[at],
        )  # fmt: skip

    def place(self, genes: Sequence[str]) -> int | None:
        """The row of the perturbation of exactly these genes."""
        wanted = tuple(sorted(set(genes)))
        return self.sets.index(wanted) if wanted in self.sets else None


def is_control(label: str) -> bool:
    """Whether a label is a usual name of control cells.

    >>> is_control("non-targeting"), is_control("STAT2")
    (True, False)
    """
    return re.sub(r"[^a-z0-9]", "", label.casefold()) in CONTROLS


def parts_of(label: str) -> tuple[str, ...]:
    """The genes that a label names, controls aside: ``KLF1+ctrl`` perturbs KLF1 alone.

    >>> parts_of("MAP2K6+KLF1"), parts_of("KLF1+ctrl"), parts_of("control")
    (('KLF1', 'MAP2K6'), ('KLF1',), ())
    """
    parts = {part for part in _JOIN.split(label.strip()) if part}
    return tuple(sorted(part for part in parts if not is_control(part)))


def read_screen(
    source: Path | str | Any,
    *,
    column: str | None = None,
    control: str | None = None,
    cells: str | None = None,
    within: str | None = None,
    layer: str | None = None,
    called: str | None = None,
    need_perturbations: bool = True,
) -> Screen:
    """Read the profiles of a screen.

    Parameters
    ----------
    source
        An .h5ad or an AnnData.
    column
        Of obs, with what was perturbed; found by its usual names unless given.
    control
        The label of control cells; found by its usual names unless given.
    cells
        Only the cells for which ``COLUMN=VALUE`` holds.
    within
        A column whose values are compared with their own controls only; by default the first of
        :data:`KINDS` that tells several, where each of them has controls enough.
    layer
        The matrix to use; see :func:`data.h5ad.open_cells`.
    called
        What the source is called in what is told; its own name by default.
    need_perturbations
        Whether a file with nothing but controls is refused.

    Raises
    ------
    BadInput
        When there is no such column, no control cell, or no perturbation of a known gene.
    """
    from data.h5ad import open_cells

    with open_cells(source, layer) as plain:
        plain.name = called or plain.name
        ids = sum(gene.startswith("ENSG") for gene in plain.genes)
        opened = plain.harmonised() if 2 * ids > len(plain.genes) else plain
        mask = opened.where(cells) if cells else np.ones(opened.n_cells, dtype=bool)
        key = column or _found_column(opened, mask, control)
        labels = np.asarray(opened.column(key).astype(str).to_numpy(), dtype=object)
        names = _names(labels[mask], opened.name, key, control)
        several = [] if cells or within else _several(opened, mask)
        own = bool(several) and _have_controls(opened, several[0], labels, mask, names)
        kinds = _kinds(opened, several[0] if own else within)
        groups, members = _groups(labels, kinds, mask, names, need_perturbations)
        sums, squares = _moments(opened, members, len(groups), mask)
        mixed = _mixed(opened, several[0], mask, own) if several else []
        notes = (*opened.notices, *mixed, *_odd_control(control))
        genes, where, gain = opened.genes, opened.name, _gain(opened, mask)
    counts = np.bincount(members[members >= 0], minlength=len(groups))
    found = _profiles(groups, counts, sums, squares, names)
    return replace(
        found,
        genes=tuple(genes),
        source=where,
        column=key,
        notes=(*notes, *found.notes),
        gain=gain,
    )


def _found_column(opened: Any, mask: NDArray[np.bool_], control: str | None) -> str:
    """The first usual column that holds controls."""
    there = {name.lower(): name for name in opened.columns}
    tried = [there[name] for name in COLUMNS if name in there]
    for name in tried:
        labels = set(opened.column(name).astype(str).to_numpy()[mask])
        if control in labels or any(is_control(label) for label in labels):
            return str(name)
    some = ", ".join(opened.columns[:12]) or "none"
    if tried:
        counted = Counter(opened.column(tried[0]).astype(str).to_numpy()[mask])
        few = ", ".join(label for label, _ in counted.most_common(6))
        if control is not None:
            raise BadInput(_nowhere(opened.name, control, tried[0], few))
        raise BadInput(
            f"{opened.name} has no control cells in {tried[0]!r} (its values: {few}); expected one "
            "such as non-targeting or control: name it with --control"
        )
    raise BadInput(
        f"{opened.name} has no column of perturbations (obs has: {some}); expected one such as "
        "perturbation or condition: name it with --column"
    )


def _gain(opened: Any, mask: NDArray[np.bool_]) -> str:
    """The value that says that genes were raised, of a column that says how they were perturbed."""
    for name in opened.columns:
        if not _HOW.search(name):
            continue
        values = opened.column(name).astype(str).to_numpy()[mask]
        if found := sorted({value for value in set(values) if _RAISED.search(value)}):
            return str(found[0])
    return ""


def _several(opened: Any, mask: NDArray[np.bool_]) -> list[str]:
    """The columns of :data:`KINDS` that tell several kinds of cells."""
    return [
        name for name in KINDS
        if name in opened.columns and len(set(opened.column(name).astype(str).to_numpy()[mask])) > 1
    ]  # fmt: skip


def _have_controls(
    opened: Any,
    name: str,
    labels: NDArray[Any],
    mask: NDArray[np.bool_],
    names: dict[str, tuple[str, ...]],
) -> bool:
    """Whether each kind of perturbed cells has :data:`ENOUGH` controls of its own."""
    kinds = opened.column(name).astype(str).to_numpy()[mask]
    genes = [names.get(label) for label in labels[mask]]
    controls = Counter(kind for kind, some in zip(kinds, genes, strict=True) if some == ())
    return all(controls[kind] >= ENOUGH for kind, some in zip(kinds, genes, strict=True) if some)


def _mixed(opened: Any, name: str, mask: NDArray[np.bool_], own: bool) -> list[str]:
    """What to say of a file that holds several kinds of cells."""
    kinds = sorted(set(opened.column(name).astype(str).to_numpy()[mask]))
    told = f"{name} holds {', '.join(kinds[:4])}; "
    one = f"--cells '{name}={kinds[0]}' takes one"
    if own:
        return [f"{told}each is compared with its own controls, as by --within {name}: {one}"]
    return [
        f"{told}not each has {ENOUGH} control cells, so all are compared with all controls, and "
        f"what differs between them shows as an effect: {one}"
    ]


def _odd_control(control: str | None) -> list[str]:
    """What to say of a control that is named like a gene, and no usual harbour of inserts."""
    from data.genes import find_gene

    if control is None or is_control(control) or control.upper() in HARBOURS:
        return []
    try:
        gene = find_gene(control).symbol
    except CelloquyError:
        return []
    return [
        f"the control {control!r} is named like the gene {gene}: if it was perturbed in these "
        "cells, changes are told against its perturbation and not against unperturbed cells"
    ]


def _kinds(opened: Any, within: str | None) -> NDArray[Any]:
    if within is None:
        return np.full(opened.n_cells, "", dtype=object)
    return np.asarray(opened.column(within).astype(str).to_numpy(), dtype=object)


def _names(
    labels: NDArray[Any], name: str, key: str, control: str | None
) -> dict[str, tuple[str, ...]]:
    """The genes of each label; controls have none, and what is no gene is left out."""
    from data.genes import find_gene

    present = sorted(set(labels))
    controls = [x for x in present if (x == control if control else is_control(x))]
    controls += [x for x in present if not control and x not in controls and not parts_of(x)]
    if not controls:
        few = ", ".join(label for label, _ in Counter(labels).most_common(6))
        if control is not None:
            raise BadInput(_nowhere(name, control, key, few))
        raise BadInput(
            f"{name} has no control cells in {key!r} (its values: {few}); expected one such as "
            "non-targeting or control: name the control with --control"
        )
    known: dict[str, str] = {}
    for part in sorted({part for x in present if x not in controls for part in parts_of(x)}):
        try:
            known[part] = find_gene(part).symbol
        except CelloquyError:
            continue
    found: dict[str, tuple[str, ...]] = dict.fromkeys(controls, ())
    for label in present:
        parts = parts_of(label)
        if label not in found and all(part in known for part in parts):
            found[label] = tuple(sorted({known[part] for part in parts}))
    return found


def _nowhere(name: str, control: str, key: str, few: str) -> str:
    return (
        f"no cell of {name} is named {control!r} in the column {key!r}; expected one of its "
        f"values, such as {few}"
    )


def _groups(
    labels: NDArray[Any],
    kinds: NDArray[Any],
    mask: NDArray[np.bool_],
    names: dict[str, tuple[str, ...]],
    need: bool,
) -> tuple[list[tuple[tuple[str, ...], str]], NDArray[np.int64]]:
    """Groups (genes, kind), and the group of each cell, -1 for none."""
    pairs = [
        (names[label], kind) if used and label in names else None
        for label, kind, used in zip(labels, kinds, mask, strict=True)
    ]
    groups = sorted({pair for pair in pairs if pair is not None})
    place = {pair: i for i, pair in enumerate(groups)}
    if need and not any(genes for genes, _ in groups):
        few = ", ".join(sorted({str(x) for x in labels[mask]})[:6])
        raise BadInput(
            f"none of the perturbations is a gene that is known ({few}); expected gene symbols, "
            "joined by + where several were perturbed together"
        )
    return groups, np.array([-1 if p is None else place[p] for p in pairs], dtype=np.int64)


def _moments(
    opened: Any, members: NDArray[np.int64], n: int, mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums and sums of squares of each group, [groups, genes]."""
    import scipy.sparse as sp

    sums = np.zeros((n, len(opened.genes)))
    squares = np.zeros_like(sums)
    for block in opened.blocks(cells=mask & (members >= 0)):
        at = members[block.cells]
        gather = sp.csr_matrix(
            (np.ones(len(at), np.float32), (at, np.arange(len(at)))), shape=(n, len(at))
        )
        sums += (gather @ block.values).toarray()
        squares += (gather @ block.values.multiply(block.values).tocsr()).toarray()
    return sums, squares


def _profiles(
    groups: list[tuple[tuple[str, ...], str]],
    counts: NDArray[np.int64],
    sums: NDArray[np.float64],
    squares: NDArray[np.float64],
    names: dict[str, tuple[str, ...]],
) -> Screen:
    controls = {kind: i for i, (genes, kind) in enumerate(groups) if not genes}
    base = {kind: sums[i] / counts[i] for kind, i in controls.items()}
    n_control = int(sum(counts[i] for i in controls.values()))
    rows = list(controls.values())
    control = sums[rows].sum(axis=0) / max(1, n_control)
    noise = squares[rows].sum(axis=0) / max(1, n_control) - control**2
    sets = sorted({genes for genes, _ in groups if genes})
    kept, changes, errors, cells, small, lost = [], [], [], [], [], set()
    for wanted in sets:
        own = [i for i, (genes, kind) in enumerate(groups) if genes == wanted and kind in base]
        lost |= {kind for genes, kind in groups if genes == wanted and kind not in base}
        n = int(counts[own].sum())
        if n < LEAST:
            small.append("+".join(wanted))
            continue
        mean = sums[own].sum(axis=0) / n
        against = sum(counts[i] / n * base[groups[i][1]] for i in own)
        spread = np.maximum(squares[own].sum(axis=0) / n - mean**2, 0)
        kept.append(wanted)
        changes.append(mean - against)
        errors.append(np.sqrt(spread / n + np.maximum(noise, 0) / max(1, n_control)))
        cells.append(n)
    notes = []
    if small:
        notes.append(f"left out, fewer than {LEAST} cells: {', '.join(small[:8])}")
    if lost:
        notes.append(f"left out, no controls of their own: {', '.join(sorted(lost)[:8])}")
    if n_control < LEAST:
        raise BadFile(f"there are {n_control} control cells; expected at least {LEAST}")
    if sets and not kept:
        raise BadFile(f"no perturbation has {LEAST} cells ({', '.join(small[:6])})")
    called = {genes: label for label, genes in sorted(names.items(), reverse=True)}
    width = sums.shape[1]
    return Screen(
        (), tuple(kept), tuple(called[genes] for genes in kept),
        np.array(changes).reshape(-1, width), np.array(errors).reshape(-1, width),
        np.array(cells, dtype=np.int64), control, n_control, notes=tuple(notes),
    )  # fmt: skip
