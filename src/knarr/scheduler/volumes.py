"""Whether a pod's claims can be served on a node, and with which volumes.

Input: a pod, a node, the claims, volumes and classes there are. Output: the claims and volumes as they must be written
so that the binder and the provisioners serve the claims there, or why they cannot be.
Source: https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from knarr.api.registry import PVCS
from knarr.api.semantics import affinity, owners, pod_claims, volume_binding
from knarr.api.semantics.volume_binding import BOUND_BY_CONTROLLER, SELECTED_NODE, annotations_of
from knarr.apimachinery import labels, quantity
from knarr.apimachinery.quantity import Quantity
from knarr.apimachinery.types import Object
from knarr.scheduler.framework import Status, unresolvable
from knarr.scheduler.node_info import NodeInfo
from knarr.scheduler.pod_info import PodInfo
from knarr.scheduler.storage import Storage

_NO_MATCH = unresolvable("node(s) didn't find available persistent volumes to bind")
_CONFLICT = unresolvable("node(s) didn't match PersistentVolume's node affinity")
_NO_VOLUME = unresolvable("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)")
_NO_SPACE = unresolvable("node(s) did not have enough free storage")


class UnusableClaim(Exception):
    """A pod cannot be placed anywhere because of a claim."""


@dataclass(frozen=True, slots=True)
class Claims:
    """A pod's claims: those that have their volume, and those whose volume is chosen with the node."""

    bound: tuple[Object, ...]
    delayed: tuple[Object, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Claims with the node chosen for them, and volumes reserved for claims: as they are to be written."""

    node_name: str
    claims: tuple[Object, ...] = ()
    volumes: tuple[Object, ...] = ()
    #: Namespace and name of the claims that must be bound before the pod is.
    awaited: tuple[tuple[str, str], ...] = ()


def claims_of(pod: PodInfo, storage: Storage) -> Claims:
    """The claims of a pod. Raises `UnusableClaim`."""
    bound, delayed, immediate = [], [], False
    for volume in pod.spec.get("volumes") or ():
        name = pod_claims.name_of(pod.obj, volume)
        if not name:
            continue
        claim = _claim(pod, volume, name, storage)
        if volume_binding.is_fully_bound(claim):
            bound.append(claim)
        elif _is_delayed(claim, storage):
            delayed.append(claim)
        else:
            immediate = True
    if immediate:
        raise UnusableClaim("pod has unbound immediate PersistentVolumeClaims")
    return Claims(tuple(bound), tuple(delayed))


def _claim(pod: PodInfo, volume: Object, name: str, storage: Storage) -> Object:
    claim = storage.claim(pod.namespace, name)
    ephemeral = volume.get("ephemeral") is not None
    if claim is None:
        if ephemeral:
            raise UnusableClaim(f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"')
        raise UnusableClaim(f'persistentvolumeclaim "{name}" not found')
    if (claim.get("status") or {}).get("phase") == "Lost":
        lost = claim["spec"].get("volumeName", "")
        raise UnusableClaim(f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{lost}"')
    if claim["metadata"].get("deletionTimestamp"):
        raise UnusableClaim(f'persistentvolumeclaim "{name}" is being deleted')
    if ephemeral and not owners.is_controlled_by(claim, pod.obj):
        raise UnusableClaim(f"PVC {pod.namespace}/{name} was not created for pod {pod.key} (pod is not owner)")
    return claim


def _is_delayed(claim: Object, storage: Storage) -> bool:
    if claim["spec"].get("volumeName"):
        return False
    name = volume_binding.class_name(claim)
    return volume_binding.waits_for_consumer(storage.storage_class(name)) if name else False


def place(claims: Claims, node: NodeInfo, storage: Storage) -> Plan | Status:
    """What serves the claims on a node, or why nothing does."""
    for claim in claims.bound:
        volume = storage.volume(claim["spec"]["volumeName"])
        if volume is None:
            return _NO_VOLUME
        if not fits(volume, node):
            return _CONFLICT
    return _serve(claims.delayed, node, storage)


def _serve(delayed: Sequence[Object], node: NodeInfo, storage: Storage) -> Plan | Status:
    reserved: dict[str, Object] = {}
    to_provision = []
    for claim in sorted(delayed, key=_request):
        selected = annotations_of(claim).get(SELECTED_NODE)
        if selected:
            if selected != node.name:
                return _NO_MATCH
            to_provision.append(claim)
            continue
        offered = storage.volumes(volume_binding.class_name(claim))
        found = volume_binding.best_volume_for_node(claim, offered, lambda each: fits(each, node), reserved)
        if found is None:
            to_provision.append(claim)
        else:
            reserved[found["metadata"]["name"]] = _reserve(found, claim)
    for claim in to_provision:
        problem = _not_provisioned(claim, node, storage)
        if problem is not None:
            return problem
    asked = tuple(_select(claim, node.name) for claim in to_provision)
    awaited = tuple((claim["metadata"]["namespace"], claim["metadata"]["name"]) for claim in delayed)
    return Plan(node.name, asked, tuple(reserved.values()), awaited)


def _not_provisioned(claim: Object, node: NodeInfo, storage: Storage) -> Status | None:
    """Why no provisioner serves a claim on a node."""
    name = volume_binding.class_name(claim)
    storage_class = storage.storage_class(name)
    if storage_class is None or storage_class["provisioner"] == volume_binding.NO_PROVISIONER:
        return _NO_MATCH
    terms = storage_class.get("allowedTopologies") or ()
    if terms and not any(_in_topology(term, node) for term in terms):
        return _NO_MATCH
    driver = storage.driver(storage_class["provisioner"])
    if driver is None or not (driver.get("spec") or {}).get("storageCapacity"):
        return None
    return None if any(_has_room(each, claim, node) for each in storage.capacities(name)) else _NO_SPACE


def _in_topology(term: Object, node: NodeInfo) -> bool:
    wanted = term.get("matchLabelExpressions") or ()
    return all(node.labels.get(each["key"]) in (each.get("values") or ()) for each in wanted)


def _has_room(capacity: Object, claim: Object, node: NodeInfo) -> bool:
    most = capacity.get("maximumVolumeSize") or capacity.get("capacity")
    if most is None or quantity.from_json(most) < _request(claim):
        return False
    return labels.from_object(capacity.get("nodeTopology")).matches(node.labels)


def fits(volume: Object, node: NodeInfo) -> bool:
    """Whether a volume can be reached from a node."""
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    if required is None:
        return True
    terms = (affinity.node_term(term) for term in required.get("nodeSelectorTerms") or ())
    return any(term is not None and term(node.labels, node.name) for term in terms)


def unmet(plan: Plan, storage: Storage, node: NodeInfo | None) -> list[str]:
    """The awaited claims that are not bound yet. Raises `UnusableClaim` once they cannot be any more."""
    for planned in plan.volumes:
        _check_reserved(planned, storage)
    return [f"{place[0]}/{place[1]}" for place in plan.awaited if not _is_met(plan, place, storage, node)]


def _check_reserved(planned: Object, storage: Storage) -> None:
    name, uid = planned["metadata"]["name"], planned["spec"]["claimRef"]["uid"]
    volume = storage.volume(name)
    if volume is None or (volume["spec"].get("claimRef") or {}).get("uid") != uid:
        raise UnusableClaim(f'pv "{name}" is reserved for the claim no more')


def _is_met(plan: Plan, place: tuple[str, str], storage: Storage, node: NodeInfo | None) -> bool:
    claim, shown = storage.claim(*place), "/".join(place)
    if claim is None or claim["metadata"].get("deletionTimestamp"):
        raise UnusableClaim(f'persistentvolumeclaim "{shown}" is gone')
    if volume_binding.is_fully_bound(claim):
        volume = storage.volume(claim["spec"]["volumeName"])
        if volume is not None and node is not None and not fits(volume, node):
            raise UnusableClaim(f'pv "{claim["spec"]["volumeName"]}" node affinity doesn\'t match node "{node.name}"')
        return True
    provisioned = any(each["metadata"]["name"] == place[1] for each in plan.claims)
    if provisioned and annotations_of(claim).get(SELECTED_NODE) != plan.node_name:
        raise UnusableClaim(f'selectedNode annotation reset for PVC "{shown}"')
    return False


def _request(claim: Object) -> Quantity:
    return quantity.from_json(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0"))


def _select(claim: Object, node_name: str) -> Object:
    notes = {**annotations_of(claim), SELECTED_NODE: node_name}
    return {**claim, "metadata": {**claim["metadata"], "annotations": notes}}


def _reserve(volume: Object, claim: Object) -> Object:
    meta = claim["metadata"]
    fields = {name: meta[name] for name in ("namespace", "name", "uid", "resourceVersion") if meta.get(name)}
    ref = {"kind": PVCS.kind, "apiVersion": PVCS.api_version, **fields}
    reserved = {**volume, "spec": {**volume["spec"], "claimRef": ref}}
    if volume_binding.is_bound_to(volume, claim):
        return reserved
    notes = {**annotations_of(volume), BOUND_BY_CONTROLLER: "yes"}
    return {**reserved, "metadata": {**volume["metadata"], "annotations": notes}}
