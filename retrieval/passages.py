"""Sentences and windows of a stored text, as exact offsets; and the value a search returns.

``text[start:end]`` of a span is the sentence itself, nothing repaired or trimmed afterwards, so
that a quote can be checked by anyone who has the text. A window is a run of whole sentences, the
unit that is embedded. The splitter is rule-based and made for abstracts: it knows section labels,
decimal numbers, initials, species names and the usual abbreviations; it knows no language model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from retrieval.evidence import PassageEvidence

__all__ = ["Passage", "Span", "sentences", "windows"]

# all-MiniLM-L6-v2 reads 256 word pieces; abstracts run at about 4.4 characters a piece, and the
# title (about 25 pieces) goes in front of each window.
WINDOW = 800


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ABBREVIATIONS = _words(
    "vs e.g i.e eg ie al et fig figs ref refs no nos dr prof mr mrs ms st approx ca cf resp eq "
    "eqs sp spp subsp var ser str vol pp ed eds inc ltd dept univ viz incl excl max min avg "
    "temp conc i.v i.p i.m s.c p.o b.i.d t.i.d u.s u.k a.m p.m ph.d sect suppl"
)
# A sentence may well end in a single capital ("hepatitis B. We ..."), an initial seldom
# precedes one of these words.
_STARTERS = _words(
    "The This These Those We Our In It Its However Here Thus Therefore To A An At As After Both "
    "By For From If On Using When While With Results Methods Conclusions Conclusion There They "
    "Although All Among Because Finally Furthermore Moreover Patients Treatment"
)
_BOUNDARY = re.compile(r"[.!?][\"'”’)\]]*(\s+)(?=[\"'“‘(\[]*[A-Z0-9À-ÖØ-ÞΑ-Ω])|(\n+)")
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘]*$")
_NEXT_WORD = re.compile(r"[\"'“‘(\[]*(\w+)")
_LABEL = re.compile(r"[A-Z][A-Z0-9 ,/&()'’:;.-]{1,79}: (?=\S)")


class Span(NamedTuple):
    """A half-open range of a stored text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Passage:
    """One result: a verbatim quote of one citation, with where it stands and how it ranked.

    ``ranks`` holds the citation's place (from 1) in each list that found it. ``notices`` say in
    words what the record carries: a retraction, an erratum, an expression of concern.
    """

    pmid: str
    title: str
    journal: str
    year: int | None
    quote: str
    start: int
    end: int
    score: float
    ranks: dict[str, int] = field(default_factory=dict)
    retracted: bool = False
    release: str = ""
    notices: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The quote, marked where the article was retracted."""
        return f"[retracted] {self.quote}" if self.retracted else self.quote

    def evidence(self) -> PassageEvidence:
        """The passage as a piece of evidence of an answer."""
        return PassageEvidence(
            pmid=self.pmid,
            quote=self.quote,
            start=self.start,
            end=self.end,
            title=self.title,
            source="PubMed",
            release=self.release,
            retracted=self.retracted,
        )


def sentences(text: str, offset: int = 0) -> list[Span]:
    """Split a text into sentences, section labels left out.

    Parameters
    ----------
    text
        A stored text, or a part of one.
    offset
        Where that part begins; added to every offset.

    >>> text = "RESULTS: Cells (cf. Fig. 2) of E. coli grew by 2.5 h. They died."
    >>> [text[start:end] for start, end in sentences(text)]
    ['Cells (cf. Fig. 2) of E. coli grew by 2.5 h.', 'They died.']
    """
    spans = []
    start = 0
    for found in _BOUNDARY.finditer(text):
        gap = found.start(1) if found[1] is not None else found.start(2)
        if found[1] is not None and not _ends(text, start, found):
            continue
        spans.append(_trim(text, start, gap))
        start = found.end()
    spans.append(_trim(text, start, len(text)))
    return [Span(s + offset, e + offset) for s, e in spans if e > s]


def windows(text: str, body: int, size: int = WINDOW) -> list[list[Span]]:
    """Group the sentences of ``text[body:]`` into windows of about ``size`` characters.

    The text is shared out evenly (a window may run over its share by a quarter), so that no
    abstract leaves a last window of half a sentence. A text with nothing after ``body`` (no
    abstract) gives its title as the one window.
    """
    spans = sentences(text[body:], body) or sentences(text)
    if not spans:
        return []
    length = spans[-1].end - spans[0].start
    target = length / -(-length // size)
    groups: list[list[Span]] = [[]]
    for span in spans:
        reached = span.end - spans[0].start
        if groups[-1] and reached > target * len(groups) + target / 4:
            groups.append([])
        groups[-1].append(span)
    return groups


def _ends(text: str, start: int, found: re.Match[str]) -> bool:
    """Whether the mark at ``found`` ends a sentence."""
    mark = text[found.start()]
    before = text[start : found.start()]
    if before.count("(") > before.count(")") or before.count("[") > before.count("]"):
        # Inside brackets, unless they were never closed in this sentence.
        closing = re.search(r"[)\]]", text[found.start() : found.start() + 200])
        if closing and not found[0].rstrip().endswith((")", "]")):
            return False
    if mark != ".":
        return True
    last = _LAST_WORD.search(before)
    word = last[0] if last else ""
    if word.lower() in _ABBREVIATIONS or before.strip().isdecimal():
        return False  # "e.g. CD8", or the number of a list: "2. Cells ..."
    following = _NEXT_WORD.match(text, found.end())
    if len(word) == 1 and word.isupper():
        return bool(following and following[1] in _STARTERS)
    return True


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The range without white space at its ends and without a leading section label."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start == 0 or text[start - 1] == "\n":
        label = _LABEL.match(text, start, end)
        if label:
            start = label.end()
    return start, end
