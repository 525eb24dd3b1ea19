"""Files that appear whole or not at all: written beside their place and moved into it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from data.cache import as_umask_says
from data.errors import CelloquyError

__all__ = ["replacing"]


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Yield a text file that becomes ``path`` when the block ends without an error.

    Raises
    ------
    CelloquyError
        When the file cannot be written; what was at ``path`` before stays.
    """
    scratch: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        scratch = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            yield file
        as_umask_says(scratch)
        scratch.replace(path)
    except OSError as error:
        raise CelloquyError(f"{path} cannot be written: {error}") from error
    finally:
        if scratch is not None:
            scratch.unlink(missing_ok=True)
