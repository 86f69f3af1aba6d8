"""Attachments under faults: an exclusive volume is never on two nodes, and is not taken from one that mounts it."""

from __future__ import annotations

import pytest
from tests.sim.faults import PARTS, FaultyWorld, try_seeds

from knarr.api.registry import NODES, PODS, PVCS, PVS, VOLUMEATTACHMENTS
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.controller import attach_detach

NS = "default"
NOTES = {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
VOLUMES = ("c1", "c2")


def reported(claim: str) -> str:
    return f"kubernetes.io/csi/x.example.com^handle-{claim}"


class Sim:
    """Pods come and go on two nodes; agents mount what they are told is attached; an attacher attaches and detaches."""

    def __init__(self, seed: int) -> None:
        self.world = FaultyWorld((attach_detach.CONTROLLER,), seed)
        self.random, self.api = self.world.random, self.world.api
        self.api.graceful = False
        self.count = 0
        for name in ("a", "b"):
            ready = [{"type": "Ready", "status": "True"}]
            status = {"conditions": ready, "volumesInUse": [], "volumesAttached": []}
            self.api.put(NODES, {"metadata": {"name": name, "annotations": NOTES}, "spec": {}, "status": status})
        for claim in VOLUMES:
            source = {"driver": "x.example.com", "volumeHandle": f"handle-{claim}"}
            ref = {"namespace": NS, "name": claim, "uid": f"u-{claim}"}
            spec = {"accessModes": ["ReadWriteOnce"], "csi": source, "claimRef": ref}
            self.api.put(PVS, {"metadata": {"name": f"v-{claim}"}, "spec": spec})
            meta = {"name": claim, "namespace": NS, "uid": f"u-{claim}"}
            self.api.put(PVCS, {"metadata": meta, "spec": {"volumeName": f"v-{claim}"}})
        self.api.listeners.append(self.watch)

    def watch(self, change: tuple[Resource, Object | None, Object | None, int]) -> None:
        resource, old, new, _ = change
        if resource is not VOLUMEATTACHMENTS:
            return
        places: dict[str, list[str]] = {}
        for each in self.api.list(VOLUMEATTACHMENTS):
            places.setdefault(self.claim(each), []).append(each["spec"]["nodeName"])
        for claim, nodes in places.items():
            if len(nodes) > 1:
                self.world.wrong.append(f"{claim} is on {nodes}")
        going = new is None or (new["metadata"].get("deletionTimestamp") and old is not None)
        if going and old is not None and not old["metadata"].get("deletionTimestamp"):
            status = self.api.get(NODES, "", old["spec"]["nodeName"])["status"]
            if reported(self.claim(old)) in status["volumesInUse"]:
                self.world.wrong.append(f"{self.claim(old)} was taken from {old['spec']['nodeName']}, which mounts it")

    @staticmethod
    def claim(attachment: Object) -> str:
        return str(attachment["spec"]["source"]["persistentVolumeName"]).removeprefix("v-")

    def happens(self) -> None:
        draw, pods = self.random.random(), list(self.api.list(PODS))
        if draw < 0.2 or not pods:
            self.make_pod()
        elif draw < 0.4:
            pod = self.random.choice(pods)
            if self.random.random() < 0.5:
                self.api.set_status(PODS, NS, pod["metadata"]["name"], phase="Succeeded")
            else:
                self.api.remove(PODS, (NS, pod["metadata"]["name"]))
        else:
            self.others_work()

    def make_pod(self) -> None:
        self.count += 1
        volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": self.random.choice(VOLUMES)}}]
        spec = {"nodeName": self.random.choice("ab"), "volumes": volumes}
        meta = {"name": f"p{self.count}", "namespace": NS}
        self.api.put(PODS, {"metadata": meta, "spec": spec, "status": {"phase": "Pending"}})

    def others_work(self) -> None:
        """The attacher, and each node's agent."""
        for each in list(self.api.list(VOLUMEATTACHMENTS)):
            meta = each["metadata"]
            if meta.get("deletionTimestamp"):
                self.api.update(VOLUMEATTACHMENTS, {**each, "metadata": {**meta, "finalizers": []}})
            elif not (each.get("status") or {}).get("attached"):
                held = {**each, "metadata": {**meta, "finalizers": ["external-attacher/x"]}}
                self.api.update(VOLUMEATTACHMENTS, held)
                self.api.set_status(VOLUMEATTACHMENTS, "", meta["name"], attached=True)
        for node in list(self.api.list(NODES)):
            self.mount(node)

    def mount(self, node: Object) -> None:
        """An agent mounts what is attached and wanted, and unmounts what is not wanted."""
        status, name = node["status"], node["metadata"]["name"]
        wanted = {reported(claim) for claim in VOLUMES if self.users(claim, name)}
        attached = {each["name"] for each in status["volumesAttached"]}
        in_use = {each for each in status["volumesInUse"] if each in wanted} | (wanted & attached)
        if sorted(in_use) != sorted(status["volumesInUse"]):
            self.api.set_status(NODES, "", name, volumesInUse=sorted(in_use))

    def users(self, claim: str, node: str) -> list[Object]:
        return [
            pod
            for pod in self.api.list(PODS)
            if pod["status"]["phase"] == "Pending"
            and pod["spec"]["nodeName"] == node
            and pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim
        ]

    def is_done(self) -> bool:
        """Each volume is attached to one of the nodes that want it, reported and mounted there, and nowhere else."""
        places = {self.claim(each): each["spec"]["nodeName"] for each in self.api.list(VOLUMEATTACHMENTS)}
        for claim in VOLUMES:
            wanting = [node for node in "ab" if self.users(claim, node)]
            if (claim in places) != bool(wanting) or (wanting and places[claim] not in wanting):
                return False
        for node in self.api.list(NODES):
            here = sorted(reported(claim) for claim, place in places.items() if place == node["metadata"]["name"])
            status = node["status"]
            if sorted(status["volumesInUse"]) != here or [each["name"] for each in status["volumesAttached"]] != here:
                return False
        return True


@pytest.mark.parametrize("part", range(PARTS))
def test_exclusive_volumes_are_on_one_node_and_stay_while_mounted(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Sim(seed)
        await sim.world.start()
        for _ in range(2):
            for _ in range(60):
                await sim.world.step(sim.happens)
            await sim.world.rest(sim.others_work, sim.is_done)
        await sim.world.close()

    try_seeds(part, tell)
