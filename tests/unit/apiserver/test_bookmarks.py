"""Bookmarks of every kind, in every form: a version, what the kind cannot do without, and nothing else."""

from __future__ import annotations

import pytest

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apiserver import bookmarks
from knarr.apiserver.negotiation import negotiate
from knarr.apiserver.served import ServedResources
from knarr.apiserver.tables import TablePrinter
from knarr.apiserver.watch_cache import WatchCache
from knarr.component_base.clock import RealClock

_served = ServedResources(WatchCache())
_served.add_all(registry.RESOURCES)
WATCHED = [resource for resource in registry.RESOURCES if "watch" in resource.verbs]
PLAIN = negotiate("")
PARTIAL = negotiate("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
TABLE = negotiate("application/json;as=Table;v=v1;g=meta.k8s.io")


@pytest.mark.parametrize("resource", WATCHED, ids=lambda resource: f"{resource.plural}.{resource.version}")
def test_every_kind_has_one(resource: Resource) -> None:
    scope = _served.of(resource)
    plain = bookmarks.of(scope, PLAIN, 7)
    assert plain["kind"] == resource.kind and plain["apiVersion"] == resource.api_version
    partial = bookmarks.of(scope, PARTIAL, 7, ends_initial=True)
    assert partial["metadata"]["annotations"][bookmarks.INITIAL_END] == "true"
    bookmark = bookmarks.of(scope, TABLE, 7)
    table = TablePrinter(RealClock()).table(scope, [bookmark], {"includeObject": "Object"})
    shown = bookmarks.as_table(table, bookmark, {}, columns=False)
    assert shown["metadata"] == {"resourceVersion": "7"} and shown["columnDefinitions"] is None
    assert shown["rows"][0]["object"]["metadata"]["resourceVersion"] == "7"
    assert "name" not in shown["rows"][0]["object"]["metadata"]


def test_the_fields_of_an_empty_object_are_shown() -> None:
    deployment = bookmarks.of(_served.of(registry.DEPLOYMENTS), PLAIN, 7)
    assert deployment["spec"]["replicas"] == 0 and deployment["spec"]["selector"] is None
    assert "spec" not in bookmarks.of(_served.of(registry.CONFIGMAPS), PLAIN, 7)
    daemons = bookmarks.of(_served.of(registry.DAEMONSETS), PLAIN, 7)
    assert daemons["metadata"]["annotations"] == {"deprecated.daemonset.template.generation": "0"}
