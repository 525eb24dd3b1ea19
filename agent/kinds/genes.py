"""Questions about genes: what they do, where, in which cell types, with whom, in which diseases.

Annotations are an open world: what a release does not record may still be so, and no answer here
says otherwise. A NOT-annotation is told as what it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from agent.facts import NO_DATA, Facts, Finding, Found, none_found
from agent.verification.statement import RULES, Form, Statement
from kg.graph import Direction
from kg.neighbours import Neighbour
from kg.terms import (
    COLOCALIZES_WITH,
    CONTRIBUTES_TO,
    ENABLES,
    GENE_DISEASE,
    HAS_PHENOTYPE,
    INTERACTS_WITH,
    INVOLVED_IN,
    IS_A,
    LOCATED_IN,
    MARKER_OF,
    MENTIONS,
    ORTHOLOGOUS_TO,
    PART_OF,
    Category,
    Curie,
    Edge,
)
from retrieval.evidence import Evidence

__all__ = [
    "CAUSES",
    "FUNCTIONS",
    "annotated",
    "diseases",
    "function",
    "gene_in_type",
    "genes_of",
    "ligands",
    "link",
    "listed_types",
    "listing_sources",
    "location",
    "naming",
    "orthologues",
    "partners",
    "phenotypes",
    "receptors",
    "types_of_gene",
]

FUNCTIONS = (INVOLVED_IN, ENABLES, CONTRIBUTES_TO, LOCATED_IN, COLOCALIZES_WITH)
"""The relations that GO annotations state."""

CAUSES = (
    "The sources of genes and diseases do not tell causes from modifiers and risk factors, nor "
    "does the order of genes."
)
"""Said beside every gene of a disease: the question may have asked for a cause."""

_SOURCE = "source:"  # qualifier of a marker's edge (kg.readers.associations)
_NAMING_SHOWN = 4  # processes that name a cell type, at most
_PER_FACT = 2  # rows of evidence shown for one fact: the strongest ones
_EVERY = 10_000  # more partners than any gene has
PHENOTYPES = "HPO-phenotypes"  # the source of kg.readers.catalogue that a built graph may lack
PAIRED = "ligand_receptor"  # qualifier of ligand-receptor pairs (kg.readers.associations)
_LISTS = 2  # resources that must list a pair for it to stand beside the others
_WEAKEST = 2


def fact(
    facts: Facts,
    subject: Curie,
    predicate: Curie,
    neighbours: Sequence[Neighbour],
    *,
    inverse: bool = False,
    lead: str = "",
) -> Finding:
    """One sentence on the neighbours of a node by one relation."""
    statement = Statement(
        Form.FACT,
        subject=subject,
        predicate=predicate,
        objects=tuple(dict.fromkeys(n.term.id for n in neighbours)),
        inverse=inverse,
    )
    rows = [row for n in neighbours for row in n.edges[:_PER_FACT]]
    return Finding(statement, tuple(facts.edge(row) for row in rows), lead)


def neighbours_by(
    facts: Facts,
    a: Curie,
    predicate: Curie,
    *,
    inverse: bool = False,
    categories: Collection[Category] = (),
    limit: int | None = None,
) -> tuple[list[Finding], list[str]]:
    """The best supported neighbours by one relation as a finding, and a note on the rest."""
    found, total = facts.around(
        a, (predicate,), "in" if inverse else "out", categories=categories, limit=limit
    )
    if not found:
        return [], []
    notes = []
    if total > len(found):
        notes.append(f"The {len(found)} best supported of {total} are named.")
    return [fact(facts, a, predicate, found, inverse=inverse)], notes


def function(facts: Facts, a: Curie) -> Found:
    """What a gene does: processes, activities, and what it is said not to do."""
    findings: list[Finding] = []
    notes: list[str] = []
    for predicate, what, limit in (
        (INVOLVED_IN, "processes", 8),
        (ENABLES, "molecular functions", 5),
        (CONTRIBUTES_TO, "contributions", 3),
        (LOCATED_IN, "locations", 5),
    ):
        found, total = facts.around(a, (predicate,), "out", limit=limit)
        if found:
            findings.append(fact(facts, a, predicate, found))
            if total > len(found):
                notes.append(f"{len(found)} of {total} {what} are named, best supported first.")
    findings += _denied(facts, a)
    if not findings:
        return none_found(
            f"the loaded annotations say nothing on what {facts.label(a)} does; newer ones may "
            "(`celloquy data update goa-human-current`)"
        )
    return Found(tuple(findings), tuple(notes))


def _denied(facts: Facts, a: Curie) -> list[Finding]:
    findings = []
    for neighbour in facts.denied(a, FUNCTIONS)[:3]:
        statement = Statement(
            Form.FACT,
            subject=a,
            predicate=neighbour.predicate,
            objects=(neighbour.term.id,),
            negated=True,
        )
        rows = tuple(facts.edge(row) for row in neighbour.edges[:_PER_FACT])
        findings.append(Finding(statement, rows, "By a NOT annotation"))
    return findings


def location(facts: Facts, a: Curie) -> Found:
    """Where in the cell a gene's product is."""
    findings, notes = neighbours_by(facts, a, LOCATED_IN)
    more, further = neighbours_by(facts, a, COLOCALIZES_WITH, limit=4)
    if not findings and not more:
        return none_found(f"the loaded annotations give no location for {facts.label(a)}")
    return Found((*findings, *more), (*notes, *further))


def partners(facts: Facts, a: Curie) -> Found:
    """With which proteins a gene's product interacts: by experiment, by lists of pairs, by one."""
    found, _ = facts.around(a, (INTERACTS_WITH,), "both", limit=_EVERY)
    if not found:
        return none_found(f"no loaded release records an interaction partner of {facts.label(a)}")
    rows: dict[Curie, list[Edge]] = {}
    for neighbour in found:
        rows.setdefault(neighbour.term.id, []).extend(neighbour.edges)
    best = {one: min(edges, key=_strength) for one, edges in rows.items()}
    ranked = sorted(best, key=lambda one: (_strength(best[one]), -len(rows[one])))
    findings = _by_support(facts, a, {one: best[one] for one in ranked[: facts.shown]})
    notes = [f"{facts.shown} of {len(rows)} partners are named, best supported first."]
    return Found(tuple(findings), tuple(notes) if len(rows) > facts.shown else ())


def _strength(edge: Edge) -> tuple[int, float]:
    """Experiments first, then pairs by how many lists have them, those of one list last."""
    weight = edge.weight or 0.0
    kind = 0 if PAIRED not in edge.qualifiers else 1 if weight >= _LISTS else 2
    return (kind, -weight)


_SUPPORT = (
    "Shown by an experiment",
    "Listed as a ligand and its receptor by several resources",
    "Listed so by one resource only",
)


def _by_support(facts: Facts, a: Curie, best: Mapping[Curie, Edge]) -> list[Finding]:
    """A gene's partners, apart by what carries them; a lead where there is more than one kind."""
    kinds: dict[int, dict[Curie, Edge]] = {}
    for one, edge in best.items():
        kinds.setdefault(_strength(edge)[0], {})[one] = edge
    findings = []
    for kind in sorted(kinds):
        statement = Statement(
            Form.FACT, subject=a, predicate=INTERACTS_WITH, objects=tuple(kinds[kind])
        )
        lead = _SUPPORT[kind] if len(kinds) > 1 or kind == _WEAKEST else ""
        rows = tuple(facts.edge(edge) for edge in kinds[kind].values())
        findings.append(Finding(statement, rows, lead))
    return findings


def receptors(facts: Facts, a: Curie) -> Found:
    """The receptors that a ligand is listed with."""
    return _paired(facts, a, "out", "receptors")


def ligands(facts: Facts, a: Curie) -> Found:
    """The ligands that a receptor is listed with."""
    return _paired(facts, a, "in", "ligands")


def _paired(facts: Facts, a: Curie, direction: Direction, what: str) -> Found:
    """The other ends of ligand-receptor pairs, those that most resources list first."""
    edges = [
        edge
        for edge in facts.graph.edges(a, direction=direction, predicates=(INTERACTS_WITH,))
        if PAIRED in edge.qualifiers and not edge.negated
    ]
    if not edges:
        return none_found(
            f"no loaded release lists {what} of {facts.label(a)}; ask for its interaction partners"
        )
    ranked = sorted(edges, key=lambda e: (-(e.weight or 0.0), e.subject, e.object))
    shown = ranked[: facts.shown]
    best = {(e.object if direction == "out" else e.subject): e for e in shown}
    notes = [f"These are {what} by pairs that the source compiles, best supported first."]
    if len(ranked) > len(shown):
        notes.append(f"{len(shown)} of {len(ranked)} are named.")
    return Found(tuple(_by_support(facts, a, best)), tuple(notes))


def diseases(facts: Facts, a: Curie) -> Found:
    """With which diseases a gene is associated."""
    findings, notes = neighbours_by(facts, a, GENE_DISEASE)
    if not findings:
        return none_found(f"no loaded release associates {facts.label(a)} with a disease")
    return Found(tuple(findings), (*notes, CAUSES))


def phenotypes(facts: Facts, a: Curie) -> Found:
    """Which phenotypes a disease has."""
    findings, notes = neighbours_by(facts, a, HAS_PHENOTYPE)
    if not findings and PHENOTYPES in facts.graph.releases:
        return none_found(f"no loaded release gives phenotypes of {facts.label(a)}")
    if not findings:
        return none_found(
            f"the graph holds no symptoms of any disease; those of {facts.label(a)} stand in the "
            "disease annotations of the Human Phenotype Ontology (https://hpo.jax.org), which it "
            "is built without; which genes are associated with it can be asked"
        )
    return Found(tuple(findings), tuple(notes))


def orthologues(facts: Facts, a: Curie) -> Found:
    """The gene's counterparts in the other species."""
    found, total = facts.around(a, (ORTHOLOGOUS_TO,), "both")
    if not found:
        return none_found(f"no loaded release gives an orthologue of {facts.label(a)}")
    unique = list({n.term.id: n for n in found}.values())
    statement = Statement(
        Form.FACT, subject=a, predicate=ORTHOLOGOUS_TO, objects=tuple(n.term.id for n in unique)
    )
    rows = tuple(facts.edge(row) for n in unique for row in n.edges[:_PER_FACT])
    notes = [] if total <= len(found) else [f"{len(unique)} of {total} are named."]
    return Found((Finding(statement, rows),), tuple(notes))


def types_of_gene(facts: Facts, a: Curie) -> Found:
    """In which cell types a gene matters, by markers and by processes that name a type.

    A type that only stands in the name of a process need not have the gene: beside a marker list
    it is told where the list agrees, or where the process is what that cell makes.
    """
    findings, notes = listed_types(facts, a)
    listed = _listed_ids(facts, a)
    told = 0
    for term, types, rows in naming(facts, a, None):
        kept = [e for e in types if not listed or e.object in listed or _made_by(facts, term, e)]
        if kept and told < _NAMING_SHOWN:
            findings += link(facts, a, term, kept, rows)
            told += 1
    if told and not listed:
        notes.append(
            "That a process names a cell type does not say that the gene is expressed in it."
        )
    if not findings:
        return none_found(
            f"no loaded release ties {facts.label(a)} to a cell type: it is no listed marker, and "
            "none of its annotations names one"
        )
    return Found(tuple(findings), tuple(notes))


def _listed_ids(facts: Facts, gene: Curie) -> set[Curie]:
    found, _ = facts.around(gene, (MARKER_OF,), "out", categories=(Category.CELL_TYPE,), limit=1000)
    return {neighbour.term.id for neighbour in found}


def _made_by(facts: Facts, term: Neighbour, mention: Edge) -> bool:
    """Whether a process is a cell's making or giving off of something, by its label.

    Such labels are "T cell cytokine production" and "histamine secretion by mast cell".
    """
    label = term.term.label.lower()
    if "regulation" in label:  # what regulates the making is not what is made
        return False
    cell = re.escape(facts.names.label(mention.object).lower())
    made = "(?:production|secretion)"
    return bool(re.search(rf"\b{made} by (?:an? )?{cell}\b|\b{cell}\b.*\b{made}\b(?! by)", label))


def listing_sources(edges: Iterable[Edge]) -> tuple[str, ...]:
    """The resources that list a marker, as the edges of the marker table name them."""
    found = {q.removeprefix(_SOURCE) for e in edges for q in e.qualifiers if q.startswith(_SOURCE)}
    return tuple(sorted(found))


def listed_types(facts: Facts, gene: Curie) -> tuple[list[Finding], list[str]]:
    """The types that a gene is listed as a marker of, apart those that one source alone lists."""
    found, total = facts.around(
        gene, (MARKER_OF,), "out", categories=(Category.CELL_TYPE,), limit=1000
    )
    support = {n.term.id: len(listing_sources(n.edges)) for n in found}
    ranked = sorted(found, key=lambda n: (-support[n.term.id], -n.score, n.term.id))
    several = [n for n in ranked if support[n.term.id] != 1][: facts.shown]
    alone = [n for n in ranked if support[n.term.id] == 1][: facts.shown - len(several)]
    findings = [fact(facts, gene, MARKER_OF, several)] if several else []
    if alone:
        findings.append(fact(facts, gene, MARKER_OF, alone, lead="By one source only"))
    shown = len(several) + len(alone)
    notes = [f"{shown} of {total} cell types are named, best supported first."]
    return findings, notes if total > shown else []


def naming(
    facts: Facts, gene: Curie, within: frozenset[Curie] | None
) -> list[tuple[Neighbour, tuple[Edge, ...], tuple[Edge, ...]]]:
    """The gene's annotations whose term names a cell type (one of ``within``, if given)."""
    found, _ = facts.around(gene, FUNCTIONS, "out", limit=500)
    named = []
    for neighbour in found:
        links = tuple(
            edge
            for edge in facts.graph.edges(
                neighbour.term.id, direction="out", predicates=(MENTIONS,)
            )
            if not edge.negated and (within is None or edge.object in within)
        )
        if links:
            named.append((neighbour, links, neighbour.edges[:_PER_FACT]))
    return named


def link(
    facts: Facts, gene: Curie, term: Neighbour, links: Sequence[Edge], rows: Sequence[Edge]
) -> list[Finding]:
    """An annotation of a gene to a term, and the cell types that the term names."""
    annotation = Statement(
        Form.FACT, subject=gene, predicate=term.predicate, objects=(term.term.id,)
    )
    mention = Statement(
        Form.FACT,
        subject=term.term.id,
        predicate=MENTIONS,
        objects=tuple(dict.fromkeys(edge.object for edge in links)),
    )
    return [
        Finding(annotation, tuple(facts.edge(row) for row in rows)),
        Finding(mention, tuple(facts.edge(edge) for edge in links)),
    ]


def gene_in_type(facts: Facts, gene: Curie, type: Curie) -> Found:
    """What a gene does in a cell type: annotations that name the type, markers, then the rest."""
    kinds = frozenset(facts.graph.descendants(type))
    findings: list[Finding] = []
    notes: list[str] = []
    named = naming(facts, gene, kinds)
    for term, links, rows in named[:4]:
        findings += link(facts, gene, term, links, rows)
    markers, _ = facts.around(gene, (MARKER_OF,), "out", categories=(Category.CELL_TYPE,), limit=99)
    of_type = [n for n in markers if n.term.id in kinds]
    if of_type:
        findings.append(fact(facts, gene, MARKER_OF, of_type[: facts.shown]))
    said = {finding.statement.objects for finding in findings}
    general = function(facts, gene)
    findings += [f for f in general.findings if f.statement.objects not in said]
    if not findings:
        return general
    if not named:
        notes.append(
            f"No loaded annotation of {facts.label(gene)} names {facts.label(type)}; what is "
            "listed was recorded of the gene without its cell type."
        )
    else:
        notes.append(
            "Annotations of genes do not say in which cell type they were observed, unless the "
            "term itself names one; the link to the cell type is by that name."
        )
    return Found(tuple(findings), (*notes, *general.notes))


def annotated(facts: Facts, gene: Curie, term: Curie) -> Found:
    """Whether a gene is annotated to a term, also through a narrower one; NOT is told."""
    rows = facts.graph.edges(gene, direction="out", predicates=(*FUNCTIONS, GENE_DISEASE))
    denied = [row for row in rows if row.negated and row.object == term]
    rows = [row for row in rows if row.evidence_code != NO_DATA]
    held = [row for row in rows if not row.negated and row.object == term]
    findings = []
    if held:
        predicate = held[0].predicate
        statement = Statement(Form.FACT, subject=gene, predicate=predicate, objects=(term,))
        same = [row for row in held if row.predicate == predicate]
        findings.append(Finding(statement, tuple(facts.edge(r) for r in same[:3]), "Yes"))
    if denied:
        statement = Statement(
            Form.FACT, subject=gene, predicate=denied[0].predicate, objects=(term,), negated=True
        )
        lead = "No: a NOT annotation says so" if not held else "But a NOT annotation says"
        findings.append(Finding(statement, tuple(facts.edge(r) for r in denied[:2]), lead))
    cause = (CAUSES,) if facts.names.category(term) is Category.DISEASE else ()
    if findings:
        return Found(tuple(findings), cause)
    if narrower := _through(facts, gene, term, rows):
        return Found((narrower,), cause)
    return _not_recorded(facts, gene, term)


def _through(facts: Facts, gene: Curie, term: Curie, rows: Sequence[Edge]) -> Finding | None:
    """An annotation to a narrower term, which holds for the broader one (GO's true path rule)."""
    best: tuple[int, Edge, tuple[Edge, ...]] | None = None
    for row in rows:
        rule = RULES.get(row.predicate)
        if row.negated or rule is None or not rule.after:
            continue
        predicates = (IS_A, PART_OF) if rule.after_part else (IS_A,)
        up = facts.climb(row.object, term, predicates)
        if up and (best is None or len(up) < best[0]):
            best = (len(up), row, up)
    if best is None:
        return None
    _, row, up = best
    statement = Statement(Form.FACT, subject=gene, predicate=row.predicate, objects=(term,))
    return Finding(statement, (facts.edge(row), facts.path(up)), "Yes, by a narrower term")


def _not_recorded(facts: Facts, gene: Curie, term: Curie) -> Found:
    category = facts.names.category(term)
    predicate = {
        Category.PROCESS: INVOLVED_IN,
        Category.FUNCTION: ENABLES,
        Category.COMPONENT: LOCATED_IN,
        Category.DISEASE: GENE_DISEASE,
    }.get(category)
    if predicate is None:
        return none_found(f"no loaded release relates {facts.label(gene)} and {facts.label(term)}")
    absent = Statement(Form.NOT_FOUND, subject=gene, predicate=predicate, objects=(term,))
    evidence: list[Evidence] = [w for node in (gene, term) if (w := facts.words(node)) is not None]
    note = "That it is not recorded does not mean that it is not so."
    return Found((Finding(absent, tuple(evidence), "Not recorded"),), (note,))


def genes_of(facts: Facts, term: Curie) -> Found:
    """Which genes are annotated to a term, human ones first."""
    category = facts.names.category(term)
    predicates = {
        Category.DISEASE: (GENE_DISEASE,),
        Category.FUNCTION: (ENABLES, CONTRIBUTES_TO),
        Category.COMPONENT: (LOCATED_IN,),
    }.get(category, (INVOLVED_IN,))
    findings: list[Finding] = []
    notes: list[str] = []
    for predicate in predicates:
        more, further = neighbours_by(
            facts, term, predicate, inverse=True, categories=(Category.GENE,)
        )
        findings += more
        notes += further
    if not findings and category is Category.DISEASE:
        findings = _of_narrower(facts, term)
        notes = [f"No gene is recorded for {facts.label(term)} itself; these are for forms of it."]
    if not findings:
        return none_found(f"no loaded release annotates a gene to {facts.label(term)} itself")
    if category is Category.DISEASE:
        notes.append(CAUSES)
    return Found(tuple(findings), tuple(notes))


_FORMS = 6  # forms of a disease whose genes are told where it has none of its own


def _of_narrower(facts: Facts, term: Curie) -> list[Finding]:
    """The genes of the forms of a disease, those with the most genes first."""
    found: list[tuple[int, Curie, list[Neighbour]]] = []
    for form in sorted(set(facts.graph.descendants(term)) - {term})[:500]:
        genes, total = facts.around(
            form, (GENE_DISEASE,), "in", categories=(Category.GENE,), limit=4
        )
        if genes:
            found.append((total, form, list(genes)))
    found.sort(key=lambda one: (-one[0], one[1]))
    findings = []
    for _, form, rows in found[:_FORMS]:
        findings.append(fact(facts, form, GENE_DISEASE, rows, inverse=True))
    return findings
