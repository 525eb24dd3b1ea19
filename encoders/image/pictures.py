"""Pictures of cells from files: .png, .jpg, .tif, .npy and .npz, with their channels by name.

Gives :func:`read_pictures`. Values are brought to 0..1 by what their type can hold (255, 65,535),
floats must lie there already. Files are opened by pillow, tifffile and numpy, never unpickled;
what is too large is refused before it is unpacked, and no file is read but the one that is named:
a TIFF that says that parts of it lie elsewhere is read for itself. It knows no model.
"""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadFile, BadInput, DependencyMissing

__all__ = ["ENDINGS", "LARGEST", "Pictures", "from_array", "read_pictures", "why"]

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".npz")
"""Endings of files that are read."""

LARGEST = 1 << 28
"""Most values of one file: a slide of 10,000 x 8,900 in three colours."""

_SMALLEST = 4  # pixels of a side
_MOST_CHANNELS = 64
_NAMES_BYTES = 1 << 16  # of the names of channels
_COLOURS = {1: ("grey",), 3: ("red", "green", "blue")}


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of one size: ``values`` [n, c, h, w] from 0 to 1, and the names of the channels."""

    values: NDArray[np.float32]
    channels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)


def read_pictures(
    path: Path | str, channels: Sequence[str] | None = None, *, most: int = LARGEST
) -> Pictures:
    """Read one picture, or many of one size.

    Parameters
    ----------
    path
        A picture (.png, .jpg, .tif), or an array [h, w], [c, h, w] or [n, c, h, w]: an .npy file,
        or the array ``images`` of an .npz file, whose array ``channels`` names the channels.
    channels
        Their names, where the file has none.
    most
        Values that it may hold.

    Raises
    ------
    BadFile
        When the file is missing, of another kind, damaged, too large, or holds no picture.
    BadInput
        When there are not as many names as channels.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise BadFile(f"{path} ends in {ending or 'nothing'}; expected one of {' '.join(ENDINGS)}")
    if not path.is_file():
        raise BadFile(f"{path} is no file; expected a picture of cells")
    named: Sequence[str] | None = None
    if ending in (".npy", ".npz"):
        array, named = _numpy(path, most)
    elif ending in (".tif", ".tiff"):
        array = _tiff(path, most)
    else:
        array = _pillow(path, most)
    if channels is not None and named is not None and tuple(channels) != tuple(named):
        raise BadInput(
            f"{path} says that its channels are {', '.join(named)}; given: {', '.join(channels)}"
        )
    return from_array(array, channels or named, str(path))


def from_array(
    array: NDArray[Any], channels: Sequence[str] | None = None, name: str = "the array"
) -> Pictures:
    """Pictures of an array [h, w], [c, h, w] or [n, c, h, w].

    Raises
    ------
    BadFile
        When the array is no picture.
    BadInput
        When there are not as many names as channels, or a name twice.
    """
    if array.dtype.kind not in "uif" or not 2 <= array.ndim <= 4:
        raise BadFile(
            f"{name} holds an array of {array.dtype} with {array.ndim} dimensions; expected "
            "numbers [h, w], [channels, h, w] or [pictures, channels, h, w]"
        )
    shaped = array.reshape((1,) * (4 - array.ndim) + array.shape)
    n, c, h, w = shaped.shape
    if not n or not 1 <= c <= _MOST_CHANNELS or min(h, w) < _SMALLEST or shaped.size > LARGEST:
        raise BadFile(
            f"{name} holds {n} pictures of {c} channels, {h} x {w}; expected at least one of 1 to "
            f"{_MOST_CHANNELS} channels, {_SMALLEST} x {_SMALLEST} or more, and at most "
            f"{LARGEST:,} values in all"
        )
    names = tuple(str(one) for one in channels) if channels is not None else _names(c)
    if len(names) != c or len(set(names)) != c:
        raise BadInput(f"{name} has {c} channels and {len(names)} names were given "
                       f"({', '.join(names)}); expected one for each, none twice")  # fmt: skip
    return Pictures(_scaled(shaped, name), names)


def _scaled(values: NDArray[Any], name: str) -> NDArray[np.float32]:
    if values.dtype.kind in "ui":
        found = values.astype(np.float32)
        # Signed and wide integers are how some programs keep 8 or 16 bits.
        limit = 255 if values.dtype.itemsize == 1 or values.max() <= 255 else 65_535
        if values.min() < 0 or values.max() > limit or values.dtype == np.int8:
            raise BadFile(f"{name} holds values from {values.min()} to {values.max()}; expected 8 "
                          "or 16 bits, none below 0")  # fmt: skip
        if values.dtype == np.uint16:
            limit = 65_535
        return found / np.float32(limit)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise BadFile(
            f"{name} holds values that are no numbers or lie outside 0 to 1; expected floats from "
            "0 to 1, or integers of 8 or 16 bits"
        )
    return values.astype(np.float32)


def _names(count: int) -> tuple[str, ...]:
    return _COLOURS.get(count) or tuple(f"channel {i + 1}" for i in range(count))


def _numpy(path: Path, most: int) -> tuple[NDArray[Any], Sequence[str] | None]:
    """An array, and the names of its channels where they are there."""
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                _within(path, file, most)
            return np.load(path, allow_pickle=False), None
        with zipfile.ZipFile(path) as archive:
            there = set(archive.namelist())
            for name, limit in (("images.npy", most), ("channels.npy", _MOST_CHANNELS)):
                if name in there:
                    with archive.open(name) as member:
                        _within(path, member, limit, names=name == "channels.npy")
        with np.load(path, allow_pickle=False) as loaded:
            if "images" not in loaded.files:
                raise BadFile(
                    f"{path} holds {', '.join(loaded.files) or 'nothing'}; expected an array "
                    "'images' [pictures, channels, h, w]"
                )
            named = loaded["channels"].astype(str).tolist() if "channels" in loaded.files else None
            return loaded["images"], named
    except BadFile:
        raise
    except Exception as error:  # noqa: BLE001 - zipfile, zlib, numpy: each has its own
        raise BadFile(f"{path} cannot be read as an array ({why(error)}); expected what "
                      "numpy.save or numpy.savez wrote, without objects") from None  # fmt: skip


def _within(path: Path, file: IO[bytes], most: int, *, names: bool = False) -> None:
    """Refuse an array by its header where it is too large: a few bytes can unpack to gigabytes."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise BadFile(f"{path} holds an array of format {version}; expected 1.0 or 2.0")
    count = math.prod(shape)
    if count > most or (names and count * dtype.itemsize > _NAMES_BYTES):
        what = "channel names" if names else "values"
        raise BadFile(f"{path} holds {count:,} {what}; expected at most {most:,}")


def _tiff(path: Path, most: int) -> NDArray[Any]:
    try:
        import tifffile
    except ImportError as error:
        raise _missing(error) from None
    try:
        # These three kinds name other files, which would be opened: theirs is not to say which.
        alone = {"is_ome": False, "is_mmstack": False, "is_ndtiff": False}
        with tifffile.TiffFile(path, **alone) as file:
            series = file.series[0]
            if series.size > most:
                raise BadFile(f"{path} holds {series.size:,} values; expected at most {most:,}")
            return _channels_first(np.asarray(series.asarray()))
    except BadFile:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file fails in many ways
        raise BadFile(f"{path} cannot be read as a TIFF ({why(error)})") from None


def _pillow(path: Path, most: int) -> NDArray[Any]:
    try:
        from PIL import Image
    except ImportError as error:
        raise _missing(error) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a picture that unpacks to gigabytes
            # By their bytes, not by their ending: pillow knows kinds that run other programs.
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                if image.width * image.height * 3 > most:
                    raise BadFile(f"{path} is {image.width} x {image.height}; expected at most "
                                  f"{most:,} values")  # fmt: skip
                deep = image.mode.startswith("I") or image.mode in ("L", "1", "F")
                plain = image.convert("L") if image.mode == "1" else image
                return _channels_first(np.asarray(plain if deep else image.convert("RGB")))
    except BadFile:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file fails in many ways
        raise BadFile(
            f"{path} cannot be read as a picture ({why(error)}); expected a whole "
            ".png, .jpg, .tif, .npy or .npz"
        ) from None


def _channels_first(array: NDArray[Any]) -> NDArray[Any]:
    """Colours stand last in most files: [h, w, 3] -> [3, h, w]; transparency is dropped."""
    if array.ndim == 3 and array.shape[-1] in (3, 4) and array.shape[0] not in (3, 4):
        return np.moveaxis(array[..., :3], -1, 0)
    return array


def _missing(error: ImportError) -> DependencyMissing:
    return DependencyMissing(
        f"{error.name} is not installed; pictures need: pip install 'celloquy[models]'"
    )


def why(error: Exception) -> str:
    """A library's reason on one line; never its advice to load objects all the same."""
    text = " ".join(str(error).split())
    if "pickle" in text:
        return "it holds Python objects or is no array at all"
    return text[:120] or type(error).__name__
