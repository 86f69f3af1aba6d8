"""The answers, by the Kubernetes DNS specification 1.1.0."""

from __future__ import annotations

import copy
import ipaddress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from knarr.dns.records import Record, Reply, Zone, answer, reverse_address
from knarr.dns.view import View

ZONE = Zone("cluster.local", "10.43.0.10", ("10.42.0.0/16", "10.43.0.0/16"))


def service(name: str, address: str, **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": {"clusterIP": address, "ports": ports, **spec}}


def slice_for(name: str, *endpoints: dict[str, Any], part: str = "a") -> dict[str, Any]:
    meta = {"name": f"{name}-{part}", "namespace": "ns", "labels": {"kubernetes.io/service-name": name}}
    ports = [{"name": "http", "port": 8080, "protocol": "TCP"}]
    return {"metadata": meta, "addressType": "IPv4", "ports": ports, "endpoints": list(endpoints)}


def at(address: str, hostname: str = "", *, ready: bool = True) -> dict[str, Any]:
    named = {"hostname": hostname} if hostname else {}
    return {"addresses": [address], "conditions": {"ready": ready}, **named}


def a_view() -> View:
    view = View()
    view.put_namespace({"metadata": {"name": "ns"}})
    view.put_service(service("web", "10.43.0.5"))
    view.put_service(service("dual", "10.43.0.6", clusterIPs=["10.43.0.6", "fd43::6"]))
    view.put_service(service("heads", "None"))
    view.put_service(service("empty", "None"))
    view.put_service({"metadata": {"name": "out", "namespace": "ns"}, "spec": _external("example.org")})
    view.put_service({"metadata": {"name": "in", "namespace": "ns"}, "spec": _external("web.ns.svc.cluster.local")})
    view.put_service({"metadata": {"name": "ring", "namespace": "ns"}, "spec": _external("ring.ns.svc.cluster.local")})
    view.put_slice(slice_for("heads", at("10.42.0.1", "zero"), at("10.42.0.2"), at("10.42.0.3", "two", ready=False)))
    return view


def _external(target: str) -> dict[str, Any]:
    return {"type": "ExternalName", "externalName": target}


VIEW = a_view()


def ask(name: str, kind: str = "A", view: View = VIEW) -> Reply:
    reply = answer(name, kind, view, ZONE)
    assert reply is not None, name
    return reply


def data(name: str, kind: str = "A") -> list[str]:
    return [record.data for record in ask(name, kind).answers]


def test_cluster_ip() -> None:
    assert data("web.ns.svc.cluster.local") == ["10.43.0.5"]
    assert ask("web.ns.svc.cluster.local", "AAAA") == Reply(found=True)
    assert data("dual.ns.svc.cluster.local", "AAAA") == ["fd43::6"]


def test_srv_of_a_cluster_ip_names_the_service() -> None:
    reply = ask("_http._tcp.web.ns.svc.cluster.local", "SRV")
    assert [record.data for record in reply.answers] == ["0 100 80 web.ns.svc.cluster.local."]
    assert reply.additional == (Record("web.ns.svc.cluster.local", "A", "10.43.0.5"),)
    assert not ask("_http._udp.web.ns.svc.cluster.local", "SRV").found
    assert not ask("_nope._tcp.web.ns.svc.cluster.local", "SRV").found


def test_headless_answers_ready_endpoints_only() -> None:
    assert data("heads.ns.svc.cluster.local") == ["10.42.0.1", "10.42.0.2"]
    assert not ask("empty.ns.svc.cluster.local").found


def test_endpoints_have_names() -> None:
    assert data("zero.heads.ns.svc.cluster.local") == ["10.42.0.1"]
    assert data("10-42-0-2.heads.ns.svc.cluster.local") == ["10.42.0.2"]
    assert not ask("two.heads.ns.svc.cluster.local").found
    reply = ask("_http._tcp.heads.ns.svc.cluster.local", "SRV")
    assert [record.data for record in reply.answers] == [
        "0 50 8080 zero.heads.ns.svc.cluster.local.",
        "0 50 8080 10-42-0-2.heads.ns.svc.cluster.local.",
    ]
    assert [record.data for record in reply.additional] == ["10.42.0.1", "10.42.0.2"]


def test_external_names() -> None:
    outside = ask("out.ns.svc.cluster.local")
    assert outside.answers == (Record("out.ns.svc.cluster.local", "CNAME", "example.org."),)
    assert outside.alias == "example.org"
    inside = ask("in.ns.svc.cluster.local")
    assert [record.data for record in inside.answers] == ["web.ns.svc.cluster.local.", "10.43.0.5"]
    assert not inside.alias
    assert ask("out.ns.svc.cluster.local", "CNAME").alias == ""


def test_a_ring_of_aliases_ends() -> None:
    reply = ask("ring.ns.svc.cluster.local")
    assert reply.found
    assert not reply.alias


def test_reverse() -> None:
    assert data("5.0.43.10.in-addr.arpa", "PTR") == ["web.ns.svc.cluster.local."]
    assert data("1.0.42.10.in-addr.arpa", "PTR") == ["zero.heads.ns.svc.cluster.local."]
    assert not ask("9.9.43.10.in-addr.arpa", "PTR").found
    assert answer("8.8.8.8.in-addr.arpa", "PTR", VIEW, ZONE) is None
    assert answer("arpa-less.in-addr.arpa", "PTR", VIEW, ZONE) is None


def test_pods_are_named_by_their_address() -> None:
    assert data("10-42-0-9.ns.pod.cluster.local") == ["10.42.0.9"]
    assert data("fd42--9.ns.pod.cluster.local", "AAAA") == ["fd42::9"]
    assert not ask("10-42-0-9.nowhere.pod.cluster.local").found
    assert not ask("web.ns.pod.cluster.local").found


def test_names_that_exist_without_records_are_no_nxdomain() -> None:
    for name in ("cluster.local", "svc.cluster.local", "ns.svc.cluster.local", "_tcp.web.ns.svc.cluster.local"):
        assert ask(name) == Reply(found=True), name
    for name in (
        "nowhere.svc.cluster.local",
        "nope.ns.svc.cluster.local",
        "x.cluster.local",
        "a.b.web.ns.svc.cluster.local",
    ):
        assert not ask(name).found, name


def test_zone_records() -> None:
    assert data("dns-version.cluster.local", "TXT") == ['"1.1.0"']
    assert data("cluster.local", "NS") == ["ns.dns.cluster.local."]
    assert data("ns.dns.cluster.local") == ["10.43.0.10"]
    assert answer("example.org", "A", VIEW, ZONE) is None
    assert answer("notcluster.local", "A", VIEW, ZONE) is None


objects = st.builds(
    lambda name, part, numbers: slice_for(name, *[at(f"10.42.1.{n}") for n in sorted(numbers)], part=part),
    st.sampled_from(["heads", "web"]),
    st.sampled_from("ab"),
    st.sets(st.integers(1, 5), max_size=3),
)


@given(st.lists(st.tuples(st.booleans(), objects), max_size=12))
def test_the_index_forgets_exactly_what_went(steps: list[tuple[bool, dict[str, Any]]]) -> None:
    view = copy.deepcopy(VIEW)
    empty = vars(copy.deepcopy(view))
    last: dict[str, dict[str, Any]] = {}
    for put, obj in steps:
        before = view.generation
        if put:
            view.put_slice(obj)
            last[obj["metadata"]["name"]] = obj
        else:
            view.drop_slice(obj)
            last.pop(obj["metadata"]["name"], None)
        assert view.generation > before
    for name in ("heads", "web"):
        parts = [obj for key, obj in sorted(last.items()) if key.startswith(name)]
        wanted = [one["addresses"][0] for obj in parts for one in obj["endpoints"]]
        kept = [one.address for one in view.endpoints("ns", name) if one.address.startswith("10.42.1.")]
        assert sorted(kept) == sorted(wanted)
    for obj in list(last.values()):
        view.drop_slice(obj)
    assert {k: v for k, v in vars(view).items() if k != "generation"}.keys() == {k for k in empty if k != "generation"}
    assert view.endpoints_at("10.42.1.1") == []


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_reverse_names_round_trip(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert reverse_address(address.reverse_pointer) == str(address)
