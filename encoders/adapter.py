"""Cells in a language model's prompt: soft tokens among the words, read by any causal model.

The prompt of BioVERSE (IBM 2025). Where a text says ``[BIO]`` a cell, or the mean of a group of
cells, is put in as ``[BIO_START] [BIO_1] ... [BIO_k] [Bt] [BIO_END]``: k soft tokens that a
:class:`encoders.projector.Projector` makes of an encoder's vector, one trainable token, and two
marks. ``[ANSWER]`` stands between a prompt and its answer. The marks have a small table of
embeddings of their own, so that the model's vocabulary keeps its size and what is saved is small.

>>> Prompt("What cell type is this? [BIO]", "T cell").groups
1

:class:`SoftTokenModel` lays such prompts out, gives the loss of their answers, continues them,
scores candidate answers and gives the states at the soft tokens. It knows neither what made the
vectors nor how it is trained (:mod:`training.align`, :mod:`training.instruct`).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import nn

from data.errors import BadFile, BadInput, DependencyMissing
from encoders import checkpoint
from encoders.language import Generated, LanguageModel
from encoders.projector import Projector, ProjectorConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "BIO",
    "CONTEXT",
    "IGNORED",
    "LORA",
    "Assembled",
    "Projector",
    "ProjectorConfig",
    "Prompt",
    "SoftTokenModel",
    "shared_copy",
    "with_lora",
]

BIO = "[BIO]"
"""Stands for a cell, or a group of cells, in the text of a prompt."""

CONTEXT = "[CONTEXT]"
"""Stands where a prompt's context goes; without it the context goes in front."""

IGNORED = -100
"""Label of a position that the loss passes over, as in torch and transformers."""

LORA = "lora"
"""Folder of the language model's own adapter below that of the soft tokens."""

MARKS = ("[BIO_START]", "[BIO_END]", "[ANSWER]")

_NAME = "adapter"
_VERSION = 1
# In a row of ids, what is no word: a mark (its place in MARKS is -1 - id), [Bt], a soft token.
_START, _END, _ANSWER, _BT, _SOFT = -1, -2, -3, -4, -5

Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text with ``[BIO]`` for each cell or group, and the answer where it is known.

    ``context`` is what may be cut, from its end, where the whole does not fit the model: facts,
    passages. The text, the soft tokens and the answer are never cut.
    """

    text: str
    answer: str | None = None
    context: str = ""

    @property
    def groups(self) -> int:
        """How many cells or groups of cells it holds."""
        return self.text.count(BIO)


class Assembled(NamedTuple):
    """Prompts laid out for the model: b prompts of t tokens, w wide.

    ``embeddings`` [b, t, w]; ``mask`` [b, t], 1 for tokens and 0 for padding; ``labels`` [b, t],
    ``IGNORED`` up to and including ``[ANSWER]`` and on padding; ``soft`` [b, t], where the soft
    tokens and [Bt] are.
    """

    embeddings: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor
    soft: torch.Tensor


class SoftTokenModel(nn.Module):
    """A language model that reads cells; its own parameters are the projector's and the marks'.

    Attributes
    ----------
    language
        The language model; it is not a part of this module, so that ``parameters()`` are those of
        stage 1 alone.
    projector
        Vectors to soft tokens.
    marks
        The embeddings of ``[BIO_START]``, ``[BIO_END]`` and ``[ANSWER]``, [3, w].

    Raises
    ------
    BadInput
        When the projector's width is not the language model's.
    """

    def __init__(self, language: LanguageModel, projector: Projector) -> None:
        super().__init__()
        if projector.config.width_out != language.width:
            raise BadInput(
                f"the projector makes soft tokens {projector.config.width_out} wide and the words "
                f"of {language.name} are {language.width} wide; expected the same"
            )
        self.language = language
        self.projector = projector
        self.marks = nn.Parameter(torch.randn(len(MARKS), language.width) * language.scale)
        self.to(language.device)

    # --- laying out ----------------------------------------------------------------------------

    def assemble(
        self,
        prompts: Sequence[Prompt],
        vectors: torch.Tensor | None,
        *,
        side: Side = "left",
        limit: int | None = None,
    ) -> Assembled:
        """Lay out prompts, with their answers where they have one.

        Parameters
        ----------
        prompts
            At least one.
        vectors
            One vector for each ``[BIO]`` in the order of the prompts, [groups, d], or k of them,
            [groups, k, d]; None where there is none.
        side
            Where shorter prompts are padded. It changes no output.
        limit
            The most tokens; the language model's own limit where it is smaller.

        Raises
        ------
        BadInput
            When there are not as many vectors as groups, or a prompt without its context is too
            long.
        """
        groups = sum(prompt.groups for prompt in prompts)
        given = 0 if vectors is None else len(vectors)
        if not prompts or groups != given:
            raise BadInput(
                f"{len(prompts)} prompts with {groups} of {BIO} were given {given} vectors; "
                "expected one for each, and at least one prompt"
            )
        most = min(limit or self.language.context, self.language.context)
        rows = [self._row(prompt, most) for prompt in prompts]
        ids, mask, answered = _pad([row for row, _ in rows], [n for _, n in rows], side)
        ids, mask, answered = (x.to(self.language.device) for x in (ids, mask, answered))
        embeddings = self._embed(ids, vectors)
        labels = torch.where(answered, ids, IGNORED)
        soft = (ids == _SOFT) | (ids == _BT)
        return Assembled(embeddings, mask, labels, soft)

    def _row(self, prompt: Prompt, most: int) -> tuple[list[int], int]:
        """The ids of a prompt and how many of them, at the end, are the answer."""
        tokens = self.language.tokens
        group = [_START, *[_SOFT] * self.projector.config.tokens]
        group += [_BT, _END] if self.projector.config.bt else [_END]
        text = prompt.text if CONTEXT in prompt.text else CONTEXT + prompt.text
        before, after = text.split(CONTEXT, 1)
        front, back = self._words(before, group), self._words(after, group)
        answer: list[int] = []
        if prompt.answer is not None:
            answer = [*tokens(prompt.answer), self.language.tokenizer.eos_token_id]
        left = most - len(front) - len(back) - 1 - len(answer)
        if left < 0:
            raise BadInput(
                f"a prompt has {most - left} tokens without its context; expected at most {most} "
                f"for {self.language.name}"
            )
        middle = tokens(prompt.context)[:left] if prompt.context else []
        return [*front, *middle, *back, _ANSWER, *answer], len(answer)

    def _words(self, text: str, group: list[int]) -> list[int]:
        found: list[int] = []
        for number, piece in enumerate(text.split(BIO)):
            found += group if number else []
            found += self.language.tokens(piece) if piece else []
        return found

    def _embed(self, ids: torch.Tensor, vectors: torch.Tensor | None) -> torch.Tensor:
        """Words from the model's table, marks from this one's, cells through the projector."""
        dtype = self.language.dtype
        embeddings = self.language.words(ids.clamp(min=0)).clone()  # [b, t, w]
        for mark in (_START, _END, _ANSWER):
            embeddings[ids == mark] = self.marks[-1 - mark].to(dtype)
        if self.projector.bt is not None:
            embeddings[ids == _BT] = self.projector.bt.to(dtype)
        if vectors is not None:
            own = self.marks
            soft = self.projector(vectors.to(own.device, own.dtype))  # [groups, k, w]
            # Row by row from the left: the order of the prompts, and within one that of its text.
            embeddings[ids == _SOFT] = soft.flatten(0, 1).to(dtype)
        return embeddings

    # --- what the model says -------------------------------------------------------------------

    def loss(self, batch: Assembled) -> torch.Tensor:
        """Mean cross-entropy of the answers' tokens, each predicted from all before it.

        Logits are made from the first answer on only; with padding on the left that is little
        more than the answers.
        """
        labelled = (batch.labels != IGNORED).any(0).nonzero()
        if not len(labelled):
            raise BadInput("no prompt of the batch has an answer; expected one to learn from")
        keep = batch.labels.shape[1] - int(labelled[0]) + 1
        logits = self.language.forward(batch.embeddings, batch.mask, keep)[:, :-1]
        targets = batch.labels[:, -logits.shape[1] :]
        return nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED
        )

    def generate(
        self,
        prompts: Sequence[Prompt],
        vectors: torch.Tensor | None,
        *,
        max_new_tokens: int = 20,
        seconds: float | None = None,
        allowed: Sequence[str] | None = None,
    ) -> list[Generated]:
        """Continue each prompt greedily; answers that they carry are not shown to the model.

        With ``allowed`` one of these texts is written and nothing else.
        """
        batch = self._ask(prompts, vectors, self.language.context - max_new_tokens)
        return self.language.generate_from(
            batch.embeddings, batch.mask, max_new_tokens=max_new_tokens, seconds=seconds,
            allowed=allowed,
        )  # fmt: skip

    def score(
        self,
        prompts: Sequence[Prompt],
        vectors: torch.Tensor | None,
        candidates: Sequence[str],
        *,
        cached: bool = True,
    ) -> NDArray[np.float64]:
        """Log probability of each candidate as the answer, a token on average, [b, candidates].

        ``cached`` reads every prompt once for all candidates; without it the scores are the same.
        """
        longest = max((self.language.count(text) for text in candidates), default=0)
        batch = self._ask(prompts, vectors, self.language.context - longest)
        return self.language.score_from(batch.embeddings, batch.mask, candidates, cached=cached)

    def embed(self, prompts: Sequence[Prompt], vectors: torch.Tensor) -> torch.Tensor:
        """Mean last-layer state over the soft tokens and [Bt] of each prompt, [b, w].

        With gradient: the contextual alignment trains through it.
        """
        plain = [Prompt(prompt.text, None, prompt.context) for prompt in prompts]
        batch = self.assemble(plain, vectors)
        states = self.language.states(batch.embeddings, batch.mask).float()  # [b, t, w]
        weight = batch.soft.unsqueeze(-1).float()
        return (states * weight).sum(1) / weight.sum(1).clamp(min=1)

    def _ask(
        self, prompts: Sequence[Prompt], vectors: torch.Tensor | None, limit: int
    ) -> Assembled:
        plain = [Prompt(prompt.text, None, prompt.context) for prompt in prompts]
        training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                return self.assemble(plain, vectors, limit=limit)
        finally:
            self.train(training)

    # --- keeping -------------------------------------------------------------------------------

    def save(
        self, folder: Path, *, encoder: Mapping[str, Any], about: Mapping[str, Any] | None = None
    ) -> str:
        """Write projector, [Bt] and marks as safetensors beside a JSON document.

        Parameters
        ----------
        folder
            Made if need be.
        encoder
            What tells the encoder from others (``name`` at least); compared at loading.
        about
            What else the document shall say: data, seed, figures.

        Returns
        -------
        str
            The sha256 of the tensors.
        """
        return checkpoint.save_module(
            folder, _NAME, self, {"projector": self.projector.document(), "marks": list(MARKS)},
            version=_VERSION, about=about,
            made_for={"language": self.language.identity, "encoder": dict(encoder)},
        )  # fmt: skip

    @classmethod
    def load(
        cls,
        folder: Path,
        language: LanguageModel,
        *,
        encoder: Mapping[str, Any] | None = None,
        lora: bool = True,
    ) -> SoftTokenModel:
        """Read what :meth:`save` wrote, and the language model's adapter beside it.

        Parameters
        ----------
        folder
            Of the soft tokens; one named ``lora`` below it holds the language model's adapter.
        language
            The model that it was made for; it is left as it is.
        encoder
            Fields of the encoder in use, compared with those saved; None to accept any.
        lora
            Also use the language model's adapter, where there is one.

        Raises
        ------
        BadFile
            When the files cannot be used, or were made for another language model or encoder:
            one line that names both sides.
        """

        def make(document: Mapping[str, Any]) -> SoftTokenModel:
            projector = Projector(ProjectorConfig(**document["projector"]))
            tuned = lora and (folder / LORA).is_dir()
            return cls(with_lora(language, folder / LORA) if tuned else language, projector)

        to_do = "name the model that it was trained with, or train again: celloquy train align"
        same = "use the encoder that it was trained with"
        made, _ = checkpoint.load_module(
            folder, _NAME, make, what="adapter", version=_VERSION,
            made_for={
                "language": checkpoint.MadeFor(language.identity, to_do),
                "encoder": checkpoint.MadeFor(encoder or {}, same),
            },
        )  # fmt: skip
        return made


def with_lora(language: LanguageModel, folder: Path) -> LanguageModel:
    """The language model with a low-rank adapter; the one given stays as it is.

    The two share their weights: only the thin layers of the adapter are new.

    Raises
    ------
    BadFile
        When the folder holds no adapter in safetensors, or one for another model.
    DependencyMissing
        When peft is not installed.
    """
    if not (folder / "adapter_model.safetensors").is_file():
        raise BadFile(f"{folder} holds no adapter_model.safetensors; expected what peft saves")
    try:
        from peft import PeftModel
    except ImportError as error:
        raise DependencyMissing(
            "a low-rank adapter needs peft; install it with: pip install 'celloquy[models]'"
        ) from error
    base = shared_copy(language.model)
    try:
        with warnings.catch_warnings():
            # peft 0.21 asks for a name that transformers 5 deprecates.
            warnings.simplefilter("ignore", FutureWarning)
            model = PeftModel.from_pretrained(base, str(folder), is_trainable=False)
    except (ValueError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadFile(f"the adapter {folder} cannot be put on {language.name}: {reason}") from None
    return LanguageModel(language.name, model, language.tokenizer)


def shared_copy(model: nn.Module) -> Any:
    """A copy whose layers are its own and whose weights are the given model's."""
    kept = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    return copy.deepcopy(model, memo=kept)


def _pad(
    rows: Sequence[list[int]], answers: Sequence[int], side: Side
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, mask, and where the answers are, [b, t] each."""
    width = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    answered = torch.zeros(len(rows), width, dtype=torch.bool)
    for number, (row, length) in enumerate(zip(rows, answers, strict=True)):
        start = width - len(row) if side == "left" else 0
        end = start + len(row)
        ids[number, start:end] = torch.tensor(row)
        mask[number, start:end] = 1
        answered[number, end - length : end] = length > 0
    return ids, mask, answered
