"""The line of progress: written over itself on a terminal, wiped at the end, silent elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from data.progress import line, show_lines


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "asked", "shown"), [
    (Terminal, True, True), (Terminal, False, False), (io.StringIO, True, False),
])  # fmt: skip
def test_lines_are_for_terminals(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], asked: bool, shown: bool
) -> None:
    written = stream()
    monkeypatch.setattr(sys, "stderr", written)
    show_lines(asked)
    try:
        with pytest.raises(ValueError, match="half way"), line("work") as say:
            say("1 of 2")
            say("2 of 2")
            raise ValueError("half way")
    finally:
        show_lines(False)
    text = written.getvalue()
    assert text == ("\rwork: 1 of 2\x1b[K\rwork: 2 of 2\x1b[K\r\x1b[K" if shown else "")
