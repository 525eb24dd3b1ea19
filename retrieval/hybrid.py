"""Search: words and vectors fused, and the sentence that is worth quoting.

Citations are ranked by words over the whole citation and by the cosine of its best window. The two
are added on their own scales, the BM25 score as a share of the highest that the query allows
(S. Bruch, S. Gai, A. Ingber, An Analysis of Fusion Functions for Hybrid Retrieval, TOIS 2023). In
a hybrid search words also count where a near one stands in their stead
(:mod:`retrieval.nearwords`): a question in other words shares few with its abstract, and which
ones is mostly chance. A search by words alone is plain BM25. Reciprocal ranks (G. Cormack, C.
Clarke, S. Büttcher, SIGIR 2009) are kept for comparison. A second model may re-rank the head of
the list. Knows nothing of files.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from data.errors import BadInput
from retrieval.docstore import Docstore, Stored
from retrieval.filters import Filters
from retrieval.lexical import K1, B, Near, best, query_terms, tokens
from retrieval.medline import stored_text
from retrieval.passages import Passage, Span, sentences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Dense", "Expand", "Fusion", "Mode", "Ranked", "Rerank", "Searcher"]

Mode = Literal["hybrid", "dense", "lexical"]

Fusion = Literal["near", "exact", "reciprocal"]
"""How a hybrid search joins its two rankings: by sums, near words counted too or only those of the
query; or by reciprocal ranks."""

Expand: TypeAlias = Callable[[str], Sequence[str]]
"""Gives other names of the things that a query names."""

Rerank: TypeAlias = Callable[[str, Sequence[str]], Sequence[float]]
"""Scores texts for a query, as a cross-encoder does."""

COSINE = 0.75
"""Share of the cosine in the sum. From .6 to .8 the ranking hardly changes; chosen on titles of the
sample and tests/golden/paraphrases_tuning.tsv (docs/experiments/retrieval.md)."""

FLOOR = 0.42
"""Least cosine of a hit for a query of which the index knows no word. Of 305 gibberish queries 2
have a window nearer; of 160 paraphrased questions 2 have none (docs/experiments/retrieval.md)."""

RRF = 60
"""The constant of the paper, where it was chosen in pilot runs and found not to be critical."""

DEPTH = 200
"""Citations taken from each ranking; beyond, a reciprocal rank adds less than .004."""

RERANKED = 50
"""Citations that a re-ranking model reads."""

EXPANSION = 0.3
"""Weight of a word that only a synonym brings; see docs/experiments/retrieval.md for on and off."""

# The mean length of an abstract's sentence, in terms (measured on the 2021 sample).
_SENTENCE = 20
# A quote shorter than this (characters) takes the following sentence with it.
_SHORT = 60


@dataclass(frozen=True, slots=True)
class Ranked:
    """A citation in a ranking, with its best window where vectors were used."""

    doc: int
    score: float
    ranks: dict[str, int] = field(default_factory=dict)
    window: int | None = None


Hit: TypeAlias = tuple[int, float, int]
"""Citation, cosine, and the number of the window that has it."""


class Dense(Protocol):
    """What the fusion needs of a vector index."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts."""

    def search(
        self, query: NDArray[np.float32], limit: int, docs: NDArray[np.int64] | None
    ) -> list[Hit]:
        """The best windows, one a citation, best first."""

    def near(self, words: Sequence[str]) -> Near:
        """For each word others that are near it; nothing where none are known."""


class Searcher:
    """Ranks citations and picks quotes, over a docstore and, where there is one, vectors."""

    def __init__(
        self, docs: Docstore, dense: Dense | None = None, rerank: Rerank | None = None
    ) -> None:
        self.docs = docs
        self.dense = dense
        self.rerank = rerank

    def search(
        self,
        query: str,
        k: int,
        *,
        mode: Mode,
        filters: Filters | None = None,
        expand: Expand | None = None,
    ) -> list[Passage]:
        """The best passages, one a citation; see :meth:`retrieval.index.LiteratureIndex.search`."""
        ranked = self.rank(query, k, mode=mode, filters=filters, expand=expand)
        stored = self.docs.get([row.doc for row in ranked])
        spans = self._quotes(query, ranked, stored, mode)
        return [
            _passage(stored[row.doc], row, spans[row.doc]) for row in ranked if row.doc in stored
        ]

    def rank(
        self,
        query: str,
        k: int,
        *,
        mode: Mode,
        filters: Filters | None = None,
        expand: Expand | None = None,
        fusion: Fusion = "near",
    ) -> list[Ranked]:
        """The best citations, best first; none where nothing answers to the query."""
        import numpy as np

        if k < 1:
            raise BadInput(f"k is {k}; expected a positive number of results")
        terms = query_terms(query)
        if not terms:
            raise BadInput(f"the query {query!r} has no word to search for; give at least one")
        allowed = self.docs.allowed(filters) if filters else None
        depth = max(DEPTH, k)
        more = _expanded(query, terms, expand)
        words = shares = None
        lists: dict[str, list[int]] = {}
        if mode != "dense":
            near = self._near(more, mode, fusion)
            words = self.docs.lexical.scores(more, near)
            shares = words / (self.docs.lexical.highest(terms, near) or 1.0)
            shares = np.minimum(shares, 1.0) ** (1 if near else 2)
            lists["lexical"] = [doc for doc, _ in best(words, depth, allowed)]
        cosines: dict[int, float] = {}
        window: dict[int, int] = {}
        if mode != "lexical":
            found, others = self._nearest(query, depth, allowed, lists.get("lexical", ()))
            lists["dense"] = [doc for doc, _, _ in found]
            cosines = {doc: cosine for doc, cosine, _ in found + others}
            window = {doc: passage for doc, _, passage in found + others}
            if not any(map(self.docs.lexical.count, more)):
                for name, docs in lists.items():
                    lists[name] = [doc for doc in docs if cosines.get(doc, 0.0) >= FLOOR]
        if mode == "dense":
            scores = {doc: cosines[doc] for doc in lists["dense"]}
        elif mode == "lexical":
            assert words is not None
            scores = {doc: float(words[doc]) for doc in lists["lexical"]}
        elif fusion == "reciprocal":
            scores = fuse(lists.values())
        else:
            assert shares is not None
            scores = _sums(shares, cosines, lists)
        rows = _ordered(scores, lists, window)
        if self.rerank is not None:
            rows = self._reranked(query, rows[: max(RERANKED, k)])
        return rows[:k]

    def _near(self, terms: Mapping[str, float], mode: Mode, fusion: Fusion) -> Near:
        """Near words, where they count."""
        if mode != "hybrid" or fusion != "near":
            return {}
        assert self.dense is not None, "the caller resolves the mode first"
        return self.dense.near(list(terms))

    def _nearest(
        self, query: str, depth: int, allowed: NDArray[np.int64] | None, others: Sequence[int]
    ) -> tuple[list[Hit], list[Hit]]:
        """The nearest citations, and those of ``others`` that are not among them."""
        import numpy as np

        assert self.dense is not None, "the caller resolves the mode first"
        vector = self.dense.encode([query])
        found = self.dense.search(vector, depth, allowed)
        rest = sorted(set(others) - {doc for doc, _, _ in found})
        more = self.dense.search(vector, len(rest), np.array(rest, np.int64)) if rest else []
        return found, more

    def _reranked(self, query: str, rows: list[Ranked]) -> list[Ranked]:
        assert self.rerank is not None
        stored = self.docs.get([row.doc for row in rows])
        spans = self.docs.passages([row.window for row in rows if row.window is not None])
        texts = []
        for row in rows:
            text = stored_text(stored[row.doc].citation)
            if row.window in spans:
                _, start, end = spans[row.window]
                text = f"{stored[row.doc].citation.title} {text[start:end]}"
            texts.append(text)
        scored = zip(rows, self.rerank(query, texts), strict=True)
        again = [Ranked(row.doc, float(score), row.ranks, row.window) for row, score in scored]
        return sorted(again, key=lambda row: (-row.score, row.doc))

    def _quotes(
        self, query: str, ranked: Sequence[Ranked], stored: Mapping[int, Stored], mode: Mode
    ) -> dict[int, Span]:
        """The best sentence of each citation, from its best window where that is known."""
        terms = query_terms(query)
        weights = self.docs.lexical.weights(terms)
        bounds = self.docs.passages([row.window for row in ranked if row.window is not None])
        choices: dict[int, list[Span]] = {}
        texts: dict[int, str] = {}
        for row in ranked:
            if row.doc not in stored:
                continue
            citation = stored[row.doc].citation
            text = texts[row.doc] = stored_text(citation)
            body = len(text) - len(citation.abstract) if citation.abstract else 0
            if row.window in bounds:
                _, start, end = bounds[row.window]
                choices[row.doc] = sentences(text[start:end], start)
            else:
                choices[row.doc] = sentences(text[body:], body)
            choices[row.doc] = choices[row.doc] or [Span(0, len(text))]
        spoken = {
            doc: [_overlap(texts[doc][s:e], weights) for s, e in spans]
            for doc, spans in choices.items()
        }
        if mode != "lexical" and self.dense is not None and choices:
            flat = [texts[doc][s:e] for doc, spans in choices.items() for s, e in spans]
            vectors = self.dense.encode([query, *flat])
            cosines = iter((vectors[1:] @ vectors[0]).tolist())
            # Both lie between 0 and 1; neither was found to be the better judge.
            for values in spoken.values():
                values[:] = [value + next(cosines) for value in values]
        return {
            doc: _quote(choices[doc], max(range(len(values)), key=values.__getitem__))
            for doc, values in spoken.items()
        }


def fuse(lists: Iterable[Sequence[int]]) -> dict[int, float]:
    """Reciprocal-rank fusion: the sum over lists of 1 / (60 + rank).

    >>> fuse([[7, 8], [8]])[8] == 1 / 62 + 1 / 61
    True
    """
    fused: defaultdict[int, float] = defaultdict(float)
    for docs in lists:
        for place, doc in enumerate(docs, start=1):
            fused[doc] += 1 / (RRF + place)
    return dict(fused)


def _sums(
    shares: NDArray[np.float32], cosines: Mapping[int, float], lists: Mapping[str, Sequence[int]]
) -> dict[int, float]:
    """The weighted sums; a citation without vectors yet has its words alone."""
    docs = {doc for found in lists.values() for doc in found}
    return {
        doc: COSINE * cosines.get(doc, 0.0)
        + (1 - COSINE) * (float(shares[doc]) if doc < len(shares) else 0.0)
        for doc in docs
    }


def _ordered(
    scores: Mapping[int, float], lists: Mapping[str, Sequence[int]], window: Mapping[int, int]
) -> list[Ranked]:
    """Citations by falling score, each with its places in the lists."""
    ranks: dict[int, dict[str, int]] = {}
    for name in ("dense", "lexical"):
        for place, doc in enumerate(lists.get(name, ()), start=1):
            ranks.setdefault(doc, {})[name] = place
    order = sorted(scores, key=lambda doc: (-scores[doc], doc))
    return [Ranked(doc, scores[doc], ranks[doc], window.get(doc)) for doc in order]


def _expanded(query: str, terms: dict[str, float], expand: Expand | None) -> dict[str, float]:
    if expand is None:
        return terms
    more = {term: EXPANSION for name in expand(query) for term in tokens(name) if term not in terms}
    return {**terms, **more}


def _overlap(sentence: str, weights: Mapping[str, float]) -> float:
    """The weighted share of the query's terms that a sentence has, as BM25 counts them."""
    counts = Counter(tokens(sentence))
    norm = K1 * (1 - B + B * sum(counts.values()) / _SENTENCE)
    got = math.fsum(w * counts[t] * (K1 + 1) / (counts[t] + norm) for t, w in weights.items())
    return got / (math.fsum(weights.values()) * (K1 + 1) or 1.0)


def _quote(spans: Sequence[Span], best: int) -> Span:
    start, end = spans[best]
    if end - start < _SHORT and best + 1 < len(spans):
        end = spans[best + 1].end
    return Span(start, end)


def _passage(stored: Stored, row: Ranked, span: Span) -> Passage:
    citation = stored.citation
    revised = f", record revised {citation.revised}" if citation.revised else ""
    return Passage(
        pmid=citation.pmid,
        title=citation.title,
        journal=citation.journal,
        year=citation.year,
        quote=stored_text(citation)[span.start : span.end],
        start=span.start,
        end=span.end,
        score=row.score,
        ranks=row.ranks,
        retracted=stored.retracted,
        release=f"{stored.origin}{revised}",
        notices=stored.notices,
    )
