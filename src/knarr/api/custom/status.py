"""The status of definitions: which names they have, whether their resources are served, what becomes of them.

Input: a definition, the names that others of its group have, the time. Output: the status it should have. Pure.
Source: k8s.io/apiextensions-apiserver/pkg/controller (status, establish, apiapproval, nonstructuralschema, finalizer).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from knarr.apimachinery.types import Object

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_APPROVAL = "api-approved.kubernetes.io"
_MORE = "see https://github.com/kubernetes/enhancements/pull/1111"
_ACCEPTED = "the initial names have been accepted"


@dataclass(slots=True)
class Taken:
    """The names that a group's definitions have."""

    resources: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)

    def add(self, accepted: Object) -> None:
        """Count a definition's accepted names in."""
        names = (accepted.get("plural"), accepted.get("singular"), *(accepted.get("shortNames") or ()))
        self.resources.update(name for name in names if name)
        self.kinds.update(name for name in (accepted.get("kind"), accepted.get("listKind")) if name)


def settled(crd: Object, others: Iterable[Object], now: str) -> Object:
    """The status of a definition whose group has other definitions with these accepted names; `now` in RFC 3339."""
    status: Object = dict(crd.get("status") or {})
    taken = Taken()
    for accepted in others:
        taken.add(accepted)
    names, accepted_condition = _names(crd, taken)
    status["acceptedNames"] = names
    found = _merged(status.get("conditions") or [], accepted_condition, now)
    found = _merged(found, _established(found, accepted_condition), now)
    approval = _approval(crd)
    if approval is not None:
        found = _merged(found, approval, now)
    status["conditions"] = found
    return status


def terminating(crd: Object, status: str, reason: str, message: str, now: str) -> Object:
    """The status of a definition with what is said of its end."""
    found: Object = dict(crd.get("status") or {})
    condition = {"type": "Terminating", "status": status, "reason": reason, "message": message}
    found["conditions"] = _merged(found.get("conditions") or [], condition, now)
    return found


def marked(crd: Object, now: str) -> Object:
    """A definition that is deleted: it stays until its objects are gone."""
    meta = crd["metadata"]
    finalizers = meta.get("finalizers") or []
    if FINALIZER not in finalizers:
        finalizers = [*finalizers, FINALIZER]
    text = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    return {
        **crd,
        "metadata": {**meta, "deletionTimestamp": now, "finalizers": finalizers},
        "status": terminating(crd, "True", "InstanceDeletionPending", text, now),
    }


def _names(crd: Object, taken: Taken) -> tuple[Object, Object]:
    """The accepted names and the condition about them: what has been asked for, where nobody else has it."""
    asked, have = crd["spec"]["names"], (crd.get("status") or {}).get("acceptedNames") or {}
    names: Object = {"kind": "", "plural": "", **have}
    wrong: tuple[str, str] | None = None
    for member, used, reason in (
        ("plural", taken.resources, "PluralConflict"),
        ("singular", taken.resources, "SingularConflict"),
        ("shortNames", taken.resources, "ShortNamesConflict"),
        ("kind", taken.kinds, "KindConflict"),
        ("listKind", taken.kinds, "ListKindConflict"),
    ):
        message = _clash(asked.get(member), have.get(member), used)
        if message:
            wrong = (reason, message)
        else:
            _set(names, member, asked.get(member))
    _set(names, "categories", asked.get("categories"))
    reason, message = wrong or ("NoConflicts", "no conflicts found")
    return names, {"type": "NamesAccepted", "status": str(wrong is None), "reason": reason, "message": message}


def _clash(asked: Any, have: Any, used: set[str]) -> str:
    """What is wrong with a name, or with short names."""
    if isinstance(asked, list):
        found = [_clash(name, name if name in (have or ()) else "", used) for name in asked]
        wrong = list(dict.fromkeys(text for text in found if text))
        return wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]" if wrong else ""
    if not asked or asked == have or asked not in used:
        return ""
    return f"{json.dumps(asked)} is already in use"


def _set(names: Object, member: str, value: Any) -> None:
    if value:
        names[member] = value
    elif member in ("kind", "plural"):
        names[member] = ""
    else:
        names.pop(member, None)


def _established(conditions: list[Object], accepted: Object) -> Object:
    """Who is established stays so; others become it with their names."""
    old = next((each for each in conditions if each["type"] == "Established"), None)
    if old is not None and old["status"] == "True":
        return old
    if accepted["status"] == "True":
        reason = "InitialNamesAccepted"
        return {"type": "Established", "status": "True", "reason": reason, "message": _ACCEPTED}
    message = "not all names are accepted"
    return old or {"type": "Established", "status": "False", "reason": "NotAccepted", "message": message}


def _approval(crd: Object) -> Object | None:
    """The condition of those whose group is the community's."""
    group: str = crd["spec"]["group"]
    if not (group in ("k8s.io", "kubernetes.io") or group.endswith((".k8s.io", ".kubernetes.io"))):
        return None
    text = (crd["metadata"].get("annotations") or {}).get(_APPROVAL, "")
    status, reason, message = _approved(text)
    kind = "KubernetesAPIApprovalPolicyConformant"
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _approved(text: str) -> tuple[str, str, str]:
    must = f'protected groups must have approval annotation "{_APPROVAL}"'
    if not text:
        return "False", "MissingAnnotation", f"{must}, {_MORE}"
    if text.startswith("unapproved"):
        return "False", "UnapprovedAnnotation", f"not approved: {json.dumps(text)}"
    if _is_url(text):
        return "True", "ApprovedAnnotation", f"approved in {text}"
    why = 'with either a URL or a reason starting with "unapproved"'
    return "False", "InvalidAnnotation", f"{must} {why}, {_MORE}"


def _is_url(text: str) -> bool:
    try:
        found = urlsplit(text)
    except ValueError:
        return False
    return bool(found.scheme and found.netloc)


def _merged(conditions: list[Object], new: Object, now: str) -> list[Object]:
    """The conditions with one put in its place; its time is that of the last change of its status."""
    old = next((each for each in conditions if each["type"] == new["type"]), None)
    same = old is not None and old["status"] == new["status"]
    since = old.get("lastTransitionTime") if old is not None and same else now
    condition = {**new, "lastTransitionTime": since or now}
    if old is None:
        return [*conditions, condition]
    return [condition if each is old else each for each in conditions]
