"""A thousand random hits over real abstracts: each quote stands where it says, verbatim."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

import pytest

from data import sources
from retrieval.index import LiteratureIndex, open_index
from retrieval.medline import Citation, read_xml, stored_text
from retrieval.writing import writer
from tests.retrieval.little_encoder import LittleEncoder

CITATIONS = 600
HITS = 1000


def real() -> list[Citation]:
    records = read_xml(sources.path("pubmed-2021"), lambda problem: None)
    kept = (one for one in records if isinstance(one, Citation) and one.abstract)
    return list(islice(kept, CITATIONS))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiteratureIndex]:
    folder = tmp_path_factory.mktemp("real")
    with writer(folder) as change:
        change.add_records(real(), "the first of the sample")
        change.embed(LittleEncoder())
    with open_index(folder, encoder=LittleEncoder()) as index:
        yield index


@pytest.mark.assets
def test_a_thousand_random_hits(opened: LiteratureIndex) -> None:
    texts = {citation.pmid: stored_text(citation) for citation in real()}
    pmids = sorted(texts)
    rng = random.Random(11)
    hits = 0
    seen = set()
    while hits < HITS:
        words = texts[rng.choice(pmids)].split()
        at = rng.randrange(len(words))
        query = " ".join(["cells", *words[at : at + rng.randint(1, 8)]])
        mode = rng.choice(["lexical", "dense", "hybrid"])
        found = opened.search(query, 10, mode=mode)  # type: ignore[arg-type]
        assert found
        for passage in found:
            text = opened.text(passage.pmid)
            assert text == texts[passage.pmid], "the stored text is the record's own"
            assert text[passage.start : passage.end] == passage.quote
            assert passage.quote == passage.quote.strip() != ""
            seen.add((passage.pmid, passage.start))
        hits += len(found)
    assert len(seen) >= HITS // 4
