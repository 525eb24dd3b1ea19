"""What is known of genes beforehand, as channels: tables of one row of numbers a gene.

Every channel, of whatever origin, is a :class:`Channel`: current human symbols and finite values.
:func:`channel` makes one of anything that has names and numbers, and is the one place where names
are read: aliases become current symbols, mouse genes the human genes they are orthologous to, and
what cannot be used is refused in one line. :func:`read_channel` reads a user's table (promoter
sequence embeddings, say) and :mod:`encoders.genetokens.channels` makes those that ship.
:class:`Knowledge` lays channels over a vocabulary, with a mark where a gene is missing, and
:func:`random_like` and :func:`permuted` are the controls that say what a channel's content is
worth.

After GeneCompass (doi:10.1038/s41422-024-01034-y). This module knows no cell.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadFile, BadInput
from data.genetable import Species

__all__ = ["WIDTH", "Channel", "Knowledge", "channel", "compressed", "permuted", "random_like",
           "read_channel"]  # fmt: skip

WIDTH = 32
"""Columns that a channel is brought to: six of them are as wide as one gene's own vector."""


@dataclass(frozen=True, eq=False)
class Channel:
    """Rows [genes, columns] of the current human symbols ``genes``; made by :func:`channel`.

    ``source`` says where they come from, ``notes`` what was done to the names.
    """

    name: str
    genes: tuple[str, ...]
    values: NDArray[np.float32]
    source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.values.shape[1])


def channel(
    name: str,
    genes: Sequence[str],
    values: NDArray[np.floating],
    *,
    source: str = "",
    species: Species | None = None,
) -> Channel:
    """Make a channel of names and numbers.

    Parameters
    ----------
    name
        Of the channel.
    genes
        Names as the table has them: symbols, aliases, Ensembl or NCBI ids, human or mouse.
    values
        One row a name, [genes, columns].
    source
        Where it comes from, in words.
    species
        Of the names; told from them where it is not given.

    Raises
    ------
    BadInput
        When there is no row, rows and names are not as many, a value is no finite number, one name
        has two different rows, every gene has the same row, or the names are no known genes.
    """
    from data.harmonise import harmonise

    rows = np.asarray(values, dtype=np.float32)
    where = f"the channel {name!r}"
    if rows.ndim != 2 or not len(rows) or not rows.shape[1] or len(rows) != len(genes):
        raise BadInput(
            f"{where} has {len(genes):,} names and values of shape {list(rows.shape)}; expected "
            "one row of numbers for each gene"
        )
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise BadInput(
            f"{where}: the row of {genes[bad[0]]} ({len(bad):,} of {len(rows):,} rows) holds "
            "something that is no finite number; leave such genes out: missing ones are allowed"
        )
    once, rows = _once(where, [str(gene).strip() for gene in genes], rows)
    try:
        found = harmonise(once, species=species)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None
    place = np.asarray(found.column)
    known = place >= 0
    count = np.bincount(place[known], minlength=len(found.symbols)).astype(np.float64)
    total = np.zeros((len(found.symbols), rows.shape[1]))
    np.add.at(total, place[known], rows[known])
    mean = (total / np.maximum(count, 1)[:, None]).astype(np.float32)
    if len(mean) > 1 and not mean.std(axis=0).any():
        raise BadInput(f"{where} has the same row for every gene; expected rows that differ")
    read = f"{int(known.sum()):,} of {len(once):,} {found.species} names are known genes"
    notes: tuple[str, ...] = (read,)
    if int((count > 1).sum()):
        notes += (f"{int((count > 1).sum()):,} genes are the mean of several names",)
    return Channel(name, tuple(found.symbols), mean, source, notes)


def _once(
    where: str, names: Sequence[str], rows: NDArray[np.float32]
) -> tuple[list[str], NDArray[np.float32]]:
    """Each name once; a repeated row is passed over, two different ones are refused."""
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        held = first.setdefault(name, i)
        if held != i and not np.array_equal(rows[held], rows[i]):
            raise BadInput(f"{where} has two different rows for {name}; expected each gene once")
    kept = [i for name, i in first.items() if name]
    return [names[i] for i in kept], rows[kept]


def read_channel(path: Path, name: str | None = None, species: Species | None = None) -> Channel:
    """Read a table of the user's own: a header, a column of genes, then columns of numbers.

    Parameters
    ----------
    path
        Tab- or comma-separated (told from the header), may be gzipped.
    name
        Of the channel; the file's name by default.
    species
        Of the genes; told from their names by default.

    Raises
    ------
    BadFile
        When the file cannot be read or a row is no gene and its numbers; the message has the line.
    BadInput
        From :func:`channel`.
    """
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    genes, rows = [], []
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as handle:
            head = handle.readline()
            reader = csv.reader(handle, delimiter="\t" if "\t" in head else ",")
            wide = len(next(csv.reader([head], delimiter=reader.dialect.delimiter), []))
            for cells in reader:
                if not cells:
                    continue
                rows.append(_numbers(path, reader.line_num + 1, cells, wide))
                genes.append(cells[0])
    except (OSError, UnicodeDecodeError, EOFError, csv.Error) as error:
        raise BadFile(f"the channel table {path} cannot be read: {error}") from error
    if not rows:
        raise BadFile(f"{path} has no row; expected a header and, in each line, a gene and numbers")
    title = name or path.name.split(".")[0]
    return channel(title, genes, np.array(rows, dtype=np.float32), source=path.name,
                   species=species)  # fmt: skip


def _numbers(path: Path, line: int, cells: Sequence[str], wide: int) -> list[float]:
    try:
        found = [float(cell) for cell in cells[1:]]
    except ValueError:
        found = []
    if len(cells) != wide or not found or not np.isfinite(found).all():
        n = max(wide - 1, 1)
        raise BadFile(
            f"{path}, line {line}: {','.join(cells)[:60]!r} was given; expected a gene and {n} "
            f"finite number{'s' * (n > 1)}: leave out genes of which something is missing"
        )
    return found


def compressed(found: Channel, width: int = WIDTH) -> Channel:
    """The leading principal components, scaled so that values have a mean square of 1.

    Parameters
    ----------
    found
        Any channel; one that is as narrow is only centred and scaled.
    width
        Columns at most.
    """
    rows = found.values.astype(np.float64)
    rows = rows - rows.mean(axis=0)
    if found.width > width:
        scatter = rows.T @ rows
        _, turn = np.linalg.eigh(scatter)
        turn = turn[:, ::-1][:, :width]
        # The sign of a component is arbitrary: its largest entry is made positive.
        largest = turn[np.abs(turn).argmax(axis=0), np.arange(width)]
        rows = rows @ (turn * np.where(largest < 0, -1, 1))
    size = np.sqrt((rows**2).mean())
    return replace(found, values=(rows / max(float(size), 1e-12)).astype(np.float32))


def random_like(found: Channel, seed: int = 0) -> Channel:
    """A control: random rows of the same width and size for the same genes."""
    rng = np.random.default_rng([seed, *found.name.encode()])
    size = float(np.sqrt((found.values.astype(np.float64) ** 2).mean()))
    values = rng.standard_normal(found.values.shape).astype(np.float32) * np.float32(size)
    return replace(found, values=values, source=f"random {seed}")


def permuted(found: Channel, seed: int = 0) -> Channel:
    """A control: the same rows, dealt out to the genes at random."""
    order = np.random.default_rng([seed, *found.name.encode()]).permutation(len(found.genes))
    return replace(found, values=found.values[order], source=f"{found.source}, permuted {seed}")


@dataclass(frozen=True, eq=False)
class Knowledge:
    """Channels over one vocabulary.

    Attributes
    ----------
    genes
        The vocabulary.
    values
        Rows of each channel, [genes, width]; zeros where the gene is missing.
    known
        Whether the channel has the gene, [genes].
    """

    genes: tuple[str, ...]
    values: Mapping[str, NDArray[np.float32]]
    known: Mapping[str, NDArray[np.bool_]]

    @property
    def names(self) -> tuple[str, ...]:
        """Channels in order."""
        return tuple(self.values)

    @classmethod
    def of(
        cls, channels: Iterable[Channel], genes: Iterable[str] = (), width: int = WIDTH
    ) -> Knowledge:
        """Lay compressed channels over their genes and those given besides.

        Raises
        ------
        BadInput
            When two channels have one name.
        """
        some = list(channels)
        names = [one.name for one in some]
        if len(set(names)) < len(names):
            raise BadInput(f"the channels {', '.join(names)} were given; expected each name once")
        every = tuple(sorted({g for one in some for g in one.genes} | set(genes)))
        place = {gene: i for i, gene in enumerate(every)}
        values, known = {}, {}
        for one in some:
            small = compressed(one, width)
            at = np.array([place[gene] for gene in small.genes], dtype=np.int64)
            table = np.zeros((len(every), small.width), dtype=np.float32)
            # In half precision, as checkpoints keep it: what was trained is what is read again.
            table[at] = small.values.astype(np.float16)
            mark = np.zeros(len(every), dtype=bool)
            mark[at] = True
            values[one.name], known[one.name] = table, mark
        return cls(every, values, known)
