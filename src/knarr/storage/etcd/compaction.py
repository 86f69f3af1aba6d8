"""Compaction, shared by all servers of one etcd: each period one of them forgets what is older than the last period.

The servers meet at one key: who finds it at the version he knows writes it and compacts; the others only learn the new
version. The key, its value and the rule are kube-apiserver's, so that both may share an etcd.

https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apiserver/pkg/storage/etcd3/compact.go
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from knarr.storage.etcd.client import Client
from knarr.storage.etcd.messages import Target

KEY = b"compact_rev_key"
#: Seconds between two compactions, and so the least age of what is forgotten.
PERIOD = 300.0


class Compactor:
    """One server's part."""

    def __init__(self, client: Client, compact: Callable[[int], Awaitable[None]]) -> None:
        self._client = client
        self._compact = compact
        self._version = 0
        #: The store's revision at the last turn.
        self._revision = 0

    async def turn(self) -> bool:
        """One period is over; tells whether it was this server that compacted. Raises `StoreError`."""
        due = self._revision
        answer = await self._client.write("/etcdserverpb.KV/Txn", "TxnRequest", self._claim(due), "TxnResponse")
        self._revision = answer["header"]["revision"]
        if not answer["succeeded"]:
            found = answer["responses"][0]["response_range"]["kvs"]
            self._version = found[0]["version"] if found else 0
            return False
        self._version += 1
        if not due:
            # The first turn only learns where the store is.
            return False
        await self._compact(due)
        return True

    def _claim(self, revision: int) -> dict[str, object]:
        return {
            "compare": [{"target": Target.VERSION, "key": KEY, "version": self._version}],
            "success": [{"request_put": {"key": KEY, "value": str(revision).encode()}}],
            "failure": [{"request_range": {"key": KEY}}],
        }
