"""`knarr agent`: a node — containerd, pod network, kubelet and its API, kube-proxy, DNS — in one process."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from knarr.cmd.node_paths import NodePaths
from knarr.cmd.rotation import Rotation
from knarr.component_base import logs
from knarr.component_base.clock import RealClock
from knarr.component_base.tasks import Tasks

if TYPE_CHECKING:
    from knarr.apimachinery.types import Object
    from knarr.client.client import Client
    from knarr.client.metrics import ClientMetrics
    from knarr.cmd.pod_network import Network
    from knarr.component_base.http_server import HttpServer
    from knarr.controller_runtime.informers import Informers
    from knarr.cri.containerd import CriRuntime
    from knarr.dns.run import DnsServer
    from knarr.kubelet.run import Kubelet

_log = logs.get("agent")
_KUBELET_PORT = 10250
#: The parts, in the order in which they are needed; see `_preload`.
_PARTS = (
    "knarr.client.http",
    "knarr.kubelet.pods",
    "knarr.kubelet.run",
    "knarr.cmd.pod_network",
    "pyroute2",
    "knarr.proxy.run",
    "knarr.dns.run",
    "knarr.kubelet.server.routes",
)
#: Seconds between looks for what the server writes at its start.
_PAUSE = 0.02
#: Seconds after which somebody should know what is being waited for.
_PATIENCE = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `knarr agent`."""
    parser.add_argument("--data-dir", type=Path, default=Path("/var/lib/knarr"), help="where everything is kept")
    parser.add_argument("--name", default="", help="name of the node (default: the host's)")
    parser.add_argument("--node-ip", default="", help="address of the node")
    parser.add_argument("--kubeconfig", type=Path, help="the node's credentials (default: agent/kubeconfig)")
    parser.add_argument("--dns-address", default="", help="address of the cluster's DNS, answered by this node")
    parser.add_argument("--cluster-domain", default="cluster.local", help="domain of the cluster's names")
    parser.add_argument("--cluster-cidr", default="10.42.0.0/16", help="addresses of pods")
    parser.add_argument("--service-cidr", default="10.43.0.0/16", help="addresses of Services")
    parser.add_argument("--container-runtime-endpoint", default="", help="a CRI socket (default: an own containerd)")
    parser.add_argument("--node-labels", default="", help="labels to register with: key=value,…")
    parser.add_argument("--register-with-taints", default="", help="taints to register with: key=value:effect,…")
    parser.add_argument("--max-pods", type=int, default=110, help="most pods on this node")
    parser.add_argument("--log-level", default="INFO", help="least level that is logged")


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; gives the exit code. Pods keep running."""
    logs.configure(arguments.log_level)
    if os.geteuid() != 0:
        print("knarr agent: a node needs root", file=sys.stderr)
        return 1
    # Not uvloop: netlink sockets need the standard library's loop, and a node has little traffic of its own.
    return asyncio.run(_serve(arguments))


async def _serve(arguments: argparse.Namespace) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    agent = Agent(arguments)
    starting = asyncio.ensure_future(agent.start())
    stopped = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await stopped
        _log.info("stopping")
    finally:
        for task in (starting, stopped):
            task.cancel()
        await asyncio.gather(starting, stopped, return_exceptions=True)
        await agent.close()
    return 0


class Agent:
    """The parts of one node."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self.name: str = arguments.name or socket.gethostname().lower()
        self.paths = NodePaths(arguments.data_dir)
        self._clock = RealClock()
        self._tasks = Tasks()
        self._exit = contextlib.AsyncExitStack()
        #: What all clients of this process ask of the API server.
        self._requests: ClientMetrics | None = None

    async def start(self) -> None:
        """Start everything; what does not need the server begins before it is there."""
        self.paths.agent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._tasks.start(_preload(), "preload")
        own = self._arguments.kubeconfig or self.paths.agent / "kubeconfig"
        runtime, client, reader = await asyncio.gather(
            self._runtime(), self._client(own, "kubelet"), self._client(self.paths.services_kubeconfig, "kube-proxy")
        )
        pods, services = self._informers(client), self._informers(reader)
        kubelet = self._kubelet(runtime, client, (pods, services))
        rotation = Rotation(self.name, own, client, self._clock)
        self._tasks.forever(rotation.run, "rotation of credentials", longest=60.0)
        network = await self._network(services)
        await self._services(services, network)
        services.run()
        pods.run()
        await kubelet.start()
        self._exit.push_async_callback(kubelet.close)
        await self._server(kubelet, client)
        gc.collect()
        gc.freeze()
        _log.info("agent started", node=self.name)

    async def close(self) -> None:
        """Stop everything but the pods."""
        await self._exit.aclose()
        await self._tasks.close()

    # parts

    async def _runtime(self) -> CriRuntime:
        from knarr.cri.containerd import CriRuntime

        endpoint = self._arguments.container_runtime_endpoint
        if endpoint:
            runtime = CriRuntime(endpoint.removeprefix("unix://"))
        else:
            await self._containerd()
            runtime = CriRuntime(str(self.paths.containerd().socket))
        self._exit.push_async_callback(runtime.close)
        return runtime

    async def _containerd(self) -> None:
        """An own containerd, with the sandbox image in it and the imported images before every registry."""
        from knarr.cri import pause
        from knarr.cri.containerd_process import ContainerdProcess
        from knarr.cri.image_builder import build
        from knarr.cri.images import ImageStore, ImportedImages
        from knarr.cri.registry import EmbeddedRegistry

        options = self.paths.containerd()
        imported = ImportedImages(self.paths.imported_images)
        registry = EmbeddedRegistry(imported, options.content)
        self._exit.push_async_callback(registry.close)
        process = ContainerdProcess(options, self._clock)
        process.write_mirror(await registry.start())
        await process.start()
        self._exit.push_async_callback(process.stop)
        self._tasks.forever(process.supervise, "containerd")
        store = ImageStore(str(options.socket), imported, self._clock)
        try:
            if not await store.has(pause.IMAGE):
                archive = self.paths.agent / "pause.tar"
                archive.write_bytes(build(pause.recipe()))
                await store.import_archive(archive, serve=True)
                archive.unlink()
        finally:
            await store.close()

    def _informers(self, client: Client) -> Informers:
        from knarr.controller_runtime.informers import Informers

        informers = Informers(client, self._clock)
        self._exit.push_async_callback(informers.close)
        return informers

    async def _client(self, path: Path, agent: str) -> Client:
        """Wait for the credentials, which the server beside this node writes at its start."""
        from knarr.client.client import Client
        from knarr.client.http import HttpTransport
        from knarr.client.metrics import ClientMetrics
        from knarr.cmd.fresh import follow
        from knarr.component_base import kubeconfig

        began = self._clock.monotonic()
        told = False
        while not path.exists():
            if not told and self._clock.monotonic() - began > _PATIENCE:
                told = True
                _log.warning("waiting for credentials", kubeconfig=path)
            await self._clock.sleep(_PAUSE)
        content = path.read_bytes()
        self._requests = self._requests or ClientMetrics()
        transport = HttpTransport(kubeconfig.load(path), agent, self._requests)
        client = Client(transport)
        self._tasks.forever(
            lambda: follow(path, content, lambda: transport.renew(kubeconfig.load(path))), f"credentials of {agent}"
        )
        self._exit.push_async_callback(client.close)
        return client

    def _events(self, client: Client) -> Callable[[Object, str, str, str, str], None]:
        from knarr.controller_runtime.changes import EventNote
        from knarr.controller_runtime.events import Recorder

        recorder = Recorder(client, self._clock, self.name)
        writing = self._tasks.forever(recorder.run, "events")

        async def finish() -> None:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await recorder.flush()

        self._exit.push_async_callback(finish)

        def record(regarding: Object, kind: str, reason: str, message: str, field_path: str) -> None:
            recorder.record(EventNote(regarding, kind, reason, message), "kubelet", field_path=field_path)

        return record

    def _kubelet(self, runtime: CriRuntime, client: Client, informers: tuple[Informers, Informers]) -> Kubelet:
        from knarr.api.registry import SERVICES
        from knarr.cri import pause
        from knarr.cri.images import ImportedImages
        from knarr.kubelet.node_config import NodeConfig, parse_resolver
        from knarr.kubelet.run import Kubelet

        arguments = self._arguments
        # What was imported can be had from nowhere else.
        imported = ImportedImages(self.paths.imported_images)
        resolver = Path("/etc/resolv.conf")
        node = NodeConfig(
            name=self.name,
            root=self.paths.kubelet,
            logs=self.paths.pod_logs,
            host_ips=(arguments.node_ip or _own_address(),),
            cgroup_root=f"knarr-{self.name}",
            cluster_dns=(arguments.dns_address,) if arguments.dns_address else (),
            cluster_domain=arguments.cluster_domain,
            memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            max_pods=arguments.max_pods,
            port=_KUBELET_PORT,
            resolver=parse_resolver(resolver.read_text() if resolver.exists() else ""),
            labels=dict(_pairs(arguments.node_labels)),
            taints=tuple(_taints(arguments.register_with_taints)),
        )
        return Kubelet(
            node,
            runtime,
            client,
            informers[0],
            self._clock,
            services=informers[1].add(SERVICES),
            events=self._events(client),
            kept_images=lambda: {pause.IMAGE, *imported.all()},
        )

    async def _network(self, informers: Informers) -> Network:
        from knarr.cmd.pod_network import Network

        arguments = self._arguments
        ranges = (arguments.cluster_cidr, arguments.service_cidr)
        network = Network(
            self.name, ranges, self.paths.containerd().cni_conf, self.paths.agent / "cni-state", informers
        )
        await network.start(self._tasks, arguments.dns_address)
        return network

    async def _services(self, informers: Informers, network: Network) -> None:
        """kube-proxy and DNS."""
        from knarr.dns.records import Zone
        from knarr.dns.run import DnsServer
        from knarr.dns.run import Settings as DnsSettings
        from knarr.proxy.ruleset import Layout
        from knarr.proxy.run import Proxy
        from knarr.proxy.run import Settings as ProxySettings

        arguments = self._arguments
        own = (arguments.dns_address,) if arguments.dns_address else ()
        layout = Layout(arguments.cluster_cidr, arguments.service_cidr, own)
        proxy = Proxy(informers, self._clock, ProxySettings(self.name, layout))
        await proxy.start(self._tasks)
        self._exit.push_async_callback(proxy.close)
        if own:
            zone = Zone(arguments.cluster_domain, own[0], (arguments.cluster_cidr, arguments.service_cidr))
            dns = DnsServer(informers, DnsSettings(own, zone))
            await dns.start(self._tasks)
            self._exit.push_async_callback(dns.close)
            self._tasks.start(self._dns_of_pods(dns, network), "dns of pods")

    async def _dns_of_pods(self, dns: DnsServer, network: Network) -> None:
        """DNS is behind its Service at the bridge's address, which is there once the node has been given pods."""
        await network.ready.wait()
        while True:
            try:
                await dns.listen(self._tasks, (network.gateway,))
                return
            except OSError as error:
                _log.warning("no DNS for pods yet", address=network.gateway, error=error)
                await self._clock.sleep(1)

    async def _server(self, kubelet: Kubelet, client: Client) -> None:
        """The kubelet's own API."""
        from knarr.cmd.fresh import follow
        from knarr.kubelet.server.routes import KubeletServer

        files = self.paths.serving()
        while not all(path.exists() for path in (files.certificate, files.key, files.client_authority)):
            await self._clock.sleep(_PAUSE)
        content, context = files.certificate.read_bytes(), files.context()
        kubelet.metrics.registry.add(*(self._requests.families() if self._requests is not None else ()))
        server: HttpServer = KubeletServer(kubelet, client, self._clock, kubelet.metrics, kubelet.machine).http(context)
        await server.listen("0.0.0.0", _KUBELET_PORT)
        self._exit.push_async_callback(server.close)
        self._tasks.forever(
            lambda: follow(files.certificate, content, lambda: context.load_cert_chain(files.certificate, files.key)),
            "serving certificate",
        )


async def _preload() -> None:
    """Import what is needed once the server is there, piece by piece, while containerd and the server start."""
    for name in _PARTS:
        importlib.import_module(name)
        await asyncio.sleep(0)


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # No packet is sent: connecting a datagram socket only chooses the route.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(key, value) for part in text.split(",") if part for key, _, value in (part.partition("="),)]


def _taints(text: str) -> list[dict[str, str]]:
    taints = []
    for part in text.split(",") if text else ():
        rest, _, effect = part.rpartition(":")
        key, _, value = rest.partition("=")
        taints.append({"key": key, "effect": effect, **({"value": value} if value else {})})
    return taints
