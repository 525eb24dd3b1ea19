"""The "lacks" axioms of an OBO file as facts on genes."""

from __future__ import annotations

from data.markers import AXIOMS, read_markers
from training.annotation.data import cell_ontology
from training.annotation.marker_axioms import GENES, facts, lacks

OBO = """[Term]
id: CL:0000001
relationship: CL:4030046 PR:000001020 ! lacks_plasma_membrane_part CD3 epsilon
intersection_of: CL:4030046 PR:000001015 ! isoform CD45RA
relationship: part_of PR:000001020 ! not a lack

[Term]
id: CL:0000002
relationship: lacks_plasma_membrane_part PR:000001889
[Typedef]
id: lacks
"""


def test_statements_are_read_and_mapped() -> None:
    pairs = list(lacks(OBO.splitlines()))
    assert pairs == [
        ("CL:0000001", "PR:000001020"),
        ("CL:0000001", "PR:000001015"),
        ("CL:0000002", "PR:000001889"),
    ]
    rows, missed = facts(pairs, ["CL:0000001"])
    assert rows == [("CL:0000001", "CD3E", "PR:000001020")]
    assert missed == {"PR:000001015": 1, "a type that is no longer in use": 1}


def test_the_shipped_axioms_are_negative_facts_of_current_types() -> None:
    found = read_markers(table=AXIOMS)
    assert len(found) > 300
    assert not any(one.positive for one in found)
    assert {one.sources for one in found} == {("CL",)}
    assert {one.gene for one in found} <= set(GENES.values())
    assert {one.cl_id for one in found} <= set(cell_ontology()[0].ids)
    assert ("CL:0000623", "CD3E") in {(one.cl_id, one.gene) for one in found}
