"""Run every benchmark of this folder, one process each, so that none inherits another's memory.

``python -m tests.benchmarks [NAME ...]`` runs all, or those whose file name contains a NAME.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main(names: list[str]) -> int:
    failed = []
    for path in sorted(FOLDER.glob("bench_*.py")):
        if names and not any(name in path.stem for name in names):
            continue
        sys.stdout.write(f"\n== {path.stem.removeprefix('bench_').replace('_', ' ')}\n")
        sys.stdout.flush()
        if subprocess.run(
            [sys.executable, str(path)], cwd=FOLDER.parents[1], check=False
        ).returncode:
            failed.append(path.stem)
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
