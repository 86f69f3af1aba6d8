"""The metadata that the server itself sets, on creation and on change.

Source of the rules: k8s.io/apiserver/pkg/registry/rest (create.go, update.go, meta.go).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from knarr.api.resources import Resource
from knarr.apimachinery.errors import bad_request
from knarr.apimachinery.types import Object

_SYSTEM = ("creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")
_OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"


def ensure_namespace(resource: Resource, obj: Object, namespace: str) -> None:
    """Set the request's namespace. Raises `StatusError` 400 when the object says another one."""
    meta = obj["metadata"]
    if not resource.namespaced:
        meta.pop("namespace", None)
        return
    given = meta.get("namespace")
    if given and given != namespace:
        raise bad_request(_OTHER_NAMESPACE)
    meta["namespace"] = namespace


def check_name(obj: Object, namespace: str, name: str) -> None:
    """The body of an update names the object of the path. Raises `StatusError` 400."""
    meta = obj["metadata"]
    given, home = meta.get("name", ""), meta.get("namespace", "")
    if not given:
        raise bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if given != name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
    if namespace and home and home != namespace:
        raise bad_request(
            f"the namespace of the object ({home}) does not match the namespace on the request ({namespace})"
        )


def wipe_system_fields(obj: Object) -> None:
    """What a client may not set on a new object."""
    meta = obj["metadata"]
    for name in _SYSTEM:
        meta.pop(name, None)


def fill_system_fields(obj: Object, stamp: str, uid: str) -> None:
    """What every object gets when it is made."""
    meta = obj["metadata"]
    meta["creationTimestamp"] = stamp
    meta["uid"] = uid
    # What admission may have set: nothing begins with its end.
    meta.pop("deletionTimestamp", None)
    meta.pop("deletionGracePeriodSeconds", None)


def keep_system_fields(obj: Object, old: Object, stamp: str) -> None:
    """What an update cannot change."""
    meta, before = obj["metadata"], old["metadata"]
    if not meta.get("uid"):
        meta["uid"] = before.get("uid", "")
    meta["creationTimestamp"] = before.get("creationTimestamp") or stamp
    if before.get("deletionTimestamp"):
        meta["deletionTimestamp"] = before["deletionTimestamp"]
    if before.get("deletionGracePeriodSeconds") is not None and meta.get("deletionGracePeriodSeconds") is None:
        meta["deletionGracePeriodSeconds"] = before["deletionGracePeriodSeconds"]
    if "generation" in before:
        meta["generation"] = before["generation"]
    else:
        meta.pop("generation", None)
    meta.pop("selfLink", None)


def dedup_owners(obj: Object, warn: Callable[[str], None], *, after_admission: bool) -> None:
    """Drop owner references that stand twice, and say so."""
    owners: list[Any] = obj["metadata"].get("ownerReferences") or []
    if len(owners) < 2:
        return
    kept: dict[bytes, Any] = {}
    again: set[str] = set()
    for owner in owners:
        if kept.setdefault(orjson.dumps(owner, option=orjson.OPT_SORT_KEYS), owner) is not owner:
            again.add(str(owner.get("uid", "")))
    if not again:
        return
    obj["metadata"]["ownerReferences"] = list(kept.values())
    names = ", ".join(sorted(again))
    if after_admission:
        warn(
            ".metadata.ownerReferences contains duplicate entries after mutating admission happens; API server "
            f"dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your "
            f"requests; duplicate UID(s) observed: {names}"
        )
    else:
        warn(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and "
            f"may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {names}"
        )
