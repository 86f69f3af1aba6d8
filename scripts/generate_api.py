"""Make the API tables of `knarr.api` from the published documents of one Kubernetes version.

Usage: scripts/generate_api.py FOLDER
FOLDER holds `discovery/` (one JSON answer a path: `api__v1.json`, `apis__apps__v1.json`, ..., `apis.json`) and
`openapi/` (the v3 documents, `apis__apps__v1_openapi.json.gz`, ...), and `protobuf_fields.json` (the numbers of fields,
which tell their order).
What schemas do not say of Kubernetes' Go types stands in `go_facts.json` beside this script.
The result is committed data below `src/knarr/api/tables`: names, types, numbers and flags, no prose.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

TABLES = Path(__file__).parent.parent / "src" / "knarr" / "api" / "tables"

#: Versions a default server serves; alpha and beta ones must be asked for.
STABLE = re.compile(r"v[0-9]+")

#: Folders in the store that are not simply the plural name (registry/storage factory of kube-apiserver).
SPECIAL_PREFIXES = {
    ("", "replicationcontrollers"): "controllers",
    ("", "endpoints"): "services/endpoints",
    ("", "nodes"): "minions",
    ("", "services"): "services/specs",
    ("networking.k8s.io", "ingresses"): "ingress",
    ("apiextensions.k8s.io", "customresourcedefinitions"): "apiextensions.k8s.io/customresourcedefinitions",
    ("apiregistration.k8s.io", "apiservices"): "apiregistration.k8s.io/apiservices",
}


def main() -> None:
    """Read the documents, write the tables."""
    folder = Path(sys.argv[1])
    write_registry(folder / "discovery")
    write_types(folder, json.loads((Path(__file__).parent / "go_facts.json").read_text()))


def write_registry(discovery: Path) -> None:
    """`registry.json`: group-versions in discovery order with their resources."""
    out: list[Any] = [_group_version("", "v1", json.loads((discovery / "api__v1.json").read_text()))]
    for group in json.loads((discovery / "apis.json").read_text())["groups"]:
        for version in group["versions"]:
            name = f"apis__{group['name']}__{version['version']}.json"
            out.append(_group_version(group["name"], version["version"], json.loads((discovery / name).read_text())))
    _set_storage_versions(out)
    text = "[\n" + ",\n".join(_registry_text(entry) for entry in out) + "\n]\n"
    (TABLES / "registry.json").write_text(text)


def _registry_text(entry: dict[str, Any]) -> str:
    head = json.dumps({key: value for key, value in entry.items() if key != "resources"})[:-1]
    rows = ",\n  ".join(json.dumps(row) for row in entry["resources"])
    return f' {head}, "resources": [\n  {rows}]}}'


def _group_version(group: str, version: str, document: dict[str, Any]) -> dict[str, Any]:
    resources: dict[str, dict[str, Any]] = {}
    for item in document["resources"]:
        plural, _, subresource = item["name"].partition("/")
        if not subresource:
            resources[plural] = _resource(group, item)
    for item in document["resources"]:
        plural, _, subresource = item["name"].partition("/")
        if subresource:
            # A subresource may be listed whose parent is not (none today); such a document is refused loudly.
            resources[plural].setdefault("subresources", []).append(
                [subresource, item["kind"], item.get("group", ""), item.get("version", ""), item["verbs"]]
            )
    return {"group": group, "version": version, "resources": list(resources.values())}


def _resource(group: str, item: dict[str, Any]) -> dict[str, Any]:
    plural = item["name"]
    out = {"plural": plural, "kind": item["kind"], "namespaced": item["namespaced"], "verbs": item["verbs"]}
    out["singular"] = item["singularName"]
    for key, name in (("shortNames", "short_names"), ("categories", "categories")):
        if item.get(key):
            out[name] = item[key]
    if item.get("storageVersionHash"):
        out["storage"] = SPECIAL_PREFIXES.get((group, plural), plural)
        out["hash"] = item["storageVersionHash"]
    return out


def _set_storage_versions(entries: list[dict[str, Any]]) -> None:
    """The hash names the version a kind is stored in: find whose it is.

    A kind that real servers still store in a beta version, so that an older server can read it, is stored in the
    stable version here: no older server shares our store.
    """
    owners: dict[str, tuple[str, str]] = {}
    stable: dict[tuple[str, str], tuple[str, str]] = {}
    for entry in entries:
        for row in entry["resources"]:
            group_version = (entry["group"], entry["version"])
            owners[version_hash(*group_version, row["kind"])] = group_version
            if STABLE.fullmatch(entry["version"]):
                stable.setdefault((entry["group"], row["kind"]), group_version)
    for entry in entries:
        for row in entry["resources"]:
            owner = owners.get(row.get("hash", ""), (entry["group"], entry["version"]))
            if not STABLE.fullmatch(owner[1]):
                owner = stable.get((entry["group"], row["kind"]), owner)
            if owner != (entry["group"], entry["version"]):
                row["storage_group_version"] = list(owner)


def version_hash(group: str, version: str, kind: str) -> str:
    """The `storageVersionHash` of discovery."""
    return base64.b64encode(hashlib.sha256(f"{group}/{version}/{kind}".encode()).digest()[:8]).decode()


#: Packages of definitions, by the prefix their names carry in the documents.
PACKAGES = (
    ("io.k8s.api.", ""),
    ("io.k8s.apimachinery.pkg.apis.", ""),
    ("io.k8s.apiextensions-apiserver.pkg.apis.", ""),
    ("io.k8s.kube-aggregator.pkg.apis.", ""),
    ("io.k8s.apimachinery.pkg.", "machinery."),
)
REFERENCE = "#/components/schemas/"
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


def short_name(name: str) -> str:
    """`core.v1.Pod` for `io.k8s.api.core.v1.Pod`."""
    for prefix, instead in PACKAGES:
        if name.startswith(prefix):
            return instead + name[len(prefix) :]
    raise ValueError(f"unknown package of {name}")


def write_types(folder: Path, facts: dict[str, Any]) -> None:
    """`types/PACKAGE.json`: each struct's fields with their types and flags; scalars and unions as their schema."""
    types: dict[str, dict[str, Any]] = {}
    for path in sorted((folder / "openapi").glob("*_openapi.json.gz")):
        document = json.loads(gzip.decompress(path.read_bytes()))
        for name, schema in document.get("components", {}).get("schemas", {}).items():
            types.setdefault(short_name(name), _type(schema))
    _add_facts(types, facts)
    _order_fields(types, json.loads((folder / "protobuf_fields.json").read_text()))
    packages: dict[str, dict[str, Any]] = {}
    for name in sorted(types):
        package, _, kind = name.rpartition(".")
        packages.setdefault(package, {})[kind] = types[name]
    for package, members in packages.items():
        rows = ",\n".join(f"{json.dumps(kind)}: {_dense(row)}" for kind, row in members.items())
        (TABLES / "types").mkdir(exist_ok=True)
        (TABLES / "types" / f"{package}.json").write_text(f"{{\n{rows}\n}}\n")


def _dashed(package: str) -> str:
    """A protobuf package as definitions spell it."""
    return "io.k8s." + package.removeprefix("k8s.io.").replace("_", "-")


def _order_fields(types: dict[str, dict[str, Any]], numbers: dict[str, Any]) -> None:
    """Fields in the order of their protobuf numbers, which is nearly that of the Go structs; `metadata` first.

    A field that belongs to an embedded struct is flagged with that struct's name.
    """
    messages = {
        f"{short_name(package)}.{message}": fields
        for package, content in ((_dashed(package), content) for package, content in numbers.items())
        if package.startswith(tuple(prefix for prefix, _ in PACKAGES))
        for message, fields in content.items()
    }
    first = {"metadata": (-3,), "kind": (-2,), "apiVersion": (-1,)}
    for name, row in types.items():
        if "fields" not in row:
            continue
        places: dict[str, tuple[int, ...]] = {}
        _place_fields(name, row["fields"], messages, places)
        row["fields"] = {
            field: row["fields"][field]
            for field in sorted(
                row["fields"], key=lambda field: (first.get(field) or places.get(field, (1000,)), field)
            )
        }


def _place_fields(
    name: str,
    fields: dict[str, Any],
    messages: dict[str, Any],
    places: dict[str, tuple[int, ...]],
    within: tuple[tuple[int, ...], str] = ((), ""),
) -> None:
    """The places of a message's fields, those of embedded messages included."""
    for field, (number, _, type_name) in messages.get(name, {}).items():
        place = (*within[0], number)
        if field in fields:
            places[field] = place
            if within[1]:
                _set_flags(fields[field], {"inline": within[1]})
            continue
        struct = type_name.rpartition(".")[2]
        embedded = f"{name.rpartition('.')[0]}.{struct}"
        _place_fields(embedded, fields, messages, places, (place, f"{within[1]}.{struct}".lstrip(".")))


def _dense(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _type(schema: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            required = schema.get("required", [])
            out["fields"] = {name: _field(item, required=name in required) for name, item in value.items()}
        elif key == "x-kubernetes-group-version-kind":
            # Kinds that every group has (DeleteOptions, WatchEvent) list a different set in each document.
            if len(value) == 1 and value[0]["kind"] not in ("DeleteOptions", "WatchEvent"):
                out["kind"] = [value[0]["group"], value[0]["version"], value[0]["kind"]]
            else:
                out["kind"] = ["*", "*", value[0]["kind"]]
        elif key not in ("description", "required"):
            out[key] = value
    return out


def _field(schema: dict[str, Any], *, required: bool) -> list[Any]:
    flags: dict[str, Any] = {FLAGS[key]: value for key, value in schema.items() if key in FLAGS}
    if "default" in schema:
        flags["default"] = schema["default"]
    if required:
        flags["required"] = True
    known = {*FLAGS, "default", "description", "type", "format", "items", "additionalProperties", "allOf", "$ref"}
    if set(schema) - known:
        raise ValueError(f"unknown keys in {schema}")
    return [_type_text(schema), flags] if flags else [_type_text(schema)]


def _type_text(schema: dict[str, Any]) -> str:
    """`[]core.v1.Container`, `{}string` (a map), `int32`."""
    if "$ref" in schema:
        return short_name(schema["$ref"].removeprefix(REFERENCE))
    if "allOf" in schema:
        return short_name(schema["allOf"][0]["$ref"].removeprefix(REFERENCE))
    if schema.get("type") == "array":
        return "[]" + _type_text(schema["items"])
    if "additionalProperties" in schema:
        return "{}" + _type_text(schema["additionalProperties"])
    if schema.get("type") == "object":
        return "object"
    return SCALARS[schema["type"], schema.get("format")]


def _add_facts(types: dict[str, dict[str, Any]], facts: dict[str, Any]) -> None:
    """Put the facts on Go types beside the fields; a fact about no field is an error."""
    for fact, flag in (("pointers", "pointer"), ("written", "written"), ("omitted", "omitted")):
        for package, rows in facts[fact].items():
            for row in rows:
                kind, _, names = row.partition(": ")
                for name in names.split():
                    _flag_field(types, package, kind, name, {flag: True})
    for package, named in facts["named"].items():
        for row, type_name in named.items():
            kind, _, name = row.partition(".")
            _flag_field(types, package, kind, name, {"go": type_name})


def _flag_field(types: dict[str, dict[str, Any]], package: str, kind: str, name: str, flag: dict[str, Any]) -> None:
    found = False
    wanted = re.compile(re.escape(package).replace(r"\*", "[^.]+") + re.escape(f".{kind}"))
    for type_name, row in types.items():
        if wanted.fullmatch(type_name) and name in row.get("fields", {}):
            _set_flags(row["fields"][name], flag)
            found = True
    if not found:
        raise ValueError(f"no field {package} {kind}.{name}")


def _set_flags(field: list[Any], flags: dict[str, Any]) -> None:
    if len(field) == 1:
        field.append({})
    field[1].update(flags)


if __name__ == "__main__":
    main()
