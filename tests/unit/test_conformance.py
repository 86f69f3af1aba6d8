"""Each entry of the conformance suite that `tests/e2e/conformance.txt` lists has a test of its own, which names it.

The list holds whole groups of interest (`[sig-auth]`, …), one entry a line, as the suite calls them without the marks
behind their names. A docstring names the entry of its test; several where the test's parameters make it several.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]


def named() -> dict[str, list[str]]:
    """Entries by the tests that name them."""
    found: dict[str, list[str]] = {}
    for path in sorted([*ROOT.glob("e2e/test_*.py"), *ROOT.glob("component/**/test_*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                said = " ".join((ast.get_docstring(node) or "").split())
                for entry in said.split("[sig-")[1:]:
                    found.setdefault(f"[sig-{entry.strip()}", []).append(f"{path.name}::{node.name}")
    return found


def test_each_entry_has_one_test_that_names_it() -> None:
    entries = (ROOT / "e2e/conformance.txt").read_text().splitlines()
    groups = {entry.partition("]")[0] for entry in entries}
    tests = {entry: by for entry, by in named().items() if entry.partition("]")[0] in groups}
    assert sorted(tests) == sorted(entries)
    assert {entry: by for entry, by in tests.items() if len(by) > 1} == {}
