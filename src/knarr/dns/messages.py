"""DNS messages on the wire: questions in, replies out. dnspython does the encoding."""

from __future__ import annotations

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from knarr.dns.records import Record, Reply, Zone

#: What we offer to receive over UDP, and the most we send: fits a packet without fragments.
PAYLOAD = 1232
_PLAIN_PAYLOAD = 512
_LONGEST_TCP = 65535


def parse(wire: bytes) -> dns.message.Message | None:
    """A query; `None` for what is no query with one question of class IN."""
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return None
    if message.flags & dns.flags.QR or len(message.question) != 1:
        return None
    return message


def question(message: dns.message.Message) -> tuple[str, str]:
    """(name in lower case without the final dot, type) of a query."""
    asked = message.question[0]
    return asked.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(asked.rdtype)


def respond(message: dns.message.Message, reply: Reply, zone: Zone, ttl: int) -> dns.message.Message:
    """The response to `message`: authoritative, with the zone's SOA where there is no answer. `ttl` in seconds."""
    response = _start(message)
    response.flags |= dns.flags.AA
    asked = message.question[0].name
    response.set_rcode(dns.rcode.NOERROR if reply.found else dns.rcode.NXDOMAIN)
    _add(response.answer, reply.answers, ttl, asked)
    _add(response.additional, reply.additional, ttl, asked)
    if not reply.answers:
        _add(response.authority, (zone.authority,), ttl, asked)
    return response


def fail(message: dns.message.Message, rcode: dns.rcode.Rcode = dns.rcode.SERVFAIL) -> dns.message.Message:
    """A response that carries nothing but a code."""
    response = _start(message)
    response.set_rcode(rcode)
    return response


def append(response: dns.message.Message, foreign: bytes) -> None:
    """Add the answers of another resolver's reply (to the target of a CNAME) to ours."""
    try:
        other = dns.message.from_wire(foreign, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return
    response.answer.extend(other.answer)


def query(name: str, kind: str) -> bytes:
    """A recursive query of our own."""
    return dns.message.make_query(name, kind).to_wire()


def encode(response: dns.message.Message, message: dns.message.Message, *, udp: bool) -> bytes:
    """The response's bytes; over UDP cut (with the TC flag) to what the client can take."""
    if not udp:
        return response.to_wire(max_size=_LONGEST_TCP)
    size = min(max(message.payload, _PLAIN_PAYLOAD), PAYLOAD) if message.edns >= 0 else _PLAIN_PAYLOAD
    return response.to_wire(max_size=size, prefer_truncation=True)


def _start(message: dns.message.Message) -> dns.message.Message:
    return dns.message.make_response(message, recursion_available=True, our_payload=PAYLOAD)


def _add(section: list[dns.rrset.RRset], records: tuple[Record, ...], ttl: int, asked: dns.name.Name) -> None:
    """Group records into sets; the asked name keeps the letters the client wrote (some check them)."""
    lower = asked.to_text(omit_final_dot=True).lower()
    sets: dict[tuple[str, str], list[str]] = {}
    for record in records:
        sets.setdefault((record.name, record.type), []).append(record.data)
    for (name, kind), data in sets.items():
        owner = asked if name == lower else dns.name.from_text(name + ".")
        section.append(dns.rrset.from_text_list(owner, ttl, dns.rdataclass.IN, kind, data))
