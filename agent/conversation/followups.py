"""What a follow-up means: references to earlier turns, and questions that make sense after one.

"What are its markers?" is about a term of the turn before; "and in mouse?" asks the last question
of another organism, "and B cells?" of another term, "what about its parent?" of the class above;
"the second one" is the second that the last answer named, and "which of them express GZMB?" goes
through all that it named. Everything is resolved to ids; a follow-up that refers to nothing is told
so (``lacking``) and is not guessed at. Where cells are attached, "they" and "these cells" are left
to :mod:`agent.attached.cellquestions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from agent.conversation.meant import CELLS, Meant
from agent.conversation.memory import Turn
from agent.conversation.predicted import after_prediction
from agent.conversation.subject import asked_of, dropped, since_dropped
from agent.conversation.sureness import EVIDENCE, asks_how_sure, how_sure
from agent.routing.questions import LETTERS
from agent.routing.router import route
from agent.tools import TOOLS
from agent.verification.wording import Names
from kg.graph import KnowledgeGraph
from kg.grounding import ground
from kg.terms import IS_A, ORTHOLOGOUS_TO, Curie

__all__ = ["CELLS", "Meant", "resolve"]

_ORGANISMS = {
    "mouse": "NCBITaxon:10090",
    "mice": "NCBITaxon:10090",
    "murine": "NCBITaxon:10090",
    "human": "NCBITaxon:9606",
    "humans": "NCBITaxon:9606",
    "man": "NCBITaxon:9606",
}
_WORDS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_ORDINALS = {
    **{word: i for i, word in enumerate(_WORDS)},
    **{f"{i}{s}": i - 1 for i, s in ((1, "st"), (2, "nd"), (3, "rd"))},
    **{f"{i}th": i - 1 for i in range(4, 21)},
    "last": -1,
    "former": 0,
    "latter": -1,
}
_REACH = 6  # turns back that "which of them" looks for a list
_SUBJECTS = 3  # turns back whose terms "it" and "this gene" may be
_NOUNS: dict[str, str] = {
    "gene": "G",
    "marker": "G",
    "protein": "G",
    "cell": "C",
    "type": "C",
    "disease": "D",
    "condition": "D",
    "process": "P",
    "term": "CADPFLHG",
    "class": "CADPFLH",
    "one": "CADPFLHG",
    "thing": "CADPFLHG",
}
_LEAD = r"(?:(?:ok|okay|so|well)[ ,]+)?"
_AND = re.compile(rf"^\s*{_LEAD}(?:and what about|and how about|what about|how about|and|but|or)\b"
                  r"[\s,]*(?:for |of |with |about )?", re.IGNORECASE)  # fmt: skip
_CHATTER = re.compile(
    r"^\s*(?:(?:thanks|thank you|great|nice|cool|interesting|perfect|hmm+|hi|hello)(?: you)?"
    r"[\s,.!;:]+)+",
    re.IGNORECASE,
)
# "And what is a B cell?" is a question by itself, whatever came before.
_WHOLE = re.compile(
    r"^\s*(?:(?:and|but|so|ok|okay|well|then|now)[\s,]+)+(?=(?:what|who|which|where|why|how|is|are|do|does)"
    r"(?:'s|\s)(?!about\b|not\b)\S+\s+\S+)",
    re.IGNORECASE,
)
_ORDINAL = re.compile(
    r"\b(?:the|that)\s+("
    + "|".join(_ORDINALS)
    + r")(?:\s+(?:cell\s+)?(one|gene|marker|cell|type|term|disease))?\b(?!\s+\w*(?:cell|gene)s?\b)",
    re.IGNORECASE,
)
_THIS = re.compile(
    r"\b(?:this|that|these|those|the same)\s+(?:cell\s+)?(" + "|".join(_NOUNS) + r")(?:s|es)?\b",
    re.IGNORECASE,
)
_POSSESSIVE = re.compile(r"\b(?:its|their)\b", re.IGNORECASE)
# "Both T and B cells" names the two itself.
_BOTH = re.compile(
    r"\b(?:the two|these two|those two|both of them|both(?!\b.*\band\b))\b", re.IGNORECASE
)
_PRONOUN = re.compile(r"\b(?:it|they|them)\b", re.IGNORECASE)
_DUMMY = re.compile(r"\bis it (?:true|correct|right|the case|known|possible)\b", re.IGNORECASE)
_PARENT = re.compile(
    r"^(?:its|their|the|his)?\s*(?:direct |immediate )?(?:parent|superclass|supertype)(?:s|es)?"
    r"(?: class| type| term| cell type)?\W*$",
    re.IGNORECASE,
)
_WHY_NOT = re.compile(
    r"^\s*(?:but )?why (?:is|are) (?:it|they|this|that) not\b|^\s*(?:but )?why not\b", re.IGNORECASE
)
_OF_THEM = re.compile(
    r"^\s*(?:and )?(?:which|what|any|do any|are any|is any)(?: ones?)? of (?:them|these|those)"
    r"(?: (?:genes|cells|types|cell types|markers|diseases|kinds))?\s+(?P<rest>.+)$",
    re.IGNORECASE,
)
_ARE_THEY = re.compile(
    r"^\s*(?:and )?(?=(?:are|do|can) they\b)(?P<rest>.+)$", re.IGNORECASE
)  # of a list before
_ROUND = re.compile(
    r"^\s*(?:and )?(?:what about )?(?:the )?(?:other way (?:a)?round|reverse|converse|vice versa"
    r"|opposite)\W*$",
    re.IGNORECASE,
)
_MORE = re.compile(
    r"^\s*(?:(?:can|could|will) you )?(?:please )?(?:(?:show|give|tell|list|name)(?: me| us)? )?"
    r"(?:some |any )?(?:more|the rest|the others|all of (?:them|those|these))"
    r"(?: of (?:them|those|these))?(?: please)?\W*$",
    re.IGNORECASE,
)

_POINTING = (_PRONOUN, _THIS, EVIDENCE, _WHY_NOT)
"""What points to an earlier turn, or to the cells where some are attached."""


def resolve(
    question: str, turns: Sequence[Turn], graph: KnowledgeGraph, *, cells: bool = False
) -> Meant:
    """What a question means after the turns before it.

    Parameters
    ----------
    question
        As it was asked.
    turns
        The conversation so far.
    graph
        For names and parents.
    cells
        Whether cells are attached, which "they" and "these cells" then are.
    """
    question = _CHATTER.sub("", question)
    turns, left = since_dropped(turns), dropped(question)
    if left == "":
        return Meant(dropped=True, note="drops what was spoken of")
    if left is not None:
        question, turns = left, ()
    if whole := _WHOLE.match(question):
        question = question[whole.end() :]
    answered = [turn for turn in turns if turn.tool and turn.status != "failed"]
    if not answered and not cells and turns and asks_how_sure(question, measured=False):
        return Meant(lacking=_UNANSWERED)
    if not answered and not cells and turns and turns[-1].terms and _refers(question):
        # What was not answered has a subject all the same: "Where is TP53 sold?", "what is it?".
        return _replaced(question, turns, turns[-1], Names(graph), cells=cells)
    if not answered:
        return _alone(question, cells=cells)
    last, names = answered[-1], Names(graph)
    on_cells = last.tool.startswith(CELLS)
    if on_cells and not cells:
        elliptic = _AND.match(question) and len(_AND.sub("", question).split()) < 4
        if elliptic or _refers(question):
            return Meant(lacking=f"it goes on from the cells of {last.data}, which is not attached")
        return Meant(text=question)
    if _MORE.match(question):
        return _more(turns, last)
    if (meant := after_prediction(question, last, names)) is not None:
        return meant
    sure = asks_how_sure(question, measured=on_cells)
    if (EVIDENCE.match(question) or sure) and turns[-1] is not last and not cells:
        return Meant(lacking=_UNANSWERED)
    if sure and last.status == "abstained":
        return Meant(lacking=_UNANSWERED)
    if sure and turns[-1] is last:
        return how_sure(last)
    if EVIDENCE.match(question) and not on_cells:
        return Meant(tool=last.tool, terms=last.terms, organism=last.organism, note="asked again")
    if _ROUND.match(question):
        return _turned_round(last)
    if of_them := _OF_THEM.match(question):
        return _among(of_them, answered)
    if _WHY_NOT.match(question) and not _WHY_NOT.sub("", question).strip(" ?.!"):
        return _why_not_that(last)
    if not on_cells and (asked := asked_of(question, _spoken_of(turns), _sensible(graph))):
        return Meant(text=asked[0], note=f"asked of {names.label(asked[1])} ({asked[1]})")
    short = bool(_AND.match(question) or _WHY_NOT.match(question)) or len(question.split()) <= 2
    if short and (meant := _elliptic(question, answered, names)):
        return meant
    return _replaced(question, turns, last, names, cells=cells)


_UNANSWERED = "the last question was not answered, so that no evidence was given"


def _more(turns: Sequence[Turn], last: Turn) -> Meant:
    """More of the last answer's list, and again more each time that this is asked."""
    times = 1
    for turn in reversed(turns):
        if not _MORE.match(turn.question):
            break
        times += 1
    if last.tool.startswith(CELLS):
        return Meant(
            lacking="an answer about the attached cells names what is clearest and keeps no longer "
            "list; name a gene, a cell type or a cluster"
        )
    return Meant(
        tool=last.tool, terms=last.terms, organism=last.organism, more=1 + LONGER * times,
        note="asked again, for a longer list",
    )  # fmt: skip


LONGER = 2
"""By how many times its usual length a list grows at each "show me more"."""


def _refers(question: str) -> bool:
    bare = _DUMMY.sub("", question)
    patterns = (*_POINTING, _POSSESSIVE, _BOTH, _ORDINAL, _OF_THEM)
    return any(pattern.search(bare) for pattern in patterns)


def _alone(question: str, *, cells: bool) -> Meant:
    """A question with nothing before it: one that goes on from something is told so."""
    rest = _AND.sub("", question).strip(" ?.!").lower()
    words = rest.removeprefix("in ").split()
    elliptic = len(words) == 1 and words[0] in _ORGANISMS
    patterns = (_POSSESSIVE, _BOTH, _ORDINAL, *(() if cells else (_OF_THEM, *_POINTING)))
    bare = _DUMMY.sub("", question)
    pointing = next((match for one in patterns if (match := one.search(bare))), None)
    if elliptic or pointing:
        what = repr(pointing[0]) if pointing else "it"
        return Meant(
            lacking=f"{what} goes on from an earlier question, and there is none; name the cell "
            "type, gene, process or disease that is meant"
        )
    return Meant(text=question)


# --- the last question, changed in one place -----------------------------------------------------


def _elliptic(question: str, turns: Sequence[Turn], names: Names) -> Meant | None:
    """Read "and in mouse?", "what about its parent?", "why not NK?" and "what about B cells?"."""
    last = turns[-1]
    lead = _WHY_NOT.match(question) or _AND.match(question)
    rest = (question[lead.end() :] if lead else question).strip(" ?.!,")
    words = rest.lower().removeprefix("in ").removeprefix("the ").split()
    if len(words) == 1 and words[0] in _ORGANISMS:
        return _elsewhere(words[0], last, names)
    if lead is None and not question.rstrip().endswith("?"):
        return None  # a bare name is asked what it is; "B cells?" is the last question, of those
    if _PARENT.match(rest):
        return _of_parent(last, names)
    notes: list[str] = []
    rest, lacking = _with_ordinals(rest, turns, names, notes)
    if lacking:
        return Meant(lacking=lacking)
    mentions = ground(rest, names.graph)
    covered = sum(mention.end - mention.start for mention in mentions)
    if len(mentions) != 1 or len(rest) - covered > 8:  # "and for", "in the", "called"
        return None
    asked = "why not" if _WHY_NOT.match(question) else ""
    return _instead(mentions[0].id, last, names, asked, "; ".join(notes))


def _why_not_that(last: Turn) -> Meant:
    """Read a bare "why not?": of the cells the type asked about, else the last question again."""
    if not last.tool.startswith(CELLS):
        return Meant(tool=last.tool, terms=last.terms, organism=last.organism, note="asked again")
    if last.tool in (f"{CELLS}whether", f"{CELLS}why_not") and last.terms:
        return Meant(
            tool=f"{CELLS}why_not", terms=last.terms, selection=last.selection, note="why not that"
        )
    return Meant(lacking="it does not say what they are not; name it: why not NK cells?")


def _turned_round(last: Turn) -> Meant:
    """The last question with its two sides exchanged."""
    note = "asked the other way round"
    if last.tool.startswith(CELLS) and last.selection and last.against:
        return Meant(
            tool=last.tool, terms=last.terms, selection=last.against, against=last.selection,
            note=note,
        )  # fmt: skip
    takes = TOOLS[last.tool].takes if last.tool in TOOLS else ()
    if len(last.terms) == 2 and len(set(takes)) == 1:
        return Meant(tool=last.tool, terms=last.terms[::-1], organism=last.organism, note=note)
    return Meant(lacking="the last question has no two sides that could be exchanged")


def _elsewhere(organism: str, last: Turn, names: Names) -> Meant:
    """The last question, of another organism's genes."""
    if last.tool.startswith(CELLS):
        return Meant(
            lacking="it goes on from the attached cells, which are of one organism; attach a "
            "dataset of the other one"
        )
    taxon = _ORGANISMS[organism]
    terms = tuple(_in_organism(term, taxon, names) for term in last.terms)
    missing = [old for old, new in zip(last.terms, terms, strict=True) if not new]
    if missing:
        lost = ", ".join(f"{names.label(term)} ({term})" for term in missing)
        return Meant(lacking=f"no {organism} orthologue of {lost} is recorded, or more than one is")
    return Meant(
        tool=last.tool, terms=terms, organism=taxon, note=f"{last.tool} asked again of {organism}"
    )


def _in_organism(term: Curie, organism: Curie, names: Names) -> Curie:
    """A gene's orthologue in another organism: the one of its name, or the only one; "" if none."""
    known = names.term(term)
    if known is None or known.taxon in (None, "", organism):
        return term
    edges = names.graph.edges(term, predicates=(ORTHOLOGOUS_TO,))
    others = dict.fromkeys(e.object if e.subject == term else e.subject for e in edges)
    there = [t for t in map(names.term, others) if t is not None and t.taxon == organism]
    same = [t.id for t in there if t.label.casefold() == known.label.casefold()]
    return (same or [t.id for t in there if len(there) == 1] or [""])[0]


def _of_parent(last: Turn, names: Names) -> Meant:
    """The last question, of the class above its term."""
    if last.tool.startswith(CELLS):
        type_ = _of_letter((*last.listed, *last.terms), "C", names)
        if type_ is None:
            return Meant(lacking="the last answer names no cell type whose parent could be meant")
        note = f"asks for the parent of {names.label(type_)} ({type_})"
        return Meant(tool="supertypes", terms=(type_,), note=note)
    places = [i for i, term in enumerate(last.terms) if _parents(term, names)]
    if not places:
        named = (
            ", ".join(f"{names.label(term)} ({term})" for term in last.terms) or "the last answer"
        )
        return Meant(lacking=f"no parent class of {named} is recorded")
    place = places[0]
    above = _parents(last.terms[place], names)
    terms = (*last.terms[:place], above[0], *last.terms[place + 1 :])
    note = f"{names.label(above[0])} ({above[0]}) in place of {names.label(last.terms[place])}"
    if len(above) > 1:
        note += f", which has {len(above)} parents"
    return Meant(tool=last.tool, terms=terms, organism=last.organism, note=note)


def _parents(term: Curie, names: Names) -> list[Curie]:
    """Direct parent classes, the most specific first."""
    edges = names.graph.edges(term, direction="out", predicates=(IS_A,))
    above = dict.fromkeys(edge.object for edge in edges)
    return sorted(above, key=lambda one: (-len(names.graph.ancestors(one, (IS_A,))), one))


def _instead(term: Curie, last: Turn, names: Names, asked: str, note: str) -> Meant | None:
    """The last question with another term in one place, or the one that fits the new term."""
    letter = LETTERS[names.category(term)]
    notes = [note] if note else []
    if last.tool.startswith(CELLS):
        return _instead_on_cells(term, last, names, asked, notes)
    slot = _slot(last, letter, names)
    terms: tuple[Curie, ...]
    if asked and letter == "C" and (subject := _of_letter(last.terms, "C", names)):
        tool, terms = "is_a", (subject, term)
    elif slot is not None:
        tool, terms = last.tool, (*last.terms[:slot], term, *last.terms[slot + 1 :])
        notes.append(f"{names.label(term)} in place of {names.label(last.terms[slot])}")
    elif letter == "G" and (other := _of_letter(last.terms, "C", names)):
        tool, terms = "is_marker", (term, other)
        notes.append(f"{names.label(term)} asked of {names.label(other)}")
    else:
        return None
    return Meant(tool=tool, terms=terms, organism=last.organism, note="; ".join(notes))


def _instead_on_cells(
    term: Curie, last: Turn, names: Names, asked: str, notes: list[str]
) -> Meant | None:
    """The last question about the cells with another term, or the one that the term asks for."""
    from agent.attached.cellquestions import CELL_TOOLS

    letter = LETTERS[names.category(term)]
    known = CELL_TOOLS.get(last.tool.removeprefix(CELLS))
    takes = known.takes if known else ()
    places = [i for i, fitting in enumerate(takes) if letter in fitting and i < len(last.terms)]
    terms: tuple[Curie, ...] = (term,)
    if places and not asked:
        tool, place = last.tool, places[-1]
        terms = (*last.terms[:place], term, *last.terms[place + 1 :])
    elif letter == "C":
        tool = f"{CELLS}why_not" if asked else f"{CELLS}whether"
    elif letter == "G":
        tool = f"{CELLS}expressed"
    else:
        return None
    notes.append(f"asked of the same cells, with {names.label(term)} ({term})")
    return Meant(
        tool=tool, terms=terms, selection=last.selection, against=last.against,
        note="; ".join(notes),
    )  # fmt: skip


def _slot(last: Turn, letter: str, names: Names) -> int | None:
    """Which term of the last question another one of this category takes the place of."""
    takes = TOOLS[last.tool].takes if last.tool in TOOLS else ()
    same = [
        i
        for i, (term, fitting) in enumerate(zip(last.terms, takes, strict=False))
        if LETTERS[names.category(term)] == letter and letter in fitting
    ]
    return same[-1] if same else None


def _of_letter(terms: Iterable[Curie], letters: str, names: Names) -> Curie | None:
    return next((term for term in terms if LETTERS[names.category(term)] in letters), None)


def _among(match: re.Match[str], turns: Sequence[Turn]) -> Meant:
    """Tell what "which of them ...?" is put to: each that an answer before it named."""
    among = tuple(turn.listed for turn in reversed(turns[-_REACH:]) if turn.listed)
    if not among:
        return Meant(lacking="no answer before it lists anything that 'them' could be")
    return Meant(
        text=re.sub(r"\bthey (?:all )?", "", match["rest"], flags=re.IGNORECASE).strip(" ?.!"),
        among=among,
        measured=turns[-1].tool.startswith(CELLS),
        note=f"'them' are the {len(among[0])} that an answer before it named",
    )


# --- references ----------------------------------------------------------------------------------


def _list_meant(turns: Sequence[Turn]) -> tuple[Curie, ...]:
    """The list that "the third one" counts: after "the second one", the list that this was of.

    A turn that asked of one term of the list before it went into that list, and did not leave it.
    """
    place = len(turns) - 1
    while place and len(turns[place].terms) == 1:
        before = turns[place - 1].listed
        if len(before) < 2 or turns[place].terms[0] not in before:
            break
        place -= 1
    return turns[place].listed or turns[place].terms


def _with_ordinals(
    text: str, turns: Sequence[Turn], names: Names, notes: list[str]
) -> tuple[str, str]:
    """Put ids for "the second one"; also what is lacking where there are not so many."""
    lacking = ""
    pool = _list_meant(turns)

    def put(match: re.Match[str]) -> str:
        nonlocal lacking
        place, noun = _ORDINALS[match[1].lower()], (match[2] or "one").lower()
        fitting = [term for term in pool if LETTERS[names.category(term)] in _NOUNS[noun]]
        if not -len(fitting) <= place < len(fitting):
            many = "none" if not fitting else f"only {len(fitting)}"
            lacking = f"{match[0]!r} refers to the last answer, which lists {many}"
            return match[0]
        notes.append(f"{match[0]!r} is {names.label(fitting[place])} ({fitting[place]})")
        return fitting[place]

    return _ORDINAL.sub(put, text), lacking


def _replaced(
    question: str, turns: Sequence[Turn], last: Turn, names: Names, *, cells: bool
) -> Meant:
    """Put ids for references, the strictest kind first; ``last`` is the last turn answered."""
    notes, remark = list[str](), ""
    answered = [turn for turn in turns if turn.tool] or [last]
    text, lacking = _with_ordinals(question, answered, names, notes)
    if lacking:
        return Meant(lacking=lacking)
    on_cells = last.tool.startswith(CELLS)
    recent = _recent(turns)

    def put(term: Curie | None, match: re.Match[str]) -> str:
        if term is None:
            return match[0]
        notes.append(f"{match[0]!r} is {names.label(term)} ({term})")
        return term

    def this(match: re.Match[str]) -> str:
        if cells and match[1].lower() in ("cell", "one") and (on_cells or match[0].endswith("s")):
            return match[0]  # "these cells" are the attached ones
        return put(_of_letter(recent, _NOUNS[match[1].lower()], names), match)

    text = _THIS.sub(this, text)
    text = _BOTH.sub(lambda match: _both(match, last, notes, names), text)
    pronoun = None if on_cells else _PRONOUN.search(_DUMMY.sub("", text))
    if (match := _POSSESSIVE.search(text) or pronoun) is not None:
        pool = (*last.listed[:1], *recent) if on_cells else recent
        term = next((t for t in pool if _makes_sense(_said(text, t), names.graph)), None)
        if term is None and not on_cells and (each := _ARE_THEY.match(text)) and last.listed[1:]:
            return _among(each, answered)
        term = term or next(iter(pool), None)
        if term is not None:
            put(term, match)
            text = _said(text, term)
            if not on_cells and term not in (*turns[-1].terms, *turns[-1].listed):
                remark = f"{match[0]!r} is read as {names.label(term)} ({term}), asked of before"
        elif not cells:
            return Meant(lacking=f"{match[0]!r} refers to nothing that was said before")
    text = _AND.sub("", text) if notes else text
    return Meant(text=_said_of(text), note="; ".join(notes), remark=remark)


def _said(text: str, term: Curie) -> str:
    """The question with one term for its pronouns."""
    return _said_of(_PRONOUN.sub(term, _POSSESSIVE.sub(f"{term}'s", _AND.sub("", text))))


def _sensible(graph: KnowledgeGraph) -> Callable[[str], bool]:
    return lambda text: _makes_sense(text, graph)


def _makes_sense(text: str, graph: KnowledgeGraph) -> bool:
    """Whether a question could be answered as it reads: "its markers" is asked of a cell type."""
    return bool(route(text, ground(text, graph)).tool)


def _said_of(text: str) -> str:
    """Turn "X's markers" into "markers of X", which the router knows."""
    return re.sub(r"(?:the )?(\w+:\d+)'s ((?:\w+ ){0,2}?\w+)(?=\s*[?.!]*$)", r"the \2 of \1", text)


def _both(match: re.Match[str], last: Turn, notes: list[str], names: Names) -> str:
    pair = last.terms if len(last.terms) == 2 else last.listed
    if len(pair) != 2:
        return match[0]
    left, right = pair
    notes.append(f"{match[0]!r} are {names.label(left)} and {names.label(right)}")
    return f"{left} and {right}"


def _spoken_of(turns: Sequence[Turn]) -> tuple[Curie, ...]:
    """The terms that the last turns were about, then what the last answer listed alone."""
    return (*_recent(turns), *(turns[-1].listed if len(turns[-1].listed) == 1 else ()))


def _recent(turns: Sequence[Turn]) -> tuple[Curie, ...]:
    """The terms that the last turns were about, the latest first."""
    found: dict[Curie, None] = {}
    for turn in reversed(turns[-_SUBJECTS:]):
        found |= dict.fromkeys(turn.terms)
    return tuple(found)
