"""A sentence as tokens: the entities of its evidence, numbers, quotes, and plain words.

What only repeats provenance (PMIDs, evidence codes, sources, releases, organisms) is held
against the cited evidence here and taken out; if it is not that of the evidence, the sentence is
refused. Words stay words: what they mean is :mod:`agent.verification.clauses`'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from agent.verification.phrases import EVIDENCE_WORDS, SOURCE_WORDS
from agent.verification.support import edges_of
from agent.verification.wording import Names
from kg.naming.lexicon import normalise
from kg.terms import Category, Curie
from retrieval.evidence import Evidence, PassageEvidence, PathEvidence, TermEvidence

__all__ = ["QUOTED", "Token", "lemma", "tokenise"]

Kind = Literal["entity", "quote", "number", "word", "mark", "source"]


@dataclass(frozen=True, slots=True)
class Token:
    """``value`` is the lemma of a word, a mark, or the number; ``ids`` what an entity may be.

    ``raw`` is a word as it stands in the sentence.
    """

    kind: Kind
    value: str
    ids: tuple[Curie, ...] = ()
    raw: str = ""


class _Refused(Exception):
    """A reason why the sentence is not shown."""


_LEMMAS = {
    **dict.fromkeys(("is", "are", "was", "were", "being", "been"), "be"),
    **dict.fromkeys(("has", "had", "having"), "have"),
    **dict.fromkeys(("does", "did"), "do"),
    "acts": "act",
    "lies": "lie",
    "sits": "sit",
    "adds": "add",
    "turns": "turn",
    "forms": "form",
    "kinds": "kind",
    "ones": "one",
    "class": "class",
}
_NUMBERS = {
    word: str(n)
    for n, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
}
# Words that change nothing in what a sentence about a recorded fact says.
_NEUTRAL = frozenset(
    [
        "a",
        "an",
        "the",
        "also",
        "thus",
        "therefore",
        "hence",
        "indeed",
        "so",
        "then",
        "moreover",
        "furthermore",
        "additionally",
        "itself",
        "themselves",
        "each",
    ]
)
_UNIVERSAL = frozenset({"every", "each", "all"})
_CLASS_NOUNS: dict[Category, frozenset[str]] = {
    Category.CELL_TYPE: frozenset({"cell", "type", "class", "population"}),
    Category.GENE: frozenset({"gene", "protein", "product"}),
    Category.PROCESS: frozenset({"process", "biological", "pathway"}),
    Category.FUNCTION: frozenset({"function", "molecular", "activity"}),
    Category.COMPONENT: frozenset({"component", "cellular", "compartment", "location"}),
    Category.DISEASE: frozenset({"disease", "disorder", "condition"}),
    Category.ANATOMY: frozenset({"organ", "tissue", "structure", "anatomical"}),
    Category.PHENOTYPE: frozenset({"phenotype"}),
    Category.OTHER: frozenset(),
}
_ORGANISMS = {
    "human": "NCBITaxon:9606",
    "homo": "NCBITaxon:9606",
    "sapiens": "NCBITaxon:9606",
    "mouse": "NCBITaxon:10090",
    "mice": "NCBITaxon:10090",
    "murine": "NCBITaxon:10090",
    "mus": "NCBITaxon:10090",
    "musculus": "NCBITaxon:10090",
}

QUOTED = re.compile(r"“([^”]*)”|\"([^\"]*)\"|«([^»]*)»")
_PMIDS = re.compile(
    r"\b(?:PMIDs?|PubMed(?: IDs?)?)\b:?\s*(\d+(?:(?:\s*[,;|]\s*|\s+and\s+)\d{4,})*)"
)
_CURIE = re.compile(r"[A-Za-z]+:\d+")
_CODE = re.compile(
    r"(?:\b(?:with|by|under)\s+)?(?:\b[Ee]vidence(?:\s+code)?:?\s+|\bcode:?\s+|(?<=[(;,])\s*)"
    r"([A-Z]{2,3})\b(?=\s*[;,).]|\s|$)"
)
_EMPTY = re.compile(r"[(\[][\s,;:.|]*[)\]]")
_PUNCTUATION = ",;:.!?()[]"
_SLOT = "\ue000"


def lemma(word: str) -> str:
    """The form under which a normalised word is compared."""
    return _LEMMAS.get(word, word)


def tokenise(
    text: str, cited: Mapping[str, Evidence], names: Names
) -> tuple[tuple[Token, ...], str]:
    """Tokens of a sentence, or the reason why it is refused."""
    try:
        return tuple(_tokens(text, tuple(cited.values()), names)), ""
    except _Refused as refusal:
        return (), str(refusal)


def _tokens(text: str, pieces: tuple[Evidence, ...], names: Names) -> list[Token]:
    slots: list[Token] = []
    text = _take_quotes(text, pieces, slots)
    text = text.replace("’", "'")
    text = re.sub(r"n't\b", " not", re.sub(r"\bcannot\b", "can not", text))
    text = _take_pmids(text, pieces)
    text = _take_codes(text, pieces)
    text = _take_sources(text, pieces)
    while (shorter := _EMPTY.sub(" ", text)) != text:
        text = shorter
    entities = _entities(pieces, names)
    tokens = _match(_words(text, slots), entities, names)
    return _without_asides(tokens, pieces, names)


def _take_quotes(text: str, pieces: Iterable[Evidence], slots: list[Token]) -> str:
    """Put a slot for each quote, marked as one or taken over whole from the evidence."""

    def keep(match: re.Match[str]) -> str:
        quote = next(group for group in match.groups() if group is not None)
        slots.append(Token("quote", quote.strip()))
        return f" {_SLOT}{len(slots) - 1} "

    text = QUOTED.sub(keep, text)
    for piece in pieces:
        if isinstance(piece, TermEvidence | PassageEvidence):
            words = piece.quote if isinstance(piece, PassageEvidence) else piece.text
            bare = " ".join(words.split()).removesuffix(".")
            for written in (bare, bare[:1].lower() + bare[1:]):
                if len(bare.split()) > 3 and written in text:
                    slots.append(Token("quote", bare))
                    text = text.replace(written, f" {_SLOT}{len(slots) - 1} ")
    return text


def _take_pmids(text: str, pieces: tuple[Evidence, ...]) -> str:
    known = {
        publication.removeprefix("PMID:")
        for piece in pieces
        for edge in edges_of(piece)
        for publication in edge.publications
    }
    known |= {piece.pmid for piece in pieces if isinstance(piece, PassageEvidence)}

    def check(match: re.Match[str]) -> str:
        for pmid in re.findall(r"\d+", match.group(1)):
            if pmid not in known:
                raise _Refused(f"PMID:{pmid} is not a publication of the cited evidence")
        return " "

    # "PMID:1, PMID:2": the mark alone is left between them, and goes with the empty brackets.
    return _PMIDS.sub(check, text)


def _take_codes(text: str, pieces: tuple[Evidence, ...]) -> str:
    codes = {edge.evidence_code for piece in pieces for edge in edges_of(piece)} - {None}

    def check(match: re.Match[str]) -> str:
        code = match.group(1)
        if code not in EVIDENCE_WORDS:
            return match.group(0)
        if code not in codes:
            raise _Refused(f"{code} is not the evidence code of the cited evidence")
        return " "

    text = _CODE.sub(check, text)
    for code, wordings in EVIDENCE_WORDS.items():
        for wording in wordings:
            pattern = r"\s+".join(re.escape(word) for word in wording.split())
            found = re.search(rf"(?:\b(?:by|as)\s+)?\b{pattern}\b(?:\s+evidence)?", text, re.I)
            if found and code in codes:
                text = text[: found.start()] + " " + text[found.end() :]
    return text


def _take_sources(text: str, pieces: tuple[Evidence, ...]) -> str:
    """Take out the names and releases of the cited sources, and words that only lead to them."""
    sources: set[tuple[str, str]] = set()
    for piece in pieces:
        sources.add((piece.source, piece.release))
        sources |= {(edge.source, edge.release) for edge in edges_of(piece)}
    words = {word for source, _ in sources for word in (*SOURCE_WORDS.get(source, ()), source)}
    releases = {release for _, release in sources if release}
    names = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True) if word)
    versions = "|".join(re.escape(word) for word in sorted(releases, key=len, reverse=True))
    version = (
        rf"(?:[\s,(]*(?:release|version|of|as of)?[\s(]*(?:{versions})\)?)" if versions else ""
    )
    lead = (
        r"(?:\b(?:as\s+(?:stated|recorded|listed|given)\s+(?:in|by)|according\s+to|[Aa]ccording\s+to"
        r"|[Ii]n|[Bb]y|[Pp]er|[Ff]rom|[Ss]ource:?|of)\s+)?"
    )
    tail = rf"{version}?" if version else ""
    pattern = rf"{lead}(?:\b[Tt]he\s+)?(?<![\w-])(?:{names})(?![\w:-]){tail}"
    text = re.sub(pattern, lambda match: _source_slot(match, text), text)
    if versions:
        text = re.sub(
            rf"\b(?:in|of|release|version)?\s*(?<![\w-])(?:{versions})(?![\w-])", " ", text
        )
    return text


def _source_slot(match: re.Match[str], text: str) -> str:
    """A source may be the subject ("CL places X under Y"); elsewhere it is provenance."""
    led = re.match(r"\s*(as|according|in|by|per|from|source|of)\b", match.group(0), re.I)
    return " " if led or text[: match.start()].strip(" ,(") else f" {_SLOT}s "


def _entities(pieces: Iterable[Evidence], names: Names) -> dict[tuple[str, ...], list[Curie]]:
    ids: dict[Curie, None] = {}
    for piece in pieces:
        if isinstance(piece, PathEvidence):
            ids |= dict.fromkeys(piece.path.nodes)
        elif isinstance(piece, TermEvidence):
            ids[piece.id] = None
        for edge in edges_of(piece):
            ids |= {edge.subject: None, edge.object: None}
    names.load(ids)
    table: dict[tuple[str, ...], list[Curie]] = {}
    for node in ids:
        for name in (*names.names(node), node):
            key = tuple(normalise(name).split())
            if key and node not in table.setdefault(key, []):
                table[key].append(node)
    return table


def _words(text: str, slots: list[Token]) -> list[Token]:
    """Words and marks; a CURIE becomes an entity, a slot what it stands for."""
    tokens: list[Token] = []
    for raw in text.split():
        start, end = 0, len(raw)
        while start < end and raw[start] in "([\"'":
            tokens += [Token("mark", raw[start])] if raw[start] == "(" else []
            start += 1
        tail: list[Token] = []
        while end > start and raw[end - 1] in _PUNCTUATION + "\"'":
            if raw[end - 1] in _PUNCTUATION:
                tail.insert(0, Token("mark", raw[end - 1]))
            end -= 1
        tokens += [*_core(raw[start:end], slots, raw.strip(_PUNCTUATION)), *tail]
    return tokens


def _core(core: str, slots: list[Token], raw: str) -> list[Token]:
    if core == f"{_SLOT}s":
        return [Token("source", core)]
    if core.startswith(_SLOT) and core[1:].isdigit():
        return [slots[int(core[1:])]]
    if _CURIE.fullmatch(core):
        return [Token("entity", core, (core,))]
    if core in ("—", "–", "-", "→"):
        return [Token("mark", ",")]
    first, *rest = normalise(core).split() or [""]
    words = [Token("word", first, raw=raw)] if first else []
    return [*words, *(Token("word", word) for word in rest)]


def _match(
    tokens: list[Token], entities: Mapping[tuple[str, ...], list[Curie]], names: Names
) -> list[Token]:
    """Longest names first; commas and brackets inside a name are no obstacle."""
    longest = max((len(key) for key in entities), default=0)
    matched: list[Token] = []
    i = 0
    while i < len(tokens):
        end, ids = _longest(tokens, i, entities, longest)
        if ids:
            raw = " ".join(token.raw for token in tokens[i:end] if token.raw)
            matched.append(Token("entity", "", _meant(ids, raw, names)))
            i = end
            continue
        matched.append(tokens[i])
        i += 1
    return _with_ids(matched, names)


def _meant(ids: list[Curie], raw: str, names: Names) -> tuple[Curie, ...]:
    """Of terms whose names differ in marks or capitals alone, the one that is written."""
    if len(ids) == 1:
        return tuple(ids)
    for same in (str, str.casefold):
        written = [
            node
            for node in ids
            if any(same(_flat(name)) == same(_flat(raw)) for name in names.names(node))
        ]
        if len(written) == 1:
            return tuple(written)
    raise _Refused(f"{raw!r} may mean {' or '.join(ids)}")


def _flat(name: str) -> str:
    return " ".join(name.replace(",", " ").replace("(", " ").replace(")", " ").split())


def _longest(
    tokens: list[Token],
    start: int,
    entities: Mapping[tuple[str, ...], list[Curie]],
    longest: int,
) -> tuple[int, list[Curie]]:
    words: list[str] = []
    best: tuple[int, list[Curie]] = (start, [])
    opened = False
    for i in range(start, len(tokens)):
        token = tokens[i]
        if token.kind == "mark" and token.value in ",.()" and words:
            if opened and token.value == ")" and best[0] == i:
                best = (i + 1, best[1])
            opened = token.value == "(" or (opened and token.value != ")")
            continue
        if token.kind != "word" or len(words) == longest:
            break
        words.append(token.value)
        if tuple(words) in entities:
            best = (i + 1, entities[tuple(words)])
    return best


def _with_ids(tokens: list[Token], names: Names) -> list[Token]:
    """An id behind a name settles which term is meant; it must be one that the name may mean."""
    settled: list[Token] = []
    for i, token in enumerate(tokens):
        if token.kind == "entity" and token.value and settled:
            before = settled[-1]
            bracket = before.kind == "mark" and before.value == "("
            name = settled[-2] if bracket and len(settled) > 1 else before
            if name.kind == "entity" and (bracket or not name.value):
                if token.ids[0] not in name.ids:
                    label = names.label(token.ids[0])
                    raise _Refused(f"{token.ids[0]} is {label}, not what the sentence calls it")
                settled[-2 if bracket else -1] = Token("entity", "", token.ids)
                if bracket:
                    settled.pop()
                    following = tokens[i + 1 : i + 2]
                    if following and following[0].value == ")":
                        tokens[i + 1] = Token("word", "the")  # neutral, dropped below
                continue
        settled.append(token)
    return settled


def _without_asides(tokens: list[Token], pieces: tuple[Evidence, ...], names: Names) -> list[Token]:
    taxa = {edge.taxon for piece in pieces for edge in edges_of(piece)}
    kept: list[Token] = []
    for i, token in enumerate(tokens):
        if token.kind == "mark" and token.value in "()[]":
            continue
        if token.kind != "word":
            kept.append(token)
            continue
        if token.value in _NEUTRAL:
            continue
        if token.value in _UNIVERSAL and not any(t.kind == "entity" for t in kept):
            continue  # a relation of classes is one of every member
        if _product_of(tokens, i, names):
            continue
        if token.value in _ORGANISMS:
            if _ORGANISMS[token.value] not in taxa:
                raise _Refused(f"the cited evidence does not say it of {token.value}")
            if kept and kept[-1].value == "in":
                kept.pop()
            continue
        if _repeats_class(tokens, i, names):
            continue
        number = _NUMBERS.get(token.value, token.value)
        if number.isdigit() and token.value != "one":
            kept.append(Token("number", number))
        else:
            kept.append(Token("word", lemma(token.value)))
    return kept


def _product_of(tokens: list[Token], i: int, names: Names) -> bool:
    """Whether the word is of "the (protein) product of" in front of a gene."""
    following = [token.value for token in tokens[i : i + 2]]
    if following == ["product", "of"] or (i and tokens[i - 1].value == "product"):
        ahead = tokens[i + 1 : i + 3]
        return tokens[i].value in ("product", "of") and any(
            names.category(node) is Category.GENE for token in ahead for node in token.ids
        )
    return False


def _repeats_class(tokens: list[Token], i: int, names: Names) -> bool:
    """Whether the word only says what kind of thing the entity beside it is ("the gene X")."""
    for step in (1, -1):
        j = i + step
        while 0 <= j < len(tokens) and abs(j - i) <= 2:
            other = tokens[j]
            if other.kind == "entity":
                nouns = {noun for node in other.ids for noun in _CLASS_NOUNS[names.category(node)]}
                return tokens[i].value in nouns
            nouns = {noun for words in _CLASS_NOUNS.values() for noun in words}
            if other.kind != "word" or other.value not in nouns:
                break
            j += step
    return False
