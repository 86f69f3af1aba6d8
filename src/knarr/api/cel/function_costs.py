"""What calls may cost at most, and how big their results may be, from the sizes of what they are given.

Sources: https://pkg.go.dev/github.com/google/cel-go/checker#CostEstimator,
https://pkg.go.dev/k8s.io/apiserver/pkg/cel/library#CostEstimator and cel-go's package ext (lists, sets).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from knarr.api.cel.nodes import Node
from knarr.api.cel.sizes import MOST, UNKNOWN, Size, capped, exactly, share

_TEXT, _PATTERN = 0.1, 0.25
_NOMINAL = frozenset(
    ("serviceAccount", "path", "group", "resource", "subresource", "namespace", "name", "allowed", "reason", "error")
    + ("errored", "masked", "prefixLength", "family", "isUnspecified", "isLoopback", "isLinkLocalMulticast")
    + ("isLinkLocalUnicast", "isGlobalUnicast", "format.named", "sign", "asInteger", "isInteger", "asApproximateFloat")
    + ("isGreaterThan", "isLessThan", "compareTo", "add", "sub", "major", "minor", "patch", "getScheme", "getHostname")
    + ("getHost", "getPort", "getEscapedPath", "getQuery")
)
_FORMAT_PATTERN = 128


class Entry(NamedTuple):
    """How big keys (of lists indices) and values of a container may be."""

    kind: str
    key: Size
    value: Size


@dataclass(frozen=True, slots=True)
class Argument:
    """What is known of an argument: its size, the size of its items by its schema, that of its entries."""

    node: Node
    known: Size | None
    item: Size | None
    entry: Entry | None

    @property
    def size(self) -> Size:
        """Its size, or that nothing is known of it."""
        return self.known or UNKNOWN


class Estimate(NamedTuple):
    """The most that a call may cost, and the size of its result."""

    cost: int
    size: Size | None = None


def call(node: Node, overload: str, given: Sequence[Argument], costs: Sequence[int]) -> Estimate:
    """One of the meanings of a call; `given` and `costs` have the receiver first. What they cost is counted in."""
    if overload in ("logical_and", "logical_or"):
        return Estimate(sum(costs))
    if overload == "conditional":
        return Estimate(costs[0] + max(costs[1], costs[2]), given[1].size.or_else(given[2].size))
    own = _extension(overload, given) or _library(node, overload, given) or _standard(overload, given) or Estimate(1)
    return Estimate(own.cost + sum(costs), own.size)


def _read(size: Size, factor: float = _TEXT) -> int:
    return share(size.most, factor)


def _longer(size: Size) -> Size:
    return size.plus(exactly(1))


def _extension(overload: str, given: Sequence[Argument]) -> Estimate | None:
    made = _EXTENSIONS.get(overload)
    if made is not None:
        return made(given)
    if overload.endswith("_sort"):
        return _compared(given[0].size, overload)
    if overload.endswith("_sortByAssociatedKeys"):
        return _compared(given[1].size, overload)
    return None


def _allocated(factor: float, size: Size) -> Estimate:
    return Estimate(_read(size, factor) + 11, size)


def _compared(size: Size, overload: str = "") -> Estimate:
    factor = 2.1 if "_string_" in overload or "_bytes_" in overload else 2.0
    return _allocated(factor, size.times(size))


def _number(argument: Argument, otherwise: int) -> int:
    value = argument.node.value
    return max(value, 0) if argument.node.kind == "const" and type(value) is int else otherwise


def _flattened(given: Sequence[Argument]) -> Estimate:
    return _allocated(float(_number(given[1], MOST)) if len(given) == 2 else 1.0, given[0].size)


def _sliced(given: Sequence[Argument]) -> Estimate:
    start, end = _number(given[1], 0), _number(given[2], given[0].size.most)
    return _allocated(1.0, exactly(max(end - start, 0)))


def _sets(factor: float) -> Callable[[Sequence[Argument]], Estimate]:
    return lambda given: Estimate(_read(given[0].size.times(given[1].size), factor) + 1)


_EXTENSIONS: dict[str, Callable[[Sequence[Argument]], Estimate]] = {
    "list_slice": _sliced,
    "list_flatten": _flattened,
    "list_flatten_int": _flattened,
    "lists_range": lambda given: _allocated(1.0, exactly(_number(given[0], MOST))),
    "list_reverse": lambda given: _allocated(1.0, given[0].size),
    "list_distinct": lambda given: _compared(given[0].size),
    "list_contains_list": _sets(1.0),
    "list_intersects_list": _sets(1.0),
    "list_equivalent_list": _sets(2.0),
}


def _library(node: Node, overload: str, given: Sequence[Argument]) -> Estimate | None:
    if node.name in _NOMINAL:
        return Estimate(1)
    made = _LIBRARIES.get(node.name)
    return None if made is None else made(given, overload)


def _parsed(given: Sequence[Argument], overload: str) -> Estimate:
    return Estimate(1 if overload == "cidr_ip" else _read(given[0].size))


def _parsed_twice(given: Sequence[Argument], overload: str) -> Estimate:
    return Estimate(_read(given[0].size, 2 * _TEXT))


def _kept(given: Sequence[Argument], overload: str) -> Estimate:
    return Estimate(_read(given[0].size), given[0].size)


def _selector(given: Sequence[Argument], overload: str) -> Estimate:
    size = given[1].size
    return Estimate(10 + _read(size) + share(share(size.most, 0.5), 50))


def _aggregate(given: Sequence[Argument], overload: str) -> Estimate:
    held = given[0].node.type
    if not held.params:
        return Estimate(_read(given[0].size))
    each = 1 + (_read(given[0].item or UNKNOWN) if held.params[0].kind in ("string", "bytes") else 0)
    return Estimate(given[0].size.most * each)


def _replaced(given: Sequence[Argument], overload: str) -> Estimate:
    text, old, new = (argument.size for argument in given[:3])
    if old.least == 0:
        most = capped(capped(text.most + 1) * new.most + text.most)
    elif new.most <= old.least:
        most = text.most
    else:
        most = capped(share(text.most, 1 / old.least) * new.most)
    if old.most == 0:
        least = (text.least + 1) * new.least + text.least
    elif old.most <= new.least:
        least = text.least
    else:
        least = share(text.least, 1 / old.most) * new.least
    return Estimate(_read(text, 2 * _TEXT), Size(min(least, most), most))


def _split(given: Sequence[Argument], overload: str) -> Estimate:
    text = given[0].size
    most = _number(given[2], text.most) if len(given) > 2 else text.most
    return Estimate(_read(text, 2 * _TEXT), Size(0, most))


def _joined(given: Sequence[Argument], overload: str) -> Estimate:
    count = given[0].size
    size = count.times(given[0].item or UNKNOWN)
    if len(given) > 1:
        size = size.plus(given[1].size.times(Size(max(count.least - 1, 0), max(count.most - 1, 0))))
    return Estimate(_read(size), size)


def _found(given: Sequence[Argument], overload: str) -> Estimate:
    return Estimate(_searched(given), Size(0, given[0].size.most))


def _searched(given: Sequence[Argument]) -> int:
    return capped(_read(_longer(given[0].size)) * _read(given[1].size, _PATTERN))


def _validated(given: Sequence[Argument], overload: str) -> Estimate:
    return Estimate(share(_read(given[1].size), _FORMAT_PATTERN * _PATTERN))


def _held(given: Sequence[Argument], overload: str) -> Estimate:
    # Addresses have up to 16 bytes.
    cost = 4 if overload.startswith("cidr_contains_ip") else 4 + 2 + 1
    return Estimate(cost + (_read(given[1].size) if overload.endswith("_string") else 0))


def _equal(given: Sequence[Argument], overload: str) -> Estimate | None:
    left, right = given[0].node.type, given[1].node.type
    if left != right or left.kind != "opaque" or not left.name.startswith(("kubernetes.", "net.")):
        return None
    if left.name == "kubernetes.URL":
        return Estimate(_read(given[1].known or exactly(1)))
    return Estimate(7 if left.name == "kubernetes.NamedFormat" else 1)


_LIBRARIES: dict[str, Callable[[Sequence[Argument], str], Estimate | None]] = {
    "check": lambda given, overload: Estimate(350_000),
    **dict.fromkeys(("fieldSelector", "labelSelector"), _selector),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _aggregate),
    **dict.fromkeys(("url", "jsonpatch.escapeKey", "lowerAscii", "upperAscii", "substring", "trim"), _kept),
    **dict.fromkeys(("ip", "cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"), _parsed),
    "ip.isCanonical": _parsed_twice,
    "replace": _replaced,
    "split": _split,
    "join": _joined,
    **dict.fromkeys(("find", "findAll"), _found),
    "validate": _validated,
    **dict.fromkeys(("containsIP", "containsCIDR"), _held),
    "_==_": _equal,
}


def _standard(overload: str, given: Sequence[Argument]) -> Estimate | None:
    made = _STANDARD.get(overload)
    return None if made is None else made(given)


def _compared_whole(given: Sequence[Argument]) -> Estimate:
    return Estimate(share(min(given[0].size.most, given[1].size.most), _TEXT))


def _added(given: Sequence[Argument]) -> Estimate:
    size = given[0].size.plus(given[1].size)
    return Estimate(_read(size), size)


def _added_lists(given: Sequence[Argument]) -> Estimate:
    return Estimate(1, given[0].size.plus(given[1].size))


def _encoded(given: Sequence[Argument]) -> Estimate:
    size = given[0].size
    return Estimate(_read(size), Size(size.least, capped(size.most * 4)))


def _decoded(given: Sequence[Argument]) -> Estimate:
    size = given[0].size
    return Estimate(_read(size), Size(size.least // 4, size.most))


def _quoted(given: Sequence[Argument]) -> Estimate:
    size = given[0].size
    return Estimate(_read(size), Size(size.least + 2, capped(size.most * 2 + 2)))


_STANDARD: dict[str, Callable[[Sequence[Argument]], Estimate]] = {
    "string_format": lambda given: Estimate(_read(given[0].size)),
    "string_to_bytes": _encoded,
    "bytes_to_string": _decoded,
    "strings_quote": _quoted,
    **dict.fromkeys(("starts_with_string", "ends_with_string"), lambda given: Estimate(_read(given[1].size))),
    "in_list": lambda given: Estimate(given[1].size.most),
    "matches_string": lambda given: Estimate(_searched(given)),
    "contains_string": lambda given: Estimate(capped(_read(given[0].size) * _read(given[1].size))),
    **dict.fromkeys(("add_string", "add_bytes"), _added),
    "add_list": _added_lists,
    **{
        f"{word}_{kind}": _compared_whole
        for word in ("less", "less_equals", "greater", "greater_equals")
        for kind in ("string", "bytes")
    },
    **dict.fromkeys(("equals", "not_equals"), _compared_whole),
}
