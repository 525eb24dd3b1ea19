"""Cell types as texts, and their vectors in a language model's two spaces.

A type's text is its label, with exact synonyms or the definition where asked for. In the token
space its vector is the mean embedding of its tokens; in the contextual one the mean of the last
layer's states. Both are made once for a list of texts and kept by content. What cells look like in
these spaces is :mod:`encoders.aligned`'s.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from data import locations
from data.errors import BadFile, BadInput
from kg.terms import Scope, Term

if TYPE_CHECKING:
    from encoders.language import LanguageModel

__all__ = ["TextKind", "naming", "state_vectors", "term_text", "token_vectors"]

TextKind = Literal["label", "synonyms", "definition"]

_SYNONYMS = 3
_WORDS = 40  # of a definition: two sentences; what follows is references and remarks
_BATCH = 16


def term_text(term: Term, kind: TextKind = "label") -> str:
    """What is said of a cell type.

    >>> from kg.terms import Category
    >>> term = Term("CL:0000084", "T cell", Category.CELL_TYPE, "CL", "1", "A type of lymphocyte.")
    >>> term_text(term, "definition")
    'T cell: A type of lymphocyte.'
    """
    if kind == "label":
        return term.label
    if kind == "synonyms":
        other = [s.text for s in term.synonyms if s.scope in (Scope.EXACT, Scope.LABEL)]
        names = [term.label, *(name for name in other if name != term.label)]
        return ", ".join(dict.fromkeys(names[: 1 + _SYNONYMS]))
    if kind == "definition":
        said = " ".join(term.definition.split()[:_WORDS])
        return f"{term.label}: {said}" if said else term.label
    raise BadInput(f"no text of the kind {kind!r}; expected label, synonyms or definition")


def naming(label: str) -> str:
    """The answer that names a type, as instruction tuning teaches it.

    >>> naming("astrocyte")
    'This is an astrocyte.'
    """
    return f"This is {'an' if label[0] in 'aeiouAEIOU' else 'a'} {label}."


def token_vectors(language: LanguageModel, texts: Sequence[str]) -> NDArray[np.float32]:
    """Mean token embedding of each text, [texts, width]."""
    import torch

    rows = []
    with torch.inference_mode():
        for text in texts:
            ids = language.tokens(text)
            if not ids:
                raise BadInput("a text is empty; expected the name of a cell type")
            words = language.words(torch.tensor(ids, device=language.device))  # [t, w]
            rows.append(words.float().mean(0).cpu().numpy())
    return np.asarray(rows, dtype=np.float32).reshape(len(texts), language.width)


def state_vectors(
    language: LanguageModel, texts: Sequence[str], *, keep: bool = True
) -> NDArray[np.float32]:
    """Mean last-layer state of each text over its tokens, [texts, width].

    ``keep`` stores the result below :func:`data.locations.models` and takes it from there the
    next time.
    """
    import torch
    from safetensors.numpy import load_file, save_file

    key = json.dumps([language.identity, str(language.dtype), list(texts)], sort_keys=True)
    name = hashlib.sha256(key.encode()).hexdigest()[:32]
    path = locations.models() / "labels" / f"{name}.safetensors"
    if keep and path.exists():
        try:
            return load_file(path)["states"]
        except (OSError, ValueError, KeyError) as error:
            raise BadFile(f"{path} is no file of vectors ({error}); remove it") from None
    ids = [language.tokens(text) for text in texts]
    found = np.zeros((len(texts), language.width), dtype=np.float32)
    order = sorted(range(len(texts)), key=lambda i: len(ids[i]))  # alike in length: little padding
    with torch.inference_mode():
        for start in range(0, len(order), _BATCH):
            some = order[start : start + _BATCH]
            longest = max(len(ids[i]) for i in some)
            rows = [ids[i] + [0] * (longest - len(ids[i])) for i in some]
            mask = torch.tensor([[1] * len(ids[i]) + [0] * (longest - len(ids[i])) for i in some])
            mask = mask.to(language.device)
            words = language.words(torch.tensor(rows, device=language.device))
            states = language.states(words, mask).float() * mask.unsqueeze(-1)  # [b, t, w]
            found[some] = (states.sum(1) / mask.sum(1, keepdim=True)).cpu().numpy()
    if keep:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"states": found}, path)
    return found
