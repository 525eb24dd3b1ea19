"""Questions about markers: genes that mark a type, types a gene marks, what sets two apart."""

from __future__ import annotations

from dataclasses import replace

from agent.facts import Facts, Finding, Found, none_found
from agent.kinds.conflicts import disagreements
from agent.kinds.genes import (
    fact,
    gene_in_type,
    link,
    listed_types,
    listing_sources,
    naming,
)
from agent.kinds.hierarchy import related
from agent.verification.statement import Form, Statement
from kg.neighbours import Neighbour
from kg.terms import (
    CAPABLE_OF,
    EXPRESSES,
    HAS_HIGH_PLASMA_MEMBRANE_AMOUNT,
    HAS_LOW_PLASMA_MEMBRANE_AMOUNT,
    HAS_PLASMA_MEMBRANE_PART,
    IS_A,
    LACKS_PART,
    LACKS_PLASMA_MEMBRANE_PART,
    MARKER_OF,
    Category,
    Curie,
    Edge,
)
from retrieval.evidence import Evidence

__all__ = [
    "difference",
    "expresses",
    "is_marker",
    "kinds_expressing",
    "marked_types",
    "markers",
    "why_expresses",
]

_AXIOMS = (
    HAS_PLASMA_MEMBRANE_PART,
    LACKS_PLASMA_MEMBRANE_PART,
    HAS_HIGH_PLASMA_MEMBRANE_AMOUNT,
    HAS_LOW_PLASMA_MEMBRANE_AMOUNT,
    LACKS_PART,
    CAPABLE_OF,
)
_AGREED = 3
"""Sources that must list a marker for it to be better supported than what one lists alone."""
_KINDS, _EACH = 3, 5  # how many kinds of a type are named for it, with how many markers each
_NO_MEASUREMENT = (
    "The loaded sources are marker lists and annotations, no measurements of expression: what they "
    "do not list may still be expressed."
)


def _of(facts: Facts, type: Curie) -> tuple[list[Neighbour], list[Neighbour]]:
    """Positive and negative markers, best supported first."""
    found = facts.graph.edges(type, direction="in", predicates=(MARKER_OF,))
    if not found:
        return [], []
    from kg.neighbours import neighbourhood

    rows = neighbourhood(
        facts.graph, type, relations=(MARKER_OF,), direction="in", limit=None
    ).neighbours
    positive = [n for n in rows if "negative" not in n.edge.qualifiers]
    negative = [n for n in rows if "negative" in n.edge.qualifiers]
    return facts.own_genes(type, positive), facts.own_genes(type, negative)


def markers(facts: Facts, a: Curie) -> Found:
    """The markers of a cell type, and the genes whose absence speaks for it."""
    positive, negative = _of(facts, a)
    findings: list[Finding] = []
    notes: list[str] = []
    if positive:
        findings.append(fact(facts, a, MARKER_OF, positive[: facts.shown], inverse=True))
        if len(positive) > facts.shown:
            notes.append(f"{facts.shown} of {len(positive)} markers are named, best first.")
    if negative:
        findings.append(_negative(facts, a, negative[: facts.shown]))
    against, disputed = disagreements(
        facts, a, *({n.term.id: n.edges for n in rows} for rows in (positive, negative))
    )
    findings += against
    notes += disputed
    findings += _axioms(facts, a)
    if findings:
        return Found(tuple(findings), tuple(notes))
    return _of_kinds(facts, a) or _of_classes(facts, a)


def _of_kinds(facts: Facts, a: Curie) -> Found | None:
    """Markers of a type's direct kinds, those that most is listed of first."""
    findings: list[Finding] = []
    below = facts.graph.edges(a, direction="in", predicates=(IS_A,))
    kinds = [(edge, _of(facts, edge.subject)[0]) for edge in below]
    kinds = sorted((k for k in kinds if k[1]), key=lambda k: (-len(k[1]), k[0].subject))
    for edge, rows in kinds[:_KINDS]:
        is_a = Statement(Form.FACT, subject=edge.subject, predicate=IS_A, objects=(a,))
        findings.append(Finding(is_a, (facts.edge(edge),)))
        findings.append(fact(facts, edge.subject, MARKER_OF, rows[:_EACH], inverse=True))
    more = f" Markers are listed for {len(kinds)} of its kinds." if len(kinds) > _KINDS else ""
    note = (
        f"No marker is listed for {facts.label(a)} itself; these are markers of kinds of it, and "
        f"none of them need hold for all of it.{more}"
    )
    return Found(tuple(findings), (note,)) if findings else None


def _of_classes(facts: Facts, a: Curie) -> Found:
    """Markers of the class that a type belongs to, less those of types beside it."""
    related = {*facts.graph.ancestors(a), *facts.graph.descendants(a)}
    for up in facts.graph.edges(a, direction="out", predicates=(IS_A,)):
        above = [n for n in _of(facts, up.object)[0] if _within(facts, n.term.id, related)]
        if above:
            finding = fact(facts, up.object, MARKER_OF, above[: facts.shown], inverse=True)
            is_a = Statement(Form.FACT, subject=a, predicate=IS_A, objects=(up.object,))
            note = (
                f"No marker is listed for {facts.label(a)} itself or for a kind of it; these are "
                "those of the class it belongs to, less those of other kinds of that class, and "
                "need not hold for each of its kinds."
            )
            first = Finding(is_a, (facts.edge(up),))
            return Found((first, replace(finding, lead="Of that class")), (note,))
    return none_found(f"no loaded release lists markers of {facts.label(a)} or of its kinds")


def _within(facts: Facts, gene: Curie, types: set[Curie]) -> bool:
    """Whether every type that a gene marks is one of these."""
    edges = facts.graph.edges(gene, direction="out", predicates=(MARKER_OF,))
    return {e.object for e in edges if "negative" not in e.qualifiers} <= types


def _negative(facts: Facts, type: Curie, genes: list[Neighbour]) -> Finding:
    statement = Statement(
        Form.FACT,
        subject=type,
        predicate=MARKER_OF,
        objects=tuple(n.term.id for n in genes),
        inverse=True,
        qualifier="negative",
    )
    return Finding(statement, tuple(facts.edge(n.edges[0]) for n in genes))


def _axioms(facts: Facts, a: Curie, unlike: Curie = "") -> list[Finding]:
    """What the ontology itself says on the type's surface and capabilities."""
    findings = []
    for predicate in _AXIOMS:
        edges = [
            edge
            for edge in facts.graph.edges(a, direction="out", predicates=(predicate,))
            if not edge.negated
        ]
        if unlike:
            theirs = facts.graph.edges(unlike, direction="out", predicates=(predicate,))
            known = {edge.object for edge in theirs}
            edges = [edge for edge in edges if edge.object not in known]
        if not edges:
            continue
        statement = Statement(
            Form.FACT,
            subject=a,
            predicate=predicate,
            objects=tuple(dict.fromkeys(edge.object for edge in edges)),
            unlike=unlike,
        )
        findings.append(_with_other(facts, statement, [facts.edge(edge) for edge in edges]))
    return findings


def _with_other(facts: Facts, statement: Statement, evidence: list[Evidence] | list) -> Finding:  # type: ignore[type-arg]
    """Add the other type's own record, which an absence is said of."""
    words = facts.words(statement.unlike) if statement.unlike else None
    return Finding(statement, (*evidence, *([words] if words else [])))


def is_marker(facts: Facts, gene: Curie, type: Curie) -> Found:
    """Whether a gene is listed as a marker of a type, or of a class or kind of it."""
    findings, notes = _listed(facts, gene, type, "Yes")
    if findings:
        return Found(tuple(findings), tuple(notes))
    around = set(facts.graph.ancestors(type)) | set(facts.graph.descendants(type))
    found = _marks(facts, gene)
    near = [n for n in found if n.term.id in around]
    chosen = (near or found)[: facts.shown]
    findings = [_absent(facts, gene, type, "Not listed as one")]
    if chosen:
        findings.append(fact(facts, gene, MARKER_OF, chosen))
    note = "That a marker is not listed does not mean that the gene is not expressed."
    return Found(tuple(findings), (note,))


def _marks(facts: Facts, gene: Curie) -> list[Neighbour]:
    """The types that a gene marks, those that most sources list first."""
    found, _ = facts.around(gene, (MARKER_OF,), "out", categories=(Category.CELL_TYPE,), limit=1000)
    return sorted(found, key=lambda n: (-len(listing_sources(n.edges)), -n.score, n.term.id))


def _absent(facts: Facts, gene: Curie, type: Curie, lead: str) -> Finding:
    absent = Statement(Form.NOT_FOUND, subject=gene, predicate=MARKER_OF, objects=(type,))
    words = [w for node in (gene, type) if (w := facts.words(node)) is not None]
    return Finding(absent, tuple(words), lead)


def _listed(facts: Facts, gene: Curie, type: Curie, lead: str) -> tuple[list[Finding], list[str]]:
    """What the marker table says of the pair, and how well: by how many of its sources.

    Where one source alone lists it, types that more of them agree on follow.
    """
    edges = [e for e in facts.graph.edges_between(gene, type) if e.predicate == MARKER_OF]
    findings: list[Finding] = []
    notes: list[str] = []
    absence = "No, its absence speaks for the type"
    for qualifier, plain in (("", lead), ("negative", absence)):
        rows = [e for e in edges if ("negative" in e.qualifiers) == bool(qualifier)]
        if not rows:
            continue
        sources = listing_sources(rows)
        said = f"{plain}, by one source only" if len(sources) == 1 else plain
        if sources:
            notes.append(f"For {facts.names.label(type)} it is listed by {', '.join(sources)}.")
        statement = Statement(
            Form.FACT, subject=gene, predicate=MARKER_OF, objects=(type,), qualifier=qualifier
        )
        findings.append(Finding(statement, tuple(facts.edge(e) for e in rows[:3]), said))
        if not qualifier and len(sources) == 1:
            findings += _better(facts, gene, type)
    sides: list[dict[Curie, list[Edge]]] = []
    for negative in (False, True):
        rows = [e for e in edges if ("negative" in e.qualifiers) == negative]
        sides.append({gene: rows} if rows else {})
    against, disputed = disagreements(facts, type, *sides)
    return [*findings[:1], *against, *findings[1:]], [*notes, *disputed]


def _better(facts: Facts, gene: Curie, type: Curie) -> list[Finding]:
    """The types, other than a type's own kinds and classes, that more sources list for a gene."""
    around = {*facts.graph.ancestors(type), *facts.graph.descendants(type), type}
    better = [
        n
        for n in _marks(facts, gene)
        if n.term.id not in around and len(listing_sources(n.edges)) >= _AGREED
    ]
    return [fact(facts, gene, MARKER_OF, better[:3], lead="Better supported")] if better else []


def expresses(facts: Facts, type: Curie, gene: Curie) -> Found:
    """Whether a type is recorded to express a gene: as its marker, or by an annotation."""
    stated = [
        edge
        for edge in facts.graph.edges_between(type, gene)
        if edge.predicate == EXPRESSES and not edge.negated
    ]
    findings: list[Finding] = []
    if stated:
        statement = Statement(Form.FACT, subject=type, predicate=EXPRESSES, objects=(gene,))
        findings.append(Finding(statement, tuple(facts.edge(e) for e in stated[:3]), "Yes"))
    listed, notes = _listed(facts, gene, type, "Yes, as a listed marker of it")
    findings += listed
    if not findings:
        findings += _of_relatives(facts, gene, type)
    kinds = frozenset(facts.graph.descendants(type))
    for term, links, rows in naming(facts, gene, kinds)[:3]:
        findings += link(facts, gene, term, links, rows)
    if not findings:
        findings = [_absent(facts, gene, type, "Not recorded")]
        if elsewhere := _marks(facts, gene)[:5]:
            findings.append(
                fact(facts, gene, MARKER_OF, elsewhere, lead="Listed as a marker elsewhere")
            )
    return Found(tuple(findings), (*notes, _NO_MEASUREMENT))


def why_expresses(facts: Facts, type: Curie, gene: Curie) -> Found:
    """Whether a type is recorded to express a gene, which "why" takes for granted; then its role.

    What a gene does is no reason for its expression, and is not told as one.
    """
    premise, role = expresses(facts, type, gene), gene_in_type(facts, gene, type)
    findings = [
        replace(one, lead=f"First, whether they do: {one.lead[:1].lower()}{one.lead[1:]}")
        if i == 0 and one.lead
        else one
        for i, one in enumerate(premise.findings)
    ]
    said = {one.statement for one in findings}
    more = [one for one in role.findings if one.statement not in said]
    if more and not more[0].lead:
        more[0] = replace(more[0], lead="What the gene does")
    notes = dict.fromkeys((*premise.notes, *role.notes, _NO_REASON))
    return Found((*findings, *more), tuple(notes), premise.lacking)


_NO_REASON = "No loaded source states why a cell type expresses a gene."


def kinds_expressing(facts: Facts, type: Curie, gene: Curie) -> Found:
    """The kinds of a type, and the type itself, that a gene is listed as a marker of."""
    kinds = set(facts.graph.descendants(type))
    listed = [n for n in _marks(facts, gene) if n.term.id in kinds]
    if not listed:
        return none_found(
            f"no loaded release lists {facts.label(gene)} as a marker of a kind of "
            f"{facts.label(type)}; they hold marker lists, no measurements of expression"
        )
    shown = listed[: facts.shown]
    more = len(listed) - len(shown)
    notes = [f"{len(shown)} of {len(listed)} are named, best supported first."] if more else []
    return Found((fact(facts, gene, MARKER_OF, shown),), (*notes, _NO_MEASUREMENT))


def _of_relatives(facts: Facts, gene: Curie, type: Curie) -> list[Finding]:
    """Kinds and wider types of a type that a gene is listed as a marker of."""
    below, above = set(facts.graph.descendants(type)), set(facts.graph.ancestors(type))
    marks = _marks(facts, gene)
    findings = []
    for lead, ids in (("For kinds of it, as a marker", below), ("For wider types", above - below)):
        if chosen := [n for n in marks if n.term.id in ids][:5]:
            findings.append(fact(facts, gene, MARKER_OF, chosen, lead=lead))
    return findings


def marked_types(facts: Facts, gene: Curie) -> Found:
    """Which cell types a gene is listed as a marker of."""
    findings, notes = listed_types(facts, gene)
    if not findings:
        return none_found(f"no loaded release lists {facts.label(gene)} as a marker of a cell type")
    return Found(tuple(findings), tuple(notes))


def difference(facts: Facts, a: Curie, b: Curie) -> Found:
    """What distinguishes two types: markers of one and not of the other, differing axioms."""
    findings: list[Finding] = []
    sides = {one: _of(facts, one) for one in (a, b)}
    for this, other in ((a, b), (b, a)):
        theirs = {n.term.id for group in sides[other] for n in group}
        own = [n for n in sides[this][0] if n.term.id not in theirs][: facts.shown]
        if own:
            statement = Statement(
                Form.FACT,
                subject=this,
                predicate=MARKER_OF,
                objects=tuple(n.term.id for n in own),
                inverse=True,
                unlike=other,
            )
            findings.append(_with_other(facts, statement, [facts.edge(n.edges[0]) for n in own]))
    findings += _opposed(facts, a, b, sides)
    findings += _axioms(facts, a, unlike=b) + _axioms(facts, b, unlike=a)
    for one in (a, b):
        words = facts.words(one, "definition")
        if words is not None:
            statement = Statement(Form.DEFINED, subject=one, quotes=(words.text,))
            findings.append(Finding(statement, (words,)))
    if not any(f.statement.form is Form.FACT for f in findings):
        findings += related(facts, a, b).findings
    if not findings:
        return none_found(
            f"the loaded releases hold nothing that sets {facts.label(a)} apart from "
            f"{facts.label(b)}"
        )
    note = (
        "That a marker is not recorded for a type does not mean that the type lacks it."
        if any(f.statement.unlike for f in findings)
        else "No markers are listed that could be compared."
    )
    return Found(tuple(findings), (note,))


def _opposed(
    facts: Facts, a: Curie, b: Curie, sides: dict[Curie, tuple[list[Neighbour], list[Neighbour]]]
) -> list[Finding]:
    """Genes whose presence speaks for one type and whose absence for the other."""
    findings = []
    for this, other in ((a, b), (b, a)):
        absent = {n.term.id: n for n in sides[other][1]}
        both = [n for n in sides[this][0] if n.term.id in absent][: facts.shown]
        if both:
            findings.append(fact(facts, this, MARKER_OF, both, inverse=True))
            findings.append(_negative(facts, other, [absent[n.term.id] for n in both]))
    return findings
