"""Questions about markers: genes that mark a type, types a gene marks, what sets two apart."""

from __future__ import annotations

from agent.facts import Facts, Finding, Found, none_found
from agent.kinds.genes import fact
from agent.kinds.hierarchy import related
from agent.statement import Form, Statement
from kg.neighbours import Neighbour
from kg.terms import (
    CAPABLE_OF,
    HAS_HIGH_PLASMA_MEMBRANE_AMOUNT,
    HAS_LOW_PLASMA_MEMBRANE_AMOUNT,
    HAS_PLASMA_MEMBRANE_PART,
    IS_A,
    LACKS_PART,
    LACKS_PLASMA_MEMBRANE_PART,
    MARKER_OF,
    Category,
    Curie,
)
from retrieval.evidence import Evidence

__all__ = ["difference", "is_marker", "marked_types", "markers"]

_AXIOMS = (
    HAS_PLASMA_MEMBRANE_PART,
    LACKS_PLASMA_MEMBRANE_PART,
    HAS_HIGH_PLASMA_MEMBRANE_AMOUNT,
    HAS_LOW_PLASMA_MEMBRANE_AMOUNT,
    LACKS_PART,
    CAPABLE_OF,
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
    findings += _axioms(facts, a)
    if findings:
        return Found(tuple(findings), tuple(notes))
    for up in facts.graph.edges(a, direction="out", predicates=(IS_A,)):
        above, _ = _of(facts, up.object)
        if above:
            finding = fact(facts, up.object, MARKER_OF, above[: facts.shown], inverse=True)
            link = Statement(Form.FACT, subject=a, predicate=IS_A, objects=(up.object,))
            note = (
                f"No marker is listed for {facts.label(a)} itself; these are those of the class "
                "it belongs to, and need not hold for each of its kinds."
            )
            return Found((Finding(link, (facts.edge(up),)), finding), (note,))
    return none_found(f"no loaded release lists markers of {facts.label(a)}")


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
    edges = [e for e in facts.graph.edges_between(gene, type) if e.predicate == MARKER_OF]
    findings: list[Finding] = []
    for qualifier, lead in (("", "Yes"), ("negative", "No, its absence speaks for the type")):
        rows = [e for e in edges if ("negative" in e.qualifiers) == bool(qualifier)]
        if rows:
            statement = Statement(
                Form.FACT, subject=gene, predicate=MARKER_OF, objects=(type,), qualifier=qualifier
            )
            findings.append(Finding(statement, tuple(facts.edge(e) for e in rows[:3]), lead))
    if findings:
        return Found(tuple(findings))
    around = set(facts.graph.ancestors(type)) | set(facts.graph.descendants(type))
    found, _ = facts.around(gene, (MARKER_OF,), "out", categories=(Category.CELL_TYPE,), limit=200)
    near = [n for n in found if n.term.id in around]
    absent = Statement(Form.NOT_FOUND, subject=gene, predicate=MARKER_OF, objects=(type,))
    words = [w for node in (gene, type) if (w := facts.words(node)) is not None]
    findings = [Finding(absent, tuple(words), "Not listed as one")]
    if near:
        findings.append(fact(facts, gene, MARKER_OF, near[: facts.shown]))
    elif found:
        findings.append(fact(facts, gene, MARKER_OF, found[: facts.shown]))
    note = "That a marker is not listed does not mean that the gene is not expressed."
    return Found(tuple(findings), (note,))


def marked_types(facts: Facts, gene: Curie) -> Found:
    """Which cell types a gene is listed as a marker of."""
    found, total = facts.around(gene, (MARKER_OF,), "out", categories=(Category.CELL_TYPE,))
    if not found:
        return none_found(f"no loaded release lists {facts.label(gene)} as a marker of a cell type")
    notes = () if total <= len(found) else (f"{len(found)} of {total} cell types are named.",)
    return Found((fact(facts, gene, MARKER_OF, found),), notes)


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
