"""Numbers from a range, each given out once: cluster IPs and node ports. In memory; the Services are the record.

The lower part of a range is left for those that ask for a number of their own, as long as the upper has any.
Source: https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/
"""

from __future__ import annotations

import contextlib
import ipaddress
import random
from collections.abc import Collection, Container, Iterable


class RangeError(Exception):
    """A number cannot be given; the text says why, in Kubernetes' words."""


class NumberRange:
    """Numbers from `first` to `last`, those below `dynamic` only when the rest is used up."""

    def __init__(self, first: int, last: int, dynamic: int) -> None:
        self.first = first
        self.last = last
        self.dynamic = min(max(dynamic, first), last)
        self._used: set[int] = set()

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def is_used(self, number: int) -> bool:
        """Whether somebody has the number."""
        return number in self._used

    def take(self, number: int) -> None:
        """Mark a number as used, whether it was or not."""
        self._used.add(number)

    def release(self, number: int) -> None:
        """Give a number back."""
        self._used.discard(number)

    def keep_only(self, numbers: Collection[int]) -> None:
        """Mark exactly these as used."""
        self._used = set(numbers)

    def free(self, but: Container[int] = ()) -> int:
        """Some number that nobody has and that is not in `but`. Raises `RangeError`."""
        for low, high in ((self.dynamic, self.last), (self.first, self.dynamic - 1)):
            found = self._free_between(low, high, but)
            if found is not None:
                return found
        raise RangeError("range is full")

    def pretend(self, mine: Collection[int]) -> int:
        """What a dry run is shown: no number that anybody could get."""
        return max(mine) + 1 if mine else self.last + 2

    def _free_between(self, low: int, high: int, but: Container[int]) -> int | None:
        if high < low:
            return None
        begin = random.randint(low, high)
        for part in (range(begin, high + 1), range(low, begin)):
            for number in part:
                if number not in self._used and number not in but:
                    return number
        return None


class AddressRange(NumberRange):
    """The addresses of a CIDR that Services may have."""

    def __init__(self, cidr: str) -> None:
        self.network = ipaddress.ip_network(cidr)
        first = int(self.network.network_address) + 1
        last = int(self.network.broadcast_address) - (1 if self.network.version == 4 else 0)
        size = last - first + 1
        offset = 0 if size < 16 else min(max(16, size // 16), 256)
        super().__init__(first, last, first + offset)
        #: Ranges that were added later: what is used of them is in this one's record.
        self._more: list[AddressRange] = []

    def extend(self, cidrs: Iterable[str]) -> None:
        """Give out addresses of these ranges too, once the first is full; those of another family are left out."""
        added = [AddressRange(cidr) for cidr in cidrs if cidr != str(self.network)]
        self._more = [each for each in added if each.family == self.family]

    def __contains__(self, number: int) -> bool:
        return super().__contains__(number) or any(number in each for each in self._more)

    def free(self, but: Container[int] = ()) -> int:
        """Some address that nobody has and that is not in `but`. Raises `RangeError`."""
        try:
            return super().free(but)
        except RangeError:
            for each in self._more:
                each.keep_only(self._used)
                with contextlib.suppress(RangeError):
                    return each.free(but)
            raise

    def pretend(self, mine: Collection[int]) -> int:
        """What a dry run is shown: the network's own address."""
        return self.first - 1

    @property
    def family(self) -> str:
        """`IPv4` or `IPv6`."""
        return f"IPv{self.network.version}"

    def check(self, text: str, *, dry_run: bool = False) -> int:
        """The number of an address that is free; a dry run may have a taken one. Raises `RangeError`."""
        number = self.number(text)
        if number not in self:
            raise RangeError(
                f"the provided IP ({text}) is not in the valid range. The range of valid IPs is {self.network}"
            )
        if not dry_run and self.is_used(number):
            raise RangeError("provided IP is already allocated")
        return number

    def number(self, text: str) -> int:
        """The number of an address."""
        return int(ipaddress.ip_address(text))

    def show(self, number: int) -> str:
        """The address of a number."""
        return str(ipaddress.IPv4Address(number) if self.network.version == 4 else ipaddress.IPv6Address(number))


class PortRange(NumberRange):
    """The node ports."""

    def __init__(self, first: int, last: int) -> None:
        size = last - first + 1
        offset = 0 if size < 16 else min(max(16, size // 32), 128)
        super().__init__(first, last, first + offset)

    def check(self, number: int, *, dry_run: bool = False) -> int:
        """A port that is free; a dry run may have one out of range. Raises `RangeError`."""
        if number not in self and not dry_run:
            raise RangeError(
                f"provided port is not in the valid range. The range of valid ports is {self.first}-{self.last}"
            )
        if self.is_used(number):
            raise RangeError("provided port is already allocated")
        return number
