"""Write docs/transcript.md: a conversation on real cells, as Celloquy answered it.

The cells are pbmc3k, in the folder that CELLOQUY_TEST_DATA names; without it, or without the
literature index, the file stays as it is. ``--check`` compares instead of writing. Definitions are
quoted with credit; passages appear as PMID and offsets alone.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from agent.conversation.chat import SELECTING, Conversation, as_markdown
from agent.conversation.memory import Scratch
from agent.qa import Agent

TARGET = Path(__file__).with_suffix(".md")
CELLS = Path("cells") / "pbmc3k_clustifyr_2638x2000_lognorm.h5ad"
TURNS = (
    f"{SELECTING} seurat_clusters=6",
    "What are these cells?",
    "Why?",
    "Which genes argue against it?",
    "Why not T cells?",
    "And FCGR3A?",
    "Compare them with seurat_clusters=4",
    "What does the first one do?",
    "And in mouse?",
    "What kinds of innate lymphoid cell are there?",
    "Which of them express GZMB?",
    "What do papers say about granzyme B?",
)
HEAD = """\
# A conversation on pbmc3k

Twelve turns on 2,638 blood cells (10x Genomics; the file is that of rnabioco/clustifyr, 2,000
genes), as `celloquy chat --h5ad FILE` answered them without a language model; `/save` writes this
form. Definitions and hierarchy are quoted from the Cell Ontology (CC BY 4.0, Diehl et al. 2016) and
the Gene Ontology (CC BY 4.0, The Gene Ontology Consortium 2021). Passages of articles stand as PMID
and offsets. Made by `docs/transcript.py`.
"""


def transcript(cells: Path) -> str:
    """The conversation in Markdown.

    Raises
    ------
    RuntimeError
        When a sentence of an article would stand in it.
    """
    from agent.attached.cells import attach
    from agent.lookup import open_graph

    with attach(cells) as attached:
        chat = Conversation(Agent(open_graph()), Scratch(), attached)
        for line in TURNS:
            if line.startswith(SELECTING):
                chat.select(line.removeprefix(SELECTING).strip())
            else:
                chat.say(line)
    answers = [replace(answer, warnings=_timeless(answer.warnings)) for answer in chat.answers]
    text = HEAD + "\n" + as_markdown(answers, quotes=False)
    for answer in chat.answers:
        for citation in answer.citations:
            if citation.evidence.kind == "passage" and citation.evidence.text[:40] in text:
                raise RuntimeError(f"a passage of {citation.key} would be published")
    return text


def _timeless(warnings: tuple[str, ...]) -> tuple[str, ...]:
    """Without those that tell the age of a source, which is another one every year."""
    return tuple(warning for warning in warnings if " years old" not in warning)


def main() -> int:
    """Write or check; returns the exit code."""
    check = "--check" in sys.argv[1:]
    named = os.environ.get("CELLOQUY_TEST_DATA")
    cells = Path(named) / CELLS if named else None
    if cells is None or not cells.is_file():
        sys.stderr.write(f"{TARGET.name} is left as it is: CELLOQUY_TEST_DATA names no {CELLS}\n")
        return 0
    from agent.literature import open_literature

    if open_literature() is None:
        sys.stderr.write(f"{TARGET.name} is left as it is: there is no literature index\n")
        return 0
    text = transcript(cells)
    if check:
        same = TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text
        sys.stderr.write("" if same else f"not current: {TARGET.name}; run `make docs`\n")
        return 0 if same else 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
