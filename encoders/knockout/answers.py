"""The answers that a model of knock-outs may give, as a tree of word pieces, and what they score.

A language model that may only say one of n names, each closed by a full stop, chooses wherever some
of them part: between ``IFNGR1`` and ``IFNGR2`` at the last piece, between most at the first. The
probability of a name is the product over these places of that of its own piece among those that
stand there (the model decoded under a constraint). What stands between the places adds no choice
and is not read, which makes a prompt with 20 names of genes a quarter as long.

:meth:`Answers.scores` reads each prompt once, with all places behind it at once: each sees the
prompt and the pieces on its own way. Gradients reach the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from data.errors import BadInput
from encoders.language import positions

if TYPE_CHECKING:
    from encoders.adapter import Assembled
    from encoders.language import LanguageModel

__all__ = ["Answers", "Scores"]


class Scores(NamedTuple):
    """Log probabilities [prompts, names]: ``among`` the names, and ``free``, among all words.

    ``free`` leaves out what stands between the places of choice, as ``among`` does.
    """

    among: torch.Tensor
    free: torch.Tensor


class Answers:
    """The tree of some answers' word pieces.

    Attributes
    ----------
    pieces, above
        The id of each piece that is read, and the place of the piece before it, -1 for the prompt.
    places
        By place of choice (-1 is the end of the prompt): the pieces that may follow.

    Raises
    ------
    BadInput
        When there are fewer than two answers, one is empty, or one is the start of another.
    """

    def __init__(self, language: LanguageModel, answers: Sequence[str]) -> None:
        rows = [tuple(language.tokens(one)) for one in answers]
        starts = {row[:n] for row in rows for n in range(len(row))}
        if len(rows) < 2 or not all(rows) or len(set(rows)) < len(rows) or starts & set(rows):
            raise BadInput(f"{len(rows)} answers, such as {', '.join(answers[:3])!r}; expected two "
                           "or more, none of them empty or the start of another")  # fmt: skip
        self.language = language
        after: dict[tuple[int, ...], list[int]] = {}
        for row in rows:
            for n, piece in enumerate(row):
                known = after.setdefault(row[:n], [])
                if piece not in known:
                    known.append(piece)
        parting = [start for start, some in after.items() if len(some) > 1]
        read = sorted({start[: n + 1] for start in parting for n in range(len(start))}, key=len)
        self.pieces = [start[-1] for start in read]
        self.above = [read.index(start[:-1]) if start[:-1] else -1 for start in read]
        self.depth = [len(start) for start in read]
        self.places = {read.index(one) if one else -1: after[one] for one in parting}
        # Of each answer: the places where it parts from others, and which piece is its own there.
        self._ways = [
            [(read.index(row[:n]) if n else -1, after[row[:n]].index(row[n]))
             for n in range(len(row)) if row[:n] in parting]
            for row in rows
        ]  # fmt: skip

    def scores(self, batch: Assembled) -> Scores:
        """What the language model gives each answer after each prompt.

        Parameters
        ----------
        batch
            Prompts padded on the left, without answers.
        """
        states = self._states(batch)  # [b, 1 + pieces, w]; the first is the end of the prompt
        table = self.language.model.get_output_embeddings().weight
        among: dict[int, torch.Tensor] = {}
        free: dict[int, torch.Tensor] = {}
        for place, some in self.places.items():
            state = states[:, place + 1]
            every = torch.nn.functional.linear(state, table).float()  # [b, vocabulary]
            # In full precision: of bfloat16 logits neighbours differ by a sixteenth.
            own = state.float() @ table[some].float().T
            among[place] = own.log_softmax(-1)
            free[place] = own - every.logsumexp(-1, keepdim=True)
        return Scores(self._summed(among), self._summed(free))

    def _summed(self, found: dict[int, torch.Tensor]) -> torch.Tensor:
        columns = [sum(found[place][:, own] for place, own in way) for way in self._ways]
        return torch.stack([torch.as_tensor(one) for one in columns], dim=1)

    def _states(self, batch: Assembled) -> torch.Tensor:
        """Last states of the prompt's end and of each piece, [b, 1 + pieces, w]."""
        b, t = batch.mask.shape
        n = len(self.pieces)
        ids = torch.tensor(self.pieces, dtype=torch.long, device=batch.embeddings.device)
        words = self.language.words(ids).expand(b, n, -1)
        seen = torch.zeros(b, t + n, t + n, dtype=torch.bool, device=ids.device)
        seen[:, :t, :t] = torch.ones(t, t, dtype=torch.bool, device=ids.device).tril()
        seen[:, t:, :t] = True
        seen[:, :, :t] &= batch.mask.bool().unsqueeze(1)
        for i, above in enumerate(self.above):
            if above >= 0:
                seen[:, t + i] = seen[:, t + above]
            seen[:, t + i, t + i] = True
        # Padding sees itself: a row that sees nothing has no softmax.
        seen |= torch.eye(t + n, dtype=torch.bool, device=ids.device)
        dtype = batch.embeddings.dtype
        hidden = torch.zeros(seen.shape, dtype=dtype, device=ids.device)
        hidden.masked_fill_(~seen, torch.finfo(dtype).min)
        place = positions(batch.mask)
        depth = torch.tensor(self.depth, dtype=torch.long, device=ids.device)
        states = self.language.model(
            inputs_embeds=torch.cat([batch.embeddings, words], dim=1),
            attention_mask=hidden.unsqueeze(1),
            position_ids=torch.cat([place, place[:, -1:] + depth], dim=1),
            use_cache=False,
            output_hidden_states=True,
            logits_to_keep=1,
        ).hidden_states[-1]
        found: torch.Tensor = states[:, t - 1 :]
        return found
