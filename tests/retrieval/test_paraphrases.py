"""The paraphrase set: whole, distinct, and truly in other words than its abstracts."""

from __future__ import annotations

from pathlib import Path

import pytest

from data import sources
from retrieval.lexical import query_terms, tokens
from retrieval.medline import Citation, read_xml, stored_text
from training.evaluate.retrieval import read_questions

QUESTIONS = Path(__file__).parents[1] / "golden" / "paraphrases.tsv"
TUNING = QUESTIONS.with_name("paraphrases_tuning.tsv")
# Words that carry no content, beyond those that the index itself leaves out.
LITTLE = """
than more most less out up down over under again so them its own while after before between
within onto only much many enough i me my we us our you your he she his her who some any
every each other another done get got go goe one two both also still yet too very just about
around among during until since because whether either neither nor
"""
FUNCTION = frozenset(LITTLE.split())


def test_there_are_at_least_a_hundred_and_none_twice() -> None:
    questions = read_questions(QUESTIONS)
    assert len(questions) >= 100
    assert len({question for _, question in questions}) == len(questions)


def test_nothing_was_tuned_on_an_abstract_that_is_scored() -> None:
    scored, tuned = read_questions(QUESTIONS), read_questions(TUNING)
    assert len(tuned) >= 100
    for column in (0, 1):
        assert not {row[column] for row in scored} & {row[column] for row in tuned}


@pytest.mark.assets
@pytest.mark.slow
def test_at_most_a_third_of_the_content_words_are_shared() -> None:
    questions = read_questions(QUESTIONS)
    wanted = {pmid for pmid, _ in questions}
    texts = {
        record.pmid: stored_text(record)
        for record in read_xml(sources.path("pubmed-2021"), lambda problem: None)
        if isinstance(record, Citation) and record.pmid in wanted and record.abstract
    }
    assert set(texts) == wanted
    for pmid, question in questions:
        content = [term for term in query_terms(question) if term not in FUNCTION]
        shared = set(content) & set(tokens(texts[pmid]))
        assert 3 * len(shared) <= len(content), (pmid, question, shared)
