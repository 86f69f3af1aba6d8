"""CustomResourceDefinitions as resources: what a definition makes the server serve.

Input: a definition as it is stored. Output: its `Resource`s, one a version, each with a `CustomVersion`. Pure.
Source: k8s.io/apiextensions-apiserver/pkg/apiserver (customresource_discovery_controller,
customresource_handler).
"""

from __future__ import annotations

from typing import Any

from knarr.api.custom import versions
from knarr.api.resources import CustomVersion, Definition, Resource, Subresource
from knarr.apimachinery.types import Object

#: What can be done with custom resources.
VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
#: What can still be done while a definition is being deleted.
_LAST_VERBS = ("delete", "deletecollection", "get", "list", "watch")
_PART_VERBS = ("get", "patch", "update")


def condition(crd: Object, kind: str) -> bool:
    """Whether a condition of a definition is true."""
    found = (crd.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == kind and each.get("status") == "True" for each in found)


def is_served(crd: Object) -> bool:
    """Whether requests for its objects are answered."""
    return condition(crd, "NamesAccepted") or condition(crd, "Established")


def is_unsettled(crd: Object) -> bool:
    """Whether its status may have to be written: names are not all accepted, or it is being deleted."""
    asked, accepted = crd["spec"]["names"], (crd.get("status") or {}).get("acceptedNames") or {}
    if any((asked.get(name) or None) != (accepted.get(name) or None) for name in {*asked, *accepted}):
        return True
    return not condition(crd, "Established") or bool(crd["metadata"].get("deletionTimestamp"))


def define(crd: Object, body: bytes) -> Definition:
    """A definition with the resources of its versions. `body` is its JSON."""
    spec, meta = crd["spec"], crd["metadata"]
    listed: list[Object] = spec.get("versions") or []
    stored = next((each["name"] for each in listed if each.get("storage")), "")
    found = Definition(
        name=meta["name"],
        uid=meta.get("uid", ""),
        body=body,
        storage_version=stored,
        conversion=spec.get("conversion") or {},
        list_kind=_names(crd).get("listKind", ""),
        ends=condition(crd, "Terminating"),
        preserves=bool(spec.get("preserveUnknownFields")),
    )
    for at, version in enumerate(listed):
        custom = _version(found, crd, version, at)
        found.versions[version["name"]] = _resource(crd, version["name"], custom)
    return found


def preferred(crd: Object) -> Resource | None:
    """What components other than the server need to know of a definition that is served, in its best version."""
    spec = crd["spec"]
    names = [each["name"] for each in spec.get("versions") or () if each.get("served")]
    if not is_served(crd) or not names:
        return None
    return Resource(
        group=spec["group"],
        version=max(names, key=versions.rank),
        plural=spec["names"]["plural"],
        kind=_names(crd)["kind"],
        namespaced=spec.get("scope") == "Namespaced",
        verbs=VERBS,
        storage=storage(spec["group"], spec["names"]["plural"]),
    )


def outline(crd: Object) -> Object:
    """A definition without its schemas."""
    spec = crd["spec"]
    versions_ = [
        {name: each.get(name) for name in ("name", "served", "storage")} for each in spec.get("versions") or ()
    ]
    kept = {name: spec[name] for name in ("group", "names", "scope") if name in spec}
    return {**crd, "spec": {**kept, "versions": versions_}}


def storage(group: str, plural: str) -> str:
    """The folder of the objects in the store."""
    return f"{group}/{plural}"


def _version(found: Definition, crd: Object, version: Object, at: int) -> CustomVersion:
    sub = version.get("subresources") or {}
    return CustomVersion(
        definition=found,
        at=at,
        served=bool(version.get("served")),
        has_status=sub.get("status") is not None,
        scale=sub.get("scale"),
        columns=tuple(version.get("additionalPrinterColumns") or ()),
        selectable=tuple(each.get("jsonPath", "") for each in version.get("selectableFields") or ()),
        deprecation=_deprecation(crd["spec"], version),
    )


def _resource(crd: Object, version: str, custom: CustomVersion) -> Resource:
    spec = crd["spec"]
    group: str = spec["group"]
    names = _names(crd)
    subresources = []
    if custom.has_status:
        subresources.append(Subresource("status", names["kind"], group, version, _PART_VERBS))
    if custom.scale is not None:
        subresources.append(Subresource("scale", "Scale", "autoscaling", "v1", _PART_VERBS))
    plural = spec["names"]["plural"]
    return Resource(
        group=group,
        version=version,
        plural=plural,
        kind=names["kind"],
        namespaced=spec.get("scope") == "Namespaced",
        verbs=_LAST_VERBS if condition(crd, "Terminating") else VERBS,
        singular=names.get("singular", ""),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(subresources),
        storage=storage(group, plural),
        storage_version=custom.definition.storage_version,
        storage_version_hash=versions.storage_hash(group, custom.definition.storage_version, names["kind"]),
        storage_group=group,
        custom=custom,
    )


def _names(crd: Object) -> dict[str, Any]:
    """The names that are its own: others may have been asked for since."""
    accepted = (crd.get("status") or {}).get("acceptedNames") or {}
    if not accepted.get("kind"):
        return dict(crd["spec"]["names"])
    return {**accepted, "plural": crd["spec"]["names"]["plural"]}


def _deprecation(spec: Object, version: Object) -> str:
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning") is not None:
        return str(version["deprecationWarning"])
    group, kind, name = spec["group"], spec["names"]["kind"], version["name"]
    better = [
        each["name"]
        for each in spec["versions"]
        if each.get("served") and not each.get("deprecated") and versions.rank(each["name"]) > versions.rank(name)
    ]
    text = f"{group}/{name} {kind} is deprecated"
    return f"{text}; use {group}/{max(better, key=versions.rank)} {kind}" if better else text
