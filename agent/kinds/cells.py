"""Questions about attached cells: what they are, why, what speaks against it, what differs.

Statements about the cells are measurements of the file (:mod:`agent.measures`), told as such; the
marker facts beside them are edges of the graph. What the annotation says is a prediction and
carries how good it was measured to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent import measures
from agent.annotation import UNKNOWN_LABEL
from agent.facts import Facts, Finding, Found, none_found
from agent.kinds.hierarchy import walk
from agent.selection import ALL
from agent.statement import Form, Statement
from kg.terms import IS_A, MARKER_OF, Curie
from retrieval.evidence import CellsEvidence, EdgeEvidence, PredictionEvidence

if TYPE_CHECKING:
    from agent.annotation import MarkerEvidence
    from agent.cells import AttachedCells

__all__ = [
    "CLUSTERS",
    "These",
    "against",
    "compare",
    "expressed",
    "expressing_groups",
    "expressing_types",
    "groups_of_type",
    "how_many",
    "is_higher",
    "is_lower",
    "lower_genes",
    "share_expressing",
    "sure",
    "top_genes",
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


@dataclass(frozen=True, eq=False)
class These:
    """The cells that a question means: a selection of a dataset, and what it is held against."""

    cells: AttachedCells
    selection: str = ALL
    against: str = ALL

    @property
    def words(self) -> str:
        """The selection in words."""
        return measures.cells_of(self.selection)

    @property
    def answers(self) -> list[tuple[Curie, int]]:
        """Each answer and how many of the cells have it, most first; "" for none."""
        ids = self.cells.annotation.hierarchy.ids
        return [(ids[p] if p >= 0 else "", n) for p, n, _ in self.cells.answers(self.selection)]

    @property
    def total(self) -> int:
        """How many cells are meant."""
        return self.cells.size(self.selection)


def _measured(*evidence: CellsEvidence | PredictionEvidence, lead: str = "") -> Finding:
    quotes = tuple(piece.text for piece in evidence)
    return Finding(Statement(Form.MEASURED, quotes=quotes), evidence, lead)


def _annotated(these: These, most: int = ANSWERS) -> list[Finding]:
    """How many of the cells have each answer."""
    rows = these.answers[:most]
    many = len(rows) > 1
    pieces = (measures.annotated(these.cells, i, these.selection, listed=many) for i, _ in rows)
    return [_measured(*pieces)]


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
    return _measured(make(these.cells, main, these.selection), lead=lead)


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
        notes.append(f"The other {rest:,} have {len(rows) - ANSWERS} more answers.")
    notes.append(_PREDICTED)
    return Found(tuple(findings), tuple(notes), warnings=these.cells.annotation.about.notices)


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
    return [_measured(*pieces, lead=lead)]


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


def top_genes(facts: Facts, these: These) -> Found:
    """Which genes are higher in the selection than elsewhere."""
    return _differing(these, lower=False)


def lower_genes(facts: Facts, these: These) -> Found:
    """Which genes are lower in the selection than elsewhere."""
    return _differing(these, lower=True)


_ALL_MEANT = "all cells are meant and there are no others; select some, such as leiden=3"


def _differing(these: These, *, lower: bool) -> Found:
    if not these.cells.rest(these.selection, these.against).any():
        return none_found(_ALL_MEANT)
    found = measures.differences(these.cells, these.selection, these.against, lower=lower)
    if not found:
        way = "lower" if lower else "higher"
        return none_found(
            f"no gene is clearly {way} in the {these.words} (AUROC {measures.LEAST_AUROC} or more)"
        )
    return Found((_measured(*found),), (_EFFECTS,))


_EFFECTS = (
    "AUROC is the chance that a cell of the first has more of the gene than one of the second; no "
    "test of significance is made."
)


def compare(facts: Facts, these: These) -> Found:
    """What differs between the selection and another one, or all other cells."""
    cells, here, there = these.cells, these.selection, these.against
    if not cells.rest(here, there).any():
        return none_found(_ALL_MEANT)
    higher = measures.differences(cells, here, there)
    if there:
        back = measures.differences(cells, there, here)
    else:
        back = measures.differences(cells, here, lower=True)
    findings = [_measured(*pieces) for pieces in (higher, back) if pieces]
    notes = [_EFFECTS] if findings else ["No gene separates the two clearly."]
    if shown := _contrasted(these):
        findings.append(_measured(*shown))
    overlap = int((cells.mask(here) & cells.rest(here, there)).sum())
    if overlap:
        notes.append(f"{overlap:,} cells are in both selections.")
    return Found(tuple(findings), tuple(notes))


def _contrasted(these: These) -> list[PredictionEvidence]:
    """The answers whose share differs most between the two."""
    ids = {one for one, _ in these.answers if one}
    other = these.cells.annotation.ids()[these.cells.rest(these.selection, these.against)]
    ids |= {str(one) for one in set(other) if one != UNKNOWN_LABEL}
    made = [
        measures.contrasted(these.cells, one, these.selection, these.against) for one in sorted(ids)
    ]

    def gap(piece: PredictionEvidence) -> float:
        f = dict(piece.figures)
        return abs(f["cells"] / max(1, f["of"]) - f["cells_outside"] / max(1, f["of_outside"]))

    made.sort(key=lambda piece: (-gap(piece), piece.subject))
    return [piece for piece in made[:ANSWERS] if gap(piece) > 0]


def expressed(facts: Facts, these: These, gene: Curie) -> Found:
    """Whether a gene is detected in the cells."""
    symbol = these.cells.symbol(facts.names.label(gene))
    if symbol is None:
        return _no_gene(facts, these, gene)
    piece = measures.expression(these.cells, symbol, these.selection, these.against)
    lead = _how_many(piece.value)
    return Found((_measured(piece, lead=lead),))


def share_expressing(facts: Facts, these: These, gene: Curie) -> Found:
    """In how many of the cells a gene is detected."""
    found = expressed(facts, these, gene)
    return replace(found, findings=tuple(replace(one, lead="") for one in found.findings))


def is_higher(facts: Facts, these: These, gene: Curie) -> Found:
    """Whether a gene is higher in the cells than in others."""
    return _is_different(facts, these, gene, sign=1)


def is_lower(facts: Facts, these: These, gene: Curie) -> Found:
    """Whether a gene is lower in the cells than in others."""
    return _is_different(facts, these, gene, sign=-1)


def _is_different(facts: Facts, these: These, gene: Curie, *, sign: int) -> Found:
    symbol = these.cells.symbol(facts.names.label(gene))
    if symbol is None:
        return _no_gene(facts, these, gene)
    if not these.cells.rest(these.selection, these.against).any():
        return none_found(_ALL_MEANT)
    piece = measures.difference(these.cells, symbol, these.selection, these.against)
    gap = sign * (piece.value - 0.5)
    clear = measures.LEAST_AUROC - 0.5
    lead = "Yes" if gap >= clear else "A little" if gap > 0 else "No"
    return Found((_measured(piece, lead=lead),), (_EFFECTS,))


def groups_of_type(facts: Facts, these: These, type_: Curie) -> Found:
    """In which clusters the cells of a type are, the highest share first."""
    if type_ not in these.cells.annotation.hierarchy:
        return none_found(f"{facts.label(type_)} is no type that cells are annotated with")
    column = _cluster_column(these)
    if not column:
        return none_found(_NO_CLUSTERS)
    values = sorted(set(these.cells.column(column).astype(str)))
    pieces = [measures.below_by_group(these.cells, type_, column, value) for value in values]
    pieces = [piece for piece in pieces if _share_of(piece)]
    pieces.sort(key=lambda piece: (-_share_of(piece), piece.selection))
    if not pieces:
        return whether(facts, replace(these, selection=ALL), type_)
    return Found((_measured(*pieces[:GROUPS]),), (_PREDICTED,))


def _how_many(share: float) -> str:
    """Words for a share of cells in which a gene is detected."""
    if share >= 0.5:
        return "Yes"
    return "In some of them" if share >= 0.1 else "In few of them" if share > 0 else "No"


def _no_gene(facts: Facts, these: These, gene: Curie) -> Found:
    return none_found(
        f"{these.cells.name} has no gene {facts.label(gene)} among its "
        f"{these.cells.named.n_genes:,}; it may have been left out when genes were selected"
    )


def expressing_types(facts: Facts, these: These, gene: Curie, *types: Curie) -> Found:
    """In which of the annotated types a gene is detected, the highest share first."""
    there = [one for one, _ in replace(these, selection=ALL).answers if one]
    there = [one for one in there if not types or one in types]
    if not there:
        return none_found("none of these types is among the answers for the attached cells")
    hierarchy = these.cells.annotation.hierarchy
    labels = [hierarchy.labels[hierarchy.index(one)] for one in there]
    return _by_group(facts, these, gene, measures.ANNOTATED, labels)


def expressing_groups(facts: Facts, these: These, gene: Curie) -> Found:
    """In which clusters of the dataset a gene is detected, the highest share first."""
    column = _cluster_column(these)
    if not column:
        return none_found(_NO_CLUSTERS)
    values = sorted(set(these.cells.column(column).astype(str)))
    return _by_group(facts, these, gene, column, values)


CLUSTERS = ("leiden", "louvain", "seurat_clusters", "cluster", "clusters", "group", "cell_type")
"""Columns that tools of the field keep clusters in, the first that a dataset has being meant."""

_NO_CLUSTERS = (
    f"the dataset has no column of clusters; expected one of {', '.join(CLUSTERS)}, or one with "
    "'cluster' in its name"
)


def _cluster_column(these: These) -> str:
    names = {name.lower(): name for name in these.cells.columns}
    if known := next((names[name] for name in CLUSTERS if name in names), ""):
        return known
    return next((names[n] for n in names if "cluster" in n and _groups(these, names[n])), "")


def _groups(these: These, column: str) -> bool:
    """Whether a column groups cells: some values, and no number measured for each."""
    values = these.cells.column(column)
    return bool(values.dtype.kind not in "fc" and 1 < values.nunique() <= 100)


FEW = 5
"""Groups of fewer cells come last: a share of them says next to nothing."""

GROUPS = 8  # how many of them an answer names


def _by_group(facts: Facts, these: These, gene: Curie, column: str, values: Sequence[str]) -> Found:
    symbol = these.cells.symbol(facts.names.label(gene))
    if symbol is None:
        return _no_gene(facts, these, gene)
    pieces = [measures.by_group(these.cells, symbol, column, value) for value in values]
    pieces.sort(key=lambda piece: (piece.n_cells < FEW, -piece.value, piece.selection))
    note = f"The {GROUPS} of {len(pieces)} with the highest share are named."
    return Found((_measured(*pieces[:GROUPS]),), (note,) if len(pieces) > GROUPS else ())


def how_many(facts: Facts, these: These) -> Found:
    """How many cells are selected."""
    return Found((_measured(measures.size(these.cells, these.selection)),))


def whether(facts: Facts, these: These, type_: Curie) -> Found:
    """Whether the selected cells are of a type."""
    if type_ not in these.cells.annotation.hierarchy:
        return none_found(f"{facts.label(type_)} is no type that cells are annotated with")
    piece = measures.annotated_below(these.cells, type_, these.selection)
    share = _share_of(piece)
    lead = "Yes" if share >= 0.9 else "Mostly" if share >= 0.5 else "Some" if share else "No"
    findings = [_measured(piece, lead=lead)]
    if share < 1:
        findings += _annotated(these, 3)
    notes = [_PREDICTED]
    main = _main(these)
    general = bool(main) and _too_general(these, main)
    if main and main != type_ and not general and type_ in facts.graph.descendants(main):
        label = facts.names.label(type_)
        notes.insert(0, f"{label} is a kind of what they were annotated as: they may still be it.")
    return Found(tuple(findings), tuple(notes))


def _share_of(piece: PredictionEvidence) -> float:
    figures = dict(piece.figures)
    return figures["cells"] / figures["of"]


def _listed(facts: Facts, these: These, type_: Curie) -> list[str]:
    """The genes of the dataset that the graph lists as markers of a type, best supported first."""
    edges = [
        edge
        for edge in facts.graph.edges(type_, direction="in", predicates=(MARKER_OF,))
        if not edge.negated and "negative" not in edge.qualifiers and edge.weight is not None
    ]
    edges.sort(key=lambda edge: (-(edge.weight or 0), edge.subject))
    facts.names.load(edge.subject for edge in edges)
    genes = dict.fromkeys(these.cells.symbol(facts.names.label(e.subject)) for e in edges)
    return [gene for gene in genes if gene]


def why_not(facts: Facts, these: These, type_: Curie) -> Found:
    """Why the cells were not called a type: what its markers do in them."""
    found = whether(facts, these, type_)
    if not found.findings:
        return found
    share = next(piece for piece in found.findings[0].evidence)
    holds = isinstance(share, PredictionEvidence) and _share_of(share) >= 0.5
    findings = [replace(found.findings[0], lead="But they are" if holds else "")]
    place = these.cells.annotation.hierarchy.index(type_)
    supporting, speaking = these.cells.markers(place, these.selection)
    rows = supporting if holds else speaking
    unexpected = [row.gene for row in rows if row.role == "unexpected"][:MARKERS]
    there = [row.gene for row in rows if row.role != "unexpected"][:MARKERS]
    if not holds:
        known = {row.gene for row in supporting} | set(there)
        there += [gene for gene in _listed(facts, these, type_) if gene not in known]
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
    notes = found.notes
    if not there and not unexpected:
        notes = (f"No listed marker of {facts.label(type_)} is a gene of the dataset.", *notes)
    return Found(tuple(findings), notes)
