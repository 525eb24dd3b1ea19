"""A graph server for the tests: ArcadeDB, in a process of its own, speaking Bolt on loopback.

``python tests/kg/bolt_peer.py FOLDER PORT`` serves until its standard input is closed. It is not
Neo4j: no APOC, no full text over Cypher, and the driver's time-out is ignored, so that the
server's own ``COMMAND_TIMEOUT`` is set here, and LOAD CSV switched off.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PASSWORD = "only-on-loopback"
DATABASE = "celloquy"


def serve(folder: str, port: int) -> None:
    import arcadedb_embedded
    import jpype
    from arcadedb_embedded import jvm

    jvm.start_jvm(heap_size="3g")
    settings = jpype.JClass("com.arcadedb.GlobalConfiguration")
    settings.OPENCYPHER_LOAD_CSV_ALLOW_FILE_URLS.setValue(False)
    settings.COMMAND_TIMEOUT.setValue(60_000)
    with contextlib.suppress(AttributeError):
        settings.OPENCYPHER_LOAD_CSV_ALLOW_REMOTE_URLS.setValue(False)
    server = arcadedb_embedded.create_server(
        root_path=folder,
        root_password=PASSWORD,
        config={
            "host": "127.0.0.1",
            "http_port": free_port(),
            "server_plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
            "bolt_port": port,
        },
    )
    server.start()
    if not (Path(folder) / "databases" / DATABASE).exists():
        server.create_database(DATABASE)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def peer(folder: Path, port: int | None = None) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start a server over ``folder``; gives its address and its process."""
    port = port or free_port()
    log = folder / "peer.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, __file__, str(folder), str(port)],
            cwd=folder,  # it writes a log/ where it stands
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + 120
        while b"ready\n" not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(log.read_text(errors="replace")[-2000:])
            time.sleep(0.1)
        yield f"bolt://127.0.0.1:{port}", process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
