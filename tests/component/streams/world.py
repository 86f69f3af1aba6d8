"""A kubelet's API over TLS with a runtime of plain processes, and an API server that has the connectors alone."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import orjson
import uvloop

from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver import request_info
from knarr.apiserver.connect import connectors
from knarr.apiserver.connect.connectors import Connector
from knarr.client.client import Client
from knarr.client.transport import Answer
from knarr.component_base import http_client
from knarr.component_base.certificates import Authority, KeyPair, Leaf, new_authority
from knarr.component_base.clock import RealClock
from knarr.component_base.http import Request, Response
from knarr.component_base.http_client import Address, Connection
from knarr.component_base.http_server import Handler, HttpServer
from knarr.cri.fake import FakeRuntime
from knarr.cri.runtime import RuntimeService
from knarr.kubelet.cgroups import Cgroups
from knarr.kubelet.machine import Machine
from knarr.kubelet.metrics import KubeletMetrics, PodMetrics, RuntimeMetrics
from knarr.kubelet.node_config import NodeConfig
from knarr.kubelet.node_facts import read_facts
from knarr.kubelet.server.routes import KubeletServer, ServingFiles

NODE = "streams-node"


def pod(name: str = "p", **status: object) -> Object:
    """A running pod with one container `c`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
        "spec": {"nodeName": NODE, "containers": [{"name": "c", "image": "i"}]},
        "status": {
            "phase": "Running",
            "podIP": "10.42.0.9",
            "podIPs": [{"ip": "10.42.0.9"}],
            "containerStatuses": [{"name": "c", "containerID": "fake://c1", "state": {"running": {}}}],
            **status,
        },
    }


class View:
    """The kubelet behind the API."""

    def __init__(self, runtime: RuntimeService) -> None:
        self.node_name = NODE
        self.runtime = runtime
        self.known: dict[tuple[str, str], Object] = {}
        self.trouble = ""

    def pod(self, namespace: str, name: str) -> Object | None:
        return self.known.get((namespace, name))

    def pods(self) -> Sequence[Object]:
        return list(self.known.values())

    def configuration(self) -> Object:
        return {"kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1"}

    def unhealthy(self) -> str:
        return self.trouble


class Reviews:
    """A transport to an API server that knows the token `good`, and lets it do what `allowed` lists."""

    def __init__(self) -> None:
        self.allowed = {("kube-apiserver", "proxy"), ("kube-apiserver", "pods"), ("reader", "metrics")}
        self.asked: list[Object] = []
        self.down = False

    async def request(self, method: str, path: str, query: object, body: bytes = b"", content_type: str = "") -> Answer:
        if self.down:
            raise ConnectionError("down")
        review = orjson.loads(body)
        self.asked.append(review)
        spec = review["spec"]
        if review["kind"] == "TokenReview":
            known = spec["token"] == "good"
            status: Object = {"authenticated": known, "user": {"username": "reader"} if known else {}}
        else:
            status = {"allowed": (spec["user"], spec["resourceAttributes"]["subresource"]) in self.allowed}
        return Answer(201, {}, orjson.dumps({**review, "status": status}))

    def watch(self, path: str, query: object) -> AsyncIterator[bytes]:
        raise NotImplementedError

    async def close(self) -> None:
        return None


@dataclass
class Objects:
    """The cache that connectors read."""

    known: dict[tuple[str, str, str], Object] = field(default_factory=dict)

    def put(self, plural: str, obj: Object) -> None:
        meta = obj["metadata"]
        self.known[plural, meta.get("namespace", ""), meta["name"]] = obj

    def get(self, resource: str, group: str, namespace: str, name: str) -> Object | None:
        return self.known.get((resource, namespace, name))

    def list(self, resource: str, group: str, namespace: str = "") -> Iterable[Object]:
        return [obj for (plural, where, _), obj in self.known.items() if plural == resource and where == namespace]


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a test on the event loop that servers and agents use."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


R = TypeVar("R", bound=RuntimeService)


@dataclass
class World(Generic[R]):
    """What a test works with."""

    objects: Objects
    view: View
    runtime: R
    reviews: Reviews
    api: Address
    kubelet: Address
    kubeconfig: Path
    authority: Authority
    #: Where connections to an address lead instead.
    detours: dict[str, tuple[str, int]]

    def add(self, one: Object) -> None:
        self.objects.put("pods", one)
        self.view.known[one["metadata"]["namespace"], one["metadata"]["name"]] = one


def files(directory: Path, name: str, pair: KeyPair) -> tuple[Path, Path]:
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    return certificate, key


def client_tls(directory: Path, authority: Authority, name: str, groups: tuple[str, ...] = ()) -> ssl.SSLContext:
    """TLS of a client with a certificate of the cluster's authority; of one without when `name` is empty."""
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    if name:
        pair = authority.issue(Leaf(name, groups, client=True), RealClock().now())
        context.load_cert_chain(*files(directory, name, pair))
    return context


def machine(directory: Path) -> Machine:
    """The figures of this machine; images of a runtime that has none."""
    node = NodeConfig(NODE, directory / "kubelet", directory / "logs", ("127.0.0.1",))
    node.root.mkdir()
    cgroups = Cgroups("streams", RealClock(), directory / "cgroup")
    return Machine(node, read_facts(directory), cgroups, FakeRuntime(RealClock(), []))


@asynccontextmanager
async def world(directory: Path, runtime: R) -> AsyncIterator[World[R]]:
    """Kubelet and API server over a runtime, running."""
    now = RealClock().now()
    authority = Authority(*new_authority("streams", now))
    (directory / "ca.crt").write_bytes(authority.certificate)
    leaf = Leaf("node", ips=("127.0.0.1",), server=True)
    serving = files(directory, "serving", authority.issue(leaf, now))
    reviews, objects = Reviews(), Objects()
    view = View(runtime)
    detours: dict[str, tuple[str, int]] = {}

    async def connect(address: Address) -> Connection:
        host, port = detours.get(address.authority, (address.host, address.port))
        return await http_client.connect(Address(host, port, address.tls))

    kubelet = KubeletServer(
        view,
        Client(reviews),
        RealClock(),
        KubeletMetrics(NODE, view.pods, RuntimeMetrics(), PodMetrics()),
        machine(directory),
    )
    kubelet_http = kubelet.http(ServingFiles(*serving, directory / "ca.crt").context())
    port = await kubelet_http.listen("127.0.0.1", 0)
    tls = client_tls(directory, authority, "kube-apiserver", ("system:masters",))
    handlers = connectors.build(objects, tls, connect)
    api_tls = ServingFiles(*serving, directory / "ca.crt").context()
    api = HttpServer(_api(objects, handlers), api_tls, streams_body=connectors.streams_body)
    api_port = await api.listen("127.0.0.1", 0)
    objects.put("nodes", _node(port))
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_bytes(orjson.dumps(_kubeconfig(api_port, directory / "ca.crt")))
    anyone = client_tls(directory, authority, "")
    try:
        yield World(
            objects,
            view,
            runtime,
            reviews,
            Address("127.0.0.1", api_port, anyone),
            Address("127.0.0.1", port, anyone),
            kubeconfig,
            authority,
            detours,
        )
    finally:
        await api.close()
        await kubelet_http.close()


def _node(port: int) -> Object:
    return {
        "metadata": {"name": NODE},
        "status": {
            "addresses": [{"type": "Hostname", "address": NODE}, {"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        },
    }


def _kubeconfig(port: int, authority: Path) -> Object:
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(authority)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }


_VERBS = ["create", "get", "list"]
_DISCOVERY: dict[str, Object] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.2"},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": _VERBS},
            {"name": "nodes", "singularName": "node", "namespaced": False, "kind": "Node", "verbs": _VERBS},
        ],
    },
}


def _api(objects: Objects, handlers: Mapping[tuple[str, str], Connector]) -> Handler:
    """A handler with discovery for kubectl, reads of pods, and the connectors."""

    async def handle(request: Request) -> Response:
        if request.path in _DISCOVERY:
            return Response(200, orjson.dumps(_DISCOVERY[request.path]))
        info = request_info.of(request.method, request.path, request.query)
        request.info = info
        try:
            if not info.subresource:
                found = objects.get(info.resource, "", info.namespace, info.name)
                return Response(200 if found else 404, orjson.dumps(found or {}))
            return await handlers[info.resource, info.subresource](request)
        except StatusError as error:
            return Response(error.code, orjson.dumps(error.status()))

    return handle
