"""PubMed by query: NCBI's E-utilities, politely.

``esearch`` gives PMIDs, ``efetch`` their MEDLINE XML, which :mod:`retrieval.medline` reads. At
most 3 requests a second without a key and 10 with one; failures are tried again after the time
that the server asks for; answers are kept on disk. ``NCBI_API_KEY`` and ``NCBI_EMAIL`` come from
the environment; the key is sent in the body, and never written anywhere.

NCBI, A General Introduction to the E-utilities: https://www.ncbi.nlm.nih.gov/books/NBK25497/
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from data import locations
from data.errors import BadFile, BadInput, ServerUnavailable
from retrieval.medline import Record, read_xml
from retrieval.recordcutter import Problem, Report

__all__ = ["ADDRESS", "MOST", "EUtilities"]

ADDRESS = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils"

MOST = 9999
"""esearch gives no more PMIDs of PubMed than this, whatever is asked."""

_PAGE = 200  # PMIDs an efetch request; NCBI asks for POST above about this many
_RATE, _RATE_WITH_KEY = 3.0, 10.0  # requests a second, NBK25497
_TRIES = 6
_LONGEST_WAIT = 60.0
_TIMEOUT = 60.0
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
# PubMed is updated daily; the record of an article seldom changes.
_AGES = {"esearch": 24 * 3600.0, "efetch": 30 * 24 * 3600.0}


class EUtilities:
    """A client of one E-utilities address.

    Parameters
    ----------
    address
        Where the utilities are; NCBI's where not given.
    folder
        Where answers are kept; below the cache where not given.
    key, email
        Sent along; from the environment where not given.
    clock, sleep
        The passing of time.
    """

    def __init__(
        self,
        address: str = ADDRESS,
        folder: Path | None = None,
        *,
        key: str | None = None,
        email: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not address.startswith(("https://", "http://")):
            raise BadInput(f"{address!r} is not a web address; expected one such as {ADDRESS}")
        self._address = address.rstrip("/")
        self._folder = folder or locations.literature() / "eutils"
        self._key = os.environ.get("NCBI_API_KEY", "") if key is None else key
        self._email = os.environ.get("NCBI_EMAIL", "") if email is None else email
        self._clock, self._sleep = clock, sleep
        self._interval = 1 / (_RATE_WITH_KEY if self._key else _RATE)
        self._next = 0.0

    def search(self, query: str, most: int = 200) -> tuple[list[str], int]:
        """PMIDs for a query in PubMed's language, and how many there are in all.

        Raises
        ------
        BadInput
            When the query is empty or ``most`` is out of range.
        ServerUnavailable
            When the server does not answer, or answers with an error.
        """
        if not query.strip():
            raise BadInput("the query to PubMed is empty; give at least one word")
        if not 1 <= most <= MOST:
            raise BadInput(f"{most} citations were asked for; PubMed gives 1 to {MOST} a query")
        asked = {"term": query, "retmax": str(most), "retmode": "json", "sort": "relevance"}
        path = self._get("esearch", asked, _esearch_fault)
        result = json.loads(path.read_bytes())["esearchresult"]
        return [str(pmid) for pmid in result["idlist"]], int(result["count"])

    def fetch(self, pmids: list[str], report: Report) -> Iterator[Record]:
        """The records of these PMIDs, a page at a time.

        Raises
        ------
        ServerUnavailable
            When the server does not answer, or answers with an error.
        """
        for i in range(0, len(pmids), _PAGE):
            page = pmids[i : i + _PAGE]
            asked = {"id": ",".join(page), "retmode": "xml"}
            path = self._get("efetch", asked, _efetch_fault)
            try:
                yield from read_xml(path, report)
            except BadFile:
                report(Problem("E-utilities", f"no record for any of {len(page)} PMIDs"))

    def _get(self, utility: str, asked: Mapping[str, str], fault: Callable[[bytes], str]) -> Path:
        """The kept answer to a request, which is made where there is none or an old one."""
        request = {"db": "pubmed", **asked}
        named = json.dumps([self._address, utility, request], sort_keys=True)
        suffix = "json" if utility == "esearch" else "xml"
        digest = hashlib.sha256(named.encode()).hexdigest()
        path = self._folder / f"{utility}-{digest[:24]}.{suffix}"
        # A file's age is wall time: it outlives the process.
        if path.exists() and time.time() - path.stat().st_mtime < _AGES[utility]:
            return path
        body = self._ask(utility, request, fault)
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(body)
        temporary.replace(path)
        return path

    def _ask(
        self, utility: str, request: Mapping[str, str], fault: Callable[[bytes], str]
    ) -> bytes:
        fields = {**request, "tool": "celloquy"}
        if self._email:
            fields["email"] = self._email
        if self._key:
            fields["api_key"] = self._key
        url = f"{self._address}/{utility}.fcgi"
        why = ""
        for attempt in range(_TRIES):
            self._wait()
            asked_to_wait = None
            try:
                body = _post(url, fields)
                why = fault(body)
                if not why:
                    return body
            except HTTPError as error:
                with error:
                    why = f"HTTP {error.code} {error.reason}"
                    asked_to_wait = _retry_after(error.headers)
                    if error.code not in _TRANSIENT:
                        break
            except (URLError, HTTPException, OSError) as error:
                why = str(getattr(error, "reason", error)) or type(error).__name__
            if attempt + 1 < _TRIES:
                wait = 2.0**attempt if asked_to_wait is None else asked_to_wait
                self._sleep(min(wait, _LONGEST_WAIT))
        raise ServerUnavailable(
            f"{url} did not answer as E-utilities do ({why}); check the connection and try again, "
            f"what was fetched is kept"
        )

    def _wait(self) -> None:
        now = self._clock()
        if now < self._next:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + self._interval


def _post(url: str, fields: Mapping[str, str]) -> bytes:
    # The address was checked to be http(s) when the client was made.
    request = Request(url, urlencode(fields).encode())  # noqa: S310
    with urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
        return bytes(answer.read())


def _retry_after(headers: Message | None) -> float | None:
    """Seconds that the server asks to wait: a number or a date (RFC 9110, 10.2.3)."""
    value = (headers.get("Retry-After") or "").strip() if headers else ""
    if value.isdecimal():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max((when - datetime.now(UTC)).total_seconds(), 0.0)


def _esearch_fault(body: bytes) -> str:
    """What is wrong with an answer of esearch; it may say so with status 200."""
    try:
        document = json.loads(body)
        result = document.get("esearchresult", {})
        said = document.get("error") or result.get("ERROR")
        if said:
            return str(said)[:200]
        int(result["count"]), list(result["idlist"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return "an answer that is no esearch result"
    return ""


def _efetch_fault(body: bytes) -> str:
    """What is wrong with an answer of efetch: cut short, or an error page."""
    if body.rstrip().endswith(b"</PubmedArticleSet>"):
        return ""
    return "an answer that is no whole PubmedArticleSet"
