"""The literature index as a LangChain retriever: a thin adapter for chains made by others.

Each document is a verbatim quote, marked where its article was retracted, with PMID, offsets,
title, journal, year, score and release in its metadata.
"""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, PositiveInt

from retrieval.filters import Filters
from retrieval.hybrid import Expand, Mode
from retrieval.index import LiteratureIndex
from retrieval.passages import Passage

__all__ = ["LiteratureRetriever", "document"]


def document(passage: Passage) -> Document:
    """A passage as LangChain's document."""
    metadata: dict[str, Any] = {
        "source": f"PMID:{passage.pmid}",
        "pmid": passage.pmid,
        "title": passage.title,
        "journal": passage.journal,
        "year": passage.year,
        "quote": passage.quote,
        "start": passage.start,
        "end": passage.end,
        "score": passage.score,
        "retracted": passage.retracted,
        "notices": list(passage.notices),
        "release": passage.release,
    }
    return Document(page_content=passage.text, metadata=metadata, id=f"PMID:{passage.pmid}")


class LiteratureRetriever(BaseRetriever):
    """Finds passages of the literature for a query.

    Attributes
    ----------
    index
        An open index (:func:`retrieval.index.open_index`).
    k
        How many passages.
    mode
        ``hybrid`` falls back to words where the index has no vectors.
    filters
        What may be returned.
    expand
        Gives other names of what a query names (:func:`retrieval.expansion.synonyms`).
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    index: LiteratureIndex
    k: PositiveInt = 5
    mode: Mode = "hybrid"
    filters: Filters | None = None
    expand: Expand | None = None

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        found = self.index.search(
            query, self.k, mode=self.mode, filters=self.filters, expand=self.expand
        )
        return [document(passage) for passage in found]
