"""Make `tables/registry.json` (verbs, short names, categories, hashes) from what a cluster's discovery says.

Usage: scripts/generate_registry.py FOLDER
FOLDER holds one JSON answer a path, of a server that serves every version: `api__v1.json`, `apis.json`,
`apis__apps__v1.json`, ... (`kubectl get --raw /apis/apps/v1`).
The schema that `generate_api.py` reads knows nothing of these. The result is small and is edited by hand where no such
server is at hand.
"""

from __future__ import annotations

import base64
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
    """Read the documents, write the table."""
    (TABLES / "registry.json").write_text(table(Path(sys.argv[1])))


def table(discovery: Path) -> str:
    """The text of `registry.json`: group-versions in discovery order with their resources."""
    out: list[Any] = [_group_version("", "v1", json.loads((discovery / "api__v1.json").read_text()))]
    for group in json.loads((discovery / "apis.json").read_text())["groups"]:
        for version in group["versions"]:
            name = f"apis__{group['name']}__{version['version']}.json"
            out.append(_group_version(group["name"], version["version"], json.loads((discovery / name).read_text())))
    _set_storage_versions(out)
    return "[\n" + ",\n".join(_registry_text(entry) for entry in out) + "\n]\n"


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


if __name__ == "__main__":
    main()
