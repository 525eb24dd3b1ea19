"""Filtered ranking of links: where the true tails of a gene stand among all that it may have.

Each known link of a gene is ranked among the tails that the gene is not known to be linked to (A.
Bordes et al., 2013: the other true tails are passed over); equal scores count as half before and
half behind. Figures are means over links: mean reciprocal rank, and the share of ranks of at most
1, 3 and 10. Knows nothing of what made the scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["LinkRanking", "filtered_ranks", "spread"]


@dataclass(frozen=True, slots=True)
class LinkRanking:
    """Mean reciprocal rank, Hit@1, 3 and 10, over ``n`` links."""

    mrr: float
    hit1: float
    hit3: float
    hit10: float
    n: int

    @classmethod
    def of(cls, ranks: NDArray[np.float64]) -> LinkRanking:
        """From the ranks of links, of which there is at least one."""
        one, three, ten = (float((ranks <= most).mean()) for most in (1, 3, 10))
        return cls(float((1.0 / ranks).mean()), one, three, ten, len(ranks))


def filtered_ranks(scores: NDArray[np.floating], truth: csr_array) -> NDArray[np.float64]:
    """The rank of each true link, row by row; 1 is best.

    Parameters
    ----------
    scores
        [genes, tails], higher is likelier.
    truth
        [genes, tails], where the links are.
    """
    found = []
    for row in range(truth.shape[0]):
        own = truth.indices[truth.indptr[row] : truth.indptr[row + 1]]
        true = scores[row, own][:, None]  # [links, 1]
        others = np.delete(scores[row], own)[None]  # [1, tails that are not linked]
        above = np.count_nonzero(others > true, axis=1)
        level = np.count_nonzero(others == true, axis=1)
        found.append(1.0 + above + 0.5 * level)
    return np.concatenate(found) if found else np.zeros(0)


def spread(values: Sequence[float]) -> float | None:
    """Standard deviation over splits; None where there is one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
