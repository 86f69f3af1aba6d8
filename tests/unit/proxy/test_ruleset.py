"""The ruleset, interpreted packet by packet, against a plain reading of what Services promise."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from knarr.proxy.ruleset import Chain, Layout, Part, Ruleset, build, service_part
from knarr.proxy.services import Place, ServicePort, service_ports
from knarr.proxy.transaction import change, replace

LAYOUT = Layout("10.42.0.0/16", "10.43.0.0/16", ("10.43.0.10",))
PLACE = Place("here", "zone-a")
NODE_ADDRESSES = ("192.0.2.1", "10.42.0.1")
POD, OUTSIDER, NODE = "10.42.3.3", "198.51.100.7", "192.0.2.1"


class Packet(NamedTuple):
    source: str
    destination: str
    protocol: str
    port: int


class Verdict(NamedTuple):
    kind: str  # dnat, reject, drop, pass
    target: tuple[str, int] | None = None
    masqueraded: bool = False


class Interpreter:
    """Walks the rules as the kernel would. `draw` decides what `numgen random` gives."""

    def __init__(self, ruleset: Ruleset, draw: int, seen: dict[str, set[str]] | None = None) -> None:
        self.ruleset = ruleset
        self.draw = draw
        self.seen = {} if seen is None else seen

    def send(self, packet: Packet) -> Verdict:
        self.packet, self.masqueraded = packet, False
        for base in ("filter-prerouting", "nat-prerouting", None):
            if base is None:
                base = "filter-input" if packet.destination in NODE_ADDRESSES else "filter-forward"
            outcome = self.chain(base)
            if isinstance(outcome, Verdict):
                return outcome
        return Verdict("pass")

    def chain(self, name: str) -> Verdict | str | None:
        for rule in self.ruleset.chains[name].rules:
            outcome = self.rule(rule)
            if outcome == "return":
                return None
            if outcome is not None:
                return outcome
        return None

    def rule(self, rule: str) -> Verdict | str | None:
        while True:
            for pattern, matches in MATCHES:
                found = re.match(pattern, rule)
                if found:
                    if not matches(self, *found.groups()):
                        return None
                    rule = rule[found.end() :]
                    break
            else:
                return self.statement(rule)

    def goto(self, name: str) -> Verdict | str:
        return self.chain(name) or "accept"

    def statement(self, rule: str) -> Verdict | str | None:
        packet = self.packet
        if rule in ("reject", "reject with tcp reset", "drop"):
            return Verdict(rule.split()[0])
        if rule == "return":
            return "return"
        if rule.startswith("meta mark set"):
            self.masqueraded = True
            return None
        if found := re.fullmatch(r"jump (\S+)", rule):
            return self.chain(found[1])
        if found := re.fullmatch(r"goto (\S+)", rule):
            return self.goto(found[1])
        if found := re.fullmatch(r"update @(\S+) \{ ip saddr \}", rule):
            self.seen.setdefault(found[1], set()).add(packet.source)
            return None
        if found := re.fullmatch(r"dnat to (\S+):(\d+)", rule):
            return Verdict("dnat", (found[1], int(found[2])), self.masqueraded)
        if found := re.fullmatch(r"numgen random mod (\d+) vmap \{ (.*) \}", rule):
            verdicts = dict(item.split(" : ") for item in found[2].split(", "))
            return self.statement(verdicts[str(self.draw % int(found[1]))])
        if found := re.fullmatch(r"(.*) vmap @(\S+)", rule):
            verdict = self.ruleset.elements[found[2]].get(self.key(found[1]))
            return self.statement(verdict) if verdict else None
        if found := re.fullmatch(r"dnat ip to (.*) map @(\S+)", rule):
            address, port = self.ruleset.elements[found[2]][self.key(found[1])].split(" . ")
            return Verdict("dnat", (address, int(port)), self.masqueraded)
        raise AssertionError(rule)

    def key(self, text: str) -> str:
        values = {"ip daddr": self.packet.destination, "meta l4proto": self.packet.protocol}
        values["th dport"] = values[f"{self.packet.protocol} dport"] = str(self.packet.port)
        parts = []
        for part in text.split(" . "):
            found = re.fullmatch(r"numgen random mod (\d+)", part)
            parts.append(str(self.draw % int(found[1])) if found else values[part])
        return " . ".join(parts)


def _within(address: str, network: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)


MATCHES: list[tuple[str, Any]] = [
    (r"ct state new ", lambda _: True),
    (r"fib daddr type local ", lambda self: self.packet.destination in NODE_ADDRESSES),
    (r"fib saddr type != local ", lambda self: self.packet.source not in NODE_ADDRESSES),
    (r"ip saddr != (\S+) ", lambda self, net: not _within(self.packet.source, net)),
    (r"ip daddr != (\S+) ", lambda self, net: not _within(self.packet.destination, net)),
    (r"ip saddr @(\S+) ", lambda self, name: self.packet.source in self.seen.get(name, ())),
    (r"ip daddr @(\S+) ", lambda self, name: self.packet.destination in self.ruleset.elements[name]),
    (r"ip saddr \{ ([^}]*) \} ", lambda self, nets: any(_within(self.packet.source, n) for n in nets.split(", "))),
    (r"ip daddr (\d[\d./]*) ", lambda self, net: _within(self.packet.destination, net)),
    (r"meta l4proto (tcp|udp|sctp) ", lambda self, protocol: self.packet.protocol == protocol),
]


def service(name: str = "s", **spec: Any) -> dict[str, Any]:
    base = {"type": "ClusterIP", "clusterIP": "10.43.0.5", "ports": [{"name": "", "port": 80, "protocol": "TCP"}]}
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": {**base, **spec}}


def endpoint(number: int, node: str = "here", **more: Any) -> dict[str, Any]:
    return {"addresses": [f"10.42.0.{number}"], "nodeName": node, "conditions": {"ready": True}, **more}


def slice_of(*endpoints: dict[str, Any], protocol: str = "TCP") -> dict[str, Any]:
    ports = [{"name": "", "port": 8080, "protocol": protocol}]
    return {"metadata": {}, "addressType": "IPv4", "ports": ports, "endpoints": list(endpoints)}


def ruleset_of(*services: tuple[dict[str, Any], list[dict[str, Any]]], layout: Layout = LAYOUT) -> Ruleset:
    parts = [service_part(service_ports(obj, slices, PLACE), layout) for obj, slices in services]
    return build(parts, layout)


def test_cluster_ip_reaches_every_endpoint_and_keeps_the_source_of_pods() -> None:
    ruleset = ruleset_of((service(), [slice_of(endpoint(11), endpoint(12), endpoint(13))]))
    packet = Packet(POD, "10.43.0.5", "tcp", 80)
    reached = {Interpreter(ruleset, draw).send(packet).target for draw in range(3)}
    assert reached == {("10.42.0.11", 8080), ("10.42.0.12", 8080), ("10.42.0.13", 8080)}
    assert not Interpreter(ruleset, 0).send(packet).masqueraded
    assert Interpreter(ruleset, 0).send(packet._replace(source=OUTSIDER)).masqueraded


def test_a_cluster_ip_refuses_ports_it_does_not_serve() -> None:
    ruleset = ruleset_of((service(), [slice_of(endpoint(11))]))
    assert Interpreter(ruleset, 0).send(Packet(POD, "10.43.0.5", "tcp", 81)).kind == "reject"
    assert Interpreter(ruleset, 0).send(Packet(POD, "10.43.0.6", "tcp", 80)).kind == "drop"


def test_without_endpoints_traffic_is_refused() -> None:
    ruleset = ruleset_of((service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}]), []))
    assert Interpreter(ruleset, 0).send(Packet(POD, "10.43.0.5", "tcp", 80)).kind == "reject"
    assert Interpreter(ruleset, 0).send(Packet(OUTSIDER, NODE, "tcp", 30080)).kind == "reject"


def test_the_dns_address_is_left_to_the_node() -> None:
    ruleset = ruleset_of((service(clusterIP="10.43.0.10"), []))
    assert Interpreter(ruleset, 0).send(Packet(POD, "10.43.0.10", "tcp", 80)).kind == "pass"


def test_affinity_holds_a_client_to_its_endpoint() -> None:
    ruleset = ruleset_of((service(sessionAffinity="ClientIP"), [slice_of(endpoint(11), endpoint(12))]))
    seen: dict[str, set[str]] = {}
    packet = Packet(POD, "10.43.0.5", "tcp", 80)
    first = Interpreter(ruleset, 1, seen).send(packet).target
    assert {Interpreter(ruleset, draw, seen).send(packet).target for draw in range(4)} == {first}
    others = {Interpreter(ruleset, draw, {}).send(packet).target for draw in range(4)}
    assert len(others) == 2


def test_affinity_sets_expire_as_configured() -> None:
    config = {"clientIP": {"timeoutSeconds": 60}}
    obj = service(sessionAffinity="ClientIP", sessionAffinityConfig=config)
    ruleset = ruleset_of((obj, [slice_of(endpoint(11))]))
    declarations = [text for name, text in ruleset.sets.items() if name.startswith("seen-")]
    assert declarations == ["set { type ipv4_addr; flags dynamic,timeout; timeout 60s; }"]


def test_external_policy_local_keeps_outsiders_on_the_node_and_their_address() -> None:
    obj = service(type="NodePort", externalTrafficPolicy="Local", ports=[{"port": 80, "nodePort": 30080}])
    ruleset = ruleset_of((obj, [slice_of(endpoint(11), endpoint(12, "there"))]))
    outside = Packet(OUTSIDER, NODE, "tcp", 30080)
    assert {Interpreter(ruleset, draw).send(outside) for draw in range(2)} == {
        Verdict("dnat", ("10.42.0.11", 8080), False)
    }
    inside = outside._replace(source=POD)
    assert {Interpreter(ruleset, draw).send(inside).target for draw in range(2)} == {
        ("10.42.0.11", 8080),
        ("10.42.0.12", 8080),
    }


def test_external_policy_local_without_local_endpoints_drops_outsiders_only() -> None:
    obj = service(type="NodePort", externalTrafficPolicy="Local", ports=[{"port": 80, "nodePort": 30080}])
    ruleset = ruleset_of((obj, [slice_of(endpoint(12, "there"))]))
    assert Interpreter(ruleset, 0).send(Packet(OUTSIDER, NODE, "tcp", 30080)).kind == "drop"
    assert Interpreter(ruleset, 0).send(Packet(POD, NODE, "tcp", 30080)).kind == "dnat"


def test_source_ranges_guard_the_balancer_address() -> None:
    obj = service(type="LoadBalancer", loadBalancerSourceRanges=["198.51.100.0/24"])
    obj["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}
    ruleset = ruleset_of((obj, [slice_of(endpoint(11))]))
    assert Interpreter(ruleset, 0).send(Packet(OUTSIDER, "203.0.113.9", "tcp", 80)).kind == "dnat"
    assert Interpreter(ruleset, 0).send(Packet("192.0.2.77", "203.0.113.9", "tcp", 80)).kind == "drop"


def test_terminating_endpoints_serve_when_nothing_else_does() -> None:
    leaving = endpoint(11, conditions={"ready": False, "serving": True, "terminating": True})
    gone = endpoint(12, conditions={"ready": False, "serving": False, "terminating": True})
    ruleset = ruleset_of((service(), [slice_of(leaving, gone)]))
    packet = Packet(POD, "10.43.0.5", "tcp", 80)
    assert {Interpreter(ruleset, draw).send(packet).target for draw in range(3)} == {("10.42.0.11", 8080)}
    ruleset = ruleset_of((service(), [slice_of(leaving, endpoint(13))]))
    assert {Interpreter(ruleset, draw).send(packet).target for draw in range(3)} == {("10.42.0.13", 8080)}


def test_zone_hints_narrow_when_every_endpoint_has_them() -> None:
    near = endpoint(11, hints={"forZones": [{"name": "zone-a"}]})
    far = endpoint(12, hints={"forZones": [{"name": "zone-b"}]})
    ports = service_ports(service(), [slice_of(near, far)], PLACE)
    assert [one.ip for one in ports[0].cluster] == ["10.42.0.11"]
    ports = service_ports(service(), [slice_of(near, far, endpoint(13))], PLACE)
    assert len(ports[0].cluster) == 3


addresses = st.integers(1, 6).map(lambda number: f"10.43.0.{number + 20}")


@st.composite
def clusters(draw: st.DrawFn) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    out = []
    for number in range(draw(st.integers(0, 4))):
        conditions = st.fixed_dictionaries(
            {"ready": st.booleans(), "serving": st.booleans(), "terminating": st.booleans()}
        )
        endpoints = [
            endpoint(one, draw(st.sampled_from(["here", "there"])), conditions=draw(conditions))
            for one in draw(st.sets(st.integers(2, 8), max_size=4))
        ]
        protocol = draw(st.sampled_from(["TCP", "UDP", "SCTP"]))
        ports = [{"name": "", "port": 80, "protocol": protocol, "nodePort": 30000 + number}]
        kind = draw(st.sampled_from(["ClusterIP", "NodePort"]))
        obj = service(
            f"s{number}",
            type=kind,
            clusterIP=f"10.43.0.{number + 20}",
            ports=ports,
            internalTrafficPolicy=draw(st.sampled_from(["Cluster", "Local"])),
            externalTrafficPolicy=draw(st.sampled_from(["Cluster", "Local"])),
            sessionAffinity=draw(st.sampled_from(["None", "ClientIP"])),
            externalIPs=[f"203.0.113.{number + 1}"],
        )
        out.append((obj, [slice_of(*endpoints, protocol=protocol)]))
    return out


def naive(obj: dict[str, Any], slices: list[dict[str, Any]], *, external: bool, source: str) -> tuple[str, set[str]]:
    """What the Service API says about one packet, written as plainly as possible."""
    spec = obj["spec"]
    policy = spec["externalTrafficPolicy" if external else "internalTrafficPolicy"]
    short_circuit = external and source != OUTSIDER
    everyone = slices[0]["endpoints"]

    def usable(candidates: list[dict[str, Any]]) -> set[str]:
        ready = {one["addresses"][0] for one in candidates if one["conditions"]["ready"]}
        draining = {
            one["addresses"][0]
            for one in candidates
            if one["conditions"]["serving"] and one["conditions"]["terminating"]
        }
        return ready or draining

    wanted = everyone if policy == "Cluster" or short_circuit else [e for e in everyone if e["nodeName"] == "here"]
    found = usable(wanted)
    if found:
        return "dnat", found
    return ("drop" if usable(everyone) else "reject"), set()


@given(clusters(), st.sampled_from([POD, OUTSIDER, NODE]))
def test_every_destination_behaves_as_the_service_says(
    cluster: list[tuple[dict[str, Any], list[dict[str, Any]]]], source: str
) -> None:
    ruleset = ruleset_of(*cluster)
    for obj, slices in cluster:
        port = obj["spec"]["ports"][0]
        protocol = port["protocol"].lower()
        asked = [(obj["spec"]["clusterIP"], 80, False), (obj["spec"]["externalIPs"][0], 80, True)]
        if obj["spec"]["type"] == "NodePort":
            asked.append((NODE, port["nodePort"], True))
        for destination, number, external in asked:
            packet = Packet(source, destination, protocol, number)
            kind, targets = naive(obj, slices, external=external, source=source)
            verdicts = {Interpreter(ruleset, draw).send(packet) for draw in range(12)}
            assert {verdict.kind for verdict in verdicts} == {kind}, packet
            assert {verdict.target[0] for verdict in verdicts if verdict.target} == targets


def apply(text: str, loaded: Ruleset | None) -> Ruleset:
    """Carry a transaction out on a model of the kernel's table, refusing what the kernel refuses."""
    chains: dict[str, list[str]] = {name: list(chain.rules) for name, chain in loaded.chains.items()} if loaded else {}
    hooks = {name: chain.hook for name, chain in loaded.chains.items()} if loaded else {}
    sets = dict(loaded.sets) if loaded else {}
    elements = {name: dict(content) for name, content in loaded.elements.items()} if loaded else {}
    for line in text.splitlines():
        verb, what, _, _, *rest = line.split(" ")
        body = " ".join(rest[1:])
        if what in ("map", "set"):
            if verb == "add":
                sets[rest[0]], elements[rest[0]] = f"{what} {body}", {}
            else:
                assert not any(f"@{rest[0]} " in rule + " " for rules in chains.values() for rule in rules)
                del sets[rest[0]], elements[rest[0]]
        elif what == "chain" and verb == "add":
            assert rest[0] not in chains
            chains[rest[0]], hooks[rest[0]] = [], body.removeprefix("{ ").removesuffix(" }")
        elif what == "chain" and verb == "flush":
            chains[rest[0]] = []
        elif what == "chain":
            users = [r for rules in chains.values() for r in rules if re.search(rf"(jump|goto) {rest[0]}(\s|,|$)", r)]
            assert not users and not chains[rest[0]]
            assert all(value != f"goto {rest[0]}" for content in elements.values() for value in content.values())
            del chains[rest[0]], hooks[rest[0]]
        elif what == "rule":
            for target in re.findall(r"(?:jump|goto) ([^\s,]+)", body):
                assert target in chains
            chains[rest[0]].append(body)
        elif what == "element":
            for item in body.removeprefix("{ ").removesuffix(" }").split(", "):
                key, _, value = item.partition(" : ")
                assert (key in elements[rest[0]]) == (verb == "delete")
                if verb == "delete":
                    del elements[rest[0]][key]
                else:
                    assert not value.startswith("goto ") or value.removeprefix("goto ") in chains
                    elements[rest[0]][key] = value
    return Ruleset("ip", {name: Chain(hooks[name], tuple(rules)) for name, rules in chains.items()}, sets, elements)


@given(clusters(), clusters())
def test_a_transaction_turns_one_ruleset_into_the_other(
    before: list[tuple[dict[str, Any], list[dict[str, Any]]]], after: list[tuple[dict[str, Any], list[dict[str, Any]]]]
) -> None:
    old, new = ruleset_of(*before), ruleset_of(*after)
    whole = "\n".join(replace(old).splitlines()[3:])
    loaded = apply(whole, None)
    assert loaded == old
    assert apply(change(loaded, new), loaded) == new
    assert change(new, new) == ""


def test_one_changed_endpoint_costs_few_elements() -> None:
    many = [(service(f"s{n}", clusterIP=f"10.43.1.{n}"), [slice_of(endpoint(11), endpoint(12))]) for n in range(50)]
    old = ruleset_of(*many)
    many[7] = (many[7][0], [slice_of(endpoint(11), endpoint(13))])
    lines = change(old, ruleset_of(*many)).splitlines()
    assert [line.split(" {")[0] for line in lines if "hairpin" not in line] == [
        "delete element ip knarr-proxy endpoints-tcp",
        "add element ip knarr-proxy endpoints-tcp",
    ]


def test_the_ipv6_table_has_the_same_shape() -> None:
    layout = Layout("fd42::/56", "fd43::/112", ipv6=True)
    obj = service(clusterIP="fd43::5", clusterIPs=["fd43::5"])
    part = slice_of({"addresses": ["fd42::1"], "nodeName": "here"}) | {"addressType": "IPv6"}
    ports: tuple[ServicePort, ...] = service_ports(obj, [part], PLACE, ipv6=True)
    ruleset = build([service_part(ports, layout)], layout)
    assert ruleset.elements["endpoints-tcp"] == {"fd43::5 . 80 . 0": "fd42::1 . 8080"}
    assert set(ruleset.chains) == {*build([Part()], LAYOUT).chains, "cluster-tcp-1"}
    assert service_ports(obj, [part], PLACE) == ()
