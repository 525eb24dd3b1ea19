"""The LangChain adapter: documents that are quotes, and say so where an article was retracted."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_core.runnables import RunnableLambda

from agent.retriever import LiteratureRetriever
from retrieval.filters import Filters
from retrieval.index import open_index
from retrieval.writing import writer
from tests.retrieval.little_encoder import LittleEncoder
from tests.retrieval.pubmed_xml import article, document


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("literature")
    source = home / "a.xml"
    source.write_bytes(
        document(
            article(1, "On neurons.", "Neurons fired. They then rested for an hour or two."),
            article(2, "Neurons again.", "Neurons fell.", types=("Retracted Publication",)),
            article(3, "On kinases.", "Kinases grew.", year=2001),
        )
    )
    with writer(home / "index") as change:
        change.add(source)
        change.embed(LittleEncoder())
    return home / "index"


def test_documents_are_quotes_with_their_places(folder: Path) -> None:
    with open_index(folder, encoder=LittleEncoder()) as index:
        found = LiteratureRetriever(index=index, k=2).invoke("neurons fired, neurons fell")
        assert {document.id for document in found} == {"PMID:1", "PMID:2"}
        for one in found:
            text = index.text(one.metadata["pmid"])
            assert text is not None
            start, end = one.metadata["start"], one.metadata["end"]
            assert text[start:end] == one.metadata["quote"]
            assert one.page_content.endswith(one.metadata["quote"])
            assert ("retracted" in one.page_content) == one.metadata["retracted"]


def test_it_chains_and_filters(folder: Path) -> None:
    with open_index(folder, encoder=LittleEncoder()) as index:
        retriever = LiteratureRetriever(
            index=index, mode="lexical", filters=Filters(years=(None, 2010))
        )
        chain = retriever | RunnableLambda(lambda found: [d.metadata["year"] for d in found])
        assert chain.invoke("neurons kinases") == [2001]


def test_a_bad_k_is_refused(folder: Path) -> None:
    with open_index(folder) as index, pytest.raises(ValueError, match="greater than 0"):
        LiteratureRetriever(index=index, k=0)
