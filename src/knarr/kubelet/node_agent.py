"""Registers this node, keeps its status and its Lease up to date."""

from __future__ import annotations

import asyncio
from pathlib import Path

from knarr.api.registry import LEASES, NODES
from knarr.apimachinery import timestamps
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.cri.runtime import CriError, Runtime
from knarr.kubelet import node_status
from knarr.kubelet.node_config import NodeConfig
from knarr.kubelet.node_facts import NodeFacts, read_pressure
from knarr.kubelet.node_status import Observed

_log = logs.get("kubelet.node")
_LEASE_NAMESPACE = "kube-node-lease"
#: Seconds between looks at the node, between looks while it is not ready, and between reports of no change.
_PERIOD, _UNREADY_PERIOD, _REPORT = 10.0, 0.05, 300.0
#: Seconds between renewals, and how long one holds.
_RENEW, _LEASE = 10.0, 40
_PAUSE, _LONGEST_PAUSE = 0.05, 7.0


class NodeAgent:
    """One node. `object` is the Node as the server last gave it."""

    def __init__(self, node: NodeConfig, facts: NodeFacts, runtime: Runtime, client: Client, clock: Clock) -> None:
        self.node, self.facts = node, facts
        self._runtime, self._client, self._clock = runtime, client, clock
        self._reported: Object = {}
        self._reported_at = float("-inf")
        self._runtime_version = ""
        self._disk: Path = node.root
        self._lease: Object | None = None
        self._changed = asyncio.Event()
        self._unready_since = clock.monotonic()
        self.object: Object = {}
        #: What is wrong with the runtime; empty when nothing is.
        self.trouble = ""
        #: Set once the node was told to be Ready.
        self.ready = asyncio.Event()

    def allocatable(self) -> dict[str, object]:
        """What pods may request of this node."""
        return dict(node_status.allocatable(self.facts, self.node.max_pods))

    async def register(self) -> Object:
        """Create the Node, or take over the one that is there; tries until it succeeds."""
        made = node_status.new_node(self.node, self.facts)
        now = self._clock.now()
        observed = await self._observe()
        made["status"] = node_status.node_status(self.node, self.facts, observed, {}, now)
        pause = _PAUSE
        while True:
            try:
                self.object = await self._create_or_get(made)
                break
            except (StatusError, ConnectionError) as error:
                _log.warning("node not registered yet", node=self.node.name, error=str(error))
            await self._clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        self._reported = self.object.get("status") or {}
        _log.info("node registered", node=self.node.name)
        return self.object

    async def _create_or_get(self, made: Object) -> Object:
        try:
            return await self._client.create(NODES, made)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
        found = await self._client.get(NODES, self.node.name)
        labels = made["metadata"]["labels"]
        if any((found["metadata"].get("labels") or {}).get(key) != value for key, value in labels.items()):
            patch = {"metadata": {"labels": labels}}
            found = await self._client.patch(NODES, self.node.name, patch)
        return found

    def look(self) -> None:
        """Something about the node may have changed: look at once."""
        self._changed.set()

    async def report(self) -> None:
        """Look at the node every ten seconds (sooner while it is not ready) and report what changed, for ever."""
        while True:
            try:
                await self._report_once()
            except (StatusError, ConnectionError) as error:
                _log.warning("node status not written", error=str(error))
                await self._clock.sleep(1)
            await self._wait()

    async def _wait(self) -> None:
        """Quick while the network comes up, then by the period."""
        young = self._clock.monotonic() - self._unready_since < _PERIOD
        await self._pause(_UNREADY_PERIOD if not self.ready.is_set() and young else _PERIOD)

    async def _pause(self, seconds: float) -> None:
        changed = asyncio.ensure_future(self._changed.wait())
        late = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({changed, late}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            late.cancel()
            await asyncio.gather(changed, late, return_exceptions=True)
        self._changed.clear()

    async def _report_once(self) -> None:
        observed = await self._observe()
        status = node_status.node_status(self.node, self.facts, observed, self._reported, self._clock.now())
        due = self._clock.monotonic() - self._reported_at >= _REPORT
        if due or not node_status.same(status, self._reported):
            patch = node_status.status_patch(status, self._reported)
            self.object = await self._client.patch(NODES, self.node.name, patch, subresource="status")
            self._reported, self._reported_at = status, self._clock.monotonic()
        if observed.unready:
            if self.ready.is_set():
                _log.warning("node not ready", why=observed.unready)
                self._unready_since = self._clock.monotonic()
            self.ready.clear()
        elif not self.ready.is_set():
            _log.info("node ready", node=self.node.name)
            self.ready.set()

    async def _observe(self) -> Observed:
        try:
            if not self._runtime_version:
                version = await self._runtime.version()
                self._runtime_version = f"{version['runtime_name']}://{version['runtime_version']}"
            unready = node_status.unready_reason(await self._runtime.status())
            images = await self._runtime.list_images()
        except CriError as error:
            self.trouble = f"container runtime is down: {error}"
            return Observed(read_pressure(self._disk), self.trouble, (), self._runtime_version)
        self.trouble = ""
        return Observed(read_pressure(self._disk), unready, images, self._runtime_version)

    async def keep_lease(self) -> None:
        """Renew the Lease, for ever."""
        pause = _PAUSE
        while True:
            try:
                await self._renew()
                pause = _PAUSE
                await self._clock.sleep(_RENEW)
            except (StatusError, ConnectionError) as error:
                self._lease = None
                _log.warning("lease not renewed", node=self.node.name, error=str(error))
                await self._clock.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _renew(self) -> None:
        if self._lease is None:
            self._lease = await self._find_lease()
        stamp = timestamps.micro(self._clock.now())
        if self._lease is None:
            self._lease = await self._client.create(LEASES, self._new_lease(stamp), _LEASE_NAMESPACE)
            return
        spec = {**self._lease["spec"], **self._lease_spec(stamp)}
        self._lease = await self._client.update(LEASES, {**self._lease, "spec": spec})

    async def _find_lease(self) -> Object | None:
        try:
            return await self._client.get(LEASES, self.node.name, _LEASE_NAMESPACE)
        except StatusError as error:
            if error.code != 404:
                raise
            return None

    def _lease_spec(self, stamp: str) -> Object:
        return {"holderIdentity": self.node.name, "leaseDurationSeconds": _LEASE, "renewTime": stamp}

    def _new_lease(self, stamp: str) -> Object:
        owner = {"apiVersion": "v1", "kind": "Node", "name": self.node.name, "uid": self.object["metadata"]["uid"]}
        metadata = {"name": self.node.name, "namespace": _LEASE_NAMESPACE, "ownerReferences": [owner]}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": self._lease_spec(stamp),
        }
