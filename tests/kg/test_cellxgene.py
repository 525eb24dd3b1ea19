"""CL, UBERON and MONDO from the CELLxGENE files: counts of the raw files, and what is_a means."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from data.errors import BadFile
from kg import terms as t
from kg.readers.cellxgene import PART_OF_PAIRS, read_cellxgene
from kg.terms import Category, Release, Scope


def write(folder: Path, document: object, name: str = "CL-ontology-v2031-02-03.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def entry(label: str, parents: dict[str, int] | None = None, **more: object) -> dict[str, object]:
    return {"label": label, "deprecated": False, "ancestors": parents or {}, **more}


def test_only_distance_one_is_an_edge(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "CL:1": entry("cell", description="the unit"),
            "CL:2": entry("leukocyte", {"CL:1": 1}, synonyms=["white cell", "white cell"]),
            "CL:3": entry("T cell", {"CL:2": 1, "CL:1": 2}),
            "CL:4": {**entry(""), "deprecated": True, "replaced_by": "CL:3", "consider": ["CL:2"]},
        },
    )
    loaded = read_cellxgene(path, Release("CL", "", licence="CC BY 4.0"))
    assert loaded.release == Release("CL", "v2031-02-03", "2031-02-03", "CC BY 4.0")
    assert [(e.subject, e.predicate, e.object) for e in loaded.edges] == [
        ("CL:2", t.IS_A, "CL:1"),
        ("CL:3", t.IS_A, "CL:2"),
    ]
    one, two, _, old = loaded.terms
    assert one.definition == "the unit"
    assert [(s.text, s.scope) for s in two.synonyms] == [("white cell", Scope.EXACT)]
    assert (old.label, old.obsolete, old.replaced_by) == ("CL:4", True, "CL:3")
    assert old.consider == ("CL:2",)
    assert loaded.notices == ("CL: 1 obsolete terms have no label; their id stands in",)


def test_uberon_claims_neither_is_a_nor_part_of(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"UBERON:1": entry("body"), "UBERON:2": entry("lung", {"UBERON:1": 1})},
        "UBERON-ontology-v1.json",
    )
    assert [e.predicate for e in read_cellxgene(path).edges] == [t.IS_A_OR_PART_OF]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "holds no terms"),
        ({"CL:1": entry("a", {"CL:9": 1})}, r"CL:1 has the ancestor CL:9, which the file"),
        ({"CL:1": {"label": "a"}}, r"'CL:1' is not a term"),
        ({"cell": entry("a")}, r"'cell' is not a term"),
        ({"CL:1": entry("")}, r"CL:1 is in use but has no label"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, document: object, message: str) -> None:
    with pytest.raises(BadFile, match=message):
        read_cellxgene(write(tmp_path, document))


def test_other_bytes_and_other_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "CL-ontology-v1.json.zst"
    path.write_bytes(b"{}")
    with pytest.raises(BadFile, match="fetch it again"):
        read_cellxgene(path)
    with pytest.raises(BadFile, match="is not named as an ontology"):
        read_cellxgene(write(tmp_path, {}, "cl.json"))


@pytest.mark.assets
@pytest.mark.parametrize(
    ("asset", "version", "category", "active", "terms", "edges", "defined"),
    [
        ("cl", "v2026-03-26", Category.CELL_TYPE, 3_324, 3_596, 4_633, 3_221),
        ("uberon", "v2026-04-01", Category.ANATOMY, 14_971, 16_358, 31_692, 12_239),
        ("mondo", "v2026-05-05", Category.DISEASE, 27_990, 31_958, 41_908, 19_315),
    ],
)
def test_counts_of_the_pinned_files(
    asset: str, version: str, category: Category, active: int, terms: int, edges: int, defined: int
) -> None:
    from data import sources

    loaded = read_cellxgene(sources.path(asset))
    assert loaded.release.version == version
    assert {term.category for term in loaded.terms} == {category}
    used = [term for term in loaded.terms if not term.obsolete]
    assert (len(used), len(loaded.terms), len(loaded.edges)) == (active, terms, edges)
    assert sum(bool(term.definition) for term in used) == defined
    in_use = {term.id for term in used}
    assert all(edge.subject in in_use and edge.object in in_use for edge in loaded.edges)
    predicates = Counter(edge.predicate for edge in loaded.edges)
    expected = {
        "cl": {t.IS_A: edges - 3, t.PART_OF: 3},
        "uberon": {t.IS_A_OR_PART_OF: edges},
        "mondo": {t.IS_A: edges},
    }
    assert predicates == expected[asset]


@pytest.mark.assets
@pytest.mark.shared
def test_the_list_of_part_of_pairs_is_complete(shared_data: Path) -> None:
    """Every CL pair that the newest OBO holds is is_a there, but for the listed ones."""
    from data import sources

    stated: dict[str, set[tuple[str, str]]] = {}
    current = ""
    path = shared_data / "ontology" / "cl_import_from_go_2026-06-29.obo"
    for line in path.read_text(encoding="utf-8").splitlines():
        tag, _, value = line.partition(": ")
        if tag == "id":
            current = value
            stated[current] = set()
        elif tag == "is_a" and "gci_" not in value:
            stated[current].add(("is_a", value.split()[0]))
        elif tag == "relationship":
            relation, target = value.split()[:2]
            stated[current].add((relation, target))
    loaded = read_cellxgene(sources.path("cl"))
    shared = [e for e in loaded.edges if e.subject in stated and e.object in stated]
    assert len(shared) == 1_952
    part_of, neither = set(), set()
    for edge in shared:
        if ("is_a", edge.object) not in stated[edge.subject]:
            only_part = (t.PART_OF, edge.object) in stated[edge.subject]
            (part_of if only_part else neither).add((edge.subject, edge.object))
    assert part_of == PART_OF_PAIRS
    # Stated one step further up in the newer release: still a kind of it.
    assert neither == {("CL:0002174", "CL:0000255")}
    assert {(e.subject, e.object) for e in loaded.edges if e.predicate == t.PART_OF} == part_of
