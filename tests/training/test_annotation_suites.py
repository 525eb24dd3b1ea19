"""The annotation figures on real data, held to their bars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.errors import BadInput
from training.annotation.data import DATASETS, cell_ontology, label_map, load
from training.evaluate import metrics
from training.evaluate.annotation import Constants, Model, annotation, restricted
from training.evaluate.annotation_baselines import majority, sctype, shuffled
from training.evaluate.markers import golden, markers
from training.evaluate.novelty import novelty

GOLDEN = Path(__file__).parents[1] / "golden" / "cassia_labels.tsv"


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(cell_ontology()[0])


@pytest.mark.assets
def test_pbmc68k_coarse_classes_with_the_shipped_constants(model: Model) -> None:
    dataset = load("pbmc68k")
    assert dataset.coarse is not None
    classes = sorted(set(dataset.coarse))
    assert len(classes) == 6
    ids, chances = model.probabilities(dataset, Constants(), classes)
    answers = restricted(model.hierarchy, ids, chances, classes)
    assert metrics.accuracy(dataset.coarse, answers) > 0.803
    assert metrics.macro_f1(dataset.coarse, answers) > 0.71
    common = majority(dataset.coarse)
    assert metrics.accuracy(dataset.coarse, common) == pytest.approx(0.343, abs=0.001)


@pytest.mark.assets
def test_open_set_beats_sctype_and_random_markers(model: Model) -> None:
    dataset = load("pbmc68k")

    def f(answers: list[str | None]) -> float:
        return metrics.hierarchical(dataset.truth, answers, model.hierarchy).f

    sets = model.sets(Constants().sets)
    ids, chances = model.probabilities(dataset, Constants())
    ours = f(model.answers(model.decide(ids, chances)))
    scores = sctype(sets, dataset.genes, dataset.values)
    assert np.isneginf(scores).any() and np.isfinite(scores).any()
    assert ours > f([sets.ids[i] for i in scores.argmax(axis=1)]) + 0.05
    assert sorted(shuffled(sets, 1).genes) == sorted(sets.genes)


def test_unknown_datasets_and_missing_folders_are_refused() -> None:
    with pytest.raises(BadInput, match="one of: pbmc68k"):
        load("pbmc")
    with pytest.raises(BadInput, match="--data"):
        load("brain")


def test_the_map_of_pbmc68k() -> None:
    found = label_map("pbmc68k")
    assert len(found) == 10
    assert found["CD56+ NK"] == ("CL:0000623", "CL:0000623")
    assert found["CD4+/CD25 T Reg"] == ("CL:0000792", "CL:0000084")


@pytest.mark.shared
@pytest.mark.assets
def test_every_dataset_loads_with_terms_of_the_ontology(shared_data: Path, model: Model) -> None:
    for name in DATASETS:
        dataset = load(name, shared_data)
        assert dataset.values.shape == (len(dataset.truth), len(dataset.genes))
        assert all(term in model.hierarchy for term in set(dataset.truth))


@pytest.mark.shared
@pytest.mark.assets
def test_gene_lists_reach_their_bars(shared_data: Path) -> None:
    labels = golden(GOLDEN)
    assert sum(term is not None for term in labels.values()) >= 85
    report = markers(shared_data, GOLDEN)
    for figure, bar in (("all 100: score", 0.52), ("all 100: hierarchical F", 0.72)):
        value = report.figures[figure].value
        assert value >= bar
        assert value > report.baselines["IDF overlap"][figure].value
        assert value > report.baselines["random"][figure].value + 0.3


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.assets
def test_constants_chosen_elsewhere_reach_the_bars(shared_data: Path) -> None:
    report = annotation(shared_data)
    assert report.figures["pbmc68k 6 classes: accuracy"].value > 0.803
    assert report.figures["pbmc68k 6 classes: macro-F1"].value > 0.71
    assert sum("chosen on the other datasets" in note for note in report.notes) == len(DATASETS)
    assert "pbmc3k open: AURC" in report.table() and report.document()["suite"] == "annotation"


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.assets
def test_types_taken_away_seldom_mislead(shared_data: Path) -> None:
    report = novelty(shared_data)
    assert report.figures["types held out"].value >= 20
    assert report.figures["confident wrong leaf, share of cells"].value <= 0.10
    # The floor of a type's answers was chosen on other types of other datasets.
    assert report.figures["mean Lin over types"].value >= 0.6
    plain = report.baselines["deepest at one half"]["mean Lin over types"].value
    assert report.figures["mean Lin over types"].value > plain + 0.02
