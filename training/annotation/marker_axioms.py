"""Makes data/markers_axioms.tsv: genes that a cell type lacks by the Cell Ontology's own axioms.

``python -m training.annotation.marker_axioms cl-base.obo [cl_import.obo ...]`` reads the statements
"lacks plasma membrane part" and "lacks part", in relationships and in definitions by intersection,
of any release of the Cell Ontology in OBO (the default file of Celloquy has only *is a*). Their
objects are terms of the Protein Ontology or protein complexes; :data:`GENES` says which of them is
the product of one human gene. Isoforms (CD45RA) and complexes of several genes (MHC class II) are
left out: a transcript does not tell them. Types that are no longer in use are passed over. The
facts are counted, and what could not be mapped is printed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from data.markers import AXIOMS
from training.annotation.data import cell_ontology

__all__ = ["GENES", "facts", "lacks", "main"]

GENES: Mapping[str, str] = MappingProxyType(
    {
        "PR:000001002": "CD19",
        "PR:000001003": "CD34",
        "PR:000001004": "CD4",
        "PR:000001006": "PTPRC",
        "PR:000001012": "ITGAM",
        "PR:000001013": "ITGAX",
        "PR:000001020": "CD3E",
        "PR:000001024": "NCAM1",
        "PR:000001083": "CD2",
        "PR:000001084": "CD8A",
        "PR:000001289": "MS4A1",
        "PR:000001307": "CD44",
        "PR:000001408": "CD38",
        "PR:000001483": "FCGR3A",
        "PR:000001836": "CD7",
        "PR:000001839": "CD5",
        "PR:000001843": "THY1",
        "PR:000001865": "IL3RA",
        "PR:000001867": "IL5RA",
        "PR:000001869": "IL7R",
        "PR:000001874": "KLRB1",
        "PR:000001879": "SPN",
        "PR:000001889": "CD14",
        "PR:000001892": "CD33",
        "PR:000001898": "MME",
        "PR:000001932": "CD24",
        "PR:000001935": "SDC1",
        "PR:000001945": "TFRC",
        "PR:000001963": "CD27",
        "PR:000002065": "KIT",
        "PR:000003457": "RAG1",
        "PR:000003460": "RAG2",
        "PR:000005307": "CEBPA",
        "PR:000006611": "DNTT",
        "PR:000007431": "FCER1A",
        "PR:000007857": "GATA1",
        "PR:000007858": "GATA2",
        "GO:0071738": "IGHD",  # IgD and IgM complex: their heavy chains
        "GO:0071753": "IGHM",
    }
)
"""Objects of the axioms that are products of one human gene, by the names that CL prints."""

_STATEMENT = re.compile(
    r"(?:relationship|intersection_of): "
    r"(?:CL:4030046|CL:4030045|lacks_plasma_membrane_part|lacks_part) (?P<object>\S+)"
)


def lacks(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of a term and what it lacks, from the lines of an OBO file."""
    subject = ""
    for line in lines:
        if line.startswith("["):
            subject = ""
        elif line.startswith("id: CL:"):
            subject = line[4:].strip()
        elif subject and (found := _STATEMENT.match(line)):
            yield subject, found["object"]


def facts(
    pairs: Iterable[tuple[str, str]], active: Iterable[str]
) -> tuple[list[tuple[str, str, str]], Counter[str]]:
    """Rows of type, gene and the axiom's object, sorted; and what no gene was found for."""
    current = set(active)
    rows, missed = set(), Counter[str]()
    for subject, object_ in set(pairs):
        if subject not in current:
            missed["a type that is no longer in use"] += 1
        elif object_ in GENES:
            rows.add((subject, GENES[object_], object_))
        else:
            missed[object_] += 1
    return sorted(rows), missed


def main(arguments: list[str] | None = None) -> int:
    """Make the table; prints counts to stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m training.annotation.marker_axioms", description=__doc__
    )
    parser.add_argument("obo", type=Path, nargs="+", help="the Cell Ontology as OBO")
    parser.add_argument("--output", type=Path, default=AXIOMS)
    options = parser.parse_args(arguments)
    pairs: list[tuple[str, str]] = []
    releases = []
    for path in options.obo:
        text = path.read_text(encoding="utf-8")
        version = re.search(r"^data-version: (.*)$", text, re.MULTILINE)
        releases.append(version[1] if version else path.name)
        pairs += lacks(text.splitlines())
    rows, missed = facts(pairs, cell_ontology()[0].ids)
    with options.output.open("w", encoding="utf-8", newline="") as out:
        out.write(
            "# What cell types lack by definition; "
            "made by `python -m training.annotation.marker_axioms`"
        )
        out.write(f"\n# from: {'; '.join(releases)}\n# Source | licence | reference:\n")
        out.write("# CL | CC BY 4.0 | Diehl et al. 2016, doi:10.1186/s13326-016-0088-7\n")
        out.write("cl_id\tgene\tsign\taxiom\tsources\n")
        out.writelines(f"{cl_id}\t{gene}\t-\t{axiom}\tCL\n" for cl_id, gene, axiom in rows)
    types = {cl_id for cl_id, _, _ in rows}
    sys.stderr.write(f"{len(rows)} facts of {len(types)} types from {len(set(pairs))} axioms\n")
    for what, n in missed.most_common():
        sys.stderr.write(f"passed over {n}: {what}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
