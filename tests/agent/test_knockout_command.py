"""``celloquy knockout`` and the graph facts beside its predictions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.knockoutfacts import facts
from kg.embedded import EmbeddedGraph

ROOT = Path(__file__).parents[2]
STAT2, JAK2, MDH2 = "HGNC:11363", "HGNC:6192", "HGNC:6971"
SOCS1, STAT4 = "HGNC:19383", "HGNC:11365"
THP1 = "perturbation/papalexi2021_eccite_thp1_crisprko_dev_counts.h5ad"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "celloquy", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.assets
def test_a_shared_process_says_nothing_of_a_direction(real: EmbeddedGraph) -> None:
    source = [(STAT2, "STAT2")]
    for change, gain in ((-0.8, False), (0.8, False), (0.8, True)):
        (found,) = facts(real, source, [(JAK2, "JAK2", change)], gain=gain)
        assert found.verdict == "related"
    assert "JAK-STAT" in found.words
    stated = {(edge.subject, edge.object) for edge in found.edges}
    assert {gene for gene, _ in stated} == {STAT2, JAK2}
    assert all(edge.evidence_code and not edge.negated for edge in found.edges)


@pytest.mark.assets
def test_facts_agree_or_disagree_by_the_direction(real: EmbeddedGraph) -> None:
    """SOCS1 holds the signalling back in which STAT4 takes part: its loss should raise it."""
    source = [(SOCS1, "SOCS1")]
    (risen,) = facts(real, source, [(STAT4, "STAT4", 0.8)])
    (lost,) = facts(real, source, [(STAT4, "STAT4", -0.8)])
    (made,) = facts(real, source, [(STAT4, "STAT4", -0.8)], gain=True)
    assert (risen.verdict, lost.verdict, made.verdict) == ("agrees", "disagrees", "agrees")
    assert "SOCS1 holds back" in risen.words


@pytest.mark.assets
def test_a_gene_without_a_joining_fact_is_left_out(real: EmbeddedGraph) -> None:
    assert facts(real, [(STAT2, "STAT2")], [(MDH2, "MDH2", 0.3), (STAT2, "STAT2", -1.0)]) == []


@pytest.mark.shared
@pytest.mark.assets
@pytest.mark.models
def test_the_command_tells_predicted_from_observed(shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "stat2.svg"
    done = run("knockout", "STAT2", "--h5ad", str(shared_data / THP1), "--json", "--limit", "8",
               "--plot", str(picture), "--quiet")  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kind"] == "prediction"
    assert found["measured"]["value"] > found["measured"]["baseline_value"]
    assert len(found["changes"]) == 8
    assert {"predicted", "observed", "expected_error"} <= set(found["changes"][0])
    sizes = [abs(row["predicted"]) for row in found["changes"]]
    assert sizes == sorted(sizes, reverse=True)
    assert all(fact["edges"] for fact in found["facts"])
    counts = found["counts"]
    assert counts["genes"] == 299 >= counts["fall"] + counts["rise"]
    assert 0 < counts["fall_beyond_expected_error"] <= counts["fall"]
    assert counts["rise_beyond_expected_error"] <= counts["rise"]
    assert "observed is what 661 cells of the file with this perturbation show" in found["notes"]
    assert (found["kind"], found["status"]) == ("prediction", "predicted")
    drawn = picture.read_text()
    assert "observed in the file" in drawn
    assert "delta-Pearson" in drawn


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("STAT2", "--h5ad", "absent.h5ad"), "absent.h5ad"),
        (("STAT2", "--h5ad", "absent.h5ad", "--plot", "picture.gif"), "ends on .svg, .png or .pdf"),
    ],
)
@pytest.mark.assets
def test_what_cannot_be_used_is_one_line(arguments: tuple[str, ...], told: str) -> None:
    done = run("knockout", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert told in done.stderr


@pytest.mark.models
def test_a_model_that_is_there_is_not_replaced_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "perturb.json").write_text("{}")
    done = run("train", "perturb", "--h5ad", "absent.h5ad", "-o", str(tmp_path))
    assert done.returncode == 2
    assert "holds a trained model already, which will be replaced" in done.stderr
    assert (tmp_path / "perturb.json").read_text() == "{}"


def test_help_of_both_commands_says_what_they_give() -> None:
    assert "the measured worth of the prediction" in " ".join(
        run("knockout", "--help").stdout.split()
    )
    assert "measure it on left-out genes" in " ".join(
        run("train", "perturb", "--help").stdout.split()
    )
