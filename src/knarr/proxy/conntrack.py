"""Reads and deletes tracked UDP flows of this network namespace over netlink."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from typing import Any

from knarr.proxy.flows import Flow


async def udp_flows() -> list[Flow]:
    """Every tracked IPv4 UDP flow. Raises `OSError` when the kernel does not tell."""
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.netlink.nfnetlink.nfctsocket import AsyncNFCTSocket, NFCTAttrTuple

    async with AsyncNFCTSocket() as conntrack:
        wanted = NFCTAttrTuple(proto=socket.IPPROTO_UDP)
        try:
            return [_flow(message) async for message in await conntrack.dump(tuple_orig=wanted)]
        except NetlinkError as error:
            raise OSError(error.code, f"reading UDP flows: {error}") from error


async def forget(flows: Iterable[Flow]) -> None:
    """Delete flows; one that has ended meanwhile is no error. Raises `OSError` for other failures."""
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.netlink.nfnetlink.nfctsocket import AsyncNFCTSocket, NFCTAttrTuple

    async with AsyncNFCTSocket() as conntrack:
        for flow in flows:
            key = NFCTAttrTuple(
                saddr=flow.source[0],
                daddr=flow.destination[0],
                proto=socket.IPPROTO_UDP,
                sport=flow.source[1],
                dport=flow.destination[1],
            )
            try:
                await conntrack.entry("del", tuple_orig=key)
            except NetlinkError as error:
                if error.code != errno.ENOENT:
                    raise OSError(error.code, f"deleting the UDP flow {flow}: {error}") from error


def _flow(message: Any) -> Flow:
    original, reply = message.get_attr("CTA_TUPLE_ORIG"), message.get_attr("CTA_TUPLE_REPLY")
    return Flow(_end(original, "SRC"), _end(original, "DST"), _end(reply, "SRC"))


def _end(part: Any, side: str) -> tuple[str, int]:
    address = part.get_attr("CTA_TUPLE_IP").get_attr(f"CTA_IP_V4_{side}")
    port = part.get_attr("CTA_TUPLE_PROTO").get_attr(f"CTA_PROTO_{side}_PORT")
    return str(address), int(port)
