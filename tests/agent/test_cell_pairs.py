"""Attached cells: clusters by size, a gene in a type, two genes, two types, what is absent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import anndata
import numpy as np
import pytest

from agent.attached import measures
from agent.attached.cells import AttachedCells, attach
from agent.attached.measurewords import PAIR
from agent.conversation.chat import Conversation
from agent.conversation.memory import Scratch
from agent.qa import Agent
from agent.verification.recount import problem
from kg.embedded import EmbeddedGraph
from retrieval.evidence import CellsEvidence
from tests.agent.test_cells import GENES, made

pytestmark = pytest.mark.assets


@pytest.fixture(scope="module")
def dataset() -> anndata.AnnData:
    """Thirty T cells, twenty B cells and ten NK cells."""
    whole = made(30)  # thirty of each, in this order
    kept = np.r_[0:30, 30:50, 60:70]
    return whole[kept].copy()


@pytest.fixture(scope="module")
def attached(dataset: anndata.AnnData, real: EmbeddedGraph) -> Iterator[AttachedCells]:
    with attach(dataset, None, real) as cells:
        yield cells


@pytest.fixture(scope="module")
def agent(real: EmbeddedGraph) -> Agent:
    return Agent(real)


@pytest.mark.parametrize(
    ("question", "tool", "words"),
    [
        ("What is the largest cluster?", "largest_group", "by leiden: T has 30 (50.0 %)"),
        ("How many cells are in each cluster?", "largest_group", "T has 30 (50.0 %) [E1]; B has"),
        ("Which cluster is the smallest?", "smallest_group", "by leiden: NK has 10 (16.7 %)"),
        ("Which cluster has the most B cells?", "most_of_type", "by leiden: in B 20 of 20 cells"),
        ("Where is MS4A1 highest?", "highest_groups", "MS4A1 is detected by leiden: B in"),
        ("Which cell type has the highest CD79A expression?", "highest_types", "type: B cell"),
        ("Which cell type is rarest?", "rarest", "Rarest first: Of the 60 cells"),
        ("Which columns does the file have?", "columns", "They are: leiden"),
        ("How many cells express both CD3D and CD3E?", "together", "CD3D and CD3E are both"),
        ("Are CD3D and MS4A1 expressed in the same cells?", "together", "are both detected in"),
        ("What is the average expression of MS4A1 in B cells?", "expression_of_type",
         "of the cells annotated as B cell"),
        ("What fraction of B cells express MS4A1?", "expression_of_type", "By the marker lists: "),
        ("Is CD3E expressed in the B cells?", "expressed_in_type", "CD3E is detected in"),
        ("Which genes are expressed in both NK and T cells?", "shared_genes", "no gene is clear"),
        ("Which genes separate B cells from T cells here?", "compare_types", "Higher in the cells"),
        ("How many B cells do I have?", "how_many_of", "20 of the 60 cells of the dataset"),
    ],
)  # fmt: skip
def test_questions(
    agent: Agent, attached: AttachedCells, question: str, tool: str, words: str
) -> None:
    attached.select("")
    answer = agent.ask(question, attached)
    assert answer.tool == f"cells.{tool}", answer.answer
    assert words in answer.answer
    assert all(claim.verdict == "supported" for claim in answer.claims), answer.claims
    assert (answer.status == "ok") == bool(answer.claims)


@pytest.mark.parametrize(
    "question",
    [
        "Which cells are angry?",
        "Which patient do these cells come from?",
        "Are any of these cells doublets?",
        "How many cells are alive in this dataset?",
        "What is the average age of the B cells here?",
        "Which genes are expressed in T cells and B cells of smokers?",
    ],
)
def test_what_the_file_does_not_say(agent: Agent, attached: AttachedCells, question: str) -> None:
    answer = agent.ask(question, attached)
    assert answer.status == "abstained"
    assert "of the attached cells: " in answer.answer


def test_a_type_that_no_cell_has_is_answered_from_the_marker_lists(
    agent: Agent, attached: AttachedCells
) -> None:
    answer = agent.ask("Is GFAP expressed in astrocytes?", attached)
    assert answer.answer.startswith("Yes, as a listed marker of it: GFAP")
    assert "No cell of the dataset is annotated as astrocyte" in answer.answer


def test_genes_shared_by_two_types_are_higher_in_both_than_in_neither(
    agent: Agent, dataset: anndata.AnnData, real: EmbeddedGraph
) -> None:
    """A gene of T and NK cells alone is found, one of all cells and one of T cells are not."""
    mixed = dataset.copy()
    counts = mixed.X.toarray()
    rows = np.isin(mixed.obs["leiden"], ["T", "NK"])
    counts[rows, GENES.index("NKG7")] = 6  # NKG7 of NK and T cells, no more of NK alone
    mixed.X = counts
    with attach(mixed, None, real) as cells:
        answer = agent.ask("Which genes are expressed in both NK and T cells?", cells)
    pieces = [citation.evidence for citation in answer.citations]
    named = {piece.gene for piece in pieces if isinstance(piece, CellsEvidence)}
    assert named == {"NKG7"}, answer.answer
    assert len(answer.claims) == 2


def test_the_file_that_lacks_a_marker_says_so(agent: Agent, attached: AttachedCells) -> None:
    attached.select("leiden=T")
    answer = agent.ask("Why not CD8 T cells?", attached)
    assert "CD8A" in answer.answer
    assert "speaks neither for nor against it" in answer.answer
    attached.select("")


def test_figures_of_two_genes_are_those_of_the_matrix(
    attached: AttachedCells, dataset: anndata.AnnData
) -> None:
    piece = measures.together(attached, ("CD3D", "CD3E"), "leiden=T")
    counts = dataset[dataset.obs["leiden"] == "T", ["CD3D", "CD3E"]].X.toarray() > 0
    figures = dict(piece.figures)
    assert figures["both"] == counts.all(axis=1).sum()
    assert (figures["share_first"], figures["share_second"]) == pytest.approx(counts.mean(axis=0))
    assert problem(piece, attached) == ""
    size = measures.group_size(attached, "leiden", "B")
    assert (size.value, problem(size, attached)) == (20, "")


def test_forged_figures_of_two_genes_or_a_group_are_told(attached: AttachedCells) -> None:
    piece = measures.together(attached, ("CD3D", "CD3E"), "leiden=T")
    size = measures.group_size(attached, "leiden", "B")
    forged = [
        replace(piece, gene=PAIR.join(("CD3E", "CD3D"))),
        replace(piece, gene=PAIR.join(("CD3D", "CD3D"))),
        replace(piece, gene="CD3D"),
        replace(piece, gene=PAIR.join(("CD3D", "MS4A1"))),
        replace(piece, selection="leiden=B"),
        replace(piece, text=piece.text.replace("both detected", "never detected")),
        replace(piece, value=piece.value - 1),
        replace(size, selection="leiden=T"),
        replace(size, text=size.text.replace("20", "21", 1)),
        replace(size, statistic="size"),
    ]
    assert all(problem(one, attached) for one in forged)


def test_the_last_question_about_the_cells_with_another_term(
    agent: Agent, attached: AttachedCells
) -> None:
    conversation = Conversation(agent, Scratch(), attached)
    conversation.say("Is MS4A1 expressed in the B cells?")
    other = conversation.say("and in T cells?")
    assert (other.tool, other.terms[1]) == ("cells.expressed_in_type", "HGNC:7315")
    gene = conversation.say("what about CD3E?")
    assert (gene.tool, gene.terms[0]) == ("cells.expressed_in_type", "CL:0000084")
    conversation.say("How many B cells are there?")
    assert conversation.say("what about NK cells?").tool == "cells.how_many_of"
    assert "keeps no longer list" in conversation.say("show me more").answer
