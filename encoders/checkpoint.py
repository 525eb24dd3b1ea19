"""Tensors and what they mean, in a folder: one safetensors file and one JSON file.

Gives :func:`save` and :func:`load`, and :func:`save_module` and :func:`load_module` for a module
that was made for something: a language model, an encoder. The JSON names the hash of the tensors,
so that a file that was exchanged or cut short is refused; both files are put in place whole, and
one that was made for something else is refused by :func:`expect` in one line that names both sides.
No pickled object is ever read or written.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from data.errors import BadFile

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["MadeFor", "digest", "expect", "load", "load_module", "save", "save_module"]

_M = TypeVar("_M", bound="nn.Module")


@dataclass(frozen=True, slots=True)
class MadeFor:
    """What a module is opened beside: the fields that tell it from others, and what to do else."""

    identity: Mapping[str, Any]
    to_do: str


def save(
    folder: Path, name: str, tensors: Mapping[str, torch.Tensor], document: Mapping[str, Any]
) -> str:
    """Write ``NAME.safetensors`` and ``NAME.json`` below a folder, which is made if need be.

    The document is written last and names the tensors by their hash: after a sudden end there is
    the old pair, or the new one, or a pair that :func:`load` refuses. With a generation in the
    name of the tensors there is no such pair: see ``training.loop``.

    Returns
    -------
    str
        The sha256 of the tensors' file.
    """
    from safetensors.torch import save as to_bytes

    folder.mkdir(parents=True, exist_ok=True)
    content = to_bytes({key: t.detach().cpu().contiguous() for key, t in tensors.items()})
    own = digest(content)
    _put(folder / f"{name}.safetensors", content)
    text = json.dumps({**document, "sha256": own}, indent=1, ensure_ascii=False) + "\n"
    _put(folder / f"{name}.json", text.encode())
    return own


def load(folder: Path, name: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what :func:`save` wrote.

    Raises
    ------
    BadFile
        When a file is missing, cannot be read, or the tensors are not those that the document
        names.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    path = folder / f"{name}.json"
    if not folder.is_dir():
        raise BadFile(f"there is no folder {folder}; expected one with {path.name} in it")
    try:
        document = json.loads(path.read_text("utf-8"))
        content = path.with_suffix(".safetensors").read_bytes()
    except (OSError, ValueError) as error:
        raise BadFile(
            f"{folder} holds no {name} that can be read ({error}); expected {name}.json beside "
            f"{name}.safetensors"
        ) from None
    if not isinstance(document, dict) or document.get("sha256") != digest(content):
        raise BadFile(
            f"{path.with_suffix('.safetensors')} is not the file that {path.name} names by its "
            "sha256; save both again"
        )
    try:
        return from_bytes(content), document
    except SafetensorError as error:
        raise BadFile(f"{path.with_suffix('.safetensors')} cannot be read: {error}") from None


def expect(found: Mapping[str, Any], expected: Mapping[str, Any], what: str, to_do: str) -> None:
    """Compare the fields of ``expected`` with those found.

    Raises
    ------
    BadFile
        Where one differs: one line with both sides.
    """
    other = [key for key in expected if found.get(key) != expected[key]]
    if other:
        here = ", ".join(f"{key} {found.get(key)}" for key in other)
        there = ", ".join(f"{key} {expected[key]}" for key in other)
        raise BadFile(f"{what} is for {here}; expected {there}; {to_do}")


def save_module(
    folder: Path,
    name: str,
    module: nn.Module,
    own: Mapping[str, Any],
    *,
    version: int,
    made_for: Mapping[str, Mapping[str, Any]],
    about: Mapping[str, Any] | None = None,
) -> str:
    """Write a module's tensors and what it is.

    Parameters
    ----------
    folder, name
        As in :func:`save`.
    module
        Whose parameters and buffers are kept.
    own
        What it is built from again.
    version
        Of the format.
    made_for
        The identity of each of the things that it works with, by field: ``language``, ``encoder``.
    about
        What else the document shall say: data, seed, figures.

    Returns
    -------
    str
        The sha256 of the tensors' file.
    """
    document = {"version": version, **own, **made_for, "about": dict(about or {})}
    return save(folder, name, module.state_dict(), document)


def load_module(
    folder: Path,
    name: str,
    make: Callable[[Mapping[str, Any]], _M],
    *,
    what: str,
    version: int,
    made_for: Mapping[str, MadeFor],
) -> tuple[_M, dict[str, Any]]:
    """Read what :func:`save_module` wrote.

    Parameters
    ----------
    folder, name
        As in :func:`save`.
    make
        Builds the module from its document; the tensors are put in afterwards.
    what
        What it is to a reader: "adapter".
    version
        Of the format.
    made_for
        What it is opened beside, by the field of the document. Only the fields of an identity that
        are given are compared: an empty one accepts any.

    Returns
    -------
    tuple
        The module, in evaluation mode, and its document.

    Raises
    ------
    BadFile
        When the files cannot be used, or were made for something else: one line with both sides.
    """
    tensors, document = load(folder, name)
    expect(document, {"version": version}, str(folder), "train it again")
    for field, other in made_for.items():
        found = document.get(field)
        if not isinstance(found, dict):
            raise BadFile(f"the {what} {folder} does not say its {field}; train it again")
        expect(found, other.identity, f"the {what} {folder}", other.to_do)
    try:
        made = make(document)
        made.load_state_dict(tensors)
    except (TypeError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadFile(f"the {what} {folder} does not fit its own document: {reason}") from None
    return made.eval(), document


def digest(content: bytes) -> str:
    """The sha256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def _put(path: Path, content: bytes) -> None:
    """Write whole or not at all, also through a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)
