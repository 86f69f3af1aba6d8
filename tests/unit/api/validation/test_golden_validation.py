"""Validation of new objects against what a Kubernetes API server said of them: fields and reasons of every cause."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from knarr.api import codec, defaults, registry, strategy, validation
from knarr.api.codec import DecodeError
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object

CORPUS = Path(__file__).parents[4].parent / "shared" / "golden" / "corpus"
#: Judged by what is not here: the allocator of addresses and ports, request options, CEL.
ELSEWHERE = re.compile(
    r"rule/service-(clusterip|external-clusterip|family|nodeport-twice)|[Ee]xpression|spec\.variables|"
    r"selectors\.\*\.cel|claim-(admin|cel-bad)|crd-|CustomResourceDefinition/spec\.versions|"
    r"policy-(syntax|type|audit-type|params-undeclared|undeclared|variable)|webhook-(cel|condition)|"
    # Empty lists that decoding leaves out before defaults are set.
    r"behavior\.scale(Up|Down)\.policies"
)
ALLOCATED = {"clusterIP": "10.96.0.77", "clusterIPs": ["10.96.0.77"], "ipFamilies": ["IPv4"]}


def creations() -> Iterator[tuple[str, Resource, Object, int, list[Any]]]:
    for line in gzip.decompress((CORPUS / "validation.jsonl.gz").read_bytes()).splitlines():
        scenario = orjson.loads(line)
        for step in scenario["steps"]:
            answer = step["response"]
            resource = resource_of(step["path"]) if step["method"] == "POST" and "body" in step else None
            if resource is None or answer["status"] not in (201, 422) or not validation.covers(resource):
                continue
            body = answer.get("body")
            details = body.get("details", {}) if isinstance(body, dict) and answer["status"] == 422 else {}
            if details.get("kind", resource.kind) == resource.kind and not ELSEWHERE.search(scenario["id"]):
                causes = filled(details.get("causes", []))
                yield (
                    scenario["id"],
                    resource,
                    {"path": filled(step["path"]), **filled(step["body"])},
                    answer["status"],
                    causes,
                )


def resource_of(path: str) -> Resource | None:
    parts = path.strip("/").split("/")
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    return registry.lookup(group, version, rest[2] if rest[0] == "namespaces" and len(rest) == 3 else rest[0])


def filled(value: Any) -> Any:
    text = orjson.dumps(value).decode().replace("${NS}", "ns1")
    text = re.sub(r"\$\{(.):(\d+)\}", lambda found: found[1] * int(found[2]), text)
    return orjson.loads(text)


def prepared(resource: Resource, body: Object) -> Object:
    parts = body.pop("path").split("/")
    obj = codec.decode(resource.api_version, resource.kind, orjson.dumps(body)).object
    meta = obj.setdefault("metadata", {})
    for name in ("uid", "creationTimestamp", "managedFields", "resourceVersion", "selfLink"):
        meta.pop(name, None)
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        meta.pop(name, None)
    meta |= {"uid": "11111111-2222-3333-4444-555555555555", "creationTimestamp": "2026-01-01T00:00:00Z"}
    if resource.namespaced:
        meta["namespace"] = parts[parts.index("namespaces") + 1]
    if meta.get("generateName") and not meta.get("name"):
        meta["name"] = f"{meta['generateName']}abcde"
    defaults.apply(resource, obj)
    if resource.plural == "pods":
        obj["spec"].setdefault("serviceAccountName", "default")
    if resource.plural == "services" and obj["spec"].get("type") != "ExternalName":
        if "clusterIP" in obj["spec"]:
            obj["spec"].setdefault("clusterIPs", [obj["spec"]["clusterIP"]])
        obj["spec"] = {**ALLOCATED, **obj["spec"]}
    strategy.prepare_create(resource, obj)
    return obj


@pytest.mark.skipif(not CORPUS.exists(), reason="the recorded answers are not here")
def test_new_objects_are_judged_as_kubernetes_judges_them() -> None:
    wrong = []
    for name, resource, body, status, causes in creations():
        try:
            obj = prepared(resource, body)
        except DecodeError:
            wrong.append(f"{name}: not decoded")
            continue
        found = sorted((error.field, error.reason) for error in validation.validate_create(resource, obj))
        wanted = sorted((cause.get("field", ""), cause.get("reason", "")) for cause in causes)
        if found != wanted:
            wrong.append(f"{name} ({status}): found {found}, wanted {wanted}")
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong[:20])
