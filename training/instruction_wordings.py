"""How the instructions of :mod:`training.instruction_data` are asked, by split.

A model that knows two wordings of a kind of question answers a third in the form of another kind.
So training has many, and the development and test splits ask a third of their questions in
wordings that are theirs alone; nothing shows what the model does with wordings unlike all of these.
"""

from __future__ import annotations

from collections.abc import Mapping

from encoders.adapter import BIO

__all__ = ["CLOSING", "DEV", "KEPT", "MORE", "WORDINGS"]

WORDINGS: Mapping[str, tuple[str, ...]] = {
    "yes_no": (
        "Is {a} a {b}?",
        "Is every {a} a {b}?",
        "Is {a} a kind of {b}?",
        "Is it true that {a} is a {b}?",
        "Do these facts make {a} a {b}?",
    ),
    "type": (
        f"What cell type is this? {BIO}",
        f"{BIO} Which type of cell is it?",
        f"Name the type of this cell: {BIO}",
        f"{BIO} What is this cell?",
    ),
    "parent": (
        f"Which broader type does this cell belong to? {BIO}",
        f"{BIO} What is this cell a kind of?",
    ),
    "markers": (f"Which genes mark this cell? {BIO}", f"{BIO} Name markers of this cell."),
    "member": (f"Is this a {{b}}? {BIO}", f"{BIO} Is this cell a {{b}}?"),
    "choice": (
        f"Is this a {{a}} or a {{b}}? {BIO}",
        f"{BIO} Which of the two is it: {{a}} or {{b}}?",
    ),
    "fact_parent": ("What is {a} a kind of?", "Which type is directly above {a}?"),
    "fact_marker": ("Which gene marks {a}?", "Name a marker of {a}."),
    "certainty": ("How sure is it that this is a {a}?", "What is the confidence in {a}?"),
}
"""Wordings of all splits."""

MORE: Mapping[str, tuple[str, ...]] = {
    "yes_no": ("Can one say that {a} is a {b}?", "By these facts, is {a} a {b}?"),
    "type": (
        f"What kind of cell is this? {BIO}",
        f"{BIO} Give the cell type.",
        f"Identify this cell: {BIO}",
        f"Here is a cell: {BIO} Say what type it is.",
        f"{BIO} What would you call this cell?",
        f"Annotate this cell. {BIO}",
    ),
    "parent": (
        f"What broader class of cells includes this one? {BIO}",
        f"{BIO} Name the parent type of this cell.",
        f"Of which wider type is this cell an example? {BIO}",
        f"{BIO} Give a broader type for it.",
        f"Name a broader category for this cell. {BIO}",
        f"{BIO} It is a kind of what?",
        f"What would be a more general type for this cell? {BIO}",
        f"{BIO} In which larger class is this cell?",
    ),
    "markers": (
        f"List genes that mark this cell: {BIO}",
        f"{BIO} What genes is this cell known by?",
        f"Give markers of this cell. {BIO}",
        f"By which genes can one recognise this cell? {BIO}",
        f"{BIO} Name three genes it is marked by.",
        f"What are markers for this cell? {BIO}",
        f"{BIO} Say which genes identify it.",
        f"Three marker genes, please: {BIO}",
    ),
    "member": (
        f"Could this cell be called a {{b}}? {BIO}",
        f"{BIO} Is {{b}} a right name for this cell?",
        f"Would you call this a {{b}}? {BIO}",
        f"{BIO} Is it true that this is a {{b}}?",
        f"Is {{b}} what we see here? {BIO}",
    ),
    "choice": (
        f"Which one is it, {{a}} or {{b}}? {BIO}",
        f"{BIO} Pick one: {{a}} or {{b}}.",
        f"This cell is one of {{a}} and {{b}}. Which? {BIO}",
        f"Say whether this is a {{a}} or a {{b}}. {BIO}",
        f"{BIO} Of {{a}} and {{b}}, which fits this cell?",
        f"{{a}} or {{b}}? {BIO}",
        f"{BIO} Is it {{a}}, or is it {{b}}?",
        f"Choose one of these for the cell: {{a}}, {{b}}. {BIO}",
        f"Tell {{a}} from {{b}}: what is this? {BIO}",
        f"Is {{a}} or {{b}} the better name for this cell? {BIO}",
    ),
    "fact_parent": (
        "Of what is {a} a kind?",
        "Give the type right above {a}.",
        "Which type is {a} a direct kind of?",
        "Say of which type {a} is a kind.",
        "{a} is a kind of what?",
        "What is the broader type of {a}?",
    ),
    "fact_marker": (
        "By which gene is {a} marked?",
        "Tell me a marker gene of {a}.",
        "What gene is a marker for {a}?",
        "Which gene is listed for {a}?",
        "Name the gene that stands for {a}.",
    ),
    "certainty": (
        "With what certainty is it a {a}?",
        "How likely is {a}?",
        "State the confidence that this is a {a}.",
        "How certain is {a}?",
        "Give the certainty of {a}.",
    ),
}
"""Wordings of the training split alone: with one or two of a kind, a model learns these by heart
and answers a third one in another kind's form."""

CLOSING: Mapping[str, tuple[str, ...]] = {
    "yes_no": (
        "Is it right that {a} is a {b}?",
        "Do the facts say that {a} is a {b}?",
        "Does it follow that {a} is a {b}?",
        "Given this, is {a} a {b}?",
        "From the facts, is {a} a {b}?",
        "Yes or no: is {a} a {b}?",
        "Tell whether {a} is a {b}.",
        "Is {a} a type of {b}?",
        "Is {a} a sort of {b}?",
        "Is each {a} also a {b}?",
        "Is {a} an example of {b}?",
        "Is {a} under {b}?",
        "Does {a} stand below {b}?",
        "Does being a {a} mean being a {b}?",
        "Are we told that {a} is a {b}?",
        "Is {b} above {a}?",
        "Does {b} include every {a}?",
        "Is {b} a broader type of {a}?",
    ),
}
"""Wordings that training has beside those in its closing steps: of a question of yes or no a model
that knows seven answers others with No too often."""

DEV: Mapping[str, tuple[str, ...]] = {
    "yes_no": ("May we call {a} a {b}?", "Do we have here that {a} is a {b}?"),
    "type": (f"Please say what sort of cell we see here. {BIO}",),
    "parent": (f"Which group of cells covers this one? {BIO}",),
    "markers": (f"What genes are typical of this cell? {BIO}",),
    "member": (f"Does the name {{b}} fit this cell? {BIO}",),
    "choice": (f"Between {{a}} and {{b}}, which suits this cell better? {BIO}",),
    "fact_parent": ("To which type does {a} directly belong?",),
    "fact_marker": ("Which gene would show {a}?",),
    "certainty": ("How much does the evidence speak for {a}?",),
}
"""Wordings of the development split alone, on which recipes are chosen: as in the test split, a
third of its items."""

KEPT: Mapping[str, tuple[str, ...]] = {
    "yes_no": ("Would {a} count as a {b}?", "Does {a} belong to {b}?"),
    "type": (f"Tell me which cell type this is. {BIO}",),
    "parent": (f"Under which type does this cell fall? {BIO}",),
    "markers": (f"Which markers does this cell have? {BIO}",),
    "member": (f"Does this cell belong to {{b}}? {BIO}",),
    "choice": (f"Decide between {{a}} and {{b}}. {BIO}",),
    "fact_parent": ("Name the direct parent of {a}.",),
    "fact_marker": ("Give one gene that marks {a}.",),
    "certainty": ("What is the probability of {a}?",),
}
"""Wordings of the test split alone; a third of its items is asked in them."""
