"""Does for the nodes of a simulation what their kubelets would: writes status, deletes pods, tells events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from knarr.api.registry import NODES, PODS
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.client.client import MERGE_PATCH, STRATEGIC_MERGE_PATCH, Client
from knarr.component_base.clock import Clock
from knarr.simulation import nodes, pods
from knarr.simulation.addresses import NodeAddresses
from knarr.simulation.stages import Next, Stage


@dataclass(slots=True)
class Host:
    """What is known of one simulated node."""

    name: str
    address: str
    pod_addresses: NodeAddresses
    #: When it is heard of again, in monotonic seconds.
    silent_until: float = 0.0


class Kubelets:
    """The kubelets of all simulated nodes. `tell(obj, type, reason, message)` records an event."""

    def __init__(self, client: Client, clock: Clock, tell: Callable[[Object, str, str, str], None]) -> None:
        self._client, self._clock, self._tell = client, clock, tell
        self.hosts: dict[str, Host] = {}
        #: The addresses that pods have, by their uid.
        self._addresses: dict[str, tuple[Host, str]] = {}

    def host_of(self, pod: Object) -> Host | None:
        """The simulated node on which a pod is."""
        return self.hosts.get(pod["spec"].get("nodeName") or "")

    def saw_pod(self, pod: Object, host: Host) -> None:
        """A pod is on a node of ours, with whatever address it has."""
        address, uid = (pod.get("status") or {}).get("podIP"), pod["metadata"]["uid"]
        if address and uid not in self._addresses and not pods.uses_host_network(pod):
            host.pod_addresses.hold(address)
            self._addresses[uid] = (host, address)

    def pod_gone(self, uid: str) -> None:
        """A pod is no more: its address is free."""
        found = self._addresses.pop(uid, None)
        if found:
            found[0].pod_addresses.free(found[1])

    def keep(self, uids: set[str]) -> None:
        """Only these pods are left."""
        for uid in [uid for uid in self._addresses if uid not in uids]:
            self.pod_gone(uid)

    async def play_pod(self, stage: Stage, pod: Object) -> float:
        """Do what a stage wants done to a pod; gives the seconds to wait while its node is not heard of."""
        host = self.host_of(pod)
        if host is None:
            return 0.0
        silence = host.silent_until - self._clock.monotonic()
        if silence > 0:
            return silence
        meta = pod["metadata"]
        self._event(stage.next, pod)
        if stage.next.pod:
            address = self._address(pod, host)
            patch = pods.status(pod, stage.next.pod, timestamps.seconds(self._clock.now()), host.address, address)
            await self._patch_pod(meta, patch, STRATEGIC_MERGE_PATCH)
        if stage.next.status:
            await self._patch_pod(meta, {"metadata": {"uid": meta["uid"]}, "status": stage.next.status}, MERGE_PATCH)
        if stage.next.delete:
            options = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
            await self._client.delete(PODS, meta["name"], meta["namespace"], options)
        return 0.0

    async def play_node(self, stage: Stage, node: Object) -> float:
        """Do what a stage wants done to a node; gives the seconds to wait while it is not heard of."""
        name = node["metadata"]["name"]
        host = self.hosts.get(name)
        if host is None:
            return 0.0
        silence = host.silent_until - self._clock.monotonic()
        if silence > 0:
            return silence
        self._event(stage.next, node)
        if stage.next.node:
            conditions = nodes.conditions(stage.next.node, timestamps.seconds(self._clock.now()))
            patch = {"status": {"conditions": conditions}}
            await self._client.patch(NODES, name, patch, subresource="status")
        if stage.next.status:
            patch = {"status": stage.next.status}
            await self._client.patch(NODES, name, patch, content_type=MERGE_PATCH, subresource="status")
        if stage.next.silence:
            host.silent_until = self._clock.monotonic() + stage.next.silence
        return 0.0

    async def _patch_pod(self, meta: Object, patch: Object, content_type: str) -> None:
        await self._client.patch(
            PODS, meta["name"], patch, meta["namespace"], content_type=content_type, subresource="status"
        )

    def _address(self, pod: Object, host: Host) -> str:
        """The pod's address; a new one if it has none yet."""
        if pods.uses_host_network(pod):
            # Endpoints must not be of loopback, as the node's own address is.
            return host.pod_addresses.gateway
        uid = pod["metadata"]["uid"]
        if uid not in self._addresses:
            address = host.pod_addresses.take()
            if not address:
                return ""
            self._addresses[uid] = (host, address)
        return self._addresses[uid][1]

    def _event(self, what: Next, obj: Object) -> None:
        if what.event:
            self._tell(obj, what.event["type"], what.event["reason"], what.event["message"])
