"""The url origin against a real HTTP server on loopback, which is made to fail in many ways."""

from __future__ import annotations

import hashlib
import http.server
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import data.manifest
from data import addresses, cache, locations, sources
from data.addresses import UrlOrigin
from data.errors import AssetMissing, BadInput, CorruptAsset, Missing, ServerUnavailable

ROOT = Path(__file__).parents[2]


@dataclass
class Site:
    """What the server serves and how it misbehaves; what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)  # bytes after which each reply breaks off
    pause: float = 0.0  # seconds after each 64 kB
    ranges: bool = True
    validators: bool = True
    redirects: dict[str, str] = field(default_factory=dict)
    modified: str = ""
    encoding: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)  # path, Range header
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Handler(http.server.BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        site, wanted = self.site, self.headers.get("Range", "")
        site.asked.append((self.path, wanted))
        if self.path in site.redirects:
            self.send_response(302)
            self.send_header("Location", site.redirects[self.path])
            self.end_headers()
            return
        if self.path not in site.files:
            self.send_error(404)
            return
        body = site.files[self.path]
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and site.ranges else 0
        if self.headers.get("If-Range", etag) != etag:
            start = 0
        if start >= len(body) > 0 and start:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if site.validators:
            self.send_header("ETag", etag)
        if site.modified:
            self.send_header("Last-Modified", site.modified)
        if site.encoding:
            self.send_header("Content-Encoding", site.encoding)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.send_body(body[start:])

    def send_body(self, body: bytes) -> None:
        site = self.site
        stop = min(site.cuts.pop(0), len(body)) if site.cuts else len(body)
        for at in range(0, stop, 1 << 16):
            self.wfile.write(body[at : min(at + (1 << 16), stop)])
            self.wfile.flush()
            time.sleep(site.pause)
        if stop < len(body):
            self.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A running server, an empty cache, and no settings of the user's."""
    monkeypatch.setenv("CELLOQUY_HOME", str(tmp_path / "home"))
    for name in ("CELLOQUY_OFFLINE", "CELLOQUY_MIRROR", "http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = Site()
    handler = type("BoundHandler", (Handler,), {"site": served})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        served.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield served
        server.shutdown()
        thread.join()


def content(size: int, seed: int = 1) -> bytes:
    """Bytes that repeat nowhere, so that a wrong join of parts cannot go unseen."""
    return b"".join(hashlib.sha256(f"{seed}-{i}".encode()).digest() for i in range(size // 32 + 1))[
        :size
    ]


def entry(name: str, body: bytes, url: str, *, release: str = "r1", extra: str = "") -> str:
    digest = hashlib.sha256(body).hexdigest()
    return f"""
[asset.{name}]
title = "{name}"
source = "TEST"
group = "core"
release = "{release}"
date = "2024-01-02"
dated = "release"
format = "raw"
content = "x"
data-licence = "CC0"
citation = "none"
{extra}
origins = [{{ url = "{url}/{{name}}" }}]
files = [{{ name = "{name}.bin", size = {len(body)}, sha256 = "{digest}" }}]
"""


@pytest.fixture
def pin(tmp_path, monkeypatch):
    """Makes the manifest say what a test needs."""
    count = iter(range(100))

    def write(*entries: str) -> Path:
        manifest = tmp_path / f"sources{next(count)}.toml"
        manifest.write_text("[wheel]\n[asset]\n" + "\n".join(entries))
        monkeypatch.setattr(data.manifest, "MANIFEST", manifest)
        return manifest

    return write


def left_over() -> list[str]:
    """Files in the cache that are neither an asset's nor its stamp."""
    root = locations.assets()
    return sorted(
        str(file.relative_to(root))
        for file in root.rglob("*")
        if file.is_file() and any(part.startswith(".") for part in file.relative_to(root).parts)
    )


def test_fetch_brings_the_bytes_and_says_so_once(site, pin):
    body = content(300_000)
    site.files["/a.bin"] = body
    pin(entry("a", body, site.url))
    with pytest.raises(AssetMissing, match="celloquy data fetch a"):
        sources.path("a")
    assert [one.name for one in sources.fetch(["a"])] == ["a"]
    assert sources.path("a").read_bytes() == body
    assert sources.path("a") == locations.assets() / "a" / "r1" / "a.bin"
    assert sources.fetch(["a"]) == []
    assert site.asked == [("/a.bin", "")]
    assert left_over() == [".lock"]


def test_wrong_bytes_are_refused_and_nothing_is_kept(site, pin):
    body = content(5_000)
    site.files["/a.bin"] = content(5_000, seed=2)
    pin(entry("a", body, site.url))
    with pytest.raises(CorruptAsset, match="does not have the pinned sha256"):
        sources.fetch(["a"])
    assert not sources.present("a")
    assert not list(cache.folder(sources.asset("a")).glob("*"))
    assert left_over() == [".lock"]


def test_more_bytes_than_pinned_are_refused_before_they_come(site, pin):
    body = content(5_000)
    site.files["/a.bin"] = content(50_000_000 // 1000)
    pin(entry("a", body, site.url))
    with pytest.raises(CorruptAsset, match="offers 50000 bytes, expected 5000"):
        sources.fetch(["a"])


def test_a_connection_that_breaks_is_taken_up_where_it_broke(site, pin):
    body = content(200_000)
    site.files["/a.bin"] = body
    site.cuts = [70_000, 50_000]
    pin(entry("a", body, site.url))
    sources.fetch(["a"])
    assert sources.path("a").read_bytes() == body
    starts = [int(asked.removeprefix("bytes=").rstrip("-") or 0) for _, asked in site.asked]
    assert len(starts) == 3 and starts[0] == 0 and starts == sorted(starts) and starts[1] > 0


def test_what_came_is_kept_for_the_next_run(site, pin):
    body = content(200_000)
    site.files["/a.bin"] = body
    site.cuts = [100_000, 0]
    pin(entry("a", body, site.url))
    with pytest.raises(ServerUnavailable, match="bytes are kept and the next try goes on"):
        sources.fetch(["a"])
    site.cuts = []
    sources.fetch(["a"])
    assert sources.path("a").read_bytes() == body
    assert site.asked[-1][1].startswith("bytes=") and site.asked[-1][1] != "bytes=0-"


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("validators", [True, False])
def test_a_part_of_yesterdays_file_is_never_joined_to_todays(site, pin, ranges, validators):
    old, new = content(100_000, seed=1), content(100_000, seed=2)
    site.ranges, site.validators = ranges, validators
    site.files["/a.bin"] = old
    site.cuts = [40_000, 0]
    pin(entry("a", new, site.url))
    with pytest.raises(ServerUnavailable):
        sources.fetch(["a"])
    site.files["/a.bin"] = new
    site.cuts = []
    sources.fetch(["a"])
    assert sources.path("a").read_bytes() == new


def test_a_part_longer_than_the_file_is_dropped(site, pin):
    body = content(1_000)
    site.files["/a.bin"] = body
    pin(entry("a", body, site.url))
    part = locations.assets() / ".parts" / "a-a.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(content(1_500, seed=3))
    sources.fetch(["a"])
    assert sources.path("a").read_bytes() == body


def test_killed_between_the_last_byte_and_the_check(site, pin):
    body = content(1_000)
    pin(entry("a", body, site.url))  # the site has no such file: nothing may be asked for
    part = locations.assets() / ".parts" / "a-a.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(body)
    sources.fetch(["a"])
    assert sources.path("a").read_bytes() == body
    assert site.asked == []


def test_missing_address(site, pin):
    pin(entry("a", b"x", site.url))
    with pytest.raises(ServerUnavailable, match=r"a\.bin answered 404"):
        sources.fetch(["a"])


def test_nobody_listens(site, pin):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        pin(entry("a", b"x", f"http://127.0.0.1:{taken.getsockname()[1]}"))
        with pytest.raises(ServerUnavailable) as caught:
            sources.fetch(["a"])
    message = str(caught.value)
    assert "\n" not in message and "refused" in message and "CELLOQUY_HOME" in message
    assert caught.value.exit_code == 4


def test_redirects_are_followed(site, pin):
    body = content(1_000)
    site.files["/moved"] = body
    site.redirects["/a.bin"] = f"{site.url}/moved"
    pin(entry("a", body, site.url))
    sources.fetch(["a"])
    assert sources.path("a").read_bytes() == body


def test_a_gz_file_labelled_as_encoded_is_kept_as_it_is(site, pin):
    body = b"\x1f\x8b not really gzip"
    site.files["/a.bin"] = body
    site.encoding = "gzip"  # what servers say of .gz files when they should not
    pin(entry("a", body, site.url))
    sources.fetch(["a"])
    assert sources.path("a").read_bytes() == body


def test_the_mirror_comes_first_and_the_origin_helps_out(site, pin, monkeypatch):
    a, b = content(100), content(200)
    site.files |= {"/mirror/a/r1/a.bin": a, "/b.bin": b}
    monkeypatch.setenv("CELLOQUY_MIRROR", f"{site.url}/mirror/")
    pin(entry("a", a, site.url), entry("b", b, site.url))
    sources.fetch(["a", "b"])
    assert sources.path("a").read_bytes() == a and sources.path("b").read_bytes() == b
    assert [path for path, _ in site.asked] == [
        "/mirror/a/r1/a.bin",
        "/mirror/b/r1/b.bin",
        "/b.bin",
    ]


# --- processes ---------------------------------------------------------------------------------

DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import data.manifest
data.manifest.MANIFEST = Path(sys.argv[2])
from data import sources
print([one.name for one in sources.fetch(sys.argv[3:])])
"""


def in_another_process(manifest: Path, *names: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", DRIVER, str(ROOT), str(manifest), *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=manifest.parent,
    )


def test_two_processes_fetch_at_once(site, pin):
    bodies = {name: content(400_000, seed) for seed, name in enumerate("abc")}
    site.files = {f"/{name}.bin": body for name, body in bodies.items()}
    site.pause = 0.05
    manifest = pin(*(entry(name, body, site.url) for name, body in bodies.items()))
    both = [in_another_process(manifest, *order) for order in ("abc", "cba")]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert Counter(path for path, _ in site.asked) == {f"/{name}.bin": 1 for name in "abc"}
    for name, body in bodies.items():
        assert sources.path(name).read_bytes() == body


def test_kill_9_in_the_middle_and_run_again(site, pin):
    body = content(3_000_000)
    site.files["/a.bin"] = body
    site.pause = 0.05
    manifest = pin(entry("a", body, site.url))
    part = locations.assets() / ".parts" / "a-a.bin.part"
    process = in_another_process(manifest, "a")
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size > 500_000):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    kept = part.stat().st_size
    assert not sources.present("a")
    site.pause = 0.0
    sources.fetch(["a"])
    assert sources.path("a").read_bytes() == body
    assert site.asked == [("/a.bin", ""), ("/a.bin", f"bytes={kept}-")]
    assert left_over() == [".lock"]


def test_a_full_disk_is_one_line_and_leaves_nothing_wrong(site, pin):
    body = content(2_000_000)
    site.files["/a.bin"] = body
    manifest = pin(entry("a", body, site.url))
    # The kernel refuses to let this process write a file beyond 1 MB.
    limited = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n" + DRIVER
    run = subprocess.run(
        [sys.executable, "-c", limited, str(ROOT), str(manifest), "a"],
        capture_output=True,
        text=True,
        cwd=manifest.parent,
        timeout=60,
    )
    assert run.returncode == 1
    assert "Missing: the cache" in run.stderr and "cannot be written" in run.stderr
    assert not sources.present("a")
    sources.fetch(["a"])
    assert sources.path("a").read_bytes() == body


def test_too_little_room_is_said_at_the_start(site, pin):
    huge = entry("a", b"x", site.url).replace("size = 1,", f"size = {10**18},")
    pin(huge)
    with pytest.raises(Missing, match="MB free, the assets need"):
        sources.fetch(["a"])
    assert site.asked == []


# --- newest releases ---------------------------------------------------------------------------


def obo(date: str, more: str = "") -> bytes:
    return f"format-version: 1.2\ndata-version: cl/releases/{date}/cl-basic.owl\n{more}".encode()


def test_update_moves_to_the_newest_release_and_back(site, pin):
    old, new = obo("2022-11-25"), obo("2026-09-01")
    site.files |= {"/a.bin": old, "/newest/cl.obo": new}
    pin(
        entry(
            "a", old, site.url, release="2022-11-25", extra=f'official = "{site.url}/newest/cl.obo"'
        )
    )
    sources.fetch(["a"])
    pinned = sources.path("a")

    moved = sources.update("a")
    assert (moved.release, moved.date, moved.dated) == ("2026-09-01", "2026-09-01", "file")
    assert moved.updated and sources.manifest()["a"] == moved == sources.asset("a")
    assert sources.path("a").read_bytes() == new and sources.path("a").name == "cl.obo"
    assert sources.verify(["a"]) == {"a": "ok"}

    assert sources.revert("a").release == "2022-11-25"
    assert sources.path("a") == pinned
    with pytest.raises(BadInput, match="not updated"):
        sources.revert("a")
    assert sources.prune() > 0
    assert next(state.bytes for state in sources.states()) < len(old) + 300
    assert sources.path("a") == pinned


def test_a_release_published_again_does_not_touch_the_pinned_one(site, pin):
    old, new = obo("2026-09-01"), obo("2026-09-01", "remark: repaired\n")
    site.files |= {"/a.bin": old, "/newest/a.bin": new}
    pin(
        entry(
            "a", old, site.url, release="2026-09-01", extra=f'official = "{site.url}/newest/a.bin"'
        )
    )
    sources.fetch(["a"])
    sources.update("a")
    assert sources.path("a").read_bytes() == new
    sources.revert("a")
    assert sources.path("a").read_bytes() == old


def test_an_asset_without_a_pin_comes_when_named(site, pin):
    lines = [line for line in entry("a", b"", "").splitlines() if "= [" not in line]
    unpinned = "\n".join(line for line in lines if not line.startswith(("release", "date")))
    site.files["/table.txt"] = b"symbol\tname\n"
    pin(unpinned + f'\nofficial = "{site.url}/table.txt"')
    assert sources.fetch(["core"]) == [] and site.asked == []
    with pytest.raises(AssetMissing, match="celloquy data fetch a"):
        sources.path("a")
    site.modified = ""
    assert sources.update("a").release.startswith("sha256-")
    assert (sources.asset("a").date, sources.asset("a").dated) == ("", "")
    sources.revert("a")
    site.modified = "Tue, 03 Mar 2026 10:00:00 GMT"
    (brought,) = sources.fetch(["a"])
    assert (brought.release, brought.date, brought.dated) == ("2026-03-03", "2026-03-03", "server")
    assert sources.path("a").read_bytes() == b"symbol\tname\n"
    assert sources.fetch(["a"]) == []


@pytest.mark.parametrize("validators", [True, False])
def test_a_newest_file_that_changes_half_way_is_never_joined(site, pin, validators):
    old, new = obo("2026-01-01", "x" * 90_000), obo("2026-02-01", "y" * 90_000)
    site.validators = validators
    site.files = {"/a.bin": b"pinned", "/newest": old}
    pin(entry("a", b"pinned", site.url, extra=f'official = "{site.url}/newest"'))
    site.cuts = [40_000, 0]
    with pytest.raises(ServerUnavailable):
        sources.update("a")
    site.files["/newest"], site.cuts = new, []
    assert sources.update("a").release == "2026-02-01"
    assert sources.path("a").read_bytes() == new


def test_update_says_what_can_be_updated(site, pin):
    pin(entry("a", b"x", site.url), entry("b", b"y", site.url, extra='official = "http://x/y"'))
    with pytest.raises(BadInput, match="no official address is known for a; these have one: b"):
        sources.update("a")


def test_an_official_file_of_another_format_is_brought_as_its_own_asset(site, pin):
    body, new = content(100), obo("2026-09-01")
    site.files |= {"/a.bin": body, "/newest/a.obo": new}
    lines = [line for line in entry("a-obo", b"", "").splitlines() if "= [" not in line]
    unpinned = "\n".join(line for line in lines if not line.startswith(("release", "date =")))
    pin(
        entry("a", body, site.url, extra='newer = "a-obo"'),
        unpinned + f'\nofficial = "{site.url}/newest/a.obo"',
    )
    sources.fetch(["a"])
    assert sources.update("a").name == "a-obo"
    assert sources.path("a-obo").read_bytes() == new and sources.path("a").read_bytes() == body
    assert sources.revert("a").name == "a-obo" and not sources.present("a-obo")
    assert sources.present("a")


def test_an_unreadable_newest_file_changes_nothing(site, pin):
    old = content(100)
    site.files |= {"/a.bin": old, "/newest.gaf.gz": b"<html>come back later</html>"}
    pin(entry("a", old, site.url, extra=f'official = "{site.url}/newest.gaf.gz"'))
    sources.fetch(["a"])
    with pytest.raises(CorruptAsset, match="cannot be unpacked"):
        sources.update("a")
    assert sources.path("a").read_bytes() == old and not sources.asset("a").updated


@pytest.mark.parametrize(
    ("head", "release"),
    [
        ("format-version: 1.2\ndata-version: releases/2021-12-15\n", "2021-12-15"),
        ("data-version: cl/releases/2022-11-25/cl-basic.owl\n", "2022-11-25"),
        ("data-version: hp/releases/2025-01-16\n", "2025-01-16"),
        ("data-version: 4.1\n", "4.1"),
        ("!gaf-version: 2.2\n!date-generated: 2026-03-12T03:24\n", "2026-03-12"),
        ("!gaf-version: 2.1\n!\n!Generated: 2019-01-14 09:47\n", "2019-01-14"),
        ('#description: "HPO"\n#version: 2025-01-16\n', "2025-01-16"),
        ("hgnc_id\tsymbol\n", ""),
    ],
)
def test_the_release_is_read_from_the_header(tmp_path, head, release):
    file = tmp_path / "header.txt"
    file.write_text(head + "more\n" * 100)
    assert addresses.release_of(file) == release


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(size=st.integers(0, 3_000), cuts=st.lists(st.integers(0, 1_500), max_size=6))
def test_any_breaks_give_the_same_bytes_in_the_end(site, tmp_path, size, cuts):
    body = content(size)
    site.files["/f"] = body
    site.cuts = list(cuts)
    origin = UrlOrigin(tmp_path / "f.part", size, progress=False)
    for _ in range(len(cuts) + 1):
        try:
            origin(f"{site.url}/f", tmp_path / "f", None)
            break
        except ServerUnavailable:
            continue  # cut again; what came is kept
    assert (tmp_path / "f").read_bytes() == body
    assert sorted(p.name for p in tmp_path.glob("f*")) == ["f"]
    (tmp_path / "f").unlink()
