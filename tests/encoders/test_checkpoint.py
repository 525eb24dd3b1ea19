"""Modules that were made for something: kept, opened beside the same, refused beside another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from data.errors import BadFile  # noqa: E402 - after the check for torch
from encoders import checkpoint  # noqa: E402
from encoders.checkpoint import MadeFor  # noqa: E402

LANGUAGE = {"type": "llama", "width": 3}


def make(document: Mapping[str, Any]) -> Any:
    return torch.nn.Linear(*document["size"])


def kept(folder: Path) -> Any:
    module = torch.nn.Linear(2, 3)
    made_for = {"language": LANGUAGE, "encoder": {"name": "x", "width": 2}}
    checkpoint.save_module(
        folder, "thing", module, {"size": [2, 3]}, version=4, made_for=made_for, about={"seed": 7}
    )
    return module


def opened(folder: Path, *, version: int = 4, **made_for: MadeFor) -> tuple[Any, dict[str, Any]]:
    return checkpoint.load_module(
        folder, "thing", make, what="thing", version=version, made_for=made_for
    )


def test_a_module_comes_back_in_evaluation_mode(tmp_path: Path) -> None:
    module = kept(tmp_path)
    back, document = opened(
        tmp_path, language=MadeFor(LANGUAGE, ""), encoder=MadeFor({"name": "x"}, "")
    )
    assert torch.equal(back.weight, module.weight) and torch.equal(back.bias, module.bias)
    assert not back.training
    assert document["about"] == {"seed": 7}
    assert document["encoder"] == {"name": "x", "width": 2}
    # Nothing said of the encoder: any will do.
    opened(tmp_path, encoder=MadeFor({}, ""))


def test_what_was_made_for_another_is_refused_with_both_sides(tmp_path: Path) -> None:
    kept(tmp_path)
    other = MadeFor({"type": "gpt2", "width": 3}, "name another")
    with pytest.raises(BadFile) as caught:
        opened(tmp_path, language=other)
    assert str(caught.value) == (
        f"the thing {tmp_path} is for type llama; expected type gpt2; name another"
    )
    with pytest.raises(BadFile, match="is for version 4; expected version 5; train it again"):
        opened(tmp_path, version=5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"language": None}, "does not say its language; train it again"),
        ({"size": [2, 4]}, "does not fit its own document: Error.* in loading state_dict"),
        ({"size": 2}, "does not fit its own document"),
    ],
)
def test_a_document_that_does_not_fit_is_refused_in_one_line(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    kept(tmp_path)
    path = tmp_path / "thing.json"
    document = json.loads(path.read_text()) | change
    path.write_text(json.dumps(document))
    with pytest.raises(BadFile, match=said) as caught:
        opened(tmp_path, language=MadeFor(LANGUAGE, ""))
    assert "\n" not in str(caught.value)
