"""Questions as they are typed: cleaned, respelt, in other languages."""

from __future__ import annotations

import pytest

from agent.qa import Agent
from agent.routing.spoken import MAX_QUESTION, clean, foreign
from data.errors import BadInput
from kg.graph import KnowledgeGraph


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("  What is\n a T\tcell? ", "What is a T cell?"),
        ("\x01\x1b[31mWhat is a T cell?\x1b[0m\x07", "What is a T cell?"),
        ("What is\u200b a\u202e T\ufeff cell?", "What is a T cell?"),
        ("\x1b]0;title\x07What is a T cell?", "What is a T cell?"),
        ("Is TGF-β a gene?", "Is TGF-β a gene?"),
    ],
)
def test_what_nobody_sees_is_taken_out(typed: str, read: str) -> None:
    assert clean(typed) == read


@pytest.mark.parametrize("typed", ["", " \n", "???", "\x00\x1b[31m", "\u200b\u202e", "…—!"])
def test_nothing_to_read_is_bad_input(typed: str) -> None:
    with pytest.raises(BadInput, match="expected a sentence") as caught:
        clean(typed)
    assert "\n" not in str(caught.value)


def test_a_question_has_a_longest_length() -> None:
    assert clean("a" * MAX_QUESTION)
    with pytest.raises(BadInput, match="at most 2000"):
        clean("a" * (MAX_QUESTION + 1))


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("Was ist eine T-Zelle?", "German"),
        ("Welche Gene sind Marker für B-Zellen?", "German"),
        ("Qu'est-ce qu'une cellule dendritique ?", "French"),
        ("¿Qué es una célula T?", "Spanish"),
        ("O que é uma célula T?", "Portuguese"),
        ("Wat is een T-cel?", "Dutch"),
        ("什么是T细胞？", "Chinese"),
        ("T細胞とは何ですか", "Japanese"),
        ("Что такое Т-клетка?", "a language in Cyrillic script"),
        ("What is a T cell?", ""),
        ("Is DES a marker of smooth muscle cells?", ""),
        ("Which genes are de novo mutated in Dravet syndrome?", ""),
        ("Is TGF-β1 made by Tregs?", ""),
    ],
)
def test_languages(question: str, language: str) -> None:
    assert foreign(question) == language


def test_another_language_is_named(small: KnowledgeGraph) -> None:
    answer = Agent(small).ask("Was ist eine T-Zelle?")
    assert answer.status == "abstained"
    assert "German" in answer.answer
    assert "English only" in answer.answer


@pytest.mark.parametrize(
    ("question", "notice"),
    [
        ("Is a Tcell a lymphocyte?", "'Tcell' is read as 'T cell'"),
        ("Are Bcells lymphocytes?", "'Bcells' is read as 'B cells'"),
        ("Is a megakaryocyt a lymphocyte?", "'megakaryocyt' is read as 'megakaryocyte'"),
    ],
)
def test_a_word_is_respelt_and_the_answer_says_so(
    small: KnowledgeGraph, question: str, notice: str
) -> None:
    answer = Agent(small).ask(question)
    assert answer.status == "ok"
    assert answer.question == question
    assert notice in answer.warnings


@pytest.mark.parametrize("question", ["What is a quoll?", "Is a swallow a lymphocyte?"])
def test_what_names_nothing_is_not_bent_into_a_name(small: KnowledgeGraph, question: str) -> None:
    answer = Agent(small).ask(question)
    assert answer.status == "abstained"
    assert answer.warnings == ()
