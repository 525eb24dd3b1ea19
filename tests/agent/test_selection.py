"""Which cells are meant: the grammar, its algebra, and what is said where nothing fits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.attached.selection import overview, parse, resolved
from data.errors import BadInput


class Rows:
    """A table of cells in memory."""

    name = "cells.h5ad"

    def __init__(self, **columns: list[Any]) -> None:
        self.frame = pd.DataFrame(columns)

    @property
    def n_cells(self) -> int:
        return len(self.frame)

    @property
    def columns(self) -> list[str]:
        return list(self.frame.columns)

    def column(self, key: str) -> Any:
        return self.frame[key]


TABLE = Rows(
    leiden=["0", "1", "10", "2", "1", "0"],
    label=["B", "T cell, CD4", "B and T", "NK", "nk", "B"],
    good=[True, False, True, True, False, True],
    n=[1, 2, 3, 4, 5, 6],
)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("leiden=1", [1, 4]),
        (" leiden == 1 ", [1, 4]),
        ("LEIDEN=0,2", [0, 3, 5]),
        ("label=T cell, CD4", [1]),
        ("label='B and T'", [2]),
        ("label=B and T", [2]),
        ("label=NK", [3]),
        ("label=nk", [4]),
        ("good=True and leiden=0", [0, 5]),
        ("label=b or n=4", [0, 3, 5]),
        ("label=B and n=1 or n=3", [0, 2]),
        ("index=0:2", [0, 1]),
        ("index=5,1", [1, 5]),
        ("index=0:2,4 and label=B", [0]),
        ("", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_what_is_selected(text: str, places: list[int]) -> None:
    selection = resolved(text, TABLE)
    assert np.flatnonzero(selection.mask(TABLE)).tolist() == places
    assert resolved(str(selection), TABLE) == selection


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cluster=1", "no column 'cluster'; it has leiden, label, good, n and index"),
        ("leiden=7", "no cell has leiden = '7'; there are 0, 1, 2, 10"),
        ("leiden=1,7", "no cell has leiden = '7'"),
        ("label=Nk", "no cell has label = 'Nk'"),
        ("leiden=1 and label=NK", "no cell of the 6 fits"),
        ("index=6", "outside of the 6 cells; expected 0 to 5"),
        ("index=3:3", "outside"),
        ("index=a", "no place of a cell"),
        ("leiden", "expected COLUMN=VALUE"),
        ("=3", "expected COLUMN=VALUE"),
        ("leiden=", "expected COLUMN=VALUE"),
    ],
)
def test_what_is_not_there_is_told_in_a_line(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        resolved(text, TABLE).mask(TABLE)
    assert "\n" not in str(caught.value)


def test_a_column_named_index_is_that_column() -> None:
    table = Rows(index=["x", "y"])
    assert resolved("index=y", table).mask(table).tolist() == [False, True]


def test_the_overview_names_what_can_be_picked() -> None:
    text = overview(Rows(leiden=["10", "2"], score=[0.1, 0.2]))
    assert text.splitlines() == ["  leiden: 2, 10", "  score: 2 values", "  index: 0 to 1"]


_COLUMN = st.sampled_from(["leiden", "label", "good"])


@st.composite
def conditions(draw: st.DrawFn) -> tuple[str, np.ndarray]:
    """A condition that holds for some cell, with its mask."""
    if draw(st.booleans()):
        start = draw(st.integers(0, 5))
        stop = draw(st.integers(start + 1, 6))
        return f"index={start}:{stop}", np.isin(np.arange(6), range(start, stop))
    column = draw(_COLUMN)
    values = TABLE.column(column).astype(str).to_numpy()
    value = draw(st.sampled_from(sorted(set(values))))
    return f"{column}={value}", values == value


@given(conditions(), conditions(), conditions())
def test_and_binds_more_than_or(a: Any, b: Any, c: Any) -> None:
    text = f"{a[0]} or {b[0]} and {c[0]}"
    selection = resolved(text, TABLE)
    assert np.array_equal(selection.mask(TABLE), a[1] | (b[1] & c[1]))
    assert resolved(str(selection), TABLE) == selection
    assert str(resolved(str(selection), TABLE)) == str(selection)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        selection = parse(text)
    except BadInput as error:
        assert str(error)
    else:
        assert parse(str(selection)) == selection
