"""What a follow-up means: references, the last question changed in one place, nothing guessed."""

from __future__ import annotations

import pytest

from agent.answer import Answer, Citation, Claim
from agent.conversation.chat import listed
from agent.conversation.followups import resolve
from agent.conversation.memory import Turn
from agent.conversation.subject import dropped, since_dropped
from agent.conversation.sureness import account
from agent.verification.statement import Form, Statement
from kg.embedded import EmbeddedGraph
from kg.graph import KnowledgeGraph
from retrieval.evidence import PredictionEvidence

LYMPHOCYTE, T, B, GZMB = "CL:0000542", "CL:0000084", "CL:0000236", "HGNC:4709"
MS4A1, CD8, NK = "HGNC:7315", "CL:0000625", "CL:0000623"


def turn(tool: str, *terms: str, listed: tuple[str, ...] = (), **more: str) -> Turn:
    return Turn("?", tool=tool, terms=terms, listed=listed, status="ok", **more)


@pytest.mark.parametrize(
    ("question", "before", "text"),
    [
        ("What are its markers?", turn("definition", B), f"What are the markers of {B}?"),
        ("And its markers?", turn("definition", B), f"the markers of {B}?"),
        ("What does it develop into?", turn("definition", B), f"What does {B} develop into?"),
        ("Is the latter a B cell?", turn("related", T, B), f"Is {B} a B cell?"),
        ("What does this gene do?", turn("gene_in_type", GZMB, T), f"What does {GZMB} do?"),
        ("What is a monocyte?", turn("definition", B), "What is a monocyte?"),
        ("Is it true that a T cell is a B cell?", turn("definition", B),
         "Is it true that a T cell is a B cell?"),
        ("How do the two differ?", turn("related", T, B), f"How do {T} and {B} differ?"),
    ],
)  # fmt: skip
def test_references(small: KnowledgeGraph, question: str, before: Turn, text: str) -> None:
    assert resolve(question, [before], small).text == text


def test_the_third_one_counts_the_list_that_the_second_one_was_of(small: KnowledgeGraph) -> None:
    kinds = turn("subtypes", LYMPHOCYTE, listed=(T, B, CD8))
    second = turn("definition", B)
    assert resolve("What is the third one?", [kinds, second], small).text == f"What is {CD8}?"
    # A list of its own, made of the second one, does not take the place of the first.
    asked = turn("markers", B, listed=(MS4A1, GZMB))
    assert resolve("What is the third one?", [kinds, asked], small).text == f"What is {CD8}?"
    other = turn("subtypes", LYMPHOCYTE, listed=(T, B))
    assert resolve("What is the second one?", [kinds, other], small).text == f"What is {B}?"


def test_its_markers_are_those_of_a_cell_type_even_after_a_gene(small: KnowledgeGraph) -> None:
    turns = [turn("definition", B), turn("function", GZMB)]
    assert resolve("What are its markers?", turns, small).text == f"What are the markers of {B}?"


@pytest.mark.parametrize(
    ("question", "before", "tool", "terms"),
    [
        ("and for B cells?", turn("is_marker", MS4A1, T), "is_marker", (MS4A1, B)),
        ("and GZMB?", turn("is_marker", MS4A1, T), "is_marker", (GZMB, T)),
        ("and MS4A1?", turn("markers", T), "is_marker", (MS4A1, T)),
        ("what about its parent?", turn("definition", T), "definition", (LYMPHOCYTE,)),
        ("and its parent class?", turn("is_marker", MS4A1, B), "is_marker", (MS4A1, LYMPHOCYTE)),
        ("why not B cells?", turn("is_a", CD8, T), "is_a", (CD8, B)),
        ("what about the second one?", turn("subtypes", LYMPHOCYTE, listed=(T, B)), "subtypes",
         (B,)),
        ("why?", turn("is_a", T, B), "is_a", (T, B)),
        ("why not?", turn("is_a", T, B), "is_a", (T, B)),
        ("and the other way round?", turn("is_a", T, B), "is_a", (B, T)),
    ],
)  # fmt: skip
def test_the_last_question_changed_in_one_place(
    small: KnowledgeGraph, question: str, before: Turn, tool: str, terms: tuple[str, ...]
) -> None:
    meant = resolve(question, [before], small)
    assert (meant.tool, meant.terms) == (tool, terms)


@pytest.mark.parametrize(
    ("question", "before", "tool", "terms"),
    [
        ("and GZMB?", turn("cells.what", selection="k=1"), "cells.expressed", (GZMB,)),
        ("and B cells?", turn("cells.why_not", T, selection="k=1"), "cells.why_not", (B,)),
        ("why not B cells?", turn("cells.what", selection="k=1"), "cells.why_not", (B,)),
        ("what about B cells?", turn("cells.sure", selection="k=1"), "cells.whether", (B,)),
        ("what about its parent?", turn("cells.what", listed=(T,)), "supertypes", (T,)),
        ("why not?", turn("cells.whether", T, selection="k=1"), "cells.why_not", (T,)),
    ],
)  # fmt: skip
def test_after_a_question_about_the_cells(
    small: KnowledgeGraph, question: str, before: Turn, tool: str, terms: tuple[str, ...]
) -> None:
    meant = resolve(question, [before], small, cells=True)
    assert (meant.tool, meant.terms) == (tool, terms)
    assert meant.selection == before.selection or tool == "supertypes"


@pytest.mark.parametrize("question", ["Are they T cells?", "why?", "What are these cells?"])
def test_they_are_the_attached_cells(small: KnowledgeGraph, question: str) -> None:
    before = turn("cells.what", selection="k=1", listed=(B,))
    assert resolve(question, [before], small, cells=True).text == question
    lost = resolve(question, [turn("cells.what", data="x.h5ad")], small)
    assert "x.h5ad, which is not attached" in lost.lacking


@pytest.mark.parametrize(
    ("question", "before", "missing"),
    [
        ("Is the third one a T cell?", turn("subtypes", LYMPHOCYTE, listed=(T, B)), "only 2"),
        ("what about the second gene?", turn("subtypes", LYMPHOCYTE, listed=(T, B)), "none"),
        ("which of them express GZMB?", turn("definition", T), "lists anything"),
        ("what about its parent?", turn("definition", "CL:0000738"), "no parent class"),
        ("and in mouse?", turn("cells.what", selection="k=1"), "not attached"),
        ("and the other way round?", turn("definition", T), "no two sides"),
        ("and in mouse?", turn("function", GZMB), "no mouse orthologue of GZMB"),
    ],
)
def test_what_is_missing_is_said(
    small: KnowledgeGraph, question: str, before: Turn, missing: str
) -> None:
    assert missing in resolve(question, [before], small).lacking


@pytest.mark.assets
def test_the_gene_of_the_other_organism(real: EmbeddedGraph) -> None:
    meant = resolve("and in mouse?", [turn("function", GZMB)], real)
    assert (meant.tool, meant.terms) == ("function", ("MGI:109267",))
    back = resolve("and in human?", [turn("function", *meant.terms)], real)
    assert back.terms == (GZMB,)
    assert resolve("why not NK?", [turn("is_a", T, B)], real).terms == (T, NK)


def test_the_two_sides_of_a_comparison_are_exchanged(small: KnowledgeGraph) -> None:
    before = turn("cells.compare", selection="k=1", against="k=2")
    meant = resolve("and the other way round?", [before], small, cells=True)
    assert (meant.tool, meant.selection, meant.against) == ("cells.compare", "k=2", "k=1")


def test_thanks_and_ands_before_a_whole_question_are_passed_over(small: KnowledgeGraph) -> None:
    before = turn("is_a", T, B)
    for said in ("Thanks! And what is a monocyte?", "ok, so what is a monocyte?"):
        assert resolve(said, [before], small).text == "what is a monocyte?"


# --- the subject, and predictions ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("forget it", ""),
        ("Never mind.", ""),
        ("ok, forget about that", ""),
        ("Let's change the subject!", ""),
        ("never mind, what is a B cell?", "what is a B cell?"),
        ("Forget it - and tell me about monocytes", "tell me about monocytes"),
        ("What do T cells forget?", None),
        ("Leave out B cells", None),
    ],
)
def test_what_drops_the_subject(question: str, left: str | None) -> None:
    assert dropped(question) == left


def test_nothing_before_a_dropped_subject_is_meant(small: KnowledgeGraph) -> None:
    spoken = [turn("definition", B), Turn("forget it", status="ok")]
    assert since_dropped(spoken) == []
    assert resolve("What are its markers?", spoken, small).lacking
    anew = [turn("definition", B), Turn("never mind, what is CD8A?", "definition", ("HGNC:1706",))]
    assert resolve("What does it do?", anew, small).text == "What does HGNC:1706 do?"


@pytest.mark.parametrize(
    ("question", "terms"),
    [
        ("and with PRF1?", (GZMB, "HGNC:9360")),
        ("what about together with PRF1?", (GZMB, "HGNC:9360")),
        ("and if PRF1 is knocked out too?", (GZMB, "HGNC:9360")),
        ("and PRF1?", ("HGNC:9360",)),
        ("which genes fall most?", (GZMB,)),
        ("and which rise?", (GZMB,)),
        ("what was observed?", (GZMB,)),
    ],
)
def test_what_follows_a_predicted_knockout(
    small: KnowledgeGraph, question: str, terms: tuple[str, ...]
) -> None:
    before = turn("cells.knockout", GZMB)
    meant = resolve(question, [before], small, cells=True)
    assert (meant.tool, meant.terms, meant.sure) == ("cells.knockout", terms, False)


@pytest.mark.parametrize("question", ["how sure are you?", "why?", "what is the evidence?"])
def test_a_prediction_is_as_sure_as_it_was_measured(small: KnowledgeGraph, question: str) -> None:
    meant = resolve(question, [turn("cells.knockout", GZMB)], small, cells=True)
    assert (meant.tool, meant.sure) == ("cells.knockout", True)


def test_a_failed_turn_is_not_gone_on_from(small: KnowledgeGraph) -> None:
    failed = Turn("why?", "cells.why", selection="k=1", status="failed")
    meant = resolve("and PRF1?", [turn("cells.knockout", GZMB), failed], small, cells=True)
    assert (meant.tool, meant.terms) == ("cells.knockout", ("HGNC:9360",))


@pytest.mark.parametrize(
    ("question", "tool"),
    [
        ("and phenotypes?", "predicted_phenotypes"),
        ("what about functions?", "predicted_functions"),
        ("and where?", "predicted_locations"),
        ("in which cell types?", "predicted_types"),
    ],
)
def test_other_links_of_the_gene_that_one_was_predicted_for(
    small: KnowledgeGraph, question: str, tool: str
) -> None:
    meant = resolve(question, [turn("predicted_diseases", GZMB)], small)
    assert (meant.tool, meant.terms) == (tool, (GZMB,))


def test_the_genes_that_a_model_ranks_are_listed() -> None:
    piece = PredictionEvidence(
        "GZMB out, predicted by a model", "model", "r", "a score 0.5", "mean 0.4",
        figures=(("PRF1", -0.5), ("HGNC:7315", 0.2)), asked=("knockout", "GZMB"),
    )  # fmt: skip
    claim = Claim(
        piece.text, ("E1",), Statement(Form.MEASURED, quotes=(piece.text,)), "supported", "same"
    )
    answer = Answer("?", "ok", piece.text, (claim,), (Citation("E1", piece),))
    assert listed(answer) == ("HGNC:9360", "HGNC:7315")
    told = account(answer)
    assert "no fact; measured: a score 0.5; beside it, mean 0.4" in told
