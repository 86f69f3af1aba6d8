"""Custom resources: served as soon as their definition is, gone with it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.component.apiserver.world import NAMESPACE, World, eventually, running

from knarr.api.registry import CUSTOMRESOURCEDEFINITIONS
from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.loopback import LOOPBACK
from knarr.apiserver.request import Request
from knarr.client.client import APPLY_PATCH, Client
from knarr.storage.memory import MemoryStore

NAME = "widgets.example.com"
OPEN: Object = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
WIDGETS = Resource("example.com", "v1", "widgets", "Widget", namespaced=True)
WIDGETS_BETA = Resource("example.com", "v1beta1", "widgets", "Widget", namespaced=True)


def version(name: str = "v1", *, storage: bool = True, served: bool = True, **more: Any) -> Object:
    return {"name": name, "served": served, "storage": storage, "schema": OPEN, **more}


def definition(*versions: Object, plural: str = "widgets", kind: str = "Widget", **names: Any) -> Object:
    return {
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, **names},
            "versions": list(versions) or [version()],
        },
    }


def widget(name: str, **spec: Any) -> Object:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


async def established(world: World, client: Client, crd: Object | None = None) -> Object:
    made = await client.create(CUSTOMRESOURCEDEFINITIONS, crd or definition())
    await eventually(lambda: world.api.ctx.served.get("example.com", "v1", made["spec"]["names"]["plural"]) is not None)
    return await client.get(CUSTOMRESOURCEDEFINITIONS, made["metadata"]["name"])


def conditions(crd: Object) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in crd["status"]["conditions"]}


def test_a_definition_is_served_and_taken_away_with_its_objects(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            crd = await established(world, client)
            assert conditions(crd) == {
                "NamesAccepted": ("True", "NoConflicts"),
                "Established": ("True", "InitialNamesAccepted"),
            }
            made = await client.create(WIDGETS, widget("a", color="red"), NAMESPACE)
            assert (made["metadata"]["generation"], made["spec"]) == (1, {"color": "red"})
            listed = await client.list(WIDGETS, NAMESPACE)
            assert [each["kind"] for each in listed["items"]] == ["Widget"]
            ended = await client.delete(CUSTOMRESOURCEDEFINITIONS, NAME)
            assert conditions(ended)["Terminating"] == ("True", "InstanceDeletionPending")
            await eventually(lambda: world.api.ctx.served.get("example.com", "v1", "widgets") is None)
            await eventually(
                lambda: world.api.ctx.reader.get("customresourcedefinitions", "apiextensions.k8s.io", "", NAME) is None
            )
            with pytest.raises(StatusError):
                await client.get(WIDGETS, "a", NAMESPACE)

    asyncio.run(main())


def test_names_are_the_first_ones_that_ask_until_they_are_free(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await established(world, client)
            await client.create(CUSTOMRESOURCEDEFINITIONS, definition(plural="others"))

            def reason() -> str:
                crd = world.api.ctx.reader.get(
                    "customresourcedefinitions", "apiextensions.k8s.io", "", "others.example.com"
                )
                return conditions(crd)["NamesAccepted"][1] if crd and crd["status"].get("conditions") else ""

            await eventually(lambda: reason() == "ListKindConflict")
            assert world.api.ctx.served.get("example.com", "v1", "others") is None
            await client.delete(CUSTOMRESOURCEDEFINITIONS, NAME)
            await eventually(lambda: reason() == "NoConflicts")
            await eventually(lambda: world.api.ctx.served.get("example.com", "v1", "others") is not None)

    asyncio.run(main())


def test_each_version_shows_the_same_objects(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await established(world, client, definition(version(), version("v1beta1", storage=False)))
            await client.create(WIDGETS_BETA, {**widget("a", n=1), "apiVersion": "example.com/v1beta1"}, NAMESPACE)
            assert (await client.get(WIDGETS, "a", NAMESPACE))["apiVersion"] == "example.com/v1"
            beta = await client.get(WIDGETS_BETA, "a", NAMESPACE)
            assert (beta["apiVersion"], beta["spec"]) == ("example.com/v1beta1", {"n": 1})

    asyncio.run(main())


def test_objects_survive_a_restart(tmp_path: Path) -> None:
    class Lasting(MemoryStore):
        async def close(self) -> None:
            """The next server goes on with it."""

    async def main() -> None:
        store = Lasting()
        async with running(tmp_path, store) as world:
            client = world.client()
            await established(world, client)
            await client.create(WIDGETS, widget("a", n=1), NAMESPACE)
        async with running(tmp_path, store) as world:
            assert (await world.client().get(WIDGETS, "a", NAMESPACE))["spec"] == {"n": 1}

    asyncio.run(main())


async def _refusal(world: World, method: str, path: str, body: bytes = b"") -> tuple[int, str]:
    request = Request(method=method, path=path, query={}, headers={"content-type": "application/json"}, body=body)
    request.trusted = LOOPBACK
    answer = await world.api.handler(request)
    assert isinstance(answer.body, bytes)
    text = answer.body.decode()
    return answer.status, orjson.loads(text)["message"] if text.startswith("{") else text


def test_what_is_not_served_is_refused_as_kubernetes_refuses_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await established(world, client)
            await client.create(WIDGETS, widget("a"), NAMESPACE)
            base = f"/apis/example.com/v1/namespaces/{NAMESPACE}/widgets"
            nothing = (404, "404 page not found\n")
            assert await _refusal(world, "GET", "/apis/example.com/v1/widgets/a") == nothing
            assert await _refusal(world, "DELETE", "/apis/example.com/v1/widgets") == nothing
            assert await _refusal(world, "GET", f"/apis/example.com/v2/namespaces/{NAMESPACE}/widgets") == nothing
            missing = (404, 'widgets.example.com "a" not found')
            assert await _refusal(world, "GET", f"{base}/a/status") == missing
            assert await _refusal(world, "PUT", base, b"{}") == (400, "name must be provided")
            no_kind = "Object 'Kind' is missing in 'object has no kind field '"
            assert await _refusal(world, "POST", base, b'{"apiVersion":"example.com/v1"}') == (400, no_kind)
            version = "the API version in the data (example.com/v9) does not match the expected API version"
            body = b'{"apiVersion":"example.com/v9","kind":"Widget"}'
            assert await _refusal(world, "POST", base, body) == (400, f"{version} (example.com/v1)")
            body = b'{"apiVersion":"example.com/v1","kind":"Other","metadata":{"name":"b"}}'
            wrong = 'Widget.example.com "b" is invalid: kind: Invalid value: "Other": must be Widget'
            assert await _refusal(world, "POST", base, body) == (422, wrong)

    asyncio.run(main())


DEFAULTED: Object = {
    "openAPIV3Schema": {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "default": {},
                "properties": {"a": {"type": "string"}, "b": {"type": "string", "default": "B"}},
            }
        },
    }
}


def test_who_makes_an_object_owns_its_defaults_and_who_applies_does_not(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await established(world, client, definition(version(schema=DEFAULTED)))
            made = await client.create(WIDGETS, widget("a", a="x"), NAMESPACE)
            (owned,) = made["metadata"]["managedFields"]
            assert owned["fieldsV1"] == {"f:spec": {".": {}, "f:a": {}, "f:b": {}}}
            options = {"content_type": APPLY_PATCH, "fieldManager": "me"}
            applied = await client.patch(WIDGETS, "b", widget("b", a="x"), NAMESPACE, **options)
            (owned,) = applied["metadata"]["managedFields"]
            assert (owned["fieldsV1"], applied["spec"]) == ({"f:spec": {"f:a": {}}}, {"a": "x", "b": "B"})

    asyncio.run(main())


def test_bookmarks_show_no_defaults(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await established(world, client, definition(version(schema=DEFAULTED)))
            options = {"sendInitialEvents": "true", "allowWatchBookmarks": "true"}
            events = client.watch(WIDGETS, NAMESPACE, resourceVersionMatch="NotOlderThan", **options)
            event = await asyncio.wait_for(anext(events), 90)
            assert (event.type, set(event.object)) == ("BOOKMARK", {"kind", "apiVersion", "metadata"})
            await events.aclose()

    asyncio.run(main())


def test_who_prefers_protobuf_gets_json_of_custom_resources_and_protobuf_of_their_metadata(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await established(world, client)
            await client.create(WIDGETS, widget("a"), NAMESPACE)
            protobuf = "application/vnd.kubernetes.protobuf"
            partial = f"{protobuf};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
            found = {}
            for accept in (f"{protobuf},application/json", f"{partial},application/json", protobuf):
                path = f"/apis/example.com/v1/namespaces/{NAMESPACE}/widgets/a"
                request = Request(method="GET", path=path, query={}, headers={"accept": accept}, body=b"")
                request.trusted = LOOPBACK
                answer = await world.api.handler(request)
                found[accept] = (answer.status, answer.content_type)
            assert list(found.values()) == [(200, "application/json"), (200, protobuf), (406, protobuf)]

    asyncio.run(main())
