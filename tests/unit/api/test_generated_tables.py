"""The committed tables are what the script makes of the published schema."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from knarr.api import codec

ROOT = Path(__file__).parents[3]
TABLES = ROOT / "src" / "knarr" / "api" / "tables"
TYPES = TABLES / "types"
REFERENCE = ROOT.parent / "shared" / "reference"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_type_tables_are_generated() -> None:
    generator = script("generate_api")
    schema = generator.installed_schema()
    if schema is None:
        pytest.skip("kubernetes-validate, a tool for building the tables, is not installed")
    made = generator.tables(generator.read_schema(schema))
    assert made.keys() == {path.name for path in TYPES.iterdir()}
    for name, text in made.items():
        assert (TYPES / name).read_text() == text, name


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the published documents are not beside this checkout")
def test_the_registry_is_what_discovery_says() -> None:
    assert script("generate_registry").table(REFERENCE / "discovery") == (TABLES / "registry.json").read_text()


@pytest.mark.parametrize("version", ["é" * 300, "../../types/core.v1", "a" * 10_000, "\0", "v1/../v1"])
def test_names_that_clients_make_up_are_no_files(version: str) -> None:
    assert codec.type_of(version, "Pod") is None
