"""The wheel origin with the real pip: small wheels made here, served from a folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import data.manifest
from data import cache, locations, sources, wheels
from data.errors import CorruptAsset, DependencyMissing, ServerUnavailable
from data.manifest import Wheel

BODIES = {"facts/a.txt": b"alpha" * 100, "facts/sub/b.txt": b"beta" * 100}


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def make_wheel(folder: Path, tag: str = "py3-none-any") -> Path:
    """A wheel named facts whose code would fail loudly if anything ran it."""
    file = folder / f"facts-1.0-{tag}.whl"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("facts/__init__.py", "raise SystemExit('a data wheel was run')")
        for name, body in BODIES.items():
            archive.writestr(name, body)
        archive.writestr(
            "facts-1.0.dist-info/METADATA",
            # Neither this Python nor this dependency exists: a wheel of data needs neither.
            "Metadata-Version: 2.1\nName: facts\nVersion: 1.0\nRequires-Python: >=3.99\n"
            "Requires-Dist: no-such-package-anywhere\n",
        )
        archive.writestr(
            "facts-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
        )
        archive.writestr("facts-1.0.dist-info/RECORD", "")
    return file


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder that stands for the package index, and an empty cache."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("CELLOQUY_OFFLINE", raising=False)
    monkeypatch.delenv("CELLOQUY_MIRROR", raising=False)
    monkeypatch.setenv("CELLOQUY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def pin(tmp_path, monkeypatch):
    """Writes a manifest of two assets, a and b, that are members of one wheel."""

    def write(wheel: Path, *, wheel_sha: str = "", body_sha: str = "", extra: str = "") -> None:
        text = (
            f'[wheel.facts]\nversion = "1.0"\nfile = "{wheel.name}"\n'
            f"size = {wheel.stat().st_size}\n"
            f'sha256 = "{wheel_sha or sha(wheel.read_bytes())}"\nlicence = "MIT"\n{extra}\n'
        )
        for key, (member, body) in zip("ab", BODIES.items(), strict=True):
            text += (
                f"[asset.{key}]\ntitle='{key}'\nsource='T'\ngroup='core'\nrelease='1'\n"
                f"format='raw'\ncontent='x'\ndata-licence='CC0'\ncitation='-'\n"
                f"origins=[{{ wheel='facts', root='facts/' }}]\n"
                f"files=[{{ name='{member.removeprefix('facts/')}', size={len(body)}, "
                f"sha256='{body_sha or sha(body)}' }}]\n"
            )
        manifest = tmp_path / "sources.toml"
        manifest.write_text(text)
        monkeypatch.setattr(data.manifest, "MANIFEST", manifest)

    return write


started: list[list[str]] = []  # the pip commands that this process ran


def _note(event: str, args: tuple) -> None:
    if event == "subprocess.Popen" and "pip" in args[1]:
        started.append(list(args[1]))


sys.addaudithook(_note)


def test_members_arrive_and_the_wheel_goes(shelf, pin):
    pin(make_wheel(shelf))
    before = len(started)
    assert [one.name for one in sources.fetch(["core"])] == ["a", "b"]
    assert len(started) == before + 1  # one pip for two assets of one wheel
    assert sources.path("a").read_bytes() == BODIES["facts/a.txt"]
    assert sources.path("b").read_bytes() == BODIES["facts/sub/b.txt"]
    assert sources.asset("a").package_licence == "MIT"
    assert not list(locations.assets().rglob("*.whl"))
    assert not list((locations.assets() / ".work").iterdir())
    assert sources.fetch(["core"]) == [] and len(started) == before + 1


def test_a_fetched_file_has_the_users_permissions(shelf, pin):
    pin(make_wheel(shelf))
    before = os.umask(0o027)
    try:
        sources.fetch(["a"])
    finally:
        os.umask(before)
    for file in (sources.path("a"), cache.stamp_path(sources.asset("a"))):
        assert file.stat().st_mode & 0o777 == 0o640


def test_only_the_asset_that_is_wrong_is_brought_again(shelf, pin):
    pin(make_wheel(shelf))
    sources.fetch(["core"])
    sources.path("a").write_bytes(b"other")
    assert [one.name for one in sources.fetch(["core"])] == ["a"]
    assert sources.path("a").read_bytes() == BODIES["facts/a.txt"]


def test_what_a_killed_run_left_is_cleared(shelf, pin):
    pin(make_wheel(shelf))
    left = locations.assets() / ".work" / "dead" / "facts.whl"
    stray = locations.assets() / "a" / "1" / "tmpx1y2"
    for file in (left, stray):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"half a file")
    sources.fetch(["a"])
    assert not left.exists() and not stray.exists()


DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import data.manifest
data.manifest.MANIFEST = Path(sys.argv[2])
from data import sources
sources.fetch(["core"])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_while_pip_runs_and_run_again(shelf, pin, number):
    pin(make_wheel(shelf))
    root = Path(data.__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(root), str(data.manifest.MANIFEST)], cwd=shelf
    )
    deadline = time.monotonic() + 30
    while not list(locations.assets().glob(".work/*")):  # there from just before pip starts
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(number)
    assert process.wait(timeout=30) == -number
    assert not sources.present("a")
    assert [one.name for one in sources.fetch(["core"])] == ["a", "b"]
    assert not list((locations.assets() / ".work").iterdir())


def test_a_wheel_for_another_system_is_brought_all_the_same(shelf, pin):
    wheel = make_wheel(shelf, "cp39-cp39-win_arm64")
    pin(wheel, extra='python-version = "3.9"\nplatform = "win_arm64"\nabi = "cp39"')
    sources.fetch(["a"])
    assert sources.path("a").read_bytes() == BODIES["facts/a.txt"]


def test_progress_is_read_while_pip_makes_and_removes_folders(tmp_path):
    (tmp_path / "facts.whl").write_bytes(b"7 bytes")
    over = threading.Event()

    def tidy() -> None:
        while not over.is_set():
            (tmp_path / "pip-build-tracker" / "inside").mkdir(parents=True)
            shutil.rmtree(tmp_path / "pip-build-tracker")

    pip = threading.Thread(target=tidy)
    pip.start()
    try:
        assert {wheels._arrived(tmp_path) for _ in range(3000)} == {7}
    finally:
        over.set()
        pip.join()


def test_a_wheel_with_other_bytes_is_refused(shelf, pin):
    pin(make_wheel(shelf), wheel_sha="0" * 64)
    with pytest.raises(CorruptAsset, match=r"facts-1\.0-py3-none-any\.whl has sha256"):
        sources.fetch(["a"])
    assert not sources.present("a") and not list(locations.assets().rglob("*.whl"))


def test_a_member_with_other_bytes_is_refused(shelf, pin):
    pin(make_wheel(shelf), body_sha="0" * 64)
    with pytest.raises(CorruptAsset, match=r"a\.txt from facts.* does not have the pinned sha256"):
        sources.fetch(["a"])
    assert not sources.present("a")


def test_a_version_that_the_index_lacks(shelf, pin):
    wheel = make_wheel(shelf)
    pin(wheel)
    wheel.unlink()
    with pytest.raises(ServerUnavailable, match=r"could not download facts==1\.0.*PIP_INDEX_URL"):
        sources.fetch(["a"])


def test_an_index_that_does_not_answer(shelf, pin, monkeypatch):
    pin(make_wheel(shelf))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/simple")
        with pytest.raises(ServerUnavailable) as caught:
            sources.fetch(["a"])
    assert "\n" not in str(caught.value) and "onnection" in str(caught.value)


def test_a_python_without_pip(shelf, pin, tmp_path, monkeypatch):
    pin(make_wheel(shelf))
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys._base_executable}" -S -I "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(DependencyMissing, match=r"has no pip.*ensurepip"):
        sources.fetch(["a"])


def test_pip_is_asked_for_one_wheel_and_nothing_else(tmp_path):
    plain = Wheel("x", "1.0", "x.whl", 1, "0" * 64, "MIT")
    command = wheels.pip_command(plain, tmp_path)
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:"} <= set(command)
    assert command[-1] == "x==1.0" and "--platform" not in command


# --- zip files of every kind -------------------------------------------------------------------

MEMBER = st.sampled_from(["a.txt", "../a.txt", "../../etc/a.txt", "/a.txt", "x/../a.txt", "C:\\a"])


@given(names=st.lists(MEMBER, min_size=1, unique=True), body=st.binary(max_size=100))
def test_taking_a_member_writes_one_file_only(names, body):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "deep" / "inside"
        folder.mkdir(parents=True)
        wheel = folder / "w.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for member in names:
                archive.writestr(member, body)
        wheels.take_member(wheel, names[0], len(body), folder / "out")
        assert (folder / "out").read_bytes() == body
        assert sorted(p.name for p in Path(name).rglob("*")) == ["deep", "inside", "out", "w.whl"]


def test_a_bomb_is_refused_by_its_declared_size(tmp_path):
    wheel = tmp_path / "w.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"\0" * 50_000_000)
    assert wheel.stat().st_size < 100_000
    with pytest.raises(CorruptAsset, match="has 50000000 bytes, expected 10"):
        wheels.take_member(wheel, "a.txt", 10, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path):
    wheel = tmp_path / "w.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"\0" * 50_000_000)
    lying = wheel.read_bytes().replace(
        (50_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    )
    wheel.write_bytes(lying)
    with pytest.raises(CorruptAsset, match="cannot be unzipped"):
        wheels.take_member(wheel, "a.txt", 10, tmp_path / "out")
    assert (tmp_path / "out").stat().st_size <= 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda file: file.write_bytes(b"not a zip"), "cannot be unzipped"),
        (lambda file: zipfile.ZipFile(file, "w").close(), "has no member a.txt"),
    ],
)
def test_no_such_member(tmp_path, make, message):
    make(tmp_path / "w.whl")
    with pytest.raises(CorruptAsset, match=message):
        wheels.take_member(tmp_path / "w.whl", "a.txt", 10, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.assets
def test_a_real_pinned_wheel_from_the_users_own_index(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLOQUY_HOME", str(tmp_path))
    monkeypatch.delenv("CELLOQUY_OFFLINE", raising=False)
    brought = sources.fetch(["axiom", "ligand-receptor", "pegasus-brain", "panglaodb"])
    assert sorted(one.name for one in brought) == [
        "axiom",
        "ligand-receptor",
        "panglaodb",
        "pegasus-brain",
    ]
    assert set(sources.verify(["axiom", "ligand-receptor"]).values()) == {"ok"}
