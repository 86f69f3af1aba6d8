"""The proxy's ruleset in a real kernel: one node and its pods in network namespaces of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from knarr.proxy.ruleset import Layout, Ruleset, build, service_part
from knarr.proxy.services import Place, service_ports
from knarr.proxy.transaction import change, replace

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes network namespaces"),
]

LAYOUT = Layout("10.42.0.0/16", "10.43.0.0/16", ("10.43.0.10",))
PODS = {"a": "10.42.1.11", "b": "10.42.1.12", "client": "10.42.1.13"}

#: A pod's process: answers TCP and UDP on 8080 with its name and the address it saw.
SERVER = """
import selectors, socket, sys
name = sys.argv[1]
tcp, udp = socket.create_server(("", 8080)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 8080))
ready = selectors.DefaultSelector()
ready.register(tcp, selectors.EVENT_READ)
ready.register(udp, selectors.EVENT_READ)
print("up", flush=True)
while True:
    for key, _ in ready.select():
        if key.fileobj is tcp:
            connection, peer = tcp.accept()
            connection.sendall(f"{name} {peer[0]}".encode())
            connection.close()
        else:
            _, peer = udp.recvfrom(100)
            udp.sendto(f"{name} {peer[0]}".encode(), peer)
"""

#: Asks `count` times and prints a JSON list of answers ("refused" and "timeout" are answers too).
CLIENT = """
import json, socket, sys
protocol, host = sys.argv[1:3]
port, count, own, patience = map(int, sys.argv[3:])
out = []
for _ in range(count):
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as s:
        s.settimeout(patience)
        if own:
            s.bind(("", own))
        try:
            s.connect((host, port))
            if protocol == "udp":
                s.send(b"?")
            out.append(s.recv(100).decode())
        except ConnectionRefusedError:
            out.append("refused")
        except TimeoutError:
            out.append("timeout")
print(json.dumps(out))
"""

LINKS = """
import asyncio
from knarr.network import links, plan
network = plan.PodNetwork("10.42.1.0/24", "10.42.0.0/16", "10.43.0.0/16")
asyncio.run(links.make_bridge(network))
links.set_sysctls(network.bridge)
"""


class Node:
    """A node's namespace with a bridge, and pods on it."""

    def __init__(self) -> None:
        self.name = f"knarr-test-{os.getpid()}"
        self.loaded: Ruleset | None = None
        self._servers: list[subprocess.Popen[str]] = []

    def build(self) -> None:
        _ip("netns", "add", self.name)
        _ip("-n", self.name, "link", "set", "lo", "up")
        self.python(LINKS)
        # Outside of the pod network and still on this node: what a client elsewhere would look like.
        self._attach("outside", "192.0.2.7", "192.0.2.1", bridge=False)
        for pod, address in PODS.items():
            self._attach(pod, address, "10.42.1.1", bridge=True)
            if pod != "client":
                self._serve(pod)

    def _attach(self, pod: str, address: str, gateway: str, *, bridge: bool) -> None:
        namespace, outer = f"{self.name}-{pod}", f"v-{pod}"
        _ip("netns", "add", namespace)
        _ip("-n", self.name, "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        if bridge:
            _ip("-n", self.name, "link", "set", outer, "master", "cni0")
            _ip("-n", self.name, "link", "set", outer, "type", "bridge_slave", "hairpin", "on")
        else:
            _ip("-n", self.name, "addr", "add", f"{gateway}/24", "dev", outer)
        _ip("-n", self.name, "link", "set", outer, "up")
        _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", namespace, "link", "set", "eth0", "up")
        _ip("-n", namespace, "route", "add", "default", "via", gateway)

    def _serve(self, pod: str) -> None:
        command = ["nsenter", f"--net=/run/netns/{self.name}-{pod}", sys.executable, "-c", SERVER, pod]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        self._servers.append(process)

    def python(self, code: str, *args: str, where: str = "") -> str:
        namespace = f"{self.name}-{where}" if where else self.name
        command = ["nsenter", f"--net=/run/netns/{namespace}", sys.executable, "-c", textwrap.dedent(code), *args]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout

    def load(self, *services: tuple[dict[str, Any], list[str]]) -> None:
        """Replace the ruleset the first time, afterwards apply the difference."""
        parts = []
        for obj, pods in services:
            protocol = obj["spec"]["ports"][0]["protocol"]
            ports = service_ports(obj, [_slice(pods, protocol)], Place("here"))
            parts.append(service_part(ports, LAYOUT))
        wanted = build(parts, LAYOUT)
        text = change(self.loaded, wanted) if self.loaded else replace(wanted)
        command = ["nsenter", f"--net=/run/netns/{self.name}", "nft", "-f", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr + text
        self.loaded = wanted

    def ask(
        self,
        where: str,
        host: str,
        port: int,
        *,
        protocol: str = "tcp",
        count: int = 1,
        own: int = 0,
        patience: int = 30,
    ) -> list[str]:
        answer = self.python(CLIENT, protocol, host, str(port), str(count), str(own), str(patience), where=where)
        found: list[str] = json.loads(answer)
        return found

    def remove(self) -> None:
        for process in self._servers:
            process.kill()
            process.communicate()
        for pod in (*PODS, "outside"):
            subprocess.run(["ip", "netns", "del", f"{self.name}-{pod}"], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)


def _ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True)


def _slice(pods: list[str], protocol: str) -> dict[str, Any]:
    endpoints = [{"addresses": [PODS[pod]], "nodeName": "here", "conditions": {"ready": True}} for pod in pods]
    ports = [{"name": "", "port": 8080, "protocol": protocol}]
    return {"metadata": {}, "addressType": "IPv4", "ports": ports, "endpoints": endpoints}


def service(number: int, protocol: str = "TCP", **spec: Any) -> dict[str, Any]:
    ports = [{"name": "", "port": 80, "protocol": protocol, "nodePort": 30000 + number}]
    base = {"type": "NodePort", "clusterIP": f"10.43.0.{number}", "ports": ports}
    return {"metadata": {"name": f"s{number}", "namespace": "ns"}, "spec": {**base, **spec}}


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    made = Node()
    try:
        made.build()
        yield made
    finally:
        made.remove()


def names(answers: list[str]) -> set[str]:
    return {answer.split()[0] for answer in answers}


def test_traffic_spreads_and_follows_changes(node: Node) -> None:
    node.load((service(1), ["a", "b"]))
    assert names(node.ask("client", "10.43.0.1", 80, count=30)) == {"a", "b"}
    assert node.ask("client", "10.43.0.1", 80)[0].split()[1] == PODS["client"]
    assert names(node.ask("", "10.43.0.1", 80, count=30)) == {"a", "b"}
    node.load((service(1), ["b"]))
    assert names(node.ask("client", "10.43.0.1", 80, count=5)) == {"b"}
    node.load((service(1), []))
    assert node.ask("client", "10.43.0.1", 80) == ["refused"]
    assert node.ask("", "10.43.0.1", 80) == ["refused"]
    assert node.ask("client", "10.43.0.1", 81) == ["refused"]
    node.load((service(1), ["a"]))
    assert names(node.ask("client", "10.43.0.1", 80)) == {"a"}
    node.load()
    assert node.ask("client", "10.43.0.1", 80, patience=1) == ["timeout"]


def test_a_pod_reaches_itself_through_its_service(node: Node) -> None:
    node.load((service(2), ["a"]))
    assert node.ask("a", "10.43.0.2", 80) == ["a 10.42.1.1"]


def test_node_ports_answer_on_the_nodes_addresses(node: Node) -> None:
    node.load((service(3), ["a", "b"]), (service(4, externalTrafficPolicy="Local"), ["a"]), (service(5), []))
    assert names(node.ask("outside", "192.0.2.1", 30003, count=30)) == {"a", "b"}
    assert node.ask("outside", "192.0.2.1", 30003)[0].split()[1] == "10.42.1.1"
    assert node.ask("outside", "192.0.2.1", 30004) == ["a 192.0.2.7"]
    assert node.ask("outside", "192.0.2.1", 30005) == ["refused"]
    assert names(node.ask("", "192.0.2.1", 30003)) <= {"a", "b"}
    assert names(node.ask("client", "10.42.1.1", 30004)) == {"a"}


def test_affinity_holds(node: Node) -> None:
    node.load((service(6, sessionAffinity="ClientIP"), ["a", "b"]))
    first = names(node.ask("client", "10.43.0.6", 80, count=20))
    assert len(first) == 1
    node.load((service(6, sessionAffinity="ClientIP"), ["a", "b"]), (service(7), ["a"]))
    assert names(node.ask("client", "10.43.0.6", 80, count=5)) == first
    node.load((service(7), ["a"]))


def test_udp_spreads_is_refused_and_forgotten(node: Node) -> None:
    node.load((service(8, "UDP"), ["a"]))
    assert names(node.ask("client", "10.43.0.8", 80, protocol="udp", own=5555)) == {"a"}
    node.load((service(8, "UDP"), ["b"]))
    assert names(node.ask("client", "10.43.0.8", 80, protocol="udp", own=5555)) == {"a"}, "the kernel keeps flows"
    code = """
        import asyncio
        from knarr.proxy import conntrack, flows
        served = flows.Destinations({("10.43.0.8", 80): frozenset({("10.42.1.12", 8080)})}, {})
        asyncio.run(conntrack.forget(flows.stale(asyncio.run(conntrack.udp_flows()), served)))
    """
    node.python(code)
    assert names(node.ask("client", "10.43.0.8", 80, protocol="udp", own=5555)) == {"b"}
    node.load((service(8, "UDP"), []))
    assert node.ask("client", "10.43.0.8", 80, protocol="udp") == ["refused"]


def test_external_addresses_are_served(node: Node) -> None:
    node.load((service(9, externalIPs=["203.0.113.9"]), ["b"]))
    assert names(node.ask("outside", "203.0.113.9", 80)) == {"b"}
    assert names(node.ask("client", "203.0.113.9", 80)) == {"b"}


def test_nothing_of_ours_is_left(node: Node) -> None:
    """Runs last: what the proxy made goes with its table."""
    text = "add table ip knarr-proxy\ndelete table ip knarr-proxy\n"
    command = ["nsenter", f"--net=/run/netns/{node.name}", "nft"]
    subprocess.run([*command, "-f", "-"], input=text, text=True, check=True)
    assert subprocess.run([*command, "list", "ruleset"], capture_output=True, text=True, check=True).stdout == ""
    assert Path(f"/run/netns/{node.name}").exists()
