"""What a matrix of expression holds, told from its values, and how it becomes what was asked.

Gives :func:`judge` (counts, log1p, linear, scaled ...) and :class:`Scale`, which turns blocks into
counts or into log1p values at :data:`TARGET_SUM` counts a cell. Works on CSR blocks alone: no file,
no gene names.

How log1p is told: within one cell the values of ``expm1(x)`` are whole multiples of the smallest
one, because they were whole counts times one factor. That holds after genes were dropped too, where
the sums of cells no longer agree; the base of the logarithm shows in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from data.errors import BadFile
from data.matrices import Csr

__all__ = ["TARGET_SUM", "Judgement", "Kind", "Scale", "Values", "judge"]

Kind: TypeAlias = Literal["counts", "log1p", "linear", "scaled", "empty", "broken"]
Values: TypeAlias = Literal["log1p", "counts"]

TARGET_SUM = 1e4
"""Counts a cell after normalisation, scanpy's and Seurat's custom."""

LOG_MAX = 20.0
"""No log1p of counts reaches this: it would be 4.8e8 counts of one gene in one cell."""

SUM_SPREAD = 0.01
"""Largest relative spread (5th to 95th percentile) of cell sums that count as equal."""

SAME_SUM = 0.02
"""Relative difference to a target sum that is rounding, not another target."""

MULTIPLES_SHARE = 0.9
"""Share of values that must be whole multiples; values spread evenly would give 0.2."""

MULTIPLES_TOLERANCE = 0.1
"""Distance from a whole number: float16 and three decimals move a 12-fold value by as much."""

MULTIPLES_RANGE = (1.5, 12.0)
"""Multiples tested; larger ones are blurred by rounding."""

MULTIPLES_LEAST = 50
"""Fewest values that make the test."""

MULTIPLES_TIE = 0.02
"""Shares that differ by less are equal."""

WHOLE_SHARE = 0.3
"""Share of whole values above which values with fractions are corrected or estimated counts."""

MULTIPLES_CELLS = 500
"""Cells tested."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a matrix holds and why that was concluded.

    ``base`` is that of the logarithm (kind log1p); ``total`` the sum to which cells were scaled,
    None where it cannot be known; ``equal_sums`` whether the cells of this matrix show that sum.
    """

    kind: Kind
    why: str
    base: float = math.e
    total: float | None = None
    equal_sums: bool = False
    whole: bool = True
    notice: str = ""
    at: tuple[int, int] | None = None
    """Row of the sample and column of the first value that is no number (kind broken)."""

    @property
    def rank(self) -> int:
        """Order of preference: proven counts, log1p and linear values, then what has a notice."""
        order = {"counts": 0, "log1p": 1, "linear": 2}
        return order.get(self.kind, 9) + (3 if self.notice else 0)


def judge(sample: Csr, n_counts: NDArray[np.float64] | None = None) -> Judgement:
    """Conclude from some cells what the matrix holds.

    Parameters
    ----------
    sample
        Cells x genes, canonical.
    n_counts
        Total counts of the same cells from the table of cells, if it has them: they tell the
        target sum of log1p values whose genes were selected after normalisation.
    """
    values = sample.data
    if not len(values):
        return Judgement("empty", "it holds no value above zero")
    if not np.isfinite(values).all():
        first = int(np.flatnonzero(~np.isfinite(values))[0])
        row = int(np.searchsorted(sample.indptr, first, side="right")) - 1
        at = (row, int(sample.indices[first]))
        return Judgement("broken", f"it holds {_bad_value(values)}", at=at)
    low, high = float(values.min()), float(values.max())
    if low < 0:
        return Judgement(
            "scaled",
            f"it holds negative values (from {low:.3g} to {high:.3g}): z-scored or corrected",
        )
    if bool((values == np.floor(values)).all()):
        notice = "all values are 0 or 1: presence only" if high == 1 else ""
        return Judgement("counts", f"all values are whole (up to {high:,.0f})", notice=notice)
    return _fractional(sample, low, high, n_counts)


def _fractional(
    sample: Csr, low: float, high: float, n_counts: NDArray[np.float64] | None
) -> Judgement:
    span = f"values from {low:.3g} to {high:.3g}"
    whole = float((sample.data == np.floor(sample.data)).mean())
    if whole > WHOLE_SHARE:
        return Judgement(
            "counts",
            f"{span}, {whole:.0%} of them whole",
            whole=False,
            notice="counts are not all whole (estimated or corrected)",
        )
    # A linear scale and each base of a logarithm are tried; the best whole multiples win.
    scales: dict[str, tuple[float, Csr]] = {"": (0.0, sample)}
    for name, base in (("log1p", math.e), ("log2(x + 1)", 2.0), ("log10(x + 1)", 10.0)):
        if high <= LOG_MAX / math.log(base):
            scales[name] = (base, _linear(sample, base))
    shares = {name: _multiples(undone) for name, (_, undone) in scales.items()}
    best = max(shares.values())
    # Tiny values look the same on every scale: then the first is meant, which changes nothing.
    name = next(name for name, share in shares.items() if share >= best - MULTIPLES_TIE)
    base, undone = scales[name]
    if best > MULTIPLES_SHARE and name:
        why = (
            f"{span}, and undoing {name} gives whole multiples of each cell's smallest value "
            f"({best:.0%} of those tested)"
        )
        return _scaled_log(undone, why, base, n_counts)
    if best > MULTIPLES_SHARE:
        return Judgement("linear", f"{span}, whole multiples of each cell's smallest value")
    sums = {name: _common_sum(undone) for name, (_, undone) in scales.items()}
    equal = {name: total for name, total in sums.items() if total is not None}
    if equal:
        # Where several scales give equal sums (all values alike), a round sum was the target.
        name = min(equal, key=lambda n: (not _is_round(equal[n]), n != "log1p"))
        if not name:
            return Judgement("linear", f"{span}, and every cell sums to {equal[name]:,.0f}")
        why = f"{span}, and undoing {name} gives every cell the sum {equal[name]:,.0f}"
        return Judgement("log1p", why, scales[name][0], _snap(equal[name]), True)
    return _unproven(span, high)


def _unproven(span: str, high: float) -> Judgement:
    """What is left where neither multiples nor sums tell: by the range alone."""
    if abs(high - 1.0) < 1e-3:
        return Judgement("scaled", f"{span}: every gene was scaled to at most 1")
    if high <= LOG_MAX:
        return Judgement(
            "log1p",
            f"{span}, none negative",
            notice="log1p is assumed: nothing in the values proves it",
        )
    return Judgement(
        "counts",
        f"{span}, too large for a logarithm",
        whole=False,
        notice="counts are not whole (estimated or corrected)",
    )


def _scaled_log(
    linear: Csr, why: str, base: float, n_counts: NDArray[np.float64] | None
) -> Judgement:
    total = _common_sum(linear)
    if total is not None:
        return Judgement("log1p", f"{why} with the sum {total:,.0f}", base, _snap(total), True)
    known = _target_from(linear, n_counts)
    if known is not None:
        why += f"; scaled to {known:,.0f} counts a cell before genes were selected"
        return Judgement("log1p", why, base, known)
    why += "; cell sums differ, so it was normalised before genes were selected"
    return Judgement("log1p", why, base, None)


def _linear(block: Csr, base: float) -> Csr:
    undone = block.copy()
    undone.data = np.expm1(undone.data * math.log(base))
    return undone


def _sums(block: Csr) -> NDArray[np.float64]:
    return np.asarray(block.sum(axis=1), dtype=np.float64).ravel()


def _common_sum(block: Csr) -> float | None:
    """The sum that (nearly) all cells share, or None."""
    sums = _sums(block)
    sums = sums[sums > 0]
    if len(sums) < 3:
        return None
    low, middle, high = np.quantile(sums, [0.05, 0.5, 0.95])
    return float(middle) if high - low <= SUM_SPREAD * middle else None


def _snap(total: float) -> float:
    """The round number that a target sum was, if it is near one."""
    power = 10.0 ** round(math.log10(total)) if total > 0 else total
    return power if abs(total - power) <= SAME_SUM * power else total


def _is_round(total: float) -> bool:
    return _snap(total) != total or math.log10(total).is_integer()


def _row_minima(block: Csr) -> NDArray[np.float64]:
    filled = np.diff(block.indptr) > 0
    minima = np.full(block.shape[0], np.nan)
    minima[filled] = np.minimum.reduceat(block.data, block.indptr[:-1][filled])
    return minima


def _multiples(block: Csr) -> float:
    """Share of values that are whole multiples of their cell's smallest; 0 with too few values."""
    block = block[:: max(1, block.shape[0] // MULTIPLES_CELLS)]
    ratio = block.data / np.repeat(_row_minima(block), np.diff(block.indptr))
    ratio = ratio[(ratio > MULTIPLES_RANGE[0]) & (ratio < MULTIPLES_RANGE[1])]
    if len(ratio) < MULTIPLES_LEAST:
        return 0.0
    return float((np.abs(ratio - np.round(ratio)) < MULTIPLES_TOLERANCE).mean())


def _target_from(linear: Csr, n_counts: NDArray[np.float64] | None) -> float | None:
    """Smallest value times total counts of the cell: the target sum, if most cells agree."""
    if n_counts is None:
        return None
    product = _row_minima(linear) * n_counts
    product = product[np.isfinite(product)]
    if len(product) < 3:
        return None
    middle = float(np.median(product))
    agree = np.abs(product - middle) <= SAME_SUM * middle
    return _snap(middle) if agree.mean() > 0.5 else None


def _bad_value(values: NDArray[np.float64]) -> str:
    return "NaN" if np.isnan(values).any() else "infinity"


@dataclass(frozen=True, slots=True)
class Scale:
    """Turns canonical blocks of a judged matrix into the values that were asked for.

    ``merge`` gives for each column its place among ``width`` columns, or -1 to drop it; columns
    that meet are summed in count space. It is None where every column stays as it is. ``what``
    names the matrix in messages, ``place`` a cell and a gene by their numbers.
    """

    judged: Judgement
    what: str
    merge: NDArray[np.int32] | None = None
    width: int = 0
    place: Callable[[int, int], str] = "cell {}, gene {} (counted from 0)".format

    def counts(self, block: Csr, start: int) -> sp.csr_matrix[np.float32]:
        """Counts; the matrix must have been judged to hold them."""
        if self.judged.kind != "counts":
            raise BadFile(
                f"{self.what} holds {self.judged.kind} values ({self.judged.why}); expected "
                "counts: name the layer that has them"
            )
        self._check(block, start)
        return self._merged(block).astype(np.float32)

    def log1p(self, block: Csr, start: int) -> sp.csr_matrix[np.float32]:
        """Natural log1p at ``TARGET_SUM`` counts a cell."""
        self._check(block, start)
        judged = self.judged
        done = (
            judged.kind == "log1p"
            and judged.base == math.e
            and (judged.total is None or abs(judged.total - TARGET_SUM) <= SAME_SUM * TARGET_SUM)
        )
        if done and self.merge is None:
            return block.astype(np.float32)
        linear = _linear(block, judged.base) if judged.kind == "log1p" else block.copy()
        if not done:
            linear = self._rescaled(linear)
        linear = self._merged(linear)
        linear.data = np.log1p(linear.data)
        return linear.astype(np.float32)

    def _rescaled(self, linear: Csr) -> Csr:
        """Each cell to ``TARGET_SUM``: by its own sum, or by the known sum of all its genes."""
        judged = self.judged
        if judged.kind in ("counts", "linear") or judged.equal_sums:
            sums = _sums(linear)
            factor = np.divide(TARGET_SUM, sums, out=np.zeros_like(sums), where=sums > 0)
        else:
            factor = np.full(linear.shape[0], TARGET_SUM / (judged.total or TARGET_SUM))
        linear.data = linear.data * np.repeat(factor, np.diff(linear.indptr))
        return linear

    def _check(self, block: Csr, start: int) -> None:
        """Refuse a value that contradicts what the sampled cells showed."""
        values = block.data
        if not len(values):
            return
        wrong = ~np.isfinite(values)
        why = "NaN or infinity"
        if not wrong.any():
            wrong, why = values < 0, "a negative value"
            if self.judged.kind == "counts" and self.judged.whole and not wrong.any():
                wrong, why = values != np.floor(values), "a value that is not whole among counts"
            elif self.judged.kind == "log1p" and not wrong.any():
                limit = LOG_MAX / math.log(self.judged.base)
                wrong, why = values > limit, "a value too large for a logarithm"
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            row = start + int(np.searchsorted(block.indptr, at, side="right")) - 1
            raise BadFile(
                f"{self.what} holds {why} ({values[at]:g}) at "
                f"{self.place(row, int(block.indices[at]))}; expected {self.judged.kind} values "
                "throughout: repair the matrix or name another with --layer"
            )

    def _merged(self, block: Csr) -> Csr:
        if self.merge is None:
            return block
        columns = self.merge[block.indices]
        kept = columns >= 0
        before = np.concatenate([[0], np.cumsum(kept)])
        merged = sp.csr_matrix(
            (block.data[kept], columns[kept], before[block.indptr]),
            shape=(block.shape[0], self.width),
        )
        merged = merged.tocsc().tocsr()  # sorts columns in linear time, three times faster
        merged.sum_duplicates()
        return merged

    def merging(self, columns: Sequence[int], width: int) -> Scale:
        """The same scale with columns to sum or drop."""
        return replace(self, merge=np.asarray(columns, dtype=np.int32), width=width)
