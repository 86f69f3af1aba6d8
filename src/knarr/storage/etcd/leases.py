"""Leases for keys that end by themselves. Keys written shortly after one another share a lease, as kube-apiserver's do.

https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apiserver/pkg/storage/etcd3/lease_manager.go
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from knarr.storage.etcd.client import Client
from knarr.storage.store import StoreError

#: A lease serves new keys for this long (seconds, or this part of its time where that is shorter), and so many keys.
_SHARED_SECONDS, _SHARED_PART, _MOST_KEYS = 60.0, 0.05, 1000


class _Lease(NamedTuple):
    id: int
    #: Until when (the loop's time) it serves new keys, and how many it has.
    until: float
    keys: int


class Leases:
    """Gives each key a lease of at least its time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._open: dict[int, _Lease] = {}

    async def take(self, seconds: int) -> int:
        """The id of a lease that lives at least `seconds`. Raises `StoreError`."""
        now = asyncio.get_running_loop().time()
        lease = self._open.get(seconds)
        if lease is None or now >= lease.until or lease.keys >= _MOST_KEYS:
            shared = min(_SHARED_SECONDS, seconds * _SHARED_PART)
            lease = _Lease(await self._grant(seconds + round(shared + 0.5)), now + shared, 0)
        self._open[seconds] = lease._replace(keys=lease.keys + 1)
        return lease.id

    async def _grant(self, seconds: int) -> int:
        # Granting twice does no harm: a lease without keys ends unnoticed.
        path = "/etcdserverpb.Lease/LeaseGrant"
        answer = await self._client.read(path, "LeaseGrantRequest", {"ttl": seconds}, "LeaseGrantResponse")
        if answer["error"]:
            raise StoreError(f"no lease: {answer['error']}")
        granted: int = answer["id"]
        return granted
