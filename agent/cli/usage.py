"""What was wrong with the words of a command line, in one line: given, expected, what to do.

Typer's own words are those of its validator ("Input should be less than or equal to 3"), which say
neither what was given nor where to look.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["usage_line"]

# By the kind of error that pydantic names, https://docs.pydantic.dev/latest/errors/
_EXPECTED = {
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} or less",
    "less_than": "less than {lt}",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
}


def usage_line(error: Any) -> str:
    """The line for an error of typer's; its own message where nothing better is known."""
    context = getattr(error, "ctx", None)
    where = f"; see: {context.command_path} --help" if context is not None else ""
    details = getattr(error.__cause__, "errors", None)
    name = _name(getattr(error, "param", None))
    if not callable(details) or not name:
        return f"{error.format_message().rstrip('.')}{where}"
    first: Mapping[str, Any] = details()[0]
    if first["type"] in _EXPECTED:
        expected = _EXPECTED[first["type"]].format_map(first.get("ctx", {}))
        return f"{name} is {first['input']!s}; expected {expected}{where}"
    _, _, choices = first["msg"].partition(" is not one of ")
    choices = choices.rstrip(".").replace("'", "")
    said = f"; expected one of {choices}" if choices else f": {first['msg'].rstrip('.')}"
    return f"{name} is {first['input']!s}{said}{where}"


def _name(parameter: Any) -> str:
    """``--limit`` of an option, ``TERM_A`` of an argument."""
    if parameter is None:
        return ""
    options = [word for word in getattr(parameter, "opts", ()) if word.startswith("-")]
    longest = max(options, key=len, default="")
    return longest or str(getattr(parameter, "metavar", None) or parameter.name).upper()
