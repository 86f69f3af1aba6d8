"""Where an etcd is, as text."""

from __future__ import annotations

import pytest

from knarr.storage.etcd.endpoints import Endpoint, parse


def test_endpoints_are_read_and_shown() -> None:
    found = parse("http://10.0.0.1:2379, https://etcd.example,http://[::1]:4001,unix:///run/etcd.sock")
    assert found == [
        Endpoint("10.0.0.1", 2379),
        Endpoint("etcd.example", 2379, tls=True),
        Endpoint("::1", 4001),
        Endpoint(path="/run/etcd.sock"),
    ]
    assert [str(one) for one in found] == [
        "http://10.0.0.1:2379",
        "https://etcd.example:2379",
        "http://[::1]:4001",
        "unix:///run/etcd.sock",
    ]


@pytest.mark.parametrize("text", ["", "localhost:2379", "mysql://host/db", "http://host:1/path", "unix://host/path"])
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        parse(text)
