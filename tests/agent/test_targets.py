"""What is written loses nobody's work: inputs, other files, half files."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import pytest

from agent.cli.console import options
from agent.cli.main import run
from agent.cli.targets import apart, to_write, whole
from data.errors import BadInput, CelloquyError


@pytest.fixture(autouse=True)
def _aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options outlive a command: an earlier test may have asked for silence."""
    monkeypatch.setattr(options, "quiet", False)


def dataset(file: Path, **parts: str) -> Path:
    """An HDF5 file with a column in obs, or an entry in uns."""
    with h5py.File(file, "w") as opened:
        for part, key in parts.items():
            opened.create_group(part)[key] = [1.0]
    return file


def test_an_input_is_not_written_over_by_any_of_its_names(tmp_path: Path) -> None:
    source = dataset(tmp_path / "cells.h5ad", obs="leiden")
    (tmp_path / "soft.h5ad").symlink_to(source)
    os.link(source, tmp_path / "hard.h5ad")
    for name in ("cells.h5ad", "soft.h5ad", "hard.h5ad", "../" + tmp_path.name + "/cells.h5ad"):
        with pytest.raises(BadInput, match="input itself"):
            to_write(tmp_path / name, read=(None, source))
    with pytest.raises(BadInput, match="input itself"):
        apart(tmp_path, tmp_path / ".")


def test_another_dataset_is_not_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = dataset(tmp_path / "other.h5ad", obs="leiden")
    with pytest.raises(BadInput, match="no copy that Celloquy wrote; name another file"):
        to_write(other)
    (tmp_path / "odd.h5ad").write_text("notes")
    with pytest.raises(BadInput, match="no copy"):
        to_write(tmp_path / "odd.h5ad")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "parts", [{"uns": "celloquy"}, {"obs": "celloquy_naive_b_cell", "uns": "umap"}]
)
def test_an_earlier_copy_is_replaced_and_that_is_said(
    parts: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to_write(dataset(tmp_path / "earlier.h5ad", **parts))
    assert "earlier.h5ad is there already and will be replaced" in capsys.readouterr().err


def test_a_page_is_replaced_aloud_and_a_new_or_empty_file_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.html").write_text("mine")
    to_write(tmp_path / "page.html")
    assert capsys.readouterr().err.count("will be replaced") == 1
    (tmp_path / "empty.h5ad").touch()
    to_write(tmp_path / "empty.h5ad")
    to_write(tmp_path / "new.h5ad")
    assert capsys.readouterr().err == ""


def test_two_results_do_not_share_a_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="named twice"):
        to_write(tmp_path / "a.html", also=(tmp_path / "b.html", tmp_path / "a.html"))
    for nowhere in (tmp_path, tmp_path / "no" / "a.html"):
        with pytest.raises(BadInput, match="expected the name of a file in a folder"):
            to_write(nowhere)


def test_a_picture_is_whole_or_what_was_there_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.svg"
    file.write_text("before")
    with pytest.raises(ZeroDivisionError), whole(file) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert [one.name for one in tmp_path.iterdir()] == ["a.svg"]
    assert file.read_text() == "before"
    with whole(file) as part:
        assert part.suffix == ".svg"
        part.write_text("after")
    assert file.read_text() == "after"
    with pytest.raises(CelloquyError, match="was not written"), whole(file):
        pass  # nothing was written


def test_the_commands_leave_a_strange_dataset_and_the_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells, other = (dataset(tmp_path / f"{one}.h5ad", obs="leiden") for one in ("cells", "other"))
    before = other.read_bytes()
    asked = [
        (["annotate", str(cells), "-o", str(other)], "no copy that Celloquy wrote"),
        (["annotate", str(cells), "-o", str(other), "--reference", str(other),
          "--reference-key", "leiden"], "input itself"),
        (["annotate", str(cells), "--cas", str(tmp_path / "cells.celloquy.h5ad")], "twice"),
        (["cells", "B cell", "--h5ad", str(cells), "-o", str(other)], "no copy"),
    ]  # fmt: skip
    for words, why in asked:
        assert run(words) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and why in err
    assert other.read_bytes() == before
    assert not (tmp_path / "cells.celloquy.h5ad").exists()


def test_an_export_is_not_written_over_what_it_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "terms.json"
    file.write_text('{"graphs": []}')
    words = ["kg", "export", str(file), "--format", "obograph", "--from", str(file)]
    assert run(words) == 2
    assert "input itself" in capsys.readouterr().err
    assert file.read_text() == '{"graphs": []}'
