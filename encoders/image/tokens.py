"""Images as tokens: a vision transformer by name or folder, or a small one that was trained here.

Gives :func:`load`. A folder with ``vit.json`` is one of ours (:mod:`encoders.image.vit`); any other
folder, or a hub id, is read by transformers: DINOv2 (M. Oquab et al. 2023, arXiv:2304.07193), and
whatever else AutoModel knows, such as the transformers that CellViT (F. Hörst et al. 2024,
10.1016/j.media.2024.103143) starts from once they are kept as safetensors. Weights come from
safetensors only, and no code of a model's repository is run.

Which channels a model reads, and in which order, is part of it: pictures with others are refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from data.errors import BadFile, BadInput, DependencyMissing
from encoders.image.vit import NAME, SmallViT, load_vit

if TYPE_CHECKING:
    from encoders.image.pictures import Pictures

__all__ = ["RGB", "ImageEncoder", "PretrainedViT", "TrainedHere", "expect_channels", "load"]

RGB = ("red", "green", "blue")
"""Channels of models that were trained on photographs."""

_BATCH = 32
# Of ImageNet, the usual standard of such models; a folder's preprocessor_config.json comes first.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageEncoder(Protocol):
    """Turns pictures into tokens."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Which it reads, in order."""
        ...

    @property
    def width(self) -> int:
        """Of a token."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """What tells it from others."""
        ...

    def encode(self, pictures: Pictures) -> NDArray[np.float32]:
        """Tokens [n, t, d] of pictures, whatever their size; channels are checked."""
        ...


def expect_channels(given: Sequence[str], wanted: Sequence[str], what: str) -> None:
    """Refuse pictures whose channels are not those of a model, by name, number and order.

    Raises
    ------
    BadInput
        Naming both sides.
    """
    if tuple(given) == tuple(wanted):
        return
    how = "in this order" if sorted(given) == sorted(wanted) else "these channels"
    raise BadInput(
        f"the pictures have the channels {', '.join(given)} ({len(given)}); {what} was trained on "
        f"{', '.join(wanted)} ({len(wanted)}): expected {how}"
    )


class TrainedHere:
    """A :class:`encoders.image.vit.SmallViT` as an image encoder."""

    def __init__(self, vit: SmallViT, sha256: str) -> None:
        self.vit = vit.eval()
        self.sha256 = sha256

    @property
    def channels(self) -> tuple[str, ...]:
        """Which it was trained on, in order."""
        return self.vit.config.channels

    @property
    def width(self) -> int:
        """Of a token."""
        return self.vit.config.width

    @property
    def identity(self) -> dict[str, Any]:
        """Its weights."""
        return {"kind": "vit", "channels": list(self.channels), "sha256": self.sha256}

    def encode(self, pictures: Pictures) -> NDArray[np.float32]:
        """Tokens [n, channels x patches, d]; pictures of another size are brought to its own."""
        expect_channels(pictures.channels, self.channels, "the encoder")
        with torch.inference_mode():
            return np.concatenate(
                [self.vit(part).numpy() for part in _parts(pictures, self.vit.config.size)]
            )


class PretrainedViT:
    """A vision transformer of transformers, by :func:`load`."""

    def __init__(self, name: str, model: Any, size: int, standard: tuple[Any, Any]) -> None:
        self.name, self.model, self.size = name, model.eval(), size
        self._mean, self._deviation = (torch.tensor(one).view(-1, 1, 1) for one in standard)

    @property
    def channels(self) -> tuple[str, ...]:
        """Colours, or numbered channels where there are not three."""
        count = int(self.model.config.num_channels)
        return RGB if count == len(RGB) else tuple(f"channel {i + 1}" for i in range(count))

    @property
    def width(self) -> int:
        """Of a token."""
        return int(self.model.config.hidden_size)

    @property
    def identity(self) -> dict[str, Any]:
        """Its family, sizes and name."""
        config = self.model.config
        return {
            "kind": str(config.model_type),
            "name": self.name,
            "channels": list(self.channels),
            "width": self.width,
            "layers": int(config.num_hidden_layers),
        }

    def encode(self, pictures: Pictures) -> NDArray[np.float32]:
        """Tokens [n, t, d] of the last layer, that of the class first where the model has one."""
        expect_channels(pictures.channels, self.channels, self.name)
        with torch.inference_mode():
            return np.concatenate(
                [
                    self.model((part - self._mean) / self._deviation)
                    .last_hidden_state.float()
                    .numpy()
                    for part in _parts(pictures, self.size)
                ]
            )


def load(name: str | Path) -> ImageEncoder:
    """An image encoder by folder or hub id.

    Raises
    ------
    BadFile
        When the folder holds one of ours that cannot be used.
    BadInput
        When there is no vision transformer of that name.
    DependencyMissing
        When transformers is not installed.
    """
    folder = Path(name)
    if (folder / f"{NAME}.json").is_file():
        return TrainedHere(*load_vit(folder))
    try:
        from transformers import AutoModel
    except ImportError as error:
        raise DependencyMissing(
            f"{error.name} is not installed; an image model needs: pip install 'celloquy[models]'"
        ) from None
    try:
        model = AutoModel.from_pretrained(
            str(name), local_files_only=folder.is_dir(), use_safetensors=True, dtype=torch.float32
        )
        config = model.config
        size = config.image_size
        side = int(size if isinstance(size, int) else size[0])
        count, _ = int(config.num_channels), int(config.hidden_size)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(
            f"no vision transformer {str(name)!r} ({reason}); expected a folder of ours, a folder "
            "with config.json and safetensors, or a hub id"
        ) from None
    return PretrainedViT(str(name), model, side, _standard(folder, count))


def _standard(folder: Path, count: int) -> tuple[Any, Any]:
    """Mean and deviation of each channel that the model expects."""
    path = folder / "preprocessor_config.json"
    if path.is_file():
        try:
            document = json.loads(path.read_text("utf-8"))
            mean, deviation = document["image_mean"], document["image_std"]
            if len(mean) == len(deviation) == count:
                return [float(x) for x in mean], [float(x) for x in deviation]
        except (ValueError, KeyError, TypeError) as error:
            raise BadFile(f"{path} cannot be read ({error}); expected image_mean and image_std "
                          "of each channel") from None  # fmt: skip
    if count == len(RGB):
        return _MEAN, _DEVIATION
    return [0.5] * count, [0.5] * count


def _parts(pictures: Pictures, size: int) -> list[torch.Tensor]:
    """Batches of pictures of the size that a model reads."""
    found = []
    for start in range(0, len(pictures), _BATCH):
        part = torch.from_numpy(np.ascontiguousarray(pictures.values[start : start + _BATCH]))
        if tuple(part.shape[2:]) != (size, size):
            part = functional.interpolate(part, (size, size), mode="bilinear", antialias=True)
        found.append(part)
    return found
