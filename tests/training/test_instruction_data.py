"""Instructions: balance, what makes a no, what stands in the facts, forms, splits."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

from kg.backoff import Hierarchy
from training.instruction_data import (
    ABSTAIN,
    KINDS,
    Item,
    Writer,
    ordered,
    read_label,
    string_match,
    valid,
    verdict,
    yes_no,
)
from training.instruction_wordings import CLOSING as CLOSING_WORDINGS
from training.instruction_wordings import DEV, KEPT, MORE, WORDINGS


def tree() -> tuple[Hierarchy, dict[str, str]]:
    """Three levels of three below a root: c1 > c1.2 > c1.2.3."""
    above: dict[str, list[str]] = {"CL:0000000": ["CL:0000000"]}
    labels = {"CL:0000000": "cell"}
    for depth in (1, 2, 3):
        for digits in itertools.product("123", repeat=depth):
            one = "CL:" + "".join(digits)
            above[one] = ["CL:0000000", *("CL:" + "".join(digits[:k]) for k in range(1, depth + 1))]
            labels[one] = " ".join(f"{'ABC'[k]}{d}" for k, d in enumerate(digits)) + " type"
    return Hierarchy.make(above, labels), labels


HIERARCHY, LABELS = tree()
LEAVES = [one for one in HIERARCHY.ids if len(one) == 6]
UNSEEN = frozenset(one for one in HIERARCHY.ids if one.startswith("CL:3"))
MARKERS = {one: [f"G{one[3:]}{i}" for i in range(4)] for one in LEAVES}


def writer(split: Literal["train", "dev", "test"], **more: object) -> Writer:
    return Writer(
        HIERARCHY,
        UNSEEN,
        split,
        markers=MARKERS,
        cells=LEAVES,
        **more,  # type: ignore[arg-type]
    )


def edges(item: Item) -> dict[str, tuple[str, str]]:
    found = {}
    for part in item.facts.split("[")[1:]:
        key, said = part.split("] ")
        low, high = said.strip().rstrip(".").split(" is a ")
        found[key] = (low, high)
    return found


def longest(item: Item) -> str:
    """The longest label in the question."""
    return next(one for one in sorted(IDS, key=len, reverse=True) if one in item.question)


IDS: Mapping[str, str] = {label: one for one, label in LABELS.items()}


def asked(item: Item) -> tuple[str, str]:
    """The two types of a yes-no question, by the labels that it names."""
    places = {label: item.question.find(label) for label in sorted(LABELS.values(), key=len)}
    named = [label for label, at in places.items() if at >= 0]
    # Labels of upper types are no parts of lower ones here: "A1 type" and "A1 B2 type".
    a, b = sorted(named, key=lambda label: places[label])
    return IDS[a], IDS[b]


class TestYesNo:
    @pytest.mark.parametrize("split", ["train", "test"])
    def test_half_are_yes_and_every_answer_is_the_ontologys(
        self, split: Literal["train", "test"]
    ) -> None:
        items = yes_no(writer(split), 60)
        leads = Counter(verdict(item.answer) for item in items)
        assert leads["yes"] == leads["no"] == 30
        for item in items:
            a, b = asked(item)
            assert (b in HIERARCHY.ancestors(a)) == (verdict(item.answer) == "yes"), item
            assert valid(item, item.answer)

    def test_the_keys_are_the_way_from_one_to_the_other(self) -> None:
        for item in yes_no(writer("train"), 60):
            if verdict(item.answer) != "yes":
                continue
            a, b = (LABELS[one] for one in asked(item))
            keys = item.answer.removeprefix("Yes [").removesuffix("].").split(", ")
            way = [edges(item)[key] for key in keys]
            assert way[0][0] == a and way[-1][1] == b
            assert all(x[1] == y[0] for x, y in itertools.pairwise(way))

    def test_facts_are_of_the_same_kind_and_true(self) -> None:
        shapes: dict[str, Counter[int]] = {"yes": Counter(), "no": Counter()}
        for item in yes_no(writer("train"), 120):
            told = edges(item)
            shapes[verdict(item.answer)][len(told)] += 1
            for low, high in told.values():
                assert IDS[high] in HIERARCHY.ancestors(IDS[low])
        assert set(shapes["yes"]) == set(shapes["no"]) == {3}

    def test_matching_strings_is_not_enough(self) -> None:
        items = yes_no(writer("train"), 120)
        for rule in (string_match, ordered):
            wrong = [item.how for item in items if rule(item) != verdict(item.answer)]
            assert 3 <= len(wrong) <= 60, wrong

    @given(st.integers(0, 10_000))
    def test_a_talk_asks_different_things_of_one_list(self, seed: int) -> None:
        talk = writer("train", seed=seed).conversation()
        assert len({item.facts for item in talk}) <= 1
        assert len({item.question for item in talk}) == len(talk)
        for item in talk:
            assert valid(item, item.answer)
            if item.answer == ABSTAIN:
                assert LABELS[item.term] not in item.facts


class TestKinds:
    def test_all_kinds_come_with_answers_in_their_form(self) -> None:
        items = writer("train").items(400)
        assert {item.kind for item in items} == set(KINDS)
        assert all(valid(item, item.answer) for item in items)
        for item in items:
            if item.kind in ("type", "choice"):
                assert read_label(item, item.answer) == LABELS[item.cell]
            if item.kind == "fact_marker":
                gene, key = item.answer.rstrip("].").split(" [")
                assert f"[{key}] {gene} is a marker of {LABELS[item.term]}." in item.facts
            if item.kind == "member":
                named = longest(item)
                inside = IDS[named] in HIERARCHY.ancestors(item.cell)
                assert (verdict(item.answer) == "yes") == inside

    def test_abstentions_are_about_what_the_facts_leave_out(self) -> None:
        items = writer("train").items(80, {"abstain": 1.0})
        assert items
        for item in items:
            lines = item.facts.split("[E")[1:]
            named = longest(item)
            marks = any(f"is a marker of {named}." in line for line in lines)
            parent = any(f"] {named} is a " in line for line in lines)
            marker_asked = "gene" in item.question or "mark" in item.question
            assert not (marks if marker_asked else parent)

    def test_splits_share_no_term_and_training_names_no_held_out_one(self) -> None:
        train = [*writer("train").items(300), *writer("train").conversation()]
        hidden = [LABELS[one] for one in UNSEEN]
        assert not any(h in f"{i.facts} {i.question} {i.answer}" for i in train for h in hidden)
        test = writer("test").items(200)
        assert {item.term for item in test} <= UNSEEN
        assert not {item.term for item in train} & UNSEEN

    def test_test_questions_are_partly_in_other_wordings(self) -> None:
        test = [i.question for i in yes_no(writer("test"), 60)]
        train = [i.question for i in yes_no(writer("train"), 60)]
        kept = [q for q in test if q.startswith(("Would", "Does"))]
        assert 8 < len(kept) < 35
        assert not [q for q in train if q.startswith(("Would", "Does"))]

    def test_each_split_has_wordings_that_the_others_do_not(self) -> None:
        groups = [WORDINGS, MORE, KEPT, DEV]
        assert all(group.keys() == WORDINGS.keys() for group in groups)
        for kind in WORDINGS:
            every = [wording for group in groups for wording in group[kind]]
            every += CLOSING_WORDINGS.get(kind, ())
            assert len(set(every)) == len(every), kind

    def test_the_closing_steps_alone_have_their_wordings(self) -> None:
        starts = [one.partition("{")[0] for one in CLOSING_WORDINGS["yes_no"]]
        late = tuple(one for one in starts if len(one.split()) > 2)

        def asked(split: Literal["train", "dev", "test"], closing: bool) -> int:
            some = yes_no(writer(split, closing=closing), 60)
            return sum(item.question.startswith(late) for item in some)

        assert asked("train", True) > 5
        assert asked("train", False) == asked("dev", True) == asked("test", True) == 0

    def test_the_shares_of_what_is_learnt_and_of_what_is_scored_are_whole(self) -> None:
        from training.material import CLOSING, LEARNT

        for shares in (KINDS, LEARNT, CLOSING):
            assert sum(shares.values()) == pytest.approx(1)
        assert KINDS.keys() == LEARNT.keys()
        assert CLOSING.keys() == KINDS.keys(), "every form is shown until the end"

    @given(st.integers(0, 10_000))
    def test_a_list_is_read_as_it_says_or_not_at_all(self, seed: int) -> None:
        talk = writer("train", seed=seed).reading(8)
        for item in talk:
            assert valid(item, item.answer) and item.facts == talk[0].facts
            said = LABELS[item.term]
            lines = dict(re.findall(r"\[(E\d)\] (.+?)\.(?= \[E|$)", item.facts))
            if item.kind == "abstain":
                relation = (
                    "marker"
                    if " is a marker of " in item.facts
                    else ("certainty" if "%" in item.facts else "parent")
                )
                asked = (
                    "certainty"
                    if re.search("sure|conf|cert|likely", item.question)
                    else ("marker" if re.search("gene|mark", item.question) else "parent")
                )
                assert said not in item.facts or asked != relation
                continue
            answer, key = item.answer.removesuffix("].").split(" [")
            assert lines[key] in (
                f"{said}: {answer}",
                f"{said} is a {answer}",
                f"{answer} is a marker of {said}",
            )

    def test_the_seed_decides_and_long_items_are_left_out(self) -> None:
        assert writer("train", seed=4).items(30) == writer("train", seed=4).items(30)
        assert writer("train", seed=4).items(30) != writer("train", seed=5).items(30)
        short = writer("train", fits=lambda text: len(text) < 70).items(40)
        assert all(len(f"{i.facts} {i.question}") < 70 for i in short if i.facts)


@pytest.mark.parametrize(
    ("kind", "answer", "right"),
    [
        ("yes_no", "Yes [E1, E2].", True),
        ("yes_no", "Yes [E7].", False),  # no such fact
        ("yes_no", "Yes.", False),
        ("yes_no", "No.", True),
        ("yes_no", "No. It is not.", False),
        ("type", "This is an astrocyte.", True),
        ("type", "astrocyte", False),
        ("markers", "ADGRE1, CD14, CD1A.", True),
        ("certainty", "40 % [E1].", True),
        ("certainty", "The evidence does not say.", True),
    ],
)
def test_forms(kind: str, answer: str, right: bool) -> None:
    item = Item(kind, "?", "", "CL:1", facts="[E1] a is a b. [E2] b is a c.")  # type: ignore[arg-type]
    assert valid(item, answer) is right


def test_baselines_by_hand() -> None:
    facts = "[E1] x cell is a y cell. [E2] z cell is a y cell. [E3] y cell is a w cell."
    for question, plain, order in [
        ("Is x cell a w cell?", "yes", "yes"),
        ("Is y cell a x cell?", "no", "no"),
        ("Is w cell a y cell?", "yes", "no"),  # reversed: the object of a fact all the same
        ("Is x cell a z cell?", "no", "yes"),
        ("Is x cell a v cell?", "no", "no"),
    ]:
        item = Item("yes_no", question, "No.", "CL:1", facts)
        assert (string_match(item), ordered(item)) == (plain, order), question


@pytest.mark.parametrize(
    ("text", "said"), [("Yes [E1].", "yes"), (" no", "no"), ("Nobody knows", ""), ("", "")]
)
def test_verdicts(text: str, said: str) -> None:
    assert verdict(text) == said


def test_material_of_the_training_terms_alone() -> None:
    from types import SimpleNamespace

    from kg.terms import Category, Term
    from training.holdout import split_of_term
    from training.material import instructions
    from training.profiles import CellSet

    terms = {
        one: Term(one, label, Category.CELL_TYPE, "CL", "1", definition=f"Said of {label}.")
        for one, label in LABELS.items()
    }
    cells = CellSet(np.zeros((len(LEAVES), 2), np.float32), tuple(LEAVES), ("x",) * len(LEAVES))
    found = SimpleNamespace(hierarchy=HIERARCHY, unseen=UNSEEN, cells=cells, terms=terms)
    words = SimpleNamespace(count=lambda text: len(text.split()))
    items, talks, plain = instructions(found, words, 60)  # type: ignore[arg-type]
    assert len(items) == 60 and 10 < len(talks) <= 30 and plain
    hidden = {LABELS[one] for one in LABELS if split_of_term(one, UNSEEN) == "test"}
    said = [f"{i.facts} {i.question} {i.answer}" for i in [*items, *(i for t in talks for i in t)]]
    assert not [text for text in [*said, *plain] if any(label in text for label in hidden)]
    assert len(plain) == sum(split_of_term(one, UNSEEN) == "train" for one in LABELS)
