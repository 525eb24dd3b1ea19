"""The gene names of whole datasets: species, routes, refusals, golden counts."""

from __future__ import annotations

import csv
import gzip
import random

import h5py
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import sources
from data.errors import BadInput
from data.genes import Harmonised, harmonise, resolve_gene, suggest_genes
from data.harmonise import expect_species

pytestmark = pytest.mark.assets

MAPPED = {"current", "previous", "alias", "ensembl", "entrez", "repeat"}
HUMAN = ["CD8A", "CD4", "MS4A1", "GNLY", "NKG7", "LYZ", "FCGR3A", "PPBP", "CST3", "CCR7"]
MOUSE = ["Cd8a", "Cd4", "Ms4a1", "Nkg7", "Lyz2", "Fcgr4", "Ppbp", "Cst3", "Ccr7", "Foxp3"]


def route(found: Harmonised, place: int) -> tuple[str, str]:
    column = found.column[place]
    return found.routes[place], found.symbols[column] if column >= 0 else ""


def test_pbmc68k_reduced() -> None:
    """65 of its 765 genes are not current symbols: 51 are previous ones, 3 aliases, 11 unknown."""
    with h5py.File(sources.path("pbmc68k")) as file:
        names = [name.decode() for name in file["var"]["index"]]
    found = harmonise(names)
    assert found.species == "human"
    assert found.by_route == {"current": 700, "previous": 51, "unknown": 11, "alias": 3}
    assert route(found, names.index("ATP5B")) == ("previous", "ATP5F1B")
    assert route(found, names.index("SELT")) == ("alias", "SELENOT")
    assert "TMBIM4-1" in found.unknown
    assert found.coverage == pytest.approx(754 / 765)
    assert len(found.symbols) == len(set(found.symbols)) == 754
    assert list(found.symbols) == sorted(found.symbols)
    assert "98.6% of 765 human names reached a current human symbol" in found.report()
    assert found.releases["HGNC"] == "2024-02"


def test_order_decides_nothing() -> None:
    names = [*HUMAN, "MARCH1", "SEPT7", "QARS", "EPRS", "MUM1", "STRA13", "RP11-1.1", "PHB"]
    first = harmonise(names)
    for seed in range(5):
        order = list(range(len(names)))
        random.Random(seed).shuffle(order)
        other = harmonise([names[i] for i in order])
        assert other.symbols == first.symbols
        assert [other.routes[order.index(i)] for i in range(len(names))] == list(first.routes)
        assert [other.column[order.index(i)] for i in range(len(names))] == list(first.column)
        assert other.ambiguous == first.ambiguous


def test_ensembl_ids_lose_their_version() -> None:
    ids = ["ENSG00000153563.16", "ENSG00000010610", "ENSG00000156738.18", "ENSG00000115523"]
    found = harmonise(ids)
    assert found.symbols == ("CD4", "CD8A", "GNLY", "MS4A1")
    assert found.routes == ("ensembl",) * 4
    assert harmonise([f"GRCh38_{i}" for i in ids]).symbols == found.symbols
    assert harmonise([f"x_{i}" for i in ids]).symbols == found.symbols  # id beside another name


def test_every_gencode_id_is_known() -> None:
    with gzip.open(sources.path("gencode-human"), "rt") as file:
        ids = [line[0] for line in csv.reader(file)]
    found = harmonise(ids)
    assert set(found.routes) == {"ensembl"}
    assert found.coverage == 1
    assert found.symbols.count("CD8A") == 1


def test_mouse_is_found_by_itself() -> None:
    found = harmonise(MOUSE)
    assert found.species == "mouse"
    assert set(found.routes) == {"orthologue"}
    assert {"CD8A", "CD4", "MS4A1", "FOXP3", "LYZ", "CCR7"} <= set(found.symbols)
    ids = harmonise(["ENSMUSG00000053977.12", "ENSMUSG00000023274", "ENSMUSG00000024673"])
    assert ids.species == "mouse"
    assert ids.symbols == ("CD4", "CD8A", "MS4A1")


def test_mouse_genes_that_meet_are_named() -> None:
    found = harmonise([*MOUSE, "Ins1", "Ins2", "Gm10073", "Ly6c2"])
    assert found.merged["INS"] == ("Ins1", "Ins2")
    assert route(found, 12) == ("no_orthologue", "")
    assert route(found, 13) == ("no_orthologue", "")  # LY6H by two predictors of twelve


def test_species_can_be_named() -> None:
    upper = [name.upper() for name in MOUSE]
    assert harmonise(upper).species == "human"
    assert harmonise(upper, species="mouse").species == "mouse"
    lower = [name.lower() for name in HUMAN]
    assert harmonise(lower, species="human").symbols == tuple(sorted(HUMAN))
    with pytest.raises(BadInput, match="species 'rat' is not known; expected human or mouse"):
        harmonise(HUMAN, species="rat")  # type: ignore[arg-type]


def test_a_species_that_the_names_are_not_of_is_refused() -> None:
    with pytest.raises(BadInput, match=r"but 1 of 10 .* human ones only \(GNLY\).* name human"):
        expect_species(HUMAN, None, "mouse")
    with pytest.raises(BadInput, match="given as human"):
        expect_species(MOUSE, None, "human")
    with pytest.raises(BadInput, match="given as mouse"):
        expect_species([f"ENSG{i:011d}" for i in (153563, 10610, 156738)], None, "mouse")
    # How names are written does not matter, and both species are allowed where both are there.
    for names, species in (
        (HUMAN, "human"),
        (MOUSE, "mouse"),
        ([name.upper() for name in MOUSE], "mouse"),
        ([name.lower() for name in HUMAN], "human"),
        (["CD8A", "CD4", "MS4A1"], "mouse"),
        ([f"GRCh38_{name}" for name in HUMAN] + [f"mm10___{name}" for name in MOUSE], "mouse"),
        (["x1", "x2"], "mouse"),
    ):
        expect_species(names, None, species)  # type: ignore[arg-type]


def test_a_better_column_leads_and_others_fill_gaps() -> None:
    names = [f"gene_{i}" for i in range(10)]
    ids = ["ENSG00000153563", "ENSG00000010610", *["nan"] * 8]
    found = harmonise(names, {"gene_ids": ids, "feature_name": HUMAN, "n_cells": ["1"] * 10})
    assert found.used[0] == "var['feature_name']"
    assert found.symbols == tuple(sorted(HUMAN))
    mixed = [*HUMAN[:6], "?", "?", "?", "?"]
    found = harmonise(mixed, {"gene_ids": [*["nan"] * 6, "ENSG00000163736", "x", "y", "z"]})
    assert found.used == ("var names", "var['gene_ids']")
    assert route(found, 6) == ("ensembl", "PPBP")


def test_ncbi_ids() -> None:
    found = harmonise([*HUMAN, "LOC925", "GeneID:920"])
    assert route(found, 10) == ("entrez", "CD8A")
    assert route(found, 11) == ("entrez", "CD4")
    assert found.merged == {"CD8A": ("CD8A", "LOC925"), "CD4": ("CD4", "GeneID:920")}


def test_plain_numbers_are_ids_only_where_a_title_says_so() -> None:
    numbers = ["925", "920", "931", "10578"]
    found = harmonise([f"row_{i}" for i in range(4)], {"entrez_gene_id": numbers}, "human")
    assert found.symbols == ("CD4", "CD8A", "GNLY", "MS4A1")
    with pytest.raises(BadInput, match="only 0 of 4 names"):
        harmonise([f"row_{i}" for i in range(4)], {"gene_id": numbers})


def test_suffixes_and_spellings() -> None:
    names = [*HUMAN, "HLA-A", "CD4-1", "LYZ.2", "HLA.DRA", "GNLY__chr2", "CD8-1", "c9orf142"]
    found = harmonise(names)
    assert route(found, 11) == ("repeat", "CD4")
    assert route(found, 12) == ("repeat", "LYZ")
    assert route(found, 13) == ("current", "HLA-DRA")
    assert route(found, 14) == ("repeat", "GNLY")
    assert route(found, 15) == ("unknown", "")  # no CD8 here that it could repeat, and not CD81
    assert route(found, 16) == ("previous", "PAXX")


def test_names_that_several_genes_had() -> None:
    """EPRS1 and QARS1 were both called QARS; where EPRS1 is settled, QARS1 is meant."""
    alone = harmonise([*HUMAN, "QARS"])
    assert route(alone, 10) == ("ambiguous", "")
    assert alone.ambiguous == {"QARS": ("EPRS1", "QARS1")}
    assert "QARS: EPRS1/QARS1" in alone.report()
    settled = harmonise([*HUMAN, "QARS", "EPRS1"])
    assert route(settled, 10) == ("previous", "QARS1")
    assert settled.ambiguous == {}


def test_an_alias_of_a_gene_that_is_there_is_another_gene() -> None:
    assert route(harmonise([*HUMAN, "NKG2D"]), 10) == ("alias", "KLRK1")
    both = harmonise([*HUMAN, "NKG2D", "KLRK1"])
    assert route(both, 10) == ("shadowed", "")
    assert both.merged == {}


def test_genes_that_meet() -> None:
    found = harmonise([*HUMAN, "ATP5B", "ATP5F1B"])
    assert found.column[10] == found.column[11]
    assert found.merged == {"ATP5F1B": ("ATP5B", "ATP5F1B")}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "has no genes"),
        ([f"ENSRNOG{i:011d}" for i in range(20)], "ids of rat, such as 'ENSRNOG00000000000'"),
        ([f"ENSDARG{i:011d}" for i in range(20)], "ids of zebrafish"),
        (["AAACCTGAGAAACCAT-1", "AAACCTGAGAAACCGC-1"] * 5, "is the matrix transposed"),
        ([f"ENST{i:011d}.2" for i in range(20)], "they are transcripts"),
        ([str(i) for i in range(500)], "they are plain numbers"),
        ([f"region{i}" for i in range(20)], "only 0 of 20 names are human or mouse genes"),
        ([name.lower() for name in HUMAN], "only 0 of 10 names are human or mouse"),
        ([*HUMAN, *[f"odd{i}" for i in range(20)]], "only 10 of 30 names are known human genes"),
        ([*HUMAN, *MOUSE], "expected one species"),
    ],
)
def test_refusals(names: list[str], words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        harmonise(names)
    assert "\n" not in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(
    odd=st.lists(
        st.text(max_size=12) | st.from_regex(r"[A-Z0-9.\-_]{1,9}", fullmatch=True), max_size=9
    )
)
def test_any_text_is_a_name_or_refused(odd: list[str]) -> None:
    found = harmonise([*HUMAN, *odd], species="human")
    assert len(found.column) == len(found.routes) == len(HUMAN) + len(odd)
    assert all(
        (place >= 0) == (r in MAPPED) for place, r in zip(found.column, found.routes, strict=True)
    )
    assert set(found.column) - {-1} == set(range(len(found.symbols)))
    assert len(found.ids) == len(set(found.ids)) == len(found.symbols)
    for name in odd:
        for candidate in resolve_gene(name):
            assert 0 < candidate.score <= 1


def test_halves_of_characters_are_no_names() -> None:
    assert route(harmonise([*HUMAN, "CD8A\udcff"]), 10)[0] == "unknown"
    assert resolve_gene("\udcff") == ()
    assert suggest_genes("\ud800CTLA4")[0] == "CTLA4"


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "species", "coverage"),
    [
        ("cells/pbmc3k_clustifyr_2638x2000_lognorm", "human", 0.95),
        ("cells/tcells_wu2020_200x30727_counts", "human", 0.85),
        ("cells/liver_he2020_20cells_counts", "human", 0.88),
        ("cells/cxg_mouse_brain_merfish_1000", "mouse", 0.96),
        ("perturbation/papalexi2021_eccite_thp1_crisprko_dev_counts", "human", 0.89),
        ("perturbation/perturbench_norman19_mcfaline23_5961x500_lognorm", "human", 0.99),
        ("images/squidpy_visium_hne_crop_49spots", "mouse", 0.87),
    ],
)
def test_development_data(shared_data, name: str, species: str, coverage: float) -> None:  # type: ignore[no-untyped-def]
    from data.h5ad import open_cells

    with open_cells(shared_data / f"{name}.h5ad") as cells:
        ours = cells.harmonised()
    found = ours.harmonisation
    assert found is not None
    assert found.species == species
    assert coverage <= found.coverage < coverage + 0.011
    assert ours.genes == found.symbols
    assert found.report() in ours.notices


def test_columns_that_meet_are_summed_in_count_space() -> None:
    import anndata
    import numpy as np
    import pandas as pd
    import scipy.sparse as sp

    from data.h5ad import open_cells

    names = [*HUMAN, "ATP5B", "ATP5F1B", "RP11-1.1"]
    counts = np.random.default_rng(0).poisson(3.0, (25, 13))
    expected = np.zeros((25, 11))
    order = sorted([*HUMAN, "ATP5F1B"])
    for i, name in enumerate([*HUMAN, "ATP5F1B", "ATP5F1B"]):
        expected[:, order.index(name)] += counts[:, i]
    expected = np.log1p(expected / counts.sum(axis=1, keepdims=True) * 1e4)
    logs = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    for values in (counts, logs):
        adata = anndata.AnnData(sp.csr_matrix(values), var=pd.DataFrame(index=names))
        cells = open_cells(adata).harmonised()
        assert cells.genes == tuple(order)
        found = np.vstack([b.values.toarray() for b in cells.blocks(7)])
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
