"""The manifest as it is shipped, and the cache: what is there, what is trusted, what is not."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import data.manifest
from data import cache, locations, sources
from data.errors import AssetMissing, BadInput, CorruptAsset, Missing, ServerUnavailable
from data.manifest import GROUPS, Asset, File, age_in_days, pinned

ROOT = Path(__file__).parents[2]

# By hand, from the wheels themselves: three pins that must never change unseen.
GOLDEN = {
    "cl": ("v2026-03-26", "ee9b84956ca31195a65f63b6e67e993d58fd3f5fb577a61536dfd122fba06dde"),
    "go": ("2021-12-15", "1ce9dcc9835de8cb7ea670b009c3ea07285aed45a3fb07b98b49ba0b208d944a"),
    "axiom": ("0.2.0", "4486148b1df497f5399f625c495de25e54622bb969866059f19331f8ac33cf3d"),
}

# Names that readers, documentation and users rely on.
PROMISED = (
    *("cl", "uberon", "mondo", "go", "hgnc", "mgi", "mondo-xrefs", "gaf-human", "gaf-mouse"),
    *("cl-2014", "panglaodb", "pegasus-immune", "pegasus-lung", "pegasus-brain", "axiom"),
    *("ligand-receptor", "hpo-genes", "hpo-diseases", "hpo", "orthologues", "gencode-human"),
    *("gencode-mouse", "pubmed-2021", "pubmed-1970s", "smollm2", "minilm", "pbmc68k"),
    *("cl-obo", "go-obo", "goa-human-current", "gene-info", "gene2pubmed", "hgnc-current"),
    *("uberon-obo", "coordinates-human", "famplex", "transcription-factors", "collectri"),
    "dorothea",
)


# --- the manifest ------------------------------------------------------------------------------


def test_every_promised_asset_is_there():
    assert sorted(pinned()) == sorted(PROMISED)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_pins(name):
    release, sha256 = GOLDEN[name]
    assert (pinned()[name].release, pinned()[name].files[0].sha256) == (release, sha256)


@pytest.mark.parametrize("name", PROMISED)
def test_every_entry_is_complete(name):
    one = pinned()[name]
    assert one.group in GROUPS and one.title and one.source and one.format and one.content
    assert one.data_licence and one.citation
    assert bool(one.date) == bool(one.dated)
    assert one.dated in ("", "release", "file", "package", "publication")
    if one.date:
        assert re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", one.date)
        assert 0 < (age_in_days(one.date) or 0) < 60 * 366
    if not one.pinned:
        assert one.group == "optional" and one.official and not one.release
        return
    assert one.release and one.origins and one.package_licence
    assert len(one.files) == 1 or one.folder
    for file in one.files:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256) and file.size > 0
        assert ".." not in Path(file.name).parts and not Path(file.name).is_absolute()
    for origin in one.origins:
        assert origin.wheel is not None
        assert origin.wheel.file.startswith(origin.wheel.name.replace("-", "_"))
        assert origin.wheel.version in origin.wheel.file
    assert not one.official or one.official.startswith("https://")
    assert not one.newer or pinned()[one.newer].official


def test_no_two_assets_share_bytes():
    hashes = [file.sha256 for one in pinned().values() for file in one.files]
    assert len(hashes) == len(set(hashes))


def test_a_licence_is_never_borrowed_from_the_package():
    # What the carrier's licence says about the carrier is kept apart from the data's own.
    assert pinned()["axiom"].data_licence == "not verified"
    assert pinned()["panglaodb"].data_licence == "not stated"
    assert pinned()["gaf-human"].package_licence.startswith("GPL-3.0")
    assert pinned()["gaf-human"].data_licence == "CC BY 4.0"


def test_groups_and_names_select():
    assert {one.group for one in sources.select(["all"])} == {
        "core",
        "literature",
        "models",
        "demo",
    }
    assert [one.name for one in sources.select(["cl", "models", "cl"])] == [
        "cl",
        "smollm2",
        "minilm",
    ]
    assert [one.name for one in sources.select(["optional"])] == ["panglaodb"]
    with pytest.raises(BadInput, match="groups: core"):
        sources.select(["everything"])


def test_the_readme_table_has_every_source():
    table = sources.markdown_table().splitlines()
    assert len(table) == 2 + len(pinned())
    assert len({line.count("|") for line in table}) == 1
    (cl,) = [line for line in table if "`cl`" in line]
    assert "v2026-03-26" in cl and "CC BY 4.0" in cl
    assert "cellxgene-ontology-guide==1.11.1 (MIT)" in cl


@pytest.mark.parametrize(
    ("date", "today", "age"),
    [
        ("2026-03-26", "2026-11-21", 240),
        ("2021", "2021-01-02", 1),
        ("2024-02", "2024-03-01", 29),
        ("", "2024-03-01", None),
    ],
)
def test_age(date, today, age):
    assert age_in_days(date, datetime.date.fromisoformat(today)) == age


# --- the cache ---------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("CELLOQUY_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def two_files(home, monkeypatch):
    """A manifest with one folder asset of two files, put in the cache by hand."""
    bodies = {"a.txt": b"first", "sub/b.txt": b"second"}
    files = "".join(
        f'{{ name = "{name}", size = {len(body)}, '
        f'sha256 = "{hashlib.sha256(body).hexdigest()}" }}, '
        for name, body in bodies.items()
    )
    manifest = home / "sources.toml"
    manifest.write_text(
        "[wheel]\n[asset.pair]\ntitle='Pair'\nsource='T'\ngroup='core'\nrelease='r/1'\n"
        "format='raw'\ncontent='x'\ndata-licence='CC0'\ncitation='-'\nfolder=true\n"
        f"files=[{files}]\n"
    )
    monkeypatch.setattr(data.manifest, "MANIFEST", manifest)
    folder = cache.folder(sources.asset("pair"))
    for name, body in bodies.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    return folder


def test_files_put_there_by_hand_are_taken_when_they_are_right(two_files):
    assert sources.path("pair") == two_files
    stamp = json.loads(cache.stamp_path(sources.asset("pair")).read_text())
    assert stamp["a.txt"][2] == hashlib.sha256(b"first").hexdigest()


def test_an_incomplete_folder_is_missing(two_files):
    (two_files / "sub/b.txt").unlink()
    with pytest.raises(AssetMissing, match="run: celloquy data fetch pair"):
        sources.path("pair")
    assert sources.verify() == {"pair": "missing"}


def test_changed_bytes_are_found(two_files):
    sources.path("pair")
    (two_files / "a.txt").write_bytes(b"fIrst")
    with pytest.raises(CorruptAsset, match=r"a\.txt does not have the pinned sha256"):
        sources.path("pair")
    assert not sources.present("pair")


def test_verify_sees_a_change_that_keeps_size_and_time(two_files):
    sources.path("pair")
    status = (two_files / "a.txt").stat()
    (two_files / "a.txt").write_bytes(b"fIrst")
    os.utime(two_files / "a.txt", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert sources.path("pair") == two_files  # the price of not hashing on every start
    assert "a.txt" in sources.verify(["pair"])["pair"]
    with pytest.raises(CorruptAsset):
        sources.path("pair")  # and from now on everybody sees it


def test_a_copied_cache_needs_no_network(two_files, home, monkeypatch):
    sources.path("pair")
    shutil.copytree(home / "assets", home / "elsewhere" / "assets", copy_function=shutil.copyfile)
    for file in (home / "elsewhere").rglob("*.txt"):
        os.utime(file, (1, 1))
    monkeypatch.setenv("CELLOQUY_HOME", str(home / "elsewhere"))
    assert sources.path("pair").is_relative_to(home / "elsewhere")


def test_a_broken_stamp_or_record_is_no_trouble(two_files):
    sources.path("pair")
    cache.stamp_path(sources.asset("pair")).write_text("{broken")
    cache.updates_path().write_text("[]")
    assert sources.path("pair") == two_files


def test_prune_all_empties_the_cache(two_files):
    sources.path("pair")
    assert sources.prune() == 0
    assert sources.prune(everything=True) > len(b"firstsecond")
    assert not sources.present("pair")
    assert [state.bytes for state in sources.states()] == [0]


def test_a_cache_that_cannot_be_written_is_one_line(home, monkeypatch):
    (home / "taken").write_text("a file, not a folder")
    monkeypatch.setenv("CELLOQUY_HOME", str(home / "taken"))
    with pytest.raises(Missing, match=r"cannot be written.*CELLOQUY_HOME") as caught:
        sources.fetch(["axiom"])
    assert caught.value.exit_code == 4


def test_a_lock_that_cannot_be_made_is_one_line(home):
    (home / "assets" / ".lock").mkdir(parents=True)
    with pytest.raises(Missing, match=r"cannot be written \(unable to open"):
        sources.fetch(["axiom"])


@given(release=st.text(max_size=30), sha=st.text("0123456789abcdef", min_size=64, max_size=64))
def test_no_release_name_leads_out_of_its_folder(release, sha):
    one = Asset("x", "X", "S", "core", "raw", "c", "l", "c", release=release)
    moved = Asset("x", "X", "S", "core", "raw", "c", "l", "c", release=release, updated=True,
                  files=(File("f", 1, sha),))  # fmt: skip
    for asset in (one, moved):
        home = cache.folder(asset)
        assert home.resolve().parent == (locations.assets() / "x").resolve()
    assert cache.folder(one) != cache.folder(moved)


# --- no network unless asked for ---------------------------------------------------------------

WATCHED = """
import sys
def refuse(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system"):
        raise SystemExit(f"network or process: {event} {args}")
sys.addaudithook(refuse)
"""


def watched(code: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ, CELLOQUY_HOME=str(home), PYTHONPATH=str(ROOT)) | variables
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", WATCHED + code],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )


def test_nothing_but_fetch_and_update_uses_the_network(home):
    run = watched(
        "from data import sources\nfrom data.errors import AssetMissing\n"
        "sources.states(); sources.verify(); sources.markdown_table(); sources.prune()\n"
        "try: sources.path('cl')\nexcept AssetMissing as error: print(error)\n"
        "import sys\nprint(sorted({'pooch', 'requests', 'tqdm', 'numpy'} & set(sys.modules)))\n",
        home,
    )
    assert run.returncode == 0, run.stderr
    assert "run: celloquy data fetch cl" in run.stdout
    assert run.stdout.endswith("[]\n")  # and none of these is imported to learn that


def test_the_watch_above_does_see_the_network(home):
    run = watched("from data import sources\nsources.fetch(['axiom'])\n", home)
    assert run.returncode == 1 and "subprocess.Popen" in run.stderr


@pytest.mark.parametrize("call", ["sources.fetch(['axiom'])", "sources.update('go')"])
def test_offline_refuses_before_anything_is_tried(home, call):
    run = watched(f"from data import sources\n{call}\n", home, CELLOQUY_OFFLINE="1")
    assert run.returncode == 1
    assert "ServerUnavailable: CELLOQUY_OFFLINE is set" in run.stderr


def test_offline_is_no_trouble_for_what_is_there(two_files, monkeypatch):
    monkeypatch.setenv("CELLOQUY_OFFLINE", "1")
    assert sources.fetch(["pair"]) == []
    (two_files / "a.txt").unlink()
    with pytest.raises(ServerUnavailable, match="pair cannot be fetched"):
        sources.fetch(["pair"])


# --- the real cache ----------------------------------------------------------------------------


@pytest.mark.assets
def test_the_fetched_assets_have_their_bytes():
    small = [one.name for one in sources.select(["core"]) if one.size < 3_000_000]
    if not all(sources.present(name) for name in small):
        pytest.skip("the core assets are not in the cache: celloquy data fetch")
    assert set(sources.verify(small).values()) == {"ok"}
