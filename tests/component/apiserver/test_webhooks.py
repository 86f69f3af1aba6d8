"""Admission webhooks, called over TLS by a whole API server."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from tests.component.apiserver.world import NAMESPACE, World, config_map, eventually, pod, running
from tests.webhook_server import WebhookServer, item, patch, send, send_json, serving

from knarr.api import registry
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import MERGE_PATCH, Client
from knarr.storage.memory import MemoryStore

_GROUP = "admissionregistration.k8s.io"
MUTATING = registry.resource("mutatingwebhookconfigurations", _GROUP)
VALIDATING = registry.resource("validatingwebhookconfigurations", _GROUP)
DEPLOYMENTS = registry.resource("deployments", "apps")
HPA_V1 = registry.lookup("autoscaling", "v1", "horizontalpodautoscalers")
Test = Callable[[World, Client, WebhookServer], Awaitable[None]]


def run(tmp_path: Path, test: Test) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            await test(world, world.client(), server)

    (tmp_path / "hook").mkdir()
    with serving(tmp_path / "hook") as server:
        asyncio.run(main())


def hook(server: WebhookServer, path: str, resource: str = "configmaps", **fields: Any) -> Object:
    """A webhook; `groups`, `versions`, `operations` go into its rule."""
    rule = {
        "apiGroups": fields.pop("groups", [""]),
        "apiVersions": fields.pop("versions", ["v1"]),
        "operations": fields.pop("operations", ["*"]),
        "resources": [resource],
    }
    return {
        "name": f"{path.strip('/')}.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": server.client_config(path),
        "rules": [rule],
        **fields,
    }


async def mutate(client: Client, name: str, *hooks: Object) -> None:
    await client.create(MUTATING, {"metadata": {"name": name}, "webhooks": list(hooks)})


async def validate(client: Client, name: str, *hooks: Object) -> None:
    await client.create(VALIDATING, {"metadata": {"name": name}, "webhooks": list(hooks)})


async def create(client: Client, name: str = "a", **options: str) -> Object:
    return await client.create(registry.CONFIGMAPS, config_map(name), NAMESPACE, **options)


async def refused(call: Awaitable[Any]) -> StatusError:
    with pytest.raises(StatusError) as caught:
        await call
    return caught.value


def deny(**status: Any) -> Callable[[Any], dict[str, Any]]:
    return lambda _request: {"allowed": False, "status": status}


def test_a_request_is_told_in_full(tmp_path: Path) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        server.on("/see", lambda _: {"warnings": ["be careful"], "auditAnnotations": {"k": "v"}})
        await validate(client, "see", hook(server, "/see"))
        await create(client)
        changed = {"metadata": {"labels": {"x": "y"}}}
        await client.patch(registry.CONFIGMAPS, "a", changed, NAMESPACE, content_type=MERGE_PATCH)
        await client.delete(registry.CONFIGMAPS, "a", NAMESPACE)
        made, updated, deleted = server.asked["/see"]
        assert made["kind"] == made["requestKind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
        assert made["resource"] == made["requestResource"] == {"group": "", "version": "v1", "resource": "configmaps"}
        assert (made["operation"], made["name"], made["namespace"]) == ("CREATE", "a", NAMESPACE)
        assert made["userInfo"]["username"] == "admin" and "system:masters" in made["userInfo"]["groups"]
        assert made["object"]["kind"] == "ConfigMap" and made["object"]["data"] == {"k": "0"}
        assert made["oldObject"] is None and made["dryRun"] is False
        assert made["options"]["kind"] == "CreateOptions" and "subResource" not in made
        assert updated["object"]["metadata"]["labels"] == {"x": "y"} and updated["oldObject"]["data"] == {"k": "0"}
        assert updated["options"]["kind"] == "UpdateOptions"
        assert deleted["operation"] == "DELETE" and deleted["object"] is None
        assert deleted["oldObject"]["metadata"]["labels"] == {"x": "y"}
        assert deleted["options"]["kind"] == "DeleteOptions"
        # All over one connection.
        assert len(server.ports) == 1

    run(tmp_path, test)


def test_a_refusal_has_the_code_reason_and_message_of_the_webhook(tmp_path: Path) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        server.on("/no", deny(code=418, reason="Teapot", message="no coffee"))
        await validate(client, "no", hook(server, "/no"))
        error = await refused(create(client))
        assert (error.code, error.reason) == (418, "Teapot")
        assert error.message == 'admission webhook "no.example.com" denied the request: no coffee'
        for status, code, text in (
            ({"reason": "Because"}, 400, "denied the request: Because"),
            ({"code": 200, "status": "Success"}, 400, "denied the request without explanation"),
        ):
            server.on("/no", deny(**status))
            error = await refused(create(client))
            assert (error.code, error.message) == (code, f'admission webhook "no.example.com" {text}')

    run(tmp_path, test)


def test_webhooks_change_objects_in_the_order_of_their_names(tmp_path: Path) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        server.on("/first", lambda _: patch(item("first", "1"), item("both", "first")))
        server.on("/second", lambda request: patch(item("second", request["object"]["data"]["first"] + "2")))
        await mutate(client, "b", hook(server, "/second"))
        await mutate(client, "a", hook(server, "/first"))
        made = await create(client)
        assert made["data"] == {"k": "0", "first": "1", "both": "first", "second": "12"}
        assert (await client.get(registry.CONFIGMAPS, "a", NAMESPACE))["data"] == made["data"]
        await client.delete(MUTATING, "a")
        await client.delete(MUTATING, "b")
        assert (await create(client, "b"))["data"] == {"k": "0"}

    run(tmp_path, test)


def test_defaults_are_set_and_plugins_run_again_after_a_change(tmp_path: Path) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        sidecar = {"name": "side", "image": "side"}
        server.on("/side", lambda _: patch({"op": "add", "path": "/spec/containers/-", "value": sidecar}))
        await mutate(client, "side", hook(server, "/side", "pods", operations=["CREATE"]))
        made = await client.create(registry.PODS, pod("p"), NAMESPACE)
        side = made["spec"]["containers"][1]
        assert side["imagePullPolicy"] == "Always" and side["terminationMessagePath"]
        # The plugin that mounts the account's token has seen the new container too.
        assert any("serviceaccount" in mount["mountPath"] for mount in side["volumeMounts"])
        assert len(server.asked["/side"]) == 1

    run(tmp_path, test)


@pytest.mark.parametrize(("policy", "calls"), [("Never", 1), ("IfNeeded", 2)])
def test_who_wants_it_is_asked_again_after_a_later_change(tmp_path: Path, policy: str, calls: int) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        server.on("/early", lambda request: patch(item("n", str(len(request["object"]["data"])))))
        server.on("/late", lambda _: patch(item("late", "yes")))
        await mutate(client, "a", hook(server, "/early", reinvocationPolicy=policy))
        await mutate(client, "b", hook(server, "/late", reinvocationPolicy=policy))
        made = await create(client)
        assert len(server.asked["/early"]) == calls
        # The first one's second change makes the second one due, whose change is none; that is the end of it.
        assert len(server.asked["/late"]) == calls
        assert made["data"] == {"k": "0", "late": "yes", "n": "1" if policy == "Never" else "3"}

    run(tmp_path, test)


def test_failures_pass_or_refuse_as_the_policy_says(tmp_path: Path) -> None:
    async def test(world: World, client: Client, server: WebhookServer) -> None:
        dead: Any = {"clientConfig": {"url": "https://127.0.0.1:1/x"}, "timeoutSeconds": 7}
        await validate(client, "v", hook(server, "/v", failurePolicy="Ignore", **dead))
        await mutate(client, "m", hook(server, "/m", failurePolicy="Ignore", **dead))
        assert (await create(client))["data"] == {"k": "0"}
        await client.delete(VALIDATING, "v")
        await validate(client, "v", hook(server, "/v", **dead))
        error = await refused(create(client, "b"))
        assert (error.code, error.reason) == (500, "InternalError")
        assert error.message == (
            'Internal error occurred: failed calling webhook "v.example.com": failed to call webhook: '
            'Post "https://127.0.0.1:1/x?timeout=7s": dial tcp 127.0.0.1:1: connect: connection refused'
        )
        text = world.api.ctx.metrics.registry.text().decode()
        assert 'apiserver_admission_webhook_fail_open_count{name="m.example.com",type="admit"} 2' in text
        assert (
            'apiserver_admission_webhook_rejection_count{name="v.example.com",type="validating",operation="CREATE",'
            'error_type="calling_webhook_error",rejection_code="503"} 1' in text
        )

    run(tmp_path, test)


def test_dry_runs_reach_harmless_webhooks_alone(tmp_path: Path) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        server.on("/ok", lambda _: patch(item("seen", "yes")))
        await mutate(client, "ok", hook(server, "/ok", sideEffects="NoneOnDryRun"))
        made = await create(client, dryRun="All")
        assert made["data"]["seen"] == "yes" and server.asked["/ok"][0]["dryRun"] is True
        # The API takes no new webhook that has side effects; an old one may be stored.
        fresh = (await client.get(MUTATING, "ok"))["webhooks"][0]
        assert fresh["sideEffects"] == "NoneOnDryRun"

    run(tmp_path, test)


def test_configurations_themselves_are_never_shown_to_webhooks(tmp_path: Path) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        server.on("/no", deny(message="never"))
        everything = hook(server, "/no", "*/*", groups=["*"], versions=["*"])
        await validate(client, "no", everything)
        await mutate(client, "no", everything)
        assert (await refused(create(client))).message.endswith("never")
        await client.delete(VALIDATING, "no")
        await client.delete(MUTATING, "no")
        await create(client)

    run(tmp_path, test)


def test_objects_are_shown_in_the_version_that_a_rule_names(tmp_path: Path) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        server.on("/old", lambda _: patch({"op": "replace", "path": "/spec/maxReplicas", "value": 7}))
        wanted = {"groups": ["autoscaling"], "versions": ["v1"]}
        await mutate(client, "old", hook(server, "/old", "horizontalpodautoscalers", **wanted))
        spec = {
            "maxReplicas": 3,
            "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
                }
            ],
        }
        resource = registry.lookup("autoscaling", "v2", "horizontalpodautoscalers")
        assert resource is not None
        made = await client.create(resource, {"metadata": {"name": "h"}, "spec": spec}, NAMESPACE)
        asked = server.asked["/old"][0]
        assert asked["object"]["apiVersion"] == "autoscaling/v1"
        assert asked["object"]["spec"]["targetCPUUtilizationPercentage"] == 50
        assert (asked["kind"]["version"], asked["requestKind"]["version"]) == ("v1", "v2")
        assert (made["apiVersion"], made["spec"]["maxReplicas"]) == ("autoscaling/v2", 7)
        assert made["spec"]["metrics"] == spec["metrics"]

    run(tmp_path, test)


def test_a_scale_is_shown_and_changed_as_a_scale(tmp_path: Path) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        server.on("/scale", lambda _: patch({"op": "replace", "path": "/spec/replicas", "value": 2}))
        await mutate(client, "scale", hook(server, "/scale", "deployments/scale", groups=["apps"]))
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
        await client.create(DEPLOYMENTS, {"metadata": {"name": "d"}, "spec": spec}, NAMESPACE)
        await client.patch(
            DEPLOYMENTS, "d", {"spec": {"replicas": 9}}, NAMESPACE, subresource="scale", content_type=MERGE_PATCH
        )
        asked = server.asked["/scale"][0]
        assert (asked["subResource"], asked["kind"]["kind"]) == ("scale", "Scale")
        assert (asked["object"]["spec"]["replicas"], asked["oldObject"]["spec"]["replicas"]) == (9, 1)
        assert (await client.get(DEPLOYMENTS, "d", NAMESPACE))["spec"]["replicas"] == 2

    run(tmp_path, test)


def test_conditions_decide_who_is_asked(tmp_path: Path) -> None:
    async def test(world: World, client: Client, server: WebhookServer) -> None:
        server.on("/no", deny(message="no"))
        conditions = [
            {"name": "not-me", "expression": "object.metadata.name != 'skip-me'"},
            {"name": "kind", "expression": "request.kind.kind == 'ConfigMap' && request.operation == 'CREATE'"},
            {"name": "may", "expression": "authorizer.group('').resource('pods').check('list').allowed()"},
        ]
        await validate(client, "no", hook(server, "/no", matchConditions=conditions))
        await create(client, "skip-me")
        assert (await refused(create(client, "other"))).code == 400
        text = world.api.ctx.metrics.registry.text().decode()
        assert 'match_condition_exclusions_total{name="no.example.com",kind="webhook",type="validating"' in text

    run(tmp_path, test)


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
def test_a_condition_that_fails_is_dealt_with_as_the_policy_says(tmp_path: Path, policy: str) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        broken = [{"name": "b", "expression": "object.data['absent'] == 'x'"}]
        await validate(client, "b", hook(server, "/b", matchConditions=broken, failurePolicy=policy))
        if policy == "Ignore":
            await create(client)
            return
        error = await refused(create(client))
        assert error.code == 403
        text = "expression 'object.data['absent'] == 'x'' resulted in error: no such key: absent"
        assert error.message == f'configmaps "a" is forbidden: {text}'

    run(tmp_path, test)


def test_subresources_are_shown_as_what_is_sent_to_them(tmp_path: Path) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        server.on("/see", lambda _: {})
        parts = ["pods/binding", "pods/eviction", "pods/status", "serviceaccounts/token"]
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": parts}
        await validate(client, "see", {**hook(server, "/see"), "rules": [rule]})
        await client.create(registry.PODS, pod("p"), NAMESPACE)
        await client.patch(registry.PODS, "p", {"status": {"phase": "Running"}}, NAMESPACE, subresource="status")
        bind = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
        await client.create(registry.PODS, bind, NAMESPACE, name="p", subresource="binding")
        evict = {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "p"}}
        await client.create(registry.PODS, evict, NAMESPACE, name="p", subresource="eviction")
        ask: Object = {"spec": {"audiences": []}}
        await client.create(registry.SERVICEACCOUNTS, ask, NAMESPACE, name="default", subresource="token")
        seen = [(one["subResource"], one["operation"], one["object"]["kind"]) for one in server.asked["/see"]]
        assert seen == [
            ("status", "UPDATE", "Pod"),
            ("binding", "CREATE", "Binding"),
            ("eviction", "CREATE", "Eviction"),
            ("token", "CREATE", "TokenRequest"),
        ]
        assert server.asked["/see"][2]["kind"] == {"group": "policy", "version": "v1", "kind": "Eviction"}

    run(tmp_path, test)


def test_deleting_a_collection_asks_about_every_object(tmp_path: Path) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        for name in ("a", "b"):
            await create(client, name)
        server.on("/see", lambda _: {})
        await validate(client, "see", hook(server, "/see", operations=["DELETE"]))
        await client.transport.request("DELETE", registry.CONFIGMAPS.path(NAMESPACE), {})
        assert sorted(one["name"] for one in server.asked["/see"]) == ["a", "b"]

    run(tmp_path, test)


def _hang(server: WebhookServer) -> Callable[[BaseHTTPRequestHandler], None]:
    def hang(_handler: BaseHTTPRequestHandler) -> None:
        server.ended.wait(20)

    return hang


def _flood(handler: BaseHTTPRequestHandler) -> None:
    """A gigabyte, as long as somebody takes it."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(1 << 30))
    handler.end_headers()
    for _ in range(1 << 10):
        handler.wfile.write(b" " * (1 << 20))


def _flood_head(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(1 << 16):
        handler.wfile.write(b"X-%d: %s\r\n" % (number, b"x" * 1000))


def _move(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(307)
    handler.send_header("Location", "https://127.0.0.1:6443/")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def _answered(**response: Any) -> Callable[[BaseHTTPRequestHandler], None]:
    review = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response}
    return lambda handler: send_json(handler, review)


HOSTILE: dict[str, tuple[Callable[[BaseHTTPRequestHandler], None], str]] = {
    "garbage": (
        lambda handler: send(handler, b"garbage"),
        "couldn't get version/kind; json parse error: invalid character 'g' looking for beginning of value",
    ),
    "nothing": (lambda handler: send(handler, b""), "0-length response with status code: 200"),
    "list": (lambda handler: send(handler, b"[]"), "json: cannot unmarshal array into Go value of type struct"),
    "flood": (_flood, "the answer has more than 8388608 bytes"),
    "head": (_flood_head, "the server's answer has too long a head"),
    "move": (_move, "the server responded with the status code 307 but did not return more information"),
    "broken": (
        lambda handler: send(handler, b"oh dear", 500),
        'an error on the server ("oh dear") has prevented the request from succeeding',
    ),
    "absent": (lambda handler: send(handler, b"", 404), "the server could not find the requested resource"),
    "cut": (lambda handler: handler.connection.shutdown(socket.SHUT_RDWR), "EOF"),
    "other": (_answered(uid="x", allowed=True), 'expected response.uid="'),
    "silent": (lambda handler: send_json(handler, {"kind": "AdmissionReview"}), "webhook response was absent"),
    "word": (_answered(uid="x", allowed="yes"), "json: cannot unmarshal string into Go struct field"),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("make", [mutate, validate])
def test_a_hostile_webhook_harms_its_request_alone(tmp_path: Path, kind: str, make: Any) -> None:
    answer, text = HOSTILE[kind]

    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        server.raw("/bad", answer)
        await make(client, "bad", hook(server, "/bad"))
        error = await refused(create(client))
        assert error.code == 500 and text in error.message, error.message
        await client.create(registry.SERVICEACCOUNTS, {"metadata": {"name": "other"}}, NAMESPACE)

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (patch({"op": "remove", "path": "/data/absent"}), "Unable to remove nonexistent key: absent"),
        (patch({"op": "fly", "path": "/data"}), "Unexpected kind: fly"),
        (patch({"op": "replace", "path": "/data", "value": 5}), "cannot unmarshal number into Go struct field"),
        ({"patchType": "JSONPatch"}, "webhook returned response.patchType but not response.patch"),
        ({"patch": "W10="}, "webhook returned response.patch but not response.patchType"),
        ({**patch(item("a", "b")), "patchType": "Magic"}, 'unsupported patch type "Magic"'),
        ({"patchType": "JSONPatch", "patch": "%%%"}, "illegal base64 data"),
        ({"patchType": "JSONPatch", "patch": "e30="}, "received undecodable patch in webhook response"),
        (patch({"op": 5, "path": "/data"}), "received undecodable patch in webhook response"),
    ],
)
def test_a_patch_that_makes_no_sense_is_refused(tmp_path: Path, answer: dict[str, Any], text: str) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        server.on("/bad", lambda _: answer)
        await mutate(client, "bad", hook(server, "/bad"))
        error = await refused(create(client))
        assert error.code == 500 and text in error.message, error.message

    run(tmp_path, test)


def test_a_webhook_moves_no_object_and_makes_none_that_is_ending(tmp_path: Path) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        await create(client, "old")
        moved = patch({"op": "replace", "path": "/metadata/namespace", "value": "default"})
        server.on("/bad", lambda _: moved)
        await mutate(client, "bad", hook(server, "/bad"))
        for call in (create(client), _touch(client)):
            error = await refused(call)
            assert (error.code, error.reason) == (400, "BadRequest")
            assert "does not match the namespace" in error.message
        assert not (await client.list(registry.CONFIGMAPS, "default"))["items"]
        server.on("/bad", lambda _: patch({"op": "remove", "path": "/metadata/namespace"}))
        assert (await create(client))["metadata"]["namespace"] == NAMESPACE
        ends = patch({"op": "add", "path": "/metadata/deletionTimestamp", "value": "2000-01-01T00:00:00Z"})
        server.on("/bad", lambda _: ends)
        assert "deletionTimestamp" not in (await create(client, "b"))["metadata"]
        server.on("/bad", lambda _: patch({"op": "replace", "path": "", "value": []}))
        assert "cannot unmarshal" in (await refused(create(client, "c"))).message
        owned = patch({"op": "add", "path": "/metadata/managedFields", "value": [{"manager": "m"}]})
        server.on("/bad", lambda _: owned)
        assert [one["manager"] for one in (await create(client, "d"))["metadata"]["managedFields"]] != ["m"]

    run(tmp_path, test)


def _touch(client: Client) -> Awaitable[Object]:
    changed = {"data": {"new": "value"}}
    return client.patch(registry.CONFIGMAPS, "old", changed, NAMESPACE, content_type=MERGE_PATCH)


def test_a_webhook_that_hangs_is_left_in_time_and_delays_nobody_else(tmp_path: Path) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        called = threading.Event()

        def hang(_handler: BaseHTTPRequestHandler) -> None:
            called.set()
            server.ended.wait(600)

        server.raw("/hang", hang)
        await validate(client, "hang", hook(server, "/hang", timeoutSeconds=1))
        assert (await refused(create(client))).message.endswith('?timeout=1s": context deadline exceeded')
        await client.delete(VALIDATING, "hang")
        called.clear()
        await validate(client, "hang", hook(server, "/hang", timeoutSeconds=30))
        hanging = asyncio.ensure_future(create(client))
        await eventually(called.is_set)
        await client.create(registry.SERVICEACCOUNTS, {"metadata": {"name": "other"}}, NAMESPACE)
        assert not hanging.done()
        hanging.cancel()

    run(tmp_path, test)


class Lasting(MemoryStore):
    """One that outlives its first server."""

    async def close(self) -> None:
        """Stay open."""


def test_a_server_starts_though_a_webhook_would_refuse_everything(tmp_path: Path) -> None:
    async def main() -> None:
        store = Lasting()
        classes = registry.resource("priorityclasses", "scheduling.k8s.io")
        async with running(tmp_path, store) as world:
            client = world.client()
            everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
            await client.delete(classes, "system-node-critical")
            closed = {
                "name": "closed.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": {"url": "https://127.0.0.1:1/"},
                "rules": [everything],
            }
            await validate(client, "closed", closed)
            assert (await refused(create(client))).code == 500
        async with running(tmp_path, store) as world:
            client = world.client()
            assert await client.get(classes, "system-node-critical")
            assert (await refused(create(client))).code == 500
            # The way out is open.
            await client.delete(VALIDATING, "closed")
            await create(client)

    asyncio.run(main())


def test_certificates_are_checked(tmp_path: Path) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        server.on("/ok", lambda _: {})
        stranger = {"url": server.client_config("/ok")["url"]}
        await validate(client, "a", hook(server, "/ok", clientConfig=stranger))
        error = await refused(create(client))
        assert error.message.endswith(
            "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        )

    run(tmp_path, test)


def test_a_service_leads_to_its_endpoints(tmp_path: Path) -> None:
    async def test(_world: World, client: Client, server: WebhookServer) -> None:
        service: Any = {"clientConfig": {"service": {"namespace": NAMESPACE, "name": "hook", "port": 8443}}}
        await validate(client, "a", hook(server, "/ok", **service))
        head = f'Post "https://hook.{NAMESPACE}.svc:8443/?timeout=10s": '
        assert (await refused(create(client))).message.endswith(head + 'service "hook" not found')
        ports = [{"port": 443, "targetPort": 9443}]
        made = await client.create(
            registry.SERVICES, {"metadata": {"name": "hook"}, "spec": {"ports": ports}}, NAMESPACE
        )
        assert (await refused(create(client))).message.endswith(head + 'no service port 8443 found for service "hook"')
        made["spec"]["ports"][0]["port"] = 8443
        await client.update(registry.SERVICES, made)
        assert (await refused(create(client))).message.endswith(head + 'no endpoints available for service "hook"')

    run(tmp_path, test)
