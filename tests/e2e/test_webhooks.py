"""The specification's [sig-api-machinery] AdmissionWebhook behaviours, and webhooks that mean harm."""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.cluster import Cluster, until
from tests.e2e.rest import Rest
from tests.webhook_server import WebhookServer, item, patch, send, send_json, serving

MERGE = "application/merge-patch+json"
BASE = "/apis/admissionregistration.k8s.io/v1"
CONFIGMAPS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
_NUMBERS = itertools.count()
UNIQUE = "kubernetes.io/metadata.name"


class Space:
    """A namespace whose webhooks are about it alone, and a webhook server."""

    def __init__(self, rest: Rest, name: str, server: WebhookServer) -> None:
        self.rest, self.name, self.server = rest, name, server

    def hook(self, path: str, *rules: Any, **fields: Any) -> Any:
        return {
            "name": f"{path.strip('/')}.k8s.io",
            "admissionReviewVersions": ["v1", "v1beta1"],
            "sideEffects": "None",
            "clientConfig": self.server.client_config(path),
            "namespaceSelector": {"matchLabels": {UNIQUE: self.name}},
            "rules": list(rules) or [CONFIGMAPS],
            **fields,
        }

    def register(self, kind: str, *hooks: Any, name: str = "", labels: Any = None) -> str:
        """Make a configuration; gives its path."""
        meta = {"name": name or self.name, "labels": labels or {}}
        self.rest.ok("POST", f"{BASE}/{kind}webhookconfigurations", {"metadata": meta, "webhooks": list(hooks)})
        return f"{BASE}/{kind}webhookconfigurations/{meta['name']}"

    def path(self, plural: str = "configmaps", name: str = "") -> str:
        return f"/api/v1/namespaces/{self.name}/{plural}" + (f"/{name}" if name else "")

    def make(self, name: str, **data: str) -> tuple[int, Any]:
        return self.rest("POST", self.path(), {"metadata": {"name": name}, "data": data})


@pytest.fixture
def space(
    api_only: Cluster, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Space]:
    rest = Rest(api_only.kubeconfig)
    name = f"hook{next(_NUMBERS)}-" + re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40]
    name = name.strip("-")
    rest.ok("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": {"hooks": name}}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    until(lambda: rest("GET", account)[0] == 200, "the account is there")
    with serving(tmp_path_factory.mktemp("hook")) as server:
        yield Space(rest, name, server)
        for kind in ("mutating", "validating"):
            for one in rest.ok("GET", f"{BASE}/{kind}webhookconfigurations")["items"]:
                if one["metadata"]["name"].startswith(name):
                    rest.ok("DELETE", f"{BASE}/{kind}webhookconfigurations/{one['metadata']['name']}")
    rest("DELETE", f"/api/v1/namespaces/{name}")


def deny_offensive(request: Any) -> dict[str, Any]:
    """As the webhook of the specification's tests: what carries a bad key is refused."""
    data = (request["object"] or {}).get("data") or {}
    labels = ((request["object"] or {}).get("metadata") or {}).get("labels") or {}
    if data.get("webhook-e2e-test") == "webhook-disallow" or labels.get("e2e") == "disallow":
        return {"allowed": False, "status": {"message": "the object contains unwanted key or value"}}
    return {}


def adding(key: str) -> Callable[[Any], dict[str, Any]]:
    """A webhook that sets an item."""
    return lambda _: patch(item(key, "yes"))


@pytest.mark.rootless
def test_resources_are_in_discovery(space: Space) -> None:
    """[sig-api-machinery] AdmissionWebhook should include webhook resources in discovery documents"""
    group = space.rest.ok("GET", "/apis/admissionregistration.k8s.io")
    assert {"groupVersion": "admissionregistration.k8s.io/v1", "version": "v1"} in group["versions"]
    names = {one["name"] for one in space.rest.ok("GET", BASE)["resources"]}
    assert {"mutatingwebhookconfigurations", "validatingwebhookconfigurations"} <= names


@pytest.mark.rootless
def test_pods_and_configmaps_are_denied(space: Space) -> None:
    """[sig-api-machinery] AdmissionWebhook should be able to deny pod and configmap creation"""
    space.server.on("/deny", deny_offensive)
    both = {**CONFIGMAPS, "operations": ["CREATE", "UPDATE"], "resources": ["pods", "configmaps"]}
    selector = {"matchExpressions": [{"key": "hooks", "operator": "In", "values": [space.name]}]}
    space.register("validating", space.hook("/deny", both, namespaceSelector=selector))
    bad = {"webhook-e2e-test": "webhook-disallow"}
    status, found = space.make("bad", **bad)
    assert status == 400 and "unwanted key or value" in found["message"]
    pod = {
        "metadata": {"name": "bad", "labels": {"e2e": "disallow"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    status, found = space.rest("POST", space.path("pods"), pod)
    assert status == 400 and 'admission webhook "deny.k8s.io" denied the request' in found["message"]
    # What was made well cannot be made bad later.
    made = space.make("good", fine="yes")[1]
    assert space.rest("PUT", space.path(name="good"), {**made, "data": bad})[0] == 400
    assert space.rest("PATCH", space.path(name="good"), {"data": bad}, Content_Type=MERGE)[0] == 400
    # A namespace that the selector leaves out is free.
    space.rest.ok(
        "PATCH", f"/api/v1/namespaces/{space.name}", {"metadata": {"labels": {"hooks": "no"}}}, Content_Type=MERGE
    )
    assert space.make("exempt", **bad)[0] == 201


@pytest.mark.rootless
def test_a_webhook_that_hangs_denies_by_its_timeout(space: Space) -> None:
    def hang(_handler: Any) -> None:
        space.server.ended.wait(120)

    space.server.raw("/hang", hang)
    space.register("validating", space.hook("/hang", timeoutSeconds=1))
    status, found = space.make("a")
    assert status == 500 and "context deadline exceeded" in found["message"]


@pytest.mark.rootless
@pytest.mark.parametrize(
    ("seconds", "policy", "status"), [(1, "Fail", 500), (1, "Ignore", 201), (10, "Fail", 201), (None, "Fail", 201)]
)
def test_timeouts_are_honored(space: Space, seconds: int | None, policy: str, status: int) -> None:
    """[sig-api-machinery] AdmissionWebhook should honor timeout"""
    space.server.on("/slow", lambda _: {} if not space.server.ended.wait(2) else {})
    fields = {"failurePolicy": policy} | ({"timeoutSeconds": seconds} if seconds else {})
    space.register("validating", space.hook("/slow", **fields))
    assert space.make("a")[0] == status


@pytest.mark.rootless
def test_attaching_is_denied(space: Space) -> None:
    """[sig-api-machinery] AdmissionWebhook should be able to deny attaching pod"""
    space.server.on("/no", lambda _: {"allowed": False, "status": {"message": "attaching to pod 'p' is not allowed"}})
    rule = {**CONFIGMAPS, "operations": ["CONNECT"], "resources": ["pods/attach"]}
    space.register("validating", space.hook("/no", rule))
    space.rest.ok(
        "POST", space.path("pods"), {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    )
    status, found = space.rest("POST", space.path("pods", "p/attach") + "?container=c&stdin=true")
    assert status == 400 and "attaching to pod 'p' is not allowed" in found["message"]
    asked = space.server.asked["/no"][0]
    assert (asked["operation"], asked["subResource"], asked["name"]) == ("CONNECT", "attach", "p")
    assert asked["object"] == {
        "kind": "PodAttachOptions",
        "apiVersion": "v1",
        "stdin": True,
        "stdout": True,
        "stderr": True,
        "container": "c",
    }


@pytest.mark.rootless
def test_creating_a_custom_resource_definition_is_denied(space: Space) -> None:
    """[sig-api-machinery] AdmissionWebhook should deny crd creation"""
    space.server.on("/crd", lambda _: {"allowed": False, "status": {"message": "the crd contains unwanted label"}})
    rule = {
        "apiGroups": ["apiextensions.k8s.io"],
        "apiVersions": ["*"],
        "operations": ["CREATE"],
        "resources": ["customresourcedefinitions"],
    }
    hook = space.hook("/crd", rule, objectSelector={"matchLabels": {"of": space.name}})
    del hook["namespaceSelector"]
    space.register("validating", hook)
    names = {"plural": "denieds", "singular": "denied", "kind": "Denied", "listKind": "DeniedList"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "denieds.hooks.example.com", "labels": {"of": space.name}},
        "spec": {"group": "hooks.example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    status, found = space.rest("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    assert status == 400 and "the crd contains unwanted label" in found["message"]


@pytest.mark.rootless
def test_two_webhooks_mutate_a_configmap_in_order(space: Space) -> None:
    """[sig-api-machinery] AdmissionWebhook should mutate configmap"""

    def stage(needs: str, adds: str) -> Any:
        return lambda request: patch(item(adds, "yes")) if needs in request["object"]["data"] else {}

    space.server.on("/stage1", stage("mutation-start", "mutation-stage-1"))
    space.server.on("/stage2", stage("mutation-stage-1", "mutation-stage-2"))
    space.register("mutating", space.hook("/stage1"), space.hook("/stage2"))
    made = space.make("a", **{"mutation-start": "yes"})[1]
    assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}


@pytest.mark.rootless
def test_a_mutated_pod_gets_defaults(space: Space) -> None:
    """[sig-api-machinery] AdmissionWebhook should mutate pod and apply defaults after mutation"""
    space.server.on(
        "/init",
        lambda _: patch({"op": "add", "path": "/spec/initContainers", "value": [{"image": "i", "name": "webhook"}]}),
    )
    space.register("mutating", space.hook("/init", {**CONFIGMAPS, "resources": ["pods"]}))
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    made = space.rest.ok("POST", space.path("pods"), pod)
    first = made["spec"]["initContainers"][0]
    assert first["terminationMessagePolicy"] == "File" and first["terminationMessagePath"] == "/dev/termination-log"


@pytest.mark.rootless
def test_configurations_cannot_be_kept_from_being_changed_or_deleted(space: Space) -> None:
    """[sig-api-machinery] AdmissionWebhook should not be able to mutate or prevent deletion of webhook configuration
    objects
    """
    space.server.on("/no", lambda _: {"allowed": False, "status": {"message": "not these"}})
    space.server.on("/mark", lambda _: patch({"op": "add", "path": "/metadata/labels", "value": {"mine": "yes"}}))
    rule = {
        "apiGroups": ["admissionregistration.k8s.io"],
        "apiVersions": ["*"],
        "operations": ["*"],
        "resources": ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"],
    }
    for kind, path in (("validating", "/no"), ("mutating", "/mark")):
        hook = space.hook(path, rule)
        del hook["namespaceSelector"]
        space.register(kind, hook, name=f"{space.name}-all")
    for kind in ("validating", "mutating"):
        path = space.register(kind, space.hook("/absent", failurePolicy="Ignore"), name=f"{space.name}-dummy")
        assert "mine" not in (space.rest.ok("GET", path)["metadata"].get("labels") or {})
        space.rest.ok("DELETE", path)


@pytest.mark.rootless
@pytest.mark.parametrize("kind", ["validating", "mutating"])
def test_updating_and_patching_a_configuration_takes_effect_at_once(space: Space, kind: str) -> None:
    """[sig-api-machinery] AdmissionWebhook patching/updating a validating webhook should work
    [sig-api-machinery] AdmissionWebhook patching/updating a mutating webhook should work
    """
    space.server.on("/act", deny_offensive if kind == "validating" else lambda _: patch(item("mutated", "yes")))
    path = space.register(kind, space.hook("/act"))
    number = iter(range(100))

    def acts() -> bool:
        status, found = space.make(f"a{next(number)}", **{"webhook-e2e-test": "webhook-disallow"})
        return status == 400 if kind == "validating" else "mutated" in found["data"]

    assert acts()
    stored = space.rest.ok("GET", path)
    stored["webhooks"][0]["rules"][0]["operations"] = ["UPDATE"]
    space.rest.ok("PUT", path, stored)
    assert not acts()
    operations = [{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}]
    space.rest.ok("PATCH", path, operations, Content_Type="application/json-patch+json")
    assert acts()


@pytest.mark.rootless
@pytest.mark.parametrize("kind", ["validating", "mutating"])
def test_ten_configurations_are_listed_and_deleted_together(space: Space, kind: str) -> None:
    """[sig-api-machinery] AdmissionWebhook listing validating webhooks should work
    [sig-api-machinery] AdmissionWebhook listing mutating webhooks should work
    """
    space.server.on("/act", deny_offensive)
    for number in range(10):
        if kind == "mutating":
            space.server.on(f"/act{number}", adding(f"k{number}"))
        path = "/act" if kind == "validating" else f"/act{number}"
        space.register(kind, space.hook(path), name=f"{space.name}-{number}", labels={"all": space.name})
    bad = {"webhook-e2e-test": "webhook-disallow"}
    listed = f"{BASE}/{kind}webhookconfigurations?labelSelector=all%3D{space.name}"
    assert len(space.rest.ok("GET", listed)["items"]) == 10
    status, found = space.make("a", **bad)
    assert status == 400 if kind == "validating" else len(found["data"]) == 11
    space.rest.ok("DELETE", listed)
    status, found = space.make("b", **bad)
    assert (status, found["data"]) == (201, bad)


@pytest.mark.rootless
@pytest.mark.parametrize("kind", ["validating", "mutating"])
def test_match_conditions_that_make_no_sense_are_refused(space: Space, kind: str) -> None:
    """[sig-api-machinery] AdmissionWebhook should reject validating webhook configurations with invalid match
    conditions
    [sig-api-machinery] AdmissionWebhook should reject mutating webhook configurations with invalid match conditions
    """
    bad = [{"name": "bad", "expression": "... [] bad expression"}]
    hook = space.hook("/act", matchConditions=bad)
    status, found = space.rest(
        "POST", f"{BASE}/{kind}webhookconfigurations", {"metadata": {"name": space.name}, "webhooks": [hook]}
    )
    assert status == 422 and "compilation failed" in found["message"]


@pytest.mark.rootless
@pytest.mark.parametrize("kind", ["validating", "mutating"])
def test_match_conditions_are_kept_and_changed(space: Space, kind: str) -> None:
    """[sig-api-machinery] AdmissionWebhook should be able to create and update validating webhook configurations with
    match conditions
    [sig-api-machinery] AdmissionWebhook should be able to create and update mutating webhook configurations with
    match conditions
    """
    first = [{"name": "first", "expression": "request.namespace == 'x'"}]
    path = space.register(kind, space.hook("/act", failurePolicy="Ignore", matchConditions=first))
    stored = space.rest.ok("GET", path)
    assert stored["webhooks"][0]["matchConditions"] == first
    second = [{"name": "second", "expression": "object.metadata.name == 'a'"}]
    stored["webhooks"][0]["matchConditions"] = second
    space.rest.ok("PUT", path, stored)
    assert space.rest.ok("GET", path)["webhooks"][0]["matchConditions"] == second


@pytest.mark.rootless
def test_everything_but_skip_me_is_mutated(space: Space) -> None:
    """[sig-api-machinery] AdmissionWebhook should mutate everything except 'skip-me' configmaps"""
    space.server.on("/mark", adding("marked"))
    condition = [{"name": "skip-me", "expression": "object.metadata.name != 'skip-me'"}]
    space.register("mutating", space.hook("/mark", matchConditions=condition))
    assert space.make("skip-me", k="v")[1]["data"] == {"k": "v"}
    assert space.make("other", k="v")[1]["data"] == {"k": "v", "marked": "yes"}


@pytest.mark.rootless
def test_what_fails_closed_refuses_everything(space: Space) -> None:
    """[sig-api-machinery] AdmissionWebhook should unconditionally reject operations on fail closed webhook"""
    unreachable = {"service": {"name": "absent", "namespace": space.name}}
    space.register("validating", space.hook("/closed", clientConfig=unreachable, failurePolicy="Fail"))
    status, found = space.make("a")
    assert (status, found["reason"]) == (500, "InternalError")
    assert 'failed calling webhook "closed.k8s.io"' in found["message"]


class Customs:
    """A kind of custom resources in a namespace."""

    def __init__(self, space: Space, versions: list[Any]) -> None:
        self.rest = space.rest
        self.group = f"{space.name.partition('-')[0]}.hooks.example.com"
        names = {"plural": "gears", "singular": "gear", "kind": "Gear", "listKind": "GearList"}
        self.definition = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gears.{self.group}"
        crd = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"gears.{self.group}"},
            "spec": {"group": self.group, "scope": "Namespaced", "names": names, "versions": versions},
        }
        self.rest.ok("POST", self.definition.rpartition("/")[0], crd)
        self.space = space
        until(lambda: self.rest("GET", self.path())[0] == 200, "the kind is served")

    def path(self, name: str = "", version: str = "v1") -> str:
        base = f"/apis/{self.group}/{version}/namespaces/{self.space.name}/gears"
        return f"{base}/{name}" if name else base

    def rule(self, *operations: str, version: str = "v1") -> Any:
        return {
            "apiGroups": [self.group],
            "apiVersions": [version],
            "operations": list(operations),
            "resources": ["gears"],
        }

    def obj(self, name: str, version: str = "v1", **data: str) -> Any:
        head = {"apiVersion": f"{self.group}/{version}", "kind": "Gear"}
        return {**head, "metadata": {"name": name}, "data": data}


def version_of(name: str, *fields: str, stored: bool = True) -> Any:
    """A version of a kind whose `data` has these fields; without any it keeps all."""
    if fields:
        data: Any = {"type": "object", "properties": {field: {"type": "string"} for field in fields}}
        schema: Any = {"type": "object", "properties": {"data": data}}
    else:
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {"name": name, "served": True, "storage": stored, "schema": {"openAPIV3Schema": schema}}


@pytest.fixture
def customs(space: Space, request: pytest.FixtureRequest) -> Iterator[Customs]:
    made = Customs(space, getattr(request, "param", [version_of("v1")]))
    yield made
    made.rest("DELETE", made.definition)


@pytest.mark.rootless
def test_custom_resources_are_denied(space: Space, customs: Customs) -> None:
    """[sig-api-machinery] AdmissionWebhook should be able to deny custom resource creation, update and deletion"""
    rest = space.rest
    space.server.on("/deny", lambda request: {"allowed": (request["object"] or {}).get("data") == {"ok": "yes"}})
    path = space.register("validating", space.hook("/deny", customs.rule("CREATE", "UPDATE", "DELETE")))
    status, found = rest("POST", customs.path(), customs.obj("bad"))
    assert status == 400 and 'admission webhook "deny.k8s.io" denied the request' in found["message"]
    made = rest.ok("POST", customs.path(), customs.obj("good", ok="yes"))
    assert rest("PUT", customs.path("good"), {**made, "data": {"ok": "no"}})[0] == 400
    assert rest("DELETE", customs.path("good"))[0] == 400
    assert space.server.asked["/deny"][-1]["oldObject"]["data"] == {"ok": "yes"}
    rest.ok("DELETE", path)
    rest.ok("DELETE", customs.path("good"))


@pytest.mark.rootless
@pytest.mark.parametrize(
    ("customs", "kept"),
    [
        ([version_of("v1")], {"start": "yes", "one": "yes", "two": "yes"}),
        ([version_of("v1", "start", "one")], {"start": "yes", "one": "yes"}),
    ],
    indirect=["customs"],
)
def test_custom_resources_are_mutated_and_pruned(space: Space, customs: Customs, kept: Any) -> None:
    """[sig-api-machinery] AdmissionWebhook should mutate custom resource
    [sig-api-machinery] AdmissionWebhook should mutate custom resource with pruning
    """
    for number, key in enumerate(("one", "two")):
        space.server.on(f"/add{number}", adding(key))
    rule = customs.rule("CREATE")
    space.register("mutating", space.hook("/add0", rule), space.hook("/add1", rule))
    assert space.rest.ok("POST", customs.path(), customs.obj("a", start="yes"))["data"] == kept
    assert space.rest.ok("GET", customs.path("a"))["data"] == kept


@pytest.mark.rootless
@pytest.mark.parametrize("customs", [[version_of("v1"), version_of("v2", stored=False)]], indirect=True)
def test_custom_resources_of_another_stored_version_are_mutated(space: Space, customs: Customs) -> None:
    """[sig-api-machinery] AdmissionWebhook should mutate custom resource with different stored version"""
    rest = space.rest
    space.server.on("/add", adding("added"))
    rule = customs.rule("CREATE", "UPDATE")
    space.register("mutating", space.hook("/add", rule, matchPolicy="Equivalent"))
    assert rest.ok("POST", customs.path(), customs.obj("a", k="v"))["data"] == {"k": "v", "added": "yes"}
    versions = [version_of("v1", stored=False), version_of("v2")]
    rest.ok("PATCH", customs.definition, {"spec": {"versions": versions}}, Content_Type=MERGE)
    patched = {"data": {"new": "value"}}
    until(lambda: rest("GET", customs.path("a", "v2"))[0] == 200, "the other version is served")
    found = rest.ok("PATCH", customs.path("a", "v2"), patched, Content_Type=MERGE)
    assert found["data"] == {"k": "v", "added": "yes", "new": "value"}
    asked = space.server.asked["/add"][-1]
    # The rule names v1: it is shown as that, whatever was asked for and is stored.
    assert (asked["requestKind"]["version"], asked["kind"]["version"]) == ("v2", "v1")
    assert asked["object"]["apiVersion"] == f"{customs.group}/v1"


@pytest.mark.rootless
def test_hostile_webhooks_harm_their_requests_alone(space: Space) -> None:
    def flood(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 30))
        handler.end_headers()
        for _ in range(1 << 10):
            handler.wfile.write(b"{" * (1 << 20))

    def lead_away(handler: Any) -> None:
        handler.send_response(302)
        handler.send_header("Location", space.server.client_config("/yes")["url"])
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    space.server.on("/yes", lambda _: {})
    answers = {
        "flood": flood,
        "away": lead_away,
        "garbage": lambda handler: send(handler, b"\x00\xff garbage"),
        "deep": lambda handler: send(handler, b"[" * 100_000, media="application/json"),
        "liar": lambda handler: send_json(handler, {"kind": "Pod", "apiVersion": "v1", "response": {"allowed": True}}),
    }
    for name, answer in answers.items():
        space.server.raw(f"/{name}", answer)
        path = space.register("validating", space.hook(f"/{name}", timeoutSeconds=5))
        status, found = space.make("a")
        assert (status, found["reason"]) == (500, "InternalError"), (name, found)
        assert f'failed calling webhook "{name}.k8s.io"' in found["message"]
        space.rest.ok("DELETE", path)
    assert space.make("a")[0] == 201


_SERVER = """
import base64, http.server, json, ssl
class Hook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        patch = [{"op": "add", "path": "/data/seen-by", "value": self.headers["Host"]}]
        review["response"] = {"uid": review["request"]["uid"], "allowed": True, "patchType": "JSONPatch",
                              "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
        body = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain("/hook/tls.crt", "/hook/tls.key")
server = http.server.ThreadingHTTPServer(("", 8443), Hook)
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def test_a_webhook_behind_a_service_is_reached(cluster: Cluster, ns: str, tmp_path: Path) -> None:
    server = WebhookServer(tmp_path, f"hook.{ns}.svc")
    server.close()
    files = {
        "tls.crt": (tmp_path / "webhook.crt").read_text(),
        "tls.key": (tmp_path / "webhook.key").read_text(),
        "hook.py": _SERVER,
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "hook", "labels": {"app": "hook"}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "hook",
                    "image": "python",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python3", "/hook/hook.py"],
                    "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
                    "volumeMounts": [{"name": "hook", "mountPath": "/hook"}],
                }
            ],
            "volumes": [{"name": "hook", "secret": {"secretName": "hook"}}],
        },
    }
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hook"}, "stringData": files}
    ports = [{"port": 443, "targetPort": 8443}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "hook"},
        "spec": {"selector": {"app": "hook"}, "ports": ports},
    }
    for one in (secret, pod, service):
        cluster.apply(json.dumps(one), ns)
    cluster.kubectl("wait", "pod/hook", "-n", ns, "--for=condition=Ready", "--timeout=180s")
    rest = Rest(cluster.kubeconfig)
    hook = {
        "name": "service.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {
            "service": {"name": "hook", "namespace": ns, "path": "/mutate"},
            "caBundle": base64.b64encode(server.authority.certificate).decode(),
        },
        "namespaceSelector": {"matchLabels": {UNIQUE: ns}},
        "rules": [CONFIGMAPS],
    }
    path = f"{BASE}/mutatingwebhookconfigurations"
    rest.ok("POST", path, {"metadata": {"name": ns}, "webhooks": [hook]})
    try:
        made = f"/api/v1/namespaces/{ns}/configmaps"

        def seen() -> Any:
            status, found = rest("POST", made, {"metadata": {"generateName": "c-"}, "data": {"k": "v"}})
            return status == 201 and found["data"]

        found = until(seen, "the Service has its endpoint")
        assert found == {"k": "v", "seen-by": f"hook.{ns}.svc:443"}
    finally:
        rest.ok("DELETE", f"{path}/{ns}")
