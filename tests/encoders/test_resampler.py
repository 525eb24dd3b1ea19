"""Resamplers and the prompts that they stand in: M tokens, padding, absence, gradients, keeping."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from data.errors import BadFile, BadInput  # noqa: E402 - after the check for torch
from encoders.adapter import IGNORED  # noqa: E402
from encoders.image.resampler import Resampler, ResamplerConfig, padded  # noqa: E402
from encoders.knockout.multimodal import Asked, MultimodalModel  # noqa: E402
from tests.encoders.tinyseeing import END, tiny_seeing  # noqa: E402

QUESTION, PREFIX = "Which gene is knocked out ?", " The knocked out gene is"


def resampler(width_in: int = 5, tokens: int = 3, width_out: int = 64) -> Resampler:
    torch.manual_seed(1)
    config = ResamplerConfig(width_in, width_out, tokens, width=16, heads=2, scale=0.2)
    return Resampler(config).eval()


def seeing(**tokens: int) -> MultimodalModel:
    wanted = tokens or {"image": 2, "gene": 3}
    return MultimodalModel(tiny_seeing(), {k: resampler(5, n) for k, n in wanted.items()}).eval()


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(1, 30), st.integers(1, 6))
def test_any_length_becomes_m_tokens(inputs: int, length: int, tokens: int) -> None:
    found = resampler(tokens=tokens)(torch.randn(inputs, length, 5))
    assert found.shape == (inputs, tokens, 64)
    assert torch.isfinite(found).all()


@settings(max_examples=30)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.floats(-1e3, 1e3))
def test_padding_changes_nothing(lengths: list[int], junk: float) -> None:
    model = resampler()
    rows = [torch.randn(n, 5) for n in lengths]
    side_by_side, mask = padded(rows)
    side_by_side[mask == 0] = junk
    together = model(side_by_side, mask)
    for row, found in zip(rows, together, strict=True):
        assert torch.allclose(found, model(row.unsqueeze(0))[0], atol=1e-5)


def test_the_order_of_features_does_not_count() -> None:
    model, features = resampler(), torch.randn(1, 6, 5)
    turned = features[:, torch.randperm(6)]
    assert torch.allclose(model(features), model(turned), atol=1e-5)


def test_soft_tokens_are_as_long_as_words() -> None:
    found = resampler()(torch.randn(2, 4, 5) * 50)
    assert found.pow(2).mean(-1).sqrt().allclose(torch.tensor(0.2), atol=1e-4)


@pytest.mark.parametrize("shape", [(2, 5), (2, 4, 6), (2, 0, 5)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match="expected"):
        resampler()(torch.zeros(shape))


def test_an_input_of_padding_alone_is_refused() -> None:
    with pytest.raises(BadInput, match="at least one token"):
        resampler()(torch.zeros(2, 3, 5), torch.tensor([[1, 0, 0], [0, 0, 0]]))


@pytest.mark.parametrize("sizes", [{"heads": 3}, {"tokens": 0}, {"dropout": 1.0}])
def test_impossible_resamplers_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(BadInput):
        ResamplerConfig(5, 64, **({"width": 16} | sizes))  # type: ignore[arg-type]


# --- prompts -----------------------------------------------------------------------------------


def features(length: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(length, 5, generator=torch.Generator().manual_seed(seed))


def test_a_prompt_is_laid_out_in_order() -> None:
    model = seeing()
    both = {"gene": features(), "image": features(7)}
    batch = model.assemble([Asked(QUESTION, both, ("passage one .",), PREFIX, " AA .")])
    language = model.language
    words = language.tokens(f"{QUESTION} passage one .")
    count = len(words) + (2 + 2) + (3 + 2) + len(language.tokens(PREFIX))
    answer = [*language.tokens("AA ."), END]
    assert batch.embeddings.shape[1] == count + len(answer)
    assert batch.soft[0].nonzero().flatten().tolist() == [
        *range(len(words) + 1, len(words) + 3),
        *range(len(words) + 5, len(words) + 8),
    ]
    assert batch.labels[0, :count].eq(IGNORED).all()
    assert batch.labels[0, count:].tolist() == answer
    image, gene = model.soft("image", [both["image"]]), model.soft("gene", [both["gene"]])
    assert torch.allclose(batch.embeddings[0][batch.soft[0]], torch.cat([image[0], gene[0]]))
    assert torch.allclose(batch.embeddings[0, len(words)], model.marks[0])


def test_an_absent_modality_leaves_no_token() -> None:
    model = seeing()
    alone = seeing(gene=3)
    alone.resamplers["gene"].load_state_dict(model.resamplers["gene"].state_dict())
    prompt = Asked(QUESTION, {"gene": features()}, (), PREFIX)
    one, other = model.assemble([prompt]), alone.assemble([prompt])
    assert torch.equal(one.embeddings, other.embeddings)
    candidates = [" AA .", " BB ."]
    assert (model.score([prompt], candidates) == alone.score([prompt], candidates)).all()


def test_a_prompt_with_neither_is_the_plain_text() -> None:
    model = seeing()
    batch = model.assemble([Asked(QUESTION, {}, ("passage one .",), PREFIX)])
    ids = torch.tensor([model.language.tokens(f"{QUESTION} passage one . {PREFIX}")])
    assert torch.equal(batch.embeddings, model.language.words(ids))
    assert not batch.soft.any()
    plain = model.language.log_likelihoods(f"{QUESTION} passage one . {PREFIX}", ["AA ."])
    seen = model.score([Asked(QUESTION, {}, ("passage one .",), PREFIX)], ["AA ."])
    assert seen[0, 0] == pytest.approx(plain[0] * 2, abs=1e-4)


def test_inputs_of_different_kinds_and_lengths_do_not_touch_each_other() -> None:
    model = seeing()
    some = [
        Asked(QUESTION, {"gene": features(4)}, (), PREFIX),
        Asked(QUESTION, {"image": features(9)}, ("passage one .",), PREFIX),
        Asked(QUESTION, {}, (), PREFIX),
        Asked(QUESTION, {"image": features(2), "gene": features(6)}, (), PREFIX),
    ]
    candidates = [" AA .", " BB .", " none ."]
    together = model.score(some, candidates)
    for prompt, row in zip(some, together, strict=True):
        assert model.score([prompt], candidates)[0] == pytest.approx(row, abs=1e-4)


def test_the_side_of_padding_changes_no_loss() -> None:
    from training.instruct import loss_of

    model = seeing()
    some = [
        Asked(QUESTION, {"gene": features(n)}, ("passage",) * n, PREFIX, " AA .") for n in (1, 4)
    ]
    left, right = (
        loss_of(model.language, model.assemble(some, side=side)).item()
        for side in ("left", "right")
    )
    assert left == pytest.approx(right, abs=1e-5)


def test_gradients_reach_resamplers_and_marks_and_nothing_else() -> None:
    from training.instruct import loss_of

    model = seeing()
    model.language.model.requires_grad_(False)
    given_features = features().requires_grad_(False)
    prompt = Asked(QUESTION, {"gene": given_features}, (), PREFIX, " AA .")
    loss_of(model.language, model.assemble([prompt])).backward()
    assert all(p.grad is None for p in model.language.model.parameters())
    own = dict(model.named_parameters())
    reached = {name for name, p in own.items() if p.grad is not None and p.grad.abs().sum() > 0}
    # What the prompt does not hold is not reached: no image was given.
    assert {n.split(".")[1] for n in reached if n.startswith("resamplers")} == {"gene"}
    assert "marks" in reached
    assert own["marks"].grad is not None
    assert own["marks"].grad[:2].abs().sum() == 0


def test_unknown_modalities_and_missing_resamplers_are_refused() -> None:
    model = seeing(gene=3)
    with pytest.raises(BadInput, match="reads no image"):
        model.assemble([Asked(QUESTION, {"image": features()})])
    with pytest.raises(BadInput, match="no modality"):
        model.assemble([Asked(QUESTION, {"sound": features()})])
    with pytest.raises(BadInput, match="64 wide"):
        MultimodalModel(tiny_seeing(), {"gene": resampler(width_out=32)})
    with pytest.raises(BadInput, match="fewer passages"):
        model.assemble([Asked(QUESTION, {}, ("passage",) * 200)])


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    model = seeing()
    prompt = Asked(QUESTION, {"gene": features(), "image": features(9)}, (), PREFIX)
    sha256 = model.save(tmp_path, encoder={"gene": {"genes": 3}})
    again, document = MultimodalModel.load(tmp_path, tiny_seeing())
    assert document["sha256"] == sha256
    assert (again.score([prompt], [" AA ."]) == model.score([prompt], [" AA ."])).all()
    with pytest.raises(BadFile, match="language model"):
        MultimodalModel.load(tmp_path, tiny_seeing(seed=9))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    seeing().save(tmp_path, encoder={})
    path = tmp_path / "multimodal.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(BadFile, match="sha256"):
        MultimodalModel.load(tmp_path, tiny_seeing())
