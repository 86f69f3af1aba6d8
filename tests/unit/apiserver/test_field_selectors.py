"""Which fields may be asked for, kind by kind, and under which names."""

from __future__ import annotations

import pytest

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apimachinery import fields
from knarr.apimachinery.errors import StatusError
from knarr.apiserver.selectors import transform_of

CORE_EVENTS = registry.EVENTS
EVENTS = next(one for one in registry.RESOURCES if one.plural == "events" and one.group == "events.k8s.io")


@pytest.mark.parametrize(
    ("resource", "name", "kept"),
    [
        (registry.PODS, "spec.host", "spec.nodeName"),
        (registry.PODS, "spec.nodeName", "spec.nodeName"),
        (registry.PODS, "status.podIPs", "status.podIPs"),
        (EVENTS, "regarding.name", "involvedObject.name"),
        (EVENTS, "reportingController", "reportingComponent"),
        (EVENTS, "source", "source"),
        (CORE_EVENTS, "involvedObject.name", "involvedObject.name"),
        (registry.NODES, "spec.unschedulable", "spec.unschedulable"),
        (registry.DEPLOYMENTS, "metadata.namespace", "metadata.namespace"),
    ],
)
def test_known_fields(resource: Resource, name: str, kept: str) -> None:
    selector = fields.parse(f"{name}!=x", transform_of(resource))
    assert [term.field for term in selector.terms] == [kept]


@pytest.mark.parametrize(
    ("resource", "name", "why"),
    [
        (EVENTS, "involvedObject.name", "field label not supported: involvedObject.name"),
        (CORE_EVENTS, "regarding.name", "field label not supported: regarding.name"),
        (registry.PODS, "spec.hostname", "field label not supported: spec.hostname"),
        (registry.JOBS, "status.failed", 'field label "status.failed" not supported for Job'),
        (
            registry.DEPLOYMENTS,
            "status.replicas",
            '"status.replicas" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
)
def test_unknown_fields(resource: Resource, name: str, why: str) -> None:
    with pytest.raises(StatusError) as caught:
        fields.parse(f"{name}=x", transform_of(resource))
    assert caught.value.code == 400 and caught.value.message == why
