"""One round of a pod: claims from templates, their names in its status, reservations where no scheduler made them.

Input: a pod, its claims, the templates of its namespace. Output: claims to make, the pod's `resourceClaimStatuses`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from knarr.api.registry import PODS, RESOURCECLAIMS, RESOURCECLAIMTEMPLATES
from knarr.api.semantics import device_claims, owners
from knarr.api.semantics.device_claims import POD_CLAIM
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Change, Context, Create, EventNote, Patch, Result, Update
from knarr.controller_runtime.snapshot import OWNER, Snapshot

_MANAGER = "ResourceClaimController"
_FAILED = "FailedResourceClaimCreation"
_LONGEST = 57


@dataclass(slots=True)
class _Draft:
    """What is found for a pod: claims to make, and the name of each entry's claim that its status lacks."""

    creates: list[Create] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    events: list[EventNote] = field(default_factory=list)


def sync(pod: Object, snapshot: Snapshot, context: Context) -> Result:
    """Take the next step of a pod."""
    if pod["metadata"].get("deletionTimestamp") or device_claims.is_done(pod):
        return DONE
    draft = _Draft()
    for entry in device_claims.of_pod(pod):
        if entry.get("resourceClaimTemplateName"):
            _provide(pod, entry, snapshot, context, draft)
    changes: list[Change] = list(draft.creates)
    if draft.named:
        changes.append(_tell(pod, draft.named))
    elif (pod.get("spec") or {}).get("nodeName"):
        changes += _reservations(pod, snapshot)
    return Result(tuple(changes), tuple(draft.events))


def _provide(pod: Object, entry: Object, snapshot: Snapshot, context: Context, draft: _Draft) -> None:
    """Find or make the claim of an entry that has a template."""
    name, namespace = device_claims.name_of(pod, entry), pod["metadata"]["namespace"]
    if name is None:
        return
    claim = snapshot.get(RESOURCECLAIMS, namespace, name) if name else None
    if claim is not None and owners.is_controlled_by(claim, pod):
        return
    # It may have been made, and the pod's status not been written.
    made = _made_for(pod, entry, snapshot)
    if made is None:
        template_name = entry["resourceClaimTemplateName"]
        template = snapshot.get(RESOURCECLAIMTEMPLATES, namespace, template_name)
        if template is None:
            missing = f'resourceclaimtemplate.resource.k8s.io "{template_name}" not found'
            draft.events.append(_note(pod, entry, f'resource claim template "{template_name}": {missing}'))
            return
        made = _claim(pod, entry, template, context.names.suffix())
        failed = _note(pod, entry, f"create ResourceClaim {made['metadata']['name']}: {{error}}")
        draft.creates.append(Create(RESOURCECLAIMS, made, failed=failed))
    draft.named[entry["name"]] = made["metadata"]["name"]


def _made_for(pod: Object, entry: Object, snapshot: Snapshot) -> Object | None:
    owned = snapshot.indexed(RESOURCECLAIMS, OWNER, pod["metadata"]["uid"])
    found = [each for each in owned if (each["metadata"].get("annotations") or {}).get(POD_CLAIM) == entry["name"]]
    return min(found, key=lambda each: str(each["metadata"]["name"]), default=None)


def _note(pod: Object, entry: Object, problem: str) -> EventNote:
    return EventNote(pod, "Warning", _FAILED, f"PodResourceClaim {entry['name']}: {problem}")


def _claim(pod: Object, entry: Object, template: Object, suffix: str) -> Object:
    spec = template["spec"]
    given = spec.get("metadata") or {}
    meta = {
        "name": generated_base(pod["metadata"]["name"], entry["name"]) + suffix,
        "namespace": pod["metadata"]["namespace"],
        "ownerReferences": [owners.controller_reference(pod, PODS)],
        "annotations": {**(given.get("annotations") or {}), POD_CLAIM: entry["name"]},
    }
    if given.get("labels"):
        meta["labels"] = given["labels"]
    head = {"apiVersion": RESOURCECLAIMS.api_version, "kind": RESOURCECLAIMS.kind}
    return {**head, "metadata": meta, "spec": spec["spec"]}


def generated_base(pod_name: str, entry_name: str) -> str:
    """What the name of a claim begins with: pod and entry, both shortened in proportion where it would be too long."""
    whole = f"{pod_name}-{entry_name}-"
    if len(whole) <= _LONGEST:
        return whole
    length = len(whole)
    return f"{pod_name[: len(pod_name) * _LONGEST // length]}-{entry_name[: len(entry_name) * _LONGEST // length]}"


def _tell(pod: Object, named: dict[str, str]) -> Patch:
    """Write the names of all claims that were made from templates."""
    meta = pod["metadata"]
    known = {each["name"]: each for each in (pod.get("status") or {}).get("resourceClaimStatuses") or ()}
    known |= {entry: {"name": entry, "resourceClaimName": name} for entry, name in named.items()}
    body = {
        "apiVersion": PODS.api_version,
        "kind": PODS.kind,
        "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
        "status": {"resourceClaimStatuses": list(known.values())},
    }
    return Patch(
        PODS,
        meta["namespace"],
        meta["name"],
        body,
        content_type="application/apply-patch+yaml",
        subresource="status",
        options={"fieldManager": _MANAGER, "force": "true"},
    )


def _reservations(pod: Object, snapshot: Snapshot) -> Iterator[Change]:
    """Reserve allocated claims for a pod that got its node without the scheduler's doing so."""
    meta = pod["metadata"]
    for entry in device_claims.of_pod(pod):
        name = device_claims.name_of(pod, entry)
        claim = snapshot.get(RESOURCECLAIMS, meta["namespace"], name) if name else None
        if claim is None or (entry.get("resourceClaimTemplateName") and not owners.is_controlled_by(claim, pod)):
            continue
        status = claim.get("status") or {}
        if status.get("allocation") is None or device_claims.is_reserved_for(claim, pod):
            continue
        if device_claims.can_be_reserved(claim):
            user = {"resource": "pods", "name": meta["name"], "uid": meta["uid"]}
            changed = {**status, "reservedFor": [*device_claims.reserved_for(claim), user]}
            yield Update(RESOURCECLAIMS, {**claim, "status": changed}, "status")
