"""What a Deployment knows of its ReplicaSets: sizes, revisions, and the annotations that carry them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from knarr.api.semantics import pod_templates
from knarr.apimachinery import intstr
from knarr.apimachinery.types import Object

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"
#: Annotations of a Deployment that its ReplicaSets do not take over.
OWN = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        DESIRED,
        MOST,
        "deprecated.deployment.rollback.to",
    }
)
_LONGEST_HISTORY = 2000


# Numbers


def replicas(obj: Object) -> int:
    """How many pods a Deployment or ReplicaSet asks for."""
    return int(obj["spec"].get("replicas", 1))


def counted(replica_set: Object, field: str) -> int:
    """A number of a ReplicaSet's status."""
    return int((replica_set.get("status") or {}).get(field) or 0)


def staying(replica_set: Object) -> int:
    """How many pods of a ReplicaSet are available and stay so: its status may not know yet that it was scaled down."""
    return min(counted(replica_set, "availableReplicas"), replicas(replica_set))


def total(sets: Iterable[Object]) -> int:
    """How many pods ReplicaSets ask for together."""
    return sum(replicas(replica_set) for replica_set in sets)


def total_counted(sets: Iterable[Object], field: str) -> int:
    """A number of the status of ReplicaSets, summed up."""
    return sum(counted(replica_set, field) for replica_set in sets)


def active(sets: Iterable[Object]) -> list[Object]:
    """The ReplicaSets that ask for pods."""
    return [replica_set for replica_set in sets if replicas(replica_set) > 0]


def is_rolling(deployment: Object) -> bool:
    """Whether pods are replaced step by step."""
    return bool((deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def _bounds(deployment: Object) -> tuple[int, int]:
    """(surge, unavailable), resolved and never both zero."""
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    wanted = replicas(deployment)
    surge = intstr.scaled(rolling.get("maxSurge", "25%"), wanted, round_up=True)
    unavailable = intstr.scaled(rolling.get("maxUnavailable", "25%"), wanted, round_up=False)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def max_surge(deployment: Object) -> int:
    """How many pods there may be beyond those asked for."""
    return _bounds(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Object) -> int:
    """How many of the pods asked for may be missing."""
    if not is_rolling(deployment) or replicas(deployment) == 0:
        return 0
    return min(_bounds(deployment)[1], replicas(deployment))


def new_size(deployment: Object, sets: Iterable[Object], new: Object) -> int:
    """How large the new ReplicaSet may be now: as large as the surge allows beside the others."""
    if not is_rolling(deployment):
        return replicas(deployment)
    room = replicas(deployment) + max_surge(deployment) - total(sets)
    if room <= 0:
        return replicas(new)
    return replicas(new) + min(room, replicas(deployment) - replicas(new))


# Which is which


def by_age(sets: Iterable[Object]) -> list[Object]:
    """Oldest first."""
    return sorted(sets, key=lambda obj: (obj["metadata"].get("creationTimestamp", ""), obj["metadata"]["name"]))


def find_new(deployment: Object, sets: Iterable[Object]) -> Object | None:
    """The ReplicaSet of the Deployment's present template: the oldest, should there be several."""
    template = deployment["spec"]["template"]
    same = (item for item in by_age(sets) if pod_templates.equal_ignoring_hash(item["spec"]["template"], template))
    return next(same, None)


# Annotations


def _annotation(obj: Object, name: str) -> str | None:
    return (obj["metadata"].get("annotations") or {}).get(name)


def _number(obj: Object, name: str) -> int | None:
    text = _annotation(obj, name)
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def revision(obj: Object) -> int:
    """The revision an object carries; 0 where it carries none."""
    return _number(obj, REVISION) or 0


def desired(replica_set: Object) -> int | None:
    """The size of the Deployment when it last sized this ReplicaSet."""
    return _number(replica_set, DESIRED)


def most(replica_set: Object) -> int | None:
    """That size with the surge of then."""
    return _number(replica_set, MOST)


def size_annotations(deployment: Object) -> dict[str, str]:
    """What a ReplicaSet is told about the Deployment's size."""
    wanted = replicas(deployment)
    return {DESIRED: str(wanted), MOST: str(wanted + max_surge(deployment))}


def synced_annotations(deployment: Object, replica_set: Object, new_revision: int) -> dict[str, str]:
    """The annotations of the new ReplicaSet: the Deployment's own ones, its revision, and the ones it had before."""
    found: dict[str, str] = dict(replica_set["metadata"].get("annotations") or {})
    given = deployment["metadata"].get("annotations") or {}
    found |= {name: value for name, value in given.items() if name not in OWN}
    before = revision(replica_set)
    if before >= new_revision:
        return found
    if REVISION in found:
        found[HISTORY] = _longer_history(found.get(HISTORY, ""), found[REVISION])
    found[REVISION] = str(new_revision)
    return found


def _longer_history(history: str, before: str) -> str:
    """The revisions a ReplicaSet had, with one more; the first go when it gets too long."""
    known = [item for item in history.split(",") if item] + [before]
    while len(",".join(known)) > _LONGEST_HISTORY:
        known.pop(0)
    return ",".join(known)


def max_revision(sets: Sequence[Object]) -> int:
    """The highest revision."""
    return max((revision(replica_set) for replica_set in sets), default=0)
