"""Other software with the names of Celloquy's folders: found, judged, and its owner named."""

from __future__ import annotations

from pathlib import Path

import pytest

import celloquy
from data import clashes

ROOT = str(clashes.ROOT)


def installed(site: Path, distribution: str, *files: str) -> None:
    """Put files into a folder as pip does: with a RECORD that says whose they are."""
    info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in files))
    for name in files:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("")


@pytest.fixture
def site(tmp_path):
    return tmp_path / "site"


def test_the_names_are_those_that_the_front_door_guards():
    assert clashes.PACKAGES == celloquy.PACKAGES


def test_alone_there_is_no_clash():
    assert clashes.find([ROOT]) == []


@pytest.mark.parametrize("file", ["data/__init__.py", "data.py"])
def test_what_comes_first_hides_ours(site, file):
    installed(site, "Other-Tool", file)
    (found,) = clashes.find([str(site), ROOT])
    assert (found.name, found.effect, found.owner) == ("data", "hides", "Other-Tool")
    assert found.found == site / file.removesuffix("/__init__.py")
    assert "uninstall Other-Tool" in found.line and "\n" not in found.line


def test_what_comes_later_is_hidden(site):
    installed(site, "other-tool", "kg/__init__.py", "kg/a.py")
    (found,) = clashes.find([ROOT, str(site)])
    assert (found.name, found.effect, found.owner) == ("kg", "is hidden", "other-tool")


def test_a_folder_without_init_hides_nothing(site):
    installed(site, "pubmed-like", "data/big.xml.gz", "pubmed_like/__init__.py")
    (found,) = clashes.find([str(site), ROOT])
    assert (found.name, found.effect, found.owner) == ("data", "shares", "pubmed-like")


def test_files_of_others_inside_our_own_folder_are_named(site, monkeypatch):
    installed(site, "pubmed-like", "data/big.xml.gz")
    monkeypatch.setattr(clashes, "ROOT", site.resolve())  # Celloquy installed into that site
    (found,) = clashes.find([str(site)])
    assert (found.effect, found.owner) == ("shares", "pubmed-like")


def test_a_users_own_data_folder_is_no_news(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    assert clashes.find(["", ROOT]) == []
    (tmp_path / "agent.py").write_text("")
    (found,) = clashes.find(["", ROOT])
    assert (found.effect, found.owner) == ("hides", "")
    assert f"{tmp_path / 'agent.py'} hides Celloquy's 'agent'; rename it" in found.line


def test_folders_that_are_not_there_are_passed_over(tmp_path):
    assert clashes.find([str(tmp_path / "nowhere"), str(tmp_path / "x.zip"), ROOT]) == []
