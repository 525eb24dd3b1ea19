"""Stage 2: the language model learns to answer from soft tokens and facts, through LoRA alone.

Projector, [Bt] and marks of an aligned model (:mod:`training.align`) are frozen by default; thin
layers of low rank (E. Hu et al. 2021, arXiv:2106.09685; r 8, alpha 16, dropout .05) are put on the
query, key, value and output products of the language model and trained on the answers of
:mod:`training.instruction_data`. The loss sees no prompt and no padding. One step in ten
is plain text, definitions of ontology terms, on which the model is held to what it said before: the
divergence of its words from those of the model as published. So it does not forget how to write.

Steps alternate between talks, facts, cells and plain text, which pads least. A talk is one list of
facts with several questions that differ in nothing else: three times the answers for the tokens.
The run is :func:`training.loop.fit`'s: it goes on after a kill. What is saved is the adapter (peft)
beside the soft-token model, never a merged language model.
"""

from __future__ import annotations

import hashlib
import json
import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from data.errors import BadFile, BadInput, DependencyMissing
from encoders.adapter import IGNORED, LORA, Assembled, Prompt, SoftTokenModel, shared_copy
from encoders.language import LanguageModel
from training.instruction_data import Item
from training.loop import History, LoopConfig, fit

if TYPE_CHECKING:
    from kg.terms import Curie
    from training.profiles import CellSet

__all__ = [
    "InstructConfig",
    "Instructions",
    "adapter_file",
    "add_lora",
    "instruct",
    "prompts",
    "save",
    "shrink",
    "take_up",
]

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")
"""The original adapts query and value alone; on a model this small all four are affordable."""

_PATTERN = "CTCCTCPCTCCTCCTPCTCC"

_SORTED = 4
"""Batches that are drawn at once and sorted by length, of which one is taken: every item has the
same chance, and there is little padding."""

_MARK = -1  # in a row of ids: [ANSWER], the last of the marks


@dataclass(frozen=True, slots=True)
class InstructConfig:
    """Everything that a tuning is made with.

    Parameters
    ----------
    rank, alpha, dropout, targets
        Of LoRA; ``targets`` are names of linear layers.
    batch, cell_batch, talk_batch
        Prompts a step: with facts (about 60 tokens), with cells (about 30), and talks (about 140).
    limit
        The most tokens of a prompt with its answer; facts are cut, never the question.
    projector
        Also train projector, [Bt] and marks.
    blend
        Share of the cells in training that are mixed with a cell of another type, of which they
        keep more than half: what a model sees of a type that it was never shown lies between those
        that it was, and there it is to write a name as well.
    pattern
        Kinds of steps in turn: T talks on one list of facts, F facts, C cells, P plain text.
    loop
        The run. BioVERSE's rate of 2e-5 hardly moves a model of 135 M parameters in the steps that
        a processor makes in an hour; with 1e-3 verdicts begin to follow the facts after 25 steps
        (docs/experiments/llm_instruct.md).
    """

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.05
    targets: tuple[str, ...] = TARGETS
    batch: int = 8
    cell_batch: int = 16
    talk_batch: int = 4
    limit: int = 128
    projector: bool = False
    blend: float = 0.5
    pattern: str = _PATTERN
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=1260, learning_rate=1e-3, weight_decay=0.0, warmup=0.05, save_every=20
        )
    )

    def __post_init__(self) -> None:
        if not self.pattern or set(self.pattern) - set("TFCP"):
            raise BadInput(
                f"the pattern of steps is {self.pattern!r}; expected letters of T (talks), F "
                "(facts), C (cells) and P (plain text)"
            )


def add_lora(language: LanguageModel, config: InstructConfig | None = None) -> LanguageModel:
    """The language model with new thin layers, which alone can be trained; the given one stays.

    At first they change nothing.

    Raises
    ------
    DependencyMissing
        When peft is not installed.
    BadInput
        When the model has no layers of the names in ``config.targets``.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise DependencyMissing(
            "instruction tuning needs peft; install it with: pip install 'celloquy[models]'"
        ) from error
    config = config or InstructConfig()
    base = shared_copy(language.model)
    base.requires_grad_(False)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.manual_seed(config.loop.seed)
        warnings.simplefilter("ignore", FutureWarning)  # of peft 0.21 with transformers 5
        try:
            model = get_peft_model(
                base,
                LoraConfig(
                    r=config.rank,
                    lora_alpha=config.alpha,
                    lora_dropout=config.dropout,
                    target_modules=list(config.targets),
                    task_type="CAUSAL_LM",
                ),
            )
        except ValueError as error:
            reason = " ".join(str(error).split())[:160]
            raise BadInput(
                f"LoRA cannot be put on {language.name} ({reason}); name its linear layers"
            ) from None
    return LanguageModel(language.name, model, language.tokenizer)


def adapter_file(folder: Path) -> Path:
    """The weights in a folder that :func:`save` wrote below ``lora``.

    Raises
    ------
    BadFile
        When there are none.
    """
    path = folder / "adapter_model.safetensors"
    if not path.is_file():
        raise BadFile(f"{folder} holds no {path.name}; expected what celloquy train instruct wrote")
    return path


def take_up(language: LanguageModel, folder: Path) -> str:
    """Put the weights of a saved adapter into new layers of the same form; returns their sha256.

    Raises
    ------
    BadFile
        When the folder holds no adapter, or one of another form.
    """
    from peft import get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load

    content = adapter_file(folder).read_bytes()
    tensors = load(content)
    shapes = {name: tuple(t.shape) for name, t in tensors.items()}
    own = {name: tuple(t.shape) for name, t in get_peft_model_state_dict(language.model).items()}
    if shapes != own:
        other = sorted(name for name in {*shapes, *own} if shapes.get(name) != own.get(name))[0]
        raise BadFile(
            f"the adapter {folder} has {other} of shape {shapes.get(other)}; expected "
            f"{own.get(other)}: name the same rank and language model"
        )
    set_peft_model_state_dict(language.model, tensors)
    return hashlib.sha256(content).hexdigest()


def prompts(items: Sequence[Item], *, answers: bool = True) -> list[Prompt]:
    """Items as prompts: facts as the context that may be cut, the answer behind."""
    return [
        Prompt(
            f" {item.question}" if item.facts else item.question,
            f" {item.answer}" if answers else None,
            f"Facts: {item.facts}" if item.facts else "",
        )
        for item in items
    ]


class Instructions:
    """The batches of a run: the same number gives the same batch.

    Parameters
    ----------
    items
        Instructions; their answers are learnt.
    cells
        Cells for the items that ask about one; a random one of the type each time.
    plain
        Texts to go on reading.
    talks
        Questions on the same facts, asked one after the other.
    config
        Sizes of batches.

    Raises
    ------
    BadInput
        When there is nothing to learn, or no cell of a type that is asked about.
    """

    def __init__(
        self,
        items: Sequence[Item],
        cells: CellSet | None,
        plain: Sequence[str],
        talks: Sequence[Sequence[Item]],
        config: InstructConfig,
    ) -> None:
        self.facts = [item for item in items if not item.cell]
        self.about = [item for item in items if item.cell]
        self.plain, self.talks = list(plain), [list(talk) for talk in talks if talk]
        self.config, self.cells = config, cells
        self.rows: dict[Curie, list[int]] = {}
        for row, term in enumerate(cells.types if cells else ()):
            self.rows.setdefault(term, []).append(row)
        if missing := [item.cell for item in self.about if item.cell not in self.rows]:
            raise BadInput(
                f"there are no cells of {missing[0]}; expected cells for every type asked about"
            )
        if not items and not talks:
            raise BadInput("there are no instructions to learn from; expected some")

    def __call__(self, number: int) -> list[Any]:
        """Items, talks or plain texts."""
        config = self.config
        pools: dict[str, tuple[list[Any], int]] = {
            "T": (self.talks, config.talk_batch),
            "F": (self.facts, config.batch),
            "C": (self.about, config.cell_batch),
            "P": (self.plain, config.batch),
        }
        draw = random.Random(f"{config.loop.seed} {number}")  # noqa: S311 - nothing secret
        wanted = config.pattern[number % len(config.pattern)]
        pool, size = next(pools[k] for k in (wanted, "T", "F", "C", "P") if pools[k][0])
        drawn = sorted(draw.choices(pool, k=_SORTED * size), key=_length)
        start = size * draw.randrange(_SORTED)
        return drawn[start : start + size]

    def vectors(self, items: Sequence[Item], draw: random.Random) -> torch.Tensor | None:
        """A cell of each type asked about, [cells, dimension], or None."""
        asked = [item.cell for item in items if item.cell]
        if not asked or self.cells is None:
            return None
        rows = [draw.choice(self.rows[term]) for term in asked]
        return torch.from_numpy(self.cells.vectors[np.array(rows)])


def _length(one: str | Item | list[Item]) -> int:
    """Characters of a text, an item, or a talk."""
    if isinstance(one, str):
        return len(one)
    if isinstance(one, Item):
        return len(one.facts) + len(one.question) + len(one.answer)
    return len(one[0].facts) + sum(len(item.question) + len(item.answer) for item in one)


def blended(vectors: torch.Tensor, share: float, draw: random.Random) -> torch.Tensor:
    """A share of the vectors mixed with that of another of the batch, [cells, dimension].

    Each keeps more than half of its own, and its length.
    """
    n = len(vectors)
    weights = [draw.uniform(0.5, 1.0) if draw.random() < share else 1.0 for _ in range(n)]
    own = torch.tensor(weights, dtype=vectors.dtype).unsqueeze(1)  # [cells, 1]
    mixed = own * vectors + (1 - own) * vectors[draw.sample(range(n), n)]
    norm = mixed.norm(dim=1, keepdim=True).clamp(min=1e-12)
    found: torch.Tensor = mixed * vectors.norm(dim=1, keepdim=True) / norm
    return found


def plain_batch(language: LanguageModel, texts: Sequence[str], limit: int) -> Assembled:
    """Plain texts to predict from their second token on, padded on the right."""
    rows = [language.tokens(text)[:limit] for text in texts]
    width = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    ids, mask = ids.to(language.device), mask.to(language.device)
    labels = torch.where(mask.bool(), ids, IGNORED)
    labels[:, 0] = IGNORED
    return Assembled(language.words(ids), mask, labels, torch.zeros_like(mask).bool())


def conversation_batch(model: SoftTokenModel, talks: Sequence[Sequence[Item]]) -> Assembled:
    """Several questions on the same facts, one after the other; each answer is learnt.

    A row is the facts once, then question, ``[ANSWER]``, answer and end for each item: three times
    as many answers for the same number of tokens. The first question is laid out as it is alone.
    """
    language = model.language
    end = language.tokenizer.eos_token_id
    rows: list[list[int]] = []
    learnt: list[list[bool]] = []
    for talk in talks:
        row: list[int] = []
        mine: list[bool] = []
        for prompt in prompts(talk):
            words = [*(language.tokens(prompt.context) if not row else []),
                     *language.tokens(prompt.text)]  # fmt: skip
            answer = [*language.tokens(prompt.answer or ""), end]
            row += [*words, _MARK, *answer]
            mine += [False] * (len(words) + 1) + [True] * len(answer)
        rows.append(row)
        learnt.append(mine)
    width = max(len(row) for row in rows)
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    answered = torch.tensor([mine + [False] * (width - len(mine)) for mine in learnt])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    ids, answered, mask = (x.to(language.device) for x in (ids, answered, mask))
    embeddings = language.words(ids.clamp(min=0)).clone()
    embeddings[ids == _MARK] = model.marks[-1].detach().to(embeddings.dtype)
    labels = torch.where(answered, ids, IGNORED)
    return Assembled(embeddings, mask, labels, torch.zeros_like(answered))


def loss_of(language: LanguageModel, batch: Assembled) -> torch.Tensor:
    """Mean cross-entropy of the labelled tokens; logits are made for these alone.

    The same as :meth:`encoders.adapter.SoftTokenModel.loss`, for answers that stand anywhere.
    """
    states = language.states(batch.embeddings, batch.mask)[:, :-1]  # [b, t - 1, w]
    targets = batch.labels[:, 1:]
    asked = targets != IGNORED
    logits = language.model.get_output_embeddings()(states[asked])  # [n, vocabulary]
    return torch.nn.functional.cross_entropy(logits.float(), targets[asked])


def divergence(before: LanguageModel, now: LanguageModel, batch: Assembled) -> torch.Tensor:
    """Mean divergence, in nats a token, of what a model says of a text from what another said.

    KL(before || now) at the labelled places; no gradient reaches ``before``.
    """
    asked = batch.labels[:, 1:] != IGNORED

    def said(language: LanguageModel) -> torch.Tensor:
        states = language.states(batch.embeddings, batch.mask)[:, :-1]  # [b, t - 1, w]
        logits = language.model.get_output_embeddings()(states[asked])  # [n, vocabulary]
        return torch.log_softmax(logits.float(), dim=-1)

    with torch.no_grad():
        old = said(before)
    return torch.nn.functional.kl_div(said(now), old, reduction="batchmean", log_target=True)


def instruct(
    model: SoftTokenModel,
    items: Sequence[Item],
    cells: CellSet | None = None,
    plain: Sequence[str] = (),
    talks: Sequence[Sequence[Item]] = (),
    config: InstructConfig | None = None,
    folder: Path | None = None,
    *,
    start: Path | None = None,
    develop: Callable[[SoftTokenModel], float] | None = None,
    seconds: float | None = None,
    show: bool = False,
) -> tuple[SoftTokenModel, History]:
    """Tune; where the folder holds a checkpoint of the same run, go on from there.

    Parameters
    ----------
    model
        An aligned soft-token model. Its language model is left as it is.
    items
        What to learn.
    cells
        Cells for the items that ask about one.
    plain
        Texts against forgetting.
    talks
        Questions on the same facts, asked one after the other.
    config
        The run.
    folder
        Of checkpoints and logs; None to keep nothing.
    start
        Folder of an adapter of the same form (``lora``) where training starts; new layers if it is
        not given.
    develop
        A score of the model, higher is better, every ``config.loop.develop_every`` steps.
    seconds
        Stop, with a checkpoint, after so long.
    show
        A bar on stderr.

    Returns
    -------
    tuple
        The model with its tuned language model, and what happened.
    """
    config = config or InstructConfig()
    batches = Instructions(items, cells, plain, talks, config)
    tuned = add_lora(model.language, config)
    taken = take_up(tuned, start) if start else ""
    every = [*items, *(item for talk in talks for item in talk)]
    made = SoftTokenModel(tuned, model.projector)
    made.load_state_dict(model.state_dict())
    made.requires_grad_(config.projector)
    named = {n: p for n, p in tuned.model.named_parameters() if p.requires_grad}
    if config.projector:
        named |= dict(made.named_parameters())

    def step(batch: list[Any]) -> torch.Tensor:
        if isinstance(batch[0], str):
            return divergence(model.language, tuned, plain_batch(tuned, batch, config.limit))
        if isinstance(batch[0], list):
            return loss_of(tuned, conversation_batch(made, batch))
        # The loop seeds torch by the step's number: the same cells are drawn after a kill.
        draw = random.Random(int(torch.randint(1 << 30, (1,))))  # noqa: S311 - nothing secret
        vectors = batches.vectors(batch, draw)
        if vectors is not None:
            vectors = blended(vectors, config.blend, draw)
        return loss_of(tuned, made.assemble(prompts(batch), vectors, limit=config.limit))

    def score() -> float:
        assert develop is not None
        _train(made, False)
        found = develop(made)
        _train(made, True)
        return found

    _train(made, True)
    with warnings.catch_warnings():
        # peft 0.21 asks for a name that transformers 5 deprecates.
        warnings.simplefilter("ignore", FutureWarning)
        history = fit(
            named, step, batches, config.loop, folder,
            develop=score if develop else None,
            about=_about(model, every, plain, config, taken),
            seconds=seconds, show=show,
        )  # fmt: skip
    _train(made, False)
    return made.eval(), history


def _train(model: SoftTokenModel, on: bool) -> None:
    """Dropout of LoRA is the language model's; that of a frozen projector stays off."""
    model.language.model.train(on)
    model.train(on and next(model.projector.parameters()).requires_grad)


def _about(
    model: SoftTokenModel,
    items: Sequence[Item],
    plain: Sequence[str],
    config: InstructConfig,
    start: str,
) -> dict[str, Any]:
    """What makes two runs the same beside the loop."""
    digest = hashlib.sha256(repr([(i.facts, i.question, i.answer) for i in items]).encode())
    digest.update("\x1f".join(plain).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().float().cpu().numpy().tobytes())
    options = {key: value for key, value in asdict(config).items() if key != "loop"}
    return {
        "instruct": json.loads(json.dumps(options)),
        "language": model.language.identity,
        "data": digest.hexdigest()[:16],
        "start": start,
    }


def shrink(model: SoftTokenModel, share: float) -> None:
    """Keep a share of what the layers of low rank add; the rest is as published again.

    A model between the published and the tuned one forgets less than it unlearns of the task
    (M. Wortsman et al. 2022, arXiv:2109.01903).
    """
    with torch.no_grad():
        for name, parameter in model.language.model.named_parameters():
            if "lora_B" in name:
                parameter.mul_(share)


def save(
    model: SoftTokenModel,
    folder: Path,
    *,
    encoder: Mapping[str, Any],
    about: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Write the soft-token model and, below ``lora``, the adapter of its language model.

    Returns
    -------
    dict of str to str
        The sha256 of each file of tensors, also written to ``lora/SHA256SUMS``.
    """
    own = model.save(folder, encoder=encoder, about=about)
    where = folder / LORA
    # The vocabulary has its size: peft must not save a copy of the table of words.
    model.language.model.save_pretrained(str(where), save_embedding_layers=False)
    (where / "README.md").unlink(missing_ok=True)  # peft's card is a blank form
    path = where / "adapter_config.json"
    document = json.loads(path.read_text("utf-8"))
    # peft writes the folder that the model was read from, which is nobody else's.
    document["base_model_name_or_path"] = model.language.name
    document["target_modules"] = sorted(document["target_modules"])  # it keeps a set
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    tensors = where / "adapter_model.safetensors"
    tensors.chmod(0o644)
    digest = hashlib.sha256(tensors.read_bytes()).hexdigest()
    (where / "SHA256SUMS").write_text(f"{digest}  {tensors.name}\n", encoding="utf-8")
    return {"adapter": own, LORA: digest}
