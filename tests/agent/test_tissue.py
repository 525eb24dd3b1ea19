"""Tissues by name, synonym or id; what is unknown is refused with what is like it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.annotation.annotate import AnnotateConfig, knowledge
from agent.annotation.lists import annotate_marker_file
from agent.annotation.tissue import said, tissue_of
from agent.cli.main import run
from agent.lookup import open_graph
from data.errors import UnknownTerm

pytestmark = pytest.mark.assets


@pytest.mark.parametrize("text", ["lung", "Lungs", "pulmo", "UBERON:0002048"])
def test_a_tissue_is_found_by_any_of_its_names(text: str) -> None:
    assert tissue_of(text, open_graph()) == "UBERON:0002048"


def test_it_is_said_how_a_name_was_read() -> None:
    graph = open_graph()
    (notice,) = said("pulmo", tissue_of("pulmo", graph), graph)
    assert notice == "tissue 'pulmo' is read as lung (UBERON:0002048)"
    assert said("UBERON:0002048", "UBERON:0002048", graph) == ()
    assert tissue_of(None, graph) is None and said(None, None, graph) == ()


@pytest.mark.parametrize(
    ("text", "like"),
    [
        ("lnug", "lung (UBERON:0002048)"),
        ("kidny", "kidney (UBERON:0002113)"),
        ("UBERON:9999999", "the id 'UBERON:9999999'"),
        ("T cell", "T cell domain"),
    ],
)
def test_what_is_no_tissue_is_refused_with_what_is_like_it(text: str, like: str) -> None:
    with pytest.raises(UnknownTerm, match="no tissue of the graph") as told:
        tissue_of(text, open_graph())
    assert like in str(told.value)


def test_a_name_and_its_id_weigh_alike(tmp_path: Path) -> None:
    file = tmp_path / "lists.tsv"
    file.write_text("a\tSFTPC SFTPB LAMP3 ABCA3\nb\tLYZ CD68 MARCO\n", encoding="utf-8")
    known = knowledge()
    named, by_id, plain = (
        annotate_marker_file(file, AnnotateConfig(tissue=one), known=known)
        for one in ("lungs", "UBERON:0002048", None)
    )
    assert [one.confidence for one in named.answers] == [one.confidence for one in by_id.answers]
    assert [one.term for one in named.answers] == [one.term for one in by_id.answers]
    assert "UBERON" in named.releases and "UBERON" not in plain.releases


def test_the_command_takes_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "lists.tsv"
    file.write_text("a\tSFTPC SFTPB LAMP3 ABCA3\n", encoding="utf-8")
    assert run(["annotate", "--markers", str(file), "--tissue", "lung"]) == 0
    assert "tissue 'lung' is read as" in capsys.readouterr().err
    assert run(["annotate", "--markers", str(file), "--tissue", "lnug"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "lung (UBERON:0002048)" in err
