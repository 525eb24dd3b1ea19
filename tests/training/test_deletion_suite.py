"""The suite of deletion scores says what its figures come to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli.main import run
from training.evaluate.deletion import _closing
from training.evaluate.figures import Report


def test_the_closing_sentence_holds_it_against_the_best_of_what_needs_no_encoder() -> None:
    report = Report("deletion")
    for name, own, mean, fold in (("a", 0.8, 0.7, 0.75), ("b", 0.6, 0.65, 0.5)):
        figure = f"{name}: mean AUROC over types"
        report.add(figure, own, 9)
        report.beside("mean expression", figure, mean, 9)
        report.beside("fold change", figure, fold, 9)
        report.beside("random", figure, 0.99, 9)  # no rival
    assert _closing(report) == (
        "gene texts tell markers better than the better of mean expression and fold change on 1 of "
        "2 datasets: a +0.050 (fold change); b -0.050 (mean expression)"
    )


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.assets
def test_the_command_says_its_versions_and_closes(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", "deletion", "--json", "--data", str(shared_data)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"python", "celloquy", "numpy", "scikit-learn"} <= set(document["versions"])
    assert set(document["assets"]) == {"markers", "encoder"}
    assert document["notes"][-1].startswith("gene texts tell markers better")
