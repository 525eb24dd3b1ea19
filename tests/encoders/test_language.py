"""The language model: a tiny one made here, and the bundled one where it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from data.errors import BadInput

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from encoders.language import LanguageModel, load  # noqa: E402 - after the check for torch

WORDS = [
    "a",
    "b",
    "c",
    "d",
    "e",
    "the",
    "cell",
    "is",
    "T",
    "B",
    "[E1]",
    ".",
    "?",
    "lymphocyte",
    "kind",
    "of",
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers over twenty words, saved as a folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "tiny"
    names = ["<unk>", "<end>", *WORDS]
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(names)}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", eos_token="<end>"
    )
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }} {% endfor %}?"
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(names), hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64,
        tie_word_embeddings=True, bos_token_id=None, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tiny: Path) -> LanguageModel:
    return load(str(tiny), precision="float32")


def test_the_same_prompt_has_the_same_continuation(model: LanguageModel) -> None:
    first, second = model.generate(["the T cell is", "the T cell is"], max_new_tokens=8)
    assert first == second == model.generate(["the T cell is"], max_new_tokens=8)[0]
    assert 0 < first.tokens <= 8


def test_padding_changes_nothing(model: LanguageModel) -> None:
    """A short prompt beside a long one is padded on the left, and its mask is heeded."""
    alone = model.generate(["B cell"], max_new_tokens=6)[0]
    beside = model.generate(["B cell", "the T cell is a kind of lymphocyte ."], max_new_tokens=6)[0]
    assert alone == beside


def test_embeddings_continue_as_their_tokens_do(model: LanguageModel) -> None:
    batch = model.tokenizer(["the T cell is"], return_tensors="pt")
    embeddings = model.model.get_input_embeddings()(batch["input_ids"])
    (soft,) = model.generate_from(embeddings, batch["attention_mask"], max_new_tokens=6)
    assert soft == model.generate(["the T cell is"], max_new_tokens=6)[0]


def test_likelihoods_are_the_models_own(model: LanguageModel) -> None:
    prompt, rest = "the T cell", "is a lymphocyte"
    ids = model.tokenizer(f"{prompt} {rest}", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        logits = torch.log_softmax(model.model(ids).logits[0], dim=-1)
    # Three tokens of the continuation, each predicted one position before it.
    by_hand = sum(float(logits[i - 1, ids[0, i]]) for i in (3, 4, 5)) / 3
    assert model.log_likelihoods(prompt, [rest]) == pytest.approx([by_hand], abs=1e-5)


def test_a_chat_ends_where_the_models_turn_begins(model: LanguageModel) -> None:
    assert model.chat([{"role": "user", "content": "is B cell"}]) == "is B cell ?"


def test_too_long_a_prompt_is_refused(model: LanguageModel) -> None:
    with pytest.raises(BadInput, match="expected at most 64"):
        model.generate(["the cell " * 40], max_new_tokens=4)


def test_time_is_a_limit(model: LanguageModel) -> None:
    (written,) = model.generate(["the T cell is"], max_new_tokens=50, seconds=1e-9)
    assert written.finish in ("time", "stop")
    assert written.tokens < 50


def test_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no language model"):
        load(str(tmp_path))


def test_weights_other_than_safetensors_are_not_read(tiny: Path, tmp_path: Path) -> None:
    for file in tiny.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(BadInput, match="no language model"):
        load(str(tmp_path))


def test_the_module_imports_no_torch() -> None:
    code = "import sys, encoders.language; print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


@pytest.mark.models
@pytest.mark.slow
def test_the_bundled_model_reads_and_writes() -> None:
    model = load("local")
    assert model.width == 576
    prompt = model.chat([{"role": "user", "content": "What is the capital of France?"}])
    (written,) = model.generate([prompt], max_new_tokens=24)
    assert "Paris" in written.text
    text = "NK cells: α/β T-cells (CD8+) 12,345.6  two  spaces\nnew"
    assert model.tokenizer.decode(model.tokenizer(text)["input_ids"]) == text
    scores = model.log_likelihoods("The capital of France is", [" Paris", " Berlin"])
    assert scores[0] > scores[1]
