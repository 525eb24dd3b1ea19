"""Literature files by their content: MEDLINE XML, NBIB (PubMed's export) and JSON lines.

NBIB is the tagged format of PubMed's "send to citation manager"
(https://www.nlm.nih.gov/bsd/mms/medlineelements.html). A JSON line is an object with ``pmid`` and
``title`` or ``abstract``, and optionally ``journal``, ``year``, ``mesh`` (a list) and
``retracted``. In both, as in XML, a record that cannot be used is named and passed over.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from data.errors import BadFile
from retrieval.medline import Citation, Notice, Record, read_xml
from retrieval.recordcutter import Problem, Report

__all__ = ["FORMATS", "read"]

FORMATS = "MEDLINE XML (.xml, .xml.gz), NBIB (.nbib) or JSON lines (.jsonl), each also gzipped"

# Tags of NBIB that announce what MEDLINE XML calls a RefType.
_NOTICE_TAGS = {
    "RIN": "RetractionIn",
    "ROF": "RetractionOf",
    "RRI": "RetractedandRepublishedIn",
    "RRF": "RetractedandRepublishedFrom",
    "EIN": "ErratumIn",
    "EFR": "ErratumFor",
    "CRI": "CorrectedandRepublishedIn",
    "CRF": "CorrectedandRepublishedFrom",
    "ECI": "ExpressionOfConcernIn",
    "ECF": "ExpressionOfConcernFor",
    "UIN": "UpdateIn",
    "UOF": "UpdateOf",
}
_TAG = re.compile(r"([A-Z]{2,4}) *- ?(.*)")
_PMID = re.compile(r"[1-9]\d{0,8}")
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d")
_LABEL = re.compile(r"(?:^|(?<=\.) )([A-Z][A-Z0-9 ,/&()-]{2,60}): (?=\S)")
_LONGEST_LINE = 4 << 20


def read(path: Path, report: Report) -> Iterator[Record]:
    """Read a literature file of any of the formats, told apart by its first bytes.

    Raises
    ------
    BadFile
        When the file is none of them.
    """
    head = _head(path)
    if head.startswith("<"):
        return read_xml(path, report)
    if head.startswith("{"):
        return _read_jsonl(path, report)
    if _TAG.match(head):
        return _read_nbib(path, report)
    raise BadFile(f"{path} is not a literature file; expected {FORMATS}")


def _head(path: Path) -> str:
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            block = stream.read(4096)
    except (OSError, EOFError, zlib.error) as error:
        raise BadFile(f"{path} cannot be read ({error}); expected {FORMATS}") from error
    return block.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")


def _lines(path: Path, report: Report) -> Iterator[tuple[int, str]]:
    """Numbered lines as text; what is not UTF-8, or absurdly long, is named and dropped."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as stream:
        number = 0
        while True:
            number += 1
            try:
                line = stream.readline(_LONGEST_LINE)
            except (OSError, EOFError, zlib.error) as error:
                report(Problem(path.name, f"the file is damaged or cut short ({error})"))
                return
            if not line:
                return
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                report(Problem(f"{path.name} line {number}", f"not UTF-8 ({error.reason})"))


def _read_jsonl(path: Path, report: Report) -> Iterator[Record]:
    for number, line in _lines(path, report):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("expected an object")
            yield _from_json(record)
        except (ValueError, RecursionError) as error:
            report(Problem(f"{path.name} line {number}", str(error)))


def _from_json(record: dict[str, Any]) -> Citation:
    def text(name: str) -> str:
        value = record.get(name, "")
        if value is None:
            return ""
        if not isinstance(value, str):
            raise ValueError(f"{name} is {type(value).__name__}, expected text")
        return "\n".join(" ".join(line.split()) for line in value.splitlines() if line.strip())

    pmid, year, mesh = str(record.get("pmid", "")), record.get("year"), record.get("mesh") or []
    if not isinstance(mesh, list) or not all(isinstance(term, str) for term in mesh):
        raise ValueError("mesh must be a list of texts")
    if year is not None and (not isinstance(year, int) or not 1500 <= year < 2100):
        raise ValueError(f"year is {year!r}, expected a number such as 2021")
    return _checked(
        Citation(
            pmid=pmid,
            title=" ".join(text("title").split()),
            abstract=text("abstract"),
            journal=" ".join(text("journal").split()),
            year=year,
            mesh=tuple(" ".join(term.split()) for term in mesh),
            notices=(Notice("RetractionIn", ""),) if record.get("retracted") is True else (),
        )
    )


def _read_nbib(path: Path, report: Report) -> Iterator[Record]:
    fields: list[tuple[str, str]] = []
    first = 1
    # One empty line more, so that the last record closes like the others.
    for number, line in chain(_lines(path, report), [(-1, "")]):
        found = _TAG.match(line)
        # Records are parted by an empty line; where that is missing, PMID begins the next.
        if fields and (not line.strip() or (found and found[1] == "PMID")):
            try:
                yield _from_nbib(fields)
            except ValueError as error:
                report(Problem(f"{path.name} line {first}", str(error)))
            fields = []
        if found:
            first = number if not fields else first
            fields.append((found[1], found[2].strip()))
        elif line.startswith(" ") and fields:
            tag, value = fields[-1]
            fields[-1] = (tag, f"{value} {line.strip()}")
        elif line.strip():
            report(Problem(f"{path.name} line {number}", "neither a tag nor a continued line"))


def _from_nbib(fields: list[tuple[str, str]]) -> Citation:
    def first(tag: str) -> str:
        return next((value for name, value in fields if name == tag), "")

    def every(tag: str) -> list[str]:
        return [value for name, value in fields if name == tag]

    year = _YEAR.search(first("DP"))
    # Headings carry their qualifiers: "Cocaine/*metabolism".
    mesh = dict.fromkeys(value.split("/")[0].lstrip("*") for value in every("MH"))
    notices = []
    for tag, value in fields:
        if kind := _NOTICE_TAGS.get(tag):
            pmid = re.search(r"PMID: (\d+)", value)
            notices.append(Notice(kind, pmid[1] if pmid else ""))
    return _checked(
        Citation(
            pmid=first("PMID"),
            title=" ".join((first("TI") or first("BTI")).split()),
            abstract=_LABEL.sub(r"\n\1: ", " ".join(first("AB").split())).strip(),
            journal=first("JT"),
            journal_abbreviation=first("TA"),
            year=int(year[0]) if year else None,
            mesh=tuple(mesh),
            types=tuple(dict.fromkeys(every("PT"))),
            notices=tuple(dict.fromkeys(notices)),
            revised=_date(first("LR")),
        )
    )


def _date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if re.fullmatch(r"\d{8}", text) else ""


def _checked(citation: Citation) -> Citation:
    if not _PMID.fullmatch(citation.pmid):
        raise ValueError(f"no usable PMID: {citation.pmid!r}")
    if not citation.title and not citation.abstract:
        raise ValueError("neither a title nor an abstract")
    return citation
