"""Nodes whose kubelet is silent: their conditions become Unknown, their pods not ready; taints follow conditions.

Input: a node, its Lease and when the watch showed it, all nodes. Output: conditions, taints, pods' condition Ready.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from knarr.api.registry import LEASES, NODES, PODS
from knarr.api.semantics import conditions, pod_state, taints, tolerations
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller.node_lifecycle import zones
from knarr.controller_runtime.changes import DONE, Change, Context, EventNote, Patch, Result, Tick, Update
from knarr.controller_runtime.controller import Controller, Watch, key_of, nobody
from knarr.controller_runtime.observing import tally
from knarr.controller_runtime.snapshot import NODE, Key, Snapshot

#: Seconds of silence after which a node is not trusted; before its first status it is given longer.
_GRACE, _STARTUP_GRACE = 40.0, 60.0
_LEASES_NAMESPACE = "kube-node-lease"
_TYPES = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_OWN_TAINTS = frozenset({*taints.BY_CONDITION.values(), taints.UNSCHEDULABLE})
#: Labels that say the same, the present name first.
_TWINS = (("kubernetes.io/os", "beta.kubernetes.io/os"), ("kubernetes.io/arch", "beta.kubernetes.io/arch"))


def controller(grace: float = _GRACE) -> Controller:
    """The controller that trusts a silent node for `grace` seconds."""
    #: The nodes that were announced, by name: only events hang on it.
    announced: dict[str, str] = {}

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        node = snapshot.get(*key)
        judged = DONE if node is None else _judge(node, snapshot, context, grace)
        return replace(judged, events=(*_announcements(key.name, node, announced), *judged.events))

    return Controller(
        name="node-controller",
        title="node-lifecycle-controller",
        queue="node_lifecycle_controller",
        observer=tally(zones.EVICTIONS, gauges=zones.GAUGES),
        resource=NODES,
        watches=(Watch(NODES, _of_node, timed=True), Watch(LEASES, nobody, timed=True), Watch(PODS, _of_pod)),
        writes=("update nodes/status", "patch nodes, pods/status"),
        reconcile=reconcile,
    )


def _judge(node: Object, snapshot: Snapshot, context: Context, grace: float) -> Result:
    lease = snapshot.get(LEASES, _LEASES_NAMESPACE, node["metadata"]["name"])
    left = _seconds_left(node, lease, grace, context)
    if left <= 0 and (silent := _unknown(node, context.now)) is not None:
        return Result((_with_conditions(node, silent),), _notes(node))
    turn = _turn(node, snapshot.list(NODES), context.now)
    changes = [
        *_pods_not_ready(node, snapshot, context.now),
        *_taint(node, context.now, evict=turn == 0.0),
        *_label_twins(node),
    ]
    waits = [wait for wait in (left, turn) if wait is not None and wait > 0]
    ticks = (Tick(zones.EVICTIONS, (zones.zone_name(node),)),) if _empties(node, changes) else ()
    return Result(tuple(changes), requeue_after=min(waits, default=None), ticks=ticks)


def _empties(node: Object, changes: Iterable[Change]) -> bool:
    """Whether the node is given the taint that evicts."""
    patches = (change.patch for change in changes if isinstance(change, Patch) and change.resource is NODES)
    given = (patch.get("spec") for patch in patches)
    return zones.evicts_since(node) is None and any(zones.evicts_since({"spec": spec}) for spec in given if spec)


def _announcements(name: str, node: Object | None, announced: dict[str, str]) -> Iterator[EventNote]:
    """A node that is new, or gone."""
    if node is not None and announced.get(name) != node["metadata"]["uid"]:
        announced[name] = node["metadata"]["uid"]
        yield _note(name, node["metadata"]["uid"], "RegisteredNode", f"Registered Node {name} in Controller")
    elif node is None and (uid := announced.pop(name, None)) is not None:
        yield _note(name, uid, "RemovingNode", f"Removing Node {name} from Controller")


def _note(name: str, uid: str, reason: str, event: str) -> EventNote:
    about = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}
    return EventNote(about, "Normal", reason, f"Node {name} event: {event}")


def _label_twins(node: Object) -> Iterator[Change]:
    labels = node["metadata"].get("labels") or {}
    late = {old: labels[new] for new, old in _TWINS if new in labels and labels.get(old) != labels[new]}
    if late:
        yield Patch(NODES, "", node["metadata"]["name"], {"metadata": {"labels": late}}, "application/merge-patch+json")


# Silence


def _seconds_left(node: Object, lease: Object | None, grace: float, context: Context) -> float:
    """Seconds until the node has been silent for too long, on our clock: its own may be wrong."""
    name = node["metadata"]["name"]
    shown = context.seen(LEASES, _LEASES_NAMESPACE, name)
    seen = context.seen(NODES, "", name) or context.now
    last = seen if shown is None or _beat_after(node, lease) else shown
    if conditions.find(node, "Ready") is None:
        grace = max(grace, _STARTUP_GRACE)
    return (last + timedelta(seconds=grace) - context.now).total_seconds()


def _beat_after(node: Object, lease: Object | None) -> bool:
    """Whether the kubelet has reported the node's status since it last renewed its Lease."""
    beat = (conditions.find(node, "Ready") or {}).get("lastHeartbeatTime")
    renewed = ((lease or {}).get("spec") or {}).get("renewTime")
    return not renewed or bool(beat and timestamps.parse(beat) > timestamps.parse(renewed))


def _unknown(node: Object, now: datetime) -> list[Object] | None:
    """The conditions of a node that is silent, or None where they say so already."""
    stamp = timestamps.seconds(now)
    before = list(conditions.listed(node))
    after = before
    for kind in _TYPES:
        present = conditions.of_type(after, kind)
        if present is None:
            told = {"reason": "NodeStatusNeverUpdated", "message": "Kubelet never posted node status."}
            beat = node["metadata"].get("creationTimestamp", stamp)
        elif present["status"] != "Unknown":
            told = {"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
            beat = present.get("lastHeartbeatTime", stamp)
        else:
            continue
        times = {"lastHeartbeatTime": beat, "lastTransitionTime": stamp}
        after = conditions.replaced(after, {"type": kind, "status": "Unknown", **times, **told})
    return after if after != before else None


def _with_conditions(node: Object, found: list[Object]) -> Update:
    return Update(NODES, {**node, "status": {**(node.get("status") or {}), "conditions": found}}, "status")


def _notes(node: Object) -> tuple[EventNote, ...]:
    if _ready(node) != "True":
        return ()
    name = node["metadata"]["name"]
    return (EventNote(node, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady"),)


def _ready(node: Object) -> str:
    return str((conditions.find(node, "Ready") or {}).get("status", ""))


def _pods_not_ready(node: Object, snapshot: Snapshot, now: datetime) -> Iterator[Change]:
    """Pods of a silent node are not ready: nobody can tell."""
    if _ready(node) != "Unknown":
        return
    for pod in snapshot.indexed(PODS, NODE, node["metadata"]["name"]):
        if not pod_state.is_ready(pod):
            continue
        meta = pod["metadata"]
        told = {"type": "Ready", "status": "False", "lastTransitionTime": timestamps.seconds(now)}
        if meta.get("generation"):
            told["observedGeneration"] = meta["generation"]
        patch = {"metadata": {"uid": meta["uid"]}, "status": {"conditions": [told]}}
        note = EventNote(pod, "Warning", "NodeNotReady", "Node is not ready")
        yield Patch(PODS, meta["namespace"], meta["name"], patch, subresource="status", done=note)


# Taints


def _turn(node: Object, nodes: Sequence[Object], now: datetime) -> float | None:
    """Seconds until the node may drive pods out, 0 if it may; None when it may not, or has no cause."""
    if zones.is_ready(node) or zones.is_cut_off(nodes):
        return None
    return 0.0 if zones.evicts_since(node) is not None else zones.turn(node, nodes, now)


def _taint(node: Object, now: datetime, *, evict: bool) -> Iterator[Change]:
    present = list(taints.listed(node))
    wanted = _wanted(node, evict=evict)
    kept = [taint for taint in present if not _is_own(taint) or (taint["key"], taint["effect"]) in wanted]
    known = {(taint["key"], taint["effect"]) for taint in kept}
    stamp = timestamps.seconds(now)
    added = [{"key": key, "effect": effect, "timeAdded": stamp} for key, effect in wanted if (key, effect) not in known]
    if kept == present and not added:
        return
    meta = node["metadata"]
    body = {"metadata": {"resourceVersion": meta["resourceVersion"]}, "spec": {"taints": [*kept, *added] or None}}
    yield Patch(NODES, "", meta["name"], body, "application/merge-patch+json")


def _is_own(taint: Object) -> bool:
    if taint.get("effect") == tolerations.NO_EXECUTE:
        return taint["key"] in (taints.NOT_READY, taints.UNREACHABLE)
    return taint["key"] in _OWN_TAINTS and taint.get("effect") == tolerations.NO_SCHEDULE


def _wanted(node: Object, *, evict: bool) -> list[tuple[str, str]]:
    """(key, effect) of the taints that a node's state calls for."""
    found = []
    for condition in conditions.listed(node):
        key = taints.BY_CONDITION.get((condition["type"], condition["status"]))
        if key is None:
            continue
        found.append((key, tolerations.NO_SCHEDULE))
        if evict and condition["type"] == "Ready":
            found.append((key, tolerations.NO_EXECUTE))
    if (node.get("spec") or {}).get("unschedulable"):
        found.append((taints.UNSCHEDULABLE, tolerations.NO_SCHEDULE))
    return found


# Whom changes wake


def _of_node(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A node; and all nodes when one becomes ready, ceases to be, comes or goes: what may be evicted hangs on it."""
    if old is not None and new is not None and _ready(old) == _ready(new):
        return [key_of(NODES, new)]
    return dict.fromkeys((key_of(NODES, new or old or {}), *(key_of(NODES, node) for node in snapshot.list(NODES))))


def _of_pod(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A pod that seems ready on a node that is silent."""
    name = new["spec"].get("nodeName") if new is not None else None
    if new is None or not name or not pod_state.is_ready(new):
        return ()
    node = snapshot.get(NODES, "", name)
    return [key_of(NODES, node)] if node is not None and _ready(node) == "Unknown" else ()
