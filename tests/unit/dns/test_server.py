"""Queries as bytes: cache, truncation, forwarding, failure."""

from __future__ import annotations

import asyncio
from typing import Any

import dns.flags
import dns.message
import dns.rcode

from knarr.component_base.tasks import Tasks
from knarr.dns.forward import Forwarder, Upstream, resolvers
from knarr.dns.records import Zone
from knarr.dns.server import Resolver, serve
from knarr.dns.view import View

ZONE = Zone("cluster.local", "10.43.0.10")


def many(count: int) -> View:
    view = View()
    view.put_namespace({"metadata": {"name": "ns"}})
    view.put_service({"metadata": {"name": "heads", "namespace": "ns"}, "spec": {"clusterIP": "None"}})
    meta = {"name": "heads-a", "namespace": "ns", "labels": {"kubernetes.io/service-name": "heads"}}
    endpoints = [{"addresses": [f"10.42.{n // 250}.{n % 250 + 1}"], "conditions": {}} for n in range(count)]
    view.put_slice({"metadata": meta, "addressType": "IPv4", "ports": [], "endpoints": endpoints})
    return view


def resolver(view: View, upstreams: tuple[Upstream, ...] = (), *, ready: bool = True) -> Resolver:
    return Resolver(view, ZONE, Forwarder(upstreams, patience=1), lambda: ready)


def ask(name: str, on: Resolver, *, udp: bool = True, edns: bool = False) -> dns.message.Message:
    query = dns.message.make_query(name, "A", use_edns=edns, payload=4096)
    wire = asyncio.run(on.resolve(query.to_wire(), udp=udp))
    assert wire is not None
    response = dns.message.from_wire(wire)
    assert response.id == query.id
    assert query.is_response(response)
    return response


def test_answers_keep_the_letters_of_the_question() -> None:
    response = ask("Heads.NS.svc.Cluster.local.", resolver(many(1)))
    assert response.answer[0].name.to_text() == "Heads.NS.svc.Cluster.local."
    assert response.flags & dns.flags.AA
    assert response.answer[0].ttl == 5


def test_negative_answers_carry_the_zone() -> None:
    response = ask("nope.ns.svc.cluster.local.", resolver(many(1)))
    assert response.rcode() == dns.rcode.NXDOMAIN
    assert response.authority[0].to_text().startswith("cluster.local. 5 IN SOA")


def test_long_answers_are_cut_over_udp_only() -> None:
    on = resolver(many(120))
    assert ask("heads.ns.svc.cluster.local.", on).flags & dns.flags.TC
    assert ask("heads.ns.svc.cluster.local.", on, edns=True).flags & dns.flags.TC
    whole = ask("heads.ns.svc.cluster.local.", on, udp=False)
    assert not whole.flags & dns.flags.TC
    assert len(whole.answer[0]) == 120


def test_the_quick_way_ends_with_the_next_change() -> None:
    view = many(1)
    on = resolver(view)
    wire = dns.message.make_query("heads.ns.svc.cluster.local.", "A", id=7).to_wire()
    assert on.quick(wire, udp=True) is None
    slow = asyncio.run(on.resolve(wire, udp=True))
    assert on.quick(wire, udp=True) == slow
    assert on.quick(b"\0\x08" + wire[2:], udp=True) == b"\0\x08" + (slow or b"")[2:]
    view.put_namespace({"metadata": {"name": "other"}})
    assert on.quick(wire, udp=True) is None


def test_before_the_caches_are_filled_nothing_is_denied() -> None:
    assert ask("web.ns.svc.cluster.local.", resolver(View(), ready=False)).rcode() == dns.rcode.SERVFAIL


def test_without_a_resolver_foreign_names_fail_at_once() -> None:
    assert ask("example.org.", resolver(View())).rcode() == dns.rcode.SERVFAIL


def test_resolvers_never_include_ourselves() -> None:
    text = "search x\nnameserver 10.43.0.10\nnameserver 192.0.2.53 # far\nnameserver 192.0.2.53\noptions ndots:5\n"
    assert resolvers(text, ["10.43.0.10"]) == (Upstream("192.0.2.53"),)


def test_garbage_gets_no_answer() -> None:
    for wire in (b"", b"x" * 11, b"\0" * 12, b"\0\1\x80\0" + b"\0" * 8):
        assert asyncio.run(resolver(View()).resolve(wire, udp=True)) is None


class _Upstream(asyncio.DatagramProtocol):
    """A resolver that knows one address, after a first reply with a wrong id."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        name = query.question[0].name
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.99"))
        wire = response.to_wire()
        self.transport.sendto(bytes([wire[0] ^ 1]) + wire[1:], addr)
        self.transport.sendto(wire, addr)


def test_foreign_names_and_aliases_come_from_the_resolver() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        silent, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        transport, _ = await loop.create_datagram_endpoint(_Upstream, local_addr=("127.0.0.1", 0))
        ports = [one.get_extra_info("sockname")[1] for one in (silent, transport)]
        view = many(1)
        spec = {"type": "ExternalName", "externalName": "example.org"}
        view.put_service({"metadata": {"name": "out", "namespace": "ns"}, "spec": spec})
        on = resolver(view, tuple(Upstream("127.0.0.1", port) for port in ports))
        for name in ("example.org.", "out.ns.svc.cluster.local."):
            query = dns.message.make_query(name, "A")
            response = dns.message.from_wire(await on.resolve(query.to_wire(), udp=True) or b"")
            assert response.id == query.id
            assert response.answer[-1].to_text() == "example.org. 60 IN A 192.0.2.99"
        silent.close()
        transport.close()

    asyncio.run(main())


def test_udp_and_tcp_sockets_answer() -> None:
    async def main() -> None:
        tasks = Tasks()
        close = await serve(resolver(many(40)), tasks, ["127.0.0.1"], port := await _free_port())
        query = dns.message.make_query("heads.ns.svc.cluster.local.", "A")
        own = Forwarder([Upstream("127.0.0.1", port)], patience=60)
        for _ in range(2):
            udp = dns.message.from_wire(await own.ask(query.to_wire(), udp=True) or b"")
            assert udp.flags & dns.flags.TC
        tcp = dns.message.from_wire(await own.ask(query.to_wire(), udp=False) or b"")
        assert len(tcp.answer[0]) == 40
        close()
        await tasks.close()

    asyncio.run(main())


async def _free_port() -> int:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port
