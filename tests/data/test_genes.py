"""What a person may call a gene, and the gene that is meant."""

from __future__ import annotations

import pytest

from data import genetable, sources
from data.errors import BadInput, UnknownTerm
from data.genes import find_gene, gene_by_id, resolve_gene, suggest_genes

pytestmark = pytest.mark.assets


def symbols(text: str, species: str = "human") -> list[str]:
    return [c.symbol for c in resolve_gene(text, species)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "CD8A", "cd8a", "Cd8a", " CD8A ", "CD8-A", "CD8alpha", "CD8α", "CD8-alpha",
        "ENSG00000153563", "ENSG00000153563.16", "ensg00000153563", "ENSEMBL:ENSG00000153563",
        "HGNC:1706", "hgnc:1706", "NCBIGene:925", "GeneID:925", "P01732", "UniProtKB:P01732",
        "CD8 subunit alpha",
    ],
)  # fmt: skip
def test_all_are_cd8a(text: str) -> None:
    gene = find_gene(text)
    assert (gene.id, gene.symbol, gene.name, gene.species, gene.ensembl) == (
        "HGNC:1706", "CD8A", "CD8 subunit alpha", "human", "ENSG00000153563",
    )  # fmt: skip


def test_a_family_offers_its_members() -> None:
    assert symbols("CD8") == ["CD8A", "CD8B"]
    assert symbols("CD3") == ["CD3D", "CD3E", "CD3G"]
    assert symbols("cd79") == ["CD79A", "CD79B"]
    with pytest.raises(BadInput, match=r"CD8A \(HGNC:1706\), CD8B \(HGNC:1707\); name one"):
        find_gene("CD8")


def test_unknown_names_come_with_suggestions() -> None:
    assert resolve_gene("CTLA-99") == ()
    assert suggest_genes("CTLA-99")[0] == "CTLA4"
    assert suggest_genes("FOXP33")[0] == "FOXP3"
    assert suggest_genes("Foxp33", "mouse")[0] == "Foxp3"
    assert suggest_genes("XTLA4")[0] == "CTLA4"
    with pytest.raises(UnknownTerm, match="no human gene is called 'CTLA-99'; did you mean CTLA4"):
        find_gene("CTLA-99")


@pytest.mark.parametrize("text", ["", "   ", "-", "💥", "x" * 5000, "'; DROP TABLE gene; --", "%"])
def test_nonsense_is_unknown(text: str) -> None:
    assert resolve_gene(text) == ()
    with pytest.raises(UnknownTerm):
        find_gene(text)


@pytest.mark.parametrize(
    ("text", "symbol", "route"),
    [
        ("CAT", "CAT", "current"),
        ("IL-2", "IL2", "current"),
        ("CTLA-4", "CTLA4", "current"),
        ("SEPT7", "SEPTIN7", "previous"),
        ("MARCH1", "MARCHF1", "previous"),
        ("CD20", "MS4A1", "previous"),
        ("A1S9T", "UBA1", "previous"),
        ("p53", "TP53", "alias"),
        ("NKG2D", "KLRK1", "alias"),
        ("TNF-α", "TNF", "alias"),
        ("c-kit", "KIT", "alias"),
        ("Granzyme B", "GZMB", "name"),
        ("IFN-γ", "IFNG", "current"),
    ],
)
def test_routes(text: str, symbol: str, route: str) -> None:
    first = resolve_gene(text)[0]
    assert (first.symbol, first.route) == (symbol, route)
    assert find_gene(text).symbol == symbol


def test_a_current_symbol_is_never_overruled_by_an_alias() -> None:
    """Hundreds of current symbols are also an old name of another gene."""
    with genetable.connection() as db:
        both = [
            row[0]
            for row in db.execute(
                "SELECT DISTINCT a.text FROM name a JOIN name b ON a.text = b.text "
                "WHERE a.route = 'current' AND b.route IN ('alias', 'previous') "
                "AND a.species = 'human' AND b.species = 'human' AND a.gene != b.gene"
            )
        ]
    assert len(both) > 500
    for text in both:
        assert symbols(text) == [text]


def test_an_exact_spelling_beats_a_respelled_one() -> None:
    """PD-1 is PDCD1's alias as written; SNCA and SPATA2 are called PD1."""
    assert symbols("PD-1")[0] == "PDCD1"
    assert find_gene("PD-1").symbol == "PDCD1"
    with pytest.raises(BadInput, match=r"FCGR3A \(HGNC:3619\), FCGR3B \(HGNC:3620\)"):
        find_gene("CD16")


def test_mouse() -> None:
    assert find_gene("Cd8a", "mouse").id == "MGI:88346"
    assert find_gene("Ly-2", "mouse").symbol == "Cd8a"
    assert find_gene("ENSMUSG00000053977.12").id == "MGI:88346"  # an id speaks for itself
    assert find_gene("MGI:88346").species == "mouse"
    assert symbols("Ly-2") == []


def test_by_id() -> None:
    gene = gene_by_id("HGNC:1706")
    assert gene is not None
    assert gene.symbol == "CD8A"
    assert gene_by_id("HGNC:999999999") is None
    assert resolve_gene("HGNC:999999999") == ()
    assert resolve_gene("ENSG00000000000") == ()


def test_table_counts() -> None:
    """Counted in the pinned tables."""
    lines = sources.path("mgi").read_text(encoding="utf-8").splitlines()
    mouse = len({line.partition("\t")[0] for line in lines[1:]})
    with genetable.connection() as db:
        rows = db.execute("SELECT count(*) FROM gene WHERE id LIKE 'HGNC:%'").fetchone()
        assert rows == (43_837,)
        assert db.execute("SELECT count(*) FROM gene WHERE id LIKE 'MGI:%'").fetchone() == (mouse,)
        # Every approved symbol leads to its own gene, and no name to a gene that is not there.
        assert db.execute(
            "SELECT count(*) FROM name LEFT JOIN gene ON gene.row = name.gene "
            "WHERE gene.row IS NULL OR gene.species != name.species"
        ).fetchone() == (0,)
        assert db.execute(
            "SELECT count(*) FROM gene LEFT JOIN name ON name.gene = gene.row "
            "AND name.route = 'current' AND name.text = gene.symbol "
            "WHERE gene.id LIKE 'HGNC:%' AND name.gene IS NULL"
        ).fetchone() == (0,)


def test_the_table_is_rebuilt_when_it_is_broken() -> None:
    from data import locations

    file = locations.graph() / "genes.sqlite"
    find_gene("CD8A")
    whole = file.read_bytes()
    try:
        file.write_bytes(b"no database")
        assert find_gene("CD8A").id == "HGNC:1706"
        assert file.stat().st_size > 1_000_000
        assert not list(file.parent.glob("*.part"))
    finally:
        file.write_bytes(whole)


def test_missing_tables_are_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from data.errors import AssetMissing

    monkeypatch.setenv("CELLOQUY_HOME", str(tmp_path_factory.mktemp("empty")))
    with pytest.raises(AssetMissing, match="celloquy data fetch"):
        find_gene("CD8A")


def test_keys() -> None:
    assert genetable.dashed("HLA.DRA") == "hla-dra"
    assert genetable.dashed("  a__b ") == "a-b"
    assert genetable.squashed("NKX2-1") == "nkx21"
    assert genetable.squashed("IL‑2") == "il2"  # a hyphen that does not break
    assert genetable.squashed("TGF-β1") == "tgfbeta1"
