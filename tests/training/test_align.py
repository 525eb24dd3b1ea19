"""Stage 1 on tiny models of two families: what is trained, what it gives, what is kept."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from data.errors import AssetMissing, BadFile, BadInput  # noqa: E402 - after the check for torch
from encoders import aligned as alignments  # noqa: E402
from encoders.aligned import Aligned, SpaceConfig, expected  # noqa: E402
from encoders.labels import state_vectors, term_text, token_vectors  # noqa: E402
from encoders.language import LanguageModel  # noqa: E402
from kg.backoff import Hierarchy  # noqa: E402
from kg.terms import Category, Scope, Synonym, Term  # noqa: E402
from tests.encoders.tinymodels import tiny  # noqa: E402
from training.align import AlignConfig, Objective, align, from_means, untrained  # noqa: E402
from training.holdout import split_of_term  # noqa: E402
from training.loop import LoopConfig  # noqa: E402
from training.positives import PositivesConfig  # noqa: E402
from training.profiles import CellSet  # noqa: E402

NAMES = ["T cell", "B cell", "naive T cell", "memory T cell", "naive B cell", "memory B cell",
         "lymphocyte", "a cell", "b cell", "c cell", "d cell", "e cell", "the lymphocyte",
         "naive lymphocyte", "memory lymphocyte"]  # fmt: skip
IDS = [f"CL:{i:07d}" for i in range(len(NAMES))]
TEXTS = dict(zip(IDS, NAMES, strict=True))
HIERARCHY = Hierarchy.make({i: [i, IDS[6]] for i in IDS}, TEXTS)
WIDTH = 24


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def language(request: pytest.FixtureRequest) -> LanguageModel:
    found: LanguageModel = tiny(request.param)
    return found


def cells(each: int = 4, noise: float = 0.3, width: int = WIDTH) -> CellSet:
    """Cells whose vectors are sums of a vector for each word of their name, and noise."""
    rng = np.random.default_rng(0)
    words = {word: rng.normal(size=width) for name in NAMES for word in name.split()}
    rows = [sum(words[word] for word in name.split()) for name in NAMES for _ in range(each)]
    found = np.asarray(rows) + noise * rng.normal(size=(len(rows), width))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    types = tuple(one for one in IDS for _ in range(each))
    return CellSet(found.astype(np.float32), types, ("simulated",) * len(types))


def config(objective: Objective = "token", steps: int = 20, **more: Any) -> AlignConfig:
    loop = LoopConfig(steps, learning_rate=0.01, log_every=1)
    return AlignConfig(
        objective=objective, hidden=32, dropout=0.0, batch=8, loop=loop, **more
    )  # fmt: skip


def hashed(module: Any) -> str:
    digest = hashlib.sha256()
    for _, tensor in sorted(module.state_dict().items()):
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("objective", ["token", "contextual", "autoregressive"])
def test_the_projector_alone_is_trained(language: LanguageModel, objective: Objective) -> None:
    before = hashed(language.model)
    start = untrained(language, WIDTH, config(objective))
    projector = hashed(start.projector)
    found, history = align(language, cells(), TEXTS, HIERARCHY, config(objective), start=start)
    assert hashed(language.model) == before
    assert all(parameter.grad is None for parameter in language.model.parameters())
    assert hashed(found.model.projector) != projector
    first, last = history.records[0]["loss"], history.records[-1]["loss"]
    assert history.step == 20 and last < first - 0.05
    # In the token space [Bt] and the marks take no part.
    bt = start.projector.bt
    assert bt is not None
    untouched = torch.equal(bt, untrained(language, WIDTH, config(objective)).projector.bt)
    assert untouched == (objective == "token")


def test_aligned_cells_are_nearer_their_own_texts(language: LanguageModel) -> None:
    some = cells()
    plan = config(steps=150)
    found, _ = align(language, some, TEXTS, HIERARCHY, plan)
    own = {one: i for i, one in enumerate(IDS)}
    truth = np.array([own[t] for t in some.types])
    train = np.array([split_of_term(t, ()) == "train" for t in some.types])
    scores = found.cells(some.vectors) @ found.sayings(NAMES).T
    right = scores.argmax(1) == truth
    start = Aligned(
        untrained(language, WIDTH, plan), found.config, found.centre, found.known,
        found.known_texts,
    )  # fmt: skip
    chance = (start.cells(some.vectors) @ start.sayings(NAMES).T).argmax(1) == truth
    assert right[train].mean() > 0.8 > 0.4 > chance[train].mean()


def test_types_of_the_development_split_are_not_trained_on() -> None:
    """Their cells may be anything at all: the projector that comes out is the same."""
    language = tiny("llama")
    some = cells()
    aside = np.array([split_of_term(t, ()) == "dev" for t in some.types])
    assert aside.any() and not aside.all()
    other = replace(some, vectors=np.where(aside[:, None], -some.vectors, some.vectors))
    plan = config(steps=10)
    one, _ = align(language, some, TEXTS, HIERARCHY, plan)
    two, _ = align(language, other, TEXTS, HIERARCHY, plan)
    assert hashed(one.model) == hashed(two.model)


def test_held_out_types_are_refused_and_texts_must_be_there() -> None:
    language = tiny("llama")
    with pytest.raises(BadInput, match=f"held-out types were given \\({IDS[3]}\\)"):
        align(language, cells(), TEXTS, HIERARCHY, config(), unseen=frozenset([IDS[3]]))
    short = {one: text for one, text in TEXTS.items() if one != IDS[4]}
    with pytest.raises(BadInput, match=f"{IDS[4]} has cells and no text"):
        align(language, cells(), short, HIERARCHY, config())


def test_a_linear_projector_starts_where_mean_cells_score() -> None:
    """Two types along the axes, texts at 45 degrees: without a ridge texts score as means do."""
    texts = np.array([[2.0, 2.0, 1.0], [-3.0, 3.0, 1.0]], dtype=np.float32)
    centre = np.array([0.0, 0.0, 1.0], dtype=np.float32)
    means = np.array([[4.0, 0.0], [0.0, 2.0]], dtype=np.float32)
    weight, bias = from_means(means, texts, centre, 1e-9)
    cell = np.array([3.0, 1.0])
    soft = weight @ cell
    unit = (texts - centre) / np.linalg.norm(texts - centre, axis=1, keepdims=True)
    assert unit @ soft / np.linalg.norm(soft) == pytest.approx(cell / np.sqrt(10), abs=1e-5)
    assert bias == pytest.approx(centre)
    # Soft tokens of the means are as long, on average, as what texts have beside the centre.
    length = np.linalg.norm(means @ weight.T, axis=1).mean()
    assert length == pytest.approx((np.sqrt(8) + np.sqrt(18)) / 2, abs=1e-4)


def test_training_starts_from_the_means_only_where_asked_for() -> None:
    language, some = tiny("llama"), cells()
    still = LoopConfig(1, learning_rate=1e-12)
    right = {}
    for ridge in (0.1, None):
        made, _ = align(
            language, some, TEXTS, HIERARCHY, replace(config(ridge=ridge), loop=still)
        )  # fmt: skip
        known = np.array([t in made.known for t in some.types])
        place = {one: i for i, one in enumerate(made.known)}
        truth = np.array([place[t] for t in some.types if t in place])
        scores = made.cells(some.vectors[known]) @ made.known_texts.T
        right[ridge] = float((scores.argmax(1) == truth).mean())
    assert right[0.1] > 0.8 > 0.4 > right[None]


def test_a_batch_in_pieces_has_the_gradients_of_the_whole() -> None:
    language, some = tiny("llama"), cells()
    plan = config("contextual", steps=1)
    one, _ = align(language, some, TEXTS, HIERARCHY, plan)
    two, _ = align(language, some, TEXTS, HIERARCHY, replace(plan, pieces=4))
    for name, tensor in one.model.state_dict().items():
        assert torch.allclose(two.model.state_dict()[name], tensor, atol=1e-4), name
    with pytest.raises(BadInput, match="4 pieces of a batch, objective token"):
        config(pieces=4)


@pytest.mark.parametrize("weight", ["identity", "label", "levels", "lin", "ppr"])
@pytest.mark.parametrize("bank", [False, True])
def test_every_target_trains(weight: Any, bank: bool) -> None:
    plan = config(positives=PositivesConfig(weight), bank=bank, symmetric=not bank)
    plan = replace(plan, bank=bank and weight != "identity")
    _, history = align(tiny("gpt2"), cells(), TEXTS, HIERARCHY, plan)
    assert np.isfinite([record["loss"] for record in history.records]).all()


def test_the_same_seed_gives_the_same_weights_and_slices_too(tmp_path: Path) -> None:
    language = tiny("llama")
    plan = config(steps=6)
    whole, history = align(language, cells(), TEXTS, HIERARCHY, plan)
    while True:
        parts, sliced = align(
            language, cells(), TEXTS, HIERARCHY, plan, tmp_path, seconds=0.0
        )  # fmt: skip
        if sliced.finished:
            break
    assert sliced.loss == pytest.approx(history.loss, abs=1e-6)
    assert hashed(parts.model) == hashed(whole.model)
    other = replace(plan, loop=replace(plan.loop, seed=1))
    third, _ = align(language, cells(), TEXTS, HIERARCHY, other)
    assert hashed(third.model) != hashed(whole.model)
    with pytest.raises(BadFile, match="for data"):
        align(language, cells(noise=0.2), TEXTS, HIERARCHY, plan, tmp_path)


# --- what is kept and asked --------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["token", "contextual"])
def test_an_alignment_comes_back_and_scores_the_same(
    language: LanguageModel, tmp_path: Path, objective: Objective
) -> None:
    found, _ = align(language, cells(), TEXTS, HIERARCHY, config(objective, steps=3))
    found.save(tmp_path, encoder={"name": "words"}, about={"seed": 0})
    back = Aligned.load(tmp_path, language, {"name": "words"})
    assert back.config == found.config
    terms = [Term(i, n, Category.CELL_TYPE, "CL", "1") for i, n in TEXTS.items()]
    vectors = cells().vectors[:9]
    scores = found.compare(vectors, terms)
    assert scores.shape == (9, len(NAMES))
    assert back.compare(vectors, terms) == pytest.approx(scores, abs=1e-4)
    likely = found.expected(vectors, terms, HIERARCHY)
    assert back.expected(vectors, terms, HIERARCHY) == pytest.approx(likely, abs=1e-3)
    # A cell's scores are its own, whatever cells are beside it.
    assert back.compare(vectors[4:5], terms)[0] == pytest.approx(scores[4], abs=1e-4)
    with pytest.raises(BadFile, match="is for name words; expected name other"):
        Aligned.load(tmp_path, language, {"name": "other"})


def test_another_encoder_and_another_language_model(tmp_path: Path) -> None:
    """64 wide cells into a model 32 wide, twenty steps; what comes out opens beside no other."""
    language = tiny("gpt2", width=32)
    encoder = {"name": "mine", "width": 64}
    plan = config(steps=20, ridge=None)
    found, history = align(language, cells(width=64), TEXTS, HIERARCHY, plan)
    assert history.step == 20
    assert history.records[-1]["loss"] < history.records[0]["loss"] - 0.05
    shape = found.model.projector.config
    assert (shape.width_in, shape.width_out) == (64, 32)
    found.save(tmp_path, encoder=encoder)
    assert Aligned.load(tmp_path, language, encoder).model.projector.config == shape
    with pytest.raises(BadFile) as caught:
        Aligned.load(tmp_path, tiny("llama"), encoder)
    said = str(caught.value)
    assert "is for type gpt2, width 32" in said and "expected type llama, width 64" in said
    assert "\n" not in said
    with pytest.raises(BadFile, match="is for width 64; expected width 24"):
        Aligned.load(tmp_path, language, {"name": "mine", "width": 24})


def test_expected_likeness_by_hand() -> None:
    """r > a > b, r > c; known b and c, asked a (not known) and b: Lin to the power 1.

    The cell is on b's text; scores are scale times 1, 0 and 0 for b, c and a.
    """
    tree = Hierarchy.make({"r": "r", "a": "ra", "b": "rab", "c": "rc"}, {i: i for i in "rabc"})
    eye = np.eye(3, dtype=np.float32)
    plan = SpaceConfig(scale=np.log(2.0), power=1.0)
    found = expected(eye[:1], eye[:2], ("b", "c"), eye[[2, 0]], ("a", "b"), tree, plan)
    ic = {"a": np.log(2), "b": np.log(4)}  # 4 terms; a has itself and b below
    lin = 2 * ic["a"] / (ic["a"] + ic["b"])
    # Probabilities 1/2, 1/4, 1/4 of b, c, a.
    assert found[0] == pytest.approx([0.5 * lin + 0.25, 0.5 + 0.25 * lin])
    gone = expected(eye[:1], eye[:2], ("b", "x"), eye[[2, 0]], ("a", "b"), tree, plan)
    assert gone[0] == pytest.approx([(2 * lin + 1) / 3, (2 + lin) / 3])


def test_nothing_to_open(tmp_path: Path) -> None:
    with pytest.raises(AssetMissing, match="make one with: celloquy train align"):
        alignments.load(tmp_path)


def test_token_vectors_are_means_of_words_and_states_of_states(
    language: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = language.tokens("naive T cell")
    with torch.no_grad():
        words = language.words(torch.tensor(ids))
        states = language.states(words[None], torch.ones(1, 3, dtype=torch.long))[0]
    (tokens,) = token_vectors(language, ["naive T cell"])
    assert tokens == pytest.approx(words.mean(0).numpy(), abs=1e-6)
    monkeypatch.setenv("CELLOQUY_HOME", str(tmp_path))
    made = state_vectors(language, ["B cell", "naive T cell", "a"])
    assert made[1] == pytest.approx(states.mean(0).numpy(), abs=1e-5)
    kept = list(tmp_path.rglob("*.safetensors"))
    assert len(kept) == 1
    assert np.array_equal(state_vectors(language, ["B cell", "naive T cell", "a"]), made)
    state_vectors(language, ["B cell"])
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


def test_texts_of_a_term() -> None:
    term = Term(
        "CL:0000084", "T cell", Category.CELL_TYPE, "CL", "1", "A type of lymphocyte.",
        synonyms=(Synonym("T-cell", Scope.EXACT), Synonym("T", Scope.BROAD)),
    )  # fmt: skip
    assert term_text(term) == "T cell"
    assert term_text(term, "synonyms") == "T cell, T-cell"
    assert term_text(term, "definition") == "T cell: A type of lymphocyte."
    with pytest.raises(BadInput, match="no text of the kind"):
        term_text(term, "poem")  # type: ignore[arg-type]


def test_variants_are_scored_on_the_dataset_left_out() -> None:
    """Real cells of two datasets that are like the simulated ones: training beats the start."""
    from training.align_choice import choose
    from training.align_data import Material

    some = cells(each=6)
    origins = tuple(("here", "there", "simulated")[i % 3] for i in range(len(some)))
    terms = {i: Term(i, n, Category.CELL_TYPE, "CL", "1") for i, n in TEXTS.items()}
    material = Material(replace(some, origins=origins), terms, HIERARCHY, frozenset(), {})
    report = choose(material, tiny("llama"), steps=(0, 20), only=("linear, random start",))
    start, end = (report.baselines[f"linear, random start, {n} steps"] for n in (0, 20))
    figures = {
        f"{d}: {f}" for d in ("here", "there") for f in ("balanced accuracy", "AUROC", "Lin")
    }
    assert set(start) == set(end) == figures
    assert all(end[one].value > start[one].value for one in figures)
    assert report.notes[0] == "left out in turn: here, there; 1 seeds"
    ranked = [float(note.split()[1].rstrip(":")) for note in report.notes[1:]]
    assert ranked == sorted(ranked, reverse=True) and len(ranked) == 4


def test_other_rules_by_hand() -> None:
    """Two terms, one near every background cell; likeness the identity, so scores are chances."""
    from training.align_rules import SHIPS, rules

    texts = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    cell = np.array([[0.8, 0.6]], dtype=np.float32)
    background = np.array([[1.0, 0.0], [0.6, 0.8]], dtype=np.float32)
    found = rules(cell, background, texts, np.eye(2), np.array([1, 0]), 1.0)

    def chance(first: float, second: float) -> Any:
        return pytest.approx(np.exp([first, second]) / np.exp([first, second]).sum())

    assert found[SHIPS][0] == chance(0.8, 0.6)
    # Means over the background are .8 and .4, deviations .2 and .4.
    assert found["less the mean"][0] == chance(0.0, 0.2)
    assert found["less the mean, over the deviation"][0] == chance(0.0, 0.5 * 0.3)
    assert found["CSLS"][0] == chance(0.4, 0.4)
    usual = np.mean([1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(0.2))])
    own = 1 / (1 + np.exp(-0.2))
    lifted = np.array([own / usual, (1 - own) / (1 - usual)])
    assert found["inverted softmax"][0] == pytest.approx(lifted / lifted.sum(), rel=1e-5)
    assert found["likeness over its mean"][0] == pytest.approx(lifted, rel=1e-5)
    assert found["text alone"][0] == pytest.approx([0.6, 0.8])


def test_rules_are_compared_on_datasets_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from training import align_rules
    from training.align_data import Material

    some = cells(each=6)
    origins = tuple(("here", "there", "simulated")[i % 3] for i in range(len(some)))
    terms = {i: Term(i, n, Category.CELL_TYPE, "CL", "1") for i, n in TEXTS.items()}
    material = Material(replace(some, origins=origins), terms, HIERARCHY, frozenset(), {})
    monkeypatch.setattr(align_rules, "gather", lambda *_, **__: material)
    monkeypatch.setattr(align_rules, "AlignConfig", lambda: config(steps=20))
    report = align_rules.compare(Path(), tiny("llama"), seeds=2)
    assert len(report.baselines) == 9
    for some_figures in report.baselines.values():
        assert set(some_figures) == {"score"} | {
            f"{name}: {figure}"
            for name in ("here", "there")
            for figure in ("score", "R@5", "balanced R@5")
        }  # fmt: skip
        assert 0.2 < some_figures["score"].value <= 1
        assert some_figures["score"].spread == pytest.approx(0.0, abs=1e-6), "the same cells twice"
    assert report.notes[0] == "expected likeness (ships): +0.0000, standard error 0.0000"
