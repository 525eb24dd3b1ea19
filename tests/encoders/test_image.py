"""Pictures from files, vision transformers of others and of ours, and their channels."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
Image = pytest.importorskip("PIL.Image")
tifffile = pytest.importorskip("tifffile")

from data.errors import BadFile, BadInput  # noqa: E402 - after the check for torch
from encoders.image.pictures import Pictures, from_array, read_pictures  # noqa: E402
from encoders.image.tokens import RGB, TrainedHere, load  # noqa: E402
from encoders.image.vit import Autoencoder, SmallViT, ViTConfig, load_vit, save_vit  # noqa: E402

STAINS = ("DNA", "Mito")


def small(channels: tuple[str, ...] = STAINS, seed: int = 0) -> SmallViT:
    torch.manual_seed(seed)
    return SmallViT(ViTConfig(channels, size=16, patch=8, width=32, layers=1, heads=2)).eval()


def colours(h: int = 9, w: int = 7) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (h, w, 3), dtype=np.uint8)


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "tif", "npy", "npz"])
def test_the_same_picture_from_every_kind_of_file(tmp_path: Path, ending: str) -> None:
    array, path = colours(), tmp_path / f"cell.{ending}"
    if ending == "png":
        Image.fromarray(array).save(path)
    elif ending == "tif":
        tifffile.imwrite(path, array)
    elif ending == "npy":
        np.save(path, np.moveaxis(array, -1, 0))
    else:
        np.savez(path, images=np.moveaxis(array, -1, 0)[None], channels=np.array(RGB))
    found = read_pictures(path)
    assert found.channels == RGB
    assert found.values.shape == (1, 3, 9, 7)
    assert found.values == pytest.approx(np.moveaxis(array, -1, 0)[None] / 255)


def test_a_jpeg_is_read(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(tmp_path / "a.jpg")
    assert read_pictures(tmp_path / "a.jpg").values == pytest.approx(200 / 255, abs=0.01)


def test_stacks_and_depths(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "six.tif", np.full((6, 8, 8), 65_535, np.uint16))
    found = read_pictures(tmp_path / "six.tif", [f"s{i}" for i in range(6)])
    assert (found.values == 1).all()
    assert found.channels[5] == "s5"
    Image.fromarray(np.full((8, 8), 51, np.uint8)).save(tmp_path / "grey.png")
    grey = read_pictures(tmp_path / "grey.png")
    assert grey.channels == ("grey",)
    assert grey.values == pytest.approx(0.2)


def test_bad_files_are_refused_in_one_line(tmp_path: Path) -> None:
    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([{"a": 1}], object), allow_pickle=True)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "text.tif").write_text("no picture")
    (tmp_path / "text.npz").write_text("no picture")
    np.savez(tmp_path / "other.npz", pixels=np.zeros((8, 8)))
    np.save(tmp_path / "nan.npy", np.full((8, 8), np.nan))
    np.save(tmp_path / "small.npy", np.zeros((2, 8)))
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    for name in ("objects.npy", "text.png", "text.tif", "text.npz", "other.npz", "nan.npy",
                 "small.npy", "words.npy", "missing.png", "cells.h5ad"):  # fmt: skip
        with pytest.raises(BadFile) as caught:
            read_pictures(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


def test_a_picture_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (12_000, 10_000)).save(path)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(BadFile, match="bomb"):
        read_pictures(path)


def test_arrays_that_unpack_to_gigabytes_are_refused_by_their_header(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 1, 8, 8)}
    )
    (tmp_path / "bomb.npy").write_bytes(header.getvalue())
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", header.getvalue() + bytes(1 << 20))
    np.savez(tmp_path / "names.npz", images=np.zeros((1, 8, 8)), channels=["x" * 100_000])
    for name in ("bomb.npy", "bomb.npz", "names.npz"):
        with pytest.raises(BadFile, match="expected at most"):
            read_pictures(tmp_path / name)


def test_fewer_values_can_be_asked_for(tmp_path: Path) -> None:
    array = np.zeros((10, 10), np.uint8)
    Image.fromarray(array).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", array)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", images=array)
    for ending in ("png", "tif", "npy", "npz"):
        assert len(read_pictures(tmp_path / f"a.{ending}", most=300)) == 1
        with pytest.raises(BadFile, match="expected at most 99"):
            read_pictures(tmp_path / f"a.{ending}", most=99)


def test_a_tiff_that_names_another_file_is_read_for_itself(tmp_path: Path) -> None:
    """Else whoever sends a picture could have any other of the machine read in its place."""
    (tmp_path / "secret").mkdir()
    secret = tmp_path / "secret" / "other.ome.tif"
    tifffile.imwrite(secret, np.full((8, 8), 200, np.uint8))
    plane = (
        '<TiffData IFD="0" FirstC="{c}" PlaneCount="1"><UUID FileName="{name}">{id}</UUID>'
        "</TiffData>"
    )
    planes = "".join(
        plane.format(c=c, name=name, id=f"urn:uuid:{c}")
        for c, name in enumerate(("mine.ome.tif", secret))
    )
    ome = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:0">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="8" '
        f'SizeY="8" SizeZ="1" SizeC="2" SizeT="1">{planes}</Pixels></Image></OME>'
    )
    mine = tmp_path / "mine.ome.tif"
    tifffile.imwrite(mine, np.full((8, 8), 50, np.uint8), description=ome, metadata=None)
    assert tifffile.imread(mine).max() == 200  # the library, left to itself, reads the other
    assert (read_pictures(mine).values == np.float32(50 / 255)).all()


def test_a_kind_of_picture_that_runs_a_program_is_not_opened(tmp_path: Path) -> None:
    Image.fromarray(colours()).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(BadFile, match=r"expected a whole \.png"):
        read_pictures(tmp_path / "a.png")


def test_names_of_channels_must_fit() -> None:
    with pytest.raises(BadInput, match="2 channels and 1 names"):
        from_array(np.zeros((2, 8, 8)), ("DNA",))
    with pytest.raises(BadInput, match="none twice"):
        from_array(np.zeros((2, 8, 8)), ("DNA", "DNA"))


def test_a_file_that_names_its_channels_is_believed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((1, 2, 8, 8)), channels=np.array(STAINS))
    with pytest.raises(BadInput, match="says that its channels"):
        read_pictures(tmp_path / "a.npz", STAINS[::-1])


# --- encoders ----------------------------------------------------------------------------------


def pictures(channels: tuple[str, ...], n: int = 2, size: int = 16) -> Pictures:
    values = np.random.default_rng(1).random((n, len(channels), size, size)).astype(np.float32)
    return Pictures(values, channels)


@pytest.mark.parametrize("channels", [("grey",), STAINS, tuple("abcdef")])
def test_ours_reads_any_number_of_channels(channels: tuple[str, ...]) -> None:
    found = TrainedHere(small(channels), "").encode(pictures(channels))
    assert found.shape == (2, 4 * len(channels), 32)


def test_ours_brings_pictures_to_its_size() -> None:
    assert TrainedHere(small(), "").encode(pictures(STAINS, size=50)).shape == (2, 8, 32)


def test_order_and_count_of_channels_are_checked() -> None:
    encoder = TrainedHere(small(), "")
    with pytest.raises(BadInput, match="in this order"):
        encoder.encode(pictures(STAINS[::-1]))
    with pytest.raises(BadInput, match=r"\(3\).*DNA, Mito \(2\)"):
        encoder.encode(pictures(("DNA", "Mito", "ER")))


def test_channels_are_told_apart() -> None:
    vit = small()
    image = torch.rand(1, 2, 16, 16)
    assert not torch.allclose(vit(image), vit(image.flip(1)), atol=1e-4)


def test_ours_is_kept_and_read_again(tmp_path: Path) -> None:
    vit = small()
    sha256 = save_vit(vit, tmp_path)
    encoder = load(tmp_path)
    assert encoder.channels == STAINS
    assert encoder.identity["sha256"] == sha256
    some = pictures(STAINS)
    assert (encoder.encode(some) == TrainedHere(vit, "").encode(some)).all()
    (tmp_path / "vit.safetensors").write_bytes(b"x")
    with pytest.raises(BadFile, match="sha256"):
        load_vit(tmp_path)


def test_the_autoencoder_learns_from_hidden_patches_alone() -> None:
    torch.manual_seed(0)
    model = Autoencoder(small(("grey",)), width=16)
    flat = torch.linspace(0, 1, 16).repeat(16, 1).view(1, 1, 16, 16).repeat(8, 1, 1, 1)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        loss = model(flat)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert all(p.grad is not None for p in model.vit.parameters())


def test_what_is_hidden_is_not_read() -> None:
    """The hidden patches change the loss through its target alone: the drawn ones are the same."""
    model = Autoencoder(small(("grey",)), width=16).eval()
    drawn: list[torch.Tensor] = []
    model.draw.register_forward_hook(lambda *it: drawn.append(it[2]))
    image = torch.rand(1, 1, 16, 16)
    order = torch.rand(1, 4, generator=torch.Generator().manual_seed(0)).argsort(1)[0]
    changed = image.clone()
    for patch in order[1:].tolist():
        row, column = divmod(patch, 2)
        changed[..., row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = 0
    for one in (image, changed):
        model(one, torch.Generator().manual_seed(0))
    assert torch.allclose(drawn[0], drawn[1])


@pytest.mark.parametrize("kind", ["Dinov2", "ViT"])
def test_a_vision_transformer_of_others_by_folder(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        image_size=28, patch_size=14,
    )  # fmt: skip
    model = getattr(transformers, f"{kind}Model")(config)
    model.save_pretrained(tmp_path)
    encoder = load(tmp_path)
    assert (encoder.channels, encoder.width) == (RGB, 32)
    some = pictures(RGB, size=28)
    found = encoder.encode(some)
    assert found.shape == (2, 5, 32)  # four patches and the class
    mean, deviation = (torch.tensor(x).view(-1, 1, 1) for x in (
        (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))  # fmt: skip
    with torch.inference_mode():
        direct = model.eval()((torch.from_numpy(some.values) - mean) / deviation)
    assert found == pytest.approx(direct.last_hidden_state.numpy(), abs=1e-5)
    with pytest.raises(BadInput, match="grey"):
        encoder.encode(pictures(("grey",)))
    standard = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(standard))
    assert not np.allclose(load(tmp_path).encode(some), found)


def test_what_is_no_vision_transformer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadInput, match="no vision transformer"):
        load(tmp_path)
