"""Shared fixtures. Skips for missing data are failures where CELLOQUY_TEST_DATA is set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from data.errors import Missing
from kg.embedded import EmbeddedGraph
from tests.immune import immune_graph, whole_graph

# A busy machine is no failure: speed is measured by `make bench`. In continuous integration the
# same examples are tried every time; elsewhere new ones are.
settings.register_profile("celloquy", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("celloquy")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real development data; its absence is a failure once it was named."""
    named = os.environ.get("CELLOQUY_TEST_DATA")
    if not named:
        pytest.skip("CELLOQUY_TEST_DATA is not set: no development data on this machine")
    folder = Path(named)
    assert folder.is_dir(), f"CELLOQUY_TEST_DATA={named} is not a folder"
    return folder


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedGraph]:
    """The small graph of real terms; read it only."""
    with immune_graph(tmp_path_factory.mktemp("immune")) as opened:
        yield opened


@pytest.fixture(scope="session")
def real() -> Iterator[EmbeddedGraph]:
    """The graph of the fetched assets; read it only."""
    try:
        opened = whole_graph()
    except Missing as error:
        pytest.skip(str(error))
    with opened:
        yield opened


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests to `make test-all` unless a marker expression asks for them."""
    if config.option.markexpr:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Turn a skip for missing data into a failure where the data was promised."""
    outcome = yield
    report = outcome.get_result()
    promised = bool(os.environ.get("CELLOQUY_TEST_DATA"))
    needs_data = item.get_closest_marker("shared") or item.get_closest_marker("assets")
    if report.skipped and promised and needs_data and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although data was promised: {report.longrepr}"
