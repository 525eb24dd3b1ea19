"""Which gene is knocked out: guides kept apart, what a stage trains, figures, and the answer."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sklearn")

import scipy.sparse as sp  # noqa: E402 - after the check for torch

from data.errors import BadFile, BadInput  # noqa: E402
from encoders.image.pictures import Pictures  # noqa: E402
from encoders.image.tokens import TrainedHere  # noqa: E402
from encoders.image.vit import SmallViT, ViTConfig, save_vit  # noqa: E402
from encoders.knockout.knocked import NONE, KnockedOut  # noqa: E402
from encoders.knockout.panel import MOST, Panel, pooled  # noqa: E402
from encoders.prediction import Measured  # noqa: E402
from tests.encoders.tinyseeing import tiny_seeing  # noqa: E402
from training.images.data import turned  # noqa: E402
from training.knockout.data import (  # noqa: E402
    ImageScreen,
    Screen,
    folds,
    pools,
    read_image_screen,
)
from training.knockout.panel import Pools, fit_panel  # noqa: E402
from training.knockout.run import (  # noqa: E402
    alone,
    image_tokens,
    inputs_of,
    learn,
    score,
    through,
)
from training.knockout.train import KnockoutConfig  # noqa: E402
from training.loop import LoopConfig  # noqa: E402

MEASURED = Measured("top-1", 0.5, "largest class", 0.3, "these cells", 10)
CONFIG = KnockoutConfig(
    width=32, batch=8, align_batch=32, dropout=0.0,
    align=LoopConfig(steps=60, learning_rate=3e-3, threads=1),
    teach=LoopConfig(steps=4, learning_rate=1e-3, threads=1),
)  # fmt: skip


def labels(*names: str) -> Any:
    return np.array(names, object)


def screen(cells: int = 20, seed: int = 0) -> Screen:
    """Three labels, a guide of each in each fold: AA raises the first genes, BB lowers the last."""
    draw = np.random.default_rng(seed)
    named, guides, rows = [], [], []
    for name, shift in (("AA", 1.0), ("BB", -1.0), (NONE, 0.0)):
        for guide in range(4):
            x = draw.normal(2, 0.5, (cells, 12))
            x[:, :4] += max(shift, 0)
            x[:, 8:] += min(shift, 0)
            rows.append(np.maximum(x, 0))
            named += [name] * cells
            guides += [f"{name}g{guide}"] * cells
    values = sp.csr_matrix(np.concatenate(rows).astype(np.float32))
    return Screen(tuple(f"G{i}" for i in range(12)), values, labels(*named), labels(*guides))


def crops(seed: int = 0) -> ImageScreen:
    """Bright pictures are AA, dark ones control cells."""
    draw = np.random.default_rng(seed)
    values = draw.random((24, 2, 16, 16)).astype(np.float32) * 0.3
    named = labels(*(["AA", NONE] * 12))
    values[named == "AA"] += 0.6
    guides = labels(*(f"{one}{i // 2 % 3}" for i, one in enumerate(named)))
    return ImageScreen(Pictures(values, ("DNA", "ER")), named, guides)


def vit() -> SmallViT:
    torch.manual_seed(0)
    return SmallViT(ViTConfig(("DNA", "ER"), 16, 8, 32, 1, 2)).eval()


@pytest.fixture(scope="module")
def trained() -> KnockedOut:
    language = tiny_seeing()
    shown, encoder = crops(), TrainedHere(vit(), "crops")
    images = (shown, encoder, image_tokens(encoder, shown, 2))
    made, done = learn(language, screen(), images, 0, CONFIG)
    assert done
    measured = {"gene": MEASURED, "image": MEASURED}
    return replace(made, measured=measured)


# --- data --------------------------------------------------------------------------------------


def test_no_guide_is_in_two_folds() -> None:
    some = screen()
    part = folds(some.labels, some.guides)
    for guide in set(some.guides):
        assert len(set(part[some.guides == guide])) == 1
    for fold in (0, 1, 2):
        assert set(some.labels[part == fold]) == {"AA", "BB", NONE}


def test_a_gene_with_one_guide_is_learnt_and_never_scored() -> None:
    part = folds(labels("A", "A", "B"), labels("1", "2", "3"))
    assert part.tolist() == [0, 1, -1]


def test_another_deal_keeps_guides_whole_and_spreads_them() -> None:
    named = labels(*["A"] * 8, *["B"] * 6, "C")
    guides = labels(*"11223344", *"556677", "8")
    first, second = (folds(named, guides, deal=deal) for deal in (0, 1))
    assert first.tolist() != second.tolist()
    assert second[-1] == -1
    for guide in set(guides):
        assert len(set(second[guides == guide])) == 1
    assert sorted(second[:8:2]) == [0, 1, 2, 3]
    assert len(set(second[8:14])) == 3
    again = folds(named[:8], guides[:8], deal=1)  # a gene's own deal, whatever else is there
    assert again.tolist() == second[:8].tolist()


def test_every_cell_is_in_one_pseudo_cell_of_its_guide() -> None:
    scores = np.eye(130, dtype=np.float32)
    named, guides = labels(*["A"] * 130), labels(*["1"] * 120, *["2"] * 10)
    found, _, by = pools(scores, named, guides, 0)
    counts = (found > 0).sum(1)
    assert sorted(counts) == [10, 60, 60]
    assert (found > 0).sum(0).tolist() == [1] * 130
    assert by.tolist() == ["1", "1", "2"]


@pytest.mark.parametrize(("cells", "times"), [(1, 1.0), (9, 3.0), (400, MOST**0.5)])
def test_a_mean_is_brought_to_the_size_of_a_statistic(cells: int, times: float) -> None:
    assert pooled(np.ones((cells, 2), np.float32)) == pytest.approx(times)


def test_image_screens_are_read_and_refused(tmp_path: Path) -> None:
    path = tmp_path / "crops.npz"
    images = np.zeros((4, 2, 16, 16), np.uint8)
    np.savez(path, images=images, gene=["A", "A", "nontargeting", "A"], channels=["DNA", "ER"])
    found = read_image_screen(path)
    assert found.labels.tolist() == ["A", "A", NONE, "A"]
    assert found.pictures.channels == ("DNA", "ER")
    assert len(set(found.guides)) == 4  # parts stand for guides: A part 1 to 3, control part 1
    np.savez(path, images=images)
    with pytest.raises(BadFile, match="gene"):
        read_image_screen(path)
    np.savez(path, images=images, gene=["A"] * 4)
    with pytest.raises(BadInput, match="control"):
        read_image_screen(path)


# --- the panel ---------------------------------------------------------------------------------


def test_the_panel_separates_guides_that_it_was_not_fitted_to() -> None:
    some = screen()
    part = some.folds()
    kept = part != 0
    fitted = fit_panel(some.values[kept], some.genes, some.labels[kept], some.guides[kept])
    z = fitted.panel.scores(some.values[part == 0], some.genes)
    along = (z @ fitted.panel.directions)[:, :2]  # of AA and of BB
    named = some.labels[part == 0]
    assert ((along[:, 0] > along[:, 1])[named == "AA"]).mean() > 0.8
    assert ((along[:, 1] > along[:, 0])[named == "BB"]).mean() > 0.8


def test_training_cells_get_values_of_classifiers_without_their_guide() -> None:
    some = screen()
    scores = some.values.toarray() - 2
    part = folds(some.labels, some.guides, 3)
    first, second = (np.flatnonzero((part == 1) & (some.labels == name)) for name in ("AA", "BB"))
    swapped = scores.copy()
    swapped[np.r_[first, second]] = scores[np.r_[second, first]]
    one, other = (Pools(x, some.labels, some.guides, part, 0) for x in (scores, swapped))
    for fitted in ("regressed", "centred"):
        for left_out, same in ((1, True), (0, False)):
            a, b = (getattr(x, fitted)(left_out, 1e-3)[0] for x in (one, other))
            assert np.array_equal(a, b) == same
    found = fit_panel(some.values, some.genes, some.labels, some.guides)
    assert [found.of(i) for i in (0, 1, 2)] == list(found.crossed)
    assert found.part.tolist() == part.tolist()


def test_genes_that_are_not_there_count_as_unchanged() -> None:
    panel = Panel(("a", "b", "c"), *(np.ones(3, np.float32) for _ in range(2)),
                  np.eye(3, dtype=np.float32), np.zeros(3, np.float32))  # fmt: skip
    found = panel.scores(np.array([[3.0, 9.0]], np.float32), ["c", "a"])
    assert found.tolist() == [[5.0, 0.0, 2.0]]  # 8 deviations are clipped to 5
    with pytest.raises(BadInput, match="1 of the 3 genes"):
        panel.scores(np.zeros((1, 1), np.float32), ["a"])


def test_a_screen_without_controls_is_refused() -> None:
    some = screen()
    with pytest.raises(BadInput, match="control cells"):
        fit_panel(some.values[:100], some.genes, some.labels[:100], some.guides[:100])


# --- training ----------------------------------------------------------------------------------


def frozen(language: Any) -> str:
    found = hashlib.sha256()
    for tensor in language.model.state_dict().values():
        found.update(tensor.numpy().tobytes())
    return found.hexdigest()


def test_stage_1_changes_resamplers_and_marks_and_no_language_model() -> None:
    language, some = tiny_seeing(), screen()
    before = frozen(language)
    start, _ = learn(language, some, None, 0, CONFIG, steps=())
    made, _ = learn(language, some, None, 0, CONFIG)
    assert frozen(language) == before
    first, last = start.model.state_dict(), made.model.state_dict()
    assert {n for n in last if not torch.equal(first[n], last[n])} == set(last)


def test_a_run_that_was_cut_ends_the_same(tmp_path: Path) -> None:
    language, some = tiny_seeing(), screen(12)
    loop = LoopConfig(steps=4, learning_rate=1e-3, threads=1, save_every=1)
    config = replace(CONFIG, align=replace(CONFIG.align, steps=3), teach=loop)
    whole, _ = learn(language, some, None, 0, config, tmp_path / "a")
    done, tries = False, 0
    while not done:
        cut, done = learn(language, some, None, 0, config, tmp_path / "b", seconds=0.0)
        tries += 1
    assert tries > 1
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, cut.model.state_dict()[name])


def test_the_resampler_tells_guides_that_it_did_not_see(trained: KnockedOut) -> None:
    learnt, test = inputs_of(trained, screen(), 0, pools_of_cells=True)
    found = score(learnt, test, {"own": alone(trained, test, CONFIG)})
    assert found["own"].figure("top-1")[0] == 1
    assert found["logistic regression"].figure("top-1")[0] == 1
    assert found["nearest centroid"].figure("top-1")[0] >= 2 / 3
    assert found["largest class"].figure("top-1")[0] == pytest.approx(1 / 3)


def test_the_language_model_scores_every_candidate(trained: KnockedOut) -> None:
    _, test = inputs_of(trained, screen(), 0, pools_of_cells=False, most=7)
    found = through(trained, test)
    assert found.scores.shape == (7, 3)
    assert np.exp(found.scores).sum(1) == pytest.approx(1)


def test_flips_and_turns_are_eight() -> None:
    image = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    found = {turned(image, way).tobytes() for way in range(8)}
    assert len(found) == 8


# --- the answer --------------------------------------------------------------------------------


def test_the_answer_is_a_prediction_with_its_figure(trained: KnockedOut) -> None:
    some = screen(seed=5)
    chosen = some.values[some.labels == "AA"]
    found = trained.predict(chosen, some.genes)
    assert found.about == "which gene is knocked out in 80 cells"
    assert found.measured == MEASURED
    assert {one.id for one in found.ranked} == {"AA", "BB", NONE}
    assert sum(one.score for one in found.ranked) == pytest.approx(1, abs=0.02)
    scores = [one.score for one in found.ranked]
    assert scores == sorted(scores, reverse=True)
    assert trained.predict(chosen, some.genes) == found
    assert any("not trained on" in note for note in found.notes)
    assert not any("fewer" in note for note in found.notes)
    few = trained.predict(chosen[:49], some.genes)
    assert any("groups of about 50 cells; of fewer" in note for note in few.notes)


def test_an_image_a_group_of_cells_or_both(trained: KnockedOut) -> None:
    some, shown = screen(), crops().pictures
    image = Pictures(shown.values[:2], shown.channels)
    alone_ = trained.predict(pictures=image)
    assert {one.id for one in alone_.ranked} == {"AA", NONE}
    assert alone_.about == "which gene is knocked out in 2 images"
    both = trained.predict(some.values[:30], some.genes, image)
    assert both.about == "which gene is knocked out in 30 cells and 2 images"
    assert any("read together" in note for note in both.notes)


def test_what_cannot_be_answered_is_refused(trained: KnockedOut) -> None:
    some, shown = screen(), crops().pictures
    with pytest.raises(BadInput, match="neither cells nor an image"):
        trained.predict()
    with pytest.raises(BadInput, match="in this order"):
        trained.predict(pictures=Pictures(shown.values[:, ::-1], ("ER", "DNA")))
    with pytest.raises(BadInput, match="at least one cell"):
        trained.predict(some.values[:0], some.genes)
    with pytest.raises(BadInput, match="genes that the model reads"):
        trained.predict(some.values[:3], ["X"] * 12)
    cells_alone = replace(trained, images=None)
    with pytest.raises(BadInput, match="--images"):
        cells_alone.predict(pictures=shown)


def test_a_folder_is_read_again_and_says_the_same(trained: KnockedOut, tmp_path: Path) -> None:
    sha256 = save_vit(vit(), tmp_path / "image-encoder")
    identity = {"kind": "vit", "channels": ["DNA", "ER"], "sha256": sha256}
    trained.model.save(tmp_path, encoder={"image": identity})
    trained.save(tmp_path)
    again = KnockedOut.load(tmp_path, tiny_seeing())
    some = screen()
    one, other = (m.predict(some.values[:50], some.genes) for m in (trained, again))
    assert one.ranked == other.ranked
    assert len(other.release) == 12
    save_vit(SmallViT(vit().config), tmp_path / "image-encoder")
    with pytest.raises(BadFile, match="image encoder"):
        KnockedOut.load(tmp_path, tiny_seeing())
    with pytest.raises(BadFile, match="celloquy train knockout"):
        KnockedOut.load(tmp_path / "nothing", tiny_seeing())
