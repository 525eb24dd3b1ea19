"""Predictions in answers: never as facts, always with what they were measured at, never forged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.answer import Claim
from agent.config import AskConfig
from agent.kinds.predictions import which_gene
from agent.predictions import MODELS, SHOWN, Seen, ask, problem
from agent.qa import Agent
from agent.qa import ask as ask_question
from agent.verification.statement import Form, Statement
from agent.verification.verify import Verifier
from agent.verification.wording import Names, sentence
from data.errors import BadFile
from encoders.prediction import Measured, Predicted, Prediction
from kg.embedded import EmbeddedGraph
from kg.graph import KnowledgeGraph
from retrieval.evidence import PredictionEvidence

TARGETS = ("disease", "process", "function", "component", "celltype", "phenotype")
QUESTIONS = {
    "disease": "Which diseases is {} predicted to be associated with?",
    "process": "Predict processes of {}",
    "function": "What are likely functions of {}?",
    "component": "Where is {} predicted to be located?",
    "celltype": "Predict cell types for {}",
    "phenotype": "Predict phenotypes of {}",
}
THP1 = "perturbation/papalexi2021_eccite_thp1_crisprko_dev_counts.h5ad"


def made_up(seen: Seen, gene: str) -> Prediction:
    """A model for tests: the same words for the same gene."""
    ranked = tuple(Predicted("CL:0000084", f"{gene} {i}", 1 / (i + 2)) for i in range(9))
    measured = Measured("accuracy", 0.5, "majority", 0.25, "nothing", 4, 0.1)
    return Prediction(f"cells of {gene}", "a model", "abc", "share", measured, ranked, ("a limit",))


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.predictions.MODELS", {**MODELS, "test": made_up})


@pytest.mark.usefixtures("model")
def test_words_say_what_it_is_and_what_it_is_worth(graph: EmbeddedGraph) -> None:
    piece = ask(Seen(graph), "test", "CD8A")
    assert piece.text.startswith("Cells of CD8A, predicted by a model, not known: CD8A 0 (CL:00000")
    assert "measured: accuracy 0.500 ± 0.100 on nothing (n = 4); majority 0.250" in piece.text
    assert len(piece.figures) == SHOWN
    assert piece.notes == ("a limit",)


def claim_of(piece: PredictionEvidence, graph: KnowledgeGraph) -> Claim:
    statement = Statement(Form.MEASURED, quotes=(piece.text,))
    return Claim(sentence(statement, Names(graph)), ("E1",), statement)


@pytest.mark.usefixtures("model")
def test_a_forged_prediction_is_never_shown(graph: EmbeddedGraph) -> None:
    seen = Seen(graph)
    piece = ask(seen, "test", "CD8A")
    assert problem(piece, seen) == ""
    verifier = Verifier(graph, predicted=lambda one: problem(one, seen))
    assert verifier.check(claim_of(piece, graph), {"E1": piece}).verdict == "supported"
    forged = {
        "text": piece.text.replace("0.5", "0.9"),
        "measured": "accuracy 0.99",
        "baseline": "majority 0.01",
        "source": "a better model",
        "release": "abd",
        "asked": ("test", "CD4"),
        "figures": (("CL:0000084", 1.0),),
        "notes": (),
        "observed": "Observed: CD8A falls",
    }
    for name, value in forged.items():
        other = replace(piece, **{name: value})
        assert verifier.check(claim_of(other, graph), {"E1": other}).verdict == "dropped", name


def test_what_no_model_says_is_not_shown(graph: EmbeddedGraph) -> None:
    bare = PredictionEvidence("CD8A is mutated", "a model", "1", "r .8", "r .1")
    assert problem(bare, Seen(graph)) == "no model is named ''"
    assert "no model is named" in problem(replace(bare, asked=("oracle",)), Seen(graph))


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("Which gene is knocked out here?", True),
        ("What gene has been deleted in these cells?", True),
        ("Which knock-out is this?", True),
        ("Which genes change when STAT2 is knocked out?", False),
        ("What happens if STAT2 is knocked out?", False),
        ("Which gene is involved in apoptosis?", False),
    ],
)
def test_which_gene(question: str, asks: bool) -> None:
    assert (which_gene(question) is not None) == asks


def test_without_a_screen_the_answer_says_what_to_attach(graph: EmbeddedGraph) -> None:
    answer = Agent(graph).ask("What happens if CD8A is knocked out?")
    assert answer.status == "abstained"
    assert "celloquy knockout CD8A --h5ad FILE" in answer.answer


def test_an_image_without_a_model_is_no_failure(graph: EmbeddedGraph, tmp_path: Path) -> None:
    answer = Agent(graph).ask("Which gene is knocked out here?", image=tmp_path / "cell.png")
    assert answer.status == "abstained"
    assert "celloquy train knockout" in answer.answer


def said_as_predictions(agent: Agent, symbols: list[str], targets: tuple[str, ...]) -> int:
    """Ask of each gene and target; how many answers hold a prediction, each told as one."""
    held = 0
    for symbol in symbols:
        for target in targets:
            answer = agent.ask(QUESTIONS[target].format(symbol))
            pieces = [c.evidence for c in answer.citations if c.evidence.kind == "prediction"]
            for piece in pieces:
                assert isinstance(piece, PredictionEvidence)
                held += 1
                assert "predicted by" in piece.text
                assert "not known" in piece.text
                assert piece.text in answer.answer
                figure, baseline = piece.measured.rsplit(" on ", 1)[0], piece.baseline
                for said in (figure.rsplit(" ", 1)[1], baseline.rsplit(" ", 1)[1]):
                    assert said in answer.answer, (symbol, target, said)
            known = [c for c in answer.citations if c.evidence.kind != "prediction"]
            assert all(c.evidence.kind == "kg_edge" for c in known)
            ids = {one for piece in pieces for one, _ in piece.figures}
            told = {
                edge for c in known for edge in (c.evidence.edge.subject, c.evidence.edge.object)
            }
            assert not ids & told, "a known link is among the predicted ones"
    return held


GENES = [
    "TREM2",
    "STAT2",
    "CD8A",
    "TP53",
    "FOXP3",
    "MS4A1",
    "GZMB",
    "PRF1",
    "IL7R",
    "LYZ",
    "NKG7",
    "CD19",
    "APOE",
    "INS",
    "ALB",
    "GFAP",
    "MBP",
    "PECAM1",
    "COL1A1",
    "KRT5",
    "SFTPC",
    "NPHS1",
    "CFTR",
    "DMD",
    "HBB",
    "F8",
    "BRCA1",
    "EGFR",
    "KRAS",
    "MYC",
    "SOX2",
    "PAX6",
    "GATA1",
    "CD4",
    "IFNGR1",
    "JAK2",
    "IL10",
    "TNF",
    "VEGFA",
    "ACE2",
    "BTK",
    "CSF1R",
]


@pytest.mark.assets
def test_predictions_are_told_as_predictions(real: EmbeddedGraph) -> None:
    assert said_as_predictions(Agent(real), GENES[:1], ("disease", "phenotype")) == 2


@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.timeout(1200)  # each is asked of the model twice
def test_200_predictions_are_told_as_predictions(real: EmbeddedGraph) -> None:
    assert said_as_predictions(Agent(real), GENES, TARGETS) >= 200


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.assets
@pytest.mark.models
def test_a_knockout_is_predicted_from_the_attached_screen(
    real: EmbeddedGraph, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verifier's asking reads the file and computes the change again; the fit is kept."""
    from agent.attached.cells import attach
    from encoders.perturbation import effect, fitted

    calls: list[str] = []
    for module, name in ((effect, "read_screen"), (effect, "change"), (fitted, "measure")):
        real_one = getattr(module, name)

        def counted(*given: Any, _name: str = name, _one: Any = real_one, **more: Any) -> Any:
            calls.append(_name)
            return _one(*given, **more)

        monkeypatch.setattr(module, name, counted)
    with attach(shared_data / THP1, None, real) as cells:
        answer = Agent(real).ask("What happens if STAT2 is knocked out?", cells)
    assert answer.status == "ok"
    (citation,) = answer.citations
    assert citation.evidence.kind == "prediction"
    assert "predicted by" in answer.answer
    assert "mean profile" in answer.answer
    assert "Observed, not predicted, in the file's own 661 cells with STAT2" in answer.answer
    assert "TNFRSF14 +0.14 ± 0.09" in answer.answer
    assert sorted(calls) == ["change", "change", "measure", "read_screen", "read_screen"]
    document = answer.to_json()
    assert document["tells"] == ["predicted"]
    assert document["prediction_confidence"] is None
    (cited,) = document["citations"]
    assert cited["measured_value"] > cited["baseline_value"]
    assert cited["observed"] in answer.answer
    assert not any("observed" in note.casefold() for note in cited["notes"])


def test_an_image_or_a_model_that_cannot_be_used_is_refused_at_once(
    graph: EmbeddedGraph, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.png"
    empty.touch()
    with pytest.raises(BadFile, match=r"expected a whole \.png"):
        ask_question("Which gene is knocked out here?", image=empty, graph=graph)
    with pytest.raises(BadFile, match="celloquy train knockout"):
        ask_question("Is a B cell a cell?", config=AskConfig(knockouts=tmp_path), graph=graph)
