"""Soft tokens in a prompt: layout, masks, padding, scores, and what is kept."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from data.errors import BadFile, BadInput  # noqa: E402 - after the check for torch
from encoders.adapter import (  # noqa: E402
    BIO,
    CONTEXT,
    IGNORED,
    Projector,
    ProjectorConfig,
    Prompt,
    SoftTokenModel,
)
from encoders.language import LanguageModel  # noqa: E402
from tests.encoders.tinymodels import END, tiny  # noqa: E402

ASK = "What cell type is this ? [BIO]"


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def language(request: pytest.FixtureRequest) -> LanguageModel:
    found: LanguageModel = tiny(request.param)
    return found


def soft(language: LanguageModel, **config: Any) -> SoftTokenModel:
    torch.manual_seed(0)
    given = {"width_in": 5, "width_out": language.width, "hidden": 16, **config}
    return SoftTokenModel(language, Projector(ProjectorConfig(**given))).eval()


@pytest.fixture
def model(language: LanguageModel) -> SoftTokenModel:
    return soft(language)


def vectors(n: int, seed: int = 1, width: int = 5) -> Any:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["linear", "mlp2", "mlp3", "per_token"])
def test_every_projector_brings_any_width_to_any_width(kind: Any) -> None:
    config = ProjectorConfig(7, 12, tokens=3, kind=kind, hidden=9, dropout=0.1, scale=0.25)
    projector = Projector(config).eval()
    out = projector(vectors(4, width=7))
    assert out.shape == (4, 3, 12)
    assert torch.allclose(out.pow(2).mean(-1).sqrt(), torch.full((4, 3), 0.25), atol=1e-4)
    # A cell's own tokens differ, and a vector for each token may be given.
    assert not torch.allclose(out[:, 0], out[:, 1])
    repeated = vectors(4, width=7).unsqueeze(1).expand(-1, 3, -1)
    assert torch.allclose(projector(repeated), out, atol=1e-6)


def test_a_linear_projector_is_a_matrix_a_token() -> None:
    projector = Projector(ProjectorConfig(2, 1, tokens=2, kind="linear", bt=False))
    layer = projector.layers[0]
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]]))
        layer.bias.copy_(torch.tensor([[0.5], [-0.5]]))
    out = projector(torch.tensor([[1.0, 1.0], [2.0, 0.0]]))
    assert out.squeeze(-1).tolist() == [[3.5, 6.5], [2.5, 5.5]]


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 5), (2, 2, 4)])
def test_vectors_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    projector = Projector(ProjectorConfig(5, 8))
    with pytest.raises(BadInput, match=r"expected \[cells, 5\] or \[cells, 2, 5\]"):
        projector(torch.zeros(shape))


def test_a_projector_without_size_is_refused() -> None:
    with pytest.raises(BadInput, match="expected positive sizes"):
        ProjectorConfig(5, 8, tokens=0)


def test_the_layout_token_by_token(model: SoftTokenModel) -> None:
    """``<pad> ... What is [BIO_START] s s [Bt] [BIO_END] ? [ANSWER] T cell <end>``."""
    long = Prompt(f"What is {BIO} ?", "T cell")
    short = Prompt("is ?", "B")
    given = vectors(1)
    batch = model.assemble([long, short], given)
    ids = model.language.tokens
    # 2 words, 1 mark, 2 soft, [Bt], 1 mark, 1 word, [ANSWER], 2 words, end
    assert batch.embeddings.shape == (2, 12, 64)
    assert batch.mask.tolist() == [[1] * 12, [0] * 7 + [1] * 5]
    assert batch.labels.tolist() == [
        [IGNORED] * 9 + [*ids("T cell"), END],
        [IGNORED] * 10 + [*ids("B"), END],
    ]
    assert batch.soft.int().tolist() == [[0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0], [0] * 12]
    row = batch.embeddings[0]
    words = model.language.words(torch.tensor(ids("What is ? T cell")))
    assert torch.equal(row[[0, 1, 7, 9, 10]], words)
    assert torch.equal(row[[2, 6, 8]], model.marks)
    assert torch.equal(row[3:5], model.projector(given)[0])
    assert torch.equal(row[5], model.projector.bt)


def test_padding_is_told_by_the_mask_though_its_id_is_the_end(model: SoftTokenModel) -> None:
    """The end token stays a label: the model shall learn to stop."""
    batch = model.assemble([Prompt("a b c d e", "B"), Prompt("a", "B")], None)
    assert model.language.tokenizer.pad_token_id == END
    assert (batch.labels == END).sum(1).tolist() == [1, 1]
    assert (batch.labels[batch.mask == 0] == IGNORED).all()


def test_every_cell_of_a_prompt_has_its_own_tokens(model: SoftTokenModel) -> None:
    given = vectors(3)
    prompts = [Prompt(f"is {BIO} a {BIO} ?"), Prompt(f"{BIO}")]
    batch = model.assemble(prompts, given)
    expected = model.projector(given)  # [3, 2, w]
    # By row and place: two soft tokens and [Bt], three times.
    found = batch.embeddings[batch.soft].view(3, 3, -1)
    assert torch.equal(found[:, :2], expected)
    assert torch.equal(found[:, 2], model.projector.bt.expand(3, -1))


def test_without_bt_there_is_no_such_token(language: LanguageModel) -> None:
    model = soft(language, bt=False)
    batch = model.assemble([Prompt(ASK)], vectors(1))
    assert int(batch.soft.sum()) == 2
    assert batch.mask.shape[1] == 6 + 4 + 1
    assert all("bt" not in name for name, _ in model.named_parameters())


@pytest.mark.parametrize("given", [0, 1, 3])
def test_one_vector_for_each_cell(model: SoftTokenModel, given: int) -> None:
    with pytest.raises(BadInput, match=f"2 of \\[BIO\\] were given {given} vectors"):
        model.assemble([Prompt(f"{BIO} {BIO}")], vectors(given))


def test_only_the_context_is_cut(model: SoftTokenModel) -> None:
    prompt = Prompt(f"a {CONTEXT} {BIO} is ?", "T cell", context="b c d e " * 40)
    batch = model.assemble([prompt], vectors(1), limit=24)
    assert batch.mask.shape == (1, 24)
    own = model.language.tokens
    words = model.language.words(torch.tensor(own("a " + "b c d e " * 3)))
    assert torch.equal(batch.embeddings[0, :13], words)
    assert batch.soft[0].nonzero().flatten().tolist() == [14, 15, 16]
    assert batch.labels[0, -3:].tolist() == [*own("T cell"), END]
    with pytest.raises(BadInput, match="12 tokens without its context; expected at most 11"):
        model.assemble([prompt], vectors(1), limit=11)


def test_context_without_a_place_comes_first(model: SoftTokenModel) -> None:
    one = model.assemble([Prompt(ASK, context="a b")], vectors(1))
    two = model.assemble([Prompt(f"{CONTEXT} {ASK}", context="a b")], vectors(1))
    assert torch.equal(one.embeddings, two.embeddings)


MIXED = [Prompt(ASK, "T cell"), Prompt("the kind of lymphocyte is a ? " + ASK, "B"), Prompt("?")]


def test_padding_side_and_company_change_no_logits(model: SoftTokenModel) -> None:
    given = vectors(2)
    with torch.no_grad():
        found = []
        for side in ("left", "right"):
            batch = model.assemble(MIXED, given, side=side)  # type: ignore[arg-type]
            logits = model.language.forward(batch.embeddings, batch.mask)
            found.append([row[held > 0] for row, held in zip(logits, batch.mask, strict=True)])
        for number, prompt in enumerate(MIXED):
            own = given[number : number + 1] if prompt.groups else None
            alone = model.assemble([prompt], own)
            logits = model.language.forward(alone.embeddings, alone.mask)[0]
            assert torch.allclose(found[0][number], logits, atol=1e-4)
            assert torch.allclose(found[1][number], logits, atol=1e-4)


def test_the_loss_is_that_of_the_answers_alone(model: SoftTokenModel) -> None:
    """By hand: the mean over five answer tokens of the log probability one place before."""
    batch = model.assemble(MIXED[:2], vectors(2))
    with torch.no_grad():
        logs = torch.log_softmax(model.language.forward(batch.embeddings, batch.mask), -1)
        picked = [
            float(logs[row, place - 1, batch.labels[row, place]])
            for row, place in (batch.labels != IGNORED).nonzero().tolist()
        ]
        assert len(picked) == 5
        assert float(model.loss(batch)) == pytest.approx(-sum(picked) / 5, abs=1e-5)
        right = model.assemble(MIXED[:2], vectors(2), side="right")
        assert float(model.loss(right)) == pytest.approx(-sum(picked) / 5, abs=1e-4)


def test_a_batch_without_answers_has_no_loss(model: SoftTokenModel) -> None:
    with pytest.raises(BadInput, match="no prompt of the batch has an answer"):
        model.loss(model.assemble([Prompt("a")], None))


def test_generation_heeds_the_cells_and_not_the_company(language: LanguageModel) -> None:
    model = soft(language, scale=3.0)
    given = vectors(6) * 3
    prompts = [Prompt(ASK)] * 6
    together = model.generate([*prompts, Prompt("the " * 20)], given, max_new_tokens=6)[:6]
    alone = [model.generate([p], v[None], max_new_tokens=6)[0] for p, v in zip(prompts, given)]  # noqa: B905
    assert together == alone
    assert len({one.text for one in together}) > 1, "the soft tokens change what is written"


def test_generation_is_held_to_what_is_allowed(language: LanguageModel) -> None:
    model = soft(language, scale=3.0)
    given = vectors(6) * 3
    prompts = [Prompt(ASK)] * 5 + [Prompt("the " * 20 + ASK)]
    few = ["T cell", "naive T cell", "naive T", "memory"]
    found = model.generate(prompts, given, max_new_tokens=6, allowed=few)
    assert {one.text for one in found} <= set(few) and {one.finish for one in found} == {"stop"}
    alone = [
        model.generate([p], v[None], max_new_tokens=6, allowed=few)[0]
        for p, v in zip(prompts, given, strict=True)
    ]
    assert found == alone
    # Each token is the likeliest of those that lead to a text: the first one by the model's scores.
    first = model.score(prompts, given, ["T", "naive", "memory"])
    for one, scores in zip(found, first, strict=True):
        assert one.text.split()[0] == ["T", "naive", "memory"][int(scores.argmax())]
    with pytest.raises(BadInput, match="none of 1 texts has fewer than 3 tokens"):
        model.generate(prompts, given, max_new_tokens=3, allowed=["naive T cell"])


CANDIDATES = ["T cell", "B cell", "naive T cell", "lymphocyte", "memory"]


def test_scores_are_the_models_own_with_and_without_the_cache(model: SoftTokenModel) -> None:
    given = vectors(2)
    cached = model.score(MIXED, given, CANDIDATES)
    assert cached.shape == (3, 5)
    assert model.score(MIXED, given, CANDIDATES, cached=False) == pytest.approx(cached, abs=1e-4)
    for row, prompt in enumerate(MIXED):
        own = given[row : row + 1] if prompt.groups else None
        assert model.score([prompt], own, CANDIDATES)[0] == pytest.approx(cached[row], abs=1e-4)
        for column, text in enumerate(CANDIDATES):
            batch = model.assemble([Prompt(prompt.text, text)], own)
            with torch.no_grad():
                logs = torch.log_softmax(model.language.forward(batch.embeddings, batch.mask), -1)
            ids = model.language.tokens(text)
            start = batch.mask.shape[1] - len(ids) - 2
            sums = sum(float(logs[0, start + i, one]) for i, one in enumerate(ids))
            assert cached[row, column] == pytest.approx(sums / len(ids), abs=1e-4)


def test_scores_change_with_the_cell_and_no_candidate_is_empty(model: SoftTokenModel) -> None:
    one, two = model.score([Prompt(ASK)] * 2, vectors(2), CANDIDATES)
    assert abs(one - two).max() > 1e-4
    with pytest.raises(BadInput, match="a candidate is empty"):
        model.score([Prompt(ASK)], vectors(1), ["T cell", ""])


def test_embeddings_are_states_at_the_soft_tokens(model: SoftTokenModel) -> None:
    given = vectors(2)
    found = model.embed(MIXED[:2], given)
    batch = model.assemble([Prompt(MIXED[1].text)], given[1:])
    states = model.language.states(batch.embeddings, batch.mask)[0]
    places = batch.soft[0].nonzero().flatten()
    assert torch.allclose(found[1], states[places].mean(0), atol=1e-4)
    found.sum().backward()
    assert model.projector.bt is not None
    assert model.projector.bt.grad is not None
    assert model.projector.bt.grad.abs().sum() > 0


# --- keeping -----------------------------------------------------------------------------------

ENCODER = {"name": "gene-text", "width": 5}


def test_what_is_saved_comes_back(model: SoftTokenModel, tmp_path: Path) -> None:
    model.save(tmp_path, encoder=ENCODER, about={"seed": 3})
    back = SoftTokenModel.load(tmp_path, model.language, encoder=ENCODER)
    assert back.projector.config == model.projector.config
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, back.state_dict()[name])
    scores = model.score([Prompt(ASK)], vectors(1), CANDIDATES)
    assert back.score([Prompt(ASK)], vectors(1), CANDIDATES) == pytest.approx(scores, abs=1e-6)
    document = json.loads((tmp_path / "adapter.json").read_text())
    assert document["about"] == {"seed": 3}
    assert len(document["sha256"]) == 64


def test_another_models_adapter_is_refused_in_one_line(tmp_path: Path) -> None:
    soft(tiny("llama")).save(tmp_path, encoder=ENCODER)
    with pytest.raises(BadFile) as caught:
        SoftTokenModel.load(tmp_path, tiny("gpt2", width=32))
    said = str(caught.value)
    assert "type llama, width 64" in said
    assert "expected type gpt2, width 32" in said
    assert "\n" not in said
    with pytest.raises(BadFile, match=r"is for words \w+; expected words \w+"):
        SoftTokenModel.load(tmp_path, tiny("llama", seed=4))


def test_another_encoders_adapter_is_refused_in_one_line(tmp_path: Path) -> None:
    language = tiny("llama")
    soft(language).save(tmp_path, encoder=ENCODER)
    with pytest.raises(BadFile, match=r"is for name gene-text, width 5; expected name x, width 9"):
        SoftTokenModel.load(tmp_path, language, encoder={"name": "x", "width": 9})


def test_a_projector_for_other_words_is_refused() -> None:
    with pytest.raises(BadInput, match="soft tokens 32 wide and the words of tiny-llama are 64"):
        SoftTokenModel(tiny("llama"), Projector(ProjectorConfig(5, 32)))


@pytest.mark.parametrize("harm", ["flip", "cut", "gone", "json"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, harm: str) -> None:
    language = tiny("llama")
    soft(language).save(tmp_path, encoder=ENCODER)
    path = tmp_path / "adapter.safetensors"
    content = bytearray(path.read_bytes())
    if harm == "flip":
        content[-1] ^= 1
        path.write_bytes(content)
    elif harm == "cut":
        path.write_bytes(content[:-40])
    elif harm == "gone":
        path.unlink()
    else:
        (tmp_path / "adapter.json").write_text("{")
    with pytest.raises(BadFile, match=r"sha256|no adapter that can be read"):
        SoftTokenModel.load(tmp_path, language)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_a_low_rank_adapter_leaves_the_model_given_as_it_is(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    language = tiny("llama")
    model = soft(language)
    before = model.score([Prompt(ASK)], vectors(1), CANDIDATES)
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    tuned = peft.get_peft_model(copy.deepcopy(language.model), config)
    model.save(tmp_path, encoder=ENCODER)
    tuned.save_pretrained(tmp_path / "lora", save_embedding_layers=False)
    back = SoftTokenModel.load(tmp_path, language)
    after = back.score([Prompt(ASK)], vectors(1), CANDIDATES)
    expected = SoftTokenModel(LanguageModel("tuned", tuned, language.tokenizer), back.projector)
    expected.load_state_dict(back.state_dict())
    assert after == pytest.approx(expected.score([Prompt(ASK)], vectors(1), CANDIDATES), abs=1e-6)
    assert abs(after - before).max() > 1e-3
    plain = SoftTokenModel.load(tmp_path, language, lora=False)
    assert plain.score([Prompt(ASK)], vectors(1), CANDIDATES) == pytest.approx(before, abs=1e-6)
    assert back.generate([Prompt(ASK)], vectors(1), max_new_tokens=3)[0].tokens <= 3
    with pytest.raises(BadFile, match=r"no adapter_model\.safetensors"):
        (tmp_path / "lora" / "adapter_model.safetensors").unlink()
        SoftTokenModel.load(tmp_path, language)
