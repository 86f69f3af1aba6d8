"""Another API server behind this one: its availability, what goes through to it, what discovery says of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest
from tests.component.apiserver.world import NAMESPACE, World, eventually, running
from tests.extension_api import BASE, GROUP, VERSION, ExtensionApi, serving
from tests.webhook_server import send, send_json

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.apiserver import loopback
from knarr.apiserver.request import Request
from knarr.client.client import Client
from knarr.component_base import certificates
from knarr.component_base.certificates import Authority, Leaf
from knarr.component_base.clock import RealClock

FLUNDERS = Resource(GROUP, VERSION, "flunders", "Flunder", namespaced=True)
NAME = f"{VERSION}.{GROUP}"
_PATIENCE = 90.0


class Setting:
    """A server, an administrator, another API server and who vouches for it."""

    def __init__(self, world: World, other: ExtensionApi, authority: Authority) -> None:
        self.world, self.other = world, other
        self.client = world.client()
        self.bundle = base64.b64encode(authority.certificate).decode()

    async def register(self, **spec: object) -> None:
        """The APIService, and a Service that leads to loopback: as ExternalName, for endpoints may not lie there."""
        service = {"type": "ExternalName", "externalName": "localhost"}
        await self.client.create(registry.SERVICES, {"metadata": {"name": "wardle"}, "spec": service}, NAMESPACE)
        port = self.other.server_address[1]
        whole = {
            "group": GROUP,
            "version": VERSION,
            "groupPriorityMinimum": 16650,
            "versionPriority": 10,
            "service": {"namespace": NAMESPACE, "name": "wardle", "port": port},
            "caBundle": self.bundle,
            **spec,
        }
        await self.client.create(registry.APISERVICES, {"metadata": {"name": NAME}, "spec": whole})

    async def condition(self, reason: str) -> Object:
        async with asyncio.timeout(_PATIENCE):
            while True:
                found = await self.client.get(registry.APISERVICES, NAME)
                conditions = (found.get("status") or {}).get("conditions") or [{}]
                if conditions[0].get("reason") == reason:
                    return dict(conditions[0])
                await asyncio.sleep(0.01)

    async def raw(self, path: str, accept: str) -> Object:
        """A document, asked for as the server itself would be by a client of its own."""
        request = Request("GET", path, {}, {"accept": accept}, trusted=loopback.LOOPBACK)
        response = await self.world.api.handler(request)
        assert isinstance(response.body, bytes)
        found: Object = orjson.loads(response.body)
        return found

    async def get(self, path: str, client: Client | None = None) -> tuple[int, bytes]:
        answer = await (client or self.client).transport.request("GET", path, {})
        return answer.status, answer.body


def run(tmp_path: Path, test: Callable[[Setting], Awaitable[None]], name: str = f"wardle.{NAMESPACE}.svc") -> None:
    now = RealClock().now()
    proxies = Authority.load_or_create(tmp_path, "front-proxy-ca", now)
    client = certificates.leaf_files(
        proxies, tmp_path, "front-proxy-client", Leaf("front-proxy-client", client=True), now
    )
    authority = Authority.load_or_create(tmp_path, "wardle-ca", now)
    leaf = Leaf("wardle", dns=(name,), server=True)
    files = certificates.leaf_files(authority, tmp_path, "wardle", leaf, now)

    async def main() -> None:
        async with running(tmp_path, identify_proxy=lambda tls: tls.load_cert_chain(*client)) as world:
            await test(Setting(world, other, authority))

    with serving(str(files[0]), str(files[1]), proxies.certificate.decode()) as other:
        asyncio.run(main())


def test_objects_live_in_the_other_server_and_watches_stream(tmp_path: Path) -> None:
    async def test(at: Setting) -> None:
        await at.register()
        assert (await at.condition("Passed"))["message"] == "all checks passed"
        seen: list[tuple[str, str]] = []

        async def watch() -> None:
            async with contextlib.aclosing(at.client.watch(FLUNDERS, NAMESPACE)) as events:
                async for event in events:
                    seen.append((event.type, event.object["metadata"]["name"]))
                    if len(seen) == 3:
                        return

        watching = asyncio.ensure_future(watch())
        await eventually(lambda: bool(at.other.flunders.watchers))
        made = await at.client.create(FLUNDERS, {"metadata": {"name": "a"}, "spec": {"x": 1}}, NAMESPACE)
        await at.client.update(FLUNDERS, {**made, "spec": {"x": 2}})
        assert (await at.client.get(FLUNDERS, "a", NAMESPACE))["spec"] == {"x": 2}
        assert len((await at.client.list(FLUNDERS, NAMESPACE))["items"]) == 1
        await at.client.delete(FLUNDERS, "a", NAMESPACE)
        await asyncio.wait_for(watching, _PATIENCE)
        assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
        status, body = await at.get(FLUNDERS.path(NAMESPACE, "a"))
        assert status == 404 and b'flunders \\"a\\" not found' in body

    run(tmp_path, test)


def test_the_user_is_named_and_authorized_here(tmp_path: Path) -> None:
    async def test(at: Setting) -> None:
        await at.register()
        await at.condition("Passed")
        status, body = await at.get(f"{BASE}/whoami")
        assert status == 200
        assert b'"X-Remote-User": ["admin"]' in body and b'"system:masters"' in body
        assert b'"Authorization": null' in body
        # Who may not here does not get there.
        status, _ = await at.get(f"{BASE}/whoami", at.world.client("nobody", "some"))
        assert status == 403

    run(tmp_path, test)


def test_a_server_of_another_name_is_not_trusted_unless_told(tmp_path: Path) -> None:
    async def test(at: Setting) -> None:
        await at.register()
        condition = await at.condition("FailedDiscoveryCheck")
        assert "x509: certificate is not valid for" in condition["message"]
        assert await at.get(f"{BASE}/whoami") == (503, b"service unavailable\n")
        found = await at.client.get(registry.APISERVICES, NAME)
        found["spec"].pop("caBundle")
        found["spec"]["insecureSkipTLSVerify"] = True
        await at.client.update(registry.APISERVICES, found)
        await at.condition("Passed")
        assert (await at.get(f"{BASE}/whoami"))[0] == 200

    run(tmp_path, test, name="other.example.com")


def test_discovery_and_the_end_of_it(tmp_path: Path) -> None:
    async def test(at: Setting) -> None:
        before = (await at.client.transport.request("GET", "/apis", {})).body
        await at.register()
        await at.condition("Passed")
        groups = (await at.client._call("GET", "/apis"))["groups"]
        names = [one["name"] for one in groups]
        # By its priority, between scheduling.k8s.io (16600) and those above.
        assert names.index("apiextensions.k8s.io") < names.index(GROUP) < names.index("scheduling.k8s.io")
        group = await at.client._call("GET", f"/apis/{GROUP}")
        assert group["preferredVersion"] == {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
        listed = await at.client._call("GET", BASE)
        assert [one["name"] for one in listed["resources"]] == ["flunders", "flunders/echo"]
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        whole = await at.raw("/apis", accept)
        version = next(one for one in whole["items"] if one["metadata"]["name"] == GROUP)["versions"][0]
        assert (version["version"], version["freshness"]) == (VERSION, "Current")
        flunders = version["resources"][0]
        assert flunders["responseKind"] == {"group": GROUP, "version": VERSION, "kind": "Flunder"}
        assert (flunders["scope"], flunders["shortNames"]) == ("Namespaced", ["fl"])
        assert [one["subresource"] for one in flunders["subresources"]] == ["echo"]
        await at.client.delete(registry.APISERVICES, NAME)
        assert (await at.client.transport.request("GET", "/apis", {})).body == before
        assert (await at.get(BASE))[0] == 404

    run(tmp_path, test)


def test_openapi_has_the_part_of_the_other_server(tmp_path: Path) -> None:
    async def test(at: Setting) -> None:
        await at.register()
        await at.condition("Passed")
        name = "com.example.wardle.v1alpha1.Flunder"
        paths = (await at.client._call("GET", "/openapi/v3"))["paths"]
        assert paths[BASE[1:]] == {"serverRelativeURL": f"/openapi/v3{BASE}?hash=ABC"}
        assert list(paths) == sorted(paths)
        document = await at.client._call("GET", f"/openapi/v3{BASE}")
        assert list(document["components"]["schemas"]) == [name]
        whole = await at.client._call("GET", "/openapi/v2")
        assert f"{BASE}/flunders" in whole["paths"] and "/api/v1/pods" not in document["paths"]
        # Only what is of the group-version is taken over, with the types it needs.
        assert "wardleHealth" not in str(whole["paths"].get("/healthz"))
        assert name in whole["definitions"] and name.replace("Flunder", "Unused") not in whole["definitions"]

    run(tmp_path, test)


def test_upgraded_connections_are_joined(tmp_path: Path) -> None:
    async def test(at: Setting) -> None:
        await at.register()
        await at.condition("Passed")
        context = ssl.create_default_context(cadata=at.world.authority.certificate.decode())
        pair = at.world.authority.issue(Leaf("admin", ("system:masters",), client=True), RealClock().now())
        (tmp_path / "admin.pem").write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(tmp_path / "admin.pem")
        port = urlsplit(at.world.url).port
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        path = FLUNDERS.path(NAMESPACE, "a", "echo")
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
        assert head.startswith(b"HTTP/1.1 101")
        writer.write(b"hello")
        assert await asyncio.wait_for(reader.readexactly(11), _PATIENCE) == b"admin:hello"
        writer.close()

    run(tmp_path, test)


def test_a_server_that_goes_away_becomes_unavailable_and_comes_back(tmp_path: Path) -> None:
    async def test(at: Setting) -> None:
        await at.register()
        await at.condition("Passed")
        service = await at.client.get(registry.SERVICES, "wardle", NAMESPACE)
        await at.client.delete(registry.SERVICES, "wardle", NAMESPACE)
        await at.condition("ServiceNotFound")
        text = at.world.api.ctx.metrics.registry.text().decode()
        assert f'aggregator_unavailable_apiservice{{name="{NAME}"}} 1' in text
        assert f'aggregator_unavailable_apiservice_total{{name="{NAME}",reason="ServiceNotFound"}} 1' in text
        assert await at.get(f"{BASE}/whoami") == (503, b"service unavailable\n")
        service["metadata"] = {"name": "wardle"}
        await at.client.create(registry.SERVICES, service, NAMESPACE)
        await at.condition("Passed")
        assert (await at.get(f"{BASE}/whoami"))[0] == 200

    run(tmp_path, test)


def _flood(handler: BaseHTTPRequestHandler) -> None:
    """A gigabyte, as long as somebody takes it."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(1 << 30))
    handler.end_headers()
    for _ in range(1 << 10):
        handler.wfile.write(b" " * (1 << 20))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda handler: send(handler, b"\xff garbage"), "Passed"),
        (lambda handler: send_json(handler, {"resources": [5, {"name": []}, {"name": "x", "verbs": "y"}]}), "Passed"),
        (lambda handler: send_json(handler, {"paths": 5, "definitions": []}), "Passed"),
        (lambda handler: send(handler, b"", 302), "FailedDiscoveryCheck"),
        (lambda handler: send(handler, b"oh", 500), "FailedDiscoveryCheck"),
        (_flood, "Passed"),
    ],
)
def test_a_hostile_server_harms_nobody_else(
    tmp_path: Path, answer: Callable[[BaseHTTPRequestHandler], None], reason: str
) -> None:
    async def test(at: Setting) -> None:
        at.other.hostile = answer
        await at.register()
        await at.condition(reason)
        groups = (await at.client._call("GET", "/apis"))["groups"]
        assert GROUP in {one["name"] for one in groups}
        await at.raw("/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
        assert (await at.client._call("GET", "/openapi/v2"))["paths"]["/api/v1/namespaces/{namespace}/pods"]
        await at.client.create(registry.CONFIGMAPS, {"metadata": {"name": "a"}}, NAMESPACE)

    run(tmp_path, test)
