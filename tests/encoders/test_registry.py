"""The conformance test of encoders, passed by the shipped one and failed by bad ones."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest

from data.errors import BadInput
from encoders import registry
from encoders.registry import find, names, problems


class Sums:
    """A twenty-line encoder: hashed genes, summed."""

    name = "sums"

    def encode(self, values: Any, genes: list[str]) -> np.ndarray:
        table = np.array([[sum(map(ord, g)) % 7, len(g), 1] for g in genes], dtype=np.float32)
        found: np.ndarray = np.asarray(values @ table, dtype=np.float32)
        return found


class Companions(Sums):
    def encode(self, values: Any, genes: list[str]) -> np.ndarray:
        found = super().encode(values, genes)
        return found - found.mean(axis=0)


class Ordered(Sums):
    def encode(self, values: Any, genes: list[str]) -> np.ndarray:
        return np.asarray(values.toarray()[:, :3], dtype=np.float32)


class Meddler(Sums):
    def encode(self, values: Any, genes: list[str]) -> np.ndarray:
        found = super().encode(values, genes)
        values.data[:] = 0
        return found


class Constant(Sums):
    def encode(self, values: Any, genes: list[str]) -> np.ndarray:
        return np.ones((values.shape[0], 2), dtype=np.float32)


class Whole(Sums):
    def encode(self, values: Any, genes: list[str]) -> np.ndarray:
        found: np.ndarray = np.rint(super().encode(values, genes)).astype(int)
        return found


class Broken(Sums):
    def encode(self, values: Any, genes: list[str]) -> np.ndarray:
        raise KeyError("weights")


class Flat(Sums):
    def encode(self, values: Any, genes: list[str]) -> np.ndarray:
        return np.ones(3, dtype=np.float32)


def test_a_small_encoder_conforms() -> None:
    assert problems(Sums()) == []


@pytest.mark.models
@pytest.mark.assets
def test_the_shipped_encoder_conforms() -> None:
    assert names()[0] == "gene-text"
    assert problems(find("gene-text")) == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (Companions, "come with it"), (Ordered, "order of the genes"), (Meddler, "its input"),
        (Constant, "same vector"), (Whole, "floating-point"), (Broken, "KeyError"),
        (Flat, "one row a cell"), (dict, "no name"),
    ],
)  # fmt: skip
def test_what_does_not_conform_is_told(bad: type, why: str) -> None:
    assert why in "; ".join(problems(bad()))


def test_encoders_of_other_packages_are_found_and_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    good = EntryPoint("sums", f"{__name__}:Sums", registry.GROUP)
    bad = EntryPoint("bad", f"{__name__}:Constant", registry.GROUP)
    loaded = {"sums": Sums, "bad": Constant}
    monkeypatch.setattr(EntryPoint, "load", lambda self: loaded[self.name])
    monkeypatch.setattr(registry, "entry_points", lambda group: (good, bad))
    assert names() == ("gene-text", "bad", "sums")
    assert find("sums").name == "sums"
    with pytest.raises(BadInput, match="same vector"):
        find("bad")
    with pytest.raises(BadInput, match=r"obsm:KEY, .* or one of: gene-text, bad, sums"):
        find("scgpt")
