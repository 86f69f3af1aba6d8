"""Which servers of one store live: each keeps a key with its address that ends by itself when it is not renewed.

Keys and values are kube-apiserver's (pkg/controlplane/reconcilers/lease.go): Service `kubernetes` leads to all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import orjson

from knarr.api.bootstrap.system import Endpoint
from knarr.storage.store import ConflictError, Expiring, KeyExistsError, KeyNotFoundError, Store

PREFIX = "/registry/masterleases/"
#: Seconds until a server that does not renew its key is dead, and between two renewals.
LIFETIME, PERIOD = 15, 10.0
_ATTEMPTS = 5


@runtime_checkable
class LeaseStore(Store, Expiring, Protocol):
    """A store whose keys can end by themselves."""


class MasterLeases:
    """The key of one server, and what it sees of the others."""

    def __init__(self, store: LeaseStore, endpoint: Endpoint) -> None:
        self._store = store
        self._endpoint = endpoint
        self._key = PREFIX + endpoint.address

    async def renew(self) -> Sequence[Endpoint]:
        """Say that this server lives; gives all that do. Raises `StoreError`."""
        value = _value(self._endpoint.address)
        for _ in range(_ATTEMPTS):
            found = await self._store.get(self._key)
            try:
                if found is None:
                    await self._store.create_for(self._key, value, LIFETIME)
                else:
                    await self._store.update_for(self._key, value, found.mod_revision, LIFETIME)
                break
            except (KeyExistsError, KeyNotFoundError, ConflictError):
                # It has ended this moment, or another server uses the same address.
                continue
        return await self.living()

    async def leave(self) -> Sequence[Endpoint]:
        """Say that this server ends; gives the others. Raises `StoreError`."""
        found = await self._store.get(self._key)
        if found is not None:
            await self._store.delete(self._key, found.mod_revision)
        return await self.living()

    async def living(self) -> Sequence[Endpoint]:
        """The servers that live, all on this one's port, in the order of their addresses. Raises `StoreError`."""
        page = await self._store.list(PREFIX)
        return [Endpoint(kv.key.removeprefix(PREFIX), self._endpoint.port) for kv in page.items]


def _value(address: str) -> bytes:
    subsets = [{"addresses": [{"ip": address}]}]
    return orjson.dumps({"metadata": {}, "subsets": subsets, "kind": "Endpoints", "apiVersion": "v1"})
