"""MEDLINE XML cut into records before any XML parser sees it, as a stream of bounded memory.

A file is unpacked block by block and cut at the tags of its records, so that damage in one costs
one, and so that nothing outside a record (a DOCTYPE with entities) ever reaches a parser. Knows
nothing of what is inside a record.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from data.errors import BadFile, UnsafeFile

__all__ = ["Problem", "Report", "cut"]

_BLOCK = 1 << 20
# The longest record of the two sample files is 1.3 MB (a consortium's author list).
_LONGEST_RECORD = 32 << 20
# MEDLINE files compress 6 to 11 times; only a bomb comes near gzip's ceiling of about 1,030.
_HIGHEST_RATIO = 200
_RATIO_FROM = 64 << 20

_START = re.compile(
    rb"<(PubmedArticle|PubmedBookArticle|MedlineCitation|DeleteCitation)(?=[\s/>])[^<>]*>"
)
_LONGEST_START = 128
_DECLARATION = re.compile(rb"<!ENTITY|<!DOCTYPE[^>\[]*\[")
_ENCODING = re.compile(rb"<\?xml[^>]*encoding=[\"']([A-Za-z0-9._-]+)[\"']")


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that could not be used: where it stands and why, in words."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


Report: TypeAlias = Callable[[Problem], None]


class _Stream:
    """The unpacked bytes of a file; damage ends the stream and is remembered."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = ""

    def blocks(self) -> Iterator[bytes]:
        """Blocks of at most 1 MiB."""
        try:
            raw = self.path.open("rb")
        except OSError as error:
            raise BadFile(f"{self.path} cannot be read ({error.strerror})") from error
        with raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream: io.BufferedIOBase = gzip.GzipFile(fileobj=raw) if packed else raw
            total = 0
            while True:
                try:
                    # One piece at a time: read() of a file cut short loses what came before it.
                    block = stream.read1(_BLOCK)
                except (OSError, EOFError, zlib.error) as error:
                    self.damage = f"the file is damaged or cut short ({error})"
                    return
                if not block:
                    return
                total += len(block)
                if packed and total > _RATIO_FROM and total > _HIGHEST_RATIO * raw.tell():
                    raise UnsafeFile(
                        f"{self.path} unpacks to more than {_HIGHEST_RATIO} times its size; "
                        f"expected a MEDLINE file (about 10 times)"
                    )
                yield block


def cut(path: Path, report: Report, encoding: list[str]) -> Iterator[tuple[str, bytes]]:
    """Cut a file into records: the name of each element, and its bytes.

    What lies between records is looked at for entity declarations, then dropped. ``encoding``
    receives what the XML declaration names.

    Raises
    ------
    BadFile
        When the file cannot be opened.
    UnsafeFile
        When it declares entities, or unpacks to an absurd size.
    """
    stream = _Stream(path)
    buffer = b""
    name = ""  # of the record that ``buffer`` begins with, once one has begun
    searched = 0
    first = True
    for block in stream.blocks():
        buffer += block
        if first:
            first = False
            if found := _ENCODING.match(buffer.lstrip(b"\xef\xbb\xbf")):
                encoding.append(found[1].decode("ascii"))
        while True:
            if not name:
                start = _START.search(buffer)
                between = buffer[: start.start()] if start else buffer
                if _DECLARATION.search(between):
                    raise UnsafeFile(
                        f"{stream.path} declares XML entities in its DOCTYPE; MEDLINE files "
                        f"have none, so nothing of it was read"
                    )
                if start is None:
                    buffer = buffer[-_LONGEST_START:]
                    break
                if start[0].endswith(b"/>"):
                    buffer = buffer[start.end() :]
                    continue
                name, searched = start[1].decode("ascii"), start.end() - start.start()
                buffer = buffer[start.start() :]
            end = _end(buffer, name, searched)
            if end is None:
                searched = max(searched, len(buffer) - _LONGEST_START)
                if len(buffer) <= _LONGEST_RECORD:
                    break
                report(Problem(f"{stream.path.name}, a {name}", "longer than 32 MiB"))
                end = len(buffer) - _LONGEST_START
            else:
                yield name, buffer[:end]
            buffer, name = buffer[end:], ""
    if name:
        yield name, buffer  # cut short: the parser says so, and the record is named
    if stream.damage:
        report(Problem(stream.path.name, stream.damage))


def _end(buffer: bytes, name: str, searched: int) -> int | None:
    """Where the record ends: after its end tag, or before the next one where that is damaged."""
    tag = f"</{name}>".encode()
    end = buffer.find(tag, searched)
    following = buffer.find(f"<{name}>".encode(), searched, end if end >= 0 else len(buffer))
    if following >= 0:
        return following
    return end + len(tag) if end >= 0 else None
