"""Instruction tuning: what is learnt token by token, what alone changes, what is kept."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from data.errors import BadFile, BadInput  # noqa: E402 - after the check for torch
from encoders.adapter import IGNORED, Projector, ProjectorConfig, SoftTokenModel  # noqa: E402
from encoders.language import LanguageModel  # noqa: E402
from tests.encoders.tinymodels import END, tiny  # noqa: E402
from tests.training import tuning as program  # noqa: E402
from training import instruct as tuning  # noqa: E402
from training.evaluate.instruct import Verdicts, answers, forced, perplexity  # noqa: E402
from training.instruct import InstructConfig, Instructions, add_lora, instruct  # noqa: E402
from training.instruction_data import Item  # noqa: E402
from training.loop import LoopConfig  # noqa: E402
from training.profiles import CellSet  # noqa: E402

ROOT = Path(__file__).parents[2]
FACTS = "a is b . b is c ."
TALK = [
    Item("yes_no", "is a c ?", "b", "CL:1", FACTS, how="chain"),
    Item("yes_no", "is c a ?", "d", "CL:1", FACTS, how="reversed"),
]
CELLS = CellSet(np.eye(2, 5, dtype=np.float32), ("CL:1", "CL:2"), ("simulated", "x"))
ABOUT = [
    Item("type", "What cell is this ? [BIO]", "T", "CL:1", cell="CL:1"),
    Item("type", "What cell is this ? [BIO]", "B", "CL:2", cell="CL:2"),
]


def config(steps: int = 20, **more: Any) -> InstructConfig:
    loop = LoopConfig(steps=steps, learning_rate=1e-2, weight_decay=0.0, save_every=5, log_every=1)
    return InstructConfig(batch=2, cell_batch=2, talk_batch=2, limit=60, loop=loop, **more)


@pytest.fixture(scope="module")
def language() -> LanguageModel:
    found: LanguageModel = tiny("llama", context=128)
    return found


@pytest.fixture
def model(language: LanguageModel) -> SoftTokenModel:
    torch.manual_seed(0)
    projector = Projector(ProjectorConfig(5, language.width, hidden=16))
    return SoftTokenModel(language, projector).eval()


def digest(parameters: Any) -> str:
    found = hashlib.sha256()
    for name, parameter in sorted(parameters):
        found.update(name.encode() + parameter.detach().cpu().numpy().tobytes())
    return found.hexdigest()


class TestBatches:
    def test_a_talk_learns_the_answers_and_nothing_else(self, model: SoftTokenModel) -> None:
        language = model.language
        batch = tuning.conversation_batch(model, [TALK, TALK[:1]])
        words = language.tokenizer.convert_ids_to_tokens
        learnt = [words([i for i in row.tolist() if i != IGNORED]) for row in batch.labels]
        assert learnt == [["b", "<end>", "d", "<end>"], ["b", "<end>"]]
        assert (batch.labels[~batch.mask.bool()] == IGNORED).all()
        # The first question lies as it does alone.
        alone = model.assemble(tuning.prompts(TALK[:1]), None, side="right")
        n = alone.mask.shape[1]
        assert torch.equal(batch.embeddings[:, :n], alone.embeddings.expand(2, -1, -1))
        assert torch.equal(batch.labels[1, :n], alone.labels[0])

    def test_the_loss_is_that_of_the_soft_token_model(self, model: SoftTokenModel) -> None:
        vectors = torch.eye(2, 5)
        batch = model.assemble(tuning.prompts(ABOUT), vectors)
        ours = tuning.loss_of(model.language, batch)
        assert ours.item() == pytest.approx(model.loss(batch).item(), abs=1e-5)

    def test_plain_text_is_learnt_from_its_second_token_on(self, language: LanguageModel) -> None:
        batch = tuning.plain_batch(language, ["a b c d", "e"], limit=3)
        a, b, c = language.tokens("a b c")
        assert batch.labels.tolist() == [[IGNORED, b, c], [IGNORED] * 3]
        assert batch.mask.tolist() == [[1, 1, 1], [1, 0, 0]]
        del a

    def test_the_same_number_gives_the_same_batch(self) -> None:
        made = Instructions(ABOUT, CELLS, ["a b", "c d"], [TALK], config())
        kinds = [type(made(n)[0]).__name__ for n in range(20)]
        assert kinds == [type(made(n)[0]).__name__ for n in range(20)]
        assert (kinds.count("str"), kinds.count("list"), kinds.count("Item")) == (2, 6, 12)
        assert made(3) == made(3)

    def test_a_batch_is_alike_in_length_and_no_item_is_left_out(self) -> None:
        texts = ["a " * n for n in range(1, 41)]
        made = Instructions(ABOUT, CELLS, texts, [], config(pattern="P"))
        drawn = [made(n) for n in range(400)]
        spread = [max(map(len, batch)) - min(map(len, batch)) for batch in drawn]
        # Two of forty drawn at random are a third of the lengths apart, 27 characters of 78.
        assert np.mean(spread) < 20
        assert {text for batch in drawn for text in batch} == set(texts)

    @given(st.integers(0, 10_000))
    def test_a_blend_keeps_its_length_and_more_than_half_of_its_own(self, seed: int) -> None:
        vectors = 3 * torch.eye(6)
        mixed = tuning.blended(vectors, 0.5, random.Random(seed))
        assert torch.allclose(mixed.norm(dim=1), torch.full((6,), 3.0), atol=1e-5)
        assert (mixed.argmax(1) == torch.arange(6)).all()
        assert ((mixed > 0).sum(1) <= 2).all()
        assert torch.equal(tuning.blended(vectors, 0.0, random.Random(seed)), vectors)

    def test_an_item_without_a_cell_of_its_type_is_refused(self) -> None:
        other = Item("type", "[BIO]", "T", "CL:9", cell="CL:9")
        with pytest.raises(BadInput, match="no cells of CL:9"):
            Instructions([other], CELLS, (), (), config())
        with pytest.raises(BadInput, match="no instructions"):
            Instructions([], CELLS, (), (), config())


class TestTraining:
    def test_lora_alone_changes(self, model: SoftTokenModel) -> None:
        language = model.language
        before = digest(language.model.named_parameters()), digest(model.named_parameters())
        made, history = instruct(model, ABOUT, CELLS, ["a b c"], [TALK], config(12))
        assert history.finished
        assert (digest(language.model.named_parameters()), digest(model.named_parameters())) == (
            before
        )
        assert digest(made.named_parameters()) == before[1]
        changed = made.language.model.named_parameters()
        thin = {n: p for n, p in changed if "lora_" in n}
        assert thin and any(p.abs().sum().item() > 0 for n, p in thin.items() if "lora_B" in n)
        rest = [(n, p) for n, p in made.language.model.named_parameters() if "lora_" not in n]
        own = dict(language.model.named_parameters())
        assert len(rest) == len(own)
        assert all(p.data_ptr() in {q.data_ptr() for q in own.values()} for _, p in rest)

    def test_the_projector_is_trained_where_asked_for(self, model: SoftTokenModel) -> None:
        before = digest(model.named_parameters())
        made, _ = instruct(model, ABOUT, CELLS, config=config(6, projector=True))
        assert digest(made.named_parameters()) != before

    def test_it_learns_to_tell_questions_and_cells_apart(self, model: SoftTokenModel) -> None:
        made, _ = instruct(model, [*ABOUT, *TALK], CELLS, config=config(120))
        assert [one.split()[0] for one in answers(made, TALK)] == ["b", "d"]
        assert answers(made, ABOUT, CELLS) == ["T", "B"]

    def test_before_training_nothing_is_changed(self, model: SoftTokenModel) -> None:
        batch = model.assemble(tuning.prompts(TALK), None)
        language = add_lora(model.language)
        assert torch.allclose(
            language.forward(batch.embeddings, batch.mask),
            model.language.forward(batch.embeddings, batch.mask),
            atol=1e-6,
        )

    def test_a_run_that_was_stopped_ends_as_one_that_was_not(
        self, model: SoftTokenModel, tmp_path: Path
    ) -> None:
        given = (model, ABOUT, CELLS, ["a b c"], [TALK], config(10))
        _, whole = instruct(*given)
        _, part = instruct(*given, tmp_path, seconds=0.0)
        assert part.step == 1 and not part.finished
        _, rest = instruct(*given, tmp_path)
        assert rest.finished and rest.loss == pytest.approx(whole.loss, abs=1e-5)

    def test_plain_text_holds_the_model_to_what_it_said(self, model: SoftTokenModel) -> None:
        before, now = model.language, add_lora(model.language)
        batch = tuning.plain_batch(before, ["a b c d", "the cell"], 10)
        assert tuning.divergence(before, now, batch).item() == pytest.approx(0, abs=1e-6)
        with torch.no_grad():
            for name, parameter in now.model.named_parameters():
                if "lora_B" in name:
                    parameter.fill_(0.1)
        value = tuning.divergence(before, now, batch)
        # By hand: KL at the three and one places whose next token is there.
        total = 0.0
        for row, places in ((0, 3), (1, 1)):
            p, q = (
                torch.log_softmax(
                    one.forward(batch.embeddings, batch.mask)[row, :places].detach(), -1
                )
                for one in (before, now)
            )
            total += float((p.exp() * (p - q)).sum())
        assert value.item() == pytest.approx(total / 4, rel=1e-4) and total > 0.01
        value.backward()
        assert all(p.grad is None for p in before.model.parameters())
        assert any(p.grad is not None for p in now.model.parameters())

    def test_a_shrunk_adapter_adds_a_share_of_what_it_did(self, model: SoftTokenModel) -> None:
        made, _ = instruct(model, ABOUT, CELLS, config=config(6))
        layers = {n: p.clone() for n, p in made.language.model.named_parameters() if "lora_" in n}
        tuning.shrink(made, 0.5)
        for name, parameter in made.language.model.named_parameters():
            if "lora_" in name:
                assert torch.equal(parameter, layers[name] * (0.5 if "lora_B" in name else 1.0))
        tuning.shrink(made, 0.0)
        batch = model.assemble(tuning.prompts(TALK), None)
        now, before = (one.language.forward(batch.embeddings, batch.mask) for one in (made, model))
        assert torch.allclose(now, before, atol=1e-6)

    @pytest.mark.slow
    def test_killed_in_the_middle_and_run_again(self, tmp_path: Path) -> None:
        """kill -9 after a checkpoint; the same command then ends as a run that was left alone."""
        loss, weights = program.run(tmp_path / "whole")
        folder = tmp_path / "killed"
        command = [sys.executable, "-m", "tests.training.tuning", str(folder)]
        process = subprocess.Popen([*command, "0.1"], cwd=ROOT, stdout=subprocess.PIPE)
        until = time.monotonic() + 240
        while not list(folder.glob("step-*.json")):
            assert process.poll() is None and time.monotonic() < until, "it was to be killed"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        (at,) = {int(path.stem.split("-")[1]) for path in folder.glob("step-*.json")}
        assert 0 < at < program.STEPS
        again = subprocess.run(
            [*command, "0"], cwd=ROOT, capture_output=True, text=True, check=True
        )  # fmt: skip
        found = [float(one) for one in again.stdout.split()]
        assert found == pytest.approx([loss, weights], abs=1e-5)

    def test_a_second_run_goes_on_from_the_adapter_of_the_first(
        self, model: SoftTokenModel, tmp_path: Path
    ) -> None:
        first, _ = instruct(model, ABOUT, CELLS, config=config(8))
        tuning.save(first, tmp_path, encoder={"name": "x"})
        still = LoopConfig(steps=1, learning_rate=1e-12)
        plan = InstructConfig(batch=2, cell_batch=2, pattern="C", loop=still)
        second, _ = instruct(model, ABOUT, CELLS, config=plan, start=tmp_path / "lora")
        assert answers(second, ABOUT, CELLS) == answers(first, ABOUT, CELLS)
        thin = {n: p for n, p in first.language.model.named_parameters() if "lora_" in n}
        for name, parameter in second.language.model.named_parameters():
            assert name not in thin or torch.allclose(parameter, thin[name], atol=1e-6)
        with pytest.raises(BadFile, match=r"of shape .* the same rank"):
            other = InstructConfig(rank=4, loop=still)
            instruct(model, ABOUT, CELLS, config=other, start=tmp_path / "lora")
        with pytest.raises(BadInput, match="the pattern of steps is 'TX'"):
            InstructConfig(pattern="TX")

    def test_layers_that_are_not_there_are_refused(self) -> None:
        with pytest.raises(BadInput, match="LoRA cannot be put on"):
            add_lora(tiny("gpt2"))


class TestKeeping:
    def test_saved_and_loaded_it_says_the_same(self, model: SoftTokenModel, tmp_path: Path) -> None:
        made, _ = instruct(model, ABOUT, CELLS, (), [TALK], config(20))
        digests = tuning.save(made, tmp_path, encoder={"name": "x"}, about={"seed": 0})
        held = {path.name for path in (tmp_path / "lora").iterdir()}
        assert held == {"adapter_config.json", "adapter_model.safetensors", "SHA256SUMS"}
        assert (tmp_path / "lora" / "SHA256SUMS").read_text().startswith(digests["lora"])
        document = json.loads((tmp_path / "lora" / "adapter_config.json").read_text())
        assert document["base_model_name_or_path"] == model.language.name
        # Four thin pairs in each of two layers, and no table of words.
        size = (tmp_path / "lora" / "adapter_model.safetensors").stat().st_size
        assert size < 60_000
        again = SoftTokenModel.load(tmp_path, model.language, encoder={"name": "x"})
        batch = made.assemble(tuning.prompts(TALK), None)
        assert torch.allclose(
            again.language.forward(batch.embeddings, batch.mask),
            made.language.forward(batch.embeddings, batch.mask),
            atol=1e-5,
        )
        without = SoftTokenModel.load(tmp_path, model.language, lora=False)
        assert not torch.allclose(
            without.language.forward(batch.embeddings, batch.mask),
            made.language.forward(batch.embeddings, batch.mask),
            atol=1e-3,
        )


class TestScores:
    def test_verdicts_by_hand(self) -> None:
        items = [
            Item("yes_no", "?", "Yes [E1].", "CL:1", how="chain"),
            Item("yes_no", "?", "Yes [E1].", "CL:1", how="chain"),
            Item("yes_no", "?", "No.", "CL:1", how="sibling"),
            Item("yes_no", "?", "No.", "CL:1", how="sibling"),
        ]
        found = Verdicts.of(items, ["yes", "no", "no", ""])
        assert (found.accuracy, found.commonest, found.n) == (0.5, 0.5, 4)
        assert found.by == {"chain": 0.5, "sibling": 0.5}

    def test_perplexity_by_hand(self, language: LanguageModel) -> None:
        text = "a b c"
        ids = torch.tensor([language.tokens(text)])
        logits = torch.log_softmax(language.model(input_ids=ids).logits[0].float(), -1)
        mean = -(logits[0, ids[0, 1]] + logits[1, ids[0, 2]]) / 2
        assert perplexity(language, [text]) == pytest.approx(math.exp(float(mean)), rel=1e-4)
        # Shorter neighbours in the batch do not count.
        pair = perplexity(language, [text, "a"])
        assert pair == pytest.approx(math.exp(float(mean)), rel=1e-4)

    def test_the_likelier_answer_is_the_forced_one(
        self, model: SoftTokenModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scores = np.array([[-1.0, -2.0], [-2.0, -1.0]])
        monkeypatch.setattr(SoftTokenModel, "score", lambda *a, **k: scores)
        assert forced(model, TALK) == ["yes", "no"]


assert END == 1  # the pad id is the end id: the mask alone tells padding from stopping
