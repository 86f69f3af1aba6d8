"""The device claims of a pod: which ResourceClaim stands behind each entry of `spec.resourceClaims`.

Input: pods, claims. Output: names and truth values.
Source: https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from knarr.apimachinery.types import Object

#: Holds a claim while it is allocated.
FINALIZER = "resource.kubernetes.io/delete-protection"
#: Which entry of its pod a claim was made for.
POD_CLAIM = "resource.kubernetes.io/pod-claim-name"
_MOST_RESERVED = 256


def of_pod(pod: Object) -> Sequence[Object]:
    """The entries of a pod."""
    return (pod.get("spec") or {}).get("resourceClaims") or ()


def name_of(pod: Object, entry: Object) -> str | None:
    """The claim of an entry; empty while it is to be made, None where none is needed."""
    if named := entry.get("resourceClaimName"):
        return str(named)
    for status in (pod.get("status") or {}).get("resourceClaimStatuses") or ():
        if status.get("name") == entry["name"]:
            found = status.get("resourceClaimName")
            return None if found is None else str(found)
    return ""


def names(pod: Object) -> Iterator[str]:
    """The claims of a pod that are known, with the one for its extended resources."""
    for entry in of_pod(pod):
        if name := name_of(pod, entry):
            yield name
    if name := ((pod.get("status") or {}).get("extendedResourceClaimStatus") or {}).get("resourceClaimName"):
        yield name


def reserved_for(claim: Object) -> Sequence[Object]:
    """Who uses a claim."""
    return (claim.get("status") or {}).get("reservedFor") or ()


def is_reserved_for(claim: Object, pod: Object) -> bool:
    """Whether a pod is among those that may use a claim."""
    return any(each.get("uid") == pod["metadata"]["uid"] for each in reserved_for(claim))


def can_be_reserved(claim: Object) -> bool:
    """Whether one more may use a claim."""
    return len(reserved_for(claim)) < _MOST_RESERVED


def is_done(pod: Object) -> bool:
    """Whether nothing of a pod runs or will run."""
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return True
    return bool(pod["metadata"].get("deletionTimestamp")) and not (pod.get("spec") or {}).get("nodeName")
