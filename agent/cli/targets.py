"""The files that a command was told to write: whole or not at all, and nobody's work lost by it.

Before any work, :func:`to_write` refuses what is read as well, what is named twice, and a dataset
that Celloquy did not write; any other file that is there is replaced, and that is said.
:func:`whole` is for files that others write by their name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.cli.console import options
from data.errors import BadInput, CelloquyError

__all__ = ["apart", "to_write", "whole"]

_OURS = "celloquy"  # how the names begin of what is added to a copy


def to_write(
    file: Path, *, read: tuple[Path | None, ...] = (), also: tuple[Path, ...] = ()
) -> None:
    """Refuse a file that cannot be written without harm, before any work is done for it.

    Parameters
    ----------
    file
        The file to write.
    read
        What the command reads.
    also
        What else it writes.

    Raises
    ------
    BadInput
        When it is a folder, has none to be in, is read or written under another name as well, or
        is a dataset that Celloquy did not write.
    """
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise BadInput(f"{file} cannot be written; expected the name of a file in a folder")
    apart(file, *read)
    if any(_same(file, other) for other in also):
        raise BadInput(f"{file} was named twice; expected a name of its own")
    if not file.exists() or not file.stat().st_size:
        return
    if file.suffix == ".h5ad" and not _annotated(file):
        raise BadInput(
            f"{file} is there already and is no copy that Celloquy wrote; name another file, or "
            "move that one away"
        )
    if not options.quiet:
        sys.stderr.write(f"celloquy: {file} is there already and will be replaced\n")


def apart(place: Path, *read: Path | None) -> None:
    """Refuse to write a file or folder that is read.

    Raises
    ------
    BadInput
        When it is one of those read, by whatever name.
    """
    for other in read:
        if other is not None and _same(place, other):
            raise BadInput(
                f"{place} is the input itself; expected another name: the input stays as it is"
            )


@contextmanager
def whole(file: Path) -> Iterator[Path]:
    """A name beside ``file``, of the same ending, that takes its place at the end of the block.

    Raises
    ------
    CelloquyError
        When it cannot be written; what was there before stays.
    """
    part = file.with_name(f".{file.stem}.{os.getpid()}.part{file.suffix}")
    try:
        yield part
        part.replace(file)
    except OSError as error:
        raise CelloquyError(
            f"{file} was not written ({error.strerror or error}); free some space or write "
            "elsewhere"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.absolute() == other.absolute()


def _annotated(file: Path) -> bool:
    """Whether it holds what annotating, or scoring for a phrase, adds."""
    from data.errors import BadFile
    from data.preflight import open_file

    try:
        with open_file(file) as opened:
            return any(str(key).startswith(_OURS) for part in ("obs", "uns")
                       if part in opened for key in opened[part])  # fmt: skip
    except BadFile:
        return False
