"""The specification's [sig-api-machinery] behaviours of the core, over plain HTTP to API server and controllers."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.cluster import Cluster, until
from tests.e2e.rest import Rest

pytestmark = pytest.mark.rootless
MERGE = "application/merge-patch+json"
CONTAINER = {"name": "c", "image": "nginx"}


class Space:
    """A namespace, and requests in it."""

    def __init__(self, rest: Rest, name: str) -> None:
        self.rest, self.name = rest, name

    def begin(self) -> None:
        """Make the namespace; pods can be made in it when this returns."""
        self.rest.ok("POST", "/api/v1/namespaces", {"metadata": {"name": self.name}})
        until(lambda: self.rest("GET", self.path("serviceaccounts", "default"))[0] == 200, "the account is there")

    def path(self, plural: str, name: str = "") -> str:
        prefix = "/apis/apps/v1" if plural in ("deployments", "replicasets") else "/api/v1"
        return f"{prefix}/namespaces/{self.name}/{plural}" + (f"/{name}" if name else "")

    def create(self, plural: str, obj: Any) -> Any:
        return self.rest.ok("POST", self.path(plural), obj)

    def list(self, plural: str, query: str = "") -> list[Any]:
        found: list[Any] = self.rest.ok("GET", self.path(plural) + query)["items"]
        return found

    def delete(self, plural: str, name: str, policy: str = "Background") -> Any:
        return self.rest.ok("DELETE", self.path(plural, name), {"propagationPolicy": policy})

    def patch(self, plural: str, name: str, patch: Any) -> Any:
        return self.rest.ok("PATCH", self.path(plural, name), patch, Content_Type=MERGE)


@pytest.fixture
def rest(api_only: Cluster) -> Rest:
    return Rest(api_only.kubeconfig)


@pytest.fixture
def space(rest: Rest, request: pytest.FixtureRequest) -> Iterator[Space]:
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:50].strip("-")
    made = Space(rest, name)
    made.begin()
    yield made
    rest("DELETE", f"/api/v1/namespaces/{name}")


def labels(app: str) -> dict[str, str]:
    return {"app": app}


def template(app: str) -> Any:
    return {"metadata": {"labels": labels(app)}, "spec": {"containers": [CONTAINER]}}


def controller(name: str, replicas: int) -> Any:
    spec = {"replicas": replicas, "selector": labels(name), "template": template(name)}
    return {"metadata": {"name": name}, "spec": spec}


def config_map(name: str, label: str, **data: str) -> Any:
    return {"metadata": {"name": name, "labels": {"watch": label}}, "data": data}


def owner(obj: Any, kind: str) -> Any:
    return {"apiVersion": "v1", "kind": kind, "name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


# Garbage collector


def with_pods(space: Space, name: str, count: int) -> Any:
    made = space.create("replicationcontrollers", controller(name, count))
    until(lambda: len(space.list("pods", f"?labelSelector=app={name}")) == count, "its pods are there")
    return made


def test_pods_go_with_their_controller(space: Space) -> None:
    """[sig-api-machinery] Garbage collector should delete pods created by rc when not orphaning"""
    with_pods(space, "rc", 2)
    space.delete("replicationcontrollers", "rc")
    until(lambda: not space.list("pods"), "pods are gone")


def test_pods_are_orphaned_on_request(space: Space) -> None:
    """[sig-api-machinery] Garbage collector should orphan pods created by rc if delete options say so"""
    with_pods(space, "rc", 10)
    space.delete("replicationcontrollers", "rc", "Orphan")
    until(lambda: not space.list("replicationcontrollers"), "the controller is gone")
    pods = space.list("pods")
    assert len(pods) == 10
    assert not any(item["metadata"].get("ownerReferences") for item in pods)


@pytest.mark.parametrize("policy", ["Background", "Orphan"])
def test_a_deployments_replica_set(space: Space, policy: str) -> None:
    """[sig-api-machinery] Garbage collector should delete RS created by deployment when not orphaning
    [sig-api-machinery] Garbage collector should orphan RS created by deployment when
    deleteOptions.PropagationPolicy is Orphan
    """
    spec = {"replicas": 2, "selector": {"matchLabels": labels("web")}, "template": template("web")}
    space.create("deployments", {"metadata": {"name": "web"}, "spec": spec})
    until(lambda: len(space.list("pods")) == 2, "pods are there")
    space.delete("deployments", "web", policy)
    until(lambda: not space.list("deployments"), "the Deployment is gone")
    if policy == "Orphan":
        (found,) = space.list("replicasets")
        assert not found["metadata"].get("ownerReferences")
        assert len(space.list("pods")) == 2
    else:
        until(lambda: not space.list("replicasets") + space.list("pods"), "all is gone")


def test_a_controller_stays_until_its_pods_are_gone(space: Space) -> None:
    """[sig-api-machinery] Garbage collector should keep the rc around until all its pods are deleted if the
    deleteOptions says so
    """
    with_pods(space, "rc", 10)
    held = space.list("pods")[0]["metadata"]["name"]
    space.patch("pods", held, {"metadata": {"finalizers": ["tests.io/hold"]}})
    gone = space.delete("replicationcontrollers", "rc", "Foreground")
    assert gone["metadata"]["finalizers"] == ["foregroundDeletion"]
    until(lambda: len(space.list("pods")) == 1, "all but the held one are gone")
    assert space.list("replicationcontrollers")[0]["metadata"]["deletionTimestamp"]
    space.patch("pods", held, {"metadata": {"finalizers": None}})
    until(lambda: not space.list("replicationcontrollers"), "the controller is gone")
    assert not space.list("pods")


def test_dependents_with_another_owner_stay(space: Space) -> None:
    """[sig-api-machinery] Garbage collector should not delete dependents that have both valid owner and owner that's
    waiting for dependents to be deleted
    """
    with_pods(space, "first", 6)
    other = space.create("replicationcontrollers", controller("second", 0))
    shared = [item["metadata"] for item in space.list("pods")[:3]]
    for meta in shared:
        references = [*meta["ownerReferences"], owner(other, "ReplicationController")]
        space.patch("pods", meta["name"], {"metadata": {"ownerReferences": references}})
    space.delete("replicationcontrollers", "first", "Foreground")
    until(lambda: len(space.list("replicationcontrollers")) == 1, "the first is gone")
    left = space.list("pods")
    assert {item["metadata"]["name"] for item in left} == {meta["name"] for meta in shared}
    assert not any(item["metadata"].get("deletionTimestamp") for item in left)
    assert [one["name"] for one in left[0]["metadata"]["ownerReferences"]] == ["second"]


def test_a_circle_of_owners_does_not_block(space: Space) -> None:
    """[sig-api-machinery] Garbage collector should not be blocked by dependency circle"""
    pods = [
        space.create("pods", {"metadata": {"name": f"p{n}"}, "spec": {"containers": [CONTAINER]}}) for n in range(3)
    ]
    for number, pod in enumerate(pods):
        reference = {**owner(pods[number - 1], "Pod"), "controller": True, "blockOwnerDeletion": True}
        space.patch("pods", pod["metadata"]["name"], {"metadata": {"ownerReferences": [reference]}})
    space.delete("pods", "p0")
    until(lambda: not space.list("pods"), "the circle is gone")


# Namespaces


def test_a_namespace_is_patched(rest: Rest, space: Space) -> None:
    """[sig-api-machinery] Namespaces should patch a Namespace"""
    path = f"/api/v1/namespaces/{space.name}"
    rest.ok("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, Content_Type=MERGE)
    assert rest.ok("GET", path)["metadata"]["labels"] == {"a": "b", "kubernetes.io/metadata.name": space.name}


def test_a_namespace_is_updated(rest: Rest, space: Space) -> None:
    """[sig-api-machinery] Namespaces should apply an update to a Namespace"""
    path = f"/api/v1/namespaces/{space.name}"
    found = rest.ok("GET", path)
    found["metadata"]["labels"]["c"] = "d"
    assert rest.ok("PUT", path, found)["metadata"]["labels"]["c"] == "d"
    assert rest.ok("GET", path)["metadata"]["labels"]["c"] == "d"


def test_a_namespaces_status_is_changed_by_itself(rest: Rest, space: Space) -> None:
    """[sig-api-machinery] Namespaces should apply changes to a namespace status"""
    path = f"/api/v1/namespaces/{space.name}"
    condition = {"type": "StatusPatch", "status": "True", "reason": "E2E", "message": "Patched"}
    patched = rest.ok("PATCH", f"{path}/status", {"status": {"conditions": [condition]}}, Content_Type=MERGE)
    assert patched["status"]["phase"] == "Active"
    patched["status"]["conditions"][0]["message"] = "Updated"
    assert rest.ok("PUT", f"{path}/status", patched)["status"]["conditions"][0]["message"] == "Updated"


def test_a_namespace_is_finalized(rest: Rest, space: Space) -> None:
    """[sig-api-machinery] Namespaces should apply a finalizer to a Namespace"""
    path = f"/api/v1/namespaces/{space.name}"
    current = rest.ok("GET", path)
    current["spec"]["finalizers"].append("e2e.example.com/fake")
    assert "e2e.example.com/fake" in rest.ok("PUT", f"{path}/finalize", current)["spec"]["finalizers"]
    current = rest.ok("GET", path)
    current["spec"]["finalizers"].remove("e2e.example.com/fake")
    assert rest.ok("PUT", f"{path}/finalize", current)["spec"]["finalizers"] == ["kubernetes"]


@pytest.mark.parametrize(
    ("plural", "spec"), [("pods", {"containers": [CONTAINER]}), ("services", {"ports": [{"port": 80}]})]
)
def test_a_namespace_takes_what_is_in_it_along(rest: Rest, space: Space, plural: str, spec: Any) -> None:
    """[sig-api-machinery] Namespaces should ensure that all pods are removed when a namespace is deleted
    [sig-api-machinery] Namespaces should ensure that all services are removed when a namespace is deleted
    """
    space.create(plural, {"metadata": {"name": "one"}, "spec": spec})
    path = f"/api/v1/namespaces/{space.name}"
    rest.ok("DELETE", path)
    until(lambda: rest("GET", path)[0] == 404, "the namespace is gone")
    space.begin()
    assert not space.list(plural)


def test_a_namespace_takes_all_with_it_pods_first(rest: Rest, space: Space) -> None:
    """[sig-api-machinery] OrderedNamespaceDeletion namespace deletion should delete pod first"""
    held = {"metadata": {"name": "held", "finalizers": ["tests.io/hold"]}, "spec": {"containers": [CONTAINER]}}
    space.create("pods", held)
    space.create("services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    space.create("configmaps", config_map("cm", "a"))
    path = f"/api/v1/namespaces/{space.name}"
    assert rest.ok("DELETE", path)["status"]["phase"] == "Terminating"

    def conditions() -> dict[str, Any]:
        return {one["type"]: one for one in rest.ok("GET", path)["status"].get("conditions") or ()}

    until(lambda: "NamespaceDeletionContentFailure" in conditions(), "it tells how far it is")
    until(lambda: conditions()["NamespaceFinalizersRemaining"]["status"] == "True", "a finalizer holds it")
    # Pods go before everything else, and one is held.
    assert [item["metadata"]["name"] for item in space.list("configmaps") if item["metadata"]["name"] == "cm"]
    status, refused = rest("POST", space.path("configmaps"), config_map("late", "a"))
    assert (status, refused["reason"]) == (403, "Forbidden")
    space.patch("pods", "held", {"metadata": {"finalizers": None}})
    until(lambda: rest("GET", path)[0] == 404, "the namespace is gone")
    assert not space.list("services")


# Field validation


def test_unknown_metadata_is_found(space: Space) -> None:
    """[sig-api-machinery] FieldValidation should detect unknown metadata fields of a typed object"""
    obj = {"metadata": {"name": "x", "unknownMeta": 1}, "data": {"a": "1"}}
    status, told = space.rest("POST", space.path("configmaps") + "?fieldValidation=Strict", obj)
    assert status == 400 and 'strict decoding error: unknown field "metadata.unknownMeta"' in told["message"]
    spec = {"replicas": 0, "selector": {"matchLabels": labels("x")}, "template": template("x")}
    spec["template"]["metadata"]["unknownMeta"] = 1
    obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": spec}
    query = "?fieldManager=tests&fieldValidation=Strict"
    apply = "application/apply-patch+yaml"
    status, told = space.rest("PATCH", space.path("deployments", "x") + query, obj, Content_Type=apply)
    assert status in (400, 500)
    assert "unknownMeta" in told["message"]


def test_unknown_and_duplicate_fields_are_found(space: Space) -> None:
    """[sig-api-machinery] FieldValidation should detect unknown and duplicate fields of a typed object"""
    text = '{"metadata":{"name":"x","extra":1},"data":{"a":"1"},"unknown":{},"data":{"a":"2"}}'
    status, told = space.rest("POST", space.path("configmaps") + "?fieldValidation=Strict", text)
    assert status == 400
    for problem in ('unknown field "metadata.extra"', 'unknown field "unknown"', 'duplicate field "data"'):
        assert problem in told["message"]
    assert space.rest.ok("POST", space.path("configmaps") + "?fieldValidation=Ignore", text)["data"] == {"a": "2"}


# Watches


def test_watchers_see_what_their_selector_matches(space: Space) -> None:
    """[sig-api-machinery] Watchers should observe add, update, and delete watch notifications on configmaps"""
    began = space.rest.ok("GET", space.path("configmaps"))["metadata"]["resourceVersion"]
    for label in ("a", "b"):
        space.create("configmaps", config_map(label, label))
        space.patch("configmaps", label, {"data": {"mutation": "1"}})
        space.delete("configmaps", label)

    def kinds(selector: str, count: int) -> list[str]:
        path = f"{space.path('configmaps')}?resourceVersion={began}&labelSelector=watch{selector}"
        return [f"{one['type']} {one['object']['metadata']['name']}" for one in space.rest.watch(path, count)]

    of = {name: [f"{kind} {name}" for kind in ("ADDED", "MODIFIED", "DELETED")] for name in "ab"}
    assert kinds("%3Da", 3) == of["a"]
    assert kinds("%3Db", 3) == of["b"]
    assert kinds("%20in%20(a,b)", 6) == of["a"] + of["b"]


def since(space: Space, obj: Any, count: int) -> list[Any]:
    """What a watch shows that begins behind an object's version."""
    query = f"?resourceVersion={obj['metadata']['resourceVersion']}&labelSelector=watch%3Da"
    return space.rest.watch(space.path("configmaps") + query, count)


def changed_twice(space: Space) -> list[Any]:
    """The answers of a ConfigMap's making and its two changes; then it is deleted."""
    made = space.create("configmaps", config_map("one", "a"))
    changes = [space.patch("configmaps", "one", {"data": {"mutation": str(number)}}) for number in (1, 2)]
    space.delete("configmaps", "one")
    return [made, *changes]


def test_a_watch_begins_where_it_is_told(space: Space) -> None:
    """[sig-api-machinery] Watchers should be able to start watching from a specific resource version"""
    first, second, third = changed_twice(space)
    events = since(space, second, 2)
    assert [one["type"] for one in events] == ["MODIFIED", "DELETED"]
    assert events[0]["object"] == third
    assert since(space, first, 3)[1:] == events


def test_a_watch_goes_on_behind_the_last_version_that_was_seen(space: Space) -> None:
    """[sig-api-machinery] Watchers should be able to restart watching from the last resource version observed by the
    previous watch
    """
    first, *_ = changed_twice(space)
    (seen,) = since(space, first, 1)
    later = since(space, seen["object"], 2)
    assert [one["type"] for one in later] == ["MODIFIED", "DELETED"]
    assert [seen, *later] == since(space, first, 3)


def test_what_no_longer_matches_is_told_as_deleted(space: Space) -> None:
    """[sig-api-machinery] Watchers should observe an object deletion if it stops meeting the requirements of the
    selector
    """
    made = space.create("configmaps", config_map("one", "a"))
    space.patch("configmaps", "one", {"metadata": {"labels": {"watch": "other"}}})
    space.patch("configmaps", "one", {"data": {"mutation": "unseen"}})
    space.patch("configmaps", "one", {"metadata": {"labels": {"watch": "a"}}})
    space.patch("configmaps", "one", {"data": {"mutation": "seen"}})
    space.delete("configmaps", "one")
    query = f"?resourceVersion={made['metadata']['resourceVersion']}&labelSelector=watch%3Da"
    kinds = [one["type"] for one in space.rest.watch(space.path("configmaps") + query, 4)]
    assert kinds == ["DELETED", "ADDED", "MODIFIED", "DELETED"]


def test_all_watches_see_one_order(space: Space) -> None:
    """[sig-api-machinery] Watchers should receive events on concurrent watches in same order"""
    began = space.rest.ok("GET", space.path("configmaps"))["metadata"]["resourceVersion"]

    def write(number: int) -> None:
        for turn in range(5):
            space.create("configmaps", config_map(f"c{number}-{turn}", "a"))
            space.patch("configmaps", f"c{number}-{turn}", {"data": {"turn": str(turn)}})
            if turn % 2:
                space.delete("configmaps", f"c{number}-{turn}")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()

    def versions(since: str, count: int) -> list[str]:
        events = space.rest.watch(f"{space.path('configmaps')}?resourceVersion={since}", count)
        return [one["object"]["metadata"]["resourceVersion"] for one in events]

    total = 3 * (5 + 5 + 2)
    seen = versions(began, total)
    for writer in writers:
        writer.join()
    assert seen == sorted(seen, key=int)
    assert len(seen) == total
    for position in range(0, total - 1, 7):
        assert versions(seen[position], total - position - 1) == seen[position + 1 :]


# Chunks and Tables


def test_a_list_comes_in_chunks_of_one_revision(space: Space) -> None:
    """[sig-api-machinery] Servers with support for API chunking should return chunks of results for list calls"""
    for number in range(20):
        space.create("podtemplates", {"metadata": {"name": f"t{number:02}"}, "template": template("t")})
    names: list[str] = []
    token, revision = "", ""
    while True:
        found = space.rest.ok("GET", f"{space.path('podtemplates')}?limit=6&continue={token}")
        meta = found["metadata"]
        assert len(found["items"]) <= 6
        assert revision in ("", meta["resourceVersion"])
        revision, token = meta["resourceVersion"], meta.get("continue", "")
        names += [item["metadata"]["name"] for item in found["items"]]
        assert meta.get("remainingItemCount", 0) == 20 - len(names)
        if not token:
            break
        # What is written in between belongs to a later revision.
        space.rest(
            "POST", space.path("podtemplates"), {"metadata": {"name": f"zz{len(names)}"}, "template": template("t")}
        )
    assert names == [f"t{number:02}" for number in range(20)]
    assert len(space.list("podtemplates")) > 20


def test_a_table_of_what_has_no_metadata_is_not_acceptable(rest: Rest) -> None:
    """[sig-api-machinery] Servers with support for Table transformation should return a 406 for a backend which does
    not implement metadata
    """
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    status, told = rest("POST", path, review, Accept=accept)
    assert (status, told["reason"]) == (406, "NotAcceptable")
    table = rest.ok("GET", "/api/v1/nodes", Accept=accept)
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert table["columnDefinitions"][0]["name"] == "Name"


# Discovery


def test_every_group_and_version_is_found_in_discovery(rest: Rest) -> None:
    """[sig-api-machinery] Discovery should validate PreferredVersion for each APIGroup"""
    groups = rest.ok("GET", "/apis")["groups"]
    assert {"apps", "batch", "rbac.authorization.k8s.io", "apiextensions.k8s.io"} <= {one["name"] for one in groups}
    for group in groups:
        assert group["preferredVersion"] in group["versions"]
        assert rest.ok("GET", f"/apis/{group['name']}") == {"kind": "APIGroup", "apiVersion": "v1", **group}
        for version in group["versions"]:
            assert rest.ok("GET", f"/apis/{version['groupVersion']}")["groupVersion"] == version["groupVersion"]
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    aggregated = rest.ok("GET", "/apis", Accept=accept)
    assert [one["metadata"]["name"] for one in aggregated["items"]] == [one["name"] for one in groups]
    assert rest.ok("GET", "/version")["gitVersion"].startswith("v1.36")
