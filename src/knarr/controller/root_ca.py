"""The config map `kube-root-ca.crt`, by which pods of every namespace know the API server's certificate.

Input: a namespace, the PEM bundle. Output: the config map, where it is missing or differs.
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import CONFIGMAPS, NAMESPACES
from knarr.apimachinery.types import Object
from knarr.component_base.metrics import About
from knarr.controller_runtime.changes import DONE, Context, Create, Result, Tick, Update
from knarr.controller_runtime.controller import Controller, Watch, itself
from knarr.controller_runtime.observing import tally
from knarr.controller_runtime.snapshot import Key, Snapshot

NAME = "kube-root-ca.crt"
_DESCRIPTION = "kubernetes.io/description"
_TEXT = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)

_SYNCS = About(
    "root_ca_cert_publisher_sync_total",
    "Number of namespace syncs happened in root ca cert publisher.",
    ("code",),
)
_SYNCED = (Tick(_SYNCS, ("200",)),)


def controller(bundle: str) -> Controller:
    """The controller that publishes a PEM bundle."""
    data = {"ca.crt": bundle}

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        namespace = snapshot.get(*key)
        if namespace is None or (namespace.get("status") or {}).get("phase") != "Active":
            return DONE
        found = snapshot.get(CONFIGMAPS, key.name, NAME)
        if found is None:
            meta = {"name": NAME, "namespace": key.name, "annotations": {_DESCRIPTION: _TEXT}}
            created = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
            return Result((Create(CONFIGMAPS, created),), ticks=_SYNCED)
        changes = () if _is_right(found, data) else (Update(CONFIGMAPS, _corrected(found, data)),)
        return Result(changes, ticks=_SYNCED)

    return Controller(
        name="root-ca-cert-publisher",
        queue="root_ca_cert_publisher",
        observer=tally(_SYNCS),
        resource=NAMESPACES,
        watches=(Watch(NAMESPACES, itself(NAMESPACES)), Watch(CONFIGMAPS, _namespace_of)),
        writes=("create, update configmaps",),
        reconcile=reconcile,
    )


def _is_right(found: Object, data: Object) -> bool:
    described = (found["metadata"].get("annotations") or {}).get(_DESCRIPTION)
    return found.get("data") == data and described == _TEXT


def _corrected(found: Object, data: Object) -> Object:
    meta = found["metadata"]
    return {**found, "metadata": {**meta, "annotations": {_DESCRIPTION: _TEXT}}, "data": data}


def _namespace_of(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    meta = (new or old or {})["metadata"]
    return [Key(NAMESPACES, "", meta["namespace"])] if meta["name"] == NAME else ()
