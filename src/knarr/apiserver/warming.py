"""Loads what a first pod would have to wait for: its rules, and what is derived from the tables of its types.

They take 25 ms and are loaded when the first object of a kind comes, so that the start does not wait for them. Pods
come to every cluster.
"""

from __future__ import annotations

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apimachinery import field_changes
from knarr.apimachinery.types import Object
from knarr.apiserver import kinds

_CONTAINER: Object = {
    "name": "c",
    "image": "i",
    "ports": [{"containerPort": 80}],
    "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    "resources": {"requests": {"cpu": "10m"}},
    "readinessProbe": {"httpGet": {"port": 80}},
    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
}
_POD: Object = {
    "metadata": {"name": "p", "namespace": "n", "labels": {"a": "b"}},
    "spec": {"containers": [_CONTAINER], "volumes": [{"name": "v", "projected": {"sources": []}}]},
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}
#: Kinds that are written all the time, each with an example.
_EXAMPLES: tuple[tuple[Resource, Object], ...] = ((registry.PODS, _POD),)


def warm() -> None:
    """Take an example of each kind through everything that happens to a new object before it is written."""
    for resource, example in _EXAMPLES:
        kinds.merge_schema(resource)
        empty, _ = kinds.normalise(resource, {"metadata": {}})
        obj, _ = kinds.normalise(resource, example)
        kinds.default(resource, obj)
        schema = kinds.ownership(resource)
        if schema is not None:
            field_changes.compare(schema, empty, obj)
        kinds.prepare_create(resource, obj)
        kinds.validate_create(resource, obj)
        kinds.warnings(resource, obj)
