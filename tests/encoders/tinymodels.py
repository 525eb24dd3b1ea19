"""Tiny causal language models of two families, random, over twenty words."""

from __future__ import annotations

from typing import Any, Literal

Family = Literal["llama", "gpt2"]

WORDS = ["a", "b", "c", "d", "e", "the", "cell", "is", "T", "B", "type", ".", "?", "lymphocyte",
         "kind", "of", "What", "this", "naive", "memory"]  # fmt: skip
END = 1


def tokenizer() -> Any:
    """Words at spaces; the pad id is the end id, as in the bundled model."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["<unk>", "<end>", *WORDS]
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(names)}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<end>")


def tiny(family: Family, width: int = 64, seed: int = 3, context: int = 64) -> Any:
    """A language model of two layers, as :class:`encoders.language.LanguageModel`."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    from encoders.language import LanguageModel

    torch.manual_seed(seed)
    size = len(WORDS) + 2
    ends = {"bos_token_id": None, "eos_token_id": END, "pad_token_id": END}
    model: Any
    if family == "llama":
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=size,
                hidden_size=width,
                intermediate_size=2 * width,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=context,
                tie_word_embeddings=True,
                initializer_range=0.2,
                **ends,
            )
        )
    else:
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=size,
                n_embd=width,
                n_layer=2,
                n_head=4,
                n_positions=context,
                initializer_range=0.2,
                **ends,
            )
        )
    return LanguageModel(f"tiny-{family}", model, tokenizer())
