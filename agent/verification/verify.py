"""The verifier: a claim is shown only if its evidence says it. No language model takes part.

For each claim: the keys exist, the evidence stands in the loaded releases
(:class:`agent.verification.support.Inspector`), the statement follows from the cited edges
(:class:`agent.verification.support.Support`), totals and absences are counted again in the graph,
quotes are verbatim, and every cited piece bears on the statement. A claim without a statement is a
model's sentence; it is read first (:mod:`agent.verification.reading`), and what cannot be read
whole is dropped.

What it does not know: whether a source is right, and whether a passage's authors are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from agent.answer import Claim
from agent.verification.basis import CLOSED, basis
from agent.verification.quotes import quotable
from agent.verification.statement import RULES, Form, Statement
from agent.verification.support import Inspector, Predicted, Recomputed, StoredText, Support
from agent.verification.wording import Names, sentence
from kg.graph import KnowledgeGraph
from kg.ontology import most_recent_common_ancestors
from kg.terms import IS_A, IS_A_OR_PART_OF, PART_OF, Curie
from retrieval.evidence import (
    CellsEvidence,
    EdgeEvidence,
    Evidence,
    PassageEvidence,
    PathEvidence,
    PredictionEvidence,
    TermEvidence,
)

__all__ = ["Verifier"]

_HIERARCHY = {IS_A: (IS_A,), IS_A_OR_PART_OF: (IS_A, PART_OF, IS_A_OR_PART_OF)}


class Verifier:
    """Checks claims against their evidence and the evidence against the graph.

    Parameters
    ----------
    graph
        The loaded releases.
    stored_text
        Gives the stored text of a PMID; without it no passage can be checked, and none is shown.
    recomputed
        Computes a statistic of attached cells again; without it none is shown.
    predicted
        Asks a model again what it is cited for; without it no prediction is shown.
    """

    def __init__(
        self,
        graph: KnowledgeGraph,
        stored_text: StoredText | None = None,
        recomputed: Recomputed | None = None,
        predicted: Predicted | None = None,
    ) -> None:
        self.graph = graph
        self.names = Names(graph)
        self.inspector = Inspector(graph, stored_text, recomputed, predicted)

    def check(self, claim: Claim, evidence: Mapping[str, Evidence]) -> Claim:
        """Return the claim with its verdict and the reason for it.

        A claim that comes with a statement must also say it: its words are the statement's own
        sentence, or read back as the same.
        """
        cited, why = self._cited(claim, evidence)
        if why:
            return replace(claim, verdict="dropped", why=why)
        if claim.statement is None:
            return self._read(claim, cited)
        why = self._statement(claim.statement, cited)
        if not why and claim.text != sentence(claim.statement, self.names):
            why = "the sentence is not the one that its statement makes"
        if why:
            return replace(claim, verdict="dropped", why=why)
        said = [_support(cited), basis(self.graph, self.names, claim.statement)]
        return replace(claim, verdict="supported", why="; ".join(filter(None, said)))

    def check_draft(self, draft: str, evidence: Mapping[str, Evidence]) -> tuple[Claim, ...]:
        """Split a model's draft into claims at its sentences and check each.

        A sentence names its evidence in brackets: ``... [E1]`` or ``... [E1, E3]``.
        """
        from agent.verification.reading import claims_of

        return tuple(self.check(claim, evidence) for claim in claims_of(draft, evidence))

    def _cited(
        self, claim: Claim, evidence: Mapping[str, Evidence]
    ) -> tuple[dict[str, Evidence], str]:
        if not claim.evidence:
            return {}, "names no evidence"
        unknown = [key for key in claim.evidence if key not in evidence]
        if unknown:
            return {}, f"there is no evidence {', '.join(unknown)}"
        cited = {key: evidence[key] for key in claim.evidence}
        for key, piece in cited.items():
            if problem := self.inspector.problem(piece):
                return {}, f"{key}: {problem}"
        return cited, ""

    def _read(self, claim: Claim, cited: Mapping[str, Evidence]) -> Claim:
        from agent.verification.reading import read

        reading = read(claim.text, cited, self.names)
        if reading.problem:
            return replace(claim, verdict="dropped", why=reading.problem)
        why = ""
        for readings in reading.statements:
            if why := self._denies_what_holds(readings, cited):
                break
            # A phrase may have two readings ("is found in"); one that is supported is enough.
            reasons = [self._statement(each, cited, whole=False) for each in readings]
            if "" not in reasons:
                why = reasons[0]
                break
        used = self._used(reading.statements, cited)
        if not why and (idle := [key for key in cited if key not in used]):
            why = f"{', '.join(idle)} does not bear on the sentence"
        if why:
            return replace(claim, verdict="dropped", why=why)
        first = [self._first(readings, cited) for readings in reading.statements]
        return replace(
            claim,
            statement=first[0] if len(first) == 1 else None,
            verdict="supported",
            why=_support(cited),
        )

    def _denies_what_holds(
        self, readings: tuple[Statement, ...], cited: Mapping[str, Evidence]
    ) -> str:
        """A denial whose words may also mean what the evidence says to hold is no denial."""
        for each in readings:
            if each.negated:
                affirmed = replace(each, negated=False)
                if not self._statement(affirmed, cited, whole=False):
                    return "the cited evidence says that it does hold"
        return ""

    def statements(self, claim: Claim, evidence: Mapping[str, Evidence]) -> tuple[Statement, ...]:
        """The checked statements of a supported claim: what its sentence is made again from."""
        if claim.statement is not None:
            return (claim.statement,)
        from agent.verification.reading import read

        cited = {key: evidence[key] for key in claim.evidence}
        reading = read(claim.text, cited, self.names)
        return tuple(self._first(readings, cited) for readings in reading.statements)

    def _first(self, readings: tuple[Statement, ...], cited: Mapping[str, Evidence]) -> Statement:
        return next(each for each in readings if not self._statement(each, cited, whole=False))

    def _used(
        self, statements: tuple[tuple[Statement, ...], ...], cited: Mapping[str, Evidence]
    ) -> set[str]:
        used: set[str] = set()
        for readings in statements:
            for each in readings:
                support = Support(cited)
                if not _CHECKS[each.form](self, each, support):
                    used |= support.used
        return used

    def _statement(
        self, statement: Statement, cited: Mapping[str, Evidence], *, whole: bool = True
    ) -> str:
        """Why the cited evidence does not support the statement, or ""."""
        for node in statement.entities:
            if statement.form not in (Form.QUOTED, Form.MEASURED) and not self.graph.term(node):
                return f"{node} is not in the loaded releases"
        support = Support(cited)
        why = _CHECKS[statement.form](self, statement, support)
        if not why and whole and (idle := [key for key in cited if key not in support.used]):
            return f"{', '.join(idle)} does not bear on the sentence"
        return why

    # One check a form; each returns the reason against, or "", and marks what it used.

    def _fact(self, statement: Statement, support: Support) -> str:
        if not statement.objects:
            return "the sentence names no second entity"
        if statement.numbers and (why := self._counted(statement)):
            return why
        for triple in statement.triples():
            subject, predicate, target = triple
            if statement.negated:
                if not support.negative(*triple):
                    return self._absent(statement, triple, support)
            elif not support.derives(subject, predicate, target, statement.qualifier):
                return f"the cited evidence does not say {subject} {predicate} {target}"
            if statement.unlike and self._recorded(statement, triple):
                return f"it is recorded for {statement.unlike} too"
        if statement.unlike:
            self._touch(support, {statement.unlike})
        return ""

    def _counted(self, statement: Statement) -> str:
        number = self._count(statement.subject, statement.predicate, statement.inverse)
        if statement.numbers != (number,):
            return f"the graph counts {number}, not {statement.numbers[0]}"
        return ""

    def _absent(
        self, statement: Statement, triple: tuple[Curie, Curie, Curie], support: Support
    ) -> str:
        """A "not" that no NOT-annotation backs may still be an absence from the hierarchy."""
        subject, predicate, target = triple
        hierarchical = all(
            edge.predicate in CLOSED[IS_A_OR_PART_OF]
            for edges in support.out.values()
            for edge, _ in edges
        )
        if predicate != IS_A or not hierarchical:
            return f"no cited edge says that {subject} {predicate} {target} does not hold"
        absence = Statement(Form.NOT_FOUND, subject, predicate, (target,))
        return self._not_found(absence, support)

    def _recorded(self, statement: Statement, triple: tuple[Curie, Curie, Curie]) -> bool:
        subject, predicate, target = triple
        other = statement.unlike
        subject, target = (subject, other) if statement.inverse else (other, target)
        if predicate in CLOSED:
            return target in self.graph.ancestors(subject, CLOSED[predicate])
        between = self.graph.edges_between(subject, target)
        return any(edge.predicate == predicate and not edge.negated for edge in between)

    def _walk(self, statement: Statement, support: Support) -> str:
        if not statement.objects:
            return "a walk without a hop says nothing"
        for triple in statement.triples():
            if not support.edge(triple):
                return f"the cited evidence has no hop {' '.join(triple)}"
        return ""

    def _not_found(self, statement: Statement, support: Support) -> str:
        subject, predicate, target = statement.subject, statement.predicate, statement.objects[0]
        if subject == target:
            return "a term is not apart from itself"
        if predicate in CLOSED:
            if target in self.graph.ancestors(subject, CLOSED[predicate]):
                return f"{subject} does have a path to {target} by {predicate}"
        elif self._annotated(subject, predicate, target):
            return f"{subject} {predicate} {target} is recorded"
        self._touch(support, {subject, target})
        covered = {
            node
            for key in support.used
            for node in _nodes(support.cited[key])
            if node in (subject, target)
        }
        if covered != {subject, target}:
            return "the cited evidence does not touch both entities"
        return ""

    def _annotated(self, subject: Curie, predicate: Curie, target: Curie) -> bool:
        rule = RULES.get(predicate)
        edges = self.graph.edges(subject, direction="out", predicates=(predicate,))
        ends = {edge.object for edge in edges if not edge.negated}
        if target in ends:
            return True
        if rule is None or not rule.after:
            return False
        upward = (IS_A, PART_OF, IS_A_OR_PART_OF) if rule.after_part else (IS_A,)
        return not ends.isdisjoint(self.graph.descendants(target, upward))

    def _touch(self, support: Support, ids: set[Curie]) -> None:
        support.used |= {key for key, piece in support.cited.items() if _nodes(piece) & ids}

    def _common(self, statement: Statement, support: Support) -> str:
        meeting = statement.subject
        if len(statement.objects) != 2:
            return "a common ancestor is one of two terms"
        predicates = _HIERARCHY.get(statement.predicate, ())
        lowest = most_recent_common_ancestors(self.graph, *statement.objects, predicates)
        if meeting not in lowest:
            return f"{meeting} is not a lowest common ancestor of the two"
        for other in statement.objects:
            if other != meeting and not support.derives(other, statement.predicate, meeting):
                return f"the cited evidence has no path from {other} to {meeting}"
        return ""

    def _total(self, statement: Statement, support: Support) -> str:
        number = self._count(statement.subject, statement.predicate, statement.inverse)
        if statement.numbers != (number,):
            return f"the graph counts {number}, not {statement.numbers}"
        self._touch_by(support, statement.subject, statement.predicate)
        return ""

    def _compared(self, statement: Statement, support: Support) -> str:
        pair = (statement.subject, statement.objects[0])
        counts = tuple(self._count(node, statement.predicate, statement.inverse) for node in pair)
        if statement.numbers != counts:
            return f"the graph counts {counts}, not {statement.numbers}"
        if counts[0] < counts[1]:
            return "the first has fewer than the second"
        for node in pair:
            self._touch_by(support, node, statement.predicate)
        return ""

    def _count(self, id: Curie, predicate: Curie, inverse: bool) -> int:
        edges = self.graph.edges(id, direction="in" if inverse else "out", predicates=(predicate,))
        return len(
            {
                edge.subject if inverse else edge.object
                for edge in edges
                if not edge.negated and "negative" not in edge.qualifiers
            }
        )

    def _touch_by(self, support: Support, id: Curie, predicate: Curie) -> None:
        for key, piece in support.cited.items():
            if isinstance(piece, EdgeEvidence):
                ends = (piece.edge.subject, piece.edge.object)
                if piece.edge.predicate == predicate and id in ends:
                    support.used.add(key)
            elif isinstance(piece, TermEvidence) and piece.id == id:
                support.used.add(key)

    def _defined(self, statement: Statement, support: Support) -> str:
        return self._words_of(statement, support, "definition")

    def _named(self, statement: Statement, support: Support) -> str:
        term = self.graph.term(statement.subject)
        known = {synonym.text for synonym in term.synonyms} if term else set()
        if not statement.quotes or not set(statement.quotes) <= known:
            return "the source does not give these names"
        return self._words_of(replace(statement, quotes=()), support, "synonyms")

    def _words_of(self, statement: Statement, support: Support, part: str) -> str:
        for key, piece in support.cited.items():
            if not isinstance(piece, TermEvidence) or piece.id != statement.subject:
                continue
            if piece.part == part and all(
                quotable(quote, piece.text) for quote in statement.quotes
            ):
                support.used.add(key)
                return ""
        return f"no cited {part} of {statement.subject} has these words"

    def _replaced(self, statement: Statement, support: Support) -> str:
        term = self.graph.term(statement.subject)
        if term is None or not term.obsolete or term.replaced_by != statement.objects[0]:
            return f"{statement.subject} is not recorded as replaced by {statement.objects[0]}"
        return self._words_of(statement, support, "replaced_by")

    def _quoted(self, statement: Statement, support: Support) -> str:
        for quote in statement.quotes:
            for key, piece in support.cited.items():
                if not isinstance(piece, PassageEvidence):
                    continue
                named = statement.subject in ("", f"PMID:{piece.pmid}")
                if named and quotable(quote, piece.quote):
                    support.used.add(key)
                    break
            else:
                return "no cited passage has these words"
        return "" if statement.quotes else "the sentence quotes nothing"

    def _measured(self, statement: Statement, support: Support) -> str:
        said = {
            piece.text: key
            for key, piece in support.cited.items()
            if isinstance(piece, CellsEvidence | PredictionEvidence)
        }
        if not statement.quotes or not set(statement.quotes) <= set(said):
            return "no cited measurement says this"
        support.used |= {said[quote] for quote in statement.quotes}
        return ""


_CHECKS: Mapping[Form, Callable[[Verifier, Statement, Support], str]] = {
    Form.FACT: Verifier._fact,
    Form.WALK: Verifier._walk,
    Form.NOT_FOUND: Verifier._not_found,
    Form.COMMON: Verifier._common,
    Form.TOTAL: Verifier._total,
    Form.COMPARED: Verifier._compared,
    Form.DEFINED: Verifier._defined,
    Form.NAMED: Verifier._named,
    Form.REPLACED: Verifier._replaced,
    Form.QUOTED: Verifier._quoted,
    Form.MEASURED: Verifier._measured,
}


def _nodes(piece: Evidence) -> set[Curie]:
    if isinstance(piece, PathEvidence):
        return set(piece.path.nodes)
    if isinstance(piece, EdgeEvidence):
        return {piece.edge.subject, piece.edge.object}
    return {piece.id} if isinstance(piece, TermEvidence) else set()


def _support(cited: Mapping[str, Evidence]) -> str:
    sources = sorted({f"{piece.source} {piece.release}".strip() for piece in cited.values()})
    return f"checked against {', '.join(sources)}"
