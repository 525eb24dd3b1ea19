"""A tiny random language model whose words are pieces of gene names, marks and full stops."""

from __future__ import annotations

from typing import Any

WORDS = ["Which", "gene", "is", "knocked", "out", "?", "The", "AA", "BB", "none", ".", "[", "]",
         "/", "IMAGE", "GENE", "passage", "one", "How", "sure", "A", "B"]  # fmt: skip
END = 1


def tiny_seeing(width: int = 64, seed: int = 3) -> Any:
    """Two layers of the Llama family, as :class:`encoders.language.LanguageModel`."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from encoders.language import LanguageModel

    names = ["<unk>", "<end>", *WORDS]
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(names)}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(names),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=96,
            tie_word_embeddings=True,
            initializer_range=0.2,
            bos_token_id=None,
            eos_token_id=END,
            pad_token_id=END,
        )
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", eos_token="<end>"
    )
    return LanguageModel("tiny-seeing", model, tokenizer)
