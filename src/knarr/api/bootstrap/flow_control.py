"""The priority levels and flow schemas of a new cluster.

Source: https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#default-configurations
"""

from __future__ import annotations

from collections.abc import Iterator

from knarr.apimachinery.types import Object

API_VERSION = "flowcontrol.apiserver.k8s.io/v1"

#: Name: (concurrency shares, lendable percent, queues, hand size); no queues: what is too much is rejected.
_LEVELS: dict[str, tuple[int, int, int, int]] = {
    "catch-all": (5, 0, 0, 0),
    "global-default": (20, 50, 128, 6),
    "leader-election": (10, 0, 16, 4),
    "node-high": (40, 25, 64, 6),
    "system": (30, 33, 64, 6),
    "workload-high": (40, 50, 128, 6),
    "workload-low": (100, 90, 128, 6),
}
_QUEUE_LENGTH = 50
_MANDATORY = frozenset({"exempt", "catch-all"})
_AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"

_EVERYONE = ("Group system:unauthenticated", "Group system:authenticated")
_MANAGER, _SCHEDULER = "User system:kube-controller-manager", "User system:kube-scheduler"
#: `verbs groups resources cluster-scope namespaces`, or `verbs paths`.
_ALL = ("* * * true *", "* *")

#: Name: (level, precedence, distinguisher, subjects, rules).
_SCHEMAS: dict[str, tuple[str, int, str, tuple[str, ...], tuple[str, ...]]] = {
    "exempt": ("exempt", 1, "", ("Group system:masters",), _ALL),
    "probes": ("exempt", 2, "", _EVERYONE, ("get /healthz,/readyz,/livez",)),
    "system-leader-election": (
        "leader-election",
        100,
        "ByUser",
        (_MANAGER, _SCHEDULER),
        ("get,create,update coordination.k8s.io leases false *",),
    ),
    "endpoint-controller": (
        "workload-high",
        150,
        "ByUser",
        (
            _MANAGER,
            "ServiceAccount kube-system endpoint-controller",
            "ServiceAccount kube-system endpointslicemirroring-controller",
        ),
        ("get,create,update core endpoints false *",),
    ),
    "workload-leader-election": (
        "leader-election",
        200,
        "ByUser",
        ("ServiceAccount kube-system *",),
        ("get,create,update coordination.k8s.io leases false *",),
    ),
    "system-node-high": (
        "node-high",
        400,
        "ByUser",
        ("Group system:nodes",),
        ("* core nodes,nodes/status true *", "* coordination.k8s.io leases false *"),
    ),
    "system-nodes": ("system", 500, "ByUser", ("Group system:nodes",), _ALL),
    "kube-controller-manager": ("workload-high", 800, "ByNamespace", (_MANAGER,), _ALL),
    "kube-scheduler": ("workload-high", 800, "ByNamespace", (_SCHEDULER,), _ALL),
    "kube-system-service-accounts": ("workload-high", 900, "ByNamespace", ("ServiceAccount kube-system *",), _ALL),
    "service-accounts": ("workload-low", 9000, "ByUser", ("Group system:serviceaccounts",), _ALL),
    "global-default": ("global-default", 9900, "ByUser", _EVERYONE, _ALL),
    "catch-all": ("catch-all", 10000, "ByUser", _EVERYONE, _ALL),
}


def objects() -> Iterator[Object]:
    """All of them, levels before schemas."""
    exempt: Object = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}
    yield {**_head("PriorityLevelConfiguration", "exempt"), "spec": exempt}
    for name, level in _LEVELS.items():
        yield {**_head("PriorityLevelConfiguration", name), "spec": _level(*level)}
    for name, schema in _SCHEMAS.items():
        yield {**_head("FlowSchema", name), "spec": _schema(*schema)}


def mandatory(kind: str, name: str | None) -> Object | None:
    """The contents that a FlowSchema or PriorityLevelConfiguration of this name must have; None for any others."""
    if name not in _MANDATORY:
        return None
    spec: Object = next(one["spec"] for one in objects() if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return spec


def restored(wanted: Object, current: Object) -> Object | None:
    """A stored object with the contents that Kubernetes keeps it at; None when it has them, or may have others.

    What is mandatory always has its own contents, but for the shares of level `exempt`; the rest has them as long as
    its annotation says so.
    """
    meta, spec = current["metadata"], wanted["spec"]
    annotations = meta.get("annotations") or {}
    if meta["name"] not in _MANDATORY and annotations.get(_AUTOUPDATE) != "true":
        return None
    if "exempt" in spec and "exempt" in current["spec"]:
        spec = {**spec, "exempt": current["spec"]["exempt"]}
    if current["spec"] == spec and annotations.get(_AUTOUPDATE) == "true":
        return None
    return {**current, "metadata": {**meta, "annotations": {**annotations, _AUTOUPDATE: "true"}}, "spec": spec}


def _head(kind: str, name: str) -> Object:
    meta = {"name": name, "annotations": {_AUTOUPDATE: "true"}}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": meta}


def _level(shares: int, lendable: int, queues: int, hand: int) -> Object:
    response: Object = {"type": "Reject"}
    if queues:
        queuing = {"queues": queues, "handSize": hand, "queueLengthLimit": _QUEUE_LENGTH}
        response = {"type": "Queue", "queuing": queuing}
    limited = {"nominalConcurrencyShares": shares, "limitResponse": response, "lendablePercent": lendable}
    return {"type": "Limited", "limited": limited}


def _schema(
    level: str, precedence: int, distinguisher: str, subjects: tuple[str, ...], rules: tuple[str, ...]
) -> Object:
    spec: Object = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
    }
    if distinguisher:
        spec["distinguisherMethod"] = {"type": distinguisher}
    rule: Object = {"subjects": [_subject(text) for text in subjects]}
    for text in rules:
        key, value = _rule(text)
        rule.setdefault(key, []).append(value)
    spec["rules"] = [rule]
    return spec


def _subject(text: str) -> Object:
    kind, *parts = text.split(" ")
    if kind == "Group":
        return {"kind": kind, "group": {"name": parts[0]}}
    if kind == "User":
        return {"kind": kind, "user": {"name": parts[0]}}
    return {"kind": kind, "serviceAccount": {"namespace": parts[0], "name": parts[1]}}


def _rule(text: str) -> tuple[str, Object]:
    verbs, *rest = text.split(" ")
    if len(rest) == 1:
        return "nonResourceRules", {"verbs": verbs.split(","), "nonResourceURLs": rest[0].split(",")}
    groups, resources, cluster, namespaces = rest
    rule: Object = {
        "verbs": verbs.split(","),
        "apiGroups": ["" if group == "core" else group for group in groups.split(",")],
        "resources": resources.split(","),
    }
    if cluster == "true":
        rule["clusterScope"] = True
    rule["namespaces"] = namespaces.split(",")
    return "resourceRules", rule
