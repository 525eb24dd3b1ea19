"""An optional second check of claims, by a language model: that the evidence entails them.

It comes on top of :mod:`agent.verification.verify`, never in its place: a claim that the verifier
dropped stays dropped, and what the model doubts is dropped as well. The model is that of the
writer. It may take as long as a draft; claims that it had no time for are shown as the verifier
left them, and the answer says so.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from agent.answer import Claim
from agent.config import AskConfig
from agent.llm import Drafted, chat_model, is_remote, within
from agent.prompts import entailment
from retrieval.evidence import Evidence

__all__ = ["doubted"]

_YES, _NO = re.compile(r"\W*yes\b", re.IGNORECASE), re.compile(r"\W*no\b", re.IGNORECASE)


def doubted(
    claims: Sequence[Claim], evidence: Mapping[str, Evidence], config: AskConfig
) -> tuple[tuple[Claim, ...], tuple[str, ...]]:
    """The claims, less those that the model says do not follow, and warnings.

    Parameters
    ----------
    claims
        As the verifier left them.
    evidence
        Under the keys that they name.
    config
        Whose ``llm`` is asked, and for how long.
    """
    assert config.llm is not None
    ask = _chat(config) if is_remote(config.llm) else _local(config)
    until = time.monotonic() + config.write_seconds
    judged: list[Claim] = []
    unheard = 0
    for claim in claims:
        left = until - time.monotonic()
        if claim.verdict == "dropped" or left <= 0:
            unheard += claim.verdict == "supported"
            judged.append(claim)
            continue
        texts = [evidence[key].text for key in claim.evidence]
        said = within(left, lambda claim=claim, texts=texts: Drafted(ask(claim.text, texts)))  # type: ignore[misc]
        if said.problem or not (_YES.match(said.text) or _NO.match(said.text)):
            unheard += 1
        elif _NO.match(said.text):
            why = f"{config.llm} says that the evidence does not entail it"
            judged.append(replace(claim, verdict="dropped", why=why))
            continue
        judged.append(claim)
    warnings = (
        (f"{config.llm} gave no verdict on {unheard} of the claims; the verifier's stands",)
        if unheard
        else ()
    )
    return tuple(judged), warnings


def _chat(config: AskConfig) -> Callable[[str, Sequence[str]], str]:
    assert config.llm is not None
    model = chat_model(config.llm, 4, config.write_seconds)
    return lambda claim, texts: model(entailment(claim, texts))


def _local(config: AskConfig) -> Callable[[str, Sequence[str]], str]:
    from encoders.language import load

    def ask(claim: str, texts: Sequence[str]) -> str:
        model = load(config.llm or "local")
        prompt = model.chat(entailment(claim, texts))
        yes, no = model.log_likelihoods(prompt, ["Yes", "No"])
        return "yes" if yes >= no else "no"

    return ask
