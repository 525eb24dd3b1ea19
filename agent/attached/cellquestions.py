"""Which question about attached cells is asked: ``cellquestions.toml``, read before the router.

Only where cells are attached. "These cells", "this cluster" and "they" mean the selection; a
selection that a question spells ("seurat_clusters=3", "cluster 3") is taken out first, so that its
words are not read as names of cell types. Knows no graph.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent.attached.selection import ALL
from agent.attached.these import CLUSTERS, These
from agent.facts import Found
from agent.kinds import cells as kinds
from agent.kinds import expression, groups, pairs, predictions
from agent.routing.questions import Slotted

if TYPE_CHECKING:
    from agent.attached.cells import AttachedCells

__all__ = ["CELL_TOOLS", "CellPlan", "CellTool", "Spelled", "plan", "spelled"]


@dataclass(frozen=True, slots=True)
class CellTool:
    """A question about the cells; ``takes`` are the categories of its terms, as letters."""

    use: str
    run: Callable[..., Found]
    takes: tuple[str, ...] = ()


CELL_TOOLS: Mapping[str, CellTool] = {
    "what": CellTool("What the cells are.", kinds.what),
    "why": CellTool("Which markers speak for it.", kinds.why),
    "against": CellTool("Which markers speak against it.", kinds.against),
    "sure": CellTool("How sure the answer is.", kinds.sure),
    "top_genes": CellTool("Which genes are higher in the cells.", expression.top_genes),
    "lower_genes": CellTool("Which genes are lower in the cells.", expression.lower_genes),
    "compare": CellTool("What differs between two selections.", expression.compare),
    "compare_type": CellTool(
        "What differs from the cells annotated as a type.", expression.compare_type, ("C",)
    ),
    "how_many_of": CellTool("How many of the cells are of a type.", kinds.how_many_of, ("C",)),
    "unanswered": CellTool("How many cells have no answer.", kinds.unanswered),
    "expressed_all": CellTool(
        "Which of several genes are detected in the cells.", expression.expressed_all, ("G",)
    ),
    "expressed": CellTool("Whether a gene is detected in the cells.", expression.expressed, ("G",)),
    "expressing_types": CellTool(
        "In which annotated types a gene is detected.", expression.expressing_types, ("G",)
    ),
    "expressing_groups": CellTool(
        "In which clusters a gene is detected.", expression.expressing_groups, ("G",)
    ),
    "share_expressing": CellTool(
        "In how many cells a gene is detected.", expression.share_expressing, ("G",)
    ),
    "is_higher": CellTool("Whether a gene is higher in the cells.", expression.is_higher, ("G",)),
    "is_lower": CellTool("Whether a gene is lower in the cells.", expression.is_lower, ("G",)),
    "groups_of_type": CellTool(
        "In which clusters the cells of a type are.", kinds.groups_of_type, ("C",)
    ),
    "largest_group": CellTool("Which clusters are largest.", groups.largest_group),
    "smallest_group": CellTool("Which clusters are smallest.", groups.smallest_group),
    "most_of_type": CellTool(
        "Which clusters have the most cells of a type.", groups.most_of_type, ("C",)
    ),
    "highest_groups": CellTool(
        "In which clusters the mean of a gene is highest.", groups.highest_groups, ("G",)
    ),
    "highest_types": CellTool(
        "In which annotated types the mean of a gene is highest.", groups.highest_types, ("G",)
    ),
    "columns": CellTool("Which columns the file has.", groups.columns),
    "together": CellTool(
        "In how many cells two genes are both detected.", pairs.together, ("G", "G")
    ),
    "expression_of_type": CellTool(
        "How much of a gene the cells of a type have.", pairs.expression_of_type, ("C", "G")
    ),
    "expressed_in_type": CellTool(
        "Whether the cells of a type express a gene.", pairs.expressed_in_type, ("C", "G")
    ),
    "shared_genes": CellTool(
        "Which genes are higher in both of two types.", pairs.shared_genes, ("C", "C")
    ),
    "compare_types": CellTool(
        "What differs between the cells of two types.", pairs.compare_types, ("C", "C")
    ),
    "rarest": CellTool("Which annotated types are rarest.", kinds.rarest),
    "how_many_clusters": CellTool("How many clusters there are.", kinds.how_many_clusters),
    "how_many_samples": CellTool("How many samples there are.", kinds.how_many_samples),
    "how_many_patients": CellTool("How many patients there are.", kinds.how_many_patients),
    "how_many_genes": CellTool("How many genes the file has.", kinds.how_many_genes),
    "how_many": CellTool("How many cells there are.", kinds.how_many),
    "is_marker_here": CellTool(
        "Whether a gene marks the cells, in the data and in the sources.",
        kinds.is_marker_here,
        ("G",),
    ),
    "malignant": CellTool("Whether the cells are malignant.", kinds.malignant),
    "state": CellTool("Whether the cells are exhausted, dividing, dying and so on.", kinds.state),
    "whether": CellTool("Whether the cells are of a type.", kinds.whether, ("C",)),
    "why_not": CellTool("Why the cells are not of a type.", kinds.why_not, ("C",)),
    "knockout": CellTool("What a knock-out of a gene changes.", predictions.knockout, ("G",)),
    "second_opinion": CellTool(
        "What the language-model core takes the cells for.", predictions.second_opinion
    ),
}
"""The questions by name."""

_HERE = (
    r"(?:these|those|this|that|the|my|our|all|of|in|here|selected|attached|they|it|them|cell|cluster|"
    r"group|population|sample|one|selection|dataset|data|file)"
)
_THESE = rf"(?:{_HERE} )*{_HERE}"
_WORDS: Mapping[str, str] = {
    "{these}": _THESE,
    "{C}": r"@C\d",
    "{G}": r"@G\d",
    "{rest}": r"(?:rest|other|others|other cell|everything else|all other|remaining cell)",
}


def _regex(wording: str) -> re.Pattern[str]:
    for name, words in _WORDS.items():
        wording = wording.replace(name, words)
    return re.compile(wording)


def _compiled() -> tuple[tuple[str, re.Pattern[str]], ...]:
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    wordings = (
        (name, one) for name, entry in table.items() for one in entry["wordings"].split("\n")
    )
    return tuple((name, _regex(wording)) for name, wording in wordings if wording)


_PATTERNS = _compiled()
_ABOUT_CELLS = re.compile(
    r"\b(?:these|those|they|them|it|there|here|cell|cluster|group|population|selection|dataset|data|"
    r"file|sample|rest|other|my|our|i have|we have|do i|do we)\b"
)
_CLUSTER = re.compile(r"\b(?:cluster|group)\s+#?(?P<value>[\w.+-]*\w)", re.IGNORECASE)


# Questions that a graph of terms cannot answer, so that they are about the cells in any case.
_OF_CELLS_ALONE = frozenset(
    {
        "is_marker_here",
        "why_not",
        "expressed",
        "expressing_types",
        "groups_of_type",
        "how_many_of",
        "is_higher",
        "is_lower",
        "knockout",
        "highest_groups",
        "highest_types",
        "together",
        "expression_of_type",
        "expressed_in_type",
        "shared_genes",
    }
)


@dataclass(frozen=True, slots=True)
class CellPlan:
    """A question about the cells: its name, why it was read so, the slots it takes."""

    name: str
    why: str
    slots: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Spelled:
    """A question whose selections were taken out: ``text`` says "these cells" for them."""

    text: str
    these: These
    named: bool = False


def spelled(question: str, these: These) -> Spelled:
    """Take the selections out of a question: the first is meant, the second compared with."""
    cells = these.cells
    question = _PAIR.sub(r"cluster \1 and cluster \2", _TOP.sub("highest ", question))
    found = [*_conditions(question, cells), *_clusters(question, cells)]
    found.sort(key=lambda one: one[0])
    if not found and _WHOLE.search(question) and not _COMPARING.search(question):
        return Spelled(question, replace(these, selection=ALL, against=ALL))
    if not found:
        return Spelled(question, these)
    text, end, words = "", 0, iter(("these cells", "those cells"))
    for start, stop, _ in found:
        if start < end:
            continue
        text += question[end:start] + next(words, "those cells")
        end = stop
    text += question[end:]
    text = re.sub(
        r"\b(?:the |all )?(?:cells|ones|those|cell)(?: in| of| with| from| where|,)* "
        r"(?:the )?(these|those) cells", r"\1 cells", text, flags=re.IGNORECASE,
    )  # fmt: skip
    selections = [selection for *_, selection in found]
    others = [one for one in selections if one != selections[0]] or selections[1:]
    if others:
        meant = replace(these, selection=selections[0], against=others[0])
    elif these.selection not in ("", selections[0]) and _THAN.search(question[: found[0][0]]):
        meant = replace(these, against=selections[0])
    else:
        meant = replace(these, selection=selections[0], against="")
    return Spelled(text, meant, named=True)


_WHOLE = re.compile(
    r"\b(?:this|the|my|our|whole|entire) (?:dataset|data set|data|file|sample)\b|\boverall\b",
    re.IGNORECASE,
)
# What stands before the cells that others are compared with.
_THAN = re.compile(
    r"\b(?:than|to|with|from|versus|vs\.?|against|and)"
    r"(?: (?:in|for|the|of|cells|those|with|from))*\s*$",
    re.IGNORECASE,
)
_PAIR = re.compile(
    r"\bclusters (\w+),? (?:and|vs\.?|versus|with|from) (?:cluster )?(\w+)", re.IGNORECASE
)
_TOP = re.compile(r"\btop (?=(?:\w+ )?(?:genes?|markers?)\b)", re.IGNORECASE)
_COMPARING = re.compile(
    r"\b(?:compar\w*|differ\w*|distinguish\w*|versus|vs\.?|against|apart|rest|others?|than)\b",
    re.IGNORECASE,
)


def _conditions(question: str, cells: AttachedCells) -> list[tuple[int, int, str]]:
    """Where a question says COLUMN=VALUE of this dataset: start, end, selection."""
    found = []
    for column in sorted(cells.columns, key=len, reverse=True):
        pattern = rf"(?<![\w.]){re.escape(column)}\s*(?:==?|\bis\b)\s*[\"']?"
        for match in re.finditer(pattern, question, re.IGNORECASE):
            if value := _value_at(question, match.end(), column, cells):
                end = match.end() + len(value)
                end += question[end : end + 1] in ("'", '"')
                found.append((match.start(), end, cells.spelled_out(f"{column}={value}")))
    for match in re.finditer(r"\bindex\s*=\s*\d+(?::\d+)?(?:,\d+(?::\d+)?)*", question):
        found.append((match.start(), match.end(), cells.spelled_out(match[0])))
    return found


def _value_at(question: str, start: int, column: str, cells: AttachedCells) -> str:
    """The longest value of a column that the question goes on with."""
    rest = question[start:].casefold()
    values = {str(value) for value in cells.column(column).astype(str).unique()}
    fitting = [
        value
        for value in values
        if value and rest.startswith(value.casefold()) and not rest[len(value) :][:1].isalnum()
    ]
    return max(fitting, key=len, default="")


def _clusters(question: str, cells: AttachedCells) -> list[tuple[int, int, str]]:
    """Where a question says "cluster 3", and which column of clusters that is of."""
    found = []
    names = {name.lower(): name for name in cells.columns}
    columns = [names[name] for name in CLUSTERS if name in names]
    columns += [name for name in cells.columns if "cluster" in name.lower()]
    for match in _CLUSTER.finditer(question):
        for column in columns:
            if match["value"] in set(cells.column(column).astype(str)):
                selection = cells.spelled_out(f"{column}={match['value']}")
                found.append((match.start(), match.end(), selection))
                break
    return found


def plan(asked: Slotted, these: These, *, named: bool = False) -> CellPlan | None:
    """The question about the cells that this is, or None if it is another kind of question.

    Parameters
    ----------
    asked
        The question with slots for its terms.
    these
        The cells that are meant.
    named
        Whether the question itself spells a selection, and so surely is about cells.
    """
    text = re.sub(r"^(?:and|so|ok|but|then) ", "", " ".join(asked.words))
    about = named or _ABOUT_CELLS.search(text) is not None or not asked.mentions
    if _malignant(asked, text, named=named):
        return CellPlan("malignant", "asks of the attached cells whether they are malignant")
    for name, pattern in _PATTERNS:
        match = pattern.search(text)
        if match is None:
            continue
        slots = _slots(CELL_TOOLS[name], asked)
        if slots is None or (name == "compare" and asked.mentions):
            continue
        if not about and name not in _OF_CELLS_ALONE:
            continue
        return CellPlan(name, f"asks {match[0]!r} of the attached cells", slots)
    if these.against and named and not asked.mentions:
        return CellPlan("compare", "names two selections of the attached cells")
    return None


# "Which of these are tumour cells" is asked of the cells, whatever disease "tumour" is.
_MALIGNANT = re.compile(r"\b(?:tumou?r|cancer|malignan|neoplas)\w*", re.IGNORECASE)
_WHETHER_MALIGNANT = re.compile(
    rf"^(?:which|what|be|do|how many|could|can|might|may)\b(?:(?: of)? {_THESE})*"
    rf"(?: (?:there|any|some|i|we|you|find|see|have|contain|include|look|be|or|normal|healthy|"
    rf"likely|probably|really|{_THESE}))* malignant(?: cell| one)*(?: (?:{_THESE}|there|in))*$"
)


def _malignant(asked: Slotted, text: str, *, named: bool) -> bool:
    for word in dict.fromkeys(word for word in text.split() if re.fullmatch(r"@[A-Z]\d", word)):
        if _MALIGNANT.match(asked.mentions[int(word[2:])].text):
            text = text.replace(word, "malignant")
    text = re.sub(r"\b(?:malignant )+", "malignant ", _MALIGNANT.sub("malignant", text)).strip()
    pointing = named or _ABOUT_CELLS.search(text.replace("malignant cell", "malignant"))
    return bool(pointing and _WHETHER_MALIGNANT.search(text))


def _slots(tool: CellTool, asked: Slotted) -> tuple[int, ...] | None:
    """The slots a tool takes; None where the question's terms are not those it takes."""
    letters = [word[1] for word in asked.words if re.fullmatch(r"@[A-Z]\d", word)]
    if not tool.takes:
        fitting = {"C"} if tool.run in (kinds.why, kinds.against, kinds.sure) else set()
        return () if set(letters) <= fitting and len(letters) < 2 else None
    if len(letters) != len(tool.takes):
        return None
    left, places = list(range(len(letters))), list[int]()
    for takes in tool.takes:
        place = next((i for i in left if letters[i] in takes), None)
        if place is None:
            return None
        places.append(place)
        left.remove(place)
    return tuple(places)
