"""What a claim says, apart from its words: a form, entities, a relation, a polarity, numbers.

A claim's sentence is made from its statement (:mod:`agent.verification.wording`) and a model's
sentence is read back into one (:mod:`agent.verification.reading`), so that the verifier compares
facts with facts. This module knows no graph and no evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from data.errors import BadInput
from kg.terms import (
    CAPABLE_OF,
    COLOCALIZES_WITH,
    CONTRIBUTES_TO,
    DEVELOPS_FROM,
    ENABLES,
    GENE_DISEASE,
    HAS_HIGH_PLASMA_MEMBRANE_AMOUNT,
    HAS_LOW_PLASMA_MEMBRANE_AMOUNT,
    HAS_PART,
    HAS_PLASMA_MEMBRANE_PART,
    INVOLVED_IN,
    IS_A,
    IS_A_OR_PART_OF,
    LACKS_PART,
    LACKS_PLASMA_MEMBRANE_PART,
    LOCATED_IN,
    NEGATIVELY_REGULATES,
    PART_OF,
    POSITIVELY_REGULATES,
    PREDICATES,
    REGULATES,
    Curie,
)

__all__ = ["RULES", "Form", "Rule", "Statement", "compose"]


class Form(StrEnum):
    """The kinds of thing a claim may say; each has its own check in the verifier."""

    FACT = "fact"
    """The subject has the relation to every object (``inverse``: every object to the subject)."""
    WALK = "walk"
    """The subject reaches the last object hop by hop, each hop an edge of its own relation."""
    NOT_FOUND = "not_found"
    """No edge and no path of the relation leads from subject to object in the release."""
    COMMON = "common"
    """The subject is a lowest common ancestor of the objects."""
    TOTAL = "total"
    """The subject has exactly so many different neighbours by the relation."""
    COMPARED = "compared"
    """The subject has more (or as many) neighbours by the relation than the object."""
    DEFINED = "defined"
    """The subject's definition, word for word."""
    NAMED = "named"
    """Other names of the subject, word for word."""
    REPLACED = "replaced"
    """The subject is obsolete and the object takes its place."""
    QUOTED = "quoted"
    """A passage's own words."""
    MEASURED = "measured"
    """What was computed from the attached cells, or predicted, in the evidence's own words."""


@dataclass(frozen=True, slots=True)
class Statement:
    """The content of a claim.

    ``hops`` are the relations of a walk, one an object. ``unlike`` is a second entity for which
    the same fact is *not* recorded. ``numbers`` are the totals that are stated. ``quotes`` are
    words taken over literally.
    """

    form: Form
    subject: Curie = ""
    predicate: Curie = ""
    objects: tuple[Curie, ...] = ()
    inverse: bool = False
    negated: bool = False
    qualifier: str = ""
    hops: tuple[Curie, ...] = ()
    unlike: Curie = ""
    numbers: tuple[int, ...] = ()
    quotes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.predicate and self.predicate not in PREDICATES:
            raise BadInput(f"{self.predicate!r} is not in the closed table of relations")
        if self.form is Form.WALK and len(self.hops) != len(self.objects):
            raise BadInput(f"a walk to {len(self.objects)} nodes has {len(self.hops)} relations")

    @property
    def entities(self) -> frozenset[Curie]:
        """Every term the statement speaks of."""
        named = {self.subject, self.unlike, *self.objects}
        return frozenset(named - {""})

    def triples(self) -> list[tuple[Curie, Curie, Curie]]:
        """The (subject, predicate, object) that the statement asserts, edges' direction."""
        if self.form is Form.WALK:
            nodes = (self.subject, *self.objects)
            return list(zip(nodes, self.hops, nodes[1:], strict=False))
        if self.inverse:
            return [(other, self.predicate, self.subject) for other in self.objects]
        return [(self.subject, self.predicate, other) for other in self.objects]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a relation composes with ``is a`` (and ``part of``) on its two sides.

    ``before``: A is a B, B rel C give A rel C. ``after``: A rel B, B is a C give A rel C.
    ``after_part``: the same for B part of C. ``transitive``: A rel B, B rel C give A rel C.
    """

    before: bool = False
    after: bool = False
    after_part: bool = False
    transitive: bool = False


_SOME = Rule(before=True, after=True)

RULES: dict[Curie, Rule] = {
    # OWL EL: class axioms "every A rel some B" are inherited by subtypes of A and widened to
    # supertypes of B (https://www.w3.org/TR/owl2-profiles/#OWL_2_EL); "part of" and
    # "develops from" are transitive in the Relation Ontology.
    IS_A: Rule(transitive=True),
    PART_OF: Rule(before=True, after=True, transitive=True),
    IS_A_OR_PART_OF: Rule(before=True, after=True, after_part=True, transitive=True),
    HAS_PART: Rule(before=True, after=True, transitive=True),
    DEVELOPS_FROM: Rule(before=True, after=True, transitive=True),
    CAPABLE_OF: _SOME,
    REGULATES: _SOME,
    POSITIVELY_REGULATES: _SOME,
    NEGATIVELY_REGULATES: _SOME,
    HAS_PLASMA_MEMBRANE_PART: _SOME,
    HAS_HIGH_PLASMA_MEMBRANE_AMOUNT: _SOME,
    HAS_LOW_PLASMA_MEMBRANE_AMOUNT: _SOME,
    # Lacking a B says nothing about lacking every kind of thing that B is.
    LACKS_PART: Rule(before=True),
    LACKS_PLASMA_MEMBRANE_PART: Rule(before=True),
    # GO's true path rule (https://geneontology.org/docs/go-annotations/): an annotation to a
    # term holds for its ancestors by is a, and by part of for processes and components.
    INVOLVED_IN: Rule(after=True, after_part=True),
    LOCATED_IN: Rule(after=True, after_part=True),
    ENABLES: Rule(after=True),
    CONTRIBUTES_TO: Rule(after=True),
    COLOCALIZES_WITH: Rule(after=True),
    # A gene associated with one form of a disease is associated with the disease.
    GENE_DISEASE: Rule(after=True),
}
"""Relations that compose; one that is not here (marker of, mentions, ...) never does."""


def compose(left: Curie, right: Curie) -> Curie | None:
    """The relation that A ``left`` B, B ``right`` C give between A and C, if any.

    >>> compose(IS_A, PART_OF) == PART_OF, compose(PART_OF, IS_A) == PART_OF
    (True, True)
    >>> compose(LACKS_PART, IS_A) is None
    True
    """
    first, second = RULES.get(left, Rule()), RULES.get(right, Rule())
    if left == right:
        return left if first.transitive else None
    if left == IS_A:
        return right if second.before else None
    if right == IS_A:
        return left if first.after else None
    if IS_A_OR_PART_OF in (left, right) and PART_OF in (left, right):
        # Whichever of the two the unnamed link is, part of composes with it to part of.
        return PART_OF
    if right in (PART_OF, IS_A_OR_PART_OF):
        return left if first.after_part else None
    return None
