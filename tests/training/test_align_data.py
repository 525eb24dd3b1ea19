"""What is trained on: the user's own vectors, what is refused, and the command from end to end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from data import sources
from data.errors import BadInput
from encoders.aligned import Aligned
from encoders.language import load
from tests.encoders.tinymodels import tiny
from training import align_data
from training.align_data import Labelled, gather

pytestmark = pytest.mark.assets

WIDTH = 64
TYPES = ["CL:0000084", "CL:0000236", "CL:0000235", "CL:0000127", "CL:0000128", "CL:0000540"]
HELD_OUT = "CL:0000623"  # natural killer cell


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells of six types and a held-out one, with vectors of an encoder of the user's own."""
    import anndata
    import pandas as pd

    rng = np.random.default_rng(0)
    types = [one for one in [*TYPES, HELD_OUT] for _ in range(6)]
    middle = {one: rng.normal(size=WIDTH) for one in [*TYPES, HELD_OUT]}
    vectors = np.array([middle[one] + 0.3 * rng.normal(size=WIDTH) for one in types])
    adata = anndata.AnnData(
        rng.poisson(1.0, (len(types), 5)).astype(np.float32),
        obs=pd.DataFrame({"type": types}, index=[f"c{i}" for i in range(len(types))]),
        var=pd.DataFrame(index=["CD3D", "CD19", "CD14", "GNLY", "ALB"]),
        obsm={"X_mine": vectors.astype(np.float32)},
    )
    path = tmp_path_factory.mktemp("cells") / "mine.h5ad"
    adata.write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of another family than the bundled one, saved as a folder."""
    folder = tmp_path_factory.mktemp("models") / "gpt2"
    language: Any = tiny("gpt2", width=32)
    language.model.save_pretrained(folder)
    language.tokenizer.save_pretrained(folder)
    return folder


def test_own_vectors_without_the_held_out_types(cells: Path) -> None:
    found = gather([Labelled(cells, "type")], encoder="obsm:X_mine")
    assert found.cells.vectors.shape == (36, WIDTH)
    assert set(found.cells.types) == set(TYPES)
    assert HELD_OUT in found.unseen
    assert found.encoder == {"name": "obsm:X_mine", "width": WIDTH}
    assert found.origins == {"mine": 36}
    assert found.terms["CL:0000084"].label == "T cell"


@pytest.mark.parametrize("name", ["markers.tsv", "markersets.py", "profiles.py"])
def test_cells_are_simulated_anew_where_what_they_follow_from_changed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = align_data._source_hash()
    plain = align_data._hash
    monkeypatch.setattr(
        align_data, "_hash", lambda path: "other" if path.name == name else plain(path)
    )
    assert align_data._source_hash() != before


def test_what_cannot_be_trained_on(cells: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no encoder is called 'scgpt'; expected gene-text or obsm"):
        gather([], encoder="scgpt")
    with pytest.raises(BadInput, match="name them with --cells"):
        gather([], encoder="obsm:X_mine")
    with pytest.raises(BadInput, match="X_other"):
        gather([Labelled(cells, "type")], encoder="obsm:X_other")
    copy = tmp_path / "mine.h5ad"
    shutil.copy(sources.path("pbmc68k"), copy)
    with pytest.raises(BadInput, match="on which the aligned model is scored"):
        gather([Labelled(copy, "bulk_labels")], encoder="obsm:X_pca")


def test_the_command_from_end_to_end(
    cells: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any encoder, any language model: 64 wide vectors into words 32 wide, twenty steps."""
    from agent.cli.main import run

    arguments = [
        "train", "align", "--cells", str(cells), "--label", "type", "--encoder", "obsm:X_mine",
        "--llm", str(model), "--steps", "20", "--batch", "8", "-o", str(tmp_path), "--json",
        "--quiet",
    ]  # fmt: skip
    assert run([*arguments, "--seconds", "0"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["finished"], first["step"]) == (False, 1)
    assert run(arguments) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["finished"] and done["step"] == 20
    assert len(list((tmp_path / "training").glob("step-*.json"))) == 1
    found = Aligned.load(tmp_path, load(str(model)), {"name": "obsm:X_mine", "width": WIDTH})
    assert found.model.projector.config.width_in == WIDTH
    assert found.model.projector.config.width_out == 32
    assert run([*arguments, "--steps", "21"]) == 2
    assert "for steps 20; expected steps 21" in capsys.readouterr().err
