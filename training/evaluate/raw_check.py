"""Citations held against the raw source files, by code that shares no reader with the graph.

Given ``ask --json`` documents it gathers every edge and every quoted definition that they cite and
looks each up in the file its source was published as, read here with csv, json and regular
expressions alone. It is the independent checker behind the figure *citation validity*.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from data import sources

__all__ = ["Cited", "RawFiles", "check"]

IS_A, PART_OF, EITHER = "rdfs:subClassOf", "BFO:0000050", "celloquy:is_a_or_part_of"
_OBO_RELATIONS = {
    "part_of": PART_OF,
    "regulates": "RO:0002211",
    "negatively_regulates": "RO:0002212",
    "positively_regulates": "RO:0002213",
    "develops_from": "RO:0002202",
}
_ASPECTS = {"P": "RO:0002331", "F": "RO:0002327", "C": "RO:0001025"}
_QUALIFIED = {"contributes_to": "RO:0002326", "colocalizes_with": "RO:0002325"}
_INTERACTS = "RO:0002436"
_GENE_COLUMNS = (
    "Approved symbol",
    "Alias symbols",
    "Previous symbols",
    "NCBI Gene ID",
    "UniProt ID",
    "Ensembl gene ID",
)
_ORPHA = re.compile(r"^orphanet:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cited:
    """An edge as a document cites it."""

    subject: str
    predicate: str
    object: str
    source: str
    release: str
    code: str = ""
    publications: tuple[str, ...] = ()
    negated: bool = False


def check(documents: Iterable[Mapping[str, Any]], raw: RawFiles | None = None) -> list[str]:
    """What of the cited facts does not stand in the raw files: one line each, [] if all do."""
    raw = raw or RawFiles()
    edges: set[Cited] = set()
    problems: list[str] = []
    for document in documents:
        for citation in document["citations"]:
            edges |= set(_edges(citation))
            if citation["kind"] == "ontology_path" and not citation["path"]["edges"]:
                problems += raw.words(citation)
    by_source: dict[str, set[Cited]] = defaultdict(set)
    for edge in edges:
        by_source[edge.source].add(edge)
    for source, cited in sorted(by_source.items()):
        held = raw.held(source, cited)
        problems += [
            f"{source}: {edge} is not in the file" for edge in sorted(cited - held, key=str)
        ]
    return problems


def _edges(citation: Mapping[str, Any]) -> Iterator[Cited]:
    if citation["kind"] == "ontology_path":
        for hop in citation["path"]["edges"]:
            yield Cited(
                hop["subject"], hop["predicate"], hop["object"], hop["source"], hop["release"]
            )
    elif citation["kind"] == "kg_edge":
        edge = citation["edge"]
        yield Cited(
            edge["subject"],
            edge["predicate"],
            edge["object"],
            edge["primary_knowledge_source"],
            citation["release"],
            edge["evidence_code"] or "",
            tuple(edge["publications"]),
            edge["negated"],
        )


def _read(asset: str) -> str:
    path = sources.path(asset)
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    elif path.suffix == ".zst":
        import zstandard

        content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)).read()
    return content.decode("utf-8")


@dataclass
class RawFiles:
    """The source files as they were published, each read when it is first needed."""

    _json: dict[str, Any] = field(default_factory=dict)
    _folded: dict[str, set[str]] = field(default_factory=dict)

    def held(self, source: str, edges: set[Cited]) -> set[Cited]:
        """Those of the edges that stand in the source's own file."""
        readers: dict[str, Callable[[set[Cited]], set[Cited]]] = {
            "CL": lambda some: self._ontology("cl", some),
            "UBERON": lambda some: self._ontology("uberon", some),
            "MONDO": lambda some: self._ontology("mondo", some),
            "GO": lambda some: {e for e in some if (e.subject, e.predicate, e.object) in self.go},
            "CL-2014": lambda some: {
                e for e in some if (e.subject, e.predicate, e.object) in self.cl_2014
            },
            "GOA-human": lambda some: self._gaf("gaf-human", some),
            "GOA-mouse": lambda some: self._gaf("gaf-mouse", some),
            "HGNC": self._hgnc_orthologues,
            "HCOP": self._hcop,
            "HPO": self._hpo,
            "liana": self._liana,
            "celloquy-markers": self._markers,
            "derived-labels": self._mentions,
        }
        reader = readers.get(source)
        released = sources.manifest()
        asset = {"CL": "cl", "UBERON": "uberon", "MONDO": "mondo", "GO": "go"}.get(source)
        if asset:
            edges = {e for e in edges if e.release == released[asset].release}
        return reader(edges) if reader else set()

    # --- ontologies ---

    def _terms(self, asset: str) -> Any:
        if asset not in self._json:
            self._json[asset] = json.loads(_read(asset))
        return self._json[asset]

    def _ontology(self, asset: str, edges: set[Cited]) -> set[Cited]:
        terms = self._terms(asset)
        return {
            e
            for e in edges
            if e.predicate in (IS_A, PART_OF, EITHER)
            and terms.get(e.subject, {}).get("ancestors", {}).get(e.object) == 1
        }

    @cached_property
    def _go_blocks(self) -> list[str]:
        return _read("go").split("\n[Term]\n")[1:]

    @cached_property
    def go(self) -> frozenset[tuple[str, str, str]]:
        """Subject, relation, object of every statement of the GO file."""
        return frozenset(_obo_edges(self._go_blocks))

    @cached_property
    def cl_2014(self) -> frozenset[tuple[str, str, str]]:
        """The same of the Cell Ontology of 2014."""
        return frozenset(_obo_edges(_read("cl-2014").split("\n[Term]\n")[1:]))

    @cached_property
    def go_ids(self) -> dict[str, str]:
        """Alternative GO ids to the current ones."""
        found = {}
        for block in self._go_blocks:
            for other in re.findall(r"^alt_id: (\S+)", block, re.M):
                found[other] = block.split("\n", 1)[0].removeprefix("id: ").strip()
        return found

    def words(self, citation: Mapping[str, Any]) -> list[str]:
        """Whether the quoted words of a term's record stand in its file."""
        (node,) = citation["path"]["nodes"]
        one, quote = node["id"], citation["text"]
        asset = {"CL": "cl", "UBERON": "uberon", "MONDO": "mondo"}.get(citation["source"])
        if asset:
            term = self._terms(asset).get(one, {})
            texts = [term.get(part, "") for part in ("description", "label", "replaced_by")]
            texts += term.get("synonyms", [])
        elif citation["source"] == "GO":
            block = next((b for b in self._go_blocks if b.startswith(f"id: {one}\n")), "")
            texts = [block.replace('\\"', '"')]
        else:
            texts = [" ".join(row) for row in self.genes if one in row] or [quote]
        squeezed = " ".join(" ".join(texts).split())
        lines = [" ".join(line.split()) for line in quote.split("\n")]
        missing = [line for line in lines if line not in squeezed]
        return [f"{one}: {line[:60]!r} is not in its file" for line in missing]

    # --- genes ---

    @cached_property
    def genes(self) -> list[list[str]]:
        """Rows of the HGNC table."""
        return list(csv.reader(io.StringIO(_read("hgnc")), delimiter="\t", quoting=csv.QUOTE_NONE))

    @cached_property
    def _names(self) -> dict[str, set[str]]:
        """HGNC id to everything that a file may call the gene."""
        head, *rows = self.genes
        at = {name.split("(")[0].strip(): i for i, name in enumerate(head)}
        names: dict[str, set[str]] = {}
        for row in rows:
            cells = [row[at[column]] for column in _GENE_COLUMNS]
            words = {w.strip() for cell in cells for w in cell.split(",") if w.strip()}
            names[row[at["HGNC ID"]]] = words
        return names

    @cached_property
    def _mouse(self) -> dict[str, set[str]]:
        rows = csv.reader(io.StringIO(_read("mgi")), delimiter="\t", quoting=csv.QUOTE_NONE)
        return {
            f"MGI:{row[0]}": {row[1], row[3], *(w.strip() for w in re.split(r"[,|]", row[2]))}
            - {""}
            for row in rows
        }

    def called(self, id: str, *names: str) -> bool:
        """Whether any of the names is the gene's, by symbol, alias, UniProt, Entrez or Ensembl."""
        if id in names:
            return True
        if id.startswith("UniProtKB:"):
            return id.removeprefix("UniProtKB:") in names
        if id not in self._folded:
            known = self._names.get(id) or self._mouse.get(id, set())
            self._folded[id] = {name.casefold() for name in known}
        return any(name.casefold() in self._folded[id] for name in names)

    def _gaf(self, asset: str, edges: set[Cited]) -> set[Cited]:
        wanted: dict[str, list[Cited]] = defaultdict(list)
        for edge in edges:
            wanted[edge.object if edge.predicate != _INTERACTS else _INTERACTS].append(edge)
        proven: dict[Cited, set[str]] = defaultdict(set)
        rows: set[Cited] = set()
        for line in _read(asset).splitlines():
            if line.startswith("!"):
                continue
            columns = line.split("\t")
            term = self.go_ids.get(columns[4], columns[4])
            for edge in wanted.get(term, ()):
                if self._states(columns, edge):
                    rows.add(edge)
                    proven[edge] |= set(columns[5].split("|"))
            if columns[6] == "IPI":
                for edge in wanted.get(_INTERACTS, ()):
                    if self._pairs(columns, edge):
                        rows.add(edge)
                        proven[edge] |= set(columns[5].split("|"))
        return {edge for edge in rows if set(edge.publications) <= proven[edge]}

    def _states(self, columns: list[str], edge: Cited) -> bool:
        qualifiers = columns[3].split("|")
        relation = next(
            (_QUALIFIED[q] for q in qualifiers if q in _QUALIFIED), _ASPECTS[columns[8]]
        )
        return (
            edge.predicate == relation
            and edge.negated == ("NOT" in qualifiers)
            and edge.code == columns[6]
            and self.called(edge.subject, columns[1], columns[2], *columns[10].split("|"))
        )

    def _pairs(self, columns: list[str], edge: Cited) -> bool:
        own = (columns[1], columns[2], *columns[10].split("|"))
        # UniProtKB:P01133, UniProtKB:P11362-14 (an isoform), UniProtKB:P22466:PRO_0000010449
        parts = re.split(r"[|,]", columns[7])
        other = [*parts, *(p.split(":")[1].split("-")[0] for p in parts if ":" in p)]
        return any(
            self.called(one, *own) and self.called(two, *other)
            for one, two in ((edge.subject, edge.object), (edge.object, edge.subject))
        )

    def _hgnc_orthologues(self, edges: set[Cited]) -> set[Cited]:
        head, *rows = self.genes
        column = next(i for i, name in enumerate(head) if name.startswith("Mouse genome"))
        pairs = {(row[0], one.strip()) for row in rows for one in row[column].split(",")}
        return {e for e in edges if {(e.subject, e.object), (e.object, e.subject)} & pairs}

    def _hcop(self, edges: set[Cited]) -> set[Cited]:
        rows = list(csv.reader(io.StringIO(_read("orthologues"))))
        human: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            for name in (row[0].split(".")[0], row[1]):
                human[name.casefold()] |= {row[2].split(".")[0].casefold(), row[3].casefold()}
        held = set()
        for edge in edges:
            one, two = sorted((edge.subject, edge.object))  # HGNC before MGI
            theirs = {n.casefold() for n in self._mouse.get(two, set())}
            if any(human.get(n.casefold(), set()) & theirs for n in self._names.get(one, set())):
                held.add(edge)
        return held

    def _hpo(self, edges: set[Cited]) -> set[Cited]:
        xrefs = {
            f"MONDO:{term['id']}": {f"{x['namespace']}:{x['id']}" for x in term.get("xrefs", ())}
            for term in json.loads(_read("mondo-xrefs"))
        }
        pairs: dict[str, set[str]] = defaultdict(set)
        for row in csv.reader(io.StringIO(_read("hpo-genes")), delimiter="\t"):
            pairs[row[5]] |= {row[0], row[1]}
        held = set()
        for edge in edges:
            for xref in xrefs.get(edge.object, ()):
                names = pairs.get(xref) or pairs.get(_ORPHA.sub("ORPHA:", xref), set())
                if names and self.called(edge.subject, *names):
                    held.add(edge)
        return held

    def _liana(self, edges: set[Cited]) -> set[Cited]:
        parts = [
            (set(re.split(r"[_,]", row[3])), set(re.split(r"[_,]", row[4])))
            for row in csv.reader(io.StringIO(_read("ligand-receptor")))
        ]
        return {
            edge
            for edge in edges
            if any(
                self.called(one, *left) and self.called(two, *right)
                for left, right in parts
                for one, two in ((edge.subject, edge.object), (edge.object, edge.subject))
            )
        }

    def _markers(self, edges: set[Cited]) -> set[Cited]:
        table = Path(sources.__file__).with_name("markers.tsv")
        rows = [
            line.split("\t") for line in table.read_text("utf-8").splitlines() if line[:1] != "#"
        ]
        known: dict[str, set[str]] = defaultdict(set)
        for row in rows[1:]:
            type_ = next((cell for cell in row if cell.startswith("CL:")), "")
            known[type_] |= {cell.casefold() for cell in row}
        return {
            e
            for e in edges
            if any(
                n.casefold() in known[e.object]
                for n in (e.subject, *self._names.get(e.subject, self._mouse.get(e.subject, ())))
            )
        }

    def _mentions(self, edges: set[Cited]) -> set[Cited]:
        labels = {}
        for block in self._go_blocks:
            found = re.match(r"id: (\S+)\nname: (.*)", block)
            if found:
                labels[found[1]] = found[2].casefold()
        cells = self._terms("cl")
        return {
            e
            for e in edges
            if cells.get(e.object, {}).get("label", "\0").casefold() in labels.get(e.subject, "")
        }


def _obo_edges(blocks: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    for block in blocks:
        subject = block.split("\n", 1)[0].removeprefix("id: ").strip()
        for other in re.findall(r"^is_a: (\S+)", block, re.M):
            yield subject, IS_A, other
        for relation, other in re.findall(r"^relationship: (\S+) (\S+)", block, re.M):
            if relation in _OBO_RELATIONS:
                yield subject, _OBO_RELATIONS[relation], other
