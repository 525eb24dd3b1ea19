"""Words that turn a question into another one: the plain answer must not be given to them."""

from __future__ import annotations

import pytest

from agent.lookup import open_graph
from agent.qa import ask

pytestmark = pytest.mark.assets


@pytest.mark.parametrize(
    "question",
    [
        "Are no T cells lymphocytes?",
        "Does CD8A not mark T cells?",
        "Is CD3E not involved in T cell activation?",
        "Are some lymphocytes T cells?",
        "Can a lymphocyte be a T cell?",
        "Are only T cells lymphocytes?",
        "Is it false that a T cell is a lymphocyte?",
        "Does MLKL not enable protein kinase activity?",
    ],
)
def test_a_turned_question_is_not_answered_as_the_plain_one(question: str) -> None:
    answer = ask(question, graph=open_graph())
    assert answer.status == "abstained"
    assert not [claim for claim in answer.claims if claim.verdict == "supported"]


@pytest.mark.parametrize(
    ("question", "begins"),
    [
        ("Is a hepatocyte not an epithelial cell?", "It is: Hepatocyte"),
        ("Are B cells not T cells?", "It is not, by this release: CL "),
        ("Is the nucleolus not part of the nucleus?", "It is: Nucleolus"),
    ],
)
def test_a_not_that_a_release_settles_is_answered_without_yes_or_no(
    question: str, begins: str
) -> None:
    assert ask(question, graph=open_graph()).answer.startswith(begins)


@pytest.mark.parametrize("asking", ["Isn't a T cell a lymphocyte?", "Aren’t T cells lymphocytes?"])
def test_a_question_that_expects_yes_is_the_plain_one(asking: str) -> None:
    assert ask(asking, graph=open_graph()).answer.startswith("Yes: T cell")


def test_a_part_that_is_not_recorded_is_not_denied() -> None:
    answer = ask("Is a neutrophil part of the blood?", graph=open_graph())
    assert answer.answer.startswith("Not as far as is recorded")
    assert "does not mean that it is none" in answer.answer
