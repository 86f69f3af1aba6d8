"""Decoding, defaults and strategy together, against what a Kubernetes API server answered to each creation."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from knarr.api import codec, defaults, registry, strategy
from knarr.api.resources import Resource

CORPUS = Path(__file__).parents[3].parent / "shared" / "golden" / "corpus"
NOW = "2026-01-01T00:00:00Z"
#: Set by the generic part of the server, by admission, or by allocation, which are not asked here.
NOT_ASKED = (
    *(f".metadata.{name}" for name in ("uid", "creationTimestamp", "managedFields", "namespace", "resourceVersion")),
    ".metadata.finalizers",
    ".metadata.name",
    ".metadata.generateName",
    *(f"Service.spec.{name}" for name in ("clusterIP", "ipFamil", "healthCheckNodePort", "ports[].nodePort")),
    *(f"CertificateSigningRequest.spec.{name}" for name in ("username", "groups", "extra", "uid")),
    *(f"Pod.spec.{name}" for name in ("serviceAccount", "tolerations", "volumes", "priority", "preemptionPolicy")),
    "Pod.spec.containers[].volumeMounts",
    "Node.spec.taints",
)


def creations(area: str) -> Iterator[tuple[str, Resource, bytes, Any]]:
    for line in gzip.decompress((CORPUS / f"{area}.jsonl.gz").read_bytes()).splitlines():
        scenario = orjson.loads(line)
        for step in scenario["steps"]:
            answer = step["response"]
            resource = resource_of(step["path"]) if step["method"] == "POST" else None
            if resource is None or answer["status"] != 201 or step.get("view", "full") != "full":
                continue
            if isinstance(answer["body"], dict) and answer["body"].get("kind") == resource.kind:
                yield scenario["id"], resource, orjson.dumps(step["body"]), moments(answer["body"])


def resource_of(path: str) -> Resource | None:
    parts = path.strip("/").split("/")
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    return registry.lookup(group, version, rest[2] if rest[0] == "namespaces" and len(rest) == 3 else rest[0])


def moments(value: Any) -> Any:
    """The answer with a moment where a placeholder for one stands."""
    if isinstance(value, dict):
        return {key: moments(item) for key, item in value.items()}
    if isinstance(value, list):
        return [moments(item) for item in value]
    return {"<time>": NOW, "<microtime>": "2026-01-01T00:00:00.000000Z"}.get(str(value), value)


def created(resource: Resource, body: bytes, answer: Any) -> Any:
    obj = codec.decode(resource.api_version, resource.kind, body).object
    defaults.apply(resource, obj)
    metadata = {name: answer["metadata"][name] for name in ("uid", "name") if name in answer["metadata"]}
    obj["metadata"].update(metadata, creationTimestamp=NOW)
    strategy.prepare_create(resource, obj)
    return obj


def differences(want: Any, got: Any, where: str) -> Iterator[str]:
    if any(part in where for part in NOT_ASKED):
        return
    if isinstance(want, dict) and isinstance(got, dict):
        for name in {*want, *got}:
            yield from differences(want.get(name, ...), got.get(name, ...), f"{where}.{name}")
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for left, right in zip(want, got, strict=True):
            yield from differences(left, right, f"{where}[]")
    elif want != got:
        yield f"{where}: {want} became {got}"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the recorded exchanges are not here")
@pytest.mark.parametrize("area", ["create", "lifecycle"])
def test_new_objects_are_what_kubernetes_makes_of_them(area: str) -> None:
    checked = 0
    for scenario, resource, body, answer in creations(area):
        if resource.kind.endswith("Review"):
            continue
        assert list(differences(answer, created(resource, body, answer), resource.kind)) == [], scenario
        checked += 1
    assert checked > 40
