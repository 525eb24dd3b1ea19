"""kill -9 while building and adding: what was acknowledged is there, and a rerun finishes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from retrieval.index import open_index
from retrieval.writing import writer
from tests.retrieval.little_encoder import LittleEncoder
from tests.retrieval.pubmed_xml import article, document

ROOT = Path(__file__).parents[2]
N = 600

# The child adds a file in small batches and encodes it, and says what is safe as it goes.
CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.retrieval.little_encoder import LittleEncoder
from retrieval import semantic, writing
writing.BATCH, semantic.BATCH = 25, 40
print("ready", flush=True)
with writing.writer(Path(sys.argv[2])) as change:
    change.add(Path(sys.argv[3]), progress=lambda n: print("stored", n, flush=True))
    change.embed(LittleEncoder(), lambda n, of: print("encoded", n, flush=True))
print("done", flush=True)
"""


def child(folder: Path, source: Path) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", CHILD, str(ROOT), str(folder), str(source)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def killed(folder: Path, source: Path, after: int | str, pause: float = 0.0) -> list[str]:
    """What the child said before it was killed: after so many lines, or after this one."""
    lines: list[str] = []
    with child(folder, source) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if after in (len(lines), line.strip()):
                time.sleep(pause)
                process.send_signal(signal.SIGKILL)
                break
        lines += process.stdout.readlines()
    return lines


def sources(folder: Path) -> tuple[Path, Path]:
    rng = random.Random(7)
    paths = []
    for name, first in (("build.xml", 1), ("add.xml", N + 1)):
        text = " ".join(f"Word{rng.randint(1, 500)} grew in sample {i}." for i in range(6))
        path = folder / name
        path.write_bytes(
            document(*(article(i, f"On number{i}.", text) for i in range(first, first + N)))
        )
        paths.append(path)
    return paths[0], paths[1]


def acknowledged(lines: list[str], word: str) -> int:
    return max((int(line.split()[1]) for line in lines if line.startswith(word)), default=0)


def whole(folder: Path, least: int) -> int:
    """Open the index as a reader does after the kill; returns how many citations it holds."""
    with open_index(folder, encoder=LittleEncoder()) as index:
        n = int(index.stats()["citations"])
        assert n >= least
        assert n % 25 == 0, "half a batch"
        for pmid in range(1, n + 1):
            text = index.text(str(pmid))
            assert text is not None
            found = index.search(f"number{pmid}", 1, mode="lexical") if pmid % 10 == 0 else ()
            for passage in found:
                assert passage.pmid == str(pmid)
                assert text[passage.start : passage.end] == passage.quote
        return n


@pytest.mark.slow
def test_twenty_kills(tmp_path: Path) -> None:
    """Ten indexes, each killed once while it is built and once while it is added to."""
    build, add = sources(tmp_path)
    rng = random.Random(2)
    in_the_midst = 0
    for round_ in range(10):
        folder = tmp_path / f"index{round_}"
        for there, source in ((0, build), (N, add)):
            # 40 lines are all of them; die after some, or a moment later, in a batch.
            lines = killed(folder, source, rng.randint(1, 36), rng.random() * 0.02)
            in_the_midst += "done\n" not in lines
            if (folder / "manifest.json").exists():
                whole(folder, there + acknowledged(lines, "stored"))
            else:
                assert not acknowledged(lines, "stored")
            # The rerun finishes, and encodes only what was not yet safe.
            little = LittleEncoder()
            with writer(folder) as change:
                change.add(source)
                change.embed(little)
            assert whole(folder, there + N) == there + N
            assert little.encoded <= N - max(acknowledged(lines, "encoded") - there, 0)
            with open_index(folder, encoder=little) as index:
                stats = index.stats()
                assert stats["dense"]["vectors"] == stats["windows"]
    assert in_the_midst >= 15, "most kills shall fall into the work"


@pytest.mark.parametrize("after", ["ready", "stored 25", "stored 300", "encoded 200"])
def test_killed_at_this_point(tmp_path: Path, after: str) -> None:
    build, _ = sources(tmp_path)
    folder = tmp_path / "index"
    lines = killed(folder, build, after)
    if (folder / "manifest.json").exists():
        whole(folder, acknowledged(lines, "stored"))
    little = LittleEncoder()
    with writer(folder) as change:
        added = change.add(build)
        change.embed(little)
    assert added.known == (acknowledged(lines, "encoded") > 0)
    assert whole(folder, N) == N
    assert little.encoded <= N - acknowledged(lines, "encoded")
