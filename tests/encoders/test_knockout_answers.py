"""Answers as a tree of word pieces, the pointer, and a panel's values in its tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from data.errors import BadFile, BadInput  # noqa: E402 - after the check for torch
from encoders.image.resampler import Resampler, ResamplerConfig, padded  # noqa: E402
from encoders.knockout.answers import Answers  # noqa: E402
from encoders.knockout.multimodal import Asked, MultimodalModel  # noqa: E402
from encoders.knockout.panel import Panel, along, fixed  # noqa: E402
from tests.encoders.tinyseeing import tiny_seeing  # noqa: E402

ANSWERS = (" AA .", " AA BB .", " AA BB A .", " none .", " BB .")
PREFIX = " The knocked out gene is"


def seeing(pointed: bool = False) -> MultimodalModel:
    torch.manual_seed(1)
    config = ResamplerConfig(5, 64, 3, width=16, heads=2, scale=0.2, pointed=pointed)
    return MultimodalModel(tiny_seeing(), {"gene": Resampler(config)}).eval()


def prompts() -> list[Asked]:
    features = [torch.randn(n, 5, generator=torch.Generator().manual_seed(n)) for n in (2, 4)]
    questions = ("Which gene is knocked out ?", "Which gene ?")
    return [Asked(q, {"gene": f}, (), PREFIX) for q, f in zip(questions, features, strict=True)]


def step_by_step(model: MultimodalModel, prompt: Asked, answer: str) -> tuple[float, float]:
    """The same by reading the prompt anew before each piece."""
    language = model.language
    rows = [language.tokens(one) for one in ANSWERS]
    own, among, free = language.tokens(answer), 0.0, 0.0
    start = model.assemble([prompt]).embeddings
    for n, piece in enumerate(own):
        may = sorted({row[n] for row in rows if row[:n] == own[:n] and len(row) > n})
        if len(may) < 2:
            continue
        said = torch.cat([start, language.words(torch.tensor([own[:n]], dtype=torch.long))], 1)
        logits = language.forward(said, torch.ones(said.shape[:2]))[0, -1].detach()
        among += float(logits[may].log_softmax(-1)[may.index(piece)])
        free += float(logits.log_softmax(-1)[piece])
    return among, free


def test_a_tree_scores_as_reading_each_answer_by_itself() -> None:
    model, asked = seeing(), prompts()
    found = Answers(model.language, ANSWERS).scores(model.assemble(asked))
    wanted = [[step_by_step(model, one, answer) for answer in ANSWERS] for one in asked]
    assert found.among.detach().numpy() == pytest.approx(np.array(wanted)[..., 0], abs=1e-4)
    assert found.free.detach().numpy() == pytest.approx(np.array(wanted)[..., 1], abs=1e-4)
    assert found.among.exp().sum(1).tolist() == pytest.approx([1, 1])
    assert model.choose(asked, ANSWERS, rows=1) == pytest.approx(np.array(wanted)[..., 0], abs=1e-4)


def test_only_places_of_choice_are_read() -> None:
    tree = Answers(tiny_seeing(), ANSWERS)
    assert tree.above == [-1, 0]  # after AA, and after AA BB
    assert sorted(len(some) for some in tree.places.values()) == [2, 2, 3]


def test_gradients_reach_what_stands_in_the_prompt() -> None:
    model = seeing()
    Answers(model.language, ANSWERS).scores(model.assemble(prompts())).among[:, 0].sum().backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in [model.marks])
    assert model.resamplers["gene"].leave.weight.grad.abs().sum() > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("answers", [(" AA .",), (" AA", " AA BB"), (" AA .", " AA ."), ("", " A")])
def test_answers_that_cannot_be_told_apart_are_refused(answers: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match="two or more"):
        Answers(tiny_seeing(), answers)


def pointed() -> Resampler:
    torch.manual_seed(2)
    return Resampler(ResamplerConfig(5, 8, 3, width=16, heads=2, pointed=True)).eval()


def test_a_pointer_is_a_mixture_of_what_the_features_stand_for() -> None:
    pointer = pointed().pointer
    assert pointer is not None
    with torch.no_grad():
        pointer.keys.zero_()
        pointer.keys[1, 0] = 100.0
        pointer.values.copy_(torch.eye(5, 8).expand(3, 5, 8))
        found = pointer(torch.eye(5).unsqueeze(0), None)[0]
    assert found[0].tolist() == pytest.approx([0.2] * 5 + [0] * 3)  # all alike
    assert found[1].tolist() == pytest.approx([1] + [0] * 7)  # the first alone


@settings(max_examples=20)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=4))
def test_padding_changes_no_pointed_token(lengths: list[int]) -> None:
    model = pointed()
    rows = [torch.randn(n, 5) for n in lengths]
    side_by_side, mask = padded(rows)
    side_by_side[mask == 0] = 1e6
    for row, found in zip(rows, model(side_by_side, mask), strict=True):
        assert torch.allclose(found, model(row.unsqueeze(0))[0], atol=1e-5)


def test_a_pointed_model_is_written_and_read_again(tmp_path: Any) -> None:
    model = seeing(pointed=True)
    model.save(tmp_path, encoder={})
    again, _ = MultimodalModel.load(tmp_path, tiny_seeing())
    asked = prompts()
    assert np.array_equal(again.choose(asked, ANSWERS), model.choose(asked, ANSWERS))


def test_values_are_read_from_a_panels_tokens() -> None:
    draw = np.random.default_rng(0)
    directions, offset = draw.normal(size=(6, 4)), draw.normal(size=4)
    panel = Panel(tuple("abcdef"), np.zeros(6, np.float32), np.ones(6, np.float32),
                  directions.astype(np.float32), offset.astype(np.float32))  # fmt: skip
    statistics = draw.normal(size=(3, 6)).astype(np.float32)
    found = along(panel.tokens(statistics))
    assert found.numpy() == pytest.approx(statistics @ directions + offset, abs=1e-4)
    size, which = fixed(4)
    assert torch.allclose(size @ which.T, torch.zeros(4, 4), atol=1e-5)
    with pytest.raises(BadFile, match="4 directions"):
        Panel.of(panel.genes, panel.tensors() | {"offset": torch.zeros(3)})
