"""The error tree. Every message is one line: what was given, what was expected, what to do.

::

    CelloquyError                        exit 1  something failed
    |-- BadInput (ValueError)            exit 2  a question, an id, an option cannot be used
    |   |-- BadFile                      exit 2  a file the user named cannot be used
    |   |   `-- UnsafeFile               exit 2  the preflight guard refused it
    |   `-- UnknownTerm (LookupError)    exit 2  no such gene, cell type or id
    |-- Missing                          exit 4  something Celloquy needs is not here
    |   |-- AssetMissing (FileNotFoundError)     a pinned asset was not fetched
    |   |-- DependencyMissing (ImportError)      an optional package is not installed
    |   `-- ServerUnavailable (ConnectionError)  a graph server or a web origin does not answer
    `-- CorruptAsset (OSError)           exit 1  bytes do not have the pinned hash

Each class also subclasses the builtin that fits, so that ``except ValueError`` keeps working
for a caller who does not know Celloquy's tree.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AssetMissing",
    "BadFile",
    "BadInput",
    "CelloquyError",
    "CorruptAsset",
    "DependencyMissing",
    "Missing",
    "ServerUnavailable",
    "UnknownTerm",
    "UnsafeFile",
]


class CelloquyError(Exception):
    """Root of all errors that Celloquy raises on purpose; ``exit_code`` is the command line's."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        # KeyError-like bases would quote the message; one plain line is the promise, whatever
        # line breaks or terminal codes the names in a user's file hold.
        text = " ".join(str(arg) for arg in self.args)
        return "".join(char if char.isprintable() else " " for char in text)


class BadInput(CelloquyError, ValueError):
    """The input cannot be used; the message says what was expected instead."""

    exit_code = 2


class BadFile(BadInput):
    """A file that the user named cannot be read as what it should be."""


class UnsafeFile(BadFile):
    """The preflight guard refused a file before any library opened it."""


class UnknownTerm(BadInput, LookupError):
    """No gene, cell type or identifier of that name; the message carries suggestions."""


class Missing(CelloquyError):
    """A dependency, an asset or a server is not here; the message says how to get it."""

    exit_code = 4


class AssetMissing(Missing, FileNotFoundError):
    """A pinned asset is not in the cache, or the cache is not complete."""


class DependencyMissing(Missing, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


class ServerUnavailable(Missing, ConnectionError):
    """A graph server or a web origin did not answer."""


class CorruptAsset(CelloquyError, OSError):
    """A file's bytes do not have the hash that the manifest pins."""
