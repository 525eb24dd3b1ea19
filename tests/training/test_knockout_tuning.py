"""Stage 2: what is asked, what alone changes, what is kept and read again."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("sklearn")

from encoders.image.resampler import Resampler, ResamplerConfig  # noqa: E402
from encoders.knockout.knocked import NONE, KnockedOut  # noqa: E402 - after the check for torch
from encoders.knockout.multimodal import Asked, MultimodalModel  # noqa: E402
from tests.encoders.tinyseeing import tiny_seeing  # noqa: E402
from training.instruct import InstructConfig  # noqa: E402
from training.knockout.figures import answers_of  # noqa: E402
from training.knockout.run import Inputs  # noqa: E402
from training.knockout.train import ImageSource, KnockoutConfig  # noqa: E402
from training.knockout.tuning import (  # noqa: E402
    KINDS,
    Facts,
    TuningConfig,
    facts_of,
    questions,
    save,
    tune,
)
from training.loop import LoopConfig  # noqa: E402

FACTS = {"AA": Facts("signaling", "nucleus"), NONE: Facts("none", "none")}
STAGE1 = KnockoutConfig(tokens=2, width=16, heads=2)
CONFIG = TuningConfig(
    InstructConfig(rank=2, alpha=4), batch=6,
    loop=LoopConfig(steps=3, learning_rate=1e-2, weight_decay=0.0, threads=1),
)  # fmt: skip


def first(seed: int = 0) -> KnockedOut:
    language = tiny_seeing()
    torch.manual_seed(seed)
    resampler = Resampler(ResamplerConfig(5, language.width, 2, 16, 2, scale=0.2))
    model = MultimodalModel(language, {"image": resampler}).eval()
    return KnockedOut(model, {"image": ("AA", "BB", NONE)}, {})


def source() -> ImageSource:
    tokens = np.random.default_rng(0).normal(size=(9, 2, 4, 5)).astype(np.float32)
    return ImageSource(tokens, np.array(["AA", "BB", NONE] * 3, object))


def digest(module: Any) -> str:
    found = hashlib.sha256()
    for _, tensor in sorted(module.state_dict().items()):
        found.update(tensor.numpy().tobytes())
    return found.hexdigest()


def test_each_kind_has_its_answer() -> None:
    features = {"image": torch.zeros(4, 5)}
    wanted = {
        ("gene", "AA", 1): " AA.", ("gene", NONE, 9): " none.", ("process", "AA", 1): " signaling.",
        ("compartment", "AA", 1): " nucleus.", ("sure", "AA", 1): " high.",
        ("sure", "BB", 5): " middle.", ("sure", NONE, 6): " low.", ("control", NONE, 1): " Yes.",
        ("control", "AA", 1): " No.",
    }  # fmt: skip
    for (kind, gene, rank), answer in wanted.items():
        ((found, asked),) = questions([features], [gene], [rank], FACTS, random.Random(0), [kind])
        assert (found, asked.answer) == (kind, answer)
        assert asked.prefix.startswith(" The ")


def test_a_gene_without_facts_is_asked_for_nothing_else_of_the_graph() -> None:
    draw = random.Random(0)
    kinds = [kind for _ in range(60) for kind, _ in questions([{}], ["BB"], [1], FACTS, draw)]
    assert set(kinds) == {"gene", "sure", "control"}
    assert 15 < kinds.count("gene") < 45


def test_stage_2_changes_thin_layers_and_resamplers_and_no_weight_of_the_model() -> None:
    start = first()
    before, own = digest(start.model.language.model), digest(start.model)
    made, history = tune(start, [source()], FACTS, CONFIG, STAGE1)
    assert history.step == 3
    assert digest(start.model.language.model) == before
    assert digest(start.model) == own  # the model given stays
    assert digest(made) != own
    grown = {n: p for n, p in made.language.model.named_parameters() if "lora_B" in n}
    assert grown
    assert any(p.abs().sum() > 0 for p in grown.values())
    base = {n: p for n, p in made.language.model.named_parameters() if "lora" not in n}
    assert all(not p.requires_grad for p in base.values())


def test_a_tuned_model_is_kept_and_read_again(tmp_path: Path) -> None:
    made, _ = tune(first(), [source()], FACTS, CONFIG, STAGE1)
    save(made, tmp_path, encoder={}, about={})
    again, _ = MultimodalModel.load(tmp_path, tiny_seeing())
    prompt = Asked("Which gene is knocked out ?", {"image": torch.ones(3, 5)})
    one, other = (m.score([prompt], [" AA .", " BB ."]) for m in (made, again))
    assert one == pytest.approx(other, abs=1e-4)
    plain, _ = MultimodalModel.load(tmp_path, tiny_seeing(), lora=False)
    assert plain.score([prompt], [" AA .", " BB ."]) != pytest.approx(one, abs=1e-4)


def test_answers_are_counted_by_kind_beside_the_commonest() -> None:
    start = first()
    tokens = source().tokens
    right = np.array(["AA", "AA", NONE, "BB"], object)
    test = Inputs([{"image": torch.from_numpy(tokens[i, 0])} for i in range(4)],
                  np.zeros((4, 1), np.float32), right, right)  # fmt: skip
    found = answers_of(start, replace(start), test, FACTS, STAGE1)
    assert set(found) == set(KINDS)
    assert (found["control"].commonest, found["control"].n) == (0.75, 4)
    assert found["process"].n == 3  # BB has no facts
    assert all(0 <= one.right <= 1 and 0 <= one.formed <= 1 for one in found.values())


@pytest.mark.assets
def test_facts_come_from_the_graph(real: Any) -> None:
    found = facts_of(real, ["STAT2", "NOSUCHGENE", NONE])
    assert set(found) == {"STAT2", NONE}
    assert "interferon" in found["STAT2"].process
    assert found["STAT2"].compartment in {"cytosol", "nucleus", "nucleoplasm", "plasma membrane"}
