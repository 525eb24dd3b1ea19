"""BM25 over an inverted index kept in SQLite: exact scores, incremental, safe against a kill.

Postings are written in segments, one a transaction, and segments of like size are merged as a
log-structured merge tree does; a deletion clears the document's length. A query reads the blobs
of its few terms and scores them with numpy, which at a million documents is many times faster
than scoring row by row inside the database (docs/decisions/0005-lexical-index.md has the
figures). Knows documents only by number.

S. Robertson and H. Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009); the
inverse document frequency is Lucene's, which is never negative.
"""

from __future__ import annotations

import math
import re
import sqlite3
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PAGE", "SCHEMA", "Lexical", "Near", "best", "query_terms", "tokens"]

Near: TypeAlias = Mapping[str, Mapping[str, float]]
"""For a term, other terms that count in its stead, each with what one occurrence counts."""

K1 = 1.2
B = 0.75
"""The values that Robertson and Zaragoza recommend where nothing was tuned."""

_CHUNK = 1 << 16  # documents a blob of lengths
_FANOUT = 8  # segments of one level that are merged into one of the next
_RUN = 256  # documents of which only the highest score is looked at first
_LEAST = 1e-9  # a document with any term scores more
_MOST = 255  # a term frequency is kept in one byte; BM25 saturates long before

PAGE = 16384
"""Bytes a page of the database: a common term's blob then chains a quarter as many."""

SCHEMA = """
CREATE TABLE segments (id INTEGER PRIMARY KEY, level INTEGER NOT NULL);
CREATE TABLE postings (
    term TEXT NOT NULL, segment INTEGER NOT NULL, docs BLOB NOT NULL, counts BLOB NOT NULL
);
CREATE UNIQUE INDEX postings_term ON postings (term, segment);
CREATE TABLE lengths (chunk INTEGER PRIMARY KEY, n BLOB NOT NULL);
"""

_WORD = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_POSSESSIVE = re.compile(r"['’]s\b")
_GREEK_NAMES = (
    "α alpha β beta γ gamma δ delta ε epsilon ζ zeta η eta θ theta ι iota κ kappa λ lambda μ mu "
    "ν nu ξ xi ο omicron π pi ρ rho σ sigma ς sigma τ tau υ upsilon φ phi χ chi ψ psi ω omega"
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _greek() -> dict[int, str]:
    pieces = _GREEK_NAMES.split()
    return {
        ord(letter): f" {name} " for letter, name in zip(pieces[::2], pieces[1::2], strict=True)
    }


_LETTERS = _greek()
# Lucene's English stop words (org.apache.lucene.analysis.en.EnglishAnalyzer).
_STOP = _words(
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with"
)
# Words that make a sentence a question and say nothing of its subject.
_ASKING = _words(
    "what which who whom whose when where why how do does did can could should would has have "
    "had been being am were from"
)


def tokens(text: str) -> list[str]:
    """The index terms of a text, in order: folded, Greek spelled out, plural s removed.

    A hyphenated name with a digit also counts as one word, so that IL-2 meets IL2.

    >>> tokens("TNF-α activates IL-2 in T cells.")
    ['tnf', 'alpha', 'activate', 'il', '2', 'il2', 't', 'cell']
    """
    bare = _POSSESSIVE.sub("", text.lower())
    folded = unicodedata.normalize("NFKD", bare).translate(_LETTERS)
    if not folded.isascii():
        folded = "".join(c for c in folded if not unicodedata.combining(c))
    found = []
    for word in _WORD.findall(folded):
        if "-" not in word:
            if word not in _STOP:
                found.append(_singular(word))
            continue
        parts = word.split("-")
        found += [_singular(part) for part in parts if part not in _STOP]
        if len(word) <= 12 and any(c.isdigit() for c in word):
            found.append(_singular("".join(parts)))
    return found


def query_terms(text: str) -> dict[str, float]:
    """The terms of a query with their weights: how often each stands there."""
    counted = Counter(tokens(text))
    asked = {_singular(word) for word in _ASKING}
    kept = {term: float(n) for term, n in counted.items() if term not in asked}
    return kept or {term: float(n) for term, n in counted.items()}


def _singular(word: str) -> str:
    """Harman's S stemmer (1991): the plural goes, nothing else does."""
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    return word[:-1]


class Lexical:
    """The inverted index inside an open SQLite connection; the caller owns the transactions."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._staged: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._lengths: dict[int, int] = {}
        self._norm: NDArray[np.float32] | None = None
        self._version = -1
        self._live = 0

    def stage(self, doc: int, text: str) -> None:
        """Take a document; it is written by the next :meth:`flush`."""
        counts = Counter(tokens(text))
        for term, n in counts.items():
            self._staged[term].append((doc, min(n, _MOST)))
        self._lengths[doc] = min(sum(counts.values()), 0xFFFF) or 1

    def remove(self, doc: int) -> None:
        """Forget a document at the next :meth:`flush`."""
        self._lengths[doc] = 0

    def flush(self) -> None:
        """Write what was staged as one segment, and merge segments where there are many."""
        import numpy as np

        if self._staged:
            self._db.execute("INSERT INTO segments (level) VALUES (0)")
            segment = self._db.execute("SELECT max(id) FROM segments").fetchone()[0]
            rows = []
            for term in sorted(self._staged):
                pairs = self._staged[term]
                docs = np.fromiter((doc for doc, _ in pairs), np.uint32, len(pairs))
                rows.append((term, segment, docs.tobytes(), bytes(n for _, n in pairs)))
            self._db.executemany("INSERT INTO postings VALUES (?, ?, ?, ?)", rows)
        self._write_lengths()
        self._staged.clear()
        self._lengths.clear()
        self._norm = None
        level = 0
        while self._merge(level):
            level += 1

    def discard(self) -> None:
        """Forget what was staged: its transaction was rolled back."""
        self._staged.clear()
        self._lengths.clear()
        self._norm = None

    def search(
        self, terms: Mapping[str, float], limit: int, allowed: NDArray[np.int64] | None = None
    ) -> list[tuple[int, float]]:
        """The best documents for weighted terms, with their BM25 scores, best first.

        Ties are broken by document number, so that results do not depend on how the index was
        built up. ``allowed`` restricts the documents that may be returned, not the statistics.
        """
        return best(self.scores(terms), limit, allowed)

    def scores(self, terms: Mapping[str, float], near: Near | None = None) -> NDArray[np.float32]:
        """The BM25 score of every document by number; 0 where there is none, or it is no more.

        With ``near``, a term's frequency in a document is its own and its share of the others',
        and so is the number of documents it stands in.
        """
        import numpy as np

        norm = self._norms()
        scores = np.zeros(len(norm), np.float32)
        for term, weight in terms.items():
            docs, counts, n = self._frequencies(term, (near or {}).get(term, {}), len(norm))
            counts /= counts + norm[docs]
            counts *= np.float32(weight * self._idf(n) * (K1 + 1))
            scores[docs] += counts  # a document stands once in a term's postings
        return scores

    def highest(self, terms: Mapping[str, float], near: Near | None = None) -> float:
        """What no document's score can pass: every term met as often as one likes."""
        weights = self.weights(terms, near)
        return sum(weight * weights[term] * (K1 + 1) for term, weight in terms.items())

    def weights(self, terms: Iterable[str], near: Near | None = None) -> dict[str, float]:
        """Each term's inverse document frequency."""
        self._norms()
        return {
            term: self._idf(
                self.count(term)
                + sum(
                    share * self.count(other) for other, share in (near or {}).get(term, {}).items()
                )
            )
            for term in terms
        }

    def count(self, term: str) -> int:
        """How many documents have a term, some that are no more among them."""
        query = "SELECT coalesce(sum(length(counts)), 0) FROM postings WHERE term = ?"
        return int(self._db.execute(query, (term,)).fetchone()[0])

    def frequent(self, least: int, most: int) -> list[str]:
        """The terms that at least so many documents have, most frequent first, at most so many."""
        rows = self._db.execute(
            "SELECT term FROM postings GROUP BY term HAVING sum(length(counts)) >= ? "
            "ORDER BY sum(length(counts)) DESC, term LIMIT ?",
            (least, most),
        )
        return [row[0] for row in rows]

    def _frequencies(
        self, term: str, others: Mapping[str, float], size: int
    ) -> tuple[NDArray[Any], NDArray[np.float32], float]:
        """Documents with a term or with others in its stead, how often, and how many they are."""
        import numpy as np

        docs, counts = self._postings(term)
        if not others:
            return docs, counts, len(docs)
        total = np.zeros(size, np.float32)
        total[docs] = counts
        n = float(len(docs))
        for other, share in others.items():
            docs, counts = self._postings(other)
            total[docs] += np.float32(share) * counts
            n += share * len(docs)
        held = np.flatnonzero(total)
        return held, total[held], n

    def _postings(self, term: str) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        import numpy as np

        query = "SELECT docs, counts FROM postings WHERE term = ?"
        rows = self._db.execute(query, (term,)).fetchall()
        docs = np.frombuffer(b"".join(row[0] for row in rows), np.uint32)
        counts = np.frombuffer(b"".join(row[1] for row in rows), np.uint8)
        return docs, counts.astype(np.float32)

    def _idf(self, n: float) -> float:
        return math.log1p((max(self._live - n, 0) + 0.5) / (n + 0.5))

    def _norms(self) -> NDArray[np.float32]:
        """BM25's length term of every document; infinite for one that is no more."""
        import numpy as np

        # Another connection may have written: SQLite then counts this number up.
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if self._norm is None or version != self._version:
            self._version = version
            lengths = np.zeros(0, np.uint16)
            for chunk, blob in self._db.execute("SELECT chunk, n FROM lengths ORDER BY chunk"):
                gap = np.zeros(chunk * _CHUNK - len(lengths), np.uint16)
                lengths = np.concatenate([lengths, gap, np.frombuffer(blob, np.uint16)])
            live = lengths > 0
            self._live = int(live.sum())
            mean = float(lengths.sum(dtype=np.int64)) / max(self._live, 1)
            norm = (K1 * (1 - B + B / max(mean, 1.0) * lengths)).astype(np.float32)
            norm[~live] = np.inf
            self._norm = norm
        return self._norm

    def _write_lengths(self) -> None:
        import numpy as np

        by_chunk: dict[int, dict[int, int]] = defaultdict(dict)
        for doc, n in self._lengths.items():
            by_chunk[doc // _CHUNK][doc % _CHUNK] = n
        for chunk, changes in by_chunk.items():
            row = self._db.execute("SELECT n FROM lengths WHERE chunk = ?", (chunk,)).fetchone()
            lengths = np.zeros(_CHUNK, np.uint16)
            if row:
                lengths[:] = np.frombuffer(row[0], np.uint16)
            lengths[list(changes)] = list(changes.values())
            self._db.execute(
                "INSERT OR REPLACE INTO lengths VALUES (?, ?)", (chunk, lengths.tobytes())
            )

    def _merge(self, level: int) -> bool:
        """Merge the segments of a level into one of the next, once there are enough."""
        import numpy as np

        found = self._db.execute("SELECT id FROM segments WHERE level = ? ORDER BY id", (level,))
        old = [row[0] for row in found]
        if len(old) < _FANOUT:
            return False
        dead = np.isinf(self._norms())
        self._db.execute("INSERT INTO segments (level) VALUES (?)", (level + 1,))
        segment = self._db.execute("SELECT max(id) FROM segments").fetchone()[0]
        marks = ",".join("?" * len(old))
        rows = self._db.execute(
            f"SELECT term, docs, counts FROM postings WHERE segment IN ({marks}) "
            f"ORDER BY term, segment",
            old,
        )
        merged: list[tuple[str, int, bytes, bytes]] = []
        term, docs, counts = "", b"", b""

        def close() -> None:
            numbers = np.frombuffer(docs, np.uint32)
            kept = ~dead[numbers]
            if kept.all():
                merged.append((term, segment, docs, counts))
            elif kept.any():
                left = np.frombuffer(counts, np.uint8)[kept]
                merged.append((term, segment, numbers[kept].tobytes(), left.tobytes()))

        for row_term, row_docs, row_counts in rows:
            if row_term != term:
                if term:
                    close()
                term, docs, counts = row_term, b"", b""
            docs += row_docs
            counts += row_counts
        if term:
            close()
        self._db.execute(f"DELETE FROM postings WHERE segment IN ({marks})", old)
        self._db.execute(f"DELETE FROM segments WHERE id IN ({marks})", old)
        self._db.executemany("INSERT INTO postings VALUES (?, ?, ?, ?)", merged)
        return True


def best(
    scores: NDArray[np.float32], limit: int, allowed: NDArray[np.int64] | None = None
) -> list[tuple[int, float]]:
    """The documents with the highest scores above 0, best first, ties by number."""
    import numpy as np

    numbers = None if allowed is None else allowed[allowed < len(scores)]
    values = scores if numbers is None else scores[numbers]
    places = np.flatnonzero(values >= max(_threshold(values, limit), _LEAST))
    docs = places if numbers is None else numbers[places]
    order = np.lexsort((docs, -values[places]))[:limit]
    return [(int(docs[i]), float(values[places[i]])) for i in order]


def _threshold(values: NDArray[np.float32], limit: int) -> float:
    """A score that at least ``limit`` values reach, found without sorting them all.

    Of the highest values of runs of 256, the one at place ``limit`` is reached that often.
    """
    import numpy as np

    runs = len(values) // _RUN
    if runs <= limit:
        return 0.0
    highest = values[: runs * _RUN].reshape(runs, _RUN).max(axis=1)
    return float(np.partition(highest, runs - limit)[runs - limit])
