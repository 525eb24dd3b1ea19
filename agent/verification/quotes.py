"""When words may be quoted from a text: verbatim, at word boundaries, with nothing vital cut off.

A quote may leave out parts of a sentence, but not the part that turns its meaning: a negation, a
doubt or a condition. Knows no graph and no evidence.
"""

from __future__ import annotations

import re

__all__ = ["quotable"]

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"“(]?[A-Z0-9])")
_TURNING = re.compile(
    r"\b(no|not|never|neither|nor|none|without|cannot|unlike|fail(?:s|ed)?|lack(?:s|ed|ing)?|"
    r"absence|absent|unable|hardly|barely|rarely|unclear|unknown|uncertain|whether|if|unless|"
    r"hypothes\w+|propos\w+|may|might|could|would|suggest\w*|possibl[ey]|potential\w*|putative\w*|"
    r"appear\w*|seem\w*|likely|unlikely|presum\w+|controvers\w+|contrary|except|only|against|"
    r"refut\w+|den(?:y|ied|ies)|disprov\w+|exclud\w+|rather|instead|although|despite|however|"
    r"previously|thought|believed|assum\w+|contrast)\b|n't\b",
    re.IGNORECASE,
)


def _flat(text: str) -> str:
    return " ".join(text.split())


def quotable(quote: str, text: str) -> bool:
    """Whether ``quote`` may stand in quotation marks as words of ``text``.

    >>> whole = "We found no evidence that IL-2 kills T cells. IL-7 helps them."
    >>> quotable("IL-7 helps them.", whole), quotable("IL-2 kills T cells", whole)
    (True, False)
    """
    quote, text = _flat(quote), _flat(text)
    if not quote:
        return False
    start = text.find(quote)
    while start >= 0:
        end = start + len(quote)
        if _bounded(text, start, end) and not _TURNING.search(_left_out(text, start, end)):
            return True
        start = text.find(quote, start + 1)
    return False


def _bounded(text: str, start: int, end: int) -> bool:
    before = text[start - 1 : start]
    after = text[end : end + 1]
    inside_left = before and (before.isalnum() and text[start].isalnum())
    inside_right = after and (after.isalnum() and text[end - 1].isalnum())
    hyphen = before in ("-", "−") or after in ("-", "−")
    return not (inside_left or inside_right or hyphen)


def _left_out(text: str, start: int, end: int) -> str:
    """What the sentences that hold ``text[start:end]`` say besides it."""
    bounds = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    first = max(bound for bound in bounds if bound <= start)
    last = min(bound for bound in bounds if bound >= end)
    return text[first:start] + " " + text[end:last]
