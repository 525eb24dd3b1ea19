"""A strict gate in front of an OBO reader: every line is checked before a lenient reader sees it.

:class:`StrictLines` iterates over the lines of an OBO file and raises :class:`BadFile` with the
line number for what obonet would pass over or misread: unknown tags and stanzas, text that
belongs to no stanza, repeated ids and repeated single tags, broken quotes, cross-reference lists
and scopes, identifiers without a prefix, bytes that are not UTF-8, a file cut off in the middle
of a line. What it lets through is normalised: blank and comment lines inside a stanza vanish, an
exclamation mark inside quotes is escaped (obonet would take it for a comment). It tallies what
it let through, so that the reader's result can be compared with it.

It follows the OBO Flat File Format 1.2 and 1.4
(https://owlcollab.github.io/oboformat/doc/GO.format.obo-1_4.html), with two choices: a second
stanza of the same id is refused rather than merged, and the last line must end with a newline.
Line continuation by a trailing backslash is not supported. It knows nothing about what the
statements mean.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data.errors import BadFile
from kg.terms import Curie, is_curie

__all__ = ["NARROWED", "StrictLines"]

_TAIL = r"(?:\s+\{(?P<modifiers>(?:[^{}\"]|\"(?:[^\"\\]|\\.)*\")*)\})?(?:\s*!.*)?"
"""What may follow a value: a trailing modifier in braces, then a comment."""
_QUOTED = r"\"(?:[^\"\\]|\\.)*\""
_XREF = rf"(?:[^\s\],\"\\]|\\.)(?:[^\],\"\\]|\\.)*(?:\s+{_QUOTED})?"
_XREFS = rf"\[\s*(?:{_XREF}\s*(?:,\s*{_XREF}\s*)*)?\]"
_ID = r"[^\s!{}\"\\]+"
_PLAIN = r"(?:[^!{}\\]|\\.)+?"

_GRAMMAR = {
    "id": _ID,
    "alt_id": _ID,
    "name": _PLAIN,
    "namespace": _ID,
    "def": rf"{_QUOTED}\s+{_XREFS}",
    "synonym": rf"{_QUOTED}(?:\s+(?:EXACT|BROAD|NARROW|RELATED)(?:\s+[^\s\[\]\"]+)?)?\s+{_XREFS}",
    "xref": rf"(?:[^\s!{{}}\"\\]|\\.)(?:[^!{{}}\"\\]|\\.)*?(?:\s+{_QUOTED})?",
    "is_a": _ID,
    "relationship": rf"{_ID}\s+{_ID}",
    "intersection_of": rf"(?:{_ID}\s+)?{_ID}",
    "is_obsolete": "true|false",
    "replaced_by": _ID,
    "consider": _ID,
}
# No comment may follow a name: the rest of a name with an exclamation mark would be lost.
_ENDS = {"name": _TAIL.removesuffix(r"(?:\s*!.*)?")}
_PATTERNS = {
    tag: re.compile(rf"(?P<value>{form}){_ENDS.get(tag, _TAIL)}\s*")
    for tag, form in _GRAMMAR.items()
}

# fmt: off
_UNREAD = frozenset({
    "is_anonymous", "comment", "subset", "union_of", "equivalent_to", "disjoint_from",
    "property_value", "created_by", "creation_date", "builtin", "xref_analog", "xref_unk",
    "use_term", "lexical_category",
})
_TYPEDEF = frozenset({
    "domain", "range", "inverse_of", "transitive_over", "holds_over_chain", "equivalent_to_chain",
    "disjoint_over", "is_cyclic", "is_reflexive", "is_symmetric", "is_anti_symmetric",
    "is_asymmetric", "is_transitive", "is_functional", "is_inverse_functional", "is_metadata_tag",
    "is_class_level", "expand_assertion_to", "expand_expression_to", "instance_of",
})
_HEADER = frozenset({
    "format-version", "data-version", "version", "date", "saved-by", "auto-generated-by", "import",
    "subsetdef", "synonymtypedef", "default-namespace", "namespace-id-rule", "idspace", "remark",
    "ontology", "property_value", "default-relationship-id-prefix", "id-mapping", "owl-axioms",
    "name", "logical-definition-view-relation", "treat-xrefs-as-equivalent",
    "treat-xrefs-as-genus-differentia", "treat-xrefs-as-reverse-genus-differentia",
    "treat-xrefs-as-relationship", "treat-xrefs-as-is_a", "treat-xrefs-as-has-subclass",
    "relax-unique-identifier-assumption-for-namespace",
    "relax-unique-label-assumption-for-namespace",
})
# fmt: on
_SINGLE = frozenset(
    {"id", "name", "namespace", "def", "is_obsolete", "created_by", "creation_date"}
)
_CURIES = frozenset({"id", "alt_id", "is_a"})
_LOOSE = frozenset({"replaced_by", "consider"})  # CL of 2022 has "consider: false"
_FACTS = frozenset({"is_a", "relationship", "intersection_of"})
_NARROWING = re.compile(r"\b(?:gci_\w+|all_only|maxCardinality)\s*=|\bcardinality\s*=\s*\"?0\b")
NARROWED = "statements that hold only in a context, or of nothing but, or of none"
"""Key in :attr:`StrictLines.unread` of statements that are not true of every instance: general
class inclusions (``{gci_relation=..., gci_filler=...}``), ``all_only`` and zero cardinalities.
Read as plain statements they would be false (and make cycles)."""
_QUOTING = frozenset({"def", "synonym", "property_value"})
_KEPT_HEADER = frozenset({"format-version", "data-version", "ontology", "default-namespace"})
_TAG = re.compile(r"(?P<tag>[A-Za-z_-]+):[ \t]*(?P<value>.*)")
_LABELLED = re.compile(rf"(?P<id>{_ID})(?:\s+\{{.*\}})?\s*!\s*(?P<label>\S.*)")
_JOINED = re.compile(
    r"[^\s(\[\"'](?:alt_id|consider|def|id|intersection_of|is_a|is_obsolete|name|relationship|"
    r"replaced_by|synonym|xref): \S"
)
"""The beginning of a statement inside another: a line break between the two was lost."""
_URL = re.compile(r"https?://\S")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class StrictLines:
    """The lines of an OBO file for a reader that takes a text file, each checked.

    Attributes
    ----------
    tally
        How many lines of each tag went through, terms only.
    lines
        The line on which the stanza of each term begins (1 is the first line).
    labels
        The comment after an identifier, where it first stands with one (``is_a: X:1 ! name``), and
        the relation before it: some writers put the relation's name into the comment too.
    unread
        How many statements of each tag that nobody reads were passed over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tally: Counter[str] = Counter()
        self.lines: dict[Curie, int] = {}
        self.labels: dict[Curie, tuple[str, str]] = {}
        self.unread: Counter[str] = Counter()
        self._number = 0
        self._stanza = ""
        self._seen: set[str] = set()

    def __enter__(self) -> StrictLines:
        return self

    def __exit__(self, *raised: object) -> None:
        return None

    def fail(self, found: str, expected: str, number: int | None = None) -> BadFile:
        """Return the error for a line, the present one unless a number is given."""
        shown = found if len(found) <= 80 else f"{found[:77]}..."
        return BadFile(
            f"{self.path.name}, line {number or self._number}: {shown!r}; expected {expected}"
        )

    def __iter__(self) -> Iterator[str]:
        """Yield the lines that a reader is to see, stanzas separated by one blank line."""
        with self.path.open("rb") as raw:
            for raw_line in raw:
                self._number += 1
                line = self._decode(raw_line)
                if not line or line.startswith("!"):
                    continue
                if line.startswith("["):
                    yield from self._open(line)
                else:
                    yield from self._statement(line)
        if not self._stanza:
            raise self.fail("the end of the file", "at least one stanza of an OBO file")
        self._close()

    def _decode(self, raw: bytes) -> str:
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.fail(str(error.object[error.start :][:20]), "text in UTF-8") from error
        if not line.endswith("\n"):
            raise self.fail(line[-40:], "a line break at the end; the file may be cut off")
        line = line.rstrip()
        if _CONTROL.search(line):
            raise self.fail(line, "a line without control characters")
        return line

    def _close(self) -> None:
        if self._stanza and "id" not in self._seen:
            raise self.fail(f"the end of a {self._stanza} stanza", "an id in every stanza")

    def _open(self, line: str) -> Iterator[str]:
        self._close()
        stanza = line.split("!")[0].strip()
        if stanza not in ("[Term]", "[Typedef]", "[Instance]"):
            raise self.fail(line, "[Term], [Typedef] or [Instance]")
        if not self._stanza and "format-version" not in self._seen:
            raise self.fail(line, "a format-version in the header before it")
        self._stanza, self._seen = stanza, set()
        yield "\n"
        yield stanza + "\n"

    def _statement(self, line: str) -> Iterator[str]:
        matched = _TAG.fullmatch(line)
        if matched is None or not matched["value"]:
            raise self.fail(line, "'tag: value'")
        tag, value = matched["tag"], matched["value"]
        if tag not in _QUOTING and _JOINED.search(value):
            raise self.fail(line, "one statement a line")
        if not self._stanza:
            yield from self._header(tag, value, line)
            return
        if self._stanza != "[Term]" and tag in _TYPEDEF:
            return
        if tag not in _GRAMMAR and tag not in _UNREAD:
            raise self.fail(line, f"a tag of the format in a {self._stanza} stanza")
        if tag in self._seen and (tag == "id" or (tag in _SINGLE and self._stanza == "[Term]")):
            raise self.fail(line, f"one {tag} in a stanza")
        if not self._seen and tag != "id":
            raise self.fail(line, "an id as the first line of a stanza")
        self._seen.add(tag)
        if tag in _UNREAD:
            if self._stanza == "[Term]":
                self.unread[tag] += 1
            return
        value = self._value(tag, value, line)
        if value:
            yield f"{tag}: {value}\n"

    def _header(self, tag: str, value: str, line: str) -> Iterator[str]:
        if tag not in _HEADER:
            raise self.fail(line, "a header tag of the format")
        if not self._seen and tag != "format-version":
            raise self.fail(line, "a format-version first")
        if tag in _KEPT_HEADER:
            if tag in self._seen:
                raise self.fail(line, f"one {tag}")
            yield f"{tag}: {value}\n"
        self._seen.add(tag)

    def _value(self, tag: str, value: str, line: str) -> str:
        matched = _PATTERNS[tag].fullmatch(value)
        if matched is None:
            raise self.fail(line, f"a well-formed {tag}")
        if tag in _FACTS and _NARROWING.search(matched["modifiers"] or ""):
            self.unread[NARROWED] += self._stanza == "[Term]"
            return ""
        value = matched["value"]
        if self._stanza == "[Term]":
            self._note(tag, value, matched.string, line)
        # obonet splits a relationship at one blank and takes ' !' inside quotes for a comment.
        if tag in ("relationship", "intersection_of"):
            return " ".join(value.split())
        return re.sub(r"(?<!\\)!", r"\\!", value) if "!" in value else value

    def _note(self, tag: str, value: str, whole: str, line: str) -> None:
        self.tally[tag] += 1
        if tag in _CURIES and not is_curie(value) and not _URL.match(value):
            raise self.fail(line, "an identifier such as CL:0000084")
        if tag in _LOOSE and ":" in value and not is_curie(value) and not _URL.match(value):
            raise self.fail(line, "an identifier such as CL:0000084")
        if tag == "id":
            if value in self.lines:
                raise self.fail(line, f"each id once; line {self.lines[value]} has it too")
            self.lines[value] = self._number
        elif tag in _FACTS:
            target = value.rsplit(None, 1)[-1]
            if not is_curie(target) and not _URL.match(target):
                raise self.fail(line, "an identifier such as CL:0000084")
            labelled = _LABELLED.fullmatch(whole, whole.find(target))
            if labelled and target not in self.labels:
                relation = value.rpartition(" ")[0].strip()
                self.labels[target] = (relation, labelled["label"])
