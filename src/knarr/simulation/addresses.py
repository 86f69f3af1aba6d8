"""Addresses for the pods of a node: the lowest free one of its /24. Pure."""

from __future__ import annotations

import ipaddress

#: Of a /24: without the network's own, the bridge's and the last.
_FIRST, _LAST = 2, 254


class NodeAddresses:
    """The pod addresses of one node; one bit each."""

    __slots__ = ("_base", "_taken")

    def __init__(self, pod_cidr: str) -> None:
        self._base = int(ipaddress.ip_network(pod_cidr).network_address)
        self._taken = (1 << _FIRST) - 1

    @property
    def gateway(self) -> str:
        """The node's own address among those of its pods."""
        return str(ipaddress.IPv4Address(self._base + 1))

    def take(self) -> str:
        """A free address; empty if there is none."""
        number = (~self._taken & (self._taken + 1)).bit_length() - 1
        if number > _LAST:
            return ""
        self._taken |= 1 << number
        return str(ipaddress.IPv4Address(self._base + number))

    def hold(self, address: str) -> None:
        """Mark an address as taken; one of another range is nobody's business here."""
        number = self._number(address)
        if number is not None:
            self._taken |= 1 << number

    def free(self, address: str) -> None:
        """Take an address back."""
        number = self._number(address)
        if number is not None and number >= _FIRST:
            self._taken &= ~(1 << number)

    def _number(self, address: str) -> int | None:
        number = int(ipaddress.IPv4Address(address)) - self._base
        return number if 0 <= number <= 255 else None
