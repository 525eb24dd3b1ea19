"""Drafts of the second forger: nothing forged is shown, and what is genuine is kept."""

from __future__ import annotations

from collections import Counter

import pytest

from agent.verification.verify import Verifier
from kg.embedded import EmbeddedGraph
from tests.agent.forger import Forger


def judge(graph: EmbeddedGraph, number: int, seed: int) -> tuple[list[str], list[str]]:
    """The genuine drafts that were lost and the forged ones of which something was shown."""
    forger = Forger(graph, seed)
    lost, shown = [], []
    for _ in range(number):
        draft = forger.genuine()
        claims = Verifier(graph, draft.stored.get).check_draft(draft.text, draft.evidence)
        if [claim.verdict for claim in claims] != ["supported"]:
            lost.append(f"{draft.how}: {draft.text} ({[claim.why for claim in claims]})")
        draft = forger.forged()
        claims = Verifier(graph, draft.stored.get).check_draft(draft.text, draft.evidence)
        if any(claim.verdict == "supported" for claim in claims):
            shown.append(f"{draft.how}: {draft.text}")
    return lost, shown


@pytest.mark.assets
def test_six_hundred_drafts(real: EmbeddedGraph) -> None:
    lost, shown = judge(real, 300, seed=5)
    assert shown == []
    assert len(lost) <= 300 * 0.02, lost


@pytest.mark.assets
@pytest.mark.slow
def test_ten_thousand_drafts(real: EmbeddedGraph) -> None:
    lost, shown = judge(real, 5000, seed=17)
    assert shown == []
    assert len(lost) <= 5000 * 0.02, Counter(line.split(":")[0] for line in lost)
