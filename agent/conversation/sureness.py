"""How sure an answer is, told by what carries it: codes, collections, papers, measured figures.

Nothing is looked up or computed here: an account of the citations that the answer has. A release
states and gives no probability, so none is made up for it; what a model predicts is told with the
figure that it reached, and the trivial baseline's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from agent.answer import Answer, Citation
from agent.conversation.meant import Meant
from agent.conversation.memory import Turn
from agent.kinds.genes import PAIRED, listing_sources
from agent.verification.phrases import EVIDENCE_WORDS, SOURCE_WORDS
from agent.verification.wording import counted, join
from kg.terms import MARKER_OF
from retrieval.evidence import (
    CellsEvidence,
    EdgeEvidence,
    PassageEvidence,
    PathEvidence,
    PredictionEvidence,
    TermEvidence,
)

__all__ = ["EVIDENCE", "account", "asks_how_sure", "how_sure"]

EVIDENCE = re.compile(r"^\s*(?:but )?why(?: is (?:that|it)(?: so)?| so)?\W*$", re.IGNORECASE)
"""Asks for the reasons of the last answer: it is given again, with its evidence."""
_THAT = r"(?:\s+(?:about|of|in|with)?\s*(?:that|this|it|the (?:last )?answer|your answer))?"
_SURE = re.compile(
    r"^\s*(?:and |but |so |ok |okay )*(?:(?:how|are you|are you really|are you very) "
    r"(?:sure|certain|confident)(?: are you| is (?:that|this|it))?"
    r"|are you (?:sure|certain|confident)"
    r"|(?:can|should|could) (?:i|we|one) (?:trust|believe|rely on)"
    r"|how (?:reliable|trustworthy|solid|strong|good|safe|well supported|likely|probable) "
    r"(?:is|are)(?: the evidence(?: for)?)?"
    r"|is (?:that|this|it) (?:really |for )?(?:sure|certain|reliable|solid|well supported|true))"
    rf"{_THAT}\W*$",
    re.IGNORECASE,
)
_KNOWN_HOW = re.compile(
    r"^\s*(?:and |but |so )*(?:how do you know|(?:what is|what's) (?:the|your) (?:evidence|source)"
    r"|(?:on|by) what evidence|based on what|who says(?: so)?|says who|(?:the |your )?sources?"
    rf"|what(?: does| do)? (?:that|this|it) (?:rest|rely)(?:s)? on){_THAT}(?: for)?{_THAT}\W*$",
    re.IGNORECASE,
)

_PLAIN = 0.95  # score of a name from which nobody need ask whether it was meant
_KEYS = 4  # keys that a sentence names before it says "and so many more"


def asks_how_sure(question: str, *, measured: bool) -> bool:
    """Whether a question asks how sure the last answer is, or what it rests on.

    Where that was ``measured`` on attached cells, "how do you know?" asks for their markers.
    """
    return bool(_SURE.match(question) or (not measured and _KNOWN_HOW.match(question)))


def how_sure(last: Turn) -> Meant:
    """The last answer again, told by what carries it."""
    return Meant(
        tool=last.tool, terms=last.terms, organism=last.organism, selection=last.selection,
        against=last.against, sure=True, note="asks what carries the last answer",
    )  # fmt: skip


def account(answer: Answer) -> str:
    """What carries an answer, in plain sentences; "" where it cites nothing."""
    shown = [one for one in answer.citations if _is_used(one, answer)]
    parts = [sentence for kind in _KINDS for sentence in kind(shown)]
    if parts and 0 < answer.confidence < _PLAIN:
        parts.append(
            f"The words were taken for these terms with a score of {answer.confidence:.2f}."
        )
    return " ".join(parts)


def _is_used(citation: Citation, answer: Answer) -> bool:
    used = {key for c in answer.claims if c.verdict == "supported" for key in c.evidence}
    return citation.key in used


def _keys(citations: Sequence[Citation]) -> str:
    named = [one.key for one in citations[:_KEYS]]
    more = len(citations) - len(named)
    return f" [{', '.join(named)}{f' and {more} more' if more else ''}]"


def _released(citations: Sequence[Citation]) -> str:
    names = dict.fromkeys(
        f"{SOURCE_WORDS.get(one.evidence.source, (one.evidence.source,))[0]} {one.evidence.release}"
        for one in citations
    )
    return join([name.strip() for name in names])


def _states(citations: Sequence[Citation]) -> str:
    one = len({(each.evidence.source, each.evidence.release) for each in citations}) == 1
    return f"{_released(citations)} {'states' if one else 'state'}"


def _records(shown: Sequence[Citation]) -> Iterator[str]:
    """Paths and words of an ontology."""
    some = [one for one in shown if isinstance(one.evidence, PathEvidence | TermEvidence)]
    if some:
        yield (
            f"{_states(some)} it in these words or by these steps{_keys(some)}, checked against "
            "the release; a release gives no probability of being right."
        )


def _annotations(shown: Sequence[Citation]) -> Iterator[str]:
    """Edges with evidence codes: by what, in how many papers."""
    some = [
        (one, one.evidence.edge)
        for one in shown
        if isinstance(one.evidence, EdgeEvidence) and one.evidence.edge.evidence_code
    ]
    if not some:
        return
    codes = Counter(str(edge.evidence_code) for _, edge in some)
    said = [
        f"{n} {'is' if n == 1 else 'are'} {EVIDENCE_WORDS.get(code, ('of the code',))[0]} ({code})"
        for code, n in codes.most_common()
    ]
    papers = {paper for _, edge in some for paper in edge.publications if paper.startswith("PMID:")}
    where = f", in {counted(len(papers), 'paper')}" if papers else ", and no paper is named"
    cited = [one for one, _ in some]
    yield (
        f"Of {counted(len(some), 'annotation')} cited from {_released(cited)}{_keys(cited)}, "
        f"{join(said)}{where}."
    )


def _marked(shown: Sequence[Citation]) -> Iterator[str]:
    """Edges of the marker table: by how many collections."""
    some = [
        one
        for one in shown
        if isinstance(one.evidence, EdgeEvidence) and one.evidence.edge.predicate == MARKER_OF
    ]
    if not some:
        return
    lists = [
        listing_sources([one.evidence.edge])
        for one in some
        if isinstance(one.evidence, EdgeEvidence)
    ]
    if len(some) == 1:
        many = counted(len(lists[0]), "collection")
        named = f": {', '.join(lists[0])}" if lists[0] else ""
        yield f"The marker is listed by {many} of markers{_keys(some)}{named}."
        return
    alone = sum(len(one) < 2 for one in lists)
    yield (
        f"Of {len(some)} markers cited from {_released(some)}{_keys(some)}, {len(some) - alone} "
        f"{'is' if len(some) - alone == 1 else 'are'} listed by two collections or more and "
        f"{alone} by one; being listed is no measurement."
    )


def _others(shown: Sequence[Citation]) -> Iterator[str]:
    """Edges of other sources, which give no code: pairs by their lists, the rest as stated."""
    plain = [
        (one, one.evidence.edge)
        for one in shown
        if isinstance(one.evidence, EdgeEvidence)
        and not one.evidence.edge.evidence_code
        and one.evidence.edge.predicate != MARKER_OF
    ]
    paired = [(one, edge) for one, edge in plain if PAIRED in edge.qualifiers]
    rest = [one for one, edge in plain if PAIRED not in edge.qualifiers]
    if paired:
        alone = sum((edge.weight or 0) < 2 for _, edge in paired)
        cited = [one for one, _ in paired]
        yield (
            f"Of {counted(len(paired), 'pair')} of a ligand and its receptor{_keys(cited)}, "
            f"{alone} {'is' if alone == 1 else 'are'} listed by one resource alone; "
            f"{_released(cited)} compiles such lists and gives no evidence codes."
        )
    if rest:
        yield f"{_states(rest)} it{_keys(rest)} without an evidence code."


def _quoted(shown: Sequence[Citation]) -> Iterator[str]:
    some = [one for one in shown if isinstance(one.evidence, PassageEvidence)]
    if some:
        yield (
            f"These are the words of {counted(len(some), 'passage')}{_keys(some)}, checked letter "
            "by letter; whether their authors are right is not judged."
        )


def _computed(shown: Sequence[Citation]) -> Iterator[str]:
    some = [one for one in shown if isinstance(one.evidence, CellsEvidence)]
    if some:
        yield (
            f"{counted(len(some), 'figure')}{_keys(some)} {'was' if len(some) == 1 else 'were'} "
            "computed from the file a second time, another way, with the same result; no test of "
            "significance is made."
        )


def _predicted(shown: Sequence[Citation]) -> Iterator[str]:
    """Predictions: the figure of the model, beside the baseline."""
    seen = dict[str, list[Citation]]()
    for one in shown:
        if isinstance(one.evidence, PredictionEvidence):
            seen.setdefault(one.evidence.measured, []).append(one)
    for measured, some in seen.items():
        piece = some[0].evidence
        assert isinstance(piece, PredictionEvidence)
        beside = f"; beside it, {piece.baseline}" if piece.baseline else ""
        sure = [one.confidence for one in some if one.confidence is not None]
        own = f" Its own confidence is {min(sure):.2f}." if sure else ""
        yield f"What is predicted{_keys(some)} is no fact; measured: {measured}{beside}.{own}"


_KINDS: tuple[Callable[[Sequence[Citation]], Iterator[str]], ...] = (
    _records, _annotations, _marked, _others, _quoted, _computed, _predicted,
)  # fmt: skip
