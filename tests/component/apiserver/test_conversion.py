"""Custom resources whose versions a webhook converts, on a whole API server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.component.apiserver.test_custom_resources import established, version
from tests.component.apiserver.world import NAMESPACE, World, running
from tests.webhook_server import WebhookServer, patch, serving

from knarr.api import registry
from knarr.api.registry import CUSTOMRESOURCEDEFINITIONS
from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import APPLY_PATCH, MERGE_PATCH, Client

GROUP = "example.com"
V1 = Resource(GROUP, "v1", "widgets", "Widget", namespaced=True)
V2 = Resource(GROUP, "v2", "widgets", "Widget", namespaced=True)
NAME = f"widgets.{GROUP}"
MUTATING, POLICIES, BINDINGS = (
    registry.resource(plural, "admissionregistration.k8s.io")
    for plural in ("mutatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings")
)
Test = Callable[[World, Client, WebhookServer], Awaitable[None]]


def convert(request: Any) -> dict[str, Any]:
    """v1 has `hostPort`, v2 `host` and `port`."""
    out = [_converted(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
    return {"convertedObjects": out, "result": {"status": "Success"}}


def _converted(obj: Any, wanted: str) -> Any:
    out = {**obj, "apiVersion": wanted}
    if wanted.endswith("/v2"):
        out["host"], out["port"] = out.pop("hostPort").split(":")
    else:
        out["hostPort"] = f"{out.pop('host')}:{out.pop('port')}"
    return out


def definition(server: WebhookServer, *, storage: str = "v1") -> Object:
    schemas = {name: _schema(name) for name in ("v1", "v2")}
    fields = {"v1": [".hostPort"], "v2": [".host", ".port"]}
    return {
        "metadata": {"name": NAME},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [
                version(
                    name,
                    storage=name == storage,
                    schema={"openAPIV3Schema": schemas[name]},
                    selectableFields=[{"jsonPath": path} for path in fields[name]],
                )
                for name in ("v1", "v2")
            ],
            "conversion": {
                "strategy": "Webhook",
                "webhook": {"clientConfig": server.client_config("/convert"), "conversionReviewVersions": ["v1"]},
            },
        },
    }


def _schema(name: str) -> Object:
    fields = ("hostPort",) if name == "v1" else ("host", "port")
    return {"type": "object", "properties": {field: {"type": "string"} for field in fields}}


def run(tmp_path: Path, test: Test) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            await test(world, world.client(), server)

    (tmp_path / "hook").mkdir()
    with serving(tmp_path / "hook") as server:
        server.on("/convert", convert)
        asyncio.run(main())


def v1(name: str, host_port: str) -> Object:
    return {"apiVersion": V1.api_version, "kind": "Widget", "metadata": {"name": name}, "hostPort": host_port}


def test_objects_are_seen_and_written_in_every_version(tmp_path: Path) -> None:
    """[sig-api-machinery] CustomResourceConversionWebhook should be able to convert from CR v1 to CR v2"""

    async def test(world: World, client: Client, server: WebhookServer) -> None:
        await established(world, client, definition(server))
        made = await client.create(V1, v1("a", "one:1"), NAMESPACE)
        found = await client.get(V2, "a", NAMESPACE)
        assert (found["host"], found["port"], found["apiVersion"]) == ("one", "1", "example.com/v2")
        assert found["metadata"]["uid"] == made["metadata"]["uid"]
        found["port"] = "2"
        changed = await client.update(V2, found)
        assert (changed["host"], changed["port"]) == ("one", "2")
        assert (await client.get(V1, "a", NAMESPACE))["hostPort"] == "one:2"
        new = {"apiVersion": V2.api_version, "kind": "Widget", "metadata": {"name": "b"}, "host": "two", "port": "3"}
        assert (await client.create(V2, new, NAMESPACE))["host"] == "two"
        patched = await client.patch(V2, "b", {"port": "4"}, NAMESPACE, content_type=MERGE_PATCH)
        assert patched["port"] == "4"
        listed = await client.list(V1, NAMESPACE)
        assert [item["hostPort"] for item in listed["items"]] == ["one:2", "two:4"]
        await client.delete(V2, "b", NAMESPACE)
        assert [item["host"] for item in (await client.list(V2, NAMESPACE))["items"]] == ["one"]

    run(tmp_path, test)


def test_a_list_may_hold_objects_that_are_stored_in_several_versions(tmp_path: Path) -> None:
    """[sig-api-machinery] CustomResourceConversionWebhook should be able to convert a non homogeneous list of CRs"""

    async def test(world: World, client: Client, server: WebhookServer) -> None:
        await established(world, client, definition(server))
        await client.create(V1, v1("a", "one:1"), NAMESPACE)
        crd = await client.get(CUSTOMRESOURCEDEFINITIONS, NAME)
        crd["spec"]["versions"] = definition(server, storage="v2")["spec"]["versions"]
        await client.update(CUSTOMRESOURCEDEFINITIONS, crd)
        await client.create(V1, v1("b", "two:2"), NAMESPACE)
        assert [item["host"] for item in (await client.list(V2, NAMESPACE))["items"]] == ["one", "two"]
        assert [item["hostPort"] for item in (await client.list(V1, NAMESPACE))["items"]] == ["one:1", "two:2"]

    run(tmp_path, test)


def test_fields_select_in_the_version_that_is_asked_for(tmp_path: Path) -> None:
    async def test(world: World, client: Client, server: WebhookServer) -> None:
        await established(world, client, definition(server))
        for name, text in (("a", "one:1"), ("b", "two:2")):
            await client.create(V1, v1(name, text), NAMESPACE)
        found = await client.list(V2, NAMESPACE, fieldSelector="host=two")
        assert [item["metadata"]["name"] for item in found["items"]] == ["b"]
        since = found["metadata"]["resourceVersion"]
        events = client.watch(V2, NAMESPACE, fieldSelector="host=two", resourceVersion=since)
        waiting = asyncio.ensure_future(anext(events))
        await client.patch(V1, "a", {"hostPort": "two:1"}, NAMESPACE, content_type=MERGE_PATCH)
        event = await asyncio.wait_for(waiting, 90)
        assert (event.type, event.object["metadata"]["name"], event.object["port"]) == ("ADDED", "a", "1")
        waiting = asyncio.ensure_future(anext(events))
        await client.patch(V1, "b", {"hostPort": "three:1"}, NAMESPACE, content_type=MERGE_PATCH)
        event = await asyncio.wait_for(waiting, 90)
        assert (event.type, event.object["metadata"]["name"], event.object["host"]) == ("DELETED", "b", "two")
        await events.aclose()

    run(tmp_path, test)


BROKEN: dict[str, tuple[Callable[[Any], dict[str, Any]], str]] = {
    "says so": (
        lambda _request: {"result": {"status": "Failure", "message": "no way"}},
        "conversion webhook for example.com/v1, Kind=Widget failed: no way",
    ),
    "keeps one": (
        lambda _request: {"convertedObjects": [], "result": {"status": "Success"}},
        "conversion webhook for example.com/v1, Kind=Widget returned 0 objects, expected 1",
    ),
    "leaves the version": (
        lambda request: {"convertedObjects": request["objects"], "result": {"status": "Success"}},
        "conversion webhook for example.com/v1, Kind=Widget returned invalid object at index 0: invalid groupVersion "
        "(expected example.com/v2, received example.com/v1)",
    ),
    "answers another": (
        lambda _request: {"uid": "other"},
        'conversion webhook for example.com/v1, Kind=Widget failed: expected response.uid "',
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_who_converts_badly_is_refused_until_he_does_it_well(tmp_path: Path, how: str) -> None:
    async def test(world: World, client: Client, server: WebhookServer) -> None:
        await established(world, client, definition(server))
        await client.create(V1, v1("a", "one:1"), NAMESPACE)
        answer, message = BROKEN[how]
        server.on("/convert", answer)
        with pytest.raises(StatusError) as caught:
            await client.get(V2, "a", NAMESPACE)
        assert caught.value.code == 500
        assert caught.value.message.startswith(message)
        assert (await client.get(V1, "a", NAMESPACE))["hostPort"] == "one:1"
        server.on("/convert", convert)
        assert (await client.get(V2, "a", NAMESPACE))["host"] == "one"

    run(tmp_path, test)


def test_a_webhook_changes_labels_and_no_other_metadata(tmp_path: Path) -> None:
    def relabel(request: Any) -> dict[str, Any]:
        found = convert(request)
        for obj in found["convertedObjects"]:
            obj["metadata"] = {**obj["metadata"], "labels": {"by": "webhook"}, "finalizers": ["a/b"], "generation": 99}
        return found

    async def test(world: World, client: Client, server: WebhookServer) -> None:
        await established(world, client, definition(server))
        await client.create(V1, v1("a", "one:1"), NAMESPACE)
        server.on("/convert", relabel)
        meta = (await client.get(V2, "a", NAMESPACE))["metadata"]
        assert (meta["labels"], meta.get("finalizers"), meta["generation"]) == ({"by": "webhook"}, None, 1)

    run(tmp_path, test)


def test_webhooks_and_policies_see_the_version_that_they_name(tmp_path: Path) -> None:
    async def test(world: World, client: Client, server: WebhookServer) -> None:
        server.on("/convert", convert)
        server.on("/mutate", lambda _: patch({"op": "replace", "path": "/hostPort", "value": "changed:2"}))
        await established(world, client, definition(server))
        rule = {"apiGroups": [GROUP], "apiVersions": ["v1"], "operations": ["*"], "resources": ["widgets"]}
        hook = {
            "name": "mutate.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": server.client_config("/mutate"),
            "rules": [rule],
        }
        await client.create(MUTATING, {"metadata": {"name": "mutate"}, "webhooks": [hook]})
        policy = {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "object.hostPort != 'refused:2'"}],
        }
        await client.create(POLICIES, {"metadata": {"name": "p"}, "spec": policy})
        binding = {"policyName": "p", "validationActions": ["Deny"]}
        await client.create(BINDINGS, {"metadata": {"name": "p"}, "spec": binding})
        obj = {"apiVersion": f"{GROUP}/v2", "kind": "Widget", "metadata": {"name": "a"}, "host": "h", "port": "1"}
        made = await client.create(V2, obj, NAMESPACE)
        assert (made["apiVersion"], made["host"], made["port"]) == (f"{GROUP}/v2", "changed", "2")
        assert (await client.get(V1, "a", NAMESPACE))["hostPort"] == "changed:2"
        asked = server.asked["/mutate"][0]
        assert (asked["object"]["hostPort"], asked["object"]["apiVersion"]) == ("h:1", f"{GROUP}/v1")
        server.on("/mutate", lambda _: patch({"op": "replace", "path": "/hostPort", "value": "refused:2"}))
        with pytest.raises(StatusError, match="failed expression: object.hostPort != 'refused:2'"):
            await client.patch(V2, "a", {"port": "3"}, NAMESPACE, content_type=MERGE_PATCH)

    run(tmp_path, test)


@pytest.mark.parametrize("by_name", [True, False], ids=["name", "selector"])
def test_parameters_of_policies_are_seen_in_the_version_that_they_name(tmp_path: Path, *, by_name: bool) -> None:
    async def test(world: World, client: Client, server: WebhookServer) -> None:
        server.on("/convert", convert)
        await established(world, client, definition(server))
        param: Object = {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": {"name": "a"}, "hostPort": "h:1"}
        made = await client.create(V1, param, NAMESPACE)
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
        policy = {
            "paramKind": {"apiVersion": f"{GROUP}/v2", "kind": "Widget"},
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "object.metadata.name == params.host"}],
        }
        await client.create(POLICIES, {"metadata": {"name": "p"}, "spec": policy})
        ref: Object = {"parameterNotFoundAction": "Deny", "namespace": NAMESPACE}
        ref["name" if by_name else "selector"] = "a" if by_name else {}
        binding = {"policyName": "p", "validationActions": ["Deny"], "paramRef": ref}
        await client.create(BINDINGS, {"metadata": {"name": "p"}, "spec": binding})
        await client.create(registry.CONFIGMAPS, {"metadata": {"name": "h"}}, NAMESPACE)
        with pytest.raises(StatusError, match="failed expression"):
            await client.create(registry.CONFIGMAPS, {"metadata": {"name": "other"}}, NAMESPACE)
        await client.update(V1, {**made, "hostPort": "other:1"})
        await client.create(registry.CONFIGMAPS, {"metadata": {"name": "other"}}, NAMESPACE)

    run(tmp_path, test)


def test_owners_are_followed_through_versions(tmp_path: Path) -> None:
    async def test(world: World, client: Client, server: WebhookServer) -> None:
        await established(world, client, definition(server))
        apply = {"content_type": APPLY_PATCH, "force": "true"}
        await client.patch(V1, "a", v1("a", "one:1"), NAMESPACE, fieldManager="first", **apply)
        body = {"apiVersion": V2.api_version, "kind": "Widget", "metadata": {"name": "a"}, "port": "2"}
        changed = await client.patch(V2, "a", body, NAMESPACE, fieldManager="second", **apply)
        assert (changed["host"], changed["port"]) == ("one", "2")
        # What the first one has said in v1 is another text now, and not his any more.
        owned = {item["manager"]: item["fieldsV1"] for item in changed["metadata"]["managedFields"]}
        assert owned == {"second": {"f:port": {}}}
        found = await client.get(V1, "a", NAMESPACE)
        found["hostPort"] = "two:2"
        updated = await client.update(V1, found, fieldManager="third")
        owned = {item["manager"]: item["fieldsV1"] for item in updated["metadata"]["managedFields"]}
        assert owned["third"] == {"f:hostPort": {}}
        assert owned["second"] == {"f:port": {}}

    run(tmp_path, test)
