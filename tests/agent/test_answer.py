"""The answer's document and its sentences."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from agent.answer import Answer, Citation, Claim, Named, Step
from agent.verification.statement import Form, Statement
from agent.verification.wording import Names, article, join, negate, sentence
from data.errors import BadInput
from kg import terms as t
from kg.graph import KnowledgeGraph
from kg.terms import Edge
from kg.terms import Path as Walk
from retrieval.evidence import (
    CellsEvidence,
    EdgeEvidence,
    PassageEvidence,
    PathEvidence,
    PredictionEvidence,
    TermEvidence,
)

SCHEMA = json.loads((Path(__file__).parents[1] / "golden" / "ask.schema.json").read_text("utf-8"))
EDGE = Edge("CL:1", t.IS_A, "CL:2", "CL", "v1")
GENE = Edge(
    "HGNC:1", t.INVOLVED_IN, "GO:1", "GOA-human", "2019", "IDA", ("PMID:5",), True,
    taxon="NCBITaxon:9606",
)  # fmt: skip
LABELS = {"CL:1": "T cell", "CL:2": "lymphocyte", "HGNC:1": "CD8A", "GO:1": "cytolysis"}


def test_every_kind_of_citation_is_as_the_interface_says() -> None:
    pieces = (
        PathEvidence(Walk(("CL:1", "CL:2"), (EDGE,)), "T cell → lymphocyte", "CL", "v1"),
        TermEvidence("CL:1", "definition", "A cell.", 0, 7, "CL", "v1"),
        EdgeEvidence(GENE, "CD8A is not involved in cytolysis"),
        PassageEvidence("5", "A quote.", 10, 18, "A title", "PubMed", "pubmed21n1298"),
        CellsEvidence("mean", 1.5, 20, "CD8A has mean 1.5", "cells.h5ad"),
        PredictionEvidence("likely a T cell", "model", "1", "macro-F1 .8", "majority .3"),
    )
    citations = tuple(Citation(f"E{i}", piece, LABELS) for i, piece in enumerate(pieces, 1))
    claim = Claim("It is.", ("E1",), None, "supported", "checked")
    answer = Answer(
        "Is it?", "ok", "Yes.", (claim,), citations,
        (Named("T cells", "CL:1", "T cell", 1.0, "LABEL"),), (Step("ground", "why", 1.234),), 0.9,
        None, ("old",), {"CL": "v1"},
    )  # fmt: skip
    document = answer.to_json()
    jsonschema.validate(document, SCHEMA)
    assert json.loads(json.dumps(document)) == document
    assert [c["kind"] for c in document["citations"]] == [
        "ontology_path", "ontology_path", "kg_edge", "passage", "cells", "prediction",
    ]  # fmt: skip
    assert document["citations"][0]["path"] == {
        "nodes": [{"id": "CL:1", "label": "T cell"}, {"id": "CL:2", "label": "lymphocyte"}],
        "edges": [
            {
                "subject": "CL:1",
                "predicate": "rdfs:subClassOf",
                "object": "CL:2",
                "source": "CL",
                "release": "v1",
            }
        ],
    }
    assert document["citations"][2]["edge"] == {
        "subject": "HGNC:1",
        "predicate": "RO:0002331",
        "object": "GO:1",
        "primary_knowledge_source": "GOA-human",
        "evidence_code": "IDA",
        "publications": ["PMID:5"],
        "negated": True,
        "qualifiers": [],
        "taxon": "NCBITaxon:9606",
    }


def test_what_is_predicted_is_told_by_name() -> None:
    """A verdict is of the sentence and a confidence of the reading; a prediction has its own."""
    pieces = (
        EdgeEvidence(GENE, "CD8A is not involved in cytolysis"),
        PredictionEvidence("TREM2 may be", "votes", "1", "MRR 0.3", "kNN 0.2", value=0.3,
                           baseline_value=0.2),
        PredictionEvidence("STAT2 is out", "core", "1", "accuracy 0.4", "chance 0.1", value=0.4,
                           baseline_value=0.1, confidence=0.25),
        PredictionEvidence("3 cells are T cells", "markers", "1", "accuracy 0.8", "most 0.3",
                           "annotated", subject="CL:1",
                           figures=(("cells", 3), ("of", 9), ("confidence", 0.9))),
        CellsEvidence("size", 9, 9, "9 cells", "cells.h5ad"),
    )  # fmt: skip
    citations = tuple(Citation(f"E{i}", piece, LABELS) for i, piece in enumerate(pieces, 1))
    said = (("E1",), ("E1", "E2"), ("E3",), ("E4", "E5"), ("E5",))
    claims = [Claim("It is.", keys, None, "supported", "checked") for keys in said]
    claims.append(Claim("It is not.", ("E3",)))
    step = (Step("ground", "why"),)
    answer = Answer("Q?", "ok", "Yes.", tuple(claims), citations, route=step, confidence=1.0)
    document = answer.to_json()
    jsonschema.validate(document, SCHEMA)
    told = ["known", "predicted", "predicted", "predicted", "measured", None]
    assert [claim["tells"] for claim in document["claims"]] == told
    assert document["tells"] == ["known", "measured", "predicted"]
    predicted = [c for c in document["citations"] if c["kind"] == "prediction"]
    assert [c["status"] for c in predicted] == ["predicted"] * 3
    assert [c["prediction_confidence"] for c in predicted] == [None, 0.25, 0.9]
    assert [c["measured_value"] for c in predicted] == [0.3, 0.4, None]
    assert [c["baseline_value"] for c in predicted] == [0.2, 0.1, None]
    assert (document["reading_confidence"], document["prediction_confidence"]) == (1.0, 0.25)
    assert document["confidence"] == document["reading_confidence"]


def test_a_relation_outside_the_table_cannot_be_stated() -> None:
    with pytest.raises(BadInput, match="closed table"):
        Statement(Form.FACT, "CL:1", "celloquy:cures", ("CL:2",))


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (Statement(Form.FACT, "HGNC:4709", t.LOCATED_IN, ("GO:0005634",), negated=True),
         "GZMB (HGNC:4709) is not located in nucleus (GO:0005634)."),
        (Statement(Form.FACT, "CL:0000236", t.MARKER_OF, ("HGNC:7315",), inverse=True),
         "B cell (CL:0000236) has the marker MS4A1 (HGNC:7315)."),
        (Statement(Form.TOTAL, "CL:0000542", t.IS_A, inverse=True, numbers=(2,)),
         "Lymphocyte (CL:0000542) has 2 direct kinds in the loaded releases."),
        (Statement(Form.REPLACED, "CL:0000001", objects=("CL:0000084",)),
         "Obsolete old T cell (CL:0000001) is obsolete and replaced by T cell (CL:0000084)."),
    ],
)  # fmt: skip
def test_sentences(small: KnowledgeGraph, statement: Statement, words: str) -> None:
    assert sentence(statement, Names(small)) == words


def test_small_words() -> None:
    assert article("NK cell") == "an NK cell"
    assert join(["a", "b"]) == "a and b"
    assert negate("marks") == "does not mark"
