"""Fail when a Python file passes the hard limit of 600 lines (generated tables are data files, not Python)."""

from __future__ import annotations

import pathlib
import sys

LIMIT = 600


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent
    bad = []
    for folder in ("src", "tests", "bench", "scripts"):
        for path in sorted((root / folder).rglob("*.py")):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > LIMIT:
                bad.append(f"{path.relative_to(root)}: {lines} lines (limit {LIMIT})")
    print("\n".join(bad) or "file sizes: ok")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
