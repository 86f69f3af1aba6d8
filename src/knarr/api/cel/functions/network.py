"""Addresses and networks (https://pkg.go.dev/k8s.io/apiserver/pkg/cel/library#IP and #CIDR)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.functions.registry import Library
from knarr.apimachinery.field import quote

library = Library()
_NO_ZONE = "zone must be a non-empty string"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class IP:
    """An address as a value."""

    __slots__ = ("address",)
    kind = "net.IP"

    def __init__(self, address: Address) -> None:
        self.address = address

    @property
    def cost_size(self) -> int:
        """Its length in bytes."""
        return self.address.max_prefixlen // 8

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IP) and self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)


class CIDR:
    """A network with an address in it."""

    __slots__ = ("address", "length")
    kind = "net.CIDR"

    def __init__(self, address: Address, length: int) -> None:
        self.address, self.length = address, length

    @property
    def cost_size(self) -> int:
        """The length of its prefix in bytes."""
        return -(-self.length // 8)

    def base(self, address: Address) -> int:
        """What an address has in the bits of the prefix."""
        return int(address) >> (address.max_prefixlen - self.length)

    def holds(self, address: Address) -> bool:
        """Whether an address is in the network."""
        return address.version == self.address.version and self.base(address) == self.base(self.address)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CIDR) and (self.address, self.length) == (other.address, other.length)

    def __hash__(self) -> int:
        return hash((self.address, self.length))


def _parsed(text: str) -> Address:
    """Raises `ValueError`, in Go's words."""
    if not text or not any(char in text for char in ".:"):
        raise ValueError(f"ParseAddr({quote(text)}): unable to parse IP")
    bare, percent, zone = text.partition("%")
    if percent and (":" not in bare or not zone):
        raise ValueError(
            f"ParseAddr({quote(text)}): {'zone must be a non-empty string' if not zone else 'unexpected character'}"
        )
    try:
        return ipaddress.ip_address(bare)
    except ValueError:
        raise ValueError(f"ParseAddr({quote(text)}): {_fault(bare)}") from None


def _fault(text: str) -> str:
    if ":" in text:
        return "each colon-separated field must have at least one digit" if ":::" in text else "unable to parse IP"
    parts = text.split(".")
    if not all(part.isascii() and part.isdigit() for part in parts if part):
        bad = next(char for char in text if not (char.isascii() and char.isdigit()) and char != ".")
        return f"unexpected character (at {quote(text[text.index(bad) :])})"
    if any(len(part) > 1 and part[0] == "0" for part in parts):
        return "IPv4 field has octet with leading zero"
    if any(int(part) > 255 for part in parts if part):
        return "IPv4 field has value >255"
    return (
        "IPv4 address too short"
        if len(parts) < 4
        else "IPv4 address too long"
        if len(parts) > 4
        else "IPv4 field must have at least one digit"
    )


def _allowed(text: str, address: Address) -> Address:
    if address.version == 6 and address.ipv4_mapped is not None:
        raise EvaluationError(f"IPv4-mapped IPv6 address {quote(text)} is not allowed")
    return address


@library.add("ip", str)
def read_ip(text: str) -> IP:
    """The address of a text. Raises `EvaluationError`."""
    try:
        address = _parsed(text)
    except ValueError as error:
        words = f"IP Address {quote(text)} parse error during conversion from string: {error}"
        raise EvaluationError(words) from None
    if "%" in text:
        raise EvaluationError(f"IP address {quote(text)} with zone value is not allowed")
    return IP(_allowed(text, address))


@library.add("cidr", str)
def read_cidr(text: str) -> CIDR:
    """The network of a text. Raises `EvaluationError`."""
    try:
        found = _prefix(text)
    except ValueError as error:
        words = f"network address parse error during conversion from string: netip.ParsePrefix({quote(text)}): {error}"
        raise EvaluationError(words) from None
    _allowed(text, found.address)
    return found


def _prefix(text: str) -> CIDR:
    address, slash, length = text.rpartition("/")
    if not slash:
        raise ValueError("no '/'")
    if "%" in address:
        raise ValueError("IPv6 zones cannot be present in a prefix")
    try:
        found = _parsed(address)
    except ValueError as error:
        raise ValueError(str(error)) from None
    digits = length.isascii() and length.isdigit() and (length == "0" or length[0] != "0") and len(length) < 10
    if not digits:
        raise ValueError(f"bad bits after slash: {quote(length)}")
    if int(length) > found.max_prefixlen:
        raise ValueError("prefix length out of range")
    return CIDR(found, int(length))


def _is(read: Callable[[str], object]) -> Callable[[str], bool]:
    def found(text: str) -> bool:
        try:
            read(text)
        except EvaluationError:
            return False
        return True

    return found


library.add("isIP", str)(_is(read_ip))
library.add("isCIDR", str)(_is(read_cidr))


@library.add("string", IP)
def _text(value: IP) -> str:
    return str(value.address)


@library.add("string", CIDR)
def _network_text(value: CIDR) -> str:
    return f"{value.address}/{value.length}"


@library.add("ip.isCanonical", str)
def _is_canonical(text: str) -> bool:
    return _text(read_ip(text)) == text


@library.add("family", IP)
def _family(value: IP) -> int:
    return value.address.version


@library.add("isUnspecified", IP)
def _is_unspecified(value: IP) -> bool:
    return value.address.is_unspecified


@library.add("isLoopback", IP)
def _is_loopback(value: IP) -> bool:
    return value.address.is_loopback


@library.add("isLinkLocalMulticast", IP)
def _is_link_local_multicast(value: IP) -> bool:
    packed = value.address.packed
    return packed[:3] == b"\xe0\x00\x00" if value.address.version == 4 else packed[0] == 0xFF and packed[1] & 0xF == 2


@library.add("isLinkLocalUnicast", IP)
def _is_link_local(value: IP) -> bool:
    return value.address.is_link_local


@library.add("isGlobalUnicast", IP)
def _is_global(value: IP) -> bool:
    address = value.address
    if int(address) == 0xFFFFFFFF and address.version == 4:
        return False
    return not (address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local)


@library.add("ip", CIDR)
def _address(value: CIDR) -> IP:
    return IP(value.address)


@library.add("prefixLength", CIDR)
def _length(value: CIDR) -> int:
    return value.length


@library.add("masked", CIDR)
def _masked(value: CIDR) -> CIDR:
    bits = value.address.max_prefixlen - value.length
    return CIDR(type(value.address)(value.base(value.address) << bits), value.length)


@library.add("containsIP", CIDR, IP)
def _contains_ip(value: CIDR, other: IP) -> bool:
    return value.holds(other.address)


@library.add("containsIP", CIDR, str)
def _contains_ip_text(value: CIDR, other: str) -> bool:
    return value.holds(read_ip(other).address)


@library.add("containsCIDR", CIDR, CIDR)
def _contains_cidr(value: CIDR, other: CIDR) -> bool:
    return value.length <= other.length and value.holds(other.address)


@library.add("containsCIDR", CIDR, str)
def _contains_cidr_text(value: CIDR, other: str) -> bool:
    return _contains_cidr(value, read_cidr(other))
