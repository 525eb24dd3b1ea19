"""The gene-token encoder: neither order nor padding counts, it is kept whole, it conforms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

torch = pytest.importorskip("torch")

from data.errors import BadFile, BadInput  # noqa: E402
from encoders import registry  # noqa: E402
from encoders.genetokens.expression import (  # noqa: E402
    GeneTokenModel,
    GeneTokens,
    Labels,
    ModelConfig,
    tensors,
)
from encoders.genetokens.knowledge import Channel, Knowledge  # noqa: E402
from encoders.genetokens.tokenizer import TokenConfig, Tokenizer, Tokens, held  # noqa: E402

GENES = ("CD3D", "CD3E", "CD79A", "GNLY", "LYZ", "MS4A1", "NKG7", "PPBP")
SMALL = ModelConfig(width=16, layers=2, heads=2, inner=32, gene_width=8, unseen=True)


def made(config: ModelConfig = SMALL, tokens: int = 8, channels: int = 2) -> GeneTokens:
    """A network as it starts, over eight genes, of which two have no vector of their own."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    some = [
        Channel(f"c{i}", GENES[: 6 + i], rng.normal(size=(6 + i, 4)).astype(np.float32))
        for i in range(channels)
    ]
    knowledge = Knowledge.of(some, GENES)
    labels = Labels(("CL:1", "CL:2"), ("CL:1", "CL:2"), {"tissue": ("blood", "liver", "lung")})
    model = GeneTokenModel(config, knowledge, np.arange(6), labels).eval()
    usual = np.full(len(GENES), 1.5, dtype=np.float32)
    return GeneTokens(
        model, knowledge, TokenConfig(tokens=tokens), usual, {"trained on": "nothing"}
    )


def cells(n: int = 12, seed: int = 0) -> sp.csr_array:
    dense = np.log1p(np.random.default_rng(seed).poisson(1.0, size=(n, len(GENES))))
    return sp.csr_array(dense.astype(np.float32))


@pytest.mark.parametrize("said", ["cell", "mean", "joined"])
def test_it_conforms(said: Any) -> None:
    encoder = made(ModelConfig(width=16, layers=1, heads=2, inner=32, gene_width=8, said=said))
    assert registry.problems(encoder) == []
    assert encoder.encode(cells(), GENES).shape == (12, encoder.dimension)
    assert encoder.encode(cells(0), GENES).shape == (0, encoder.dimension)


def test_the_order_of_genes_changes_no_vector() -> None:
    encoder, values = made(tokens=5), cells(40)
    order = np.random.default_rng(1).permutation(len(GENES))
    moved = encoder.encode(sp.csr_array(values.toarray()[:, order]), [GENES[i] for i in order])
    assert np.abs(moved - encoder.encode(values, GENES)).max() < 1e-5


def test_the_order_of_tokens_and_padding_change_no_state() -> None:
    """Straight at the network: tokens shuffled, and 5 tokens of padding with anything in them."""
    encoder = made()
    tokens = Tokenizer(TokenConfig(tokens=8), encoder.usual)(held(cells(), np.arange(8)))
    rng = np.random.default_rng(0)
    order = rng.permutation(tokens.genes.shape[1])
    shuffled = Tokens(tokens.genes[:, order], tokens.levels[:, order], tokens.there[:, order])
    pad = ((0, 0), (0, 5))
    padded = Tokens(
        np.pad(tokens.genes, pad, constant_values=3),
        np.pad(tokens.levels, pad, constant_values=0.7),
        np.pad(tokens.there, pad),
    )
    with torch.inference_mode():
        rows = [
            encoder.model.vectors(encoder.model(*tensors(one)), torch.from_numpy(one.there))
            for one in (tokens, shuffled, padded)
        ]
    assert float((rows[0] - rows[1]).abs().max()) < 1e-5
    assert float((rows[0] - rows[2]).abs().max()) < 1e-5


def test_levels_and_genes_count() -> None:
    encoder = made()
    one = np.zeros((3, 8), dtype=np.float32)
    one[0, 0], one[1, 0], one[2, 1] = 1.0, 4.0, 1.0
    low, high, other = encoder.encode(sp.csr_array(one), GENES)
    assert np.abs(low - high).max() > 1e-3
    assert np.abs(low - other).max() > 1e-3


def test_a_gene_without_a_vector_of_its_own_is_known_by_its_channels() -> None:
    """NKG7 and PPBP have none. NKG7 is in a channel; PPBP, with none of them, is like any other."""
    encoder = made()
    model, place = encoder.model, encoder.places(["CD3D", "NKG7", "PPBP", "spam"])
    assert place[3] == -1
    with torch.inference_mode():
        own, by_channel, neither = model.gene_vectors(torch.from_numpy(place[:3]))
        assert torch.allclose(neither, model.join_own.bias)
        assert not torch.allclose(by_channel, neither, atol=1e-3)
        model.alpha = 0.0
        assert torch.allclose(model.gene_vectors(torch.from_numpy(place[1:2]))[0], neither)
        assert not torch.allclose(model.gene_vectors(torch.from_numpy(place[:1]))[0], own)


def test_unseen_genes_may_be_passed_over() -> None:
    """NKG7 has no vector of its own: a cell of it alone is then like an empty one."""
    one = np.zeros((2, 8), dtype=np.float32)
    one[0, GENES.index("NKG7")] = 2.0
    reads = made().encode(sp.csr_array(one), GENES)
    passed = made(replace(SMALL, unseen=False)).encode(sp.csr_array(one), GENES)
    assert np.abs(reads[0] - reads[1]).max() > 1e-3
    assert np.abs(passed[0] - passed[1]).max() < 1e-6


def test_forgotten_genes_keep_their_channels() -> None:
    model = made().model
    genes = torch.arange(6)
    forget = torch.zeros(8, dtype=torch.bool)
    forget[2] = True
    with torch.inference_mode():
        whole, without = model.gene_vectors(genes), model.gene_vectors(genes, forget)
    changed = (whole - without).abs().amax(-1) > 1e-6
    assert changed.tolist() == [False, False, True, False, False, False]


def test_masks_hide_what_they_mask() -> None:
    """With the gene masked two genes of one level are one token; with the level, two levels."""
    encoder = made()
    genes = torch.tensor([[0, 3], [1, 3]])
    levels, there = torch.tensor([[0.2, 0.5], [0.2, 0.5]]), torch.ones(2, 2, dtype=torch.bool)
    mask = torch.tensor([[True, False], [True, False]])
    with torch.inference_mode():
        read = encoder.model(genes, levels, there, hide_gene=mask)
        assert torch.allclose(read.genes[0], read.genes[1], atol=1e-6)
        levels[1, 0] = 0.9
        same = torch.tensor([[0, 3], [0, 3]])
        read = encoder.model(same, levels, there, hide_level=mask)
        assert torch.allclose(read.special[0], read.special[1], atol=1e-6)


def test_saved_and_read_again_it_is_the_same(tmp_path: Path) -> None:
    encoder, values = made(), cells(30)
    digest = encoder.save(tmp_path / "own")
    found = registry.find(str(tmp_path / "own"))
    assert isinstance(found, GeneTokens)
    assert found.name == "own" and len(digest) == 64
    assert found.about == {"trained on": "nothing"}
    assert found.leaves == ("CL:1", "CL:2")
    assert np.array_equal(found.encode(values, GENES), encoder.encode(values, GENES))
    chances = found.chances(values, GENES)
    assert chances.shape == (30, 2)
    assert np.allclose(chances.sum(axis=1), 1.0, atol=1e-5)


def test_without_any_channel(tmp_path: Path) -> None:
    encoder = made(channels=0)
    encoder.save(tmp_path)
    assert np.array_equal(
        GeneTokens.load(tmp_path).encode(cells(), GENES), encoder.encode(cells(), GENES)
    )


def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="holds no gene_tokens"):
        GeneTokens.load(tmp_path)
    made().save(tmp_path)
    path = tmp_path / "gene_tokens.json"
    path.write_text(path.read_text("utf-8").replace('"version": 1', '"version": 99'), "utf-8")
    with pytest.raises(BadFile, match="version 99; expected version 1; train it again"):
        GeneTokens.load(tmp_path)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(BadInput, match="the heads divide"):
        ModelConfig(width=10, heads=3)
    with pytest.raises(BadInput, match="CD3D is the name of several columns"):
        made().encode(cells(2), ("CD3D", "CD3D", *GENES[2:]))
