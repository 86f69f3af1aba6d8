"""Claims and volumes under faults: no volume is given to two claims, no bound pair is torn apart, all that fit meet."""

from __future__ import annotations

import pytest
from tests.sim.faults import PARTS, FaultyWorld, try_seeds

from knarr.api.registry import PVCS, PVS, STORAGECLASSES
from knarr.api.resources import Resource
from knarr.api.semantics.volume_binding import BIND_COMPLETED, SELECTED_NODE, annotations_of, best_volume
from knarr.apimachinery.types import Object
from knarr.controller import persistent_volume

NS = "default"
CLASSES = {"": "Immediate", "fast": "Immediate", "late": "WaitForFirstConsumer"}
ASKED = "volume.kubernetes.io/storage-provisioner"


class Sim:
    """Users make and delete claims and volumes, some reserved for each other; a provisioner serves two classes."""

    def __init__(self, seed: int) -> None:
        self.world = FaultyWorld((persistent_volume.CONTROLLER,), seed)
        self.random, self.api = self.world.random, self.world.api
        self.count = 0
        for name, mode in CLASSES.items():
            if name:
                body = {"metadata": {"name": name}, "provisioner": "example.com/x", "volumeBindingMode": mode}
                self.api.create(STORAGECLASSES, body)
        self.api.listeners.append(self.watch)

    def watch(self, change: tuple[Resource, Object | None, Object | None, int]) -> None:
        resource, old, new, _ = change
        was_complete = old is not None and BIND_COMPLETED in annotations_of(old)
        if resource is PVCS and new is not None and BIND_COMPLETED in annotations_of(new) and not was_complete:
            self.check_new_pair(new)
        if resource is PVS and old is not None and new is not None:
            self.check_old_pair(old, new)

    def check_new_pair(self, claim: Object) -> None:
        volume = self.api.objects[PVS].get(("", claim["spec"]["volumeName"]))
        if volume is not None and volume["spec"].get("claimRef", {}).get("uid") != claim["metadata"]["uid"]:
            self.world.wrong.append(f"claim {claim['metadata']['name']} took the volume of another")

    def check_old_pair(self, old: Object, new: Object) -> None:
        before = old["spec"].get("claimRef") or {}
        claim = self.api.objects[PVCS].get((NS, before.get("name", "")))
        if claim is None or claim["metadata"]["uid"] != before.get("uid"):
            return
        wanted = claim["spec"].get("volumeName")
        if new["status"].get("phase") == "Released" and wanted in (None, old["metadata"]["name"]):
            self.world.wrong.append(f"volume {old['metadata']['name']} was released though its claim is there")
        if wanted != old["metadata"]["name"]:
            return
        if (new["spec"].get("claimRef") or {}).get("uid") != before["uid"]:
            self.world.wrong.append(f"volume {old['metadata']['name']} left its claim")
        if old["status"].get("phase") == "Bound" and new["status"].get("phase") != "Bound":
            self.world.wrong.append(f"volume {old['metadata']['name']} was released while bound")

    def happens(self) -> None:
        draw = self.random.random()
        claims, volumes = list(self.api.list(PVCS)), list(self.api.list(PVS))
        if draw < 0.3:
            self.make_claim(volumes)
        elif draw < 0.6:
            self.make_volume(claims)
        elif draw < 0.7 and claims:
            self.api.delete(PVCS, (NS, self.random.choice(claims)["metadata"]["name"]), {})
        elif draw < 0.75 and volumes:
            self.api.delete(PVS, ("", self.random.choice(volumes)["metadata"]["name"]), {})
        else:
            self.others_work()

    def make_claim(self, volumes: list[Object]) -> None:
        self.count += 1
        size, klass = self.random.choice(["1Gi", "2Gi", "3Gi"]), self.random.choice(list(CLASSES))
        spec: Object = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        spec["storageClassName"] = klass
        if volumes and self.random.random() < 0.15:
            spec["volumeName"] = self.random.choice(volumes)["metadata"]["name"]
        # Names come back, with other uids.
        name = f"c{self.random.randint(1, 12)}"
        if (NS, name) not in self.api.objects[PVCS]:
            meta = {"name": name, "namespace": NS}
            self.api.put(PVCS, {"metadata": meta, "spec": spec, "status": {"phase": "Pending"}})

    def make_volume(self, claims: list[Object]) -> None:
        self.count += 1
        size, klass = self.random.choice(["1Gi", "2Gi", "4Gi"]), self.random.choice(list(CLASSES))
        modes = ["ReadWriteOnce", "ReadWriteMany"][: self.random.randint(1, 2)]
        spec: Object = {"capacity": {"storage": size}, "accessModes": modes, "storageClassName": klass}
        spec["persistentVolumeReclaimPolicy"] = "Retain"
        if claims and self.random.random() < 0.2:
            meta = self.random.choice(claims)["metadata"]
            spec["claimRef"] = {"namespace": NS, "name": meta["name"]}
            if self.random.random() < 0.5:
                spec["claimRef"]["uid"] = meta["uid"]
        self.api.put(PVS, {"metadata": {"name": f"v{self.count}"}, "spec": spec, "status": {"phase": "Pending"}})

    def others_work(self) -> None:
        """The scheduler picks nodes, the provisioner makes and deletes volumes."""
        for claim in list(self.api.list(PVCS)):
            notes = annotations_of(claim)
            if BIND_COMPLETED in notes or claim["spec"].get("volumeName"):
                continue
            if claim["spec"]["storageClassName"] == "late" and SELECTED_NODE not in notes:
                meta = {**claim["metadata"], "annotations": {**notes, SELECTED_NODE: "n"}}
                self.api.update(PVCS, {**claim, "metadata": meta})
            elif ASKED in notes and ("", f"pvc-{claim['metadata']['uid']}") not in self.api.objects[PVS]:
                self.provision(claim)
        for volume in list(self.api.list(PVS)):
            dynamic = volume["metadata"]["name"].startswith("pvc-")
            if dynamic and (volume.get("status") or {}).get("phase") == "Released":
                self.api.delete(PVS, ("", volume["metadata"]["name"]), {})

    def provision(self, claim: Object) -> None:
        meta, spec = claim["metadata"], claim["spec"]
        ref = {"namespace": NS, "name": meta["name"], "uid": meta["uid"]}
        made = {
            "capacity": spec["resources"]["requests"],
            "accessModes": spec["accessModes"],
            "storageClassName": spec["storageClassName"],
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": ref,
        }
        notes = {"pv.kubernetes.io/provisioned-by": "example.com/x"}
        body = {"metadata": {"name": f"pvc-{meta['uid']}", "annotations": notes}, "spec": made}
        self.api.put(PVS, {**body, "status": {"phase": "Pending"}})

    def is_done(self) -> bool:
        return all(map(self.is_claim_done, self.api.list(PVCS))) and all(map(self.is_volume_done, self.api.list(PVS)))

    def is_claim_done(self, claim: Object) -> bool:
        phase, name = claim["status"].get("phase"), claim["spec"].get("volumeName")
        volume = self.api.objects[PVS].get(("", name)) if name else None
        mine = volume is not None and (volume["spec"].get("claimRef") or {}).get("uid") == claim["metadata"]["uid"]
        if BIND_COMPLETED in annotations_of(claim):
            return bool(phase == ("Bound" if mine else "Lost"))
        if name:
            return bool(phase == "Pending" and not mine)
        asked = claim["spec"]["storageClassName"] == ""
        return bool(asked and phase == "Pending" and best_volume(claim, self.api.list(PVS), delayed=False) is None)

    def is_volume_done(self, volume: Object) -> bool:
        ref, phase = volume["spec"].get("claimRef") or {}, volume["status"].get("phase")
        if not ref.get("uid"):
            return bool(phase == "Available")
        claim = self.api.objects[PVCS].get((NS, ref["name"]))
        if claim is not None and claim["metadata"]["uid"] == ref["uid"]:
            if not claim["spec"].get("volumeName"):
                # Reserved by its user for a claim that it does not suit.
                return best_volume(claim, [volume], delayed=False) is None
            return bool(phase == "Bound" and claim["spec"]["volumeName"] == volume["metadata"]["name"])
        return bool(phase == "Released" and not volume["metadata"]["name"].startswith("pvc-"))


@pytest.mark.parametrize("part", range(PARTS))
def test_no_volume_serves_two_claims_and_all_that_fit_meet(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Sim(seed)
        await sim.world.start()
        for _ in range(2):
            for _ in range(60):
                await sim.world.step(sim.happens)
            await sim.world.rest(sim.others_work, sim.is_done)
        await sim.world.close()

    try_seeds(part, tell)
