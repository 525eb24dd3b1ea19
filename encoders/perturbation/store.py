"""A trained perturbation model in a folder: the screen's profiles, and GEARS where it was trained.

Gives :func:`save_stored` and :func:`load_stored`: safetensors and JSON, through
:mod:`encoders.checkpoint`; nothing that runs code is read. The profiles make the fast models again
in a moment, so that no weights of theirs are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.errors import BadFile
from encoders.perturbation.screen import Screen
from encoders.prediction import Measured

if TYPE_CHECKING:
    from encoders.perturbation.gears import Network

__all__ = ["NAME", "Stored", "load_stored", "save_stored"]

NAME = "perturb"
_ARRAYS = ("changes", "errors", "cells", "control")


@dataclass(frozen=True, eq=False)
class Stored:
    """What a folder holds.

    ``network`` is None where none was trained; ``measured`` its figure on left-out genes,
    ``scores`` delta-Pearson of these by their genes, ``spearman`` how its expected errors go with
    its errors, and ``scale`` brings them to the size of these.
    """

    screen: Screen
    network: Network | None = None
    measured: Measured | None = None
    scores: Mapping[tuple[str, ...], float] | None = None
    spearman: float = 0.0
    scale: float = 1.0

    def beats(self, others: Mapping[tuple[str, ...], float]) -> bool:
        """Whether the network is better than a rival beyond chance, on what both were scored on."""
        from encoders.perturbation.choice import beyond_chance

        if self.network is None or not self.scores:
            return False
        shared = sorted(set(self.scores) & set(others))
        return beyond_chance(np.array([self.scores[some] - others[some] for some in shared]))


def save_stored(folder: Path, stored: Stored, about: Mapping[str, Any] | None = None) -> str:
    """Write a folder; returns the sha256 of its tensors."""
    import torch

    from encoders.checkpoint import save

    screen = stored.screen
    tensors = {
        f"screen.{name}": torch.from_numpy(np.ascontiguousarray(getattr(screen, name)))
        for name in _ARRAYS
    }
    document: dict[str, Any] = {
        "kind": "celloquy perturbation model", "genes": list(screen.genes),
        "sets": [list(some) for some in screen.sets], "labels": list(screen.labels),
        "control_cells": screen.control_cells, "source": Path(screen.source).name,
        "column": screen.column, "about": dict(about or {}),
    }  # fmt: skip
    network = stored.network
    if network is not None:
        state = network.model.state_dict()
        tensors |= {f"gears.{name}": value for name, value in state.items()}
        tensors["nodes"] = torch.from_numpy(network.nodes.weights)
        document["gears"] = {
            "nodes": list(network.nodes.genes), "ids": list(network.nodes.ids),
            "trained": list(network.trained), "config": asdict(network.model.config),
            "measured": asdict(stored.measured) if stored.measured else None,
            "scores": [[list(some), value] for some, value in (stored.scores or {}).items()],
            "spearman": stored.spearman, "scale": stored.scale,
        }  # fmt: skip
    return save(folder, NAME, tensors, document)


def load_stored(folder: Path) -> Stored:
    """Read a folder that :func:`save_stored` wrote.

    Raises
    ------
    BadFile
        When it holds no such model.
    """
    from encoders.checkpoint import load

    tensors, document = load(folder, NAME)
    try:
        arrays: dict[str, Any] = {name: tensors[f"screen.{name}"].numpy() for name in _ARRAYS}
        screen = Screen(
            genes=tuple(document["genes"]), sets=tuple(tuple(some) for some in document["sets"]),
            labels=tuple(document["labels"]), control_cells=int(document["control_cells"]),
            source=str(document["source"]), column=str(document["column"]), **arrays,
        )  # fmt: skip
        if screen.changes.shape != (len(screen.sets), len(screen.genes)):
            raise ValueError(f"profiles of shape {screen.changes.shape}")
        return _with_network(screen, tensors, document.get("gears"))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadFile(
            f"{folder} holds no perturbation model ({error}); expected a folder that celloquy "
            "train perturb wrote"
        ) from None


def _with_network(
    screen: Screen, tensors: Mapping[str, Any], told: Mapping[str, Any] | None
) -> Stored:
    if told is None:
        return Stored(screen)
    from encoders.perturbation.gears import Gears, GearsConfig, Network
    from encoders.perturbation.graphs import Nodes

    nodes = Nodes(tuple(told["nodes"]), tuple(told["ids"]), tensors["nodes"].numpy())
    none = np.zeros((len(screen.genes),) * 2, np.float32)
    model = Gears(GearsConfig(**told["config"]), none, len(nodes.genes))
    own = _under(tensors, "gears.")
    model.load_state_dict(own)
    model.eval()
    scores = {tuple(some): float(value) for some, value in told["scores"]}
    measured = Measured(**told["measured"]) if told["measured"] else None
    network = Network(model, nodes, tuple(told["trained"]))
    return Stored(screen, network, measured, scores, float(told["spearman"]),
                  float(told["scale"]))  # fmt: skip


def _under(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    names: Sequence[str] = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors[name] for name in names}
