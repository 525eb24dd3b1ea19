"""E-utilities against a loopback server that answers, limits and fails as NCBI's do."""

from __future__ import annotations

import http.server
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from data.errors import BadInput, ServerUnavailable
from retrieval.eutils import EUtilities
from retrieval.medline import Citation
from retrieval.recordcutter import Problem
from tests.retrieval.pubmed_xml import article, document


@dataclass
class Ncbi:
    """The server: articles by PMID, planned failures, what it was asked and when."""

    articles: dict[str, str] = field(default_factory=dict)
    failures: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/entrez/eutils"

    def answer(self, utility: str, fields: dict[str, str]) -> bytes:
        if utility == "esearch.fcgi":
            word = fields["term"].lower()
            hits = [pmid for pmid, text in self.articles.items() if word in text.lower()]
            found = {"count": str(len(hits)), "idlist": hits[: int(fields["retmax"])]}
            header = {"type": "esearch", "version": "0.3"}
            return json.dumps({"header": header, "esearchresult": found}).encode()
        wanted = [pmid for pmid in fields["id"].split(",") if pmid in self.articles]
        return document(*(self.articles[pmid] for pmid in wanted))


class Handler(http.server.BaseHTTPRequestHandler):
    ncbi: Ncbi

    def log_message(self, *arguments: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        fields = {name: values[0] for name, values in parse_qs(body).items()}
        self.ncbi.asked.append((self.path, fields))
        status, headers, content = 200, {}, b""
        if self.ncbi.failures:
            status, headers, content = self.ncbi.failures.pop(0)
        if status == 0:  # hang up in the midst of an answer
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"<Pubmed")
            self.close_connection = True
            return
        if status == 200 and not content:
            content = self.ncbi.answer(self.path.rsplit("/", 1)[1], fields)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def ncbi() -> Iterator[Ncbi]:
    site = Ncbi()
    handler = type("Handler", (Handler,), {"ncbi": site})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        site.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        site.articles = {
            str(i): article(i, f"{'Kinase' if i % 2 else 'Ligase'} {i}.") for i in range(1, 451)
        }
        yield site
        server.shutdown()
        thread.join()


class Clock:
    """Time that passes only when someone sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NCBI_API_KEY", "NCBI_EMAIL", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


def client(ncbi: Ncbi, folder: Path, **more: str) -> tuple[EUtilities, Clock]:
    clock = Clock()
    made = EUtilities(ncbi.url, folder, clock=clock, sleep=clock.sleep, **more)  # type: ignore[arg-type]
    return made, clock


def fetched(made: EUtilities, pmids: list[str]) -> tuple[list[str], list[Problem]]:
    problems: list[Problem] = []
    found = made.fetch(pmids, problems.append)
    return [record.pmid for record in found if isinstance(record, Citation)], problems


def test_a_query_and_its_records_in_pages(ncbi: Ncbi, tmp_path: Path) -> None:
    made, _ = client(ncbi, tmp_path)
    pmids, total = made.search("kinase", most=210)
    assert (len(pmids), total) == (210, 225)
    found, problems = fetched(made, pmids)
    assert found == pmids
    assert problems == []
    assert [path.rsplit("/", 1)[1] for path, _ in ncbi.asked] == [
        "esearch.fcgi",
        "efetch.fcgi",
        "efetch.fcgi",
    ]
    assert all(fields["db"] == "pubmed" for _, fields in ncbi.asked)
    assert all(fields["tool"] == "celloquy" for _, fields in ncbi.asked)


def test_answers_are_kept_on_disk(ncbi: Ncbi, tmp_path: Path) -> None:
    for _ in range(2):
        made, _ = client(ncbi, tmp_path)
        pmids, _ = made.search("ligase", most=5)
        assert fetched(made, pmids)[0] == pmids
    assert len(ncbi.asked) == 2
    # A day later the search is asked again, the records are not.
    for path in tmp_path.iterdir():
        old = time.time() - 25 * 3600
        os.utime(path, (old, old))
    made, _ = client(ncbi, tmp_path)
    fetched(made, made.search("ligase", most=5)[0])
    assert [path.rsplit("/", 1)[1] for path, _ in ncbi.asked[2:]] == ["esearch.fcgi"]


@pytest.mark.parametrize(("key", "rate"), [("", 3), ("secret", 10)])
def test_the_rate_is_kept(ncbi: Ncbi, tmp_path: Path, key: str, rate: int) -> None:
    made, clock = client(ncbi, tmp_path, key=key)
    for i in range(12):
        made.search(f"kinase {i}")
    assert clock.now - 100 >= 11 / rate - 1e-6
    assert clock.now - 100 <= 12 / rate


def test_the_key_is_sent_and_never_written(
    ncbi: Ncbi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NCBI_API_KEY", "s3cr3tk3y")
    monkeypatch.setenv("NCBI_EMAIL", "a@b.example")
    made, _ = client(ncbi, tmp_path)
    fetched(made, made.search("kinase", most=3)[0])
    assert {fields["api_key"] for _, fields in ncbi.asked} == {"s3cr3tk3y"}
    assert {fields["email"] for _, fields in ncbi.asked} == {"a@b.example"}
    assert not any("s3cr3tk3y" in path for path, _ in ncbi.asked)
    for path in tmp_path.rglob("*"):
        assert b"s3cr3tk3y" not in path.read_bytes()
        assert "s3cr3tk3y" not in path.name
    ncbi.failures = [(400, {}, b"bad")]
    with pytest.raises(ServerUnavailable) as caught:
        made.search("other")
    assert "s3cr3tk3y" not in str(caught.value)


def test_it_waits_as_long_as_the_server_asks(ncbi: Ncbi, tmp_path: Path) -> None:
    limited = b'{"error":"API rate limit exceeded","api-key":"127.0.0.1","count":"4","limit":"3"}'
    ncbi.failures = [(429, {"Retry-After": "7"}, limited)]
    made, clock = client(ncbi, tmp_path)
    assert made.search("kinase")[1] == 225
    assert 7.0 in clock.slept


def test_a_date_to_wait_for_and_never_more_than_a_minute(ncbi: Ncbi, tmp_path: Path) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    ncbi.failures = [(503, {"Retry-After": soon}, b""), (503, {"Retry-After": "9999"}, b"")]
    made, clock = client(ncbi, tmp_path)
    made.search("kinase")
    assert any(25 <= slept <= 31 for slept in clock.slept)
    assert max(clock.slept) == 60


@pytest.mark.parametrize(
    "failure",
    [
        (500, {}, b""),
        (502, {}, b"<html>Bad Gateway</html>"),
        (0, {}, b""),
        (200, {}, b"<html>maintenance</html>"),
        (200, {}, b'{"esearchresult":{"ERROR":"Search Backend failed: try later"}}'),
        (200, {}, b'{"error":"error forwarding request"}'),
        (200, {}, b'{"esearchresult":{"count":"x","idlist":[]}}'),
        (200, {}, b"[]"),
    ],
)
def test_failures_that_pass_are_tried_again(
    ncbi: Ncbi, tmp_path: Path, failure: tuple[int, dict[str, str], bytes]
) -> None:
    ncbi.failures = [failure, failure]
    made, clock = client(ncbi, tmp_path)
    assert made.search("kinase")[1] == 225
    assert len(ncbi.asked) == 3
    assert [slept for slept in clock.slept if slept >= 1] == [1.0, 2.0]


def test_records_cut_short_are_asked_for_again_and_never_kept(ncbi: Ncbi, tmp_path: Path) -> None:
    whole = document(article(1))
    ncbi.failures = [(200, {}, whole[: len(whole) // 2])]
    made, _ = client(ncbi, tmp_path)
    assert fetched(made, ["1"])[0] == ["1"]
    assert len(ncbi.asked) == 2


def test_a_failure_that_stays_is_one_line_and_nothing_is_kept(ncbi: Ncbi, tmp_path: Path) -> None:
    ncbi.failures = [(503, {}, b"")] * 20
    made, _ = client(ncbi, tmp_path)
    with pytest.raises(ServerUnavailable, match="HTTP 503") as caught:
        made.search("kinase")
    assert "\n" not in str(caught.value)
    assert len(ncbi.asked) == 6
    assert not list(tmp_path.iterdir())


def test_a_request_that_cannot_be_right_is_not_repeated(ncbi: Ncbi, tmp_path: Path) -> None:
    ncbi.failures = [(400, {}, b"")] * 5
    made, _ = client(ncbi, tmp_path)
    with pytest.raises(ServerUnavailable, match="HTTP 400"):
        made.search("kinase")
    assert len(ncbi.asked) == 1


def test_numbers_without_a_record_are_named(ncbi: Ncbi, tmp_path: Path) -> None:
    made, _ = client(ncbi, tmp_path)
    found, problems = fetched(made, ["9999"])
    assert found == []
    assert problems == [Problem("E-utilities", "no record for any of 1 PMIDs")]


def test_no_server_at_all(tmp_path: Path) -> None:
    clock = Clock()
    made = EUtilities("http://127.0.0.1:9", tmp_path, clock=clock, sleep=clock.sleep)
    with pytest.raises(ServerUnavailable, match="did not answer"):
        made.search("kinase")


def test_what_cannot_be_asked(ncbi: Ncbi, tmp_path: Path) -> None:
    made, _ = client(ncbi, tmp_path)
    for query, most in ((" ", 5), ("kinase", 0), ("kinase", 10_000)):
        with pytest.raises(BadInput):
            made.search(query, most)
    with pytest.raises(BadInput, match="not a web address"):
        EUtilities("file:///etc/passwd")
    assert not ncbi.asked


def test_nothing_found_is_no_error(ncbi: Ncbi, tmp_path: Path) -> None:
    made, _ = client(ncbi, tmp_path)
    assert made.search("zebrafish") == ([], 0)
