"""An API server in memory, as far as controllers need one, and watches of it that a test can hold back.

It keeps revisions, uids, generations, deletion with grace and finalizers, preconditions and optimistic locking. It
neither defaults nor validates.
"""

from __future__ import annotations

import asyncio
import copy
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import orjson

from knarr.api.conversion import scales
from knarr.api.registry import NAMESPACES, PODS, lookup
from knarr.api.resources import Resource
from knarr.apimachinery import errors, merge_patch, strategic, timestamps
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.strategic import MergeField
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.client.transport import Answer
from knarr.component_base.clock import Clock
from knarr.controller_runtime.snapshot import index_values

Change = tuple[Resource, Object | None, Object | None, int]
Place = tuple[str, str]


class _Schema:
    """Merge keys of the lists that controllers patch."""

    _LISTS = {"ownerReferences": "uid", "conditions": "type"}

    def merge_field(self, name: str) -> MergeField | None:
        if name in self._LISTS:
            return MergeField("merge", self._LISTS[name], self)
        if name == "finalizers":
            return MergeField("merge")
        return MergeField(schema=self)


class FakeApi:
    """Objects by resource and place. `changes` hears of every change."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.revision = 0
        self.objects: dict[Resource, dict[Place, Object]] = defaultdict(dict)
        self.listeners: list[Callable[[Change], None]] = []
        self.requests: list[tuple[str, str]] = []
        #: What stands under paths that name no stored object: discovery, scales.
        self.documents: dict[str, Object] = {}
        self.uids = 0
        #: What other servers answer, by API group: of path and query.
        self.outside: dict[str, Callable[[str, Mapping[str, str]], Object]] = {}
        #: Pods on a node stay until the kubelet (the test) removes them.
        self.graceful = True

    def put(self, resource: Resource, obj: Object) -> Object:
        """Create an object as a test needs it, status included."""
        return self._store(resource, None, self._stamped(copy.deepcopy(obj)))

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        found = self.objects[resource].get((namespace, name))
        if found is None:
            raise errors.not_found(resource.plural, resource.group, name)
        return found

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Object]:
        return [obj for place, obj in self.objects[resource].items() if namespace in ("", place[0])]

    def create(self, resource: Resource, obj: Object) -> Object:
        meta = obj["metadata"]
        if (meta.get("namespace", ""), meta["name"]) in self.objects[resource]:
            raise errors.already_exists(resource.plural, resource.group, meta["name"])
        space = self.objects[NAMESPACES].get(("", meta.get("namespace", "")))
        if space is not None and space["metadata"].get("deletionTimestamp"):
            details = {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]}
            raise StatusError(403, "Forbidden", f"namespace {meta['namespace']} is being terminated", details)
        return self._store(resource, None, self._stamped(copy.deepcopy(obj)))

    def update(self, resource: Resource, obj: Object, subresource: str = "") -> Object:
        meta = obj["metadata"]
        old = self.get(resource, meta.get("namespace", ""), meta["name"])
        version = meta.get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            raise errors.conflict(resource.plural, resource.group, meta["name"], errors.MODIFIED)
        if meta.get("uid") and meta["uid"] != old["metadata"]["uid"]:
            raise errors.conflict(resource.plural, resource.group, meta["name"], "Precondition failed: UID")
        return self._replace(resource, old, copy.deepcopy(obj), subresource)

    def patch(self, resource: Resource, place: Place, patch: Any, content_type: str, subresource: str) -> Object:
        old = self.get(resource, *place)
        if content_type == "application/merge-patch+json":
            new = merge_patch.apply(old, patch)
        else:
            new = strategic.apply(old, patch, _Schema())
        if new["metadata"].get("uid") != old["metadata"]["uid"]:
            raise errors.conflict(resource.plural, resource.group, place[1], "uid mismatch")
        if new["metadata"].get("resourceVersion") != old["metadata"]["resourceVersion"]:
            raise errors.conflict(resource.plural, resource.group, place[1], errors.MODIFIED)
        if new["metadata"].get("resourceVersion") != old["metadata"]["resourceVersion"]:
            raise errors.conflict(resource.plural, resource.group, place[1], errors.MODIFIED)
        return self._replace(resource, old, copy.deepcopy(new), subresource)

    def delete(self, resource: Resource, place: Place, options: Object) -> Object:
        old = self.get(resource, *place)
        self._check(resource, old, options.get("preconditions") or {})
        new = copy.deepcopy(old)
        meta = new["metadata"]
        grace = options.get("gracePeriodSeconds")
        if resource is not PODS or not self.graceful or not (old.get("spec") or {}).get("nodeName"):
            grace = 0
        elif grace is None:
            grace = 30
        finalizers = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(options.get("propagationPolicy", ""))
        if finalizers and finalizers not in (meta.get("finalizers") or ()):
            meta["finalizers"] = [*(meta.get("finalizers") or ()), finalizers]
        if not grace and not meta.get("finalizers"):
            self.remove(resource, place)
            details = {"name": place[1], "uid": old["metadata"]["uid"]}
            return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        meta.setdefault("deletionTimestamp", timestamps.seconds(self.clock.now()))
        meta["deletionGracePeriodSeconds"] = grace
        return old if new == old else self._store(resource, old, new)

    def remove(self, resource: Resource, place: Place) -> None:
        old = self.objects[resource].pop(place)
        self.revision += 1
        self._tell(resource, old, None)

    def set_status(self, resource: Resource, namespace: str, name: str, **status: Any) -> Object:
        """Change fields of a status, as a kubelet would."""
        old = self.get(resource, namespace, name)
        new = {**old, "metadata": dict(old["metadata"]), "status": {**(old.get("status") or {}), **status}}
        return self._store(resource, old, new)

    def change_spec(self, resource: Resource, namespace: str, name: str, **spec: Any) -> Object:
        """Change fields of a spec, as a user would."""
        old = self.get(resource, namespace, name)
        return self._replace(resource, old, copy.deepcopy({**old, "spec": {**old["spec"], **spec}}), "")

    def _check(self, resource: Resource, old: Object, preconditions: Object) -> None:
        meta = old["metadata"]
        for field, name in (("uid", "uid"), ("resourceVersion", "resourceVersion")):
            if preconditions.get(field) and preconditions[field] != meta[name]:
                raise errors.conflict(resource.plural, resource.group, meta["name"], f"Precondition failed: {field}")

    def _replace(self, resource: Resource, old: Object, new: Object, subresource: str) -> Object:
        meta = new["metadata"]
        if subresource in ("status", "approval"):
            new = {**old, "metadata": {**old["metadata"], "annotations": meta.get("annotations", {})}, **_status(new)}
            if not meta.get("annotations"):
                new["metadata"].pop("annotations")
        elif "status" in old:
            new["status"] = old["status"]
        before = {**old, "metadata": {**old["metadata"], "resourceVersion": ""}}
        new["metadata"] = dict(new["metadata"])
        if {**new, "metadata": {**new["metadata"], "resourceVersion": ""}} == before:
            return old
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        given = new["metadata"]
        named = (new.get("spec") or {}).get("finalizers")
        held = named or given.get("finalizers") or given.get("deletionGracePeriodSeconds")
        if given.get("deletionTimestamp") and not held:
            self.remove(resource, (meta.get("namespace", ""), meta["name"]))
            return new
        return self._store(resource, old, new)

    def _stamped(self, obj: Object) -> Object:
        self.uids += 1
        meta = obj["metadata"]
        meta.setdefault("uid", f"uid-{self.uids}")
        meta.setdefault("generation", 1)
        meta.setdefault("creationTimestamp", timestamps.seconds(self.clock.now()))
        return obj

    def _store(self, resource: Resource, old: Object | None, new: Object) -> Object:
        self.revision += 1
        # What others hold must stay as it is.
        new["metadata"] = {**new["metadata"], "resourceVersion": str(self.revision)}
        new.setdefault("apiVersion", resource.api_version)
        new.setdefault("kind", resource.kind)
        place = (new["metadata"].get("namespace", ""), new["metadata"]["name"])
        self.objects[resource][place] = new
        self._tell(resource, old, new)
        return new

    def _tell(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        for listener in self.listeners:
            listener((resource, old, new, self.revision))


def _status(new: Object) -> Object:
    return {"status": new["status"]} if "status" in new else {}


class FakeTransport:
    """Requests to a `FakeApi`. `before` and `after` may raise: the request is lost, or its answer."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.before: Callable[[str, str], None] = lambda method, path: None
        self.after: Callable[[str, str], None] = lambda method, path: None

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Answer:
        await asyncio.sleep(0)
        try:
            self.before(method, path)
            self.api.requests.append((method, path))
            answer = self._answer(method, path, query, orjson.loads(body) if body else {}, content_type)
        except StatusError as error:
            return Answer(error.code, {}, orjson.dumps(error.status()))
        encoded = orjson.dumps(answer)
        self.after(method, path)
        return Answer(200, {}, encoded)

    def _answer(self, method: str, path: str, query: Mapping[str, str], body: Any, content_type: str) -> Object:
        outside = self.api.outside.get(path.split("/")[2])
        if outside is not None:
            return outside(path, query)
        if method == "GET" and path in self.api.documents:
            return self.api.documents[path]
        if method == "DELETE" and path in self.api.documents:
            self.api.documents[path] = {"items": []}
            return {"kind": "Status", "status": "Success", "metadata": {}}
        if len(path.split("/")) == (3 if path.startswith("/api/") else 4):
            raise errors.not_found("", "", path)
        resource, namespace, name, subresource = _parse(path)
        if method == "GET" and not name:
            items = [obj for obj in self.api.list(resource, namespace) if _selected(obj, query)]
            return {
                "kind": f"{resource.kind}List",
                "metadata": {"resourceVersion": str(self.api.revision)},
                "items": items,
            }
        if subresource == "scale":
            return self._scale(resource, (namespace, name), body if method == "PUT" else None)
        if method == "GET":
            return self.api.get(resource, namespace, name)
        if method == "POST":
            return self.api.create(resource, body)
        if method == "PUT":
            return self.api.update(resource, body, subresource)
        if method == "PATCH":
            return self.api.patch(resource, (namespace, name), body, content_type, subresource)
        if name:
            return self.api.delete(resource, (namespace, name), body)
        for obj in list(self.api.list(resource, namespace)):
            self.api.delete(resource, (namespace, obj["metadata"]["name"]), body)
        return {"kind": "Status", "status": "Success", "metadata": {}}

    def _scale(self, resource: Resource, place: Place, written: Object | None) -> Object:
        found = self.api.get(resource, *place)
        if written is not None:
            found = self.api.update(resource, scales.set_scale(found, written))
        return scales.scale_of(found)

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        raise NotImplementedError("watches of the fake come from FakeInformers")
        yield b""

    async def close(self) -> None:
        return


def _selected(obj: Object, query: Mapping[str, str]) -> bool:
    wanted = query.get("fieldSelector", "").removeprefix("metadata.name=")
    return not wanted or obj["metadata"]["name"] == wanted


def _parse(path: str) -> tuple[Resource, str, str, str]:
    parts = path.strip("/").split("/")
    group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2])
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and lookup(group, version, rest[2]) is not None:
        namespace, rest = rest[1], rest[2:]
    resource = lookup(group, version, rest[0])
    if resource is None:
        raise errors.page_not_found()
    return resource, namespace, rest[1] if len(rest) > 1 else "", rest[2] if len(rest) > 2 else ""


class FakeInformer:
    """The watch of one resource, as far as it has been let through."""

    def __init__(self) -> None:
        self.synced = asyncio.Event()
        self.synced.set()
        self.revision = 0
        self.objects: dict[Place, Object] = {}
        self.callbacks: list[Callable[[Object | None, Object | None], None]] = []

    def listen(self, callback: Callable[[Object | None, Object | None], None]) -> None:
        self.callbacks.append(callback)
        for obj in list(self.objects.values()):
            callback(None, obj)

    def take(self, new: Object | None, place: Place, revision: int) -> None:
        old = self.objects.pop(place, None)
        if new is not None:
            self.objects[place] = new
        self.revision = revision
        if old is not None or new is not None:
            for callback in self.callbacks:
                callback(old, new)


class FakeInformers:
    """Watches of a `FakeApi`. Changes wait in `held` until `deliver` lets them through (at once unless `hold`)."""

    def __init__(self, api: FakeApi, *, hold: bool = False) -> None:
        self.api = api
        self.hold = hold
        self.informers: dict[Resource, FakeInformer] = {}
        self.held: dict[Resource, list[Change]] = defaultdict(list)
        api.listeners.append(self._changed)

    def add(self, resource: Resource, *, metadata_only: bool = False) -> FakeInformer:
        informer = self.informers.get(resource)
        if informer is None:
            informer = self.informers[resource] = FakeInformer()
            self.relist(resource)
        return informer

    def remove(self, resource: Resource) -> None:
        self.informers.pop(resource, None)

    def _changed(self, change: Change) -> None:
        if change[0] in self.informers:
            self.held[change[0]].append(change)
            if not self.hold:
                self.deliver(change[0])

    def deliver(self, resource: Resource, count: int = 1_000_000) -> None:
        """Let the oldest changes of a resource through."""
        waiting = self.held[resource]
        ready, self.held[resource] = waiting[:count], waiting[count:]
        for _, old, new, revision in ready:
            changed = new or old or {}
            place = (changed["metadata"].get("namespace", ""), changed["metadata"]["name"])
            self.informers[resource].take(new, place, revision)

    def deliver_all(self) -> None:
        for resource in list(self.held):
            self.deliver(resource)

    def relist(self, resource: Resource) -> None:
        """The watch broke: changes are lost, and the present state is taken over."""
        self.held[resource].clear()
        informer = self.informers[resource]
        present = dict(self.api.objects[resource])
        for place in [place for place in informer.objects if place not in present]:
            informer.take(None, place, informer.revision)
        for place, obj in present.items():
            if informer.objects.get(place) is not obj:
                informer.take(obj, place, informer.revision)
        informer.revision = self.api.revision

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        return self.informers[resource].objects.get((namespace, name))

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Object]:
        return [obj for place, obj in self.informers[resource].objects.items() if namespace in ("", place[0])]

    def indexed(self, resource: Resource, index: str, value: str) -> Sequence[Object]:
        return [obj for obj in self.informers[resource].objects.values() if value in index_values(index, obj)]

    def close(self) -> None:
        self.api.listeners.remove(self._changed)


def fake_client(api: FakeApi) -> tuple[Client, FakeTransport]:
    transport = FakeTransport(api)
    return Client(transport), transport
