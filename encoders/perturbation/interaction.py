"""How two perturbations combine: genetic interaction scores of a pair against its single ones.

Gives :func:`interaction`: ``ab = c1 a + c2 b`` fitted by Theil and Sen's regression without an
intercept, and what Norman et al. (2019, doi:10.1126/science.aax4438) and GEARS (Roohani et al.
2023) read off it: magnitude, fit, similarity, dominance and equality of contribution. Two genes
that only add up have c1 = c2 = 1, hence the magnitude 1.41; noise in the single changes pulls both
down, so that less than that is no proof of anything.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput, DependencyMissing

__all__ = ["Interaction", "distance_correlation", "interaction"]

GENES = 50
"""Genes that are compared, the most changed ones. Of the 500 of Norman's panel some dozens change;
over all of them a robust slope is the slope of noise, 0.0 where least squares say 1.0 (GEARS looks
at a thousand genes that were chosen beforehand)."""

DRAW = 1_000
"""Seed of the draw; GEARS's."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """Scores of a pair.

    ``first`` and ``second`` are the coefficients c1 and c2. ``magnitude`` is their length;
    ``fit`` the distance correlation of fitted and true change, ``similarity`` that of both single
    changes with the pair's; ``dominance`` |log10 |c1 / c2||, 0 where both count alike;
    ``equality`` the smaller over the larger distance correlation of one single change and the
    pair's.
    """

    first: float
    second: float
    magnitude: float
    fit: float
    similarity: float
    dominance: float
    equality: float


def interaction(
    a: NDArray[np.float64], b: NDArray[np.float64], both: NDArray[np.float64]
) -> Interaction:
    """Score a pair by the changes of its genes alone and together, each [N].

    Raises
    ------
    BadInput
        When one of them does not change at all.
    DependencyMissing
        When scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import TheilSenRegressor
    except ImportError as error:
        raise DependencyMissing(
            "interaction scores need scikit-learn; install it with: pip install 'celloquy[models]'"
        ) from error
    size = np.abs(a) + np.abs(b) + np.abs(both)
    top = np.argsort(-size, kind="stable")[:GENES]
    single, pair = np.column_stack([a[top], b[top]]), both[top]
    if not (single.any(axis=0).all() and pair.any()):
        raise BadInput("a perturbation that changes nothing has no interaction; expected changes")
    model = TheilSenRegressor(fit_intercept=False, random_state=DRAW)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the spatial median took its most steps
        first, second = (float(c) for c in model.fit(single, pair).coef_)
    alone = [distance_correlation(single[:, [i]], pair[:, None]) for i in (0, 1)]
    tiny = 1e-12
    return Interaction(
        first=first,
        second=second,
        magnitude=float(np.hypot(first, second)),
        fit=distance_correlation((single @ [first, second])[:, None], pair[:, None]),
        similarity=distance_correlation(single, pair[:, None]),
        dominance=float(abs(np.log10(max(abs(first), tiny) / max(abs(second), tiny)))),
        equality=min(alone) / max(*alone, tiny),
    )


def distance_correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Distance correlation of two samples [n, p] and [n, q] (Szekely et al. 2007).

    >>> line = np.arange(5.0)[:, None]
    >>> round(distance_correlation(line, 3 * line), 6)
    1.0
    """
    a, b = _centred(x), _centred(y)
    shared, own, other = float((a * b).mean()), float((a * a).mean()), float((b * b).mean())
    if own <= 0 or other <= 0:
        return 0.0
    return float(np.sqrt(max(shared, 0.0) / np.sqrt(own * other)))


def _centred(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pairwise distances less the means of their rows and columns."""
    squares = (x**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * x @ x.T, 0))
    means = distances.mean(axis=0)
    return np.asarray(distances - means[None, :] - means[:, None] + distances.mean())
