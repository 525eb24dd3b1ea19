"""Pictures: Axes in, Axes out; every cell drawn once, in the colour of its label."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from agent import pl
from agent.pictures import scatter
from data.errors import BadInput

matplotlib = pytest.importorskip("matplotlib")
anndata = pytest.importorskip("anndata")
from matplotlib.colors import to_hex  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402


def cells(n: int = 60, kinds: int = 3):
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(np.zeros((n, 1), dtype=np.float32))
    adata.obsm["X_umap"] = rng.normal(size=(n, 2))
    adata.obs["celloquy_cell_type"] = [f"type {i * i % kinds}" for i in range(n)]
    return adata


def drawn(ax) -> Counter[str]:
    """Number of dots by colour."""
    found: Counter[str] = Counter()
    for collection in ax.collections:
        if len(collection.get_offsets()):
            colour = to_hex(collection.get_facecolor()[0]).upper()
            found[colour] += len(collection.get_offsets())
    return found


def test_it_draws_into_the_axes_that_it_is_given():
    ax = Figure().add_subplot()
    assert pl.umap(cells(), ax=ax) is ax
    assert ax.get_title() == "celloquy_cell_type"
    labels = Counter(cells().obs["celloquy_cell_type"])
    assert sorted(drawn(ax).values()) == sorted(labels.values())
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == [f"{label} ({n})" for label, n in labels.most_common()]


def test_without_axes_it_makes_some_and_keeps_the_colours_asked_for():
    ax = pl.umap(cells(), palette={"type 1": "#123456"}, title="mine")
    assert ax.get_title() == "mine"
    labels = Counter(cells().obs["celloquy_cell_type"])
    assert drawn(ax)["#123456"] == labels["type 1"]


def test_more_labels_than_colours_share_grey_and_it_is_said():
    adata = cells(200, 400)
    ax = pl.umap(adata)
    assert sum(drawn(ax).values()) == 200
    many = len(set(adata.obs["celloquy_cell_type"]))
    last = ax.get_legend().get_texts()[-1].get_text()
    assert last.startswith(f"{many - scatter.MOST_COLOURS} more (")


def test_what_is_not_there_is_said():
    with pytest.raises(BadInput, match="no column 'leiden'"):
        pl.umap(cells(), color="leiden")
    with pytest.raises(BadInput, match="X_umap"):
        pl.umap(cells(), basis="X_tsne")
    with pytest.raises(BadInput, match="two"):
        scatter.draw_cells(np.zeros((3, 2)), ["a", "b"])


def test_shades_of_a_family_differ_and_families_do_not_meet():
    found = scatter.shades({"t": [f"t{i}" for i in range(8)], "b": ["b0", "b1"], "": ["x"]})
    assert len(set(found.values())) == len(found) == 11
    assert found["t0"] == scatter.colours_for(["t0"])["t0"].lower()
    assert found["x"] == "#888888"


@pytest.mark.assets
def test_the_graph_is_drawn_too():
    ax = Figure(figsize=(8, 6)).add_subplot()
    assert pl.path("CL:0000625", "CL:0000236", ax=ax) is ax
    assert any("lymphocyte" in text.get_text() for text in ax.texts)
    other = pl.neighbours("CD8A", limit=5)
    assert any("CD8A" in text.get_text() for text in other.texts)
