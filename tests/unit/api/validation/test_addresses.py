"""Addresses and networks: exact ones are taken, odd ones refused or remarked."""

from __future__ import annotations

import pytest

from knarr.api.validation import names
from knarr.api.validation.addresses import address_warnings, network_warnings


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("10.0.0.0/8", ()),
        ("2001:DB8::/32", ()),
        ("010.0.0.0/8", ("must not have leading 0s in IP or prefix length",)),
        ("10.0.0.0/08", ("must not have leading 0s in IP or prefix length",)),
        ("10.0.0.1/8", ("must not have bits set beyond the prefix length",)),
        ("::ffff:10.0.0.0/104", ("must not have an IPv4-mapped IPv6 address",)),
        ("10.0.0.0", (names.CIDR_WRONG,)),
        ("10.0.0.0/33", (names.CIDR_WRONG,)),
    ],
)
def test_networks_are_exact(text: str, wrong: tuple[str, ...]) -> None:
    assert names.cidr(text) == wrong


def test_new_kinds_want_the_one_way_of_writing() -> None:
    assert names.canonical_cidr("2001:DB8::/32") == ('must be in canonical form ("2001:db8::/32")',)
    assert names.canonical_ip("2001:db8:0::1") == ('must be in canonical form ("2001:db8::1")',)


def test_older_kinds_are_told_of_it() -> None:
    assert address_warnings("a", "10.0.0.1") == []
    assert address_warnings("a", "2001:DB8::1") == [
        'a: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")'
    ]
    assert address_warnings("a", "010.0.0.1") == [
        'a: non-standard IP address "010.0.0.1" will be considered invalid'
        ' in a future Kubernetes release: use "10.0.0.1"'
    ]
    assert network_warnings("a", "2001:DB8::/32") == [
        'a: IPv6 CIDR value "2001:DB8::/32" should be in RFC 5952 canonical format ("2001:db8::/32")'
    ]
