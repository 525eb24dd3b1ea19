"""The vector index: exact where flat, measured where not; additions, removals, restrictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data.errors import CorruptAsset
from retrieval.dense import Kind, VectorIndex, choose

N, D = 6000, 32
pytest.importorskip("faiss")


def vectors(n: int, seed: int) -> NDArray[np.float32]:
    """Unit vectors around 60 centres: texts too come in topics."""
    centres = np.random.default_rng(1).normal(size=(60, D))
    rng = np.random.default_rng(seed)
    raw = centres[rng.integers(0, 60, n)] + 0.6 * rng.normal(size=(n, D))
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)


STORED = vectors(N, 2)
IDS = np.arange(N, dtype=np.int64) * 7 + 5
QUERIES = vectors(100, 3)


def blocks(
    ids: NDArray[np.int64] = IDS, stored: NDArray[np.float32] = STORED
) -> Callable[[], Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]]:
    def every() -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        for i in range(0, len(ids), 999):
            yield ids[i : i + 999], stored[i : i + 999]

    return every


def exact(
    queries: NDArray[np.float32], k: int, ids: NDArray[np.int64], stored: NDArray[np.float32]
) -> NDArray[np.int64]:
    order = np.argsort(-(queries @ stored.T), axis=1, kind="stable")[:, :k]
    return ids[order]


def recall(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    return float(
        np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, truth, strict=True)])
    )


@pytest.fixture(scope="module", params=["flat", "ivf-sq8"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


def test_recall_against_exact_search(kind: Kind) -> None:
    index = VectorIndex.build(blocks(), N, D, kind)
    _, found = index.search(QUERIES, 10)
    reached = recall(found, exact(QUERIES, 10, IDS, STORED))
    assert reached == 1 if kind == "flat" else reached >= 0.95
    assert index.recall >= 0.95
    assert len(index) == N
    assert np.array_equal(index.ids(), IDS)


def test_additions_and_removals_without_a_rebuild(kind: Kind) -> None:
    index = VectorIndex.build(blocks(IDS[:5000], STORED[:5000]), 5000, D, kind)
    index.add(IDS[5000:], STORED[5000:])
    assert index.remove(IDS[1000:2000]) == 1000
    assert index.remove(IDS[1000:2000]) == 0
    assert index.remove(IDS[:0]) == 0
    kept = np.r_[0:1000, 2000:N]
    assert np.array_equal(index.ids(), IDS[kept])
    _, found = index.search(QUERIES, 10)
    assert not set(found.ravel()) & set(IDS[1000:2000])
    assert recall(found, exact(QUERIES, 10, IDS[kept], STORED[kept])) >= 0.95


@pytest.mark.parametrize("share", [2, 20, 600])
def test_only_what_is_allowed_is_found(kind: Kind, share: int) -> None:
    index = VectorIndex.build(blocks(), N, D, kind)
    rng = np.random.default_rng(4)
    chosen = np.sort(rng.choice(N, N // share, replace=False))
    _, found = index.search(QUERIES, 10, IDS[chosen])
    assert set(found.ravel()) <= {*IDS[chosen].tolist(), -1}
    assert recall(found, exact(QUERIES, 10, IDS[chosen], STORED[chosen])) >= 0.9


def test_nothing_allowed_finds_nothing(kind: Kind) -> None:
    index = VectorIndex.build(blocks(), N, D, kind)
    _, found = index.search(QUERIES[:2], 3, np.zeros(0, np.int64))
    assert set(found.ravel()) == {-1}


def test_saved_and_read_it_answers_the_same(kind: Kind, tmp_path: Path) -> None:
    index = VectorIndex.build(blocks(), N, D, kind)
    path = tmp_path / "x.faiss"
    index.save(path)
    again = VectorIndex.load(path, kind, index.nprobe, index.recall)
    for one, other in zip(index.search(QUERIES, 5), again.search(QUERIES, 5), strict=True):
        assert np.array_equal(one, other)


def test_the_same_vectors_give_the_same_index(kind: Kind) -> None:
    one, other = (VectorIndex.build(blocks(), N, D, kind) for _ in range(2))
    assert one.nprobe == other.nprobe
    assert np.array_equal(one.search(QUERIES, 5)[1], other.search(QUERIES, 5)[1])


@pytest.mark.parametrize("n", [0, 1, 3, 60])
def test_few_vectors(kind: Kind, n: int) -> None:
    if n == 0 and kind != "flat":
        return
    index = VectorIndex.build(blocks(IDS[:n], STORED[:n]), n, D, kind)
    _, found = index.search(QUERIES[:1], 5)
    assert len(set(found[0].tolist()) - {-1}) == min(n, 5)


def test_a_file_that_faiss_cannot_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.faiss"
    path.write_bytes(b"no index at all")
    with pytest.raises(CorruptAsset, match="cannot be read by this FAISS") as caught:
        VectorIndex.load(path, "flat", 0, 1.0)
    assert "\n" not in str(caught.value)


def test_the_kind_follows_size_and_memory() -> None:
    assert choose(100_000, 384, 1 << 30) == "flat"
    assert choose(100_001, 384, 1 << 40) == "ivf-sq8"
    assert choose(1000, 384, 1 << 20) == "ivf-sq8"
