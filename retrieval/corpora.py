"""The corpora that come with Celloquy: the PubMed samples of the manifest, and the demo's part.

``default`` is the sample of 2021, ``pubmed-1970s`` the older one, ``all`` both; ``demo`` is the
part of 2021 that is about cells. Citations without an abstract are not kept (their notices are).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from retrieval.medline import Citation

__all__ = ["CORPORA", "Corpus", "about_cells", "with_abstract"]

# The MeSH descriptors under Cells [A11] and Cell Physiological Phenomena [G04] have one of these
# words; "cell" alone would also take diseases (Carcinoma, Squamous Cell) and molecules
# (Receptors, Cell Surface).
_CELL_MESH = re.compile(
    r"\b(?:cells|lymphocytes|monocytes|macrophages|neurons|microglia|neutrophils|eosinophils|"
    r"basophils|organoids|astrocytes|oligodendroglia|megakaryocytes|leukocytes|erythrocytes|"
    r"fibroblasts|\w+cytes|\w+blasts|\w+clasts|"
    r"cell (?:differentiation|lineage|proliferation|death|cycle|movement|adhesion|division|"
    r"survival|line|communication|count|separation|membrane|nucleus)|"
    r"single-cell analysis|apoptosis|autophagy|phagocytosis)\b",
    re.IGNORECASE,
)
_DISEASE = re.compile(r"\b(?:carcinoma|lymphoma|anemia|sarcoma|transplantation)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Assets to read, and which of their citations to keep."""

    assets: tuple[str, ...]
    keep: Callable[[Citation], bool]
    content: str


def with_abstract(citation: Citation) -> bool:
    """Whether there is anything to quote beyond the title."""
    return bool(citation.abstract)


def about_cells(citation: Citation) -> bool:
    """Whether a citation is cell biology, by its MeSH headings.

    NLM had not indexed most records of 2021 when the sample was cut: where a record has no
    headings yet, its title is asked for the same descriptors.
    """
    if not citation.abstract:
        return False
    headings = citation.mesh or (citation.title,)
    return any(_CELL_MESH.search(term) and not _DISEASE.search(term) for term in headings)


CORPORA: Mapping[str, Corpus] = MappingProxyType(
    {
        "default": Corpus(("pubmed-2021",), with_abstract, "PubMed sample of 2021"),
        "demo": Corpus(("pubmed-2021",), about_cells, "its citations about cells"),
        "pubmed-1970s": Corpus(("pubmed-1970s",), with_abstract, "PubMed sample of 1976-79"),
        "all": Corpus(("pubmed-2021", "pubmed-1970s"), with_abstract, "both samples"),
    }
)
