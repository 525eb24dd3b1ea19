"""An annotation as one HTML page: what was found, on what evidence, and how sure it is.

The page needs nothing but itself: no script, no font, no request. Pictures are SVG drawn here, so
that the report needs no plotting library and its text can be searched. Everything that came from
the dataset is escaped.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.annotation import charts
from agent.annotation.result import Annotation, MarkerEvidence, TermSummary
from agent.verification.wording import many

__all__ = ["html_report"]

ROWS = 60
"""Terms that the table lists; the rest are counted."""

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
  color: #222; background: #fff; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { text-align: left; padding: .3rem .5rem; border-bottom: 1px solid #e4e4e4;
  vertical-align: top; }
th { font-weight: 600; border-bottom: 2px solid #999; } td.n { text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { display: inline-block; height: .7em; background: #0072B2; border-radius: 2px; }
.against { color: #a33; } .quiet { color: #666; font-size: 13px; }
figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; }
figcaption { color: #666; font-size: 13px; }
ul { padding-left: 1.2rem; } code { font-size: 12px; }
svg text { font-family: system-ui, sans-serif; }
"""


def html_report(found: Annotation, xy: NDArray[np.float32] | None = None, place: str = "") -> str:
    """Give the page.

    Parameters
    ----------
    found
        The annotation.
    xy
        Two coordinates a cell, for the picture; without them the cells are laid out by the two
        largest directions of their places in the ontology.
    place
        Where the coordinates come from, in words ("obsm:X_umap").
    """
    about = found.about
    name = escape(Path(about.source).name)
    if xy is None:
        xy, place = _directions(found.embedding), "two principal directions of X_celloquy"
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; "
        "style-src 'unsafe-inline'\">",
        f"<title>Cell types of {name}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Cell types of {name}</h1>",
        f"<p>{many(found.n_cells, f'{escape(about.species)} cell')}: "
        f"{many(len(found.summaries), 'term')} of the Cell Ontology, "
        f"{many(found.abstained, 'cell')} unknown. {about.n_genes_used:,} of "
        f"{many(about.n_genes, 'gene')} are markers of {many(about.n_types, 'type')}.</p>",
        f"<figure>{charts.scatter(xy, found.labels())}<figcaption>Cells at {escape(place)}, "
        "coloured by answer.</figcaption></figure>",
        "<h2>Answers</h2>",
        _table(found),
        "<h2>Evidence</h2>",
        f"<figure>{charts.dots(found.summaries)}<figcaption>Size: share of the cells in which the "
        "gene is detected. Blue speaks for the answer; red is there and should not be; an empty "
        "ring is a sure marker that is missing.</figcaption></figure>",
        "<h2>Confidence</h2>",
        f"<figure>{charts.coverage(found.confidence)}<figcaption>If only the surest cells are kept "
        "(to the right: more of them), so many answers are expected to be wrong. This is what the "
        "calibrated confidences say; no label of the dataset was read.</figcaption></figure>",
        *_clusters(found),
        "<h2>How</h2>",
        _how(found),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _directions(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """The two directions in which the places of the cells differ most."""
    centred = embedding.astype(np.float64) - embedding.mean(axis=0, dtype=np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ vectors[:, :-3:-1], dtype=np.float32)


def _table(found: Annotation) -> str:
    head = "".join(
        f"<th>{name}</th>"
        for name in ("Cells", "Share", "Confidence", "Depth", "Term", "For", "Against")
    )
    rows = [_row(one) for one in found.summaries[:ROWS]]
    rest = found.summaries[ROWS:]
    if rest:
        n = sum(one.n_cells for one in rest)
        rows.append(
            f"<tr><td colspan='7'>{many(len(rest), 'more term')} of {many(n, 'cell')}</td></tr>"
        )
    if found.abstained:
        rows.append(
            f"<tr><td class='n'>{found.abstained:,}</td><td class='n'>"
            f"{found.abstained / found.n_cells:.1%}</td><td></td><td></td><td>unknown</td>"
            f"<td colspan='2'>{escape(_why_unknown(found))}</td></tr>"
        )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _why_unknown(found: Annotation) -> str:
    places, counts = np.unique(found.reason[found.term < 0], return_counts=True)
    said = (f"{found.reasons[p]} ({n:,})" for p, n in zip(places, counts, strict=True))
    return "; ".join(said)


def _row(one: TermSummary) -> str:
    width = max(1, round(60 * one.share))
    label = f"{escape(one.label)}<br><code>{escape(one.id)}</code>"
    if one.novelty is not None:
        label += (
            f"<div class='quiet'>none of its known subtypes stands out; nearest: "
            f"{escape(one.nearest_label)}</div>"
        )
    return (
        f"<tr><td class='n'>{one.n_cells:,}</td>"
        f"<td class='n'><span class='bar' style='width:{width}px'></span> {one.share:.1%}</td>"
        f"<td class='n'>{one.confidence:.2f}</td><td class='n'>{one.depth}</td>"
        f"<td>{label}</td>"
        f"<td>{_markers(one.supporting)}</td>"
        f"<td class='against'>{_markers(one.against)}</td></tr>"
    )


def _markers(rows: tuple[MarkerEvidence, ...]) -> str:
    return ", ".join(
        f"<span title='{escape('; '.join(row.sources), quote=True)}'>"
        f"{escape({'missing': 'no ', 'unexpected': '', 'present': ''}[row.role] + row.gene)} "
        f"{row.inside:.0%}</span>"
        for row in rows[:6]
    )


def _clusters(found: Annotation) -> list[str]:
    votes = found.clusters
    if votes is None:
        return []
    rows = []
    for i, name in enumerate(votes.names):
        place = int(votes.term[i])
        label = found.hierarchy.labels[place] if place >= 0 else "unknown"
        own = int((votes.kept & (votes.code == i)).sum())
        rows.append(
            f"<tr><td>{escape(name)}</td><td class='n'>{votes.n_cells[i]:,}</td>"
            f"<td class='n'>{votes.confidence[i]:.2f}</td><td>{escape(label)}</td>"
            f"<td class='n'>{own:,}</td></tr>"
        )
    head = "<th>Group</th><th>Cells</th><th>Probability</th><th>Term</th><th>Keep their own</th>"
    return [
        f"<h2>Votes of {escape(votes.key)}</h2>",
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>",
    ]


def _how(found: Annotation) -> str:
    about = found.about
    facts = [
        f"Celloquy {about.version}, encoder {about.encoder} (sha256 {about.sha256[:16]})",
        f"{about.layer_used}: {about.why}",
        *about.notices[1:],
        "releases: " + ", ".join(f"{name} {version}" for name, version in about.releases.items()),
        "parameters: " + ", ".join(f"{name} {value}" for name, value in about.parameters.items()),
    ]
    return "<ul>" + "".join(f"<li>{escape(fact)}</li>" for fact in facts) + "</ul>"
