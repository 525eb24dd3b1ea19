"""Images and transcriptomes in a language model's prompt, each through a resampler of its own.

The prompt is ``question passages [IMAGE] R_image [/IMAGE] [GENE] R_gene [/GENE] prefix answer``.
A modality that is absent leaves no token behind: no zeros stand for it, and a prompt with neither
is the plain text, token for token. ``prefix`` is forced, the start of every answer: "The knocked
out gene is".

:class:`MultimodalModel` lays prompts out and scores candidate answers or continues them; the
language model itself is :mod:`encoders.language`'s, its thin layers :mod:`encoders.adapter`'s. It
knows neither what the features are nor how it is trained (:mod:`training.knockout.train`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from data.errors import BadInput
from encoders.adapter import IGNORED, LORA, Assembled, with_lora
from encoders.checkpoint import MadeFor, load_module, save_module
from encoders.image.resampler import Resampler, ResamplerConfig, padded
from encoders.knockout.answers import Answers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from encoders.language import Generated, LanguageModel

__all__ = ["MODALITIES", "Asked", "MultimodalModel"]

MODALITIES = ("image", "gene")
"""In the order in which they stand in a prompt."""

MARKS = ("[IMAGE]", "[/IMAGE]", "[GENE]", "[/GENE]")

_NAME = "multimodal"
_VERSION = 1
_SOFT = -10  # in a row of ids: a soft token of the first modality; a mark is -1 - its place
_SIDES = ("left", "right")


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One prompt: words, what is attached, and the answer where it is known.

    ``features`` holds an encoder's tokens [t, d] by modality; one that is absent is left out.
    """

    question: str
    features: Mapping[str, torch.Tensor] = field(default_factory=dict)
    passages: Sequence[str] = ()
    prefix: str = ""
    answer: str | None = None


class MultimodalModel(nn.Module):
    """A language model that sees images and expression; its own parameters are resamplers, marks.

    Attributes
    ----------
    language
        The language model; no part of this module, so that ``parameters()`` are stage 1's alone.
    resamplers
        By modality.
    marks
        The embeddings of ``[IMAGE] [/IMAGE] [GENE] [/GENE]``, [4, w].

    Raises
    ------
    BadInput
        When there is no resampler, one of an unknown modality, or one of another width.
    """

    def __init__(self, language: LanguageModel, resamplers: Mapping[str, Resampler]) -> None:
        super().__init__()
        for name, one in resamplers.items():
            if name not in MODALITIES or one.config.width_out != language.width:
                raise BadInput(
                    f"the resampler {name!r} makes tokens {one.config.width_out} wide; expected "
                    f"one of {', '.join(MODALITIES)}, {language.width} wide as the words of "
                    f"{language.name}"
                )
        if not resamplers:
            raise BadInput(f"no resampler was given; expected one for {' or '.join(MODALITIES)}")
        self.language = language
        self.resamplers = nn.ModuleDict(dict(resamplers))
        # Started as the mean of their own word pieces: beside random vectors a model repeats names
        # that stand between them half as surely (docs/experiments/knockout.md).
        self.marks = nn.Parameter(torch.stack([_mark(language, one) for one in MARKS]))
        self.to(language.device)

    def soft(self, name: str, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Soft tokens of one modality, [b, M, w]."""
        if name not in self.resamplers:
            known = ", ".join(self.resamplers)
            raise BadInput(f"this model reads no {name}; it was trained on: {known}")
        side_by_side, mask = padded([one.to(self.marks.device, self.marks.dtype)
                                     for one in features])  # fmt: skip
        found: torch.Tensor = self.resamplers[name](side_by_side, mask)
        return found

    # --- laying out ----------------------------------------------------------------------------

    def assemble(self, prompts: Sequence[Asked], *, side: str = "left") -> Assembled:
        """Lay out prompts, with their answers where they have one.

        Parameters
        ----------
        prompts
            At least one.
        side
            ``left`` or ``right``: where shorter prompts are padded. It changes no output.

        Raises
        ------
        BadInput
            When there is no prompt, a modality is unknown, or a prompt is too long.
        """
        if not prompts or side not in _SIDES:
            raise BadInput(f"{len(prompts)} prompts, padded {side}; expected at least one, and "
                           f"{' or '.join(_SIDES)}")  # fmt: skip
        rows = [self._row(one) for one in prompts]
        longest = max(len(ids) for ids, _ in rows)
        if longest > self.language.context:
            raise BadInput(f"a prompt has {longest} tokens; {self.language.name} reads at most "
                           f"{self.language.context}; give fewer passages")  # fmt: skip
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
        for number, (row, answer) in enumerate(rows):
            start = longest - len(row) if side == "left" else 0
            end = start + len(row)
            ids[number, start:end] = torch.tensor(row)
            mask[number, start:end] = 1
            labels[number, end - answer : end] = torch.tensor(row[len(row) - answer :])
        device = self.language.device
        ids, mask, labels = ids.to(device), mask.to(device), labels.to(device)
        return Assembled(self._embed(ids, prompts), mask, labels, ids <= _SOFT)

    def _row(self, prompt: Asked) -> tuple[list[int], int]:
        """The ids of a prompt and how many of them, at the end, are the answer."""
        words = self.language.tokens
        row = words(" ".join([prompt.question, *prompt.passages]))
        if unknown := set(prompt.features) - set(MODALITIES):
            raise BadInput(f"{sorted(unknown)[0]!r} is no modality; expected: "
                           f"{', '.join(MODALITIES)}")  # fmt: skip
        for place, name in enumerate(MODALITIES):
            if name in prompt.features and name in self.resamplers:
                many = int(self.resamplers[name].config.tokens)  # type: ignore[union-attr, arg-type]
                row += [-1 - 2 * place, *[_SOFT - place] * many, -2 - 2 * place]
            elif name in prompt.features:
                known = ", ".join(self.resamplers)
                raise BadInput(f"this model reads no {name}; it was trained on: {known}")
        row += words(prompt.prefix) if prompt.prefix else []
        if prompt.answer is None:
            return row, 0
        answer = [*words(prompt.answer), self.language.tokenizer.eos_token_id]
        return row + answer, len(answer)

    def _embed(self, ids: torch.Tensor, prompts: Sequence[Asked]) -> torch.Tensor:
        """Words from the model's table, marks from this one's, the rest through the resamplers."""
        dtype = self.language.dtype
        embeddings = self.language.words(ids.clamp(min=0)).clone()  # [b, t, w]
        for place in range(len(MARKS)):
            embeddings[ids == -1 - place] = self.marks[place].to(dtype)
        for place, name in enumerate(MODALITIES):
            given = [one.features[name] for one in prompts if name in one.features]
            if given:
                # Row by row from the left: the order of the prompts.
                soft = self.soft(name, given).flatten(0, 1)
                embeddings[ids == _SOFT - place] = soft.to(dtype)
        return embeddings

    # --- what the model says -------------------------------------------------------------------

    def score(
        self, prompts: Sequence[Asked], candidates: Sequence[str], *, rows: int = 16
    ) -> NDArray[np.float64]:
        """Log probability of each candidate as the answer, [b, candidates].

        Parameters
        ----------
        prompts
            Answers that they carry are not shown to the model.
        candidates
            As they stand after the prefix, with the space before; each ends with a full stop, so
            that none is the start of another.
        rows
            Prompts at once.
        """
        import numpy as np

        lengths = np.array([self.language.count(one) for one in candidates])
        found = []
        for start in range(0, len(prompts), rows):
            batch = self._ask(prompts[start : start + rows])
            found.append(self.language.score_from(batch.embeddings, batch.mask, candidates))
        sums: NDArray[np.float64] = np.concatenate(found) * lengths
        return sums

    def choose(
        self, prompts: Sequence[Asked], answers: Sequence[str], *, rows: int = 16
    ) -> NDArray[np.float64]:
        """Log probability of each answer where nothing else may be said, [b, answers].

        Parameters
        ----------
        prompts
            Answers that they carry are not shown to the model.
        answers
            As they stand after the prefix: :class:`encoders.knockout.answers.Answers`.
        rows
            Prompts at once.
        """
        import numpy as np

        tree = Answers(self.language, answers)
        found = []
        with torch.inference_mode():
            for start in range(0, len(prompts), rows):
                among = tree.scores(self._ask(prompts[start : start + rows])).among
                found.append(among.double().cpu().numpy())
        sums: NDArray[np.float64] = np.concatenate(found)
        return sums

    def generate(self, prompts: Sequence[Asked], *, max_new_tokens: int = 20) -> list[Generated]:
        """Continue each prompt greedily; answers that they carry are not shown to the model."""
        batch = self._ask(prompts)
        return self.language.generate_from(
            batch.embeddings, batch.mask, max_new_tokens=max_new_tokens
        )

    def _ask(self, prompts: Sequence[Asked]) -> Assembled:
        plain = [Asked(p.question, p.features, p.passages, p.prefix) for p in prompts]
        training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                return self.assemble(plain)
        finally:
            self.train(training)

    # --- keeping -------------------------------------------------------------------------------

    def save(
        self, folder: Path, *, encoder: Mapping[str, Any], about: Mapping[str, Any] | None = None
    ) -> str:
        """Write resamplers and marks as safetensors beside a JSON document; returns the sha256.

        ``encoder`` tells the encoders from others, by modality; ``about`` is what else the
        document shall say.
        """
        own = {
            "resamplers": {n: r.document() for n, r in self.resamplers.items()},  # type: ignore[operator]
            "marks": list(MARKS),
        }
        made_for = {"language": self.language.identity, "encoder": dict(encoder)}
        return save_module(
            folder, _NAME, self, own, version=_VERSION, made_for=made_for, about=about
        )

    @classmethod
    def load(
        cls, folder: Path, language: LanguageModel, *, lora: bool = True
    ) -> tuple[MultimodalModel, dict[str, Any]]:
        """Read what :meth:`save` wrote, with the language model's own adapter where there is one.

        Returns
        -------
        tuple
            The model, and the whole document.

        Raises
        ------
        BadFile
            When the files cannot be used, or were made for another language model.
        """

        def make(document: Mapping[str, Any]) -> MultimodalModel:
            resamplers = {
                name: Resampler(ResamplerConfig(**one))
                for name, one in document["resamplers"].items()
            }
            tuned = lora and (folder / LORA).is_dir()
            return cls(with_lora(language, folder / LORA) if tuned else language, resamplers)

        trained_with = MadeFor(
            language.identity, "name the language model that it was trained with"
        )
        return load_module(
            folder, _NAME, make, what="model", version=_VERSION,
            made_for={"language": trained_with},
        )  # fmt: skip


def _mark(language: LanguageModel, text: str) -> torch.Tensor:
    with torch.no_grad():
        words = language.words(torch.tensor(language.tokens(text), device=language.device))
    return words.float().mean(0)
