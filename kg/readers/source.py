"""What a reader gives and a back end loads: one source's terms and edges, with their release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kg.terms import Edge, Release, Term

__all__ = ["Loaded"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """One release of one source, read completely.

    ``notices`` say in words, with counts, what a reader passed over and why: nothing is lost
    in silence.
    """

    release: Release
    terms: Sequence[Term] = ()
    edges: Sequence[Edge] = ()
    notices: tuple[str, ...] = ()
