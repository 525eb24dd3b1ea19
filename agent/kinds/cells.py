"""Questions about attached cells: what they are, why, what speaks against it, whether, where.

Statements about the cells are measurements of the file (:mod:`agent.attached.measures`), told as
such; the marker facts beside them are edges of the graph. What the annotation says is a prediction
and carries how good it was measured to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.attached import measures
from agent.attached.measurewords import ANNOTATED
from agent.attached.selection import ALL
from agent.attached.these import These, measured, share_of
from agent.facts import Facts, Finding, Found, none_found
from agent.kinds.expression import GROUPS, NO_CLUSTERS, is_higher
from agent.kinds.hierarchy import walk
from agent.verification.statement import Form, Statement
from agent.verification.wording import counted, join, many
from kg.terms import IS_A, MARKER_OF, Curie
from retrieval.evidence import EdgeEvidence, PredictionEvidence

if TYPE_CHECKING:
    from agent.annotation.result import MarkerEvidence

__all__ = [
    "against",
    "groups_of_type",
    "how_many",
    "how_many_clusters",
    "how_many_genes",
    "how_many_of",
    "how_many_patients",
    "how_many_samples",
    "is_marker_here",
    "malignant",
    "rarest",
    "state",
    "sure",
    "unanswered",
    "what",
    "whether",
    "why",
    "why_not",
]

MOST = 0.8
"""Share of the cells that an answer, with the kinds of it, must hold to be the answer of them all;
four in five is how most-frequent labels of clusters are commonly required to agree."""

ANSWERS, MARKERS = 5, 6  # how many of each an answer names

_PREDICTED = "An annotation is a prediction, not a fact: ask why, or what argues against it."


def what(facts: Facts, these: These) -> Found:
    """What the selected cells are."""
    rows = these.answers
    findings = _annotated(these)
    main = _agreed(these)
    if main and rows[0][0] != main and len(rows) > 1 and not _too_general(these, main):
        findings.insert(0, _main_finding(these, main, "Together"))
    notes = []
    if len(rows) > ANSWERS:
        rest = sum(n for _, n in rows[ANSWERS:])
        more = counted(len(rows) - ANSWERS, "more answer")
        notes.append(f"The other {rest:,} {'has' if rest == 1 else 'have'} {more}.")
    notes.append(_PREDICTED)
    return Found(tuple(findings), tuple(notes), warnings=these.cells.annotation.about.notices)


def rarest(facts: Facts, these: These) -> Found:
    """Which answers fewest of the selected cells have."""
    rows = [row for row in reversed(these.answers) if row[0]]
    if not rows:
        return none_found(f"none of the {these.words} has an answer that is sure enough")
    return Found(tuple(_counts(these, rows[:ANSWERS], "Rarest first")), (_PREDICTED,))


def _annotated(these: These, most: int = ANSWERS) -> list[Finding]:
    """How many of the cells have each answer."""
    return _counts(these, these.answers[:most])


def _counts(these: These, rows: Sequence[tuple[Curie, int]], lead: str = "") -> list[Finding]:
    """How many of the cells have each of these answers, in one sentence."""
    many = len(rows) > 1
    pieces = (measures.annotated(these.cells, i, these.selection, listed=many) for i, _ in rows)
    return [measured(*pieces, lead=lead)] if rows else []


def _open(these: These, type_: Curie) -> list[tuple[Curie, int]]:
    """Answers that leave a type open, with their cells: it, or a kind of it, is a kind of them."""
    below = {*these.cells.annotation.hierarchy.below(type_)}
    return [
        (one, n)
        for one, n in these.answers
        if one and one not in below and below & {*these.cells.annotation.hierarchy.below(one)}
    ]


def _agreed(these: These) -> Curie:
    """The deepest term that most of the cells are annotated as, or as a kind of; "" for none."""
    hierarchy = these.cells.annotation.hierarchy
    counts: dict[int, int] = {}
    for one, n in these.answers:
        for up in hierarchy.above[hierarchy.index(one)] if one else ():
            counts[int(up)] = counts.get(int(up), 0) + n
    known = these.cells.annotation.hierarchy.preference
    fitting = [place for place, n in counts.items() if n >= MOST * these.total]
    return hierarchy.ids[max(fitting, key=lambda place: known[place])] if fitting else ""


def _main(these: These) -> Curie:
    """The answer for the cells together, or that of most of them; "" where none has one."""
    return _agreed(these) or next((one for one, _ in these.answers if one), "")


def _main_finding(these: These, main: Curie, lead: str = "") -> Finding:
    exactly = next((n for one, n in these.answers if one == main), 0)
    make = measures.annotated if exactly >= MOST * these.total else measures.annotated_below
    return measured(make(these.cells, main, these.selection), lead=lead)


def _too_general(these: These, id: Curie) -> bool:
    """Whether a term says next to nothing of a cell: near the root, with half of all below it."""
    hierarchy = these.cells.annotation.hierarchy
    return bool(hierarchy.content[hierarchy.index(id)] < 1)  # 1 nat: more than e^-1 of all types


def why(facts: Facts, these: These) -> Found:
    """Which markers speak for the answer."""
    main = _main(these)
    if not main:
        return none_found(f"none of the {these.words} has an answer that is sure enough")
    place = these.cells.annotation.hierarchy.index(main)
    rows = these.cells.markers(place, these.selection)[0][:MARKERS]
    findings = [_main_finding(these, main), *_shares(these, rows)]
    findings += _edges(facts, main, [row.gene for row in rows])
    if rows:
        return Found(tuple(findings))
    lacking = "No marker of it is plainly more frequent in these cells than in the others."
    if not these.selection:
        lacking = (
            "All cells are meant, so that there are none to hold their markers against; select "
            "some, such as cells with leiden=3."
        )
    return Found(tuple(findings), (lacking,))


def _shares(these: These, rows: Sequence[MarkerEvidence], lead: str = "") -> list[Finding]:
    """In how many of the cells the genes are detected, in one sentence."""
    return _expressions(these, [row.gene for row in rows], lead)


def _expressions(these: These, genes: Sequence[str], lead: str = "") -> list[Finding]:
    if not genes:
        return []
    many = len(genes) > 1
    pieces = (
        measures.expression(these.cells, gene, these.selection, listed=many) for gene in genes
    )
    return [measured(*pieces, lead=lead)]


def _edges(
    facts: Facts, type_: Curie, genes: Sequence[str], *, negative: bool = False
) -> list[Finding]:
    """The graph's own statements that these genes mark the type, or one above or below it."""
    wanted = set(genes)
    near = {type_, *facts.graph.descendants(type_), *facts.graph.ancestors(type_)}
    found: dict[Curie, dict[Curie, EdgeEvidence]] = {}
    for target in sorted(near, key=lambda one: (one != type_, one)):
        if not wanted:
            break
        edges = facts.graph.edges(target, direction="in", predicates=(MARKER_OF,))
        facts.names.load(edge.subject for edge in edges)
        for edge in edges:
            label = facts.names.label(edge.subject)
            fits = not edge.negated and ("negative" in edge.qualifiers) is negative
            if fits and label in wanted:
                found.setdefault(target, {}).setdefault(edge.subject, facts.edge(edge))
        wanted -= {facts.names.label(gene) for gene in found.get(target, ())}
    return [
        Finding(
            Statement(
                Form.FACT, subject=target, predicate=MARKER_OF, objects=tuple(pieces),
                inverse=True, qualifier="negative" if negative else "",
            ),
            tuple(pieces.values()),
        )
        for target, pieces in found.items()
    ]  # fmt: skip


def against(facts: Facts, these: These) -> Found:
    """Which markers speak against the answer."""
    main = _main(these)
    if not main:
        return none_found(f"none of the {these.words} has an answer that is sure enough")
    place = these.cells.annotation.hierarchy.index(main)
    rows = these.cells.markers(place, these.selection)[1]
    missing = [row for row in rows if row.role == "missing"][:MARKERS]
    unexpected = [row for row in rows if row.role != "missing"][:MARKERS]
    findings = [_main_finding(these, main)]
    findings += _shares(these, unexpected, "Not expected, and there")
    findings += _edges(facts, main, [row.gene for row in unexpected], negative=True)
    findings += _shares(these, missing, "Expected, and no more frequent there than elsewhere")
    findings += _edges(facts, main, [row.gene for row in missing])
    label = these.cells.annotation.hierarchy.labels[place]
    notes = () if rows else (f"No marker gene of the dataset argues against {label}.",)
    return Found(tuple(findings), notes)


def sure(facts: Facts, these: These) -> Found:
    """How sure the answer is."""
    note = (
        "The confidence is the calibrated probability that the answer is the true type, one above "
        "it or one below it; on datasets unlike those it was fitted on it is off by .11 to .21 on "
        "average (docs/models/annotation.md)."
    )
    return Found(tuple(_annotated(these, 3)), (note,))


def how_many(facts: Facts, these: These) -> Found:
    """How many cells are selected."""
    return Found((measured(measures.size(these.cells, these.selection)),))


def _grouped(these: These, what: str, names: frozenset[str]) -> Found:
    """How many values the one column has, among the cells, whose name says that it is of these."""
    import re

    columns = [name for name in these.cells.columns if name != ANNOTATED]
    fitting = []
    for name in columns:
        words = set(re.findall("[a-z]+", name.lower()))
        if words & names and words <= names | _BESIDE:
            fitting.append(name)
    if len(fitting) != 1:
        some = "more than one column fits" if fitting else f"no column of the file is of {what}"
        return none_found(f"{some}; its columns are {', '.join(columns) or 'none'}")
    chosen = these.cells.column(fitting[0])[these.cells.mask(these.selection)].dropna()
    values = sorted(set(chosen.astype(str)))
    lead = f"{len(values):,} value{'s' * (len(values) != 1)} of {fitting[0]}"
    listed = ", ".join(values[:VALUES]) + (", …" if len(values) > VALUES else "")
    found = measured(measures.size(these.cells, these.selection), lead=lead)
    return Found((found,), (f"The values are: {listed}.",) if values else ())


VALUES = 20  # of a column, named
_BESIDE = frozenset({"id", "ids", "name", "orig", "original", "seurat", "res", "label", "labels"})
"""Words that stand in the name of a column beside what it is of: seurat_clusters, donor_id."""


def how_many_clusters(facts: Facts, these: These) -> Found:
    """How many clusters the file's column of them has."""
    words = frozenset({"leiden", "louvain", "cluster", "clusters"})
    return _grouped(these, "clusters", words)


def how_many_samples(facts: Facts, these: These) -> Found:
    """How many samples the cells are of."""
    return _grouped(these, "samples", frozenset({"sample", "samples"}))


def how_many_patients(facts: Facts, these: These) -> Found:
    """How many patients or donors the cells are of."""
    return _grouped(
        these, "patients or donors", frozenset({"patient", "patients", "donor", "donors"})
    )


def how_many_genes(facts: Facts, these: These) -> Found:
    """How many genes the file has."""
    lead = f"{many(these.cells.cells.n_genes, 'gene')} in the file"
    return Found((measured(measures.size(these.cells, ALL), lead=lead),))


def unanswered(facts: Facts, these: These) -> Found:
    """How many of the cells have no answer that is sure enough."""
    return Found((measured(measures.annotated(these.cells, "", these.selection)),))


def malignant(facts: Facts, these: These) -> Found:
    """What the annotation can say on malignancy, which is that it does not call it."""
    findings = _annotated(these)
    notes = (
        "Whether a cell is malignant is not called here: cells are compared with the markers of "
        "normal types, and a malignant cell is named as the type that it resembles. Copy-number "
        "changes inferred from expression, or known mutations, would tell.",
    )
    first = [replace(one, lead="By the type they resemble") for one in findings[:1]]
    return Found((*first, *findings[1:]), notes)


def state(facts: Facts, these: These) -> Found:
    """Why no state of the cells is told, and what near it can be asked."""
    return none_found(
        "whether cells are in a state (exhausted, activated, dividing, dying) is not called here: "
        "cells are compared with the markers of types. A type that is named for a state can be "
        "asked for (are these exhausted T cells?), and so can a gene that speaks for one (is "
        "PDCD1 higher in these cells?)"
    )


def is_marker_here(facts: Facts, these: These, gene: Curie) -> Found:
    """Whether a gene is higher in the cells than elsewhere, and a marker of what they are."""
    found = is_higher(facts, these, gene)
    main = _main(these)
    if not found.findings or not main:
        return found
    lead = {"Yes": "Yes, by these cells", "No": "No, not by these cells"}
    first = found.findings[0]
    findings = [replace(first, lead=lead.get(first.lead, first.lead)), _main_finding(these, main)]
    below = {main, *facts.graph.descendants(main)}  # a wider class has the markers of others too
    for negative in (False, True):
        rows = _edges(facts, main, [facts.names.label(gene)], negative=negative)
        findings += [row for row in rows if row.statement.subject in below]
    notes = found.notes
    if len(findings) == 2:
        notes = (
            *notes,
            f"No loaded source lists {facts.names.label(gene)} as a marker of "
            f"{facts.names.label(main)} or of a kind of it.",
        )
    return Found(tuple(findings), notes)


def whether(facts: Facts, these: These, type_: Curie) -> Found:
    """Whether the selected cells are of a type."""
    if type_ not in these.cells.annotation.hierarchy:
        return none_found(f"{facts.label(type_)} is no type that cells are annotated with")
    piece = measures.annotated_below(these.cells, type_, these.selection)
    share = share_of(piece)
    unsettled = _open(these, type_)
    stopped = sum(n for _, n in unsettled)
    lead = "Yes" if share >= 0.9 else "Mostly" if share >= 0.5 else "Some" if share else "No"
    if not share and 2 * stopped >= these.total:
        lead = "Not resolved" if stopped == these.total else "Mostly not resolved"
    findings = [measured(piece, lead=lead)]
    if share < 1:
        rows = these.answers[:3]
        findings += _counts(these, rows + [one for one in unsettled[:3] if one not in rows])
    notes = (*_may_be(facts, these, type_, unsettled), _PREDICTED)
    return Found(tuple(findings), notes)


def _may_be(
    facts: Facts, these: These, type_: Curie, unsettled: Sequence[tuple[Curie, int]]
) -> list[str]:
    """How many cells stopped at an ancestor of a type, or at a type that kinds of it are too."""
    hierarchy, label = these.cells.annotation.hierarchy, facts.names.label(type_)
    above = [row for row in unsettled if type_ in hierarchy.below(row[0])]
    across = [row for row in unsettled if row not in above]
    notes = []
    for rows, why in (
        (above, f"of which {label} is a kind"),
        (across, f"as some kinds of {label} are"),
    ):
        n = sum(n for _, n in rows)
        names = [facts.names.label(one) for one, _ in rows[:3]]
        names += ["others"] if len(rows) > 3 else []
        count = f"All {n:,}" if n == these.total else f"{n:,} of the {these.total:,}"
        if rows:
            notes.append(
                f"{count} {these.words} {'is' if n == 1 else 'are'} annotated as "
                f"{' or '.join(names)}, {why}, and may still be it."
            )
    return notes


def how_many_of(facts: Facts, these: These, type_: Curie) -> Found:
    """How many of the selected cells are of a type, and how many stopped above it."""
    found = whether(facts, these, type_)
    first = [replace(one, lead="") for one in found.findings[:1]]
    if first:
        first += _counts(these, _open(these, type_)[:3])
    return replace(found, findings=tuple(first))


def groups_of_type(facts: Facts, these: These, type_: Curie, *, by: str = "share") -> Found:
    """In which clusters the cells of a type are, the highest share (or most ``cells``) first."""
    if type_ not in these.cells.annotation.hierarchy:
        return none_found(f"{facts.label(type_)} is no type that cells are annotated with")
    column = these.clusters
    if not column:
        return none_found(NO_CLUSTERS)
    values = sorted(set(these.cells.column(column).astype(str)))
    pieces = [measures.below_by_group(these.cells, type_, column, value) for value in values]
    pieces = [piece for piece in pieces if share_of(piece)]
    if not pieces:
        return whether(facts, replace(these, selection=ALL), type_)

    def rank(piece: PredictionEvidence) -> tuple[float, str]:
        worth = share_of(piece) if by == "share" else dict(piece.figures)[by]
        return (-worth, piece.selection)

    pieces.sort(key=rank)
    lead = "" if by == "share" else "Most first"
    return Found((measured(*pieces[:GROUPS], lead=lead),), (_PREDICTED,))


def _listed(facts: Facts, these: These, type_: Curie) -> tuple[list[str], list[str]]:
    """The markers that the graph lists of a type, best supported first: here, and not measured."""
    edges = [
        edge
        for edge in facts.graph.edges(type_, direction="in", predicates=(MARKER_OF,))
        if not edge.negated and "negative" not in edge.qualifiers and edge.weight is not None
    ]
    edges.sort(key=lambda edge: (-(edge.weight or 0), edge.subject))
    facts.names.load(edge.subject for edge in edges)
    genes = dict.fromkeys(edge.subject for edge in edges)
    symbols = {gene: these.cells.symbol(facts.names.label(gene)) for gene in genes}
    absent = [
        facts.names.label(gene)
        for gene, symbol in symbols.items()
        if symbol is None and _taxon(facts, gene) in (None, facts.organism)
    ]
    return list(dict.fromkeys(filter(None, symbols.values()))), absent


def _taxon(facts: Facts, gene: Curie) -> Curie | None:
    term = facts.names.term(gene)
    return term.taxon if term else None


def _not_measured(facts: Facts, these: These, type_: Curie, genes: Sequence[str]) -> list[str]:
    """Say which of a type's best markers the file has no value of."""
    if not genes:
        return []
    named, more = join(genes[:MARKERS]), len(genes) - MARKERS
    rest = f" and {more} more" if more > 0 else ""
    return [
        f"Not in {these.cells.name}: {named}{rest}, listed as markers of "
        f"{facts.names.label(type_)}; what was not measured speaks neither for nor against it."
    ]


def why_not(facts: Facts, these: These, type_: Curie) -> Found:
    """Why the cells were not called a type: what its markers do in them."""
    found = whether(facts, these, type_)
    if not found.findings:
        return found
    share = next(piece for piece in found.findings[0].evidence)
    holds = isinstance(share, PredictionEvidence) and share_of(share) >= 0.5
    findings = [replace(found.findings[0], lead="But they are" if holds else "")]
    place = these.cells.annotation.hierarchy.index(type_)
    supporting, speaking = these.cells.markers(place, these.selection)
    rows = supporting if holds else speaking
    unexpected = [row.gene for row in rows if row.role == "unexpected"][:MARKERS]
    there = [row.gene for row in rows if row.role != "unexpected"][:MARKERS]
    listed, absent = _listed(facts, these, type_)
    if not holds:
        known = {row.gene for row in supporting} | set(there)
        there += [gene for gene in listed if gene not in known]
        there = there[:MARKERS]
    findings += _expressions(these, there, "" if holds else "Its markers")
    findings += _edges(facts, type_, there)
    findings += _expressions(these, unexpected, "Not expected of it, and there")
    findings += _edges(facts, type_, unexpected, negative=True)
    main = _main(these)
    if main and main != type_:
        if not holds:
            findings.append(_main_finding(these, main, "What they are called instead"))
        if up := facts.climb(main, type_, (IS_A,)):
            findings.append(walk(facts, up, "Their answer is a kind of it"))
    notes = (*_not_measured(facts, these, type_, absent), *found.notes)
    if not there and not unexpected:
        notes = (f"No listed marker of {facts.label(type_)} is a gene of the dataset.", *notes)
    return Found(tuple(findings), notes)
