"""What an evaluation prints: figures beside their baselines, and what they were made with."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["Figure", "Report", "versions"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, its spread over seeds or folds (None where there is one run), and of how many."""

    value: float
    n: int
    spread: float | None = None


@dataclass
class Report:
    """One suite: figures by name, baselines by name and figure, and the conditions."""

    suite: str
    figures: dict[str, Figure] = field(default_factory=dict)
    baselines: dict[str, dict[str, Figure]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    assets: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, value: float, n: int, spread: float | None = None) -> None:
        """Add a figure of the method."""
        self.figures[name] = Figure(float(value), n, spread)

    def beside(
        self, baseline: str, name: str, value: float, n: int, spread: float | None = None
    ) -> None:
        """Add a baseline's figure of the same name."""
        self.baselines.setdefault(baseline, {})[name] = Figure(float(value), n, spread)

    def join(self, other: Report) -> None:
        """Add the figures, baselines, conditions and notes of another report."""
        self.figures |= other.figures
        for base, some in other.baselines.items():
            self.baselines.setdefault(base, {}).update(some)
        self.versions = {**self.versions, **other.versions}
        self.assets = {**self.assets, **other.assets}
        self.notes += other.notes

    def document(self) -> dict[str, Any]:
        """The report as interfaces.md describes `evaluate --json`."""

        def plain(figure: Figure) -> dict[str, Any]:
            return {"value": round(figure.value, 4), "spread": figure.spread, "n": figure.n}

        return {
            "suite": self.suite,
            "figures": {name: plain(f) for name, f in self.figures.items()},
            "baselines": {
                base: {name: plain(f) for name, f in some.items()}
                for base, some in self.baselines.items()
            },
            "versions": dict(self.versions),
            "seed": self.seed,
            "assets": dict(self.assets),
            "notes": self.notes,
        }

    def table(self) -> str:
        """Plain text: one line a figure, baselines in the columns after it."""
        head = ["figure", "celloquy", *self.baselines]
        rows: list[Sequence[str]] = [head]
        names = list(self.figures)
        for some in self.baselines.values():
            names += [name for name in some if name not in names]
        for name in names:
            cells = [_cell(self.figures.get(name))]
            cells += [_cell(some.get(name)) for some in self.baselines.values()]
            rows.append([name, *cells])
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [
            "  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def show(self, file: Path | None = None) -> None:
        """Print the table; with ``file``, write the JSON document there too."""
        sys.stdout.write(self.table() + "\n")
        if file:
            file.write_text(self.text() + "\n", encoding="utf-8")

    def text(self) -> str:
        """The JSON document."""
        return json.dumps(self.document(), indent=1, ensure_ascii=False)


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    spread = f" +- {figure.spread:.3f}" if figure.spread is not None else ""
    return f"{figure.value:.3f}{spread}"


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in ("celloquy", "numpy", "scipy", *packages):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
