"""A thousand damaged MEDLINE files, and as many of the others: no crash, bad records named."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from data.errors import BadFile
from retrieval.medline import Citation
from retrieval.recordcutter import Problem
from retrieval.records import read
from tests.retrieval.pubmed_xml import article, deletion, document

N = 6
XML = document(
    *(
        article(
            100 + i,
            f"Title {i} of β-cells",
            {"AIM": f"Aim {i}. More <text> & so on.", "": "End."},
            mesh=("Mice", "Islets of Langerhans"),
            notices=(("ErratumIn", 200 + i),),
        )
        for i in range(N)
    ),
    deletion(7, 8),
)
JSONL = "".join(
    json.dumps({"pmid": str(100 + i), "title": f"Title {i}", "abstract": "A. B.", "year": 2000 + i})
    + "\n"
    for i in range(N)
).encode()
NBIB = "".join(
    f"PMID- {100 + i}\nTI  - Title {i} goes\n      on.\nAB  - AIM: Something. RESULTS: Else.\n"
    f"DP  - 20{10 + i} Jun\nJT  - Journal\nMH  - *Mice/physiology\n\n"
    for i in range(N)
).encode()


def mutate(content: bytes, rng: random.Random) -> bytes:
    """One to three of: flipped, removed, doubled, inserted, moved bytes; a cut."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(data))
        length = rng.choice([1, 1, 2, 5, 40, 300])
        kind = rng.randrange(6)
        if kind == 0:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[place : place + length]
        elif kind == 2:
            data[place:place] = data[place : place + length]
        elif kind == 3:
            data[place:place] = bytes(rng.randrange(256) for _ in range(min(length, 20)))
        elif kind == 4:
            other = rng.randrange(len(data))
            data[place : place + length], data[other : other + length] = (
                data[other : other + length],
                data[place : place + length],
            )
        else:
            del data[max(place, 40) :]
        if not data:
            return b"x"
    return bytes(data)


FILES = [("a.xml", XML, 500), ("a.jsonl", JSONL, 250), ("a.nbib", NBIB, 250)]


@pytest.mark.parametrize(("name", "content", "files"), FILES)
@pytest.mark.parametrize("packed", [False, True])
def test_damage_never_crashes_and_is_named(
    tmp_path: Path, name: str, content: bytes, files: int, packed: bool
) -> None:
    rng = random.Random(f"{name} {packed}")
    path = tmp_path / name
    kept = named = refused = 0
    for _ in range(files):
        damaged = mutate(content, rng)
        if packed:
            # Half of the time the damage is to the text, half to the packed bytes.
            damaged = (
                gzip.compress(damaged, 1, mtime=0)
                if rng.random() < 0.5
                else mutate(gzip.compress(content, 1, mtime=0), rng)
            )
        path.write_bytes(damaged)
        problems: list[Problem] = []
        try:
            found = [r for r in read(path, problems.append) if isinstance(r, Citation)]
        except BadFile as error:
            assert str(path) in str(error)
            assert "\n" not in str(error)
            refused += 1
            continue
        for record in found:
            assert record.pmid.isdecimal()
            assert record.title or record.abstract
        for problem in problems:
            assert problem.where.startswith(name)
            assert problem.why
        if len({record.pmid for record in found}) < N and content is not NBIB:
            # What is missing was named, unless its own tags or number were hit.
            named += bool(problems)
        kept += len(found)
    assert kept > files * N * (0.3 if packed else 0.5)
    assert refused < 0.6 * files
    assert named or content is NBIB


def test_undamaged_they_are_read_whole(tmp_path: Path) -> None:
    for name, content, _ in FILES:
        (tmp_path / name).write_bytes(content)
        problems: list[Problem] = []
        found = [r for r in read(tmp_path / name, problems.append) if isinstance(r, Citation)]
        assert [r.pmid for r in found] == [str(100 + i) for i in range(N)]
        assert problems == []


def test_a_bad_record_of_medline_is_always_named(tmp_path: Path) -> None:
    """Damage to one record that makes it unreadable gives one problem with that record's number."""
    rng = random.Random(5)
    good = [article(100 + i) for i in range(N)]
    path = tmp_path / "a.xml"
    for _ in range(300):
        which = rng.randrange(N)
        body = good[which]
        tag = rng.choice(["</Article>", "</MedlineCitation>", "<Article>", "</PMID>"])
        damaged = [*good[:which], body.replace(tag, tag[:-1], 1), *good[which + 1 :]]
        path.write_bytes(document(*damaged))
        problems: list[Problem] = []
        found = [r.pmid for r in read(path, problems.append) if isinstance(r, Citation)]
        assert len(problems) == 1
        assert problems[0].where.startswith(f"a.xml record {which + 1}")
        assert found == [str(100 + i) for i in range(N) if i != which]
