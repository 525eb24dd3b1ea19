"""Which cells of a dataset are meant: ``leiden=3``, ``cell_type=CD8 T``, ``index=0:50``.

    selection := part (" or " part)*          part := condition (" and " condition)*
    condition := COLUMN "=" VALUE ("," VALUE)*  |  "index" "=" (N | N:M) ("," (N | N:M))*

A value may hold commas, "and" and "or" itself where the column has such a value. Values are
compared as text; capitals count only where the column needs them to tell two values apart. Knows
nothing of expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput

__all__ = ["ALL", "Condition", "Selection", "Table", "overview", "parse", "resolved"]

ALL = ""
"""The selection of every cell."""

INDEX = "index"
"""The column that stands for the place of a cell in the file, counted from 0."""

EXPECTED = "COLUMN=VALUE such as leiden=3, or index=0:50"
SHOWN = 12  # columns or values that a message names

# A joint is one only where a condition follows at once: "cell_type=B and T cells" has none.
_JOINT = re.compile(r"\s+(and|or)\s+(?=(?:(?!\s(?:and|or)\s)[^=])+=)", re.IGNORECASE)
_SPAN = re.compile(r"(\d+)(?::(\d+))?")


class Table(Protocol):
    """The table of cells: what is selected from."""

    @property
    def name(self) -> str:
        """Its dataset's name."""
        ...

    @property
    def n_cells(self) -> int:
        """How many cells it has."""
        ...

    @property
    def columns(self) -> list[str]:
        """Names of its columns."""
        ...

    def column(self, key: str) -> Any:
        """One column, as a pandas Series."""
        ...


@dataclass(frozen=True, slots=True)
class Condition:
    """One column and the values that it may have."""

    column: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.column}={','.join(self.values)}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Cells for which all conditions of one of the parts hold; without a part, every cell."""

    parts: tuple[tuple[Condition, ...], ...] = ()

    def __str__(self) -> str:
        return " or ".join(" and ".join(map(str, part)) for part in self.parts)

    def mask(self, table: Table) -> NDArray[np.bool_]:
        """Which cells are meant.

        Raises
        ------
        BadInput
            When a column or a value is not there, or no cell fits.
        """
        if not self.parts:
            return np.ones(table.n_cells, dtype=bool)
        found = np.zeros(table.n_cells, dtype=bool)
        for part in self.parts:
            found |= np.logical_and.reduce([_mask(one, table) for one in part])
        if not found.any():
            raise BadInput(f"no cell of the {table.n_cells:,} fits {str(self)!r}; widen it")
        return found


def parse(text: str | None) -> Selection:
    """Read a selection by its form alone.

    >>> str(parse(" leiden = 3 and batch=a,b or index=0:2"))
    'leiden=3 and batch=a,b or index=0:2'
    >>> str(parse("cell_type=B and T cells"))
    'cell_type=B and T cells'

    Raises
    ------
    BadInput
        When it has another form.
    """
    if text is None or not text.strip():
        return Selection()
    words = _JOINT.split(text.strip())
    parts: list[list[Condition]] = [[_condition(words[0], text)]]
    for joint, condition in zip(words[1::2], words[2::2], strict=True):
        if joint.lower() == "or":
            parts.append([])
        parts[-1].append(_condition(condition, text))
    return Selection(tuple(map(tuple, parts)))


def _condition(text: str, whole: str) -> Condition:
    column, equals, value = (part.strip() for part in text.partition("="))
    value = value.removeprefix("=").strip()  # "==" is what a programmer types
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1].strip()
    if not (equals and column and value):
        raise BadInput(f"{whole.strip()!r} names no cells; expected {EXPECTED}")
    return Condition(" ".join(column.split()), (value,))


def resolved(text: str | None, table: Table) -> Selection:
    """Read a selection and hold it against the table: columns and values as these spell them.

    Raises
    ------
    BadInput
        When it has another form, or a column or a value is not there; the message names those
        that are.
    """
    parsed = parse(text)
    return Selection(tuple(tuple(_known(one, table) for one in part) for part in parsed.parts))


def _known(condition: Condition, table: Table) -> Condition:
    column = _alike(condition.column, table.columns)
    wanted = ",".join(condition.values)
    if column is None:
        if condition.column.lower() == INDEX:
            places = tuple(value.strip() for value in wanted.split(","))
            _places(places, table.n_cells)
            return Condition(INDEX, places)
        raise BadInput(
            f"{table.name} has no column {condition.column!r}; it has {_some(table.columns)} "
            f"and {INDEX}"
        )
    there = _values(table, column)
    whole = _alike(wanted, there)
    values = (whole,) if whole is not None else tuple(_split(wanted, column, there))
    return Condition(column, values)


def _split(wanted: str, column: str, there: Sequence[str]) -> Iterable[str]:
    for value in (part.strip() for part in wanted.split(",")):
        found = _alike(value, there)
        if found is None:
            raise BadInput(f"no cell has {column} = {value!r}; there are {_some(there)}")
        yield found


def _alike(name: str, there: Sequence[str]) -> str | None:
    """The name as it is there; capitals may differ where only one is alike."""
    if name in there:
        return name
    same = [other for other in there if other.casefold() == name.casefold()]
    return same[0] if len(same) == 1 else None


def _values(table: Table, column: str) -> list[str]:
    return sorted(set(_text(table, column)), key=_natural)


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """The key by which "2" comes before "10"."""
    parts = re.findall(r"\d+|\D+", text)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)


def _text(table: Table, column: str) -> NDArray[np.object_]:
    return np.asarray(table.column(column).astype(str).to_numpy(), dtype=object)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN]) or "none"
    return shown + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")


def _mask(condition: Condition, table: Table) -> NDArray[np.bool_]:
    if condition.column == INDEX and INDEX not in table.columns:
        found = np.zeros(table.n_cells, dtype=bool)
        for start, stop in _places(condition.values, table.n_cells):
            found[start:stop] = True
        return found
    return np.isin(_text(table, condition.column), np.array(condition.values, dtype=object))


def _places(values: Sequence[str], n_cells: int) -> list[tuple[int, int]]:
    """Runs of cells, from ``5`` or ``0:50`` (the end excluded, as in Python)."""
    runs = []
    for value in values:
        match = _SPAN.fullmatch(value.replace(" ", ""))
        if match is None:
            raise BadInput(f"index={value} is no place of a cell; expected numbers such as 1,2,5 "
                           "or a run such as 0:50")  # fmt: skip
        start = int(match[1])
        stop = int(match[2]) if match[2] else start + 1
        if not start < stop <= n_cells:
            raise BadInput(
                f"index={value} is outside of the {n_cells:,} cells; expected 0 to {n_cells - 1}"
            )
        runs.append((start, stop))
    return runs


def overview(table: Table) -> str:
    """What can be selected: a line a column, those whose every cell differs by name alone."""
    lines = []
    for column in table.columns:
        series = table.column(column)
        if series.dtype.kind in "fc" or series.nunique() > MANY:
            lines.append(f"  {column}: {series.nunique():,} values")
        else:
            lines.append(f"  {column}: {_some(_values(table, column))}")
    return "\n".join([*lines, f"  {INDEX}: 0 to {table.n_cells - 1:,}"])


MANY = 100
"""Different values from which a column groups nothing that a reader would pick from a list."""
