"""The command ``train knockout``: what it cannot use, and a folder that answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import run


def test_nothing_to_learn_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "knockout"]) == 2
    assert "neither --h5ad nor --images" in capsys.readouterr().err


def test_images_without_controls_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    np = pytest.importorskip("numpy")
    pytest.importorskip("torch")
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 1, 16, 16)), gene=["A", "A", "B", "B"])
    assert run(["train", "knockout", "--images", str(tmp_path / "a.npz")]) == 2
    error = capsys.readouterr().err
    assert "--control NAME" in error
    assert error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.timeout(900)
def test_a_folder_is_written_that_answers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A tiny language model on a made-up screen of cells and images."""
    pytest.importorskip("torch")
    anndata = pytest.importorskip("anndata")
    pytest.importorskip("sklearn")
    import numpy as np
    import pandas as pd

    from encoders.image.pictures import Pictures
    from encoders.image.vit import SmallViT, ViTConfig, save_vit
    from encoders.knockout.knocked import KnockedOut, knocked_out
    from encoders.language import load
    from tests.encoders.tinyseeing import tiny_seeing

    language: Any = tiny_seeing()
    model = tmp_path / "model"
    language.model.save_pretrained(model)
    language.tokenizer.save_pretrained(model)
    draw = np.random.default_rng(0)
    named = [one for one in ("AA", "BB", "control") for _ in range(60)]
    counts = draw.poisson(20, (180, 6)).astype(np.float32)
    counts[:60, 0] *= 3
    counts[60:120, 1] *= 3
    genes = ["STAT1", "STAT2", "IRF7", "MYC", "CD8A", "CD4"]
    table = pd.DataFrame(
        {"perturbation": named, "guide": [f"{g}{i % 3}" for i, g in enumerate(named)]},
        index=[f"c{i}" for i in range(180)],
    )
    screen = tmp_path / "screen.h5ad"
    anndata.AnnData(counts, obs=table, var=pd.DataFrame(index=genes)).write_h5ad(screen)
    images = draw.random((24, 2, 16, 16)).astype(np.float32)
    np.savez(
        tmp_path / "crops.npz",
        images=images,
        gene=["AA", "BB", "control"] * 8,
        guide=[f"g{i // 3 % 2}{i % 3}" for i in range(24)],
        channels=["DNA", "ER"],
    )
    save_vit(SmallViT(ViTConfig(("DNA", "ER"), 16, 8, 32, 1, 2)), tmp_path / "vit")
    output = tmp_path / "out"
    command = [
        *("train", "knockout", "--h5ad", str(screen), "--guide", "guide", "--images"),
        *(str(tmp_path / "crops.npz"), "--image-encoder", str(tmp_path / "vit"), "--llm"),
        *(str(model), "--steps", "1", "-o", str(output), "--quiet", "--json"),
    ]
    assert run(command) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["figures"]) == {"gene", "image"}
    assert {"resampler + language model", "logistic regression", "largest class"} <= set(
        document["figures"]["gene"]
    )
    known = KnockedOut.load(output, load(str(model)))
    found = known.predict(counts[:50], genes, Pictures(images[:1], ("DNA", "ER")))
    assert {one.id for one in found.ranked} == {"AA", "BB", "none"}
    assert found.measured.n > 0
    assert found.measured.baseline in document["figures"]["gene"]
    # The folder was made for another language model than the one that `ask` would load.
    with pytest.raises(ValueError, match="language model"):
        knocked_out(output, counts[:5], genes)
