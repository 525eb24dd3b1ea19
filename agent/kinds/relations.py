"""Questions across categories: how any two terms relate, counts, comparisons, regulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agent.facts import Facts, Finding, Found, none_found
from agent.kinds import genes, hierarchy, terms
from agent.kinds.genes import fact
from agent.verification.statement import Form, Statement
from kg.terms import (
    CAPABLE_OF,
    GENE_DISEASE,
    INTERACTS_WITH,
    INVOLVED_IN,
    IS_A,
    IS_A_OR_PART_OF,
    MARKER_OF,
    MENTIONS,
    NEGATIVELY_REGULATES,
    ORTHOLOGOUS_TO,
    POSITIVELY_REGULATES,
    REGULATES,
    Category,
    Curie,
)
from retrieval.evidence import Evidence

__all__ = [
    "capabilities",
    "capable",
    "compare_markers",
    "compare_subtypes",
    "count_genes",
    "count_markers",
    "count_processes",
    "count_subtypes",
    "count_supertypes",
    "genes_regulating",
    "holds",
    "negative_regulators",
    "positive_regulators",
    "regulated",
    "regulators",
    "related",
    "same",
]

_REGULATION = (POSITIVELY_REGULATES, NEGATIVELY_REGULATES, REGULATES)
_ANNOTATED = frozenset({Category.PROCESS, Category.FUNCTION, Category.COMPONENT, Category.DISEASE})


def related(facts: Facts, a: Curie, b: Curie) -> Found:
    """How two terms are related, by what kind of thing each is."""
    left, right = facts.names.category(a), facts.names.category(b)
    if Category.GENE not in (left, right):
        if left == right:
            return hierarchy.related(facts, a, b)
        return holds(facts, a, b)
    gene, other = (a, b) if left is Category.GENE else (b, a)
    category = facts.names.category(other)
    if category is Category.GENE:
        return _two_genes(facts, a, b)
    if category is Category.CELL_TYPE:
        return genes.gene_in_type(facts, gene, other)
    found = genes.annotated(facts, gene, other)
    # "How is A related to B" is no yes-no question.
    plain = [replace(f, lead="") if f.lead.startswith("Yes") else f for f in found.findings]
    return replace(found, findings=tuple(plain))


def same(facts: Facts, a: Curie, b: Curie) -> Found:
    """Whether two names are names of one term; of two, what they are to each other."""
    if a != b:
        found = related(facts, a, b)
        note = f"{facts.label(a)} and {facts.label(b)} are two terms of the loaded releases."
        if not found.findings:
            return none_found(f"{note[0].lower()}{note[1:-1]}; {found.lacking}")
        first = replace(found.findings[0], lead="No, they are two")
        return replace(found, findings=(first, *found.findings[1:]), notes=(*found.notes, note))
    found = terms.names(facts, a)
    if not found.findings:
        return found
    term = facts.names.term(a)
    every = tuple(dict.fromkeys(s.text for s in term.synonyms)) if term else ()
    statement = replace(found.findings[0].statement, quotes=every[: 2 * facts.shown])
    first = replace(found.findings[0], statement=statement, lead="Yes, one term has both names")
    return replace(found, findings=(first, *found.findings[1:]))


def _two_genes(facts: Facts, a: Curie, b: Curie) -> Found:
    direct = holds(facts, a, b)
    findings = list(direct.findings)
    left, _ = facts.around(a, genes.FUNCTIONS, "out", limit=500)
    right, _ = facts.around(b, genes.FUNCTIONS, "out", limit=500)
    theirs = {(n.predicate, n.term.id): n for n in right}
    shared = [n for n in left if (n.predicate, n.term.id) in theirs]
    for predicate in dict.fromkeys(n.predicate for n in shared[: facts.shown]):
        rows = [n for n in shared[: facts.shown] if n.predicate == predicate]
        findings.append(fact(facts, a, predicate, rows))
        findings.append(fact(facts, b, predicate, [theirs[predicate, n.term.id] for n in rows]))
    if not findings:
        return none_found(
            f"the loaded releases record no interaction between {facts.label(a)} and "
            f"{facts.label(b)}, and no term that both are annotated to"
        )
    return Found(tuple(findings))


def holds(facts: Facts, a: Curie, b: Curie) -> Found:
    """Which recorded relations join two terms directly, in either direction."""
    findings: list[Finding] = []
    for subject, target in ((a, b), (b, a)):
        rows = facts.graph.edges_between(subject, target)
        for predicate in dict.fromkeys(row.predicate for row in rows):
            symmetric = predicate in (INTERACTS_WITH, ORTHOLOGOUS_TO)
            if symmetric and any(f.statement.predicate == predicate for f in findings):
                continue
            for negated in (False, True):
                same = [r for r in rows if r.predicate == predicate and r.negated == negated]
                positive = [r for r in same if "negative" not in r.qualifiers]
                for group in (positive, [r for r in same if r not in positive]):
                    if group:
                        qualifier = "" if group is positive else "negative"
                        statement = Statement(
                            Form.FACT,
                            subject=subject,
                            predicate=predicate,
                            objects=(target,),
                            negated=negated,
                            qualifier=qualifier,
                        )
                        evidence = tuple(facts.edge(row) for row in group[:3])
                        findings.append(Finding(statement, evidence))
    if not findings:
        return none_found(
            f"no loaded release relates {facts.label(a)} and {facts.label(b)} directly"
        )
    return Found(tuple(findings))


def _total(
    facts: Facts, a: Curie, predicates: Sequence[Curie], *, inverse: bool, lacking: str
) -> Found:
    for predicate in predicates:
        edges = [
            edge
            for edge in facts.graph.edges(
                a, direction="in" if inverse else "out", predicates=(predicate,)
            )
            if not edge.negated and "negative" not in edge.qualifiers
        ]
        others = {edge.subject if inverse else edge.object for edge in edges}
        if others:
            statement = Statement(
                Form.TOTAL, subject=a, predicate=predicate, inverse=inverse, numbers=(len(others),)
            )
            cited = edges if len(others) <= facts.shown else edges[:3]
            notes = () if cited is edges else (f"Three of the {len(others)} are cited.",)
            return Found((Finding(statement, tuple(map(facts.edge, cited))),), notes)
    return none_found(lacking)


def count_subtypes(facts: Facts, a: Curie) -> Found:
    """How many direct kinds a term has."""
    lacking = f"{facts.label(a)} has no kinds of its own in the loaded releases"
    return _total(facts, a, (IS_A, IS_A_OR_PART_OF), inverse=True, lacking=lacking)


def count_supertypes(facts: Facts, a: Curie) -> Found:
    """How many direct parents a term has."""
    lacking = f"{facts.label(a)} has no parent in the loaded releases"
    return _total(facts, a, (IS_A, IS_A_OR_PART_OF), inverse=False, lacking=lacking)


def count_markers(facts: Facts, a: Curie) -> Found:
    """How many markers are listed for a type."""
    lacking = f"no loaded release lists markers of {facts.label(a)}"
    return _total(facts, a, (MARKER_OF,), inverse=True, lacking=lacking)


def count_genes(facts: Facts, a: Curie) -> Found:
    """How many genes are annotated to a term."""
    category = facts.names.category(a)
    if category is Category.CELL_TYPE:
        return count_markers(facts, a)
    lacking = f"no loaded release annotates a gene to {facts.label(a)} itself"
    chosen = (*genes.FUNCTIONS, GENE_DISEASE)
    return _total(facts, a, chosen, inverse=True, lacking=lacking)


def count_processes(facts: Facts, a: Curie) -> Found:
    """How many biological processes a gene is annotated to."""
    lacking = f"no loaded release annotates {facts.label(a)} to a process"
    return _total(facts, a, (INVOLVED_IN,), inverse=False, lacking=lacking)


def _compared(facts: Facts, a: Curie, b: Curie, predicate: Curie) -> Found:
    counts = {}
    evidence: list[Evidence] = []
    for node in (a, b):
        edges = [
            edge
            for edge in facts.graph.edges(node, direction="in", predicates=(predicate,))
            if not edge.negated and "negative" not in edge.qualifiers
        ]
        counts[node] = len({edge.subject for edge in edges})
        evidence += [facts.edge(edge) for edge in edges[:2]] or [
            piece for piece in (facts.words(node),) if piece
        ]
    if not any(counts.values()):
        return none_found(
            f"the loaded releases count none for {facts.label(a)} and none for {facts.label(b)}"
        )
    first, second = sorted((a, b), key=lambda one: (-counts[one], one != a))
    statement = Statement(
        Form.COMPARED,
        subject=first,
        predicate=predicate,
        objects=(second,),
        inverse=True,
        numbers=(counts[first], counts[second]),
    )
    return Found((Finding(statement, tuple(evidence)),))


def compare_subtypes(facts: Facts, a: Curie, b: Curie) -> Found:
    """Which of two terms has more direct kinds."""
    return _compared(facts, a, b, IS_A)


def compare_markers(facts: Facts, a: Curie, b: Curie) -> Found:
    """Which of two types has more listed markers."""
    return _compared(facts, a, b, MARKER_OF)


def _all(
    facts: Facts, a: Curie, predicates: Sequence[Curie], *, inverse: bool, lacking: str
) -> Found:
    findings: list[Finding] = []
    notes: list[str] = []
    for predicate in predicates:
        more, further = genes.neighbours_by(facts, a, predicate, inverse=inverse)
        findings += more
        notes += further
    return Found(tuple(findings), tuple(notes)) if findings else none_found(lacking)


def regulators(facts: Facts, a: Curie) -> Found:
    """Which processes regulate a process."""
    lacking = f"no loaded release names a process that regulates {facts.label(a)}"
    return _all(facts, a, _REGULATION, inverse=True, lacking=lacking)


def negative_regulators(facts: Facts, a: Curie) -> Found:
    """Which processes regulate a process negatively."""
    lacking = f"no loaded release names a process that negatively regulates {facts.label(a)}"
    return _all(facts, a, (NEGATIVELY_REGULATES,), inverse=True, lacking=lacking)


def positive_regulators(facts: Facts, a: Curie) -> Found:
    """Which processes regulate a process positively."""
    lacking = f"no loaded release names a process that positively regulates {facts.label(a)}"
    return _all(facts, a, (POSITIVELY_REGULATES,), inverse=True, lacking=lacking)


def genes_regulating(facts: Facts, a: Curie) -> Found:
    """Which genes are annotated to the processes that regulate a process."""
    findings: list[Finding] = []
    notes: list[str] = []
    for predicate in _REGULATION:
        edges = facts.graph.edges(a, direction="in", predicates=(predicate,))
        for edge in edges[:2]:
            more, further = genes.neighbours_by(
                facts, edge.subject, INVOLVED_IN, inverse=True, categories=(Category.GENE,)
            )
            if more:
                link = Statement(Form.FACT, subject=edge.subject, predicate=predicate, objects=(a,))
                findings += [Finding(link, (facts.edge(edge),)), *more]
                notes += further
    if not findings:
        return none_found(
            f"no loaded release annotates a gene to the regulation of {facts.label(a)}"
        )
    return Found(tuple(findings), tuple(notes))


def regulated(facts: Facts, a: Curie) -> Found:
    """Which processes a process regulates."""
    lacking = f"no loaded release names a process that {facts.label(a)} regulates"
    return _all(facts, a, _REGULATION, inverse=False, lacking=lacking)


def capabilities(facts: Facts, a: Curie) -> Found:
    """What a cell type is capable of, or which processes name it."""
    found = _all(facts, a, (CAPABLE_OF,), inverse=False, lacking="")
    if found.findings:
        return found
    said = terms.definition(facts, a).findings if facts.words(a, "definition") else ()
    named = genes.neighbours_by(
        facts, a, MENTIONS, inverse=True, categories=(Category.PROCESS, Category.FUNCTION)
    )
    if said or named[0]:
        notes = ["No loaded release states capabilities of this type as such."]
        if named[0]:
            notes.append("A process is named for its name, which contains the type's.")
        return Found((*said, *named[0]), (*named[1], *notes))
    return none_found(
        f"no loaded release says what {facts.label(a)} is capable of; the full Cell Ontology "
        "(`celloquy data fetch cl-obo`) has such statements"
    )


def capable(facts: Facts, a: Curie) -> Found:
    """Which cell types are capable of a process, or are named by it."""
    found = _all(facts, a, (CAPABLE_OF,), inverse=True, lacking="")
    if found.findings:
        return found
    named = _all(facts, a, (MENTIONS,), inverse=False, lacking="")
    if named.findings:
        note = "This is a link by name alone: the process names the cell type."
        return Found(named.findings, (*named.notes, note))
    return none_found(f"no loaded release ties a cell type to {facts.label(a)}")
