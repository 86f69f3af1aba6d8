"""Make `tables/protobuf.json.gz`: field numbers of the messages that bodies may be written in.

Usage: scripts/generate_protobuf.py FILE
FILE maps packages to messages to fields: name -> [number, label, type], as the published `.proto` files have them.
Structs that Go embeds are fields there and none in JSON: they get the empty name.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

from knarr.api import registry
from knarr.api.codec import types
from knarr.api.tables.load import load

TABLES = Path(__file__).parent.parent / "src" / "knarr" / "api" / "tables"
MACHINERY = {
    "k8s.io.apimachinery.pkg.apis.meta.v1": "meta.v1",
    "k8s.io.apimachinery.pkg.api.resource": "",
    "k8s.io.apimachinery.pkg.runtime": "",
    "k8s.io.apimachinery.pkg.util.intstr": "",
}
OTHERS = {
    "apiextensions.k8s.io": "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions",
    "apiregistration.k8s.io": "k8s.io.kube_aggregator.pkg.apis.apiregistration",
    "internal.apiserver.k8s.io": "k8s.io.api.apiserverinternal",
    "": "k8s.io.api.core",
}


def main() -> None:
    """Read the file, write the table."""
    source = json.loads(Path(sys.argv[1]).read_text())
    packages = {}
    for resource in (*registry.RESOURCES, *registry.OPTIONAL):
        group = resource.group
        base = OTHERS.get(group) or f"k8s.io.api.{group.split('.')[0]}"
        package = f"{base}.{resource.version}"
        if package in source:
            packages[resource.api_version] = package
    wanted = [*MACHINERY, *dict.fromkeys(packages.values())]
    messages = {
        package: {
            name: [_row(package, name, field, *entry) for field, entry in fields.items()]
            for name, fields in source[package].items()
        }
        for package in wanted
    }
    text = json.dumps({"packages": packages, "messages": messages}, separators=(",", ":"))
    (TABLES / "protobuf.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def _row(package: str, name: str, field: str, number: int, label: str, kind: str) -> list[Any]:
    if label == "map":
        kind = kind.split(",", 1)[1]
    return [number, _json_name(package, name, field, label, kind), label, kind]


def _json_name(package: str, name: str, field: str, label: str, kind: str) -> str:
    """The field's name in JSON, which may differ in case; empty for a struct that Go embeds and JSON does not know."""
    short = MACHINERY.get(package, ".".join(package.split(".")[-2:]))
    try:
        info = types.named(f"{short}.{name}")
    except (KeyError, FileNotFoundError):
        return field
    if not info.fields or field in info.fields:
        return field
    for known in info.fields:
        if known.lower() == field.lower():
            return known
    embedded = label == "optional" and (kind[0].isupper() or kind[0] == ".")
    return "" if embedded else field


if __name__ == "__main__":
    load("registry.json")
    main()
