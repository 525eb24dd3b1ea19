"""Ways to damage a sound .h5ad file, for the tests of the guard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from data import preflight
from data.errors import BadFile
from data.layout import Limits

CELLS, GENES = 30, 20
"""Size of the sound file."""

Damage = Callable[[h5py.File], object]


def refusal(path: Path, damage: Damage, limits: Limits | None = None) -> BadFile:
    """Damage a file and return the error with which the guard refuses it."""
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(BadFile) as caught:
        preflight.check(path, limits)
    assert "\n" not in str(caught.value)
    return caught.value


def replace(file: h5py.File, name: str, values: object, **options: object) -> h5py.Dataset:
    attributes = dict(file[name].attrs)
    del file[name]
    dataset = file.create_dataset(name, data=values, **options)
    dataset.attrs.update(attributes)
    return dataset


def edit(file: h5py.File, name: str, place: int, value: float) -> None:
    values = file[name][...]
    values[place] = value
    file[name][...] = values
