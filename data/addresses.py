"""The url origin: a file from an HTTP address, resumed where an earlier download stopped.

Also reads the release out of an official file's own header, since an address that always gives
the newest file does not name it.
"""

from __future__ import annotations

import email.utils
import gzip
import itertools
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import locations
from data.errors import CorruptAsset, ServerUnavailable
from data.progress import bar

__all__ = ["UrlOrigin", "release_of"]

CHUNK = 1 << 18  # bytes taken from the connection at once
TIMEOUTS = (10.0, 60.0)  # seconds to connect, seconds without a byte
ATTEMPTS = 4  # in one run, of a download whose connection breaks after some bytes
UNPINNED_CAP = 4 << 30  # bytes; the largest official file (gene2pubmed) has some hundred MB
HEADER_LINES = 60  # of a file in which its release is looked for


class _Broken(Exception):
    """The connection ended before the file did."""


@dataclass
class UrlOrigin:
    """A downloader for pooch: an address over HTTP or HTTPS.

    ``part`` keeps what has come so far. Beside it stands the server's validator (ETag or date),
    so that a piece of today's file is never joined to yesterday's; without one only a file of
    known hash is resumed. ``size`` is the number of bytes expected, None where it is not known.
    After a download ``resumed`` and ``modified`` (the server's date, ISO 8601) tell what happened.
    """

    part: Path
    size: int | None
    progress: bool
    resumed: bool = False
    modified: str = ""

    def __call__(self, url: str, output_file: Any, keeper: Any) -> None:
        """Write what the address gives to ``output_file``.

        Raises
        ------
        ServerUnavailable
            If the address does not answer, or not with a file.
        CorruptAsset
            If it sends more bytes than expected.
        """
        import requests
        import urllib3.exceptions

        self.part.parent.mkdir(parents=True, exist_ok=True)
        self.resumed = False
        for attempt in itertools.count(1):
            before = self._have()
            try:
                self._stream(url)
                break
            except (requests.RequestException, urllib3.exceptions.HTTPError, _Broken) as error:
                if attempt < ATTEMPTS and self._have() > before:
                    time.sleep(0.1 * attempt)
                    continue
                raise ServerUnavailable(self._advice(url, error)) from error
        self.part.replace(output_file)
        self._validator.unlink(missing_ok=True)

    @property
    def _validator(self) -> Path:
        return self.part.with_name(self.part.name + ".validator")

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _request_headers(self, have: int) -> dict[str, str]:
        # Without "identity" a server may compress on the way, and the bytes are not the file's.
        headers = {"Accept-Encoding": "identity"}
        validator = self._validator.read_text("utf-8") if self._validator.exists() else ""
        if have and (validator or self.size is not None):
            headers["Range"] = f"bytes={have}-"
            if validator:
                headers["If-Range"] = validator
        return headers

    def _stream(self, url: str) -> None:
        import requests

        have = self._have()
        if have and have == self.size:
            self.resumed = True
            return  # killed after the last byte and before the check
        headers = self._request_headers(have)
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUTS) as reply:
            start = re.match(r"bytes (\d+)-", reply.headers.get("Content-Range", ""))
            goes_on = reply.status_code == 206 and start is not None and int(start[1]) == have
            again = have > 0 and reply.status_code in (206, 416) and not goes_on
            if not again and reply.status_code != 200 and not goes_on:
                raise ServerUnavailable(
                    f"{url} answered {reply.status_code} {reply.reason}, expected 200 and the file"
                )
            if not again:
                have = have if goes_on else 0
                self.resumed = self.resumed or goes_on
                self._remember(reply.headers)
                rest = reply.headers.get("Content-Length", "")
                self._copy(url, reply.raw, have, have + int(rest) if rest.isdigit() else None)
        if again:  # the part is no beginning of what the server has now
            self.part.unlink()
            self._stream(url)

    def _remember(self, headers: Any) -> None:
        """Keep the strong validator that RFC 9110 (13.1.5) allows in If-Range."""
        etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        self._validator.write_text(modified if etag.startswith("W/") or not etag else etag, "utf-8")
        day = email.utils.parsedate(modified)
        self.modified = f"{day[0]:04}-{day[1]:02}-{day[2]:02}" if day else ""

    def _copy(self, url: str, raw: Any, have: int, total: int | None) -> None:
        cap = UNPINNED_CAP if self.size is None else self.size
        try:
            with (
                self.part.open("ab" if have else "wb") as target,
                bar(self.part.stem, total or cap, show=self.progress, done=have) as meter,
            ):
                if total is not None and total > cap:
                    raise CorruptAsset(f"{url} offers {total} bytes, expected {cap}")
                for block in raw.stream(CHUNK, decode_content=False):
                    have += len(block)
                    if have > cap:
                        raise CorruptAsset(f"{url} sends more than the {cap} bytes expected")
                    target.write(block)
                    meter.update(len(block))
        except CorruptAsset:
            self.part.unlink()
            raise
        if total is not None and have < total:
            raise _Broken(f"{have} of {total} bytes came")

    def _advice(self, url: str, error: Exception) -> str:
        cause: BaseException = error
        while deeper := cause.__cause__ or cause.__context__:
            cause = deeper
        reason = " ".join(str(cause).split())[:160] or type(cause).__name__
        kept = f"{self._have()} bytes are kept and the next try goes on from there; "
        return (
            f"{url} does not answer as it should: {reason}; {kept if self._have() else ''}without "
            f"a network copy the assets folder of another machine to {locations.assets()} or "
            "point CELLOQUY_HOME at one"
        )


RELEASES = (
    # OBO 1.4: "data-version: cl/releases/2022-11-25/cl-basic.owl", "data-version: 4.1"
    re.compile(r"^data-version:\s*(?:\S*/)?(?P<release>v?\d{4}-\d\d-\d\d)(?:/\S*)?\s*$"),
    re.compile(r"^data-version:\s*(?P<release>\S+)\s*$"),
    # GAF 2.2 "!date-generated: 2026-03-12T03:24"; GAF 2.1 of GOA "!Generated: 2019-01-14 09:47"
    re.compile(r"^!\s*(?:date-generated|Generated):\s*(?P<release>\d{4}-\d\d-\d\d)"),
    # HPO annotations: "#version: 2025-01-16"
    re.compile(r"^#version:\s*(?P<release>v?\d{4}-\d\d-\d\d)"),
)


def release_of(file: Path) -> str:
    """The release that a file's header names, empty where it names none.

    Raises
    ------
    CorruptAsset
        If the file is named .gz and cannot be unpacked.
    """
    opener: Any = gzip.open if file.name.endswith(".gz") else open
    try:
        with opener(file, "rt", encoding="utf-8", errors="replace") as stream:
            head = list(itertools.islice(stream, HEADER_LINES))
    except (OSError, EOFError) as error:
        raise CorruptAsset(f"{file.name} as it came cannot be unpacked: {error}") from error
    for pattern in RELEASES:
        for line in head:
            if found := pattern.match(line):
                return found["release"]
    return ""
