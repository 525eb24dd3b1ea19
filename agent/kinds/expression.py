"""Questions about expression in attached cells: which genes differ, and who expresses a gene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agent.annotation.result import UNKNOWN_LABEL
from agent.attached import measures
from agent.attached.measurewords import ANNOTATED
from agent.attached.selection import ALL
from agent.attached.these import CLUSTERS, These, measured
from agent.facts import Facts, Found, none_found
from agent.kinds.genes import listed_types
from agent.verification.wording import many
from kg.terms import Curie
from retrieval.evidence import PredictionEvidence

__all__ = [
    "compare",
    "compare_type",
    "expressed",
    "expressed_all",
    "expressing_groups",
    "expressing_types",
    "is_higher",
    "is_lower",
    "lower_genes",
    "share_expressing",
    "top_genes",
]

_EFFECTS = (
    "AUROC is the chance that a cell of the first has more of the gene than one of the second; no "
    "test of significance is made."
)
_ALL_MEANT = "all cells are meant and there are no others; select some, such as leiden=3"
NO_CLUSTERS = (
    f"the dataset has no column of clusters; expected one of {', '.join(CLUSTERS)}, or one with "
    "'cluster' in its name"
)

FEW = 5
"""Groups of fewer cells come last: a share of them says next to nothing."""

LEAST = 3
"""Cells that each side of a comparison must have: one cell has no spread, two hardly one."""
RELIABLE = 20
"""Fewer cells than these on a side and the answer says so: shares move by 5 % with one cell."""

GROUPS = 8  # how many of them an answer names

CONTRASTED = 5  # answers that a comparison names


def top_genes(facts: Facts, these: These) -> Found:
    """Which genes are higher in the selection than elsewhere."""
    return _differing(these, lower=False)


def lower_genes(facts: Facts, these: These) -> Found:
    """Which genes are lower in the selection than elsewhere."""
    return _differing(these, lower=True)


def _differing(these: These, *, lower: bool) -> Found:
    if lacking := _too_few(these):
        return none_found(lacking)
    found = measures.differences(these.cells, these.selection, these.against, lower=lower)
    if not found:
        way = "lower" if lower else "higher"
        return none_found(
            f"no gene is clearly {way} in the {these.words} (AUROC {measures.LEAST_AUROC} or more)"
        )
    return Found((measured(*found),), (_EFFECTS, *_few(these)))


def _sides(these: These) -> tuple[int, int]:
    """How many cells are meant, and how many they are held against."""
    return these.total, int(these.cells.rest(these.selection, these.against).sum())


def _too_few(these: These) -> str:
    """Why two selections cannot be compared; "" where they can."""
    here, there = _sides(these)
    if not there:
        return _ALL_MEANT
    if min(here, there) < LEAST:
        return (
            f"a comparison needs at least {LEAST} cells on each side, and there are {here:,} "
            f"against {there:,}; select more cells"
        )
    return ""


def _few(these: These) -> tuple[str, ...]:
    least = min(_sides(these))
    if least >= RELIABLE:
        return ()
    return (f"One side has only {least} cells: take the figures as a hint.",)


def compare(facts: Facts, these: These) -> Found:
    """What differs between the selection and another one, or all other cells."""
    cells, here, there = these.cells, these.selection, these.against
    if lacking := _too_few(these):
        return none_found(lacking)
    if (cells.mask(here) == cells.rest(here, there)).all():
        return none_found("both selections are the same cells; name two that differ")
    higher = measures.differences(cells, here, there)
    if there:
        back = measures.differences(cells, there, here)
    else:
        back = measures.differences(cells, here, lower=True)
    findings = [measured(*pieces) for pieces in (higher, back) if pieces]
    notes = [_EFFECTS] if findings else ["No gene separates the two clearly."]
    notes += _few(these)
    if shown := _contrasted(these):
        findings.append(measured(*shown))
    overlap = int((cells.mask(here) & cells.rest(here, there)).sum())
    if overlap:
        notes.append(
            f"{many(overlap, 'cell')} {'is' if overlap == 1 else 'are'} in both selections."
        )
    return Found(tuple(findings), tuple(notes))


def compare_type(facts: Facts, these: These, type_: Curie) -> Found:
    """What differs between the selection and the cells annotated as a type or a kind of it."""
    if not these.selection:
        return none_found(_ALL_MEANT)
    against = these.annotated_as(type_)
    if not against:
        return none_found(f"no cell of the dataset is annotated as {facts.label(type_)}")
    return compare(facts, replace(these, against=against))


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
    return [piece for piece in made[:CONTRASTED] if gap(piece) > 0]


def expressed(facts: Facts, these: These, gene: Curie) -> Found:
    """Whether a gene is detected in the cells."""
    symbol = these.cells.symbol(facts.names.label(gene))
    if symbol is None:
        return _no_gene(facts, these, gene)
    piece = measures.expression(these.cells, symbol, these.selection, these.against)
    lead = _how_many(piece.value)
    return Found((measured(piece, lead=lead),))


def expressed_all(facts: Facts, these: These, *genes: Curie) -> Found:
    """In how many of the cells each of several genes is detected, the highest share first."""
    symbols = {gene: these.cells.symbol(facts.names.label(gene)) for gene in genes}
    pieces = [
        measures.expression(these.cells, symbol, these.selection, listed=True)
        for symbol in dict.fromkeys(symbols.values())
        if symbol
    ]
    if not pieces:
        return none_found(f"{these.cells.name} has none of these genes")
    pieces.sort(key=lambda piece: (-piece.value, piece.gene))
    left = [facts.names.label(gene) for gene, symbol in symbols.items() if symbol is None]
    notes = (f"The dataset has no gene {', '.join(left)}.",) if left else ()
    return Found((measured(*pieces),), notes)


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
    if lacking := _too_few(these):
        return none_found(lacking)
    piece = measures.difference(these.cells, symbol, these.selection, these.against)
    gap = sign * (piece.value - 0.5)
    clear = measures.LEAST_AUROC - 0.5
    lead = "Yes" if gap >= clear else "A little" if gap > 0 else "No"
    return Found((measured(piece, lead=lead),), (_EFFECTS, *_few(these)))


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


def expressing_types(
    facts: Facts, these: These, gene: Curie, *types: Curie, by: str = "share"
) -> Found:
    """In which of the annotated types a gene is detected, the highest share (or mean) first."""
    there = [one for one, _ in replace(these, selection=ALL).answers if one]
    there = [one for one in there if not types or one in types]
    if not there:
        return none_found("none of these types is among the answers for the attached cells")
    hierarchy = these.cells.annotation.hierarchy
    labels = [hierarchy.labels[hierarchy.index(one)] for one in there]
    found = _by_group(facts, these, gene, ANNOTATED, labels, by)
    return found if found.findings or types else _by_lists(facts, gene, found.lacking)


def _by_lists(facts: Facts, gene: Curie, lacking: str) -> Found:
    """The types that a gene is listed as a marker of, where the cells cannot tell."""
    findings, notes = listed_types(facts, gene)
    if not findings:
        return none_found(lacking)
    first = replace(findings[0], lead="By marker lists, not by these cells")
    return Found((first, *findings[1:]), (f"{lacking}.", *notes))


def expressing_groups(facts: Facts, these: These, gene: Curie, *, by: str = "share") -> Found:
    """In which clusters of the dataset a gene is detected, the highest share (or mean) first."""
    column = these.clusters
    if not column:
        return none_found(NO_CLUSTERS)
    values = sorted(set(these.cells.column(column).astype(str)))
    return _by_group(facts, these, gene, column, values, by)


def _by_group(
    facts: Facts, these: These, gene: Curie, column: str, values: Sequence[str], by: str
) -> Found:
    symbol = these.cells.symbol(facts.names.label(gene))
    if symbol is None:
        return _no_gene(facts, these, gene)
    pieces = [measures.by_group(these.cells, symbol, column, value) for value in values]
    pieces.sort(key=lambda piece: (piece.n_cells < FEW, -dict(piece.figures)[by], piece.selection))
    note = f"The {GROUPS} of {len(pieces)} with the highest {by} are named."
    lead = "" if by == "share" else f"Highest {by} first"
    found = measured(*pieces[:GROUPS], lead=lead)
    return Found((found,), (note,) if len(pieces) > GROUPS else ())
