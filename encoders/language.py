"""The causal language model: the bundled SmolLM2, or any other by folder or hub id.

The bundled model (L. Ben Allal et al., SmolLM2, 2025, arXiv:2502.02737) comes as one GGUF file.
It is read by transformers, its blocks unpacked, and stored once as safetensors with its tokenizer
below :func:`data.locations.models`: reading the GGUF takes a minute, reading the copy a second.
Weights are read from safetensors only and no code of a model's repository is ever run.

Generation is greedy and bounded in tokens and seconds. The model knows nothing of evidence; what
it writes is a draft that :mod:`agent.verification.verify` checks.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import StringIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from data import locations, sources
from data.errors import BadInput, DependencyMissing

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

__all__ = ["BUNDLED", "Generated", "LanguageModel", "load", "positions"]

BUNDLED = "local"
"""The name under which the bundled model is asked for."""

_ASSET = "smollm2"
_MANIFEST = "celloquy.json"
_VERSION = 1  # of the stored copy; one of another version is made again

Finish = Literal["stop", "length", "time"]


@dataclass(frozen=True, slots=True)
class Generated:
    """What a model wrote, why it ended there, and how many tokens it took."""

    text: str
    finish: Finish
    tokens: int


class LanguageModel:
    """A loaded causal language model with its tokenizer; used by one thread at a time.

    Attributes
    ----------
    name
        How the model was asked for.
    model, tokenizer
        The transformers objects, for training and for soft tokens.
    width
        Of its token embeddings.
    """

    def __init__(self, name: str, model: Any, tokenizer: Any) -> None:
        self.name = name
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.width = int(model.get_input_embeddings().embedding_dim)
        # Batches are padded on the left, so that every row ends where its answer begins. SmolLM2
        # pads with its end token: the attention mask, never the id, says what is padding.
        self.tokenizer.padding_side = "left"
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        head = model.get_output_embeddings()
        # The last position alone is a strided slice of the hidden states; on bfloat16 weights a
        # product with it copies the whole head, which costs more than the rest of the step.
        head.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(), *inputs[1:]))
        self._lock = Lock()

    @property
    def context(self) -> int:
        """The most tokens that the model reads."""
        return int(getattr(self.model.config, "max_position_embeddings", 2048))

    def chat(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The prompt of a conversation, by the model's own template, up to its turn.

        Raises
        ------
        BadInput
            When the model has no chat template.
        """
        if not self.tokenizer.chat_template:
            raise BadInput(f"{self.name} has no chat template; expected an instruction-tuned model")
        text: str = self.tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=True
        )
        return text

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int = 128,
        seconds: float | None = None,
    ) -> list[Generated]:
        """Continue each prompt greedily.

        Parameters
        ----------
        prompts
            Complete prompts; :meth:`chat` makes one of a conversation.
        max_new_tokens
            The most tokens to write for each.
        seconds
            Time for all of them together; what is there by then is returned.

        Raises
        ------
        BadInput
            When a prompt does not fit the model.
        """
        if not prompts:
            return []
        batch = self.tokenizer(list(prompts), return_tensors="pt", padding=True)
        read = int(batch["input_ids"].shape[1])
        if read + max_new_tokens > self.context:
            raise BadInput(
                f"the prompt has {read} tokens and {max_new_tokens} are to be written; expected "
                f"at most {self.context} in all for {self.name}"
            )
        output = self._run(max_new_tokens, seconds, **batch)
        return [self._generated(row[read:], max_new_tokens) for row in output]

    def generate_from(
        self,
        embeddings: torch.Tensor,
        mask: torch.Tensor,
        *,
        max_new_tokens: int = 20,
        seconds: float | None = None,
        allowed: Sequence[str] | None = None,
    ) -> list[Generated]:
        """Continue prompts that are given as embeddings, soft tokens among them.

        Parameters
        ----------
        embeddings
            Token embeddings, padded on the left, [prompts, tokens, width].
        mask
            1 for tokens and 0 for padding, [prompts, tokens].
        allowed
            The only continuations that may be written; None for any.

        Raises
        ------
        BadInput
            When none of those allowed has as few tokens as may be written.
        """
        inputs: dict[str, Any] = {"inputs_embeds": embeddings, "attention_mask": mask}
        if allowed is not None:
            inputs["prefix_allowed_tokens_fn"] = self._held_to(allowed, max_new_tokens)
        output = self._run(max_new_tokens, seconds, **inputs)
        return [self._generated(row, max_new_tokens) for row in output]

    def _held_to(
        self, texts: Sequence[str], most: int
    ) -> Callable[[int, torch.Tensor], Sequence[int]]:
        """Which tokens may come next after those written, so that one of the texts comes out."""
        end = self.tokenizer.eos_token_id
        tree: dict[int, Any] = {}
        for text in texts:
            ids = self.tokens(text)
            if 0 < len(ids) < most:
                node = tree
                for one in [*ids, end]:
                    node = node.setdefault(one, {})
        if not tree:
            raise BadInput(f"none of {len(texts)} texts has fewer than {most} tokens; allow more")

        def following(_: int, written: torch.Tensor) -> Sequence[int]:
            node = tree
            for one in written.tolist():
                node = node.get(one, {})
            return list(node) or [end]  # behind the end there is padding alone

        return following

    # --- for soft tokens -----------------------------------------------------------------------

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What tells this model from others: an adapter made for one is of no use to another.

        The hash is of the first 1,024 word vectors, rounded to bfloat16, so that the precision
        of loading does not count.
        """
        import torch

        config = self.model.config
        words = self.model.get_input_embeddings().weight.detach()[:1024].to(torch.bfloat16)
        content = words.cpu().contiguous().view(torch.uint8).numpy().tobytes()
        return {
            "type": str(config.model_type),
            "width": self.width,
            "layers": int(config.num_hidden_layers),
            "vocabulary": int(config.vocab_size),
            "words": hashlib.sha256(content).hexdigest()[:16],
        }

    @property
    def scale(self) -> float:
        """Root mean square of the token embeddings."""
        weight = self.model.get_input_embeddings().weight.detach()
        return float(weight.float().pow(2).mean().sqrt())

    @property
    def dtype(self) -> torch.dtype:
        """Of the token embeddings."""
        found: torch.dtype = self.model.get_input_embeddings().weight.dtype
        return found

    @property
    def device(self) -> torch.device:
        """Where the token embeddings are."""
        found: torch.device = self.model.get_input_embeddings().weight.device
        return found

    def tokens(self, text: str) -> list[int]:
        """The ids of a text, with no mark of its begin or end."""
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def words(self, ids: torch.Tensor) -> torch.Tensor:
        """Embeddings of token ids, [...] -> [..., width]."""
        found: torch.Tensor = self.model.get_input_embeddings()(ids)
        return found

    def forward(self, embeddings: torch.Tensor, mask: torch.Tensor, keep: int = 0) -> torch.Tensor:
        """Logits of the last ``keep`` positions (all for 0), with gradient.

        Parameters
        ----------
        embeddings
            Padded on either side, [prompts, tokens, width].
        mask
            1 for tokens and 0 for padding, [prompts, tokens].
        """
        logits: torch.Tensor = self.model(
            inputs_embeds=embeddings,
            attention_mask=mask,
            position_ids=positions(mask),
            use_cache=False,
            logits_to_keep=keep,
        ).logits
        return logits

    def states(self, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Last-layer states, [prompts, tokens, width], with gradient."""
        found: torch.Tensor = self.model(
            inputs_embeds=embeddings,
            attention_mask=mask,
            position_ids=positions(mask),
            use_cache=False,
            output_hidden_states=True,
            logits_to_keep=1,
        ).hidden_states[-1]
        return found

    def score_from(
        self,
        embeddings: torch.Tensor,
        mask: torch.Tensor,
        candidates: Sequence[str],
        *,
        cached: bool = True,
        rows: int = 128,
    ) -> NDArray[np.float64]:
        """Log probability of each candidate after each prompt, a token on average.

        Parameters
        ----------
        embeddings, mask
            Prompts padded on the left, [prompts, tokens, width] and [prompts, tokens].
        candidates
            The continuations; not one may be empty.
        cached
            Read each prompt once and continue it with every candidate; without, read it anew for
            each: the same scores, for comparison.
        rows
            Prompts times candidates that are continued at once.

        Returns
        -------
        ndarray
            [prompts, candidates].
        """
        import numpy as np
        import torch

        ids = [self.tokens(text) for text in candidates]
        if not ids or not all(ids):
            raise BadInput("a candidate is empty; expected at least one, and words in each")
        longest = max(len(one) for one in ids)
        rest = torch.tensor([one + [0] * (longest - len(one)) for one in ids], device=self.device)
        held = torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in ids])
        held = held.to(self.device)  # [m, longest]
        found = []
        with self._lock, torch.inference_mode(), _free_cores():
            step = max(1, rows // len(ids))
            for start in range(0, len(embeddings), step):
                some = slice(start, start + step)
                read = self._continue_cached if cached else self._continue_anew
                found.append(read(embeddings[some], mask[some], rest, held))
        sums = torch.cat(found).double() / held.sum(1)
        return np.asarray(sums.cpu().numpy(), dtype=np.float64)

    def _continue_cached(
        self, prompts: torch.Tensor, mask: torch.Tensor, rest: torch.Tensor, held: torch.Tensor
    ) -> torch.Tensor:
        """Sums of log probabilities, [b, m], with the prompts' keys and values kept."""
        import torch

        b, m = len(prompts), len(rest)
        first = self.model(
            inputs_embeds=prompts,
            attention_mask=mask,
            position_ids=positions(mask),
            use_cache=True,
            logits_to_keep=1,
        )
        lead = torch.log_softmax(first.logits[:, -1].float(), dim=-1)  # [b, vocabulary]
        total = lead[:, rest[:, 0]]  # [b, m]
        if rest.shape[1] == 1:
            return total
        cache = first.past_key_values
        cache.batch_repeat_interleave(m)  # [b * m, ...]
        ids, more = rest.repeat(b, 1), held.repeat(b, 1)  # [b * m, longest]
        # The last token predicts nothing that is asked for.
        seen = torch.cat([mask.repeat_interleave(m, 0), more[:, :-1]], dim=1)
        logits = self.model(
            input_ids=ids[:, :-1],
            attention_mask=seen,
            position_ids=positions(seen)[:, mask.shape[1] :],
            past_key_values=cache,
            use_cache=True,
        ).logits
        picked = _picked(logits, ids[:, 1:])
        return total + (picked * more[:, 1:]).sum(1).view(b, m)

    def _continue_anew(
        self, prompts: torch.Tensor, mask: torch.Tensor, rest: torch.Tensor, held: torch.Tensor
    ) -> torch.Tensor:
        import torch

        b, m, longest = len(prompts), *rest.shape
        ids, more = rest.repeat(b, 1), held.repeat(b, 1)
        whole = torch.cat([prompts.repeat_interleave(m, 0), self.words(ids)], dim=1)
        seen = torch.cat([mask.repeat_interleave(m, 0), more], dim=1)
        logits = self.forward(whole, seen, keep=longest + 1)[:, :-1]
        return (_picked(logits, ids) * more).sum(1).view(b, m)

    def _run(self, max_new_tokens: int, seconds: float | None, **inputs: Any) -> Any:
        import torch

        with self._lock, torch.inference_mode(), _free_cores():
            return self.model.generate(
                **inputs,
                max_new_tokens=max_new_tokens,
                max_time=seconds,
                do_sample=False,
                num_beams=1,
                pad_token_id=self.tokenizer.pad_token_id,
                eos_token_id=self.tokenizer.eos_token_id,
            )

    def _generated(self, row: Any, most: int) -> Generated:
        ids = row.tolist()
        end = self.tokenizer.eos_token_id
        finish: Finish = "length" if len(ids) >= most else "time"
        if end in ids:
            ids, finish = ids[: ids.index(end)], "stop"
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        return Generated(text.strip(), finish, len(ids))

    def log_likelihoods(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        """Log probability of each continuation of a prompt, a token on average.

        The average does not favour short continuations over long ones.
        """
        import torch

        start = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        scores: list[float] = []
        for continuation in continuations:
            rest = self.tokenizer(continuation, add_special_tokens=False)["input_ids"]
            if not rest:
                raise BadInput("a continuation is empty; expected words to score")
            ids = torch.tensor([start + rest])
            with self._lock, torch.inference_mode(), _free_cores():
                logits = self.model(input_ids=ids, logits_to_keep=len(rest) + 1).logits
            # logits: [1, rest + 1, vocabulary]; each position predicts the next token
            log_probabilities = torch.log_softmax(logits[0, :-1].float(), dim=-1)
            picked = log_probabilities.gather(1, torch.tensor(rest)[:, None])
            scores.append(float(picked.mean()))
        return scores


@lru_cache(maxsize=2)
def load(name: str = BUNDLED, *, precision: Literal["auto", "float32"] = "auto") -> LanguageModel:
    """Load a language model, once a process.

    Parameters
    ----------
    name
        ``local`` for the bundled model, a folder, or a hub id, which is downloaded by its hub's
        client at first use.
    precision
        ``auto``: bfloat16 where the processor multiplies it, which writes a quarter faster;
        ``float32`` for training.

    Raises
    ------
    DependencyMissing
        When transformers or torch is not installed.
    AssetMissing
        When the bundled model was not fetched.
    BadInput
        When there is no model of that name.
    """
    try:
        import torch
        import transformers
    except ImportError as error:
        raise DependencyMissing(
            f"{error.name} is not installed; a language model needs: pip install 'celloquy[models]'"
        ) from None
    folder = str(_stored()) if name == BUNDLED else name
    here = Path(folder).is_dir()
    dtype = torch.bfloat16 if precision == "auto" and _bfloat16_pays() else torch.float32
    with _quiet():
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=here)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=here, dtype=dtype, use_safetensors=True
            )
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise BadInput(
                f"no language model {name!r} ({reason}); expected 'local', a folder with "
                "safetensors and a tokenizer, or a hub id"
            ) from None
    return LanguageModel(name, model, tokenizer)


def positions(mask: torch.Tensor) -> torch.Tensor:
    """The place of each token among those that are no padding, [prompts, tokens].

    Models that learn a vector for each place would otherwise count the padding on the left.
    """
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


def _picked(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Log probabilities of the ids under the logits at their places, [n, t]."""
    import torch

    logits = logits.float()
    chosen = logits.gather(-1, ids.unsqueeze(-1)).squeeze(-1)
    return chosen - torch.logsumexp(logits, dim=-1)


def _stored() -> Path:
    """The bundled model as safetensors; made from the GGUF where it is not there."""
    gguf = sources.path(_ASSET)
    wanted = {"version": _VERSION, "gguf": _hash_of(gguf)}
    folder = locations.models() / "smollm2"
    if _manifest(folder) != wanted:
        _convert(gguf, folder, wanted)
    return folder


def _hash_of(gguf: Path) -> str:
    """The hash that the manifest pins for the file; it was verified when it was fetched."""
    files = sources.asset(_ASSET).files
    return next((file.sha256 for file in files if file.name == gguf.name), gguf.name)


def _manifest(folder: Path) -> Any:
    try:
        return json.loads((folder / _MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _convert(gguf: Path, folder: Path, wanted: Mapping[str, Any]) -> None:
    """Unpack the GGUF into a folder beside and put it in place whole."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder.parent.mkdir(parents=True, exist_ok=True)
    where = {"gguf_file": gguf.name, "local_files_only": True}
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".smollm2-") as temporary:
        made = Path(temporary) / "made"
        with _quiet(), redirect_stderr(StringIO()):  # one bar of it heeds no setting
            tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), **where)
            model = AutoModelForCausalLM.from_pretrained(
                str(gguf.parent),
                # Left in its blocks the model can be neither saved nor trained.
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.float32,
                **where,
            )
            model.save_pretrained(made)
            tokenizer.save_pretrained(made)
        (made / _MANIFEST).write_text(json.dumps(wanted), "utf-8")
        if _manifest(folder) == wanted:  # another process was faster
            return
        if folder.exists():
            shutil.rmtree(folder)
        made.replace(folder)


def _bfloat16_pays() -> bool:
    """Whether the processor multiplies bfloat16 itself; elsewhere it is slower than float32."""
    import torch

    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


@contextmanager
def _free_cores() -> Iterator[None]:
    """Use the cores that are idle: threads that wait for a busy core wait for each token.

    On two cores with a load of 9 two threads took 34 to 111 seconds for 50 tokens, one thread 8.
    """
    import torch

    before = torch.get_num_threads()
    busy = int(os.getloadavg()[0]) if hasattr(os, "getloadavg") else 0
    torch.set_num_threads(max(1, before - busy))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no advice on stderr while a model is read."""
    from transformers.utils import logging

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    level = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
