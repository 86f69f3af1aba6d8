"""What makes a pod the one of an ordinal: its name, labels, host name and the volumes of its claims.

https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#pod-identity
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import STATEFULSETS
from knarr.api.semantics import pod_templates, revisions
from knarr.apimachinery.types import Object

POD_NAME, POD_INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"
_LARGEST = 2**31 - 1


def parted(name: str) -> tuple[str, int]:
    """The set and the ordinal in a pod's name; ("", -1) for a name of another kind."""
    parent, dash, digits = name.rpartition("-")
    if not dash or not (digits.isascii() and digits.isdigit()):
        return "", -1
    canonical = len(digits) <= len(str(_LARGEST)) and str(int(digits)) == digits and int(digits) <= _LARGEST
    return parent, int(digits) if canonical else -1


def ordinal(pod: Object) -> int:
    """A pod's ordinal; -1 where its name has none."""
    return parted(pod["metadata"]["name"])[1]


def is_member(stateful_set: Object, pod: Object) -> bool:
    """Whether the pod is called as one of the set."""
    parent, _ = parted(pod["metadata"]["name"])
    return parent == str(stateful_set["metadata"]["name"])


def replicas(stateful_set: Object) -> int:
    """How many pods are asked for."""
    return int(stateful_set["spec"].get("replicas", 1))


def ordinals(stateful_set: Object) -> range:
    """The ordinals that shall have a pod."""
    start = int((stateful_set["spec"].get("ordinals") or {}).get("start") or 0)
    return range(start, start + replicas(stateful_set))


def revision(pod: Object) -> str:
    """The name of the revision a pod was made of."""
    return str((pod["metadata"].get("labels") or {}).get(revisions.POD_LABEL, ""))


def claim_templates(stateful_set: Object) -> list[Object]:
    """The templates of the claims that each pod has."""
    return stateful_set["spec"].get("volumeClaimTemplates") or []


def claim_name(stateful_set: Object, template: Object, number: int) -> str:
    """The name of the claim that a template gives to an ordinal."""
    return f"{template['metadata']['name']}-{stateful_set['metadata']['name']}-{number}"


def new_pod(stateful_set: Object, template: Object, number: int, made_of: str) -> Object:
    """The pod of an ordinal, of a template that the revision `made_of` holds."""
    name = f"{stateful_set['metadata']['name']}-{number}"
    pod = pod_templates.new_pod(stateful_set, STATEFULSETS, template, name)
    pod["metadata"]["labels"] |= {POD_NAME: name, POD_INDEX: str(number), revisions.POD_LABEL: made_of}
    pod["spec"]["hostname"] = name
    if service := stateful_set["spec"].get("serviceName"):
        pod["spec"]["subdomain"] = service
    else:
        pod["spec"].pop("subdomain", None)
    if volumes := _volumes(stateful_set, pod, number):
        pod["spec"]["volumes"] = volumes
    return pod


def is_right(stateful_set: Object, pod: Object) -> bool:
    """Whether a pod has the labels and the volumes that its ordinal asks for."""
    meta = pod["metadata"]
    return (meta.get("labels") or {}).get(POD_NAME) == meta["name"] and _has_volumes(stateful_set, pod)


def put_right(stateful_set: Object, pod: Object) -> Object:
    """The pod with the labels and the volumes of its ordinal."""
    number, meta = ordinal(pod), pod["metadata"]
    labels = {**(meta.get("labels") or {}), POD_NAME: meta["name"], POD_INDEX: str(number)}
    changed = {**pod, "metadata": {**meta, "labels": labels}}
    if not _has_volumes(stateful_set, pod):
        changed["spec"] = {**pod["spec"], "volumes": _volumes(stateful_set, pod, number)}
    return changed


def _has_volumes(stateful_set: Object, pod: Object) -> bool:
    held = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
    number = ordinal(pod)
    return all(_claim_of(held.get(name)) == claim for name, claim in _claims(stateful_set, number))


def _claim_of(volume: Object | None) -> str | None:
    found = ((volume or {}).get("persistentVolumeClaim") or {}).get("claimName")
    return None if found is None else str(found)


def _volumes(stateful_set: Object, pod: Object, number: int) -> list[Object]:
    """A volume for each claim, and those of the template that no claim replaces."""
    claims = dict(_claims(stateful_set, number))
    made = [{"name": name, "persistentVolumeClaim": {"claimName": claim}} for name, claim in claims.items()]
    return made + [volume for volume in pod["spec"].get("volumes") or () if volume["name"] not in claims]


def _claims(stateful_set: Object, number: int) -> Iterable[tuple[str, str]]:
    for template in claim_templates(stateful_set):
        yield template["metadata"]["name"], claim_name(stateful_set, template, number)
