"""Gene texts and the cells made of them: weights by hand, ties, order, what is kept and resumed."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from data.errors import BadFile, BadInput
from encoders import genept, genetexts, textstore
from encoders.genept import Centring, GeneVectors
from encoders.genetexts import GeneText

ROOT = Path(__file__).parents[2]
GENES = ("CD8A", "FLG", "GFAP")
TABLE = GeneVectors(GENES, np.eye(3, dtype=np.float32), missing=("XYZ",))


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, encoders.genept, encoders.textstore; "
        "print({'torch', 'sentence_transformers', 'pandas', 'networkx'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "set()"


class TestCells:
    def test_weights_by_hand(self) -> None:
        # One cell has 3 of CD8A and 4 of FLG: (3, 4, 0) / 7 is (.6, .8, 0) as a unit vector.
        values = sp.csr_array(np.array([[3.0, 4.0, 9.0], [0, 0, 1.0]], dtype=np.float32))
        vectors = genept.cell_vectors(values, ["CD8A", "FLG", "XYZ"], TABLE)
        assert vectors == pytest.approx(np.array([[0.6, 0.8, 0], [0, 0, 0]]))

    def test_only_the_highest_count_and_ties_go_by_name(self) -> None:
        values = sp.csr_array(np.array([[2.0, 5.0, 2.0]]))
        vectors = genept.cell_vectors(values, ["GFAP", "FLG", "CD8A"], TABLE, top=2)
        assert vectors == pytest.approx(np.array([[2, 5, 0]]) / np.sqrt(29))

    @given(st.integers(0, 2**32 - 1))
    def test_neither_order_nor_format_nor_the_block_counts(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        values = random.poisson(1.0, (5, 3)).astype(np.float32)
        one = genept.cell_vectors(sp.csr_array(values), GENES, TABLE, top=2)
        cells, genes = random.permutation(5), random.permutation(3)
        other = genept.cell_vectors(
            sp.csc_matrix(values[cells][:, genes]), [GENES[i] for i in genes], TABLE, top=2
        )
        assert other == pytest.approx(one[cells], abs=1e-6)
        alone = genept.cell_vectors(sp.csr_array(values[:1]), GENES, TABLE, top=2)
        assert alone == pytest.approx(one[:1], abs=1e-6)

    def test_sentences_by_falling_expression(self) -> None:
        values = sp.csr_array(np.array([[1.0, 3.0, 1.0], [0, 0, 0]]))
        first, empty = genept.cell_sentences(values, ["FLG", "GFAP", "CD8A"], top=2)
        assert first == "A cell with genes ranked by expression: GFAP CD8A"
        assert empty.split(":")[1].strip() == ""

    def test_names_that_do_not_fit_the_matrix_are_refused(self) -> None:
        with pytest.raises(BadInput, match="3 columns of expression were given 2 gene names"):
            genept.cell_vectors(sp.csr_array(np.ones((1, 3))), ["CD8A", "FLG"], TABLE)
        with pytest.raises(BadInput, match="one row a gene"):
            GeneVectors(("CD8A",), np.ones((2, 3), dtype=np.float32))


class TestCentring:
    def test_takes_away_what_is_shared(self) -> None:
        cells = np.array([[1, 1.0, 0], [1, -1.0, 0]], dtype=np.float32)
        centred = Centring.fit(cells)(cells)
        assert centred == pytest.approx(np.array([[0, 1, 0], [0, -1, 0]]))
        assert not Centring.fit(cells)(np.zeros((1, 3), dtype=np.float32)).any()

    def test_whitened_directions_weigh_alike(self) -> None:
        random = np.random.default_rng(0)
        cells = (random.standard_normal((4000, 3)) * [10, 1, 0.1]).astype(np.float32)
        centring = Centring.fit(cells, whiten=True, shrink=0.0)
        moved = (cells - centring.mean) @ centring.turn
        assert np.cov(moved.T) == pytest.approx(np.eye(3), abs=1e-3)


class TestControls:
    def test_random_vectors_belong_to_the_symbol(self) -> None:
        a, again = genept.random_like(TABLE, 1), genept.random_like(TABLE, 1)
        fewer = genept.random_like(GeneVectors(("GFAP",), np.eye(1, 3, dtype=np.float32)), 1)
        assert a.values == pytest.approx(again.values)
        assert fewer.values[0] == pytest.approx(a.values[2])
        assert np.linalg.norm(a.values, axis=1) == pytest.approx(np.ones(3))
        assert not np.allclose(a.values, genept.random_like(TABLE, 2).values)

    def test_permuted_vectors_are_the_same_ones(self) -> None:
        found = genept.permuted(TABLE, 3)
        assert sorted(map(tuple, found.values)) == sorted(map(tuple, TABLE.values))
        assert found.genes == TABLE.genes
        assert "permuted" in found.encoder


class Little:
    """An encoder that counts what it is asked to do."""

    precision, dimension, fingerprint = "float32", 4, "little"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails_after = 10**9

    def encode(self, texts: list[str]) -> np.ndarray:
        if len(self.asked) + len(texts) > self.fails_after:
            raise KeyboardInterrupt
        self.asked += texts
        rows = np.array([[len(t), t.count("a"), t.count("b"), 1.0] for t in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class TestStore:
    @pytest.fixture
    def little(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Little:
        pytest.importorskip("safetensors")
        little = Little()
        monkeypatch.setenv("CELLOQUY_HOME", str(tmp_path))
        monkeypatch.setattr(textstore.text, "load", lambda name: little)
        monkeypatch.setattr(textstore, "CHUNK", 4)
        return little

    def test_a_text_is_embedded_once(self, little: Little) -> None:
        some = ["a", "b", "ab", "a"]
        first = textstore.TextStore.of("little").vectors(some)
        assert sorted(little.asked) == ["a", "ab", "b"]
        again = textstore.TextStore.of("little").vectors([*some, "bb"])
        assert sorted(little.asked) == ["a", "ab", "b", "bb"]
        assert (again[:4] == first).all()
        assert np.linalg.norm(again, axis=1) == pytest.approx(np.ones(5))

    def test_an_interrupted_run_goes_on(self, little: Little) -> None:
        some = [f"{'a' * i}b" for i in range(10)]
        little.fails_after = 9
        with pytest.raises(KeyboardInterrupt):
            textstore.TextStore.of("little").vectors(some)
        assert len(little.asked) == 8  # two files of four
        little.fails_after = 10**9
        vectors = textstore.TextStore.of("little").vectors(some)
        assert sorted(little.asked) == sorted(some)
        expected = Little().encode(some)
        assert vectors == pytest.approx(expected, abs=2e-3)

    def test_a_broken_file_is_named(self, little: Little) -> None:
        store = textstore.TextStore.of("little")
        store.vectors(["a"])
        (store.folder / "broken.safetensors").write_bytes(b"no")
        with pytest.raises(BadFile, match=r"broken\.safetensors.*remove it"):
            store.vectors(["a"])

    def test_nothing_asked_is_nothing_made(self, little: Little) -> None:
        assert textstore.TextStore.of("little").vectors([]).shape == (0, 4)
        assert not little.asked


@pytest.mark.assets
class TestTexts:
    def test_what_a_text_says(self) -> None:
        said = genetexts.texts(["CD8A", "MALAT1", "NO_SUCH_GENE"])
        assert set(said) == {"CD8A"}
        text = said["CD8A"]
        assert text.startswith("CD8A: CD8 subunit alpha. Also called p32, CD8alpha.")
        assert "T cell mediated immunity" in text
        assert "protein binding" not in text.replace("MHC class I protein binding", "")
        # The definition of a term stands with it.
        assert "carrying out of an immune response by a T cell" in text

    def test_coding_genes(self) -> None:
        coding = genetexts.coding_genes()
        assert {"CD8A", "TRAC", "IGHM"} <= set(coding)
        assert "MALAT1" not in coding
        assert 19_000 < len(coding) < 21_000

    def test_a_users_summaries(self, tmp_path: Path) -> None:
        path = tmp_path / "own.tsv.gz"
        with gzip.open(path, "wt") as file:
            file.write("Taxon_ID\tGene_ID\tGene_summary\n9606\t925\tTells killers apart.\n")
            file.write("10090\t925\tAnother species.\n")
        said = genetexts.texts(["CD8A"], GeneText(summaries=path))["CD8A"]
        assert "Tells killers apart." in said and "Another species" not in said
        other = tmp_path / "other.tsv"
        other.write_text("a\tb\n1\t2\n")
        with pytest.raises(BadFile, match="expected a table with tabs"):
            genetexts.texts(["CD8A"], GeneText(summaries=other))
        with pytest.raises(BadFile, match="cannot be read"):
            genetexts.texts(["CD8A"], GeneText(summaries=tmp_path / "absent.tsv"))

    @pytest.mark.shared
    def test_refseq_summaries(self, shared_data: Path) -> None:
        path = shared_data / "genes" / "refseq_gene_summaries_human_mouse.tsv.gz"
        said = genetexts.texts(["CD8A"], GeneText(summaries=path))["CD8A"]
        assert "cell surface glycoprotein" in said
        assert len(said.split()) < 180

    @pytest.mark.models
    def test_like_genes_are_near(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("sentence_transformers")
        found = genept.vectors(["CD8A", "CD8B", "FLG", "NO_SUCH_GENE"])
        assert found.missing == ("NO_SUCH_GENE",)
        assert found.coverage == 0.75
        a, b, c = found.values
        assert a @ b > a @ c + 0.2
