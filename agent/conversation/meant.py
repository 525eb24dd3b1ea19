"""What a follow-up was resolved to. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from kg.terms import Curie

__all__ = ["CELLS", "Meant"]

CELLS = "cells."
"""What the name of a tool on attached cells begins with."""


@dataclass(frozen=True, slots=True)
class Meant:
    """A follow-up resolved: a question in full, a tool on terms, or what it is lacking.

    ``text`` is the question with its references replaced. ``tool`` with ``terms`` (on the cells of
    ``selection``, held ``against`` others) asks the last question anew. ``among`` are the lists
    that "which of them" may go through, the latest first, ``text`` being what is asked of each;
    ``measured`` is whether the latest is of answers for the attached cells. ``more`` is how many
    times as much of a list as usual is wanted; ``remark`` is what the answer says of a reference.
    ``sure`` asks how sure the last answer is, ``dropped`` that its subject be left.
    """

    text: str = ""
    tool: str = ""
    terms: tuple[Curie, ...] = ()
    organism: Curie = ""
    selection: str = ""
    against: str = ""
    among: tuple[tuple[Curie, ...], ...] = ()
    measured: bool = False
    more: int = 1
    lacking: str = ""
    note: str = ""
    remark: str = ""
    sure: bool = False
    dropped: bool = False
