"""Who may come in: checks of host, origin and token, the session's cookie, and safe headers.

One ASGI layer in front of everything. The host name is checked so that a foreign page cannot reach
a server on this machine under a name of its own (DNS rebinding); the origin, so that it cannot
send requests in a visitor's name.
"""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response

from agent.web.config import ServeConfig, is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from agent.web.sessions import Sessions

__all__ = ["COOKIE", "POLICY", "Door"]

COOKIE = "celloquy_session"
TOKEN_COOKIE = "celloquy_token"  # noqa: S105 - the cookie's name

UPLOADS = ("/api/datasets", "/api/images")
"""Where files are sent to, each with a cap of its own."""

MOST_BODY = 16_000_000
"""Bytes of any other request: a million numbers of cells are 8 MB."""

POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""The Content-Security-Policy: no script, style or request from elsewhere, none inline."""

_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-cache",
}


class Door:
    """The layer; ``sessions`` are found or made for every request below ``/api``."""

    def __init__(self, app: ASGIApp, config: ServeConfig, sessions: Sessions) -> None:
        self.app, self.config, self.sessions = app, config, sessions
        self._local = is_loopback(config.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return  # no other protocol is spoken here
        headers = Headers(scope=scope)
        cookies = _cookies(headers.get("cookie", ""))
        refusal = self._refused(scope, headers, cookies)
        fresh = ""
        if refusal is None and scope["path"].startswith("/api/"):
            session, new = self.sessions.of(cookies.get(COOKIE, ""))
            scope.setdefault("state", {})["session"] = session
            fresh = session.id if new else ""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    out.setdefault(name, value)
                if fresh:
                    out.append("set-cookie", _cookie(COOKIE, fresh))
            await send(message)

        await (refusal or self.app)(scope, receive, sending)

    def _refused(self, scope: Scope, headers: Headers, cookies: dict[str, str]) -> Response | None:
        host = headers.get("host", "")
        if self._local and not is_loopback(_name(host)):
            return _no(421, "this address is not one of the server's; open http://127.0.0.1 there")
        origin = headers.get("origin")
        foreign = origin is not None and origin.partition("://")[2] != host
        if foreign and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            return _no(403, "the request comes from another page than Celloquy's")
        if scope["method"] == "POST" and scope["path"] not in UPLOADS:
            said = headers.get("content-length", "0")
            if "transfer-encoding" in headers:
                return _no(411, "the request does not say how long it is; expected Content-Length")
            if not said.isdecimal() or int(said) > MOST_BODY:
                return _no(413, f"the request is too long; expected at most {MOST_BODY:,} bytes")
        return self._without_token(scope, headers, cookies) if self.config.token else None

    def _without_token(
        self, scope: Scope, headers: Headers, cookies: dict[str, str]
    ) -> Response | None:
        expected = (self.config.token or "").encode()
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and asked:
            if not _same(asked, expected):
                return _no(401, "the token is not the server's")
            answer = RedirectResponse("/", status_code=303)
            answer.headers.append("set-cookie", _cookie(TOKEN_COOKIE, asked))
            return answer
        bearer = headers.get("authorization", "").removeprefix("Bearer ").strip()
        if _same(bearer, expected) or _same(cookies.get(TOKEN_COOKIE, ""), expected):
            return None
        return _no(
            401, "a token is needed: open /?token=TOKEN, or send it as Authorization: Bearer"
        )


def _same(given: str, expected: bytes) -> bool:
    # surrogateescape: a header may hold any byte
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected)


def _name(host: str) -> str:
    """The host name of a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _cookies(header: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}


def _cookie(name: str, value: str) -> str:
    morsel = SimpleCookie({name: value})[name]
    morsel["path"], morsel["samesite"], morsel["httponly"] = "/", "Strict", True
    return morsel.OutputString()


def _no(status: int, error: str) -> Response:
    return JSONResponse({"error": error}, status_code=status)
