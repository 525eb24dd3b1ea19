"""``celloquy chat``: a conversation on the terminal or from a pipe, remembered between runs."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.ask import leave, shown
from agent.cli.console import options
from agent.cli.targets import to_write
from data.errors import BadInput, CelloquyError

if TYPE_CHECKING:
    from agent.conversation.chat import Conversation

__all__ = ["chat"]

_HELP = """\
/cells EXPR         mean these cells from now on: leiden=3, cell_type=B or cell_type=NK, index=0:50
/cells              what can be selected, and what is
/evidence [N]       the evidence of the last answer, or of the Nth
/save FILE          the conversation with its evidence, as FILE.md or FILE.json
/forget             empty the thread
/help, /quit        this help; the end (as does the end of the input)"""


def chat(
    h5ad: Annotated[
        Path | None, typer.Option(help="Cells to talk about, as an .h5ad file.")
    ] = None,
    cells: Annotated[
        str | None, typer.Option(help="Which of them are meant first, such as leiden=3.")
    ] = None,
    thread: Annotated[
        str, typer.Option(help="Name of the conversation to begin or to go on with.")
    ] = "default",
    llm: Annotated[
        str | None, typer.Option(help="Language model that orders and phrases the facts.")
    ] = None,
) -> int:
    """Ask and go on asking: "why?", "and in mouse?", "what about its parent?", "the second one".

    Lines are read from standard input until its end. Every turn is kept as soon as it is answered.
    """
    from agent.config import AskConfig
    from agent.conversation.chat import Conversation
    from agent.conversation.memory import Memory
    from agent.lookup import open_graph
    from agent.qa import Agent
    from agent.verification.wording import counted

    if cells and h5ad is None:
        raise BadInput(f"--cells {cells} was given without a dataset; add --h5ad FILE")
    with ExitStack() as stack:
        graph = open_graph(options.graph)
        attached = None
        if h5ad is not None:
            from agent.attached.cells import attach

            attached = stack.enter_context(attach(h5ad, cells, graph))
        memory = stack.enter_context(Memory.open(thread))
        conversation = Conversation(Agent(graph, AskConfig(llm=llm)), memory, attached)
        if attached is not None and not cells:
            _resume(conversation)
        turns = counted(len(memory.turns), "turn")
        _note(f"thread {thread!r}, {turns}; /help lists the commands")
        _talk(conversation)
    return leave(0)


def _resume(conversation: Conversation) -> None:
    """Mean the cells that were meant last in this thread, where they are of this dataset."""
    cells, turns = conversation.cells, conversation.memory.turns
    if cells is None or not turns or turns[-1].data != cells.name or not turns[-1].cells:
        return
    try:
        cells.select(turns[-1].cells)
        _note(f"the cells are those with {cells.selection}, as before")
    except CelloquyError as error:
        _note(" ".join(str(error).split()))


def _talk(conversation: Conversation) -> None:
    while (line := _read()) is not None:
        line = line.strip()
        if line in ("/quit", "/exit", "/q"):
            return
        try:
            if line.startswith("/"):
                _command(line, conversation)
            elif line:
                _say(conversation.say(line).answer)
        except CelloquyError as error:
            _note(" ".join(str(error).split()), always=True)
        except KeyboardInterrupt:
            _note("stopped; this question is not kept, what was answered before is", always=True)
            if not sys.stdin.isatty():
                return


def _read() -> str | None:
    """The next line; None at the end of the input, or where the reader interrupts."""
    if sys.stdin.isatty():
        sys.stdout.write("> ")
        sys.stdout.flush()
    try:
        return sys.stdin.readline() or None
    except KeyboardInterrupt:
        sys.stdout.write("\n")
        return None
    except UnicodeDecodeError:
        raise BadInput("the input is not text in UTF-8; expected questions, one a line") from None


def _say(text: str) -> None:
    sys.stdout.write(text + "\n\n")
    sys.stdout.flush()


def _command(line: str, conversation: Conversation) -> None:
    name, _, argument = line.partition(" ")
    argument = argument.strip()
    if name == "/cells":
        _cells(argument, conversation)
    elif name == "/evidence":
        _evidence(argument, conversation)
    elif name == "/save":
        _save(argument, conversation)
    elif name == "/forget":
        conversation.forget()
        _note("forgotten", always=True)
    elif name == "/help":
        _say(_HELP)
    else:
        raise BadInput(f"{name} is no command; expected /cells, /evidence, /save, /forget, /help "
                       "or /quit")  # fmt: skip


def _cells(argument: str, conversation: Conversation) -> None:
    if argument or conversation.cells is None:
        _say(conversation.select(argument).answer)
        return
    from agent.attached.selection import overview

    now = conversation.cells.selection or "all cells"
    _say(f"Selected: {now}. /cells all selects every cell.\n{overview(conversation.cells)}")


def _evidence(argument: str, conversation: Conversation) -> None:
    answers = conversation.again()
    number = len(answers) if not argument else int(argument) if argument.isdigit() else 0
    if not answers:
        raise BadInput("nothing was answered yet")
    if not 1 <= number <= len(answers):
        raise BadInput(f"/evidence {argument}: expected a number from 1 to {len(answers)}")
    _say(shown(answers[number - 1], conversation.agent.graph).rstrip())


def _save(argument: str, conversation: Conversation) -> None:
    from agent.conversation.chat import as_json, as_markdown
    from agent.verification.wording import counted
    from kg.atomic import replacing

    path = Path(argument).expanduser()
    if path.suffix not in (".md", ".json"):
        raise BadInput(f"{argument!r} is no file to save to; expected FILE.md or FILE.json")
    text = (as_json if path.suffix == ".json" else as_markdown)(conversation.again())
    to_write(path)
    with replacing(path) as file:
        file.write(text)
    _note(f"saved {counted(len(conversation.memory.turns), 'turn')} to {path}", always=True)


def _note(text: str, *, always: bool = False) -> None:
    if always or not options.quiet:
        sys.stderr.write(f"{text}\n")
