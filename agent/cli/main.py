"""The command line's frame: options for all commands, errors to exit codes, lazy commands.

Each command lives in a module of this folder and is a function that typer reads; what a command
does is in the packages below. Importing this module must stay cheap (``--help`` in 0.5 s): no
torch, pandas, anndata or networkx at the top of any module here.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from agent.cli import commands
from agent.cli.console import emit_json, hoist, options
from agent.cli.usage import usage_line
from data import progress
from data.errors import CelloquyError

__all__ = ["app", "emit_json", "options", "run"]

app = typer.Typer(
    name="celloquy",
    help="Questions about cells, answered with checked evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


@app.callback()
def _global(
    graph: Annotated[
        str | None,
        typer.Option(help="Use this graph server (bolt://host:port) instead of the built-in file."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
    quiet: Annotated[bool, typer.Option(help="No progress and no notices on stderr.")] = False,
) -> None:
    options.graph, options.seed, options.debug, options.quiet = graph, seed, debug, quiet
    progress.show_lines(not quiet)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; never raises.

    0 done, 1 failed, 2 bad input, 3 abstained, 4 something is missing. Errors are one line on
    stderr; the traceback comes with ``--debug`` only.
    """
    commands.register(app)
    try:
        result = app(
            args=hoist(sys.argv[1:] if arguments is None else arguments), standalone_mode=False
        )
    except CelloquyError as error:
        return _report(error, error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("celloquy: stopped\n")
        return 130
    except BrokenPipeError:
        # The reader (head, less) went away; point stdout elsewhere so that exit does not raise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the outermost frame: an answer, not a traceback
        if hasattr(error, "exit_code") and hasattr(error, "format_message"):
            sys.stderr.write(f"celloquy: {usage_line(error)}\n")
            return 2
        return _report(error, 1)
    return result if isinstance(result, int) else 0


def _report(error: Exception, code: int) -> int:
    if options.debug:
        traceback.print_exc()
    line = " ".join(str(error).split()) or type(error).__name__
    sys.stderr.write(f"celloquy: {line}\n")
    return code
