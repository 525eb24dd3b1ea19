"""What follows a prediction: other genes, the gene's other links, and how good the model is.

"And with IRF9?" asks for both knock-outs at once, "and phenotypes?" for another kind of link of the
same gene, "which genes fall most?" for the answer that named them. Knows no model.
"""

from __future__ import annotations

import re

from agent.conversation.meant import CELLS, Meant
from agent.conversation.memory import Turn
from agent.conversation.sureness import EVIDENCE, asks_how_sure, how_sure
from agent.verification.wording import Names
from kg.grounding import ground
from kg.terms import Category

__all__ = ["after_prediction"]

_KNOCKOUT = f"{CELLS}knockout"
_ASKED = frozenset({_KNOCKOUT, f"{CELLS}second_opinion", "knocked_out"})
"""Tools whose answer is one prediction of a model."""
_LINKS = "predicted_"
_KINDS = {
    "process": "processes", "processes": "processes", "pathways": "processes",
    "function": "functions", "functions": "functions", "activities": "functions",
    "location": "locations", "locations": "locations", "compartments": "locations",
    "components": "locations", "where": "locations",
    "disease": "diseases", "diseases": "diseases", "disorders": "diseases",
    "phenotype": "phenotypes", "phenotypes": "phenotypes", "symptoms": "phenotypes",
    "cell types": "types", "types": "types", "cells": "types",
}  # fmt: skip
_KIND = re.compile(
    r"^\s*(?:and |but |ok |okay |so )*(?:what about |how about |which |what )?"
    r"(?:to |with |of |in |for )?(?:which |what |its |the |predicted |likely )*"
    rf"(?P<kind>{'|'.join(sorted(_KINDS, key=len, reverse=True))})\W*$",
    re.IGNORECASE,
)
# "And with IRF9?", "and if IRF9 is knocked out too?": beside the gene that is out already.
_WITH = re.compile(
    r"^\s*(?:and |but |so )*(?:what (?:about|if|happens) |how about )?(?:if )?"
    r"(?:you |we |i )?(?:also |both |add |knock out )*"
    r"(?:(?:(?:together |along |combined )?with|plus|in addition(?: to)?)\b"
    r"|(?=.*\b(?:too|as well|also|together|both)\b))",
    re.IGNORECASE,
)
_CHANGING = re.compile(
    r"^\s*(?:and |but |so )*(?:which|what)(?: of (?:the|them|these))?(?: other)? genes? "
    r"(?:do |does |would |will |are |is |go |get )*(?:\w+ )?"
    r"(?:fall|falls|drop|drops|decrease|decreases|decreased|down|lower|rise|rises|increase|increases|"
    r"increased|up|higher|change|changes|changed|respond|responds|affected)"
    r"(?: most| the most| strongest| more)?\W*$|^\s*(?:and |but |so )*(?:which|what) "
    r"(?:rise|fall|drop|increase|decrease|change)s?(?: most| the most)?\W*$",
    re.IGNORECASE,
)
_OBSERVED = re.compile(
    r"^\s*(?:and |but |so )*what (?:was|is|were|has been) (?:actually |really )?"
    r"(?:observed|measured|seen)(?: there| here| instead)?\W*$",
    re.IGNORECASE,
)


def after_prediction(question: str, last: Turn, names: Names) -> Meant | None:
    """What a question means after a prediction; None where it does not go on from one."""
    if last.tool.startswith(_LINKS):
        if (kind := _KIND.match(question)) is not None:
            tool = f"{_LINKS}{_KINDS[kind['kind'].lower()]}"
            note = f"{tool} of the same gene"
            return Meant(tool=tool, terms=last.terms, organism=last.organism, note=note)
        return None
    if last.tool not in _ASKED:
        return None
    if asks_how_sure(question, measured=False) or EVIDENCE.match(question):
        return how_sure(last)
    if last.tool != _KNOCKOUT:
        return None
    if _CHANGING.match(question) or _OBSERVED.match(question):
        return _again(last, "the knock-out again, whose answer names them")
    return _with_another(question, last, names)


def _again(last: Turn, note: str) -> Meant:
    return Meant(tool=last.tool, terms=last.terms, selection=last.selection, note=note)


def _with_another(question: str, last: Turn, names: Names) -> Meant | None:
    """The genes that are out already, and the ones that a question adds."""
    match = _WITH.match(question)
    if match is None:
        return None
    found = ground(question, names.graph)
    more = [one.id for one in found if one.category is Category.GENE and one.id not in last.terms]
    if not more or len(more) != len(found):
        return None
    added = " and ".join(names.label(one) for one in more)
    return Meant(
        tool=last.tool, terms=(*last.terms, *more), selection=last.selection,
        note=f"{added} out beside {' and '.join(names.label(one) for one in last.terms)}",
    )  # fmt: skip
