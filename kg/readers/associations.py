"""Facts that join genes to diseases, to each other and to cell types.

* :func:`read_gene_diseases`: genes of HPO's ``genes_to_phenotype.txt`` to Mondo diseases, through
  Mondo's cross-references to OMIM and Orphanet. HPO gives no publication for these pairs and does
  not say how strong they are; the qualifier is the disease id in the file.
* :func:`read_phenotypes`: Mondo diseases to HPO phenotypes (``phenotype.hpoa``), with evidence
  code, PMIDs and ``NOT``.
* :func:`read_ligand_receptor`: ligand - receptor pairs of the LIANA resource table. The subject
  is the ligand (qualifier ``ligand_receptor``); where an end is a complex, each of its subunits
  stands for it (qualifier ``in_complex``). ``weight`` counts the resources that list the pair.
* :func:`marker_edges`: Celloquy's marker table, with the sources that state each fact
  (qualifiers ``source:NAME``) and ``negative`` where the gene's absence speaks for the type;
  ``weight`` is the number of contexts.

Files: HPO (Gargano et al. 2024, doi:10.1093/nar/gkad1005), Mondo (Vasilevsky et al. 2022,
doi:10.1101/2022.04.13.22273750), LIANA (Dimitrov et al. 2022, doi:10.1038/s41467-022-30755-0).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from data.errors import BadFile
from data.markers import TABLE, Marker, read_markers
from kg.readers.gene_tables import HUMAN, MOUSE, GeneIndex, rows
from kg.readers.source import Loaded
from kg.terms import (
    GENE_DISEASE,
    HAS_PHENOTYPE,
    INTERACTS_WITH,
    MARKER_OF,
    Curie,
    Edge,
    Release,
    Term,
)

__all__ = [
    "MondoIndex",
    "marker_edges",
    "read_gene_diseases",
    "read_ligand_receptor",
    "read_phenotypes",
]

_DERIVED_RESOURCES = frozenset({"consensus", "mouseconsensus"})
"""LIANA's own summaries of the other resources; the second has mouse genes."""
_PMID = re.compile(r"PMID:\d+")
# HPO's own codes: https://hpo-annotation-qc.readthedocs.io/en/latest/annotationFormat.html
_HPO_EVIDENCE: Mapping[str, str | None] = {"PCS": None, "TAS": "TAS", "IEA": "IEA"}


class MondoIndex:
    """Current Mondo diseases by the ids of OMIM (``OMIM:``) and Orphanet (``ORPHA:``).

    ``mondo`` are the terms of the loaded Mondo release; an id that it has made obsolete is
    followed to its replacement. The table does not say which of its cross-references are exact:
    forms of a disease bear the id of the whole. Where several diseases bear one id, those below
    another of them are left out, then those that OMIM lists as a form of their own; an id that
    still has several stands for none.
    """

    def __init__(self, path: Path, mondo: Mapping[Curie, Term]) -> None:
        self._found: dict[str, set[Curie]] = {}
        self._mondo = mondo
        self._above: dict[Curie, set[Curie]] = {}
        self._forms: set[Curie] = set()
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            for entry in entries:
                disease = self._current(f"MONDO:{entry['id']}")
                if disease is None:
                    continue
                parents = entry.get("relations", {}).get("is_a", ())
                found = {self._current(f"MONDO:{parent}") for parent in parents} - {None}
                self._above.setdefault(disease, set()).update(one for one in found if one)
                for xref in entry.get("xrefs", ()):
                    prefix = {"OMIM": "OMIM", "Orphanet": "ORPHA"}.get(xref["namespace"])
                    if prefix:
                        self._found.setdefault(f"{prefix}:{xref['id']}", set()).add(disease)
                    if prefix == "OMIM":
                        self._forms.add(disease)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadFile(f"{path.name} is not a table of Mondo terms: {error!r}") from error

    def _current(self, id: Curie) -> Curie | None:
        term = self._mondo.get(id)
        if term is not None and term.obsolete:
            term = self._mondo.get(term.replaced_by or "")
        return term.id if term is not None and not term.obsolete else None

    def find(self, id: str) -> list[Curie]:
        """The disease that an OMIM or Orphanet id stands for; one, or none."""
        found = self._found.get(id, set())
        if len(found) > 1:
            found = {one for one in found if not found & self._ancestors(one)}
        if len(found) > 1:
            found -= self._forms
        return sorted(found) if len(found) == 1 else []

    def _ancestors(self, disease: Curie) -> set[Curie]:
        above: set[Curie] = set()
        waiting = [disease]
        while waiting:
            fresh = self._above.get(waiting.pop(), set()) - above
            above |= fresh
            waiting += fresh
        return above - {disease}


def read_gene_diseases(
    path: Path, release: Release, genes: GeneIndex, diseases: MondoIndex
) -> Loaded:
    """Read the genes of each disease, one edge a pair."""
    columns = ("ncbi_gene_id", "gene_symbol", "disease_id")
    pairs = dict.fromkeys(
        (row["ncbi_gene_id"], row["gene_symbol"], row["disease_id"]) for row in rows(path, columns)
    )
    stated: dict[tuple[Curie, Curie], list[str]] = {}
    skipped: Counter[str] = Counter()
    for entrez, symbol, disease_id in pairs:
        found = genes.by_xref(f"NCBIGene:{entrez}")
        gene = found[0] if len(found) == 1 else genes.by_name(symbol)
        if gene is None:
            skipped["of genes that HGNC lacks"] += 1
            continue
        matches = diseases.find(disease_id)
        if not matches:
            skipped["of diseases without a Mondo cross-reference of their own"] += 1
        for disease in matches:
            stated.setdefault((gene, disease), []).append(disease_id)
    edges = tuple(
        Edge(
            gene,
            GENE_DISEASE,
            disease,
            release.source,
            release.version,
            qualifiers=tuple(sorted(via)),
            taxon=HUMAN,
        )
        for (gene, disease), via in stated.items()
    )
    notices = [f"{release.source}: {len(pairs)} gene-disease pairs read"]
    notices += [f"{release.source}: not loaded: {n} pairs {why}" for why, n in skipped.items()]
    return Loaded(release, (), edges, tuple(notices))


def read_phenotypes(path: Path, release: Release, diseases: MondoIndex) -> Loaded:
    """Read the phenotypes (aspect P) of diseases."""
    edges: dict[Edge, None] = {}
    skipped: Counter[str] = Counter()
    for number, cells in _hpoa(path):
        disease_id, qualifier, phenotype = cells[0], cells[2], cells[3]
        reference, code, aspect = cells[4], cells[5], cells[10]
        if code not in _HPO_EVIDENCE or qualifier not in ("", "NOT"):
            raise BadFile(f"{path.name}, line {number}: {code!r} {qualifier!r}; not HPO's format")
        if aspect != "P":
            skipped["of inheritance, onset and course"] += 1
            continue
        matches = diseases.find(disease_id)
        if not matches:
            skipped["of diseases without a Mondo cross-reference of their own"] += 1
        for disease in matches:
            edge = Edge(
                disease,
                HAS_PHENOTYPE,
                phenotype,
                release.source,
                release.version,
                evidence_code=_HPO_EVIDENCE[code],
                publications=tuple(dict.fromkeys(_PMID.findall(reference))),
                negated=qualifier == "NOT",
                qualifiers=(disease_id,),
            )
            edges[edge] = None
    notices = tuple(f"{release.source}: not loaded: {n} rows {why}" for why, n in skipped.items())
    return Loaded(release, (), tuple(edges), notices)


def _hpoa(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.startswith(("#", "database_id\t")):
                continue
            cells = line.rstrip("\n").split("\t")
            if len(cells) != 12:
                raise BadFile(f"{path.name}, line {number}: {len(cells)} columns; expected 12")
            yield number, cells


def read_ligand_receptor(path: Path, release: Release, genes: GeneIndex) -> Loaded:
    """Read human ligand-receptor pairs."""
    columns = ("source_genesymbol", "target_genesymbol", "resource")
    listed: dict[tuple[str, str], set[str]] = {}
    for row in rows(path, columns, delimiter=","):
        if row["resource"] != "mouseconsensus":
            pair = (row["source_genesymbol"], row["target_genesymbol"])
            listed.setdefault(pair, set()).add(row["resource"])
    edges: dict[tuple[Curie, Curie], Edge] = {}
    unknown = 0
    # Pairs of single genes first: the stronger statement of the same edge stands.
    for (left, right), resources in sorted(
        listed.items(), key=lambda item: "_" in "".join(item[0])
    ):
        complex_ = "_" in left + right
        ligands = [genes.by_name(symbol) for symbol in left.split("_")]
        receptors = [genes.by_name(symbol) for symbol in right.split("_")]
        if None in ligands or None in receptors:
            unknown += 1
            continue
        for ligand, receptor in ((a, b) for a in ligands for b in receptors if a != b):
            assert ligand is not None and receptor is not None
            edges.setdefault(
                (ligand, receptor),
                Edge(
                    ligand,
                    INTERACTS_WITH,
                    receptor,
                    release.source,
                    release.version,
                    qualifiers=("ligand_receptor", *(("in_complex",) if complex_ else ())),
                    taxon=HUMAN,
                    weight=float(len(resources - _DERIVED_RESOURCES)),
                ),
            )
    notices = (
        f"{release.source}: {len(listed)} human ligand-receptor pairs read; not loaded: {unknown} "
        "pairs with a symbol that HGNC lacks",
    )
    return Loaded(release, (), tuple(edges.values()), notices)


def marker_edges(
    human: GeneIndex, mouse: GeneIndex, cell_types: Mapping[Curie, Term], extra: Iterable[Path] = ()
) -> Loaded:
    """Return the marker table as edges; the release is the table's facts, hashed.

    A marker reported in both species gives an edge in each.
    """
    facts = [row for row in TABLE.read_bytes().splitlines() if not row.startswith(b"#")]
    digest = hashlib.sha256(b"\n".join(facts)).hexdigest()[:12]
    release = Release(
        "celloquy-markers",
        f"sha256:{digest}",
        licence="facts; each source its own (head of data/markers.tsv)",
        citation="Celloquy marker table; each fact names its sources",
    )
    edges: dict[str, Edge] = {}
    skipped: Counter[str] = Counter()
    for marker in read_markers(extra):
        if marker.cl_id not in cell_types or cell_types[marker.cl_id].obsolete:
            skipped["of a cell type that CL lacks or no longer uses"] += 1
            continue
        for species, symbol, genes, taxon in (
            ("human", marker.gene, human, HUMAN),
            ("mouse", marker.mouse_gene, mouse, MOUSE),
        ):
            if species not in marker.species:
                continue
            gene = genes.by_name(symbol) if symbol else None
            if gene is None:
                skipped[f"of a {species} gene without a current symbol"] += 1
                continue
            edge = _marker_edge(marker, gene, taxon, release)
            # Two human genes with one mouse orthologue state the same of it.
            edges[edge.key] = max(edge, edges.get(edge.key, edge), key=lambda e: e.weight or 0.0)
    notices = tuple(f"celloquy-markers: not loaded: {n} facts {w}" for w, n in skipped.items())
    return Loaded(release, (), tuple(edges.values()), notices)


def _marker_edge(marker: Marker, gene: Curie, taxon: Curie, release: Release) -> Edge:
    sign = () if marker.positive else ("negative",)
    edge = Edge(gene, MARKER_OF, marker.cl_id, release.source, release.version)
    return replace(
        edge,
        qualifiers=(*sign, *(f"source:{source}" for source in marker.sources)),
        taxon=taxon,
        weight=float(marker.contexts),
    )
