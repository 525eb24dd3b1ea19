"""``celloquy doctor``: what is installed, cached and built here, and where questions would go.

Reads metadata and files; it imports no model library and opens no connection unless ``--deep``
is given, which loads torch and hashes every cached byte again.
"""

from __future__ import annotations

import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from agent import endpoints
from agent.cli.console import emit_json, options
from data.errors import CelloquyError, Missing

__all__ = ["doctor"]

# Distributions whose version decides what works; the extra that brings them, empty for the core.
KEY_PACKAGES = {
    "anndata": "",
    "h5py": "",
    "langchain-core": "",
    "langgraph": "",
    "networkx": "",
    "numpy": "",
    "obonet": "",
    "pandas": "",
    "pip": "",
    "pooch": "",
    "pydantic": "",
    "scipy": "",
    "typer": "",
    "zstandard": "",
    "torch": "models",
    "transformers": "models",
    "sentence-transformers": "models",
    "peft": "models",
    "faiss-cpu": "models",
    "gguf": "models",
    "matplotlib": "plot",
    "scanpy": "plot",
    "umap-learn": "plot",
    "fastapi": "web",
    "uvicorn": "web",
    "neo4j": "neo4j",
}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    llm: Annotated[
        str | None, typer.Option(help="Say where questions would go with this model.")
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also load torch and hash every cached file.")
    ] = False,
) -> None:
    """Check the installation: versions, assets, graph, literature, name clashes, endpoints."""
    report = examine(llm=llm, deep=deep)
    if as_json:
        emit_json(report)
    else:
        _show(report)
    if report["problems"]:
        first, *others = report["problems"]
        raise Missing(f"{len(others) + 1} problems; the first: {first}" if others else first)


def examine(*, llm: str | None = None, deep: bool = False) -> dict[str, Any]:
    """Everything that ``celloquy doctor`` tells, as one document; ``llm`` as in ``ask``."""
    report: dict[str, Any] = {
        "versions": _versions(),
        "torch": _torch(deep),
        "assets": _assets(deep),
        "graph": _graph(),
        "literature": _literature(deep),
        "clashes": _clashes(),
        "roles": endpoints.roles(options.graph, llm),
    }
    report["problems"] = list(_problems(report))
    return report


# --- what is installed -------------------------------------------------------------------------


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _versions() -> dict[str, Any]:
    return {
        "celloquy": _version("celloquy"),
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": {name: _version(name) for name in KEY_PACKAGES},
    }


def _torch(deep: bool) -> dict[str, Any] | None:
    """The build of torch, read from its own version file without importing it."""
    try:
        found = metadata.distribution("torch")
    except metadata.PackageNotFoundError:
        return None
    build = "unknown"
    version_file = Path(str(found.locate_file("torch/version.py")))
    if version_file.is_file():
        stated = dict(
            re.findall(
                r"^(cuda|hip|xpu)\b[^=]*= *'([^']+)'", version_file.read_text("utf-8"), re.MULTILINE
            )
        )
        build = " ".join(f"{kind} {number}" for kind, number in stated.items()) or "CPU"
    report: dict[str, Any] = {"version": found.version, "build": build}
    if deep:
        report |= _loaded_torch()
    return report


def _loaded_torch() -> dict[str, Any]:
    try:
        import torch
    except (ImportError, OSError) as error:
        return {"error": " ".join(str(error).split())}
    return {
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }


def _clashes() -> list[dict[str, str]]:
    from data import clashes

    return [
        {
            "name": clash.name,
            "found": str(clash.found),
            "effect": clash.effect,
            "owner": clash.owner,
            "line": clash.line,
        }
        for clash in clashes.find()
    ]


# --- what is cached and built ------------------------------------------------------------------


def _assets(deep: bool) -> dict[str, Any]:
    from data import locations, sources

    states = sources.states()
    found = sources.verify() if deep else {}
    return {
        "cache": str(locations.assets()),
        "bytes": sum(state.bytes for state in states),
        "present": [state.asset.name for state in states if state.fetched],
        "missing": {
            group: [s.asset.name for s in states if not s.fetched and s.asset.group == group]
            for group in dict.fromkeys(state.asset.group for state in states)
        },
        "updated": {s.asset.name: s.asset.release for s in states if s.asset.updated},
        "wrong": {name: said for name, said in found.items() if said not in ("ok", "missing")},
    }


def _graph() -> dict[str, Any]:
    """The graph file and the releases in it that are no longer those of the cache."""
    from kg.embedded import EmbeddedGraph, default_path

    path = default_path()
    report: dict[str, Any] = {"file": str(path), "present": path.is_file()}
    if not path.is_file():
        return report
    try:
        with EmbeddedGraph.open(path) as graph:
            held = {name: release.version for name, release in graph.releases.items()}
    except CelloquyError as error:
        return report | {"error": str(error)}
    behind = {
        name: f"{held[name]} in the graph, {release} in the cache"
        for name, release in _releases_for_a_graph().items()
        if name in held and held[name] != release
    }
    return report | {"bytes": path.stat().st_size, "releases": held, "behind": behind}


def _releases_for_a_graph() -> dict[str, str]:
    """The release of each source that a graph built now would have."""
    from data import sources
    from kg.readers.catalogue import SOURCES

    known, current = sources.manifest(), {}
    for source in SOURCES.values():
        newer = source.instead and sources.present(source.instead)
        asset = known[source.instead if newer else source.assets[0]]
        if asset.source == source.name:  # else the facts come from elsewhere: tables, labels
            current[source.name] = asset.release
    return current


def _literature(deep: bool) -> dict[str, Any]:
    from retrieval.index import default_folder, open_index

    folder = default_folder()
    report: dict[str, Any] = {"folder": str(folder), "present": (folder / "manifest.json").exists()}
    if report["present"] and deep:
        try:
            with open_index() as index:
                report["stats"] = index.stats()
        except CelloquyError as error:
            report["error"] = str(error)
    return report


# --- the report --------------------------------------------------------------------------------


def _problems(report: dict[str, Any]) -> list[str]:
    """What keeps a command of the core from working, each with what to do."""
    found = [clash["line"] for clash in report["clashes"] if clash["effect"] == "hides"]
    packages = report["versions"]["packages"]
    absent = [name for name, extra in KEY_PACKAGES.items() if not extra and not packages[name]]
    if absent:
        found.append(f"not installed: {', '.join(absent)}; run: pip install {' '.join(absent)}")
    assets, graph = report["assets"], report["graph"]
    if assets["missing"].get("core"):
        found.append(
            f"not in the cache: {', '.join(assets['missing']['core'])}; "
            "run: celloquy data fetch core"
        )
    for name, said in assets["wrong"].items():
        found.append(f"{said}; run: celloquy data fetch {name}")
    if not graph["present"]:
        found.append(f"no knowledge graph at {graph['file']}; run: celloquy kg build")
    if graph.get("error"):
        found.append(graph["error"])
    if report["literature"].get("error"):
        found.append(report["literature"]["error"])
    return found


def _show(report: dict[str, Any]) -> None:
    from agent.cli.data import size

    versions, torch, assets = report["versions"], report["torch"], report["assets"]
    graph, literature = report["graph"], report["literature"]
    installed = [f"{name} {number}" for name, number in versions["packages"].items() if number]
    extras: dict[str, list[str]] = {}
    for name, extra in KEY_PACKAGES.items():
        if extra and not versions["packages"][name]:
            extras.setdefault(extra, []).append(name)
    _line("celloquy", f"{versions['celloquy']}, Python {versions['python']}")
    _line("platform", versions["platform"])
    _line("packages", ", ".join(installed))
    for extra, names in extras.items():
        _line("not installed", f"{', '.join(names)} (extra {extra!r})")
    _line("torch", ", ".join(f"{k} {v}" for k, v in torch.items()) if torch else "not installed")
    _line("assets", f"{len(assets['present'])} cached, {size(assets['bytes'])}, {assets['cache']}")
    for group, names in assets["missing"].items():
        if names:
            _line(f"not cached ({group})", ", ".join(names))
    for name, release in assets["updated"].items():
        _line("updated", f"{name} {release}")
    if graph.get("releases"):
        held = ", ".join(f"{name} {release}" for name, release in graph["releases"].items())
        _line("graph", f"{graph['file']}, {size(graph['bytes'])}: {held}")
        for name, said in graph["behind"].items():
            _line("graph is behind", f"{name}: {said}; run: celloquy kg build")
    _line("literature", literature["folder"] if literature["present"] else "no index built")
    for name, role in report["roles"].items():
        leaves = role["leaves_this_machine"] or "nothing"
        _line(name, f"{role['uses']} (leaves this machine: {leaves})")
    for clash in report["clashes"]:
        _line("name clash", clash["line"])
    for problem in report["problems"]:
        _line("PROBLEM", problem)


def _line(title: str, text: str) -> None:
    typer.echo(f"{title:<22} {text}")
