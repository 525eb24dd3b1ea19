"""Training the bridge: what is seen, what is told apart, and that a held-out gene is placed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.sparse import csr_array

from data.errors import BadFile, BadInput
from encoders.bridge.network import BridgeNet
from encoders.bridge.tables import TARGETS, Links
from kg.embedded import EmbeddedGraph
from training.bridge.data import PARTS, SPLITS, Material, part_of
from training.evaluate.bridge import measure
from training.evaluate.link_ranking import LinkRanking, filtered_ranks, spread

# --- ranking -------------------------------------------------------------------------------------


def test_ranks_by_hand() -> None:
    scores = np.array([[0.9, 0.5, 0.7, 0.5], [0.1, 0.1, 0.1, 0.1]])
    truth = csr_array(np.array([[1, 1, 0, 0], [0, 0, 1, 0]], dtype=np.float32))
    # The first link is best; the second has .7 above it and an equal one; then four equal ones.
    assert filtered_ranks(scores, truth).tolist() == [1.0, 2.5, 2.5]
    found = LinkRanking.of(np.array([1.0, 2.0, 4.0, 20.0]))
    assert found.mrr == pytest.approx((1 + 0.5 + 0.25 + 0.05) / 4)
    assert (found.hit1, found.hit3, found.hit10, found.n) == (0.25, 0.5, 0.75, 4)


@given(hnp.arrays(np.float64, (3, 7), elements=st.floats(-5, 5)))
def test_other_true_tails_are_passed_over(scores: NDArray[np.float64]) -> None:
    truth = np.zeros((3, 7), dtype=np.float32)
    truth[:, 2] = 1
    alone = filtered_ranks(scores, csr_array(truth))
    truth[:, 4] = 1
    beside = filtered_ranks(scores, csr_array(truth)).reshape(3, 2)[:, 0]
    assert (beside <= alone).all()
    assert (alone >= 1).all()
    assert (alone <= 7).all()


def test_spread_needs_two() -> None:
    assert spread([0.5]) is None
    assert spread([0.4, 0.6]) == pytest.approx(0.1 * 2**0.5)


# --- parts ---------------------------------------------------------------------------------------


def test_parts_are_even_and_do_not_move() -> None:
    genes = [f"HGNC:{n}" for n in range(1, 5_001)]
    counts = np.bincount([part_of(gene) for gene in genes], minlength=PARTS)
    assert len(counts) == PARTS
    assert counts.min() > 420
    assert [part_of(gene) for gene in genes[:8]] == [3, 1, 1, 5, 9, 5, 4, 8]
    assert 0 not in SPLITS


def material(n: int = 240, seed: int = 0) -> Material:
    """Genes in six families; a family has its own function and shares a component with another."""
    rng = np.random.default_rng(seed)
    family = np.arange(n) % 6
    x = np.eye(8, dtype=np.float32)[family] + 0.1 * rng.standard_normal((n, 8)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    genes = tuple(f"HGNC:{i:05d}" for i in range(n))
    pairs = [(genes[i], f"GO:{family[i]}") for i in range(n)]
    pairs += [(genes[i], "GO:common") for i in range(n) if i % 3]
    halves = [(genes[i], f"GO:half{family[i] % 3}") for i in range(n)]
    links = {
        "function": Links.of(TARGETS["function"], pairs, genes),
        "component": Links.of(TARGETS["component"], halves, genes),
    }
    tails = {name: np.eye(12, dtype=np.float32)[: len(one.tails)] for name, one in links.items()}
    part = np.arange(n, dtype=np.int64) // 6 % PARTS
    return Material(genes, x, links, tails, part, "made up")


def test_left_out_genes_are_not_known() -> None:
    found = material()
    known = found.known("function", (2, 3))
    assert not set(found.part[known]) & {2, 3}
    assert set(found.part[found.asked("function", 2)]) == {2}
    blank = replace(found, features=np.zeros_like(found.features))
    assert not len(blank.known("function", ()))


def test_baselines_of_a_made_up_world() -> None:
    methods = ("popularity", "kNN-20", "ridge", "neighbours")
    found = measure(material(), "function", 1, methods)
    assert found["kNN-20"].mrr == 1.0
    assert found["neighbours"].mrr == 1.0
    assert found["ridge"].mrr > 0.9
    # The common tail first, then the family's own among six.
    assert found["popularity"].mrr < 0.8


# --- beyond what was trained on ------------------------------------------------------------------


def test_no_gene_and_no_tail_loses_its_last_link() -> None:
    from training.bridge.transductive import by_neighbours, left_out

    made = material()
    train, out, asked = left_out(made, "function", seed=0)
    whole = made.links["function"].table
    assert ((train + out) != whole).nnz == 0
    assert 0 < out.nnz <= whole.nnz // 10
    assert (np.diff(train.indptr)[np.diff(whole.indptr) > 0] > 0).all()
    assert (np.bincount(train.indices, minlength=whole.shape[1]) > 0).all()
    assert (np.diff(out.indptr)[asked] > 0).all()
    # A gene's own links do not vote: without them nothing is left of a tail that it alone has.
    alone = csr_array(whole.shape, dtype=np.float32).tolil()
    alone[asked[0], 0] = 1
    alone[asked[1], 1] = 1
    scores = by_neighbours(made, csr_array(alone), asked[:1])
    assert scores[0, 1] > scores[0, 0]


@pytest.mark.assets
def test_a_mouse_gene_has_a_text_of_its_own(real: EmbeddedGraph) -> None:
    from training.bridge.transfer import mouse_texts

    found = mouse_texts(real, ["HGNC:17761", "HGNC:34515"])
    assert found["HGNC:17761"][0] == "MGI:1913150"
    assert found["HGNC:17761"][1].startswith("Trem2: Trem2.")


@pytest.mark.assets
@pytest.mark.slow
def test_phenotypes_of_a_disease_are_carried_on(real: EmbeddedGraph) -> None:
    from training.bridge.transfer import carried

    # Marfan syndrome has an ascending tubular aorta aneurysm.
    found = carried(real, ["MONDO:0007947"], ["HP:0004970", "HP:0001250"]).toarray()
    assert found[0, 0] == 1


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("name", ["TransE", "DistMult", "RotatE"])
def test_embeddings_of_nodes_learn_what_they_have_seen(name: str) -> None:
    pytest.importorskip("pykeen")
    from training.bridge.transductive import by_embedding

    made = material()
    table = made.links["component"].table
    asked = np.arange(60, dtype=np.int64)
    scores = by_embedding(name, table, asked, epochs=40, seed=0)
    assert scores.shape == (60, table.shape[1])
    assert LinkRanking.of(filtered_ranks(scores, table[asked])).mrr > 0.7


# --- training ------------------------------------------------------------------------------------


@pytest.mark.models
@pytest.mark.parametrize("negatives", ["all", "paired"])
def test_unseen_genes_are_placed(negatives: str) -> None:
    from training.bridge.train import BridgeConfig, train

    made = material()
    config = BridgeConfig(
        width=16, negatives=negatives, batch=48, epochs=8, learning_rate=1e-2, dropout=0.0
    )  # type: ignore[arg-type]
    net, history = train(made, config, (1,))
    assert history.finished
    methods = ("popularity", "bridge", "bridge + neighbours")
    nets = {"bridge": net}
    for target in made.links:
        found = measure(made, target, 1, methods, nets)
        assert found["bridge"].mrr > max(0.85, found["popularity"].mrr)
        assert found["bridge + neighbours"].mrr > 0.85


@pytest.mark.models
def test_numpy_gives_what_torch_gives(tmp_path: Path) -> None:
    import torch

    from training.bridge.train import Bridge, BridgeConfig, _net, save

    made = material()
    torch.manual_seed(1)
    model = Bridge(made, BridgeConfig(width=16), ()).eval()
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.3)
    texts = {name: torch.from_numpy(rows) * 6 for name, rows in made.tails.items()}
    net = save(_net(model, made, texts, BridgeConfig(width=16)), tmp_path, {"votes": 0.01})
    read = BridgeNet.load(tmp_path)
    assert read.release == net.release
    assert read.tails == {name: links.tails for name, links in made.links.items()}
    x = made.features[:5]
    with torch.no_grad():
        heads = model.heads(torch.from_numpy(x) * 6, "component")
        logits = heads @ model.tails(texts["component"], "component").T * model.log_scale.exp()
        logits = logits + model.bias["component"]
    assert read.heads(x, "component") == pytest.approx(heads.numpy(), abs=2e-5)
    assert read.logits(x, "component") == pytest.approx(logits.numpy(), rel=1e-3, abs=1e-3)
    assert read.probabilities(x, "component").sum(axis=1) == pytest.approx(1)
    # No tail has learnt a vector of its own yet: its text alone gives the same.
    by_text = read.unseen(x, "component", made.tails["component"])
    near = read.heads(x, "component") @ read.tensors["tail.component"].T
    assert by_text + 0 * near == pytest.approx(by_text)
    assert by_text.shape == near.shape
    with pytest.raises(BadInput, match="was trained on function, component"):
        read.heads(x, "disease")
    (tmp_path / "bridge.safetensors").write_bytes(b"other")
    with pytest.raises(BadFile, match="do not belong together"):
        BridgeNet.load(tmp_path)


@pytest.mark.models
def test_known_links_are_never_negatives() -> None:
    from training.bridge.train import BridgeConfig, _Batches, _linked

    made = material()
    batches = _Batches(made, BridgeConfig(batch=64), ())
    rows = batches.rows["function"]
    drawn = batches.negatives("function", rows)
    assert drawn.shape == (len(rows), 50)
    table = made.links["function"].table
    assert not _linked(table, batches.drawn["function"]).any()


@pytest.mark.models
def test_every_gene_is_seen_once_an_epoch_and_none_that_is_left_out() -> None:
    from training.bridge.train import BridgeConfig, _Batches

    made = material()
    batches = _Batches(made, BridgeConfig(batch=50, epochs=2), (4,))
    seen = [batches(number) for number in range(batches.steps // 2)]
    for target in made.links:
        rows = np.concatenate([rows for name, rows, _ in seen if name == target])
        assert sorted(rows) == sorted(made.known(target, (4,)))
        assert not set(made.part[rows]) & {4}


@pytest.mark.models
def test_a_sample_of_tails_stands_for_all_on_average() -> None:
    import torch

    from training.bridge.train import Bridge, BridgeConfig, _Batches, _whole

    made = material()
    torch.manual_seed(0)
    model = Bridge(made, BridgeConfig(width=16, dropout=0.0), ()).eval()
    texts = torch.from_numpy(made.tails["function"]) * 6
    rows = made.known("function", ())[:1]
    h = model.heads(torch.from_numpy(made.features[rows]) * 6, "function")

    def loss(sample: int, number: int) -> float:
        batches = _Batches(made, BridgeConfig(width=16, sample=sample), ())
        return float(_whole(model, h, texts, batches, "function", rows, number).detach())

    whole = loss(100, 0)
    drawn = np.array([loss(3, number) for number in range(200)])
    assert drawn.std() > 0
    # The gene's c links share one sum over the tails, of which the loss holds the logarithm
    # c / sqrt(c) / 3 times; the sums are right on average.
    links = np.diff(made.links["function"].table[rows].indptr)[0]
    sums = np.exp((drawn - whole) * 3 / links**0.5)
    assert sums.mean() == pytest.approx(1, abs=4 * sums.std() / len(sums) ** 0.5)


@pytest.mark.models
def test_a_stopped_training_goes_on(tmp_path: Path) -> None:
    from training.bridge.train import BridgeConfig, train

    made = material()
    config = BridgeConfig(width=8, batch=64, epochs=4)
    whole, _ = train(made, config, (1,))
    part, history = train(made, config, (1,), tmp_path, seconds=0.0)
    assert not history.finished
    part, history = train(made, config, (1,), tmp_path)
    assert history.finished
    assert part.tensors["project.weight"] == pytest.approx(whole.tensors["project.weight"])


@pytest.mark.models
def test_nothing_to_train_on_is_told() -> None:
    from training.bridge.train import BridgeConfig, train

    made = material()
    with pytest.raises(BadInput, match="no gene with features has a link to function"):
        train(made, BridgeConfig(width=8), range(PARTS))
    with pytest.raises(BadInput, match="expected a width that 4 divides"):
        BridgeConfig(width=10)
