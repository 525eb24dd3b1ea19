"""The names of a dataset's genes: as they are spelled there, and whose they look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.cells import CellMatrix
    from data.genes import Species

__all__ = ["doubt", "looks_like", "spelled"]

_CLEAR = 0.7
"""Share of the names that must be written after one custom. Human genes with a lower-case letter
(C1orf21) are 2 %, mouse genes all in capitals (mostly of mitochondria written mt-Nd1) fewer."""


def looks_like(names: Sequence[str]) -> tuple[Species, float] | None:
    """Whose custom most names follow, and how many of them: CD3E is human, Cd3e is mouse.

    Ensembl ids say it themselves. None where neither custom is clear.
    """
    human = mouse = 0
    for name in names:
        letters = [c for c in name if c.isalpha()]
        if name.startswith("ENSMUSG"):
            mouse += 1
        elif name.startswith("ENSG"):
            human += 1
        elif len(letters) > 1 and not name.startswith("ENS"):
            if all(c.isupper() for c in letters):
                human += 1
            elif letters[0].isupper() and any(c.islower() for c in letters):
                mouse += 1
    if human >= _CLEAR * len(names):
        return "human", human / len(names)
    if mouse >= _CLEAR * len(names):
        return "mouse", mouse / len(names)
    return None


def doubt(names: Sequence[str], said: Species | None) -> tuple[str, ...]:
    """A warning where the species that was named is not the one that the names look like."""
    found = looks_like(names) if said is not None and len(names) else None
    if found is None or found[0] == said:
        return ()
    species, share = found
    return (
        f"warning: the species was given as {said}, but {share:.0%} of the genes are named as "
        f"{species} genes are; leave --species out, or name {species}",
    )


def spelled(cells: CellMatrix, named: CellMatrix) -> dict[str, str]:
    """The dataset's own name of each symbol, the first where several were summed."""
    read = named.harmonisation
    if read is None or len(read.column) != len(cells.genes):
        return {}
    pairs = zip(reversed(read.column), reversed(cells.genes), strict=True)
    return {named.genes[place]: name for place, name in pairs if place >= 0}
