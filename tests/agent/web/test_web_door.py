"""Who may come in: hosts, origins, tokens, cookies; and that the page itself is closed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from agent.web.app import STATIC, create_app
from agent.web.config import ServeConfig
from agent.web.door import COOKIE, POLICY, Door
from data.errors import BadInput

QUICK = "/api/datasets"  # needs no graph


def test_every_answer_has_safe_headers(client: TestClient) -> None:
    for path in ("/", "/js/main.js", QUICK, "/api/nothing"):
        headers = client.get(path).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
    assert POLICY.startswith("default-src 'self'")
    assert "unsafe" not in POLICY


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost", "[::1]:9"])
def test_names_of_this_machine(client: TestClient, host: str) -> None:
    assert client.get(QUICK, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[", "localhost.evil"]
)
def test_other_names_are_refused(client: TestClient, host: str) -> None:
    answer = client.get(QUICK, headers={"host": host})
    assert answer.status_code == 421
    assert "set-cookie" not in answer.headers


def test_another_page_cannot_send(client: TestClient) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
        answer = client.delete("/api/conversation", headers={"origin": origin})
        assert answer.status_code == 403
    same = client.delete("/api/conversation", headers={"origin": "http://127.0.0.1"})
    assert same.status_code == 204


def test_the_cookie_is_for_the_server_alone(client: TestClient) -> None:
    cookie = client.get(QUICK).headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert len(cookie.partition("=")[2].partition(";")[0]) >= 43  # 256 bits
    assert "set-cookie" not in client.get(QUICK).headers


def test_a_cookie_of_ones_own_opens_nothing(visitor: Callable[[], TestClient]) -> None:
    client = visitor()
    client.cookies.set(COOKIE, "mine")
    given = client.get(QUICK).headers["set-cookie"]
    assert f"{COOKIE}=mine" not in given


def test_pages_and_files_make_no_session(app: Door, client: TestClient) -> None:
    for path in ("/", "/css/base.css"):
        assert "set-cookie" not in client.get(path).headers
    assert len(app.sessions) == 0


def test_idle_sessions_make_room() -> None:
    door = create_app(ServeConfig(most_sessions=3))
    with TestClient(door):
        for _ in range(10):
            TestClient(door, base_url="http://127.0.0.1").get(QUICK)
        assert len(door.sessions) == 3


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org", "::"])
def test_other_machines_need_a_token(host: str) -> None:
    with pytest.raises(BadInput, match="--token"):
        ServeConfig(host=host)
    assert ServeConfig(host=host, token="word").token == "word"


@pytest.mark.parametrize("token", ["wört", "two words", "a;b", "line\nbreak"])
def test_tokens_that_cannot_be_sent(token: str) -> None:
    with pytest.raises(BadInput, match="cannot be sent"):
        ServeConfig(token=token)


def test_token() -> None:
    door = create_app(ServeConfig(host="0.0.0.0", token="word"))
    with TestClient(door):
        client = TestClient(door, base_url="http://cells.example")
        for path in ("/", QUICK, "/js/main.js", "/api/openapi.json"):
            assert client.get(path).status_code == 401
        assert client.get("/?token=wrong", follow_redirects=False).status_code == 401
        for odd in ("Bearer wörd".encode(), b"Bearer \xff\xfe", b"Basic word"):
            assert client.get(QUICK, headers={"authorization": odd}).status_code == 401
        answer = client.get("/?token=word", follow_redirects=False)
        assert answer.status_code == 303
        assert "HttpOnly" in answer.headers["set-cookie"]


def test_token_by_header_and_by_cookie() -> None:
    door = create_app(ServeConfig(host="0.0.0.0", token="a-long-word"))
    with TestClient(door):
        client = TestClient(door, base_url="http://cells.example")
        bearer = {"authorization": "Bearer a-long-word"}
        assert client.get(QUICK, headers=bearer).status_code == 200
        assert client.get(QUICK, headers={"authorization": "Bearer a-long-wor"}).status_code == 401
        client.get("/?token=a-long-word")
        assert client.get("/").status_code == 200
        assert client.get(QUICK).status_code == 200


def test_the_page_asks_nobody_else_and_builds_no_markup() -> None:
    allowed = ("http://www.w3.org/", "https://pubmed.ncbi.nlm.nih.gov/", "https://html.spec")
    for path in sorted(STATIC.rglob("*")):
        if path.is_dir():
            continue
        text = path.read_text(encoding="utf-8")
        for url in re.findall(r"https?://[^\s\"'`)]+", text):
            assert url.startswith(allowed), f"{path.name}: {url}"
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ):
            assert word not in text, f"{path.name} uses {word}"
        if path.suffix == ".html":
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", text)
    assert sum(p.stat().st_size for p in STATIC.rglob("*") if p.is_file()) < 120_000


def test_long_requests_are_not_read(client: TestClient) -> None:
    answer = client.post("/api/ask", content=bytes(16_000_001))
    assert answer.status_code == 413
    answer = client.post("/api/ask", content=iter([b"{", b"}"]))
    assert answer.status_code == 411
