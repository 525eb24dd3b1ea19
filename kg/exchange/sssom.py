"""Cross-references of terms as a mapping set in SSSOM/TSV, out.

A cross-reference says that another vocabulary has something to do with the term, not that both
are the same: the predicate is ``oboInOwl:hasDbXref`` and the justification unspecified.
Cross-references without a prefix (web addresses, free text) are left out and counted.

Format: https://mapping-commons.github.io/sssom/ (Matentzoglu et al. 2022,
doi:10.1093/database/baac035).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kg.atomic import replacing
from kg.exchange.obographs import iri
from kg.terms import Release, Term, is_curie

__all__ = ["write_sssom"]

_COLUMNS = (
    "subject_id",
    "subject_label",
    "predicate_id",
    "object_id",
    "mapping_justification",
    "subject_source",
    "subject_source_version",
)


def write_sssom(path: Path, releases: Iterable[Release], terms: Iterable[Term]) -> tuple[int, int]:
    """Write one file; returns the numbers of mappings and of references left out."""
    rows: list[str] = []
    prefixes: set[str] = set()
    skipped = 0
    for term in terms:
        if term.obsolete:
            continue
        for xref in term.xrefs:
            if not is_curie(xref):
                skipped += 1
                continue
            prefixes |= {term.id.split(":")[0], xref.split(":")[0]}
            label = " ".join(term.label.split())
            rows.append(
                f"{term.id}\t{label}\toboInOwl:hasDbXref\t{xref}\tsemapv:UnspecifiedMatching"
                f"\t{term.source}\t{term.release}\n"
            )
    with replacing(path) as file:
        file.write("# curie_map:\n")
        expansions = {prefix: iri(f"{prefix}:") for prefix in prefixes}
        expansions["oboInOwl"] = "http://www.geneontology.org/formats/oboInOwl#"
        expansions["semapv"] = "https://w3id.org/semapv/vocab/"
        for prefix, base in sorted(expansions.items()):
            file.write(f'#   {prefix}: "{base}"\n')
        file.write('# license: "https://w3id.org/sssom/license/unspecified"\n')
        file.write('# mapping_set_id: "urn:celloquy:mappings"\n')
        stated = "; ".join(f"{r.source} {r.version} ({r.licence})" for r in releases)
        file.write(f"# other: '{stated.replace(chr(39), chr(39) * 2)}'\n")
        file.write("\t".join(_COLUMNS) + "\n")
        file.writelines(rows)
    return len(rows), skipped
