"""One form for all channels and one test that each passes: names, duplicates, NaN, species."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.errors import BadFile, BadInput
from encoders.genetokens.channels import _MADE, LEARNT, SHIPPED, learnt, read_regulation, shipped
from encoders.genetokens.knowledge import (
    WIDTH,
    Channel,
    Knowledge,
    channel,
    compressed,
    permuted,
    random_like,
    read_channel,
)

pytestmark = pytest.mark.assets  # names are read with the pinned gene tables

GENES = ("CD3D", "CD3E", "CD79A", "MS4A1", "LYZ", "NKG7", "GNLY", "TBX21", "SPI1", "PAX5")


def cells() -> tuple[np.ndarray, tuple[str, ...]]:
    """Sixty cells of two kinds: T genes go together, B genes go together."""
    rng = np.random.default_rng(0)
    kind = np.arange(60) % 2
    t = np.isin(GENES, ("CD3D", "CD3E", "NKG7", "GNLY", "TBX21"))
    rate = np.where(kind[:, None] == 0, np.where(t, 4.0, 0.3), np.where(t, 0.3, 4.0))
    return np.log1p(rng.poisson(rate)).astype(np.float32), GENES


def _table(tmp_path: Path) -> Channel:
    path = tmp_path / "promoter.tsv"
    rows = [f"{gene}\t{i}\t{i * i}" for i, gene in enumerate(GENES)]
    path.write_text("\n".join(["gene\ta\tb", *rows]) + "\n", encoding="utf-8")
    return read_channel(path)


def _regulation(tmp_path: Path) -> Channel:
    path = tmp_path / "targets.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as handle:
        handle.write("source,target,weight\nTBX21,NKG7,1\nTBX21,GNLY,1\nPAX5,CD79A,1\n"
                     "PAX5,MS4A1,-1\nSPI1,LYZ,1\nSPI1,CD79A,1\n")  # fmt: skip
    return read_regulation(path)


def _learnt(name: str) -> Callable[[Path], Channel]:
    def made(tmp_path: Path) -> Channel:
        import scipy.sparse as sp

        values, genes = cells()
        return learnt([(sp.csr_array(values), genes)], [name])[0]

    return made


def _shipped(name: str) -> Callable[[Path], Channel]:
    return lambda tmp_path: shipped([name])[0]


def _few_texts(tmp_path: Path) -> Channel:
    """The texts of a few genes: those of all coding genes take minutes where none is kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("encoders.genept.coding_genes", lambda: GENES)
        return _MADE["text"](None)


MAKERS: dict[str, Callable[[Path], Channel]] = {
    **{name: _shipped(name) for name in SHIPPED if name not in ("regulation", "text")},
    "text": _few_texts,
    **{name: _learnt(name) for name in LEARNT},
    "regulation": _regulation,
    "promoter": _table,
}


@pytest.mark.models
@pytest.mark.parametrize("name", MAKERS)
def test_every_channel_conforms(name: str, tmp_path: Path) -> None:
    """The conformance test of channels: what Knowledge and its controls rely on."""
    conforms(MAKERS[name](tmp_path), name)


@pytest.mark.slow
@pytest.mark.models
def test_the_texts_of_all_genes_conform() -> None:
    conforms(shipped(["text"])[0], "text")


def conforms(found: Channel, name: str) -> None:
    from data.harmonise import harmonise

    assert found.name == name
    assert found.values.shape == (len(found.genes), found.width)
    assert found.values.dtype == np.float32 and np.isfinite(found.values).all()
    assert len(set(found.genes)) == len(found.genes), "each gene once"
    some = [gene for gene in GENES if gene in set(found.genes)]
    assert len(some) >= 2
    assert list(harmonise(some, species="human").symbols) == sorted(some), "current symbols"
    assert found.values.std(axis=0).max() > 0, "genes differ"
    for control in (random_like(found), permuted(found)):
        assert control.genes == found.genes and control.values.shape == found.values.shape
        assert not np.array_equal(control.values, found.values)
        size, own = np.square(control.values).mean(), np.square(found.values).mean()
        assert size == pytest.approx(own, rel=0.5)
    small = Knowledge.of([found], ["NOT A GENE"])
    assert not small.known[name][small.genes.index("NOT A GENE")]
    assert not small.values[name][small.genes.index("NOT A GENE")].any()
    assert small.values[name].shape[1] <= WIDTH
    where = [small.genes.index(gene) for gene in some]
    assert small.known[name][where].all()


def test_mouse_genes_are_their_human_orthologues() -> None:
    values = np.eye(4, dtype=np.float32)
    found = channel("x", ["Cd3d", "Cd79a", "Ms4a1", "Lyz2"], values)
    assert {"CD3D", "CD79A", "MS4A1"} <= set(found.genes)
    assert np.array_equal(found.values[found.genes.index("CD3D")], values[0])
    assert "mouse" in found.notes[0]


def test_aliases_and_ensembl_ids_become_current_symbols() -> None:
    found = channel("x", ["ENSG00000167286", "MS4A1", "CD79A"], np.eye(3))
    assert set(found.genes) == {"CD3D", "MS4A1", "CD79A"}


def test_unknown_genes_are_left_out_and_told() -> None:
    names = [*GENES, "NOSUCHGENE77"]
    found = channel("x", names, np.arange(len(names))[:, None])
    assert set(found.genes) == set(GENES)
    assert f"{len(GENES)} of {len(names)} human names" in found.notes[0]


def test_a_gene_given_twice() -> None:
    """The same row twice is one row; two rows are refused; two names of one gene are their mean."""
    same = channel("x", ["CD3D", "CD3D", "LYZ"], np.array([[1.0], [1.0], [2.0]]))
    assert same.genes == ("CD3D", "LYZ") and same.values.tolist() == [[1.0], [2.0]]
    with pytest.raises(BadInput, match="two different rows for CD3D; expected each gene once"):
        channel("x", ["CD3D", "CD3D", "LYZ"], np.array([[1.0], [3.0], [2.0]]))
    both = channel("x", ["CD3D", "ENSG00000167286", "LYZ"], np.array([[1.0], [3.0], [0.0]]))
    assert both.values[both.genes.index("CD3D")].tolist() == [2.0]
    assert "mean of several names" in both.notes[1]


@pytest.mark.parametrize(
    ("genes", "values", "why"),
    [
        (["CD3D", "LYZ"], [[1.0], [float("nan")]], "the row of LYZ .* no finite number"),
        (["CD3D", "LYZ"], [[1.0], [float("inf")]], "no finite number"),
        (["CD3D", "LYZ"], [[1.0]], "2 names and values of shape"),
        ([], np.zeros((0, 2)), "one row of numbers"),
        (["CD3D", "LYZ"], [[1.0], [1.0]], "same row for every gene"),
        (["spam", "eggs", "ham"], [[1.0], [2.0], [3.0]], "channel 'x': only 0 of 3 names"),
        (["ptprc", "mpx", "lck"], [[1.0], [2.0], [3.0]], "channel 'x': only 0 of 3 names"),
        (["ENSRNOG00000000001"] * 2, [[1.0], [1.0]], "ids of rat"),
    ],
)
def test_what_is_no_channel_is_refused_in_one_line(
    genes: list[str], values: list[list[float]], why: str
) -> None:
    with pytest.raises(BadInput, match=why) as caught:
        channel("x", genes, np.array(values, dtype=np.float32))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("gene\ta\nCD3D\t1\nLYZ\t\n", "line 3"),
        ("gene\ta\nCD3D\tNaN\n", "line 2"),
        ("gene,a,b\nCD3D,1\n", "line 2"),
        ("gene\ta\n", "no row"),
        ("", "no row"),
        ("gene\nCD3D\n", "expected a gene and 1 finite number:"),
    ],
)
def test_a_broken_table_names_its_line(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "table.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile, match=why):
        read_channel(path)
    with pytest.raises(BadFile, match="cannot be read"):
        read_channel(tmp_path / "none.tsv")


def test_components_keep_what_differs() -> None:
    """Forty columns that are two directions: two components hold all, scaled to a mean square 1."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 40))
    wide = Channel("x", tuple(f"g{i}" for i in range(30)), rows.astype(np.float32))
    small = compressed(wide, 2)
    assert small.values.shape == (30, 2)
    assert float(np.square(small.values).mean()) == pytest.approx(1.0, abs=1e-5)
    centred = rows - rows.mean(axis=0)
    ratio = np.linalg.norm(centred, axis=1) / np.linalg.norm(small.values, axis=1)
    assert ratio.std() / ratio.mean() < 1e-4, "distances stay in proportion"


def test_channels_of_one_name_are_refused() -> None:
    one = Channel("x", ("CD3D", "LYZ"), np.eye(2, dtype=np.float32))
    with pytest.raises(BadInput, match="each name once"):
        Knowledge.of([one, one])
    with pytest.raises(BadInput, match="no channel is named 'spam'"):
        shipped(["spam"])
    with pytest.raises(BadInput, match="learnt"):
        learnt([], ["spam"])


def test_a_table_without_factors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(BadFile, match="has the columns a, b; expected one of source"):
        read_regulation(path)
    path.write_text("source,target\nTBX21,NKG7\n", encoding="utf-8")
    with pytest.raises(BadFile, match="fewer than two factors"):
        read_regulation(path)


def test_families_lie_together() -> None:
    found = shipped(["family"])[0]
    rows = found.values[[found.genes.index(g) for g in ("CD3D", "CD3E", "MAPK1")]]
    near = rows @ rows.T
    assert near[0, 1] > near[0, 2]


def test_what_goes_together_in_cells_lies_together() -> None:
    import scipy.sparse as sp

    values, genes = cells()
    for found in learnt([(sp.csr_array(values), genes)]):
        place = {gene: i for i, gene in enumerate(found.genes)}
        rows = found.values / np.linalg.norm(found.values, axis=1, keepdims=True)
        assert rows[place["CD3D"]] @ rows[place["NKG7"]] > rows[place["CD3D"]] @ rows[place["LYZ"]]
