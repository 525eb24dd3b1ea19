"""The OBO reader: every construct of the format once, by hand, and the traps by name."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from data.errors import BadFile
from kg import terms as t
from kg.readers.obo import read_obo
from kg.readers.source import Loaded
from kg.terms import Category, Release, Scope, Synonym

SMALL = Path(__file__).with_name("small.obo")


def load(path: Path, prefix: str = "CL", elsewhere: tuple[str, ...] = ("GO",)) -> Loaded:
    return read_obo(path, release=Release("CL", ""), prefix=prefix, elsewhere=elsewhere)


def write(folder: Path, *lines: str, header: str = "format-version: 1.2\n") -> Path:
    path = folder / "made.obo"
    path.write_text(header + "\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def edges(loaded: Loaded) -> set[tuple[str, str, str]]:
    return {(e.subject, e.predicate, e.object) for e in loaded.edges}


def test_every_construct_of_the_small_file() -> None:
    loaded = load(SMALL)
    assert (loaded.release.version, loaded.release.date) == ("2031-02-03", "2031-02-03")
    terms = {term.id: term for term in loaded.terms}
    cell = terms["CL:0000001"]
    assert cell.definition == 'The unit of life! It has a membrane, and "parts".'
    assert cell.definition_xrefs == ("GOC:tfm", "PMID:12345678")
    assert cell.category is Category.CELL_TYPE
    assert terms["CL:0000002"].definition_xrefs == ("PMID:1111111", "ISBN:0721601464")
    t_cell = terms["CL:0000003"]
    assert t_cell.xrefs == ("BTO:0000782",)
    assert t_cell.synonyms == (
        Synonym("thymocyte", Scope.NARROW),
        Synonym("T-lymphocyte", Scope.EXACT),
        Synonym('CD3+ ("T") cell', Scope.RELATED),
    )
    for old in ("CL:0000903", "CL:0000913"):
        assert terms[old].obsolete
        assert terms[old].replaced_by == "CL:0000003"
    assert terms["CL:0000007"].obsolete
    assert terms["CL:0000007"].replaced_by == "CL:0000006"
    assert terms["CL:0000008"].consider == ("CL:0000002", "CL:0000003")
    # GO has a source of its own; the protein is named by the comment behind its id.
    assert terms["PR:000001002"].label == "CD19 molecule"
    assert terms["PR:000001004"].category is Category.OTHER
    assert "GO:0002457" not in terms
    assert edges(loaded) == {
        ("CL:0000002", t.IS_A, "CL:0000001"),
        ("CL:0000003", t.IS_A, "CL:0000002"),
        ("CL:0000003", t.DEVELOPS_FROM, "CL:0000005"),
        ("CL:0000003", t.LACKS_PLASMA_MEMBRANE_PART, "PR:000001002"),
        ("CL:0000004", t.IS_A, "CL:0000003"),
        ("CL:0000004", t.CAPABLE_OF, "GO:0002457"),
        ("CL:0000004", t.HAS_PLASMA_MEMBRANE_PART, "PR:000001004"),
        ("CL:0000005", t.IS_A, "CL:0000001"),
        ("CL:0000005", t.DEVELOPS_FROM, "CL:0000001"),
        ("CL:0000006", t.IS_A, "CL:0000003"),
    }
    assert loaded.notices == (
        "CL: not loaded: 1 statements with the relation odd_relation (first: CL:0000005, line 49)",
        "CL: not loaded: 1 disjoint_from statements",
        "CL: not loaded: 1 statements that hold only in a context, or of nothing but, or of none",
    )


def test_a_general_class_inclusion_is_not_an_is_a(tmp_path: Path) -> None:
    """obonet alone reads it as one, and makes a cycle of two real terms of CL."""
    path = write(
        tmp_path,
        "[Term]\nid: CL:0000163\nname: endocrine cell",
        'is_a: CL:0000164 {gci_filler="UBERON:0000160", gci_relation="BFO:0000050"}',
        "\n[Term]\nid: CL:0000164\nname: enteroendocrine cell\nis_a: CL:0000163",
    )
    assert edges(load(path)) == {("CL:0000164", t.IS_A, "CL:0000163")}


def test_cycle_is_refused_with_its_terms_and_line(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "[Term]\nid: CL:0000001\nname: a\nis_a: CL:0000002",
        "\n[Term]\nid: CL:0000002\nname: b\nis_a: CL:0000003",
        "\n[Term]\nid: CL:0000003\nname: c\nis_a: CL:0000002",
    )
    with pytest.raises(BadFile, match=r"line 9: 'CL:0000002 is_a CL:0000003 is_a CL:0000002'"):
        load(path)


def test_duplicated_edges_are_one_with_a_notice(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "[Term]\nid: CL:0000001\nname: a",
        "\n[Term]\nid: CL:0000002\nname: b\nis_a: CL:0000001\nis_a: CL:0000001",
    )
    loaded = load(path)
    assert len(loaded.edges) == 1
    assert loaded.notices == ("CL: not loaded: 1 statements that repeat another",)


def test_edges_of_obsolete_terms_are_left_out_with_a_notice(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "[Term]\nid: CL:0000001\nname: a\nis_obsolete: true",
        "\n[Term]\nid: CL:0000002\nname: b\nis_a: CL:0000001",
    )
    loaded = load(path)
    assert not loaded.edges
    assert loaded.notices == (
        "CL: not loaded: 1 statements with an obsolete end (first: CL:0000002, line 9)",
    )


@pytest.mark.parametrize(
    ("line", "text", "expected"),
    [
        (5, "nmae: T cell", "a tag of the format"),
        (5, "name T cell", "'tag: value'"),
        (5, "name:", "'tag: value'"),
        (5, 'def: "unfinished [PMID:1]', "a well-formed def"),
        (5, 'def: "fine" [PMID:1', "a well-formed def"),
        (5, 'synonym: "x" EXCAT []', "a well-formed synonym"),
        (5, "is_a: CL0000002", "an identifier such as CL:0000084"),
        (5, "is_a: CL:0000002 lymphocyte", "a well-formed is_a"),
        (5, "relationship: part_of", "a well-formed relationship"),
        (5, "is_obsolete: yes", "a well-formed is_obsolete"),
        (5, "id: CL:0000009", "one id in a stanza"),
        (5, "[Trem]", r"\[Term\]"),
        (5, "name: bell \x07", "control characters"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: int, text: str, expected: str) -> None:
    path = write(tmp_path, f"[Term]\nid: CL:0000001\n{text}")
    with pytest.raises(BadFile, match=rf"made\.obo, line {line}: .*expected .*{expected}"):
        load(path)


def test_what_obonet_passes_over_is_refused_or_read(tmp_path: Path) -> None:
    # A blank line inside a stanza: obonet takes the rest for a header.
    path = write(tmp_path, '[Term]\nid: CL:0000001\nname: a\n\n! note\nsynonym: "b" EXACT []')
    assert load(path).terms[0].synonyms == (Synonym("b"),)
    # Two stanzas of one id: obonet keeps the last.
    path = write(tmp_path, "[Term]\nid: CL:0000001\nname: a\n\n[Term]\nid: CL:0000001\nname: b")
    with pytest.raises(BadFile, match=r"line 8: .*each id once; line 4 has it too"):
        load(path)
    # Cut off in the middle of a line.
    path.write_text("format-version: 1.2\n\n[Term]\nid: CL:0000001\nname: T ce")
    with pytest.raises(BadFile, match="may be cut off"):
        load(path)
    path.write_bytes(b"format-version: 1.2\n\n[Term]\nid: CL:0000001\nname: caf\xe9\n")
    with pytest.raises(BadFile, match=r"line 5: .*UTF-8"):
        load(path)
    for nothing in ("", "hello\n", "format-version: 1.2\n"):
        path.write_text(nothing)
        with pytest.raises(BadFile, match=r"made\.obo, line"):
            load(path)


def test_dangling_ids_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "[Term]\nid: CL:0000001\nname: a\nis_a: CL:0009999")
    loaded = load(path)
    assert not loaded.edges
    assert "1 statements about ids that the file lacks (first: CL:0000001" in loaded.notices[0]


def test_unknown_go_namespace_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "[Term]\nid: GO:0000001\nname: a\nnamespace: biological_proces")
    with pytest.raises(BadFile, match=r"line 4: .*biological_process"):
        load(path, prefix="GO", elsewhere=())


@pytest.mark.shared
def test_modern_relations_of_cl(shared_data: Path) -> None:
    """GO's import of CL: relations by RO ids; numbers counted with grep."""
    path = shared_data / "ontology" / "cl_import_from_go_2026-06-29.obo"
    loaded = load(path, elsewhere=("GO", "UBERON"))
    text = path.read_text(encoding="utf-8")
    counts = Counter(edge.predicate for edge in loaded.edges)
    stated = Counter(re.findall(r"^relationship: (\S+)", text, re.MULTILINE))
    assert stated["RO:0002104"] == 370
    assert stated["RO:0002202"] == 310
    asserted = edges(loaded)
    missing = []
    for stanza in re.findall(r"^\[Term\]\n(id: CL.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL):
        subject = stanza.split("\n", 1)[0][4:]
        for relation, target, rest in re.findall(
            r"^relationship: (\S+) (\S+)(.*)", stanza, re.MULTILINE
        ):
            if relation in t.PREDICATES and "gci_" not in rest and "all_only" not in rest:
                missing += [] if (subject, relation, target) in asserted else [stanza]
    assert not missing
    # Definitions (intersection_of) add to what is stated.
    assert counts[t.HAS_PLASMA_MEMBRANE_PART] >= 370
    assert counts[t.LACKS_PLASMA_MEMBRANE_PART] >= 412
    outside = [notice for notice in loaded.notices if "the relation RO:0002162" in notice]
    assert len(outside) == 1


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [  # fastobo refuses blood_and_immune_upper_slim.obo for an escape in a web address
        "cl-base_2022-11-25.obo",
        "cl-basic_2022-11-25.obo",
        "cl_import_from_go_2026-06-29.obo",
    ],
)
def test_real_files_agree_with_an_independent_reader(shared_data: Path, name: str) -> None:
    """Labels, definitions and plain is_a of every CL term, read again by fastobo's own parser."""
    fastobo = pytest.importorskip("fastobo")
    path = shared_data / "ontology" / name
    loaded = load(path, elsewhere=("GO", "UBERON"))
    terms = {term.id: term for term in loaded.terms}
    is_a = {(e.subject, e.object) for e in loaded.edges if e.predicate == t.IS_A}
    seen = 0
    for frame in fastobo.load(str(path), threads=1):
        key = str(frame.id)
        if not isinstance(frame, fastobo.term.TermFrame) or not key.startswith("CL:"):
            continue
        seen += 1
        for clause in frame:
            if isinstance(clause, fastobo.term.NameClause):
                assert terms[key].label == clause.name
            elif isinstance(clause, fastobo.term.DefClause):
                assert terms[key].definition == str(clause.definition)
            elif isinstance(clause, fastobo.term.IsAClause) and not terms[key].obsolete:
                if "gci_" not in str(clause):
                    assert (key, str(clause.term)) in is_a
            elif isinstance(clause, fastobo.term.IsObsoleteClause):
                assert terms[key].obsolete == clause.obsolete
    assert seen == len(re.findall(r"^\[Term\]\nid: CL:", path.read_text(), re.MULTILINE))
