"""Literature search at a million: vectors of 384, passages of words; beside SQLite's FTS5.

Vectors are those of at least 200,000 distinct sentences of the PubMed samples; the rest of the
million are copies of them with Gaussian noise of norm .25 added (cosine .97 to its origin). Words:
a million passages of three sentences each, drawn from the same samples. Queries are other texts:
titles of articles that have no abstract, and the paraphrased questions.

The sentences are encoded once (some ten minutes) and kept, with the passages, below the cache
folder in ``bench``. Needs `celloquy data fetch literature models`.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from timing import Row, Taken, once, report

from data import locations, sources
from retrieval import lexical
from retrieval.dense import VectorIndex
from retrieval.lexical import Lexical, query_terms, tokens
from retrieval.medline import Citation, read_xml, stored_text
from retrieval.passages import sentences

HOME = locations.home() / "bench"
REAL = 200_000
NOISE = 0.25
CHANGED = 10_000
QUERIES = 500
GOLDEN = Path(__file__).parents[1] / "golden" / "paraphrases.tsv"


def corpus() -> tuple[list[str], list[str]]:
    """Distinct sentences of both samples, in an order of no meaning, and titles as queries."""
    found: dict[str, None] = {}
    titles: dict[str, None] = {}
    for name in ("pubmed-2021", "pubmed-1970s"):
        for record in read_xml(sources.path(name), lambda problem: None):
            if not isinstance(record, Citation):
                continue
            if not record.abstract:
                titles[record.title] = None
                continue
            text = stored_text(record)
            for start, end in sentences(text[len(record.title) :], len(record.title)):
                if 40 <= end - start <= 400:
                    found[text[start:end]] = None
    order = np.random.default_rng(0).permutation(len(found))
    every = list(found)
    rows = [line.split("\t") for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
    asked = [row[1] for row in rows if len(row) == 2 and row[0] != "pmid"]
    rest = [title for title in titles if 40 <= len(title) <= 200]
    picked = np.random.default_rng(1).choice(len(rest), QUERIES - len(asked), replace=False)
    return [every[i] for i in order], asked + [rest[i] for i in picked]


def encode() -> None:
    """Encode the sentences and the queries, going on where it was stopped."""
    from encoders import text

    said, asked = corpus()
    encoder = text.load()
    np.save(HOME / "queries.npy", encoder.encode(asked))
    path = HOME / "sentences.f16"
    width = encoder.dimension
    done = path.stat().st_size // (2 * width) if path.exists() else 0
    with path.open("ab") as stream:
        stream.truncate(done * 2 * width)
        for i in range(done, REAL, 2048):
            block = encoder.encode(said[i : min(i + 2048, REAL)])
            stream.write(block.astype(np.float16).tobytes())
            sys.stderr.write(f"\r{min(i + 2048, REAL):,} of {REAL:,} sentences encoded")
            stream.flush()
    sys.stderr.write("\n")


def blocks(n: int) -> Callable[[], Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]]:
    """The real vectors, then noisy copies of them; the same at every call."""
    real = np.memmap(HOME / "sentences.f16", np.float16, "r").reshape(-1, 384)

    def every() -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        for start in range(0, n, 10_000):
            ids = np.arange(start, min(start + 10_000, n))
            vectors = real[ids % len(real)].astype(np.float32)
            copies = ids >= len(real)
            noise = np.random.default_rng(start).normal(size=vectors.shape).astype(np.float32)
            vectors[copies] += noise[copies] * (NOISE / np.sqrt(384))
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            yield ids, vectors

    return every


def exact(queries: NDArray[np.float32], n: int, gone: int = 0) -> NDArray[np.int64]:
    """The ten nearest by comparing all, leaving out numbers below ``gone``."""
    best = np.full((len(queries), 10), -np.inf, np.float32)
    where = np.full((len(queries), 10), -1, np.int64)
    for ids, vectors in blocks(n)():
        kept = ids >= gone
        best = np.concatenate([best, queries @ vectors[kept].T], axis=1)
        where = np.concatenate([where, np.tile(ids[kept], (len(queries), 1))], axis=1)
        top = np.argpartition(-best, 9, axis=1)[:, :10]
        best, where = np.take_along_axis(best, top, 1), np.take_along_axis(where, top, 1)
    return where


def recall(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    pairs = zip(found, truth, strict=True)
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in pairs]))


def p95(call: Callable[[int], object], n: int) -> tuple[Taken, Taken]:
    """Median and 95th percentile of what a call takes, over inputs 0 to n - 1."""
    taken = np.array([once(partial(call, i)) for i in range(n)])
    medians, slow = np.median(taken, axis=0), np.quantile(taken, 0.95, axis=0)
    return Taken(*medians.tolist()), Taken(*slow.tolist())


def dense(n: int) -> list[Row]:
    queries = np.load(HOME / "queries.npy", allow_pickle=False)
    start = time.perf_counter()
    index = VectorIndex.build(blocks(n), n, 384)
    built = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    index.search(queries[:5], 10)
    median, slow = p95(lambda i: index.search(queries[i : i + 1], 10), len(queries))
    _, found = index.search(queries, 10)
    reached = recall(found, exact(queries, n))
    print(f"{n:,} vectors x 384, {index.kind}, nprobe {index.nprobe}, {peak:.2f} GB at most")
    print(
        f"recall@10 {reached:.4f} on {len(queries)} other texts (bar .95), "
        f"{index.recall:.4f} measured at build"
    )
    new = [part for part in blocks(n + CHANGED)() if part[0][0] >= n]
    start = time.perf_counter()
    for ids, vectors in new:
        index.add(ids, vectors)
    added = time.perf_counter() - start
    start = time.perf_counter()
    removed = index.remove(np.arange(CHANGED))
    deleted = time.perf_counter() - start
    _, found = index.search(queries, 10)
    after = recall(found, exact(queries, n + CHANGED, gone=CHANGED))
    print(f"after {CHANGED:,} added and {removed:,} deleted: recall@10 {after:.4f}")
    good = reached >= 0.95 and after >= 0.95 and peak <= 4 and removed == CHANGED
    print("recall and memory " + ("met" if good else "MISS"))
    return [
        Row(f"build {n:,} vectors", built),
        Row("vector search, median", median),
        Row("vector search, p95", slow, 0.020),
        Row("add 10,000 vectors", added),
        Row("delete 10,000 vectors", deleted),
    ]


def words(n: int) -> list[Row]:
    said, asked = corpus()
    path = HOME / f"words-{n}.sqlite"
    fresh = not path.exists()
    start = time.perf_counter()
    if fresh:
        _write_words(path, said, n)
    built = time.perf_counter() - start
    index = Lexical(sqlite3.connect(path, isolation_level=None))
    terms = [query_terms(query) for query in asked]
    start = time.perf_counter()
    index.search(terms[0], 10)
    first = time.perf_counter() - start
    for query in terms[:20]:
        index.search(query, 200)
    median, slow = p95(lambda i: index.search(terms[i], 200), len(terms))
    fts = sqlite3.connect(path)
    by_row = "SELECT rowid FROM fts WHERE fts MATCH ? ORDER BY bm25(fts) LIMIT 200"

    def beside(i: int) -> object:
        query = " OR ".join(f'"{word}"' for word in terms[i])
        return fts.execute(by_row, (query,)).fetchall()

    fts_median, fts_slow = p95(beside, 40)
    rows = [Row(f"write {n:,} passages, both indexes", built)] if fresh else []
    return [
        *rows,
        Row("word search, the first", first),
        Row("word search, median", median, None, "SQLite FTS5, bm25()", fts_median),
        Row("word search, p95", slow, 0.050, "SQLite FTS5, bm25()", fts_slow),
    ]


def _write_words(path: Path, said: list[str], n: int) -> None:
    """The same passages in Celloquy's index and in FTS5 (terms already cut, for a fair race)."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    connection = sqlite3.connect(temporary, isolation_level=None)
    connection.executescript(f"PRAGMA page_size={lexical.PAGE};{lexical.SCHEMA}")
    connection.execute("CREATE VIRTUAL TABLE fts USING fts5(terms, content='')")
    index = Lexical(connection)
    cut = [" ".join(tokens(text)) for text in said]
    rng = np.random.default_rng(2)
    for start in range(0, n, 20_000):
        connection.execute("BEGIN")
        drawn = rng.integers(0, len(cut), (min(20_000, n - start), 3))
        texts = [" ".join(cut[j] for j in row) for row in drawn]
        for i, text in enumerate(texts, start=start + 1):
            index.stage(i, text)
        connection.executemany(
            "INSERT INTO fts (rowid, terms) VALUES (?, ?)", enumerate(texts, start=start + 1)
        )
        index.flush()
        connection.execute("COMMIT")
        sys.stderr.write(f"\r{start + len(texts):,} of {n:,} passages written")
    sys.stderr.write("\n")
    connection.close()
    temporary.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("part", nargs="?", choices=("encode", "dense", "words"))
    options = parser.parse_args()
    HOME.mkdir(parents=True, exist_ok=True)
    if options.part == "encode":
        encode()
        return 0
    if options.part:
        rows = dense(options.n) if options.part == "dense" else words(options.n)
        return report(rows)
    missed = 0
    for part in ("encode", "dense", "words"):  # one process each: memory is measured
        done = subprocess.run([sys.executable, __file__, part, "--n", str(options.n)], check=False)
        missed += done.returncode
    return missed


if __name__ == "__main__":
    raise SystemExit(main())
