"""The front door of Celloquy: ``import celloquy`` and the ``celloquy`` command.

Names are loaded when first used (PEP 562), so that importing this module costs nothing. The
folders beside it (agent, training, retrieval, encoders, kg, data) are plain top-level packages;
the guard below tells a user in one line when another package of the same name hides one of them.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent import pl, tl
    from agent.lookup import neighbours, path
    from agent.qa import ask

__version__ = "0.1.0"

__all__ = ["__version__", "ask", "main", "neighbours", "path", "pl", "tl"]

PACKAGES = ("agent", "training", "retrieval", "encoders", "kg", "data")

_PUBLIC = {
    "ask": "agent.qa",
    "neighbours": "agent.lookup",
    "path": "agent.lookup",
    "pl": "agent",
    "tl": "agent",
}


def shadowed(root: Path | None = None) -> list[str]:
    """Name each of Celloquy's packages that another package or file of that name hides.

    Parameters
    ----------
    root
        The folder that holds Celloquy; the default is this file's.

    Returns
    -------
    list of str
        One line a clash: which name, found where, expected where.
    """
    here = (root or Path(__file__).parent).resolve()
    clashes = []
    for name in PACKAGES:
        spec = find_spec(name)
        found = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if found != here / name:
            clashes.append(
                f"{name!r} is imported from {found or 'nowhere'}, expected {here / name}; "
                f"rename or uninstall what stands there, or use a virtual environment of its own"
            )
    return clashes


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        if clashes := shadowed():
            raise ImportError("another package hides a part of Celloquy: " + clashes[0])
        home = _PUBLIC[name]
        module = importlib.import_module(home if home != "agent" else f"agent.{name}")
        value = module if home == "agent" else getattr(module, name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'celloquy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def _take_ours() -> None:
    """Import Celloquy's packages from beside this file, whatever ``sys.path`` would give."""
    for name in PACKAGES:
        folder = Path(__file__).resolve().parent / name
        spec = spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec and spec.loader:
            sys.modules[name] = module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])


def main() -> None:
    """Run the command line; exits with the codes of docs/commands.md."""
    clashes = shadowed()
    if clashes and sys.argv[1:2] == ["doctor"]:
        _take_ours()  # the one command that runs all the same: it names every clash and its owner
    elif clashes:
        sys.stderr.write("celloquy: another package hides a part of Celloquy: " + clashes[0] + "\n")
        raise SystemExit(4)
    from agent.cli.main import run

    raise SystemExit(run())


if __name__ == "__main__":
    main()
