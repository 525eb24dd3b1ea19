"""Perturbation models: features, baselines, the choice among them, the prediction."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import BadFile, BadInput, UnknownTerm
from encoders.perturbation.choice import (
    AGREEING,
    FEWEST,
    Choice,
    agreement,
    beyond_chance,
    cases,
    cases_like,
    choose,
    measure,
    pearson,
)
from encoders.perturbation.effect import _measured, _named, _why
from encoders.perturbation.fitted import fitted
from encoders.perturbation.genes import GeneSpace, jaccard
from encoders.perturbation.interaction import distance_correlation, interaction
from encoders.perturbation.models import (
    ADDITIVE,
    FAMILIES,
    MEAN,
    NO_CHANGE,
    OWN,
    RECIPES,
    Training,
    change,
    own_share,
)
from encoders.perturbation.screen import Screen, read_screen

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
THP1 = "perturbation/papalexi2021_eccite_thp1_crisprko_dev_counts.h5ad"
NORMAN = "perturbation/perturbench_norman19_mcfaline23_5961x500_lognorm.h5ad"


def space_of(genes: tuple[str, ...], seed: int = 0) -> GeneSpace:
    """Random but consistent likenesses."""
    rows = np.random.default_rng(seed).standard_normal((len(genes), 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return GeneSpace(genes, rows @ rows.T, np.eye(len(genes)), {})


def training(
    sets: tuple[tuple[str, ...], ...],
    changes: np.ndarray,
    control: np.ndarray | None = None,
    places: tuple[int, ...] | None = None,
    space: GeneSpace | None = None,
) -> Training:
    genes = tuple(sorted({g for some in sets for g in some}))
    found = space or space_of(genes)
    level = np.ones(changes.shape[1]) if control is None else control
    at = np.array(places if places is not None else [-1] * len(found.genes))
    return Training(sets, found.rows(sets), changes, level, at, found)


# --- models --------------------------------------------------------------------------------------


def test_baselines_are_what_they_are_called() -> None:
    changes = np.array([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0]])
    found = training((("A",), ("B",), ("A", "C")), changes)
    assert change(NO_CHANGE, found, ["A"]).tolist() == [0, 0, 0]
    assert change(MEAN, found, ["B"]).tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert change(ADDITIVE, found, ["A", "B"]).tolist() == [1, 2, 0]
    # C was never perturbed alone: the mean of the single ones stands for it.
    assert change(ADDITIVE, found, ["A", "C"]).tolist() == [1.5, 1, 0]


def own_falls() -> Training:
    """Three knock-outs of three measured genes, each of which loses its own transcript."""
    changes = np.array([[-4.0, 1.0, 2.0], [3.0, -6.0, 4.0], [5.0, 7.0, -8.0]])
    control = np.array([8.0, 6.0, 8.0])
    return training((("A",), ("B",), ("C",)), changes, control, places=(0, 1, 2))


def test_a_knock_out_s_own_fall_is_no_effect_on_others() -> None:
    """By hand: each gene's mean is over the two knock-outs of the others."""
    found = own_falls()
    assert found.own.tolist() == [[True, False, False], [False, True, False], [False, False, True]]
    assert change(MEAN, found, ["A"]).tolist() == [4, 4, 3]
    # Left out, A tells nothing: B of C alone, C of B alone, A of both.
    assert change(MEAN, found.taken([1, 2]), ["A"]).tolist() == [4, 7, 4]
    assert change(ADDITIVE, found.taken([1, 2]), ["A"]).tolist() == [4, 7, 4]
    # Falls by the share of its control level: (8 * -4 + 6 * -6 + 8 * -8) / (64 + 36 + 64).
    assert own_share(found) == pytest.approx(-132 / 164)
    assert change(OWN, found, ["A"]).tolist() == pytest.approx([8 * -132 / 164, 4, 3])


def test_ridge_learns_nothing_of_a_relative_s_own_fall() -> None:
    """By hand: B is A's twin, C unlike both; what B's knock-out does to B is not told of A."""
    text = np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])
    space = GeneSpace(("A", "B", "C"), text, np.eye(3), {})
    learnt = own_falls()
    kept = training(learnt.sets, learnt.changes, learnt.control, (0, 1, 2), space).taken([1, 2])
    # Kernel of B and C: the identity, penalty 1: half of B's departures, (-1, -, 0).
    ridge = FAMILIES["text"][2]
    assert change(ridge, kept, ["A"]).tolist() == pytest.approx([3.5, 7, 4])


def test_a_pair_s_own_falls_add_up_and_teach_nobody_else() -> None:
    """By hand: A alone, B alone and A with B; C was never perturbed."""
    changes = np.array([[-4.0, 1.0, 2.0], [3.0, -6.0, 4.0], [-5.0, -7.0, 9.0]])
    found = training((("A",), ("B",), ("A", "B")), changes, places=(0, 1, -1),
                     space=space_of(("A", "B", "C")))  # fmt: skip
    assert found.own.tolist() == [[True, False, False], [False, True, False], [True, True, False]]
    assert change(MEAN, found, ["C"]).tolist() == [3, 1, 5]
    # Each gene's own fall is part of what it did alone.
    assert change(ADDITIVE, found, ["A", "B"]).tolist() == [-1, -5, 6]
    # C was never alone: the mean of the single ones stands for it, without their own falls.
    assert change(ADDITIVE, found, ["A", "C"]).tolist() == [-4 + 3, 1 + 1, 2 + 3]
    # Where every perturbation targets a gene, nothing is known of it in others.
    assert change(MEAN, found.taken([0, 2]), ["C"]).tolist() == [0, 1, 5.5]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(-9, 9), st.integers(0, 6), st.booleans())
def test_no_prediction_hangs_on_how_far_another_target_fell(
    seed: int, fall: float, row: int, pairs: bool
) -> None:
    """But of the asked gene's own change, which is learnt as a share from all own changes."""
    rng = np.random.default_rng(seed)
    sets = (*((f"G{i}",) for i in range(5)), ("G0", "G1"), ("G2", "G3"))
    sets = sets if pairs else sets[:5]
    row = row % len(sets)
    changes, control = rng.standard_normal((len(sets), 9)), np.abs(rng.standard_normal(9))
    places, space = (0, 1, 2, 3, 4, 5), space_of(tuple(f"G{i}" for i in range(6)))
    moved = changes.copy()
    for gene in sets[row]:
        moved[row, int(gene[1])] += fall
    one = training(sets, changes, control, places, space)
    other = training(sets, moved, control, places, space)
    for asked in (("G5",), ("G4",), ("G4", "G5")):
        if set(asked) & set(sets[row]):
            continue
        kept = [int(gene[1]) for gene in asked]
        for recipe in RECIPES:
            a, b = change(recipe, one, asked), change(recipe, other, asked)
            assert (np.delete(a, kept) == np.delete(b, kept)).all(), recipe.label
            if not recipe.own:
                assert (a == b).all(), recipe.label


def test_ridge_shrinks_from_the_gene_itself_to_the_mean() -> None:
    rng = np.random.default_rng(1)
    sets = tuple((f"G{i}",) for i in range(6))
    found = training(sets, rng.standard_normal((6, 30)))
    mean = found.changes.mean(axis=0)
    distances = [
        float(np.linalg.norm(change(recipe, found, ["G0"]) - mean)) for recipe in FAMILIES["text"]
    ]
    assert distances == sorted(distances, reverse=True)
    near = change(FAMILIES["text"][0], found, ["G0"])
    assert pearson(near, found.changes[0]) > 0.9


def test_ridge_learns_from_genes_that_are_alike() -> None:
    """Two families of genes that do opposite things: the left-out one is told by its own."""
    family = np.array([1.0, 1, 1, -1, -1, -1])
    text = np.outer(family, family)
    genes = tuple(f"G{i}" for i in range(6))
    space = GeneSpace(genes, text, np.eye(6), {})
    pattern = np.random.default_rng(2).standard_normal(40)
    found = training(tuple((g,) for g in genes), np.outer(family, pattern), space=space)
    kept = found.taken([1, 2, 3, 4, 5])
    assert pearson(change(FAMILIES["text"][0], kept, ["G0"]), pattern) > 0.99


def test_a_gene_falls_by_the_share_that_others_fell_by() -> None:
    changes = np.zeros((4, 5))
    control = np.array([2.0, 4.0, 1.0, 3.0, 5.0])
    for i in range(3):
        changes[i, i] = -0.5 * control[i]
    found = training((("A",), ("B",), ("C",), ("D",)), changes, control, places=(0, 1, 2, 3)).taken(
        [0, 1, 2]
    )
    assert own_share(found) == pytest.approx(-0.5)
    assert change(OWN, found, ["D"])[3] == pytest.approx(-1.5)
    assert own_share(found.taken([0, 1])) is None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_predictions_are_the_same_each_time_and_finite(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sets = (*((f"G{i}",) for i in range(5)), ("G0", "G1"))
    found = training(sets, rng.standard_normal((6, 12)), np.abs(rng.standard_normal(12)))
    for recipe in RECIPES:
        one, other = change(recipe, found, ["G2"]), change(recipe, found, ["G2"])
        assert np.isfinite(one).all()
        assert (one == other).all()


# --- the choice ----------------------------------------------------------------------------------

SETS = st.lists(
    st.sets(st.sampled_from("ABCDEFGH"), min_size=1, max_size=2).map(lambda s: tuple(sorted(s))),
    min_size=1, max_size=12, unique=True,
).map(tuple)  # fmt: skip


@given(SETS, st.sampled_from([(1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]))
def test_a_case_hides_what_it_says(
    sets: tuple[tuple[str, ...], ...], kind: tuple[int, int]
) -> None:
    for case in cases(sets, *kind):
        assert len(sets[case.row]) == kind[0]
        assert case.row not in case.kept
        touched = {gene for i in case.kept for gene in sets[i]}
        assert sum(gene not in touched for gene in sets[case.row]) == kind[1]
        assert len(case.kept) >= FEWEST


def test_too_few_perturbations_are_refused() -> None:
    with pytest.raises(BadInput, match="2 perturbations of 2 genes; expected enough"):
        cases_like((("A",), ("B",)), 1, 1)


def test_expected_errors_are_apart_for_own_genes() -> None:
    """By hand: two cases; the first is of gene 0, the second of gene 1."""
    errors = np.array([[6.0, 3.0, 3.0], [2.0, 8.0, 4.0]])
    own = np.array([[True, False, False], [False, True, False]])
    choice = Choice(MEAN, {}, errors, own)
    mixed = np.sqrt((9 + 16) / 2)
    assert choice.expected(np.array([], dtype=np.int64)).tolist() == [2, 3, mixed]
    assert choice.expected(np.array([2])).tolist() == [2, 3, np.sqrt((36 + 64) / 2)]
    untold = Choice(MEAN, {}, errors, np.zeros((2, 3), dtype=bool))
    assert untold.expected(np.array([2]))[2] == mixed


def test_fewer_than_five_gains_are_never_beyond_chance() -> None:
    """Four coins show the same side once in sixteen throws, which is more than one in twenty."""
    assert AGREEING == 5
    assert not beyond_chance(np.array([0.8, 0.8, 0.8, 0.8]))
    assert beyond_chance(np.array([0.8, 0.7, 0.8, 0.9, 0.8]))
    assert not beyond_chance(np.array([0.8, 0.7, -0.8, -0.9, 0.8]))


def test_noise_chooses_the_mean_profile() -> None:
    rng = np.random.default_rng(3)
    shared = rng.standard_normal(200)
    sets = tuple((f"G{i}",) for i in range(10))
    found = training(sets, shared + 0.5 * rng.standard_normal((10, 200)))
    assert choose(found, cases_like(sets, 1, 1)).recipe == MEAN


def test_structure_chooses_a_linear_model_and_measures_it_outside() -> None:
    rng = np.random.default_rng(4)
    genes = tuple(f"G{i}" for i in range(12))
    family = np.repeat([1.0, -1.0], 6)
    text = np.outer(family, family)
    space = GeneSpace(genes, text, np.eye(12), {})
    effect = np.outer(family, rng.standard_normal(80)) + 0.3 * rng.standard_normal((12, 80))
    found = training(tuple((g,) for g in genes), effect, space=space)
    choice = choose(found, cases_like(found.sets, 1, 1))
    worth = measure(found, 1, 1)
    assert choice.recipe.kernel in ("text", "both")
    assert worth.auto.mean() > 0.8 > worth.baselines[MEAN].mean()
    assert len(worth.auto) == 12


def test_a_model_that_was_asked_for_is_not_replaced() -> None:
    rng = np.random.default_rng(5)
    sets = tuple((f"G{i}",) for i in range(6))
    found = training(sets, rng.standard_normal((6, 20)))
    for name in ("additive", "text"):
        worth = measure(found, 1, 1, FAMILIES[name])
        assert set(worth.chosen) <= set(FAMILIES[name])


def test_no_model_is_compared_with_itself() -> None:
    rng = np.random.default_rng(6)
    sets = (("A",), ("B",), ("C",), ("D",), ("A", "B"), ("C", "D"), ("A", "C"), ("B", "D"))
    single = rng.standard_normal((4, 60))
    rows = [[0, 1], [2, 3], [0, 2], [1, 3]]
    noise = 0.5 * rng.standard_normal((4, 60))
    found = training(sets, np.vstack([single, single[rows].sum(axis=1) + noise]))
    worth = measure(found, 2, 0)
    assert worth.best_other(RECIPES[-1]) == ADDITIVE
    told = _measured(ADDITIVE, worth, "left-out perturbations", "a.h5ad")
    assert told.value == worth.baselines[ADDITIVE].mean()
    assert told.baseline in (MEAN.name, NO_CHANGE.name)
    assert told.value > told.baseline_value
    linear = _measured(RECIPES[-1], worth, "left-out perturbations", "a.h5ad")
    assert (linear.value, linear.baseline) == (worth.auto.mean(), ADDITIVE.name)
    # Of unseen genes the additive model is the mean profile by another name.
    alone = tuple((f"G{i}",) for i in range(6))
    unseen = measure(training(alone, rng.standard_normal((6, 60))), 1, 1)
    assert unseen.best_other(MEAN) == NO_CHANGE
    assert "a trivial model itself" in _why("auto", MEAN, unseen)


def test_genes_named_twice_or_never_perturbed_are_told() -> None:
    screen = Screen(("G",), (("STAT2",),), ("STAT2",), np.zeros((1, 1)), np.zeros((1, 1)),
                    np.array([20]), np.ones(1), 20)  # fmt: skip
    (twice,) = _named(["STAT2", "STAT2"], ["STAT2"], screen)
    assert twice == "2 genes were named, and some are the same: it is told of STAT2 alone"
    (new,) = _named(["STAT2", "IRF9"], ["IRF9", "STAT2"], screen)
    assert new.startswith("IRF9 was not perturbed in the screen")
    assert _named(["STAT2"], ["STAT2"], screen) == []


def test_a_fit_is_kept_by_what_it_was_fitted_on() -> None:
    rng = np.random.default_rng(8)
    sets = tuple((f"G{i}",) for i in range(6))
    changes = rng.standard_normal((6, 20))
    told: list[tuple[int, int]] = []
    made = fitted(training(sets, changes), 1, 1, RECIPES, lambda *done: told.append(done))
    assert told == [(i, 6) for i in range(1, 7)]
    again = fitted(training(sets, changes.copy()), 1, 1, RECIPES, lambda *done: told.append(done))
    assert again is made
    assert len(told) == 6
    other = changes.copy()
    other[3, 7] += 1e-9
    assert fitted(training(sets, other), 1, 1, RECIPES) is not made
    assert fitted(training(sets, changes), 1, 1, FAMILIES["mean"]) is not made
    assert fitted(training(sets, changes, space=space_of(made_genes(sets), 1)), 1, 1,
                  RECIPES) is not made  # fmt: skip
    assert made.worth.auto.tolist() == measure(training(sets, changes), 1, 1).auto.tolist()


def made_genes(sets: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    return tuple(sorted({gene for some in sets for gene in some}))


def test_agreement_looks_at_expressed_genes_only() -> None:
    expected = np.array([[0.0, 0, 1, 2, 3]])
    errors = np.array([[0.0, 0, 3, 2, 1]])
    assert agreement(expected, errors, np.array([0.0, 0, 1, 1, 1])) == pytest.approx(-1)


# --- features and interactions -------------------------------------------------------------------


@given(st.dictionaries(st.sampled_from("ABCD"), st.frozensets(st.sampled_from("uvwxyz"))))
def test_jaccard_is_that_of_the_sets(sets: dict[str, frozenset[str]]) -> None:
    genes = tuple("ABCD")
    found = jaccard(genes, sets)
    for i, a in enumerate(genes):
        for j, b in enumerate(genes):
            one, other = sets.get(a, frozenset()), sets.get(b, frozenset())
            wanted = 1.0 if i == j else len(one & other) / max(1, len(one | other))
            assert found[i, j] == pytest.approx(wanted)


def test_two_genes_that_add_up_have_coefficients_of_one() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.standard_normal((2, 80))
    found = interaction(a, b, a + b)
    assert (found.first, found.second) == pytest.approx((1, 1), abs=1e-6)
    assert found.magnitude == pytest.approx(2**0.5)
    assert found.fit == pytest.approx(1)
    assert found.dominance == pytest.approx(0, abs=1e-6)


def test_a_gene_that_takes_over_dominates() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.standard_normal((2, 80))
    found = interaction(a, b, a + 0.01 * b)
    assert found.dominance == pytest.approx(2, abs=0.1)
    assert found.equality < 0.5


def test_distance_correlation_of_independent_samples_is_small() -> None:
    x, y = np.random.default_rng(8).standard_normal((2, 400, 1))
    assert distance_correlation(x, y) < 0.2
    assert distance_correlation(x, np.zeros_like(x)) == 0.0


# --- the real screens ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def thp1(shared_data: Path) -> Screen:
    return read_screen(shared_data / THP1)


@pytest.mark.shared
@pytest.mark.assets
def test_the_screen_shows_what_is_known_of_interferon(thp1: Screen) -> None:
    """Losing a part of the interferon pathway lowers its responders (observed, no model)."""
    for gene in ("STAT2", "IFNGR1"):
        row = thp1.place([gene])
        assert row is not None
        for responder in ("STAT1", "PSMB9", "UBE2L6", "APOBEC3G"):
            assert thp1.changes[row, thp1.genes.index(responder)] < 0, (gene, responder)


@pytest.mark.shared
@pytest.mark.assets
@pytest.mark.models
@pytest.mark.parametrize("gene", ["STAT2", pytest.param("IFNGR1", marks=pytest.mark.slow)])
def test_the_models_predict_it_without_having_seen_the_gene(shared_data: Path, gene: str) -> None:
    from encoders.perturbation.effect import knockout

    found = knockout(shared_data / THP1, [gene])
    place = {name: i for i, name in enumerate(found.genes)}
    responders = ["STAT1", "PSMB9", "UBE2L6", "APOBEC3G"]
    assert all(found.changes[place[name]] < 0 for name in responders)
    made = found.prediction
    assert made.measured.value > made.measured.baseline_value
    assert found.observed is not None
    assert (found.observed_cells, found.held_out) == (found.screen.cells[
        found.screen.sets.index((gene,))], True)  # fmt: skip
    if gene == "IFNGR1":
        assert knockout(shared_data / THP1, [gene]).prediction == made


@pytest.mark.shared
@pytest.mark.assets
@pytest.mark.models
def test_a_gene_of_which_nothing_is_known_is_refused(shared_data: Path) -> None:
    from encoders.perturbation.effect import knockout

    with pytest.raises(UnknownTerm, match="nothing is known of XIST"):
        knockout(shared_data / THP1, ["XIST"])
    with pytest.raises(UnknownTerm, match="no human gene is called 'NOTAGENE'"):
        knockout(shared_data / THP1, ["NOTAGENE"])
    with pytest.raises(BadInput, match="no model is called 'oracle'"):
        knockout(shared_data / THP1, ["STAT2"], use="oracle")
    with pytest.raises(BadInput, match="gears is a trained model"):
        knockout(shared_data / THP1, ["STAT2"], use="gears")


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.assets
@pytest.mark.models
def test_a_gene_without_go_terms_is_placed_by_its_text(shared_data: Path) -> None:
    from encoders.perturbation.effect import knockout

    found = knockout(shared_data / NORMAN, ["IER5L"], cells="dataset=norman19")
    assert any(
        "IER5L has no GO terms; it is placed by its text" in n for n in found.prediction.notes
    )


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.assets
@pytest.mark.models
def test_a_trained_folder_predicts_for_control_cells_alone(
    shared_data: Path, tmp_path: Path
) -> None:
    from dataclasses import replace

    from encoders.perturbation.effect import knockout
    from encoders.perturbation.graphs import gene_nodes
    from encoders.perturbation.store import save_stored
    from training.perturb.data import read_cells
    from training.perturb.train import PerturbConfig, trained

    config = PerturbConfig()
    config = replace(config, loop=replace(config.loop, steps=3))
    cells = read_cells(shared_data / THP1)
    made = trained(cells, gene_nodes(cells.screen.perturbed), config, parts=2)
    sha256 = save_stored(tmp_path / "model", made)
    values = cells.values[cells.rows == -1][:50]
    obs = pd.DataFrame({"perturbation": ["non-targeting"] * 50}, index=[f"c{i}" for i in range(50)])
    alone = ad.AnnData(values, obs=obs, var=pd.DataFrame(index=list(cells.screen.genes)))
    found = knockout(alone, ["IRF9"], tmp_path / "model", use="gears")
    assert (found.prediction.model, found.prediction.release) == ("GEARS", sha256[:12])
    assert found.observed is None
    # So short a training beats nothing: the choice is a fast model on the folder's profiles.
    fast = knockout(alone, ["IRF9"], tmp_path / "model")
    assert fast.prediction.model.startswith("linear")
    seen = knockout(alone, ["STAT2"], tmp_path / "model", use="gears")
    assert any("a fit, not a prediction" in note for note in seen.prediction.notes)
    with pytest.raises(BadFile, match="measures 100 of the model's 299 genes"):
        knockout(alone[:, :100].copy(), ["IRF9"], tmp_path / "model")


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.assets
@pytest.mark.models
def test_the_choice_never_falls_below_the_mean_profile(shared_data: Path) -> None:
    """By more than a standard error, on any of the questions of the suite."""
    from training.evaluate.perturb import perturb

    report = perturb(shared_data)
    above = {k: f for k, f in report.figures.items() if "above the mean profile" in k}
    assert len(above) == 5
    for name, figure in above.items():
        assert figure.spread is not None
        assert figure.value >= -figure.spread, name
    sure = [f.value for k, f in report.figures.items() if "Spearman" in k]
    assert min(sure) > 0.2


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    from encoders.perturbation.store import load_stored

    with pytest.raises(BadFile, match="holds no perturb that can be read"):
        load_stored(tmp_path)


@pytest.mark.shared
def test_a_screen_that_raises_genes_says_so(shared_data: Path) -> None:
    assert read_screen(shared_data / NORMAN).gain == "CRISPRa"
    assert read_screen(shared_data / NORMAN, cells="perturbation_type=CRISPRi").gain == ""
    assert read_screen(shared_data / THP1).gain == ""
