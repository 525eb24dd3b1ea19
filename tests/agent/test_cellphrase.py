"""Free text to cells: what phrases are read as, which cells come first, files, refusals."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from agent.annotation.annotate import knowledge
from agent.attached.cellphrase import column_name, find_cells, read_phrase
from agent.attached.misspelt import respelt, unknown
from agent.cli.cells import _table
from agent.cli.main import run
from data import sources
from data.errors import BadInput
from data.h5ad import open_cells

anndata = pytest.importorskip("anndata")
pytestmark = pytest.mark.assets


@pytest.fixture(scope="module")
def pbmc():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the file is of an old layout
        whole = anndata.read_h5ad(sources.path("pbmc68k"))
    found = whole.raw.to_adata()
    return found[::2].copy()


@pytest.mark.parametrize(
    ("phrase", "term", "genes"),
    [
        ("CD14+ Mono", "CL:0001054", ()),
        ("DC", "CL:0000451", ()),
        ("FOXP3+ T cell", "CL:0000084", ("FOXP3",)),
        ("CL:0000236", "CL:0000236", ()),
    ],
)
def test_a_phrase_is_read_as_a_term_with_the_genes_that_it_does_not_cover(phrase, term, genes):
    found = read_phrase(phrase, knowledge())
    assert (found.how, found.wanted.terms[0][0], found.genes) == ("term", term, genes)


def test_a_gene_that_is_sought_is_not_said_to_be_left_out(pbmc):
    found = read_phrase("FOXP3+ regulatory T cells", knowledge())
    assert found.genes == ("FOXP3",)
    assert "left out" not in found.notice
    with open_cells(pbmc) as cells:
        used = find_cells(cells, "GNLY+ natural killer cells", known=knowledge()).used
    assert len(used) == len(set(used))
    assert "GNLY" in used


@pytest.mark.models
def test_a_guess_at_words_is_told_beside_the_table(pbmc):
    with open_cells(pbmc) as cells:
        guess = find_cells(cells, "cells with high mitochondrial content", known=knowledge())
        read = find_cells(cells, "B cell", known=knowledge())
    (caution,) = guess.cautions
    assert "no cell type is called so" in caution
    assert guess.document()["cautions"] == [caution]
    assert f"caution: {caution}" in _table(guess)
    assert read.cautions == ()
    assert "caution" not in _table(read)


def test_a_gene_alone_is_a_phrase():
    found = read_phrase("GNLY high cells", knowledge())
    assert (found.how, found.genes) == ("genes", ("GNLY",))


def test_a_misspelt_phrase_is_put_right_and_says_so():
    found = read_phrase("microglya", knowledge())
    assert found.wanted.terms[0][0] == "CL:0000129"
    assert "is read as 'microglia'" in found.notice


@pytest.mark.parametrize(
    ("phrase", "term", "read"),
    [
        ("natral kiler cell", "CL:0000623", "natural killer cell"),
        ("dendritc sell", "CL:0000451", "dendritic cell"),
        ("clasical monocite", "CL:0000860", "classical monocyte"),
        ("kupfer cells", "CL:0000091", "kupffer cell"),
    ],
)
def test_several_misspelt_words_are_put_right_where_the_whole_is_a_name(phrase, term, read):
    found = read_phrase(phrase, knowledge())
    assert (found.how, found.wanted.terms[0][0]) == ("term", term)
    assert found.read.lower() == read
    assert f"read as {read!r}" in found.notice.lower()


def test_words_that_are_spelt_right_are_left_alone():
    graph = knowledge().graph
    for phrase in ("natural killer cell", "cells that present antigen", "B cell", "bone marrow"):
        assert respelt(phrase, graph) is None
    assert unknown("asdf qwer cell", graph, lambda word: False) == (("asdf", "qwer"), True)
    assert unknown("asdf B cell", graph, lambda word: False) == (("asdf",), False)


@pytest.mark.parametrize("phrase", ["not B cells", "everything except T cells", "no monocytes"])
def test_what_cells_are_not_is_refused(phrase):
    with pytest.raises(BadInput, match="says what cells are not"):
        read_phrase(phrase, knowledge())


@pytest.mark.parametrize("phrase", ["", "  ", "???"])
def test_nothing_is_refused(phrase):
    with pytest.raises(BadInput, match="says nothing"):
        read_phrase(phrase, knowledge())


@pytest.mark.models
@pytest.mark.slow
def test_other_words_are_read_by_their_nearness_and_nonsense_is_refused():
    found = read_phrase("cells that present antigen", knowledge())
    assert found.how == "text"
    labels = [knowledge().hierarchy.labels[knowledge().hierarchy.index(i)]
              for i, _ in found.wanted.terms]  # fmt: skip
    assert any("antigen presenting" in label for label in labels)
    assert "no cell type is called so" in found.notice
    for nonsense, why in (("purple elephant", "nearest name"), ("asdf qwer", "no known word")):
        with pytest.raises(BadInput, match=f"describes no cells.*{why}"):
            read_phrase(nonsense, knowledge())


@pytest.mark.parametrize(
    ("phrase", "label"), [("B cell", "CD19+ B"), ("natural killer cell", "CD56+ NK")]
)
def test_the_cells_of_a_phrase_come_first(pbmc, phrase, label):
    with open_cells(pbmc) as cells:
        found = find_cells(cells, phrase, known=knowledge())
    mine = (pbmc.obs["bulk_labels"] == label).to_numpy()
    first = np.argsort(-found.score)[: mine.sum()]
    assert mine[first].mean() > 0.7
    assert found.likeness[mine].mean() > found.likeness[~mine].mean()


def test_neither_order_nor_blocks_matter(pbmc):
    order = np.random.default_rng(0).permutation(pbmc.n_obs)
    with open_cells(pbmc) as cells:
        expected = find_cells(cells, "T cell", known=knowledge())
    with open_cells(pbmc[order].copy()) as cells:
        found = find_cells(cells, "T cell", known=knowledge(), block=31)
    np.testing.assert_allclose(found.score, expected.score[order], atol=1e-6)


def test_the_command_writes_columns_and_a_document(pbmc, tmp_path, capsys):
    path = tmp_path / "in.h5ad"
    pbmc.write_h5ad(path)
    arguments = ["cells", "B cell", "--h5ad", str(path)]
    assert run([*arguments, "-o", str(tmp_path / "out.h5ad"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["scores"]) == document["n_cells"] == pbmc.n_obs
    assert document["terms"][0]["id"] == "CL:0000236"
    assert document["top"][0]["score"] == max(document["scores"])
    written = anndata.read_h5ad(tmp_path / "out.h5ad")
    assert written.obs["celloquy_b_cell"].max() == pytest.approx(document["top"][0]["score"], 1e-3)
    assert written.obs["celloquy_b_cell_likeness"].between(0, 1).all()
    assert run(arguments) == 0
    assert "read as B cell (CL:0000236)" in capsys.readouterr().out
    misspelt = ["cells", "natral kiler cell", "--h5ad", str(path), "--json"]
    assert run(misspelt) == 0
    said = capsys.readouterr()
    assert "read as 'natural killer cell'" in said.err
    assert json.loads(said.out)["notice"] == "read as 'natural killer cell'"
    assert json.loads(said.out)["phrase"] == "natral kiler cell"
    for wrong in (
        [*arguments, "-o", str(path)],
        [*arguments, "-o", str(tmp_path / "out.txt")],
        ["cells", "B cell", "--h5ad", str(tmp_path / "none.h5ad")],
        ["cells", "?", "--h5ad", str(path)],
    ):
        assert run(wrong) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "Traceback" not in error


def test_names_of_columns():
    assert column_name("CD14+ Mono") == "celloquy_cd14_mono"
    assert column_name("?") == "celloquy_phrase"
