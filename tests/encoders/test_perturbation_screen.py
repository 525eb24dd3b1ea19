"""A screen read from a file: profiles, controls, kinds of cells, what is refused."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import BadInput
from encoders.perturbation.screen import is_control, parts_of, read_screen

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture
def screen_file(tmp_path: Path) -> Path:
    """Counts of three genes: knocking out STAT1 halves the second, GAPDH is too rare."""
    labels = ["non-targeting"] * 20 + ["STAT1"] * 20 + ["STAT1+JAK2"] * 20 + ["GAPDH"] * 3
    lots = ["a", "b"] * 30 + ["a"] * 3
    counts = np.tile([60, 40, 100], (63, 1)).astype(np.float32)
    counts[20:40] = [80, 20, 100]
    counts[40:60] = [100, 0, 100]
    obs = pd.DataFrame({"perturbation": labels, "lot": lots}, index=[f"c{i}" for i in range(63)])
    adata = ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=["CD4", "IRF1", "ACTB"]))
    path = tmp_path / "screen.h5ad"
    adata.write_h5ad(path)
    return path


@pytest.mark.assets
def test_a_profile_is_the_change_of_mean_log1p(screen_file: Path) -> None:
    found = read_screen(screen_file)
    assert found.sets == (("JAK2", "STAT1"), ("STAT1",))
    assert (found.column, found.control_cells) == ("perturbation", 20)
    row = found.place(["STAT1"])
    assert row is not None
    # 10,000 counts a cell: 40 of 200 are 2,000, and 20 of 200 are 1,000.
    expected = np.log1p([4_000, 1_000, 5_000]) - np.log1p([3_000, 2_000, 5_000])
    assert found.changes[row] == pytest.approx(expected, abs=1e-4)
    assert found.errors[row] == pytest.approx(0, abs=5e-3)  # squares of float32
    assert any("GAPDH" in note for note in found.notes)
    assert found.place(["JAK2"]) is None


@pytest.mark.assets
def test_within_compares_with_controls_of_the_same_kind(screen_file: Path) -> None:
    plain, within = read_screen(screen_file), read_screen(screen_file, within="lot")
    assert within.changes == pytest.approx(plain.changes, abs=1e-5)


@pytest.mark.assets
def test_several_kinds_of_cells_are_told(screen_file: Path) -> None:
    adata = ad.read_h5ad(screen_file)
    adata.obs["cell_line"] = ["K562", "A549"] * 31 + ["K562"]
    by_default, asked = read_screen(adata), read_screen(adata, within="cell_line")
    assert any("own controls, as by --within cell_line" in note for note in by_default.notes)
    assert (by_default.changes == asked.changes).all()
    control = adata.obs["perturbation"] == "non-targeting"
    adata.obs.loc[control, "cell_line"] = "K562"  # the other line has no controls of its own
    without = read_screen(adata)
    assert any("all controls, and what differs" in note for note in without.notes)
    for told in (
        read_screen(adata, within="cell_line"),
        read_screen(adata, cells="cell_line=K562"),
    ):
        assert not any("--within" in note for note in told.notes)


@pytest.mark.assets
def test_what_cannot_be_read_is_refused_with_what_to_do(screen_file: Path) -> None:
    with pytest.raises(
        BadInput, match=r"named 'mock' in the column 'perturbation'.*such as non-targeting"
    ):
        read_screen(screen_file, column="perturbation", control="mock")
    with pytest.raises(BadInput, match=r"no control cells.*name the control"):
        read_screen(screen_file, column="lot")
    with pytest.raises(BadInput, match="no column 'nothing'"):
        read_screen(screen_file, column="nothing")
    adata = ad.read_h5ad(screen_file)
    del adata.obs["perturbation"]
    with pytest.raises(BadInput, match=r"no column of perturbations \(obs has: lot\).*--column"):
        read_screen(adata)


@pytest.mark.assets
def test_the_label_of_controls_may_be_named(screen_file: Path) -> None:
    adata = ad.read_h5ad(screen_file)
    adata.obs["perturbation"] = (
        adata.obs["perturbation"].astype(str).replace("non-targeting", "AAVS1")
    )
    usual = read_screen(adata, column="perturbation", control="AAVS1")
    assert usual.control_cells == 20
    assert usual.notes == read_screen(screen_file).notes
    odd = read_screen(screen_file, control="STAT1").notes
    assert any("'STAT1' is named like the gene STAT1" in note for note in odd)


@given(st.lists(st.sampled_from(["A1BG", "CD4", "KLF1", "ctrl"]), min_size=1, max_size=4))
def test_the_parts_of_a_label_are_its_genes(names: list[str]) -> None:
    assert parts_of("+".join(names)) == tuple(sorted(set(names) - {"ctrl"}))


@pytest.mark.parametrize("label", ["non-targeting", "Control", "NTC", "neg_ctrl", "unperturbed"])
def test_usual_names_of_controls(label: str) -> None:
    assert is_control(label)
