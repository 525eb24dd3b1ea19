"""What a whole label means: the free-text names that datasets give to their clusters.

A label is known to name something, so more is tried than in running text (:mod:`kg.grounding`),
in this order, and the first that succeeds is taken:

1. the label as it stands, without cluster numbers, with its short words written out;
2. what stands in its brackets: "Immune (mast cell)", "Endothelial cell (lymphatic)";
3. markers that are too many for any name, or a gene that tells a cluster apart, left out;
4. two types joined by a slash: their closest common supertype, and both as alternatives;
5. a part of it replaced by another name of what the part means ("atrial cardiomyocyte");
6. the name that is most alike (:mod:`kg.naming.likeness`);
7. the same with misspelt words corrected;
8. the longest part of it that is a name, the rest being told.

Nothing is known here about any particular dataset: every rule is about how labels are written,
and the facts of usage are in ``abbreviations.tsv``. A label such as "cycling cell", which no term
means, grounds to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kg.graph import KnowledgeGraph
from kg.grounding import candidates
from kg.naming.abbreviations import expand
from kg.naming.lexicon import normalise
from kg.naming.likeness import alike
from kg.naming.mentions import Candidate
from kg.naming.variants import MARKER, phenotype
from kg.naming.vocabulary import vocabulary
from kg.terms import Category, Curie, Scope

__all__ = ["ground_label"]

SURE = 0.75
"""From this score on no weaker rule is tried."""
_FLOOR = 0.45
_TOO_FAR_UP = 3  # steps to a common supertype that says nothing of either type any more

_NUMBERED = re.compile(
    r"^\s*(?:(?:cluster|clust|c|cl)[\s_]*)?\d+\s*[:._\-)]\s*(?=\D)", re.IGNORECASE
)
_COUNTED = re.compile(r"[\s_\-.]*[_#.(]\s*\d+\)?\s*$|(?<=\bcells)\s+\d+$|(?<=\bcell)\s+\d+$")
_TRAILING = re.compile(r"\s+(?:\d+|[A-Z])$")
_JOINED_SIGN = re.compile(
    r"\b(CD\d+[a-z]?)(?=bright|dim|high|hi|low|lo|pos|neg|int)", re.IGNORECASE
)
_JOINED_MARKERS = re.compile(r"(?<=[+\-])/(?=CD\d)|(?<=[+\-])/(?=\s*[A-Z])")
_BRACKETS = re.compile(r"^(?P<outer>[^()]*)\((?P<inner>[^()]+)\)[^()]*$")
_GENE_SIGN = re.compile(
    r"\b(?P<gene>[A-Za-z][A-Za-z0-9\-]{1,14}?)\s*(?P<sign>\+|hi\b|high\b|pos\b|low\b|lo\b)"
)
_CODE = re.compile(r"[A-Z]{2,5}-[a-z0-9]")  # MNP-a: a cluster's code, no name
_STATES = frozenset(
    {"naive", "memory", "effector", "central", "activated", "exhausted", "positive", "negative"}
    | {"cytotoxic", "regulatory", "cycling", "proliferating"}
)
# Parts that say too little to stand for a whole label.
_EMPTY = frozenset({"cell", "cells", "cell type", "other", "unknown", "immune", "blood", "human"})
# Words after which a name is denied, or says where something else is.
_DENYING = frozenset(
    {"non", "not", "no", "without", "anti", "of", "in", "by", "for", "from", "to", "with"}
)


@dataclass(frozen=True, slots=True)
class _Rewrite:
    """Another text for the label, what it cost, and what was assumed."""

    text: str
    factor: float
    notice: str = ""
    scope: Scope | None = None


def ground_label(
    text: str,
    graph: KnowledgeGraph,
    *,
    category: Category = Category.CELL_TYPE,
    limit: int = 5,
) -> tuple[Candidate, ...]:
    """Rank the terms of a category that a whole label may mean.

    Parameters
    ----------
    text
        A label as found in a dataset ("CD14+ Mono_2", "Endothelial cell (lymphatic)").
    graph
        Where names are looked up.
    category
        What the label is a name of.
    limit
        At most so many.

    Returns
    -------
    tuple of Candidate
        Best first; ``notice`` says what was assumed. Empty when nothing comes close.
    """
    labels = _Labels(graph, category)
    found: list[Candidate] = []
    for rule in (
        labels.written,
        labels.bracketed,
        labels.fewer_markers,
        labels.without_gene,
        labels.joined,
        labels.replaced,
        labels.alike,
        labels.respelt,
        labels.inside,
    ):
        found += [candidate for candidate in rule(text) if candidate.score >= _FLOOR]
        if found and max(c.score for c in found) >= SURE:
            break
        if found and rule in (labels.alike, labels.respelt):
            break
    best: dict[Curie, Candidate] = {}
    for candidate in sorted(found, key=lambda c: (-c.score, c.id)):
        best.setdefault(candidate.id, candidate)
    return tuple(best.values())[:limit]


def _plain(text: str) -> str:
    """The label with spaces for underscores and joints, without cluster numbers."""
    bare = _COUNTED.sub("", _NUMBERED.sub("", text)).replace("_", " ")
    bare = _JOINED_MARKERS.sub(" ", _JOINED_SIGN.sub(r"\1 ", bare))
    return " ".join(bare.split())


def _changed(
    found: list[Candidate], factor: float, notice: str = "", scope: Scope | None = None
) -> list[Candidate]:
    return [
        replace(
            c,
            score=round(c.score * factor, 4),
            scope=scope or c.scope,
            notice="; ".join(filter(None, (notice, c.notice))),
        )
        for c in found
    ]


class _Labels:
    """The rules, each from a label to candidates, for one graph and category."""

    def __init__(self, graph: KnowledgeGraph, category: Category) -> None:
        self.graph = graph
        self.category = category

    def look(self, text: str) -> list[Candidate]:
        return list(candidates(text, self.graph, categories=(self.category,)))

    def written(self, text: str) -> list[Candidate]:
        """The label as it stands, cleaned and written out."""
        partly: list[Candidate] = []
        for rewrite in self._rewrites(text):
            if found := self.look(rewrite.text):
                changed = _changed(found, rewrite.factor, rewrite.notice, rewrite.scope)
                if changed[0].scope is not Scope.NARROW:
                    return changed
                # Something was left out: another way to write it may need not to.
                partly = partly or changed
        return partly

    def _rewrites(self, text: str) -> Iterator[_Rewrite]:
        yield _Rewrite(text, 1.0)
        plain = _plain(text)
        numbered = normalise(plain) != normalise(text)
        yield _Rewrite(plain, 0.98, "a cluster's number was left out" if numbered else "")
        yield from self._written_out(plain)
        shorter = _TRAILING.sub("", plain)
        if shorter != plain:
            notice = f"{plain[len(shorter) :].strip()!r} was left out"
            yield _Rewrite(shorter, 0.9, notice, Scope.NARROW)
            for rewrite in self._written_out(shorter):
                yield replace(rewrite, factor=0.9 * rewrite.factor, notice=notice)

    def _written_out(self, form: str) -> Iterator[_Rewrite]:
        """The label with short words written out, its noun added, and genes as marker names."""
        words = tuple(normalise(form).split())
        long = tuple(w for word in words for w in expand(word))
        if not long:
            return
        read = f"read as {' '.join(long)!r}" if long != words else ""
        if read:
            yield _Rewrite(" ".join(long), 0.95, read)
        if long[-1] not in ("cell", "lymphocyte"):
            yield _Rewrite(" ".join((*long, "cell")), 0.96, read)
        alone = all(word in _STATES or MARKER.fullmatch(word) for word in long)
        if alone and {"cd4", "cd8"} & set(long):
            # Markers and states without a noun: with CD4 or CD8 they are T cells'.
            yield _Rewrite(" ".join((*long, "T", "cell")), 0.9, "taken for a T cell")
        for gene, marker in self._marker_names(form):
            named = _GENE_SIGN.sub(f"{marker} positive ", form, count=1)
            out = " ".join(w for word in normalise(named).split() for w in expand(word))
            yield _Rewrite(out, 0.9, f"{gene} is {marker}")

    def _marker_names(self, form: str) -> list[tuple[str, str]]:
        """CD names of the gene that a label gives as its marker (FCGR3A is CD16)."""
        match = _GENE_SIGN.search(form)
        if match is None or MARKER.fullmatch(match["gene"].lower()):
            return []
        key = normalise(match["gene"])
        entries = self.graph.lookup([key]).get(key, ())
        genes = self.graph.terms({e.id for e in entries if e.category is Category.GENE})
        texts = (synonym.text for gene in genes.values() for synonym in gene.synonyms)
        found = (re.fullmatch(r"(CD\d+)[A-Za-z]?", text) for text in texts)
        return [(match["gene"], name) for name in dict.fromkeys(m[1] for m in found if m)]

    def bracketed(self, text: str) -> list[Candidate]:
        """What stands in brackets before what stands outside, then alone."""
        match = _BRACKETS.match(_plain(text))
        if match is None:
            return []
        inner, outer = match["inner"].strip(), match["outer"].strip()
        for form, factor in ((f"{inner} {outer}", 0.95), (inner, 0.9)):
            found = self.written(form) or alike(form, self.graph, self.category, least=0.8)
            if found:
                return _changed(found, factor)
        return _changed(self.named(outer), 0.8, f"{inner!r} was left out", Scope.NARROW)

    def fewer_markers(self, text: str) -> list[Candidate]:
        """A type with other markers than its names have: a T cell keeps CD4 or CD8."""
        words = tuple(w for word in normalise(_plain(text)).split() for w in expand(word))
        parts = phenotype(words) or phenotype((*words, "cell")) or phenotype((*words, "t", "cell"))
        if parts is None:
            return []
        kept = [m for m in parts.markers if m[0] in ("cd4", "cd8") and parts.head == ("t", "cell")]
        gone = [f"{name} {sign}" for name, sign in parts.markers if (name, sign) not in kept]
        form = (*parts.states, *(w for pair in kept for w in pair), *parts.lineage, *parts.head)
        found = self.look(" ".join(form)) if gone else []
        return _changed(found, 0.9, f"{', '.join(gone)} was left out", Scope.NARROW)

    def without_gene(self, text: str) -> list[Candidate]:
        """A label that tells a cluster apart by a gene: the type without it."""
        label = _plain(text)
        match = _GENE_SIGN.search(label)
        if match is None or MARKER.fullmatch(match["gene"].lower()):
            return []
        rest = " ".join(f"{label[: match.start()]} {label[match.end() :]}".split())
        found = self.named(rest) if rest else []
        return _changed(found, 0.9, f"{match[0]!r} was left out", Scope.NARROW)

    def named(self, text: str) -> list[Candidate]:
        return self.written(text) or self.alike(text)

    def joined(self, text: str) -> list[Candidate]:
        """Names joined by a slash: the one that is a name, or what all of them are."""
        label = _plain(text)
        inner = _BRACKETS.match(label)
        core = inner["inner"] if inner and "/" in inner["inner"] else label
        pieces = [piece.strip() for piece in re.split(r"\s*/\s*|\s+(?:or|and|&)\s+", core)]
        if len(pieces) < 2:
            return []
        meant = {p: found[0] for p in pieces if not _CODE.fullmatch(p) and (found := self.named(p))}
        if len({c.id for c in meant.values()}) > 1:
            return self._supertype(list(meant.values()))
        left = [repr(piece) for piece in pieces if piece not in meant]
        notice = f"{', '.join(left)} was left out" if left else ""
        return _changed(list(meant.values())[:1], 0.95, notice)

    def _supertype(self, named: list[Candidate]) -> list[Candidate]:
        """The deepest type above all of the named ones, then these."""
        notice = "the label names " + " and ".join(c.label for c in named)
        singles = _changed(named, 0.75, notice, Scope.BROAD)
        lines = [self.graph.ancestors(c.id) for c in named]
        shared = set.intersection(*(set(line) for line in lines))
        nearest = min(shared, key=lambda a: (len(self.graph.descendants(a)), a), default=None)
        if nearest is None or sum(line[nearest] for line in lines) / len(lines) > _TOO_FAR_UP:
            return singles
        above = self.graph.terms([nearest])[nearest]
        joint = Candidate(
            above.id, above.label, above.category, min(c.score for c in named), Scope.NARROW,
            above.label, above.source, above.release, "words",
            notice=notice + "; their closest common supertype",
        )  # fmt: skip
        return [*_changed([joint], 0.9), *singles]

    def replaced(self, text: str) -> list[Candidate]:
        """The label with its last words replaced by another name of what they mean."""
        words = _plain(text).split()
        for i in range(1, len(words)):
            for meant in self.look(" ".join(words[i:]))[:1]:
                term = self.graph.term(meant.id)
                others = [s.text for s in term.synonyms] if term else []
                for other in (meant.label, *others):
                    if found := self.look(" ".join((*words[:i], other))):
                        return _changed(found, 0.95, f"{' '.join(words[i:])!r} is {other!r}")
                return []
        return []

    def alike(self, text: str) -> list[Candidate]:
        """The name that is most alike."""
        return alike(_plain(text), self.graph, self.category)

    def respelt(self, text: str) -> list[Candidate]:
        """The label with its unknown words corrected."""
        names = vocabulary(self.graph, self.category)
        words = normalise(_plain(text)).split()
        near = {w: names.speller.near(w) for w in words if w not in names.spelt}
        corrected = " ".join(near[w][0][0] if near.get(w) else w for w in words)
        if corrected == " ".join(words):
            return []
        found = self.look(corrected) or alike(corrected, self.graph, self.category)
        changed = _changed(found, 0.75, f"read as {corrected!r}")
        return [replace(c, how="spelling") for c in changed]

    def inside(self, text: str) -> list[Candidate]:
        """The longest part of the label that is a name; of several a noun, then the last."""
        words = re.split(r"[\s/]+", _plain(text))
        for size in range(len(words) - 1, 0, -1):
            named = []
            for i in range(len(words) - size, -1, -1):
                part = " ".join(words[i : i + size])
                denied = i and words[i - 1].lower() in _DENYING
                if part.lower() not in _EMPTY and not denied and (found := self.written(part)):
                    adjective = found[0].matched.endswith("cell") and "cell" not in part
                    named.append((adjective, part, found[0]))
            if named:
                _, part, candidate = min(named, key=lambda entry: entry[0])
                notice = f"only {part!r} of the label is a name"
                changed = _changed([candidate], 0.65, notice, Scope.NARROW)
                return [replace(c, how="part") for c in changed]
        return []
