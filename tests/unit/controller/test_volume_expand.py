"""Claims that want to grow are told who does it."""

from __future__ import annotations

from typing import Any

from tests.fakes.world import World, run

from knarr.api.registry import PVCS, PVS
from knarr.controller import volume_expand


def told(wanted: str, **source: Any) -> World:
    async def story(world: World) -> None:
        spec = {"resources": {"requests": {"storage": wanted}}, "volumeName": "v"}
        meta = {"name": "c", "namespace": "default", "uid": "u"}
        world.api.put(PVS, {"metadata": {"name": "v"}, "spec": {"claimRef": {"uid": "u"}, **source}})
        world.api.put(
            PVCS, {"metadata": meta, "spec": spec, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
        )

    return run(story, (volume_expand.CONTROLLER,))


def test_a_claim_that_has_what_it_wants_is_told_nothing() -> None:
    assert told("1024Mi", csi={"driver": "x"}).notes.messages() == []


def test_a_claim_that_wants_more_waits_for_its_driver() -> None:
    expected = ["Warning ExternalExpanding: waiting for an external controller to expand this PVC"]
    assert told("2Gi", csi={"driver": "x"}).notes.messages() == expected


def test_a_volume_of_a_plugin_that_has_moved_is_given_to_its_drivers_resizer() -> None:
    world = told("2Gi", awsElasticBlockStore={"volumeID": "x"})
    notes = world.api.get(PVCS, "default", "c")["metadata"]["annotations"]
    assert notes == {"volume.kubernetes.io/storage-resizer": "ebs.csi.aws.com"}
    assert world.notes.messages() == [
        "Normal ExternalExpanding: CSI migration enabled for kubernetes.io/aws-ebs; "
        "waiting for external resizer to expand the pvc"
    ]
