"""Defaults of rbac.authorization.k8s.io/v1."""

from __future__ import annotations

from knarr.apimachinery.types import Object

_GROUP = "rbac.authorization.k8s.io"


def role_binding(obj: Object) -> None:
    """The group of the role and of users and groups."""
    if not obj["roleRef"]["apiGroup"]:
        obj["roleRef"]["apiGroup"] = _GROUP
    for subject in obj.get("subjects", ()):
        if subject["kind"] in ("User", "Group"):
            subject.setdefault("apiGroup", _GROUP)
