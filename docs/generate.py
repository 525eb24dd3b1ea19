"""Write the generated parts of the documentation: help texts, tables, real outputs.

A generated block stands between two comments::

    <!-- output: celloquy term "NK cells" -->      the command is run and its output shown
    <!-- help: celloquy term -->                   the command's --help
    <!-- sources -->                               the table of pinned assets
    <!-- folders -->                               every package and what belongs in it
    <!-- end -->

Run without arguments to rewrite all blocks; with ``--check`` all but outputs are compared and a
difference is an error (outputs name the age of their sources, which changes).
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = ("README.md", "CONTRIBUTING.md", "docs/commands.md")
PACKAGES = ("agent", "training", "retrieval", "encoders", "kg", "data")
"""From the top of the tower down."""
CHECKED = frozenset({"help", "sources", "folders"})
BLOCK = re.compile(
    r"(?P<open><!-- (?P<kind>output|help|sources|folders)(?:: (?P<command>[^\n]*?))? -->\n)"
    r".*?(?P<close><!-- end -->)",
    re.DOTALL,
)


def run(arguments: list[str]) -> str:
    """Run ``celloquy`` of this environment; stdout and, when it fails, stderr."""
    executable = Path(sys.executable).parent / "celloquy"
    result = subprocess.run(
        [str(executable), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1"},
    )
    # Trailing spaces are layout of the terminal, and editors strip them from Markdown.
    lines = (result.stdout or result.stderr).splitlines()
    return "\n".join(line.rstrip() for line in lines).strip() + "\n"


def folders() -> str:
    """Every package and the first line of its docstring, as a tree."""
    lines = []
    for top in PACKAGES:
        for face in sorted((ROOT / top).rglob("__init__.py"), key=lambda path: path.parent.parts):
            name = face.parent.relative_to(ROOT)
            said = ast.get_docstring(ast.parse(face.read_text("utf-8"))) or ""
            shown = "  " * (len(name.parts) - 1) + name.name + "/"
            lines.append(f"{shown:<20} {said.splitlines()[0]}\n")
    return "".join(lines)


def content(kind: str, command: str | None) -> str:
    """The body of one block."""
    if kind == "sources":
        from data.sources import markdown_table

        return markdown_table().strip() + "\n"
    if kind == "folders":
        return f"```text\n{folders()}```\n"
    assert command is not None, f"a block of kind {kind} names its command"
    arguments = shlex.split(command)[1:]
    if kind == "help":
        return f"```text\n{run([*arguments, '--help'])}```\n"
    return f"```console\n$ {command}\n{run(arguments)}```\n"


def generate(text: str, kinds: frozenset[str]) -> str:
    """``text`` with every block of ``kinds`` made again."""

    def replace(match: re.Match[str]) -> str:
        if match["kind"] not in kinds:
            return match[0]
        return match["open"] + content(match["kind"], match["command"]) + match["close"]

    return BLOCK.sub(replace, text)


def transcript(*arguments: str) -> int:
    """Write or check the conversation (docs/transcript.py); nothing where its data is not here."""
    script = Path(__file__).with_name("transcript.py")
    return subprocess.run([sys.executable, str(script), *arguments], check=False).returncode


def main() -> int:
    """Rewrite or check; returns the exit code."""
    check = "--check" in sys.argv[1:]
    kinds = CHECKED if check else CHECKED | {"output"}
    stale = []
    for name in FILES:
        path = ROOT / name
        before = path.read_text(encoding="utf-8")
        after = generate(before, kinds)
        if after != before:
            stale.append(name)
            if not check:
                path.write_text(after, encoding="utf-8")
    if check and stale:
        sys.stderr.write(f"not current: {', '.join(stale)}; run `make docs`\n")
        return 1
    return transcript(*(["--check"] if check else []))


if __name__ == "__main__":
    raise SystemExit(main())
