"""The verifier: cases worked out by hand, then drafts by the thousand, half of them forged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.answer import Claim
from agent.verification.statement import Form, Statement, compose
from agent.verification.verify import Verifier
from agent.verification.wording import Names, sentence
from kg import terms as t
from kg.embedded import EmbeddedGraph
from kg.graph import KnowledgeGraph
from kg.ontology import shortest_path_up
from kg.terms import Edge
from kg.verbalise import sentence as edge_sentence
from retrieval.evidence import (
    EdgeEvidence,
    Evidence,
    PassageEvidence,
    PathEvidence,
    PredictionEvidence,
    TermEvidence,
)
from tests.agent.drafts import Writer, passage_drafts

T8, T, LYMPHOCYTE, B = "CL:0000625", "CL:0000084", "CL:0000542", "CL:0000236"
GZMB, PRF1, CD8A, MS4A1 = "HGNC:4709", "HGNC:9360", "HGNC:1706", "HGNC:7315"


def path(graph: KnowledgeGraph, low: str, high: str) -> PathEvidence:
    found = shortest_path_up(graph, low, high)
    assert found is not None
    return PathEvidence(found, "", found.edges[0].source, found.edges[0].release)


def edge(graph: KnowledgeGraph, subject: str, target: str) -> EdgeEvidence:
    (found,) = graph.edges_between(subject, target)
    return EdgeEvidence(found, "")


def definition(graph: KnowledgeGraph, id: str) -> TermEvidence:
    term = graph.term(id)
    assert term is not None
    words = term.definition
    return TermEvidence(id, "definition", words, 0, len(words), term.source, term.release)


@pytest.fixture(scope="module")
def evidence(small: KnowledgeGraph) -> dict[str, Evidence]:
    return {
        "E1": path(small, T8, LYMPHOCYTE),
        "E2": edge(small, GZMB, "GO:0006915"),
        "E3": edge(small, GZMB, "GO:0005634"),  # a NOT annotation
        "E4": edge(small, "CL:0000233", "CL:0000556"),
        "E5": edge(small, MS4A1, B),
        "E6": edge(small, MS4A1, T),  # a negative marker
        "E7": edge(small, GZMB, PRF1),
        "E8": definition(small, T),
        "E9": edge(small, B, LYMPHOCYTE),
        "E10": edge(small, T, LYMPHOCYTE),
        "E11": path(small, "GO:0006915", "GO:0012501"),
        "E12": PredictionEvidence("CD8A has mean 2.5 in 10 cells", "model", "1", "r .8", "r .1"),
    }


def said(evidence: dict[str, Evidence]) -> Callable[[PredictionEvidence], str]:
    """The model behind the prediction of the evidence: it says that and nothing else."""
    return lambda piece: "" if piece == evidence["E12"] else "the model says something else"


def test_a_prediction_is_shown_only_where_the_model_says_it(
    small: KnowledgeGraph, evidence: dict[str, Evidence]
) -> None:
    claim = Claim("CD8A has mean 2.5 in 10 cells", ("E12",))
    assert Verifier(small).check(claim, evidence).verdict == "dropped"
    verifier = Verifier(small, predicted=said(evidence))
    assert verifier.check(claim, evidence).verdict == "supported"
    forged = replace(evidence["E12"], measured="r .99")
    assert verifier.check(claim, {"E12": forged}).verdict == "dropped"


TRUE = """
A CD8-positive, alpha-beta T cell is a lymphocyte [E1].
CD8-positive, alpha-beta T cells are T lymphocytes, which are lymphocytes [E1].
CD8+ alpha-beta T cell is a kind of T cell [E1].
Yes, CD8-positive alpha-beta T cells (CL:0000625) are lymphocytes (CL:0000542) [E1].
Lymphocytes include T cells and B cells [E9, E10].
Both T cells and B cells are lymphocytes [E9, E10].
The kinds of lymphocyte are B cell and T cell [E9, E10].
Lymphocyte has 2 subtypes: T cell and B cell [E9, E10].
Lymphocyte has two kinds [E9, E10].
T cell is not a B cell [E9, E10].
The Cell Ontology places T cell under lymphocyte [E10].
According to CL v1, every T cell is a lymphocyte [E10].
GZMB is involved in apoptotic process (TAS, PMID:12524539) [E2].
In humans, GZMB takes part in the apoptotic process [E2].
GZMB is involved in programmed cell death [E2, E11].
GZMB is not located in the nucleus [E3].
GZMB isn't found in the nucleus (PMID:7) [E3].
Platelets develop from megakaryocytes [E4].
Megakaryocytes give rise to platelets [E4].
MS4A1 is a marker of B cells [E5].
B cells are marked by MS4A1 [E5].
MS4A1 is a negative marker of T cells [E6].
PRF1 interacts with GZMB [E7].
GZMB and PRF1 interact with each other [E7].
A T cell is defined as "A type of lymphocyte" [E8].
T cell: A type of lymphocyte. It does not make antibodies [E8].
CD8A has mean 2.5 in 10 cells [E12].
""".strip().splitlines()

FALSE = """
A lymphocyte is a CD8-positive, alpha-beta T cell [E1].
A CD8-positive, alpha-beta T cell is a leukocyte [E1].
A CD8-positive, alpha-beta T cell is a B cell [E1].
A CD8-positive, alpha-beta T cell is not a lymphocyte [E1].
No, a CD8-positive, alpha-beta T cell is a lymphocyte [E1].
A CD8-positive, alpha-beta T cell (CL:0000236) is a lymphocyte [E1].
A CD8-positive, alpha-beta T cell is a lymphocyte [E99].
A CD8-positive, alpha-beta T cell is a lymphocyte.
A CD8-positive, alpha-beta T cell is a lymphocyte [E1, E4].
A CD8-positive, alpha-beta T cell is a dangerous lymphocyte [E1].
A CD8-positive, alpha-beta T cell is a lymphocyte and kills tumours [E1].
According to CL v2, a T cell is a lymphocyte [E10].
Lymphocyte has 3 subtypes: T cell and B cell [E9, E10].
Lymphocyte has five kinds [E9, E10].
Only T cells are lymphocytes [E10].
Most T cells are lymphocytes [E10].
T cells are rarely lymphocytes [E10].
All lymphocytes are T cells [E10].
B cells are T cells [E9, E10].
GZMB is involved in cytolysis [E2].
GZMB is not involved in apoptotic process [E2].
GZMB enables apoptotic process [E2].
PRF1 is involved in apoptotic process [E2].
GZMB is involved in apoptotic process (IDA) [E2].
GZMB is involved in apoptotic process (PMID:12524538) [E2].
In mice, GZMB is involved in apoptotic process [E2].
GZMB is involved in programmed cell death [E2].
GZMB is located in the nucleus [E3].
Platelets give rise to megakaryocytes [E4].
Megakaryocytes develop from platelets [E4].
Megakaryocytes do not develop from platelets [E4].
MS4A1 is a marker of T cells [E6].
MS4A1 is a negative marker of B cells [E5].
MS4A1 is not a marker of B cells [E5].
MS4A1 is a marker of B cells and T cells [E5, E6].
GZMB does not interact with PRF1 [E7].
GZMB inhibits PRF1 [E7].
A T cell is defined as "It does make antibodies" [E8].
A T cell is defined as "make antibodies" [E8].
A B cell is defined as "A type of lymphocyte" [E8].
CD8A has mean 3.5 in 10 cells [E12].
CD8A has mean 2.5 in 100 cells [E12].
""".strip().splitlines()


@pytest.mark.parametrize("draft", TRUE)
def test_what_the_evidence_says_is_kept(
    small: KnowledgeGraph, evidence: dict[str, Evidence], draft: str
) -> None:
    claims = Verifier(small, predicted=said(evidence)).check_draft(draft, evidence)
    assert [(claim.verdict, claim.why) for claim in claims if claim.verdict != "supported"] == []
    assert len(claims) == 1


@pytest.mark.parametrize("draft", FALSE)
def test_what_the_evidence_does_not_say_is_dropped(
    small: KnowledgeGraph, evidence: dict[str, Evidence], draft: str
) -> None:
    claims = Verifier(small, predicted=said(evidence)).check_draft(draft, evidence)
    assert claims
    assert all(claim.verdict == "dropped" and claim.why for claim in claims)


def test_a_kept_sentence_can_be_made_again_from_its_statements(
    small: KnowledgeGraph, evidence: dict[str, Evidence]
) -> None:
    verifier = Verifier(small)
    (claim,) = verifier.check_draft("Lymphocytes include T cells and B cells [E9, E10].", evidence)
    (statement,) = verifier.statements(claim, evidence)
    assert sentence(statement, Names(small)) == (
        "Lymphocyte (CL:0000542) has the kinds T cell and B cell."
    )
    again = verifier.check(
        replace(claim, statement=statement, text=sentence(statement, Names(small))), evidence
    )
    assert again.verdict == "supported"


def test_a_sentence_that_is_not_its_statements_own_is_dropped(
    small: KnowledgeGraph, evidence: dict[str, Evidence]
) -> None:
    statement = Statement(Form.FACT, T, t.IS_A, (LYMPHOCYTE,))
    claim = Claim("T cell (CL:0000084) is a kind of leukocyte.", ("E10",), statement)
    assert Verifier(small).check(claim, evidence).verdict == "dropped"
    true = replace(claim, text=sentence(statement, Names(small)))
    assert Verifier(small).check(true, evidence).verdict == "supported"


@pytest.mark.parametrize(
    ("statement", "keys", "holds"),
    [
        (Statement(Form.NOT_FOUND, LYMPHOCYTE, t.IS_A, (T8,)), ("E1",), True),
        (Statement(Form.NOT_FOUND, T8, t.IS_A, (LYMPHOCYTE,)), ("E1",), False),
        (Statement(Form.NOT_FOUND, LYMPHOCYTE, t.IS_A, (T8,)), ("E9",), False),
        (Statement(Form.COMMON, LYMPHOCYTE, t.IS_A, (T, B)), ("E9", "E10"), True),
        (Statement(Form.COMMON, "CL:0000738", t.IS_A, (T, B)), ("E9", "E10"), False),
        (Statement(Form.TOTAL, LYMPHOCYTE, t.IS_A, inverse=True, numbers=(2,)), ("E9",), True),
        (Statement(Form.TOTAL, LYMPHOCYTE, t.IS_A, inverse=True, numbers=(3,)), ("E9",), False),
        (Statement(Form.FACT, B, t.MARKER_OF, (MS4A1,), inverse=True, unlike=T8), ("E5",), True),
        (Statement(Form.FACT, GZMB, t.INVOLVED_IN, ("GO:0012501",)), ("E2", "E11"), True),
        (Statement(Form.FACT, GZMB, t.INVOLVED_IN, ("GO:0012501",)), ("E2",), False),
        (Statement(Form.WALK, T8, objects=(T, LYMPHOCYTE), hops=(t.IS_A, t.IS_A)), ("E1",), True),
        (Statement(Form.WALK, T8, objects=(LYMPHOCYTE,), hops=(t.IS_A,)), ("E1",), False),
        (Statement(Form.DEFINED, T, quotes=("A type of lymphocyte.",)), ("E8",), True),
        (Statement(Form.DEFINED, T, quotes=("A kind of lymphocyte.",)), ("E8",), False),
    ],
)
def test_statements_are_checked_by_their_form(
    small: KnowledgeGraph,
    evidence: dict[str, Evidence],
    statement: Statement,
    keys: tuple[str, ...],
    holds: bool,
) -> None:
    claim = Claim(sentence(statement, Names(small)), keys, statement)
    verdict = Verifier(small).check(claim, evidence).verdict
    assert (verdict == "supported") == holds


def test_evidence_that_is_no_edge_of_the_release_supports_nothing(
    small: KnowledgeGraph, evidence: dict[str, Evidence]
) -> None:
    piece = evidence["E10"]
    assert isinstance(piece, EdgeEvidence)
    for forged in (
        replace(piece.edge, release="v2"),
        replace(piece.edge, object="CL:0000576"),
        replace(piece.edge, publications=("PMID:1",)),
    ):
        statement = Statement(Form.FACT, forged.subject, forged.predicate, (forged.object,))
        claim = Claim(sentence(statement, Names(small)), ("E1",), statement)
        checked = Verifier(small).check(claim, {"E1": EdgeEvidence(forged, "")})
        assert checked.verdict == "dropped"
        assert "is not an edge" in checked.why


@pytest.mark.parametrize(("draft", "piece", "genuine"), passage_drafts())
def test_quotes(small: KnowledgeGraph, draft: str, piece: PassageEvidence, genuine: bool) -> None:
    whole = (
        "Granzymes and death\n\nWe studied NK cells. We found no evidence that GZMB kills neurons. "
        "GZMB kills infected cells through PRF1. These results suggest that SRGN helps."
    )
    verifier = Verifier(small, lambda pmid: whole if pmid == "12345" else None)
    (claim,) = verifier.check_draft(draft, {"E1": piece})
    assert (claim.verdict == "supported") == genuine, claim.why


def test_a_passage_that_cannot_be_looked_up_is_not_quoted(small: KnowledgeGraph) -> None:
    (draft, piece, _), *_ = passage_drafts()
    (claim,) = Verifier(small).check_draft(draft, {"E1": piece})
    assert claim.verdict == "dropped"


def test_relations_compose_as_the_ontologies_say() -> None:
    assert compose(t.IS_A, t.IS_A) == t.IS_A
    assert compose(t.IS_A, t.DEVELOPS_FROM) == t.DEVELOPS_FROM
    assert compose(t.PART_OF, t.IS_A_OR_PART_OF) == t.PART_OF
    assert compose(t.IS_A, t.IS_A_OR_PART_OF) == t.IS_A_OR_PART_OF
    assert compose(t.INVOLVED_IN, t.PART_OF) == t.INVOLVED_IN
    assert compose(t.ENABLES, t.PART_OF) is None
    assert compose(t.MARKER_OF, t.IS_A) is None
    assert compose(t.LACKS_PART, t.IS_A) is None
    assert compose(t.INTERACTS_WITH, t.INTERACTS_WITH) is None


def judge(graph: EmbeddedGraph, number: int, seed: int) -> tuple[list[str], list[str]]:
    """The genuine drafts that were lost and the forged ones that were kept."""
    verifier, writer = Verifier(graph), Writer(graph, seed)
    lost, kept = [], []
    for _ in range(number):
        draft = writer.genuine()
        claims = verifier.check_draft(draft.text, draft.evidence)
        if len(claims) != 1 or claims[0].verdict != "supported":
            lost.append(f"{draft.how}: {draft.text} ({[c.why for c in claims]})")
        draft = writer.forged()
        claims = verifier.check_draft(draft.text, draft.evidence)
        if any(claim.verdict == "supported" for claim in claims):
            kept.append(f"{draft.how}: {draft.text}")
    return lost, kept


@pytest.mark.assets
def test_a_thousand_drafts(real: EmbeddedGraph) -> None:
    lost, kept = judge(real, 500, seed=11)
    assert kept == []
    assert len(lost) <= 500 * 0.02, lost


@pytest.mark.assets
@pytest.mark.slow
def test_ten_thousand_drafts(real: EmbeddedGraph) -> None:
    lost, kept = judge(real, 5000, seed=7)
    assert kept == []
    assert len(lost) <= 5000 * 0.02, Counter(line.split(":")[0] for line in lost)


@pytest.mark.assets
def test_the_graphs_own_sentences_are_read(real: EmbeddedGraph) -> None:
    """Every edge as :mod:`kg.verbalise` writes it is kept, and read as that very edge."""
    verifier, writer = Verifier(real), Writer(real, seed=3)
    for _ in range(300):
        held: Edge = writer.edge()
        ends = (held.subject, held.object)
        words = edge_sentence(held, {end: verifier.names.label(end) for end in ends})
        text = words.split(". [")[0] + " [E1]."
        (claim,) = verifier.check_draft(text, {"E1": EdgeEvidence(held, words)})
        assert claim.verdict == "supported", (text, claim.why)
