"""The classifier of routes: its examples, what it learns, what it refuses, its file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from encoders import checkpoint, routes
from encoders.routes import NONE, REVERSED, SHIPPED
from tests.retrieval.little_encoder import LittleEncoder
from training.route_classifier import TURNS, centroids, content, examples, fit, turned
from training.wordings import KEPT

GOLDEN = Path(__file__).parents[1] / "golden"
HELD_OUT = tuple(GOLDEN / name for name in ("rewordings.tsv", "rewordings_tools.tsv"))


def test_examples_hold_other_names_and_the_order_of_terms() -> None:
    found = {example.text: example.label for example in examples()}
    assert found["Is lymphocyte a kind of neuron?"] == "is_a"
    assert found["Does lymphocyte include neuron?"] == f"is_a{REVERSED}"
    assert found["Is CD19 a marker of neuron?"] == "is_marker"
    # Terms of different kinds go where they fit, whichever comes first.
    assert found["Is lymphocyte marked by GFAP?"] == "is_marker"
    assert not any("{" in text for text in found)


def test_wordings_that_are_kept_for_the_test_split_are_marked() -> None:
    kept = {example.wording for example in examples() if example.kept}
    assert kept == {wording for wordings in KEPT.values() for wording in wordings}


def test_no_held_out_question_is_learnt() -> None:
    held = []
    for path in HELD_OUT:
        rows = path.read_text("utf-8").splitlines()
        lines = [line for line in rows if not line.startswith("#")]
        held += [set(content(row["question"])) for row in csv.DictReader(lines, delimiter="\t")]
    learnt = {example.wording for example in examples()}
    assert len(held) > 100
    # A held-out question is named by its terms too; its other words are in no one wording.
    for wording in learnt:
        words = set(content(wording))
        assert not any(len(words) > 3 and words == asked for asked in held), wording


def test_turned_questions_are_nothing_and_those_tried_have_other_words() -> None:
    seen = [example for example in examples() if not example.kept]
    learnt, tried = turned(seen, learnt=True), turned(seen, learnt=False)
    assert {one.label for one in (*learnt, *tried)} == {NONE}
    ends = [{turn for turn in TURNS if turn in one.text} for one in (*learnt, *tried)]
    assert not set.union(*ends[: len(learnt)]) & set.union(*ends[len(learnt) :])


def test_what_is_learnt_is_told_apart() -> None:
    pytest.importorskip("sklearn")
    chosen = [e for e in examples() if e.label in ("markers", "diseases", "siblings")]
    vectors = LittleEncoder(dimension=128).encode([e.text for e in chosen])
    labels, weight, bias = fit(chosen, vectors, 100.0)
    assert labels == ("diseases", "markers", "siblings")
    guesses = [labels[int(i)] for i in (vectors @ weight.T + bias).argmax(axis=1)]
    right = sum(a == e.label for a, e in zip(guesses, chosen, strict=True)) / len(chosen)
    nearest = centroids(chosen, vectors, vectors)
    assert right > 0.9
    assert right >= sum(a == e.label for a, e in zip(nearest, chosen, strict=True)) / len(chosen)


def test_the_shipped_weights_say_what_they_were_made_from() -> None:
    pytest.importorskip("torch")
    tensors, document = checkpoint.load(SHIPPED, "router")
    assert tensors["weight"].shape == (len(document["labels"]), document["width"])
    assert tensors["words"].shape == (len(document["words"]), document["width"])
    assert 0.5 <= document["threshold"] < 1
    assert document["figures"]["cross-validated wordings: right, of those used"]["value"] >= 0.95
    tools = {label.removesuffix(REVERSED) for label in document["labels"]} - {NONE}
    assert set(document["own"]) == tools


def test_every_label_is_a_tool() -> None:
    from agent.tools import TOOLS

    assert {e.label.removesuffix(REVERSED) for e in examples()} - {NONE} <= set(TOOLS)


def test_masking_names_a_second_term_otherwise() -> None:
    assert routes.masked([("", "C"), (" and ", "D"), ("?", "")]) == "lymphocyte and asthma?"
