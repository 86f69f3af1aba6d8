"""LimitRanger: containers get the default requests and limits of their namespace, and keep within its bounds.

Source: https://kubernetes.io/docs/concepts/policy/limit-range/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from knarr.api.semantics import pod_totals
from knarr.api.semantics.resource_lists import Resources, parsed
from knarr.apimachinery.quantity import Quantity
from knarr.apimachinery.types import Object
from knarr.apiserver.admission.plugin import Kinds, refuse
from knarr.apiserver.attributes import Attributes

_ANNOTATION = "kubernetes.io/limit-ranger"
_KINDS = (("containers", "container"), ("initContainers", "init container"))


def _concerns(operation: str, subresource: str) -> bool:
    """Containers cannot change after creation but by a resize."""
    return operation in ("CREATE", "UPDATE") and subresource in ("", "resize")


class LimitRanger:
    """Applies the LimitRanges of a namespace to new pods and to claims."""

    name = "LimitRanger"
    kinds: Kinds = frozenset({("pods", ""), ("persistentvolumeclaims", "")})
    concerns = staticmethod(_concerns)

    def admit(self, attributes: Attributes) -> None:
        """Set what a new pod's containers leave open."""
        pod = attributes.object
        if attributes.kind_key != ("pods", "") or pod is None or not _applies(attributes):
            return
        for limit_range in _ranges(attributes):
            _set_defaults(pod, limit_range)

    def validate(self, attributes: Attributes) -> None:
        """Refuse what lies outside the bounds. Raises `StatusError`."""
        obj = attributes.object
        if obj is None or not _applies(attributes):
            return
        check = _check_pod if attributes.kind_key == ("pods", "") else _check_claim
        for limit_range in _ranges(attributes):
            errors = list(dict.fromkeys(check(obj, limit_range)))
            if errors:
                raise refuse(attributes, errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")


def _applies(attributes: Attributes) -> bool:
    """Containers cannot change after creation but by a resize; objects that go away are left alone."""
    old = attributes.old_object
    if old is not None and old["metadata"].get("deletionTimestamp"):
        return False
    if attributes.kind_key == ("pods", ""):
        if attributes.operation == "UPDATE":
            return attributes.subresource == "resize"
        return attributes.operation == "CREATE" and not attributes.subresource
    return attributes.operation in ("CREATE", "UPDATE") and not attributes.subresource


def _ranges(attributes: Attributes) -> Iterable[Object]:
    return attributes.reader.list("limitranges", "", attributes.namespace)


def _limits(limit_range: Object, kind: str) -> Iterator[Object]:
    for limit in (limit_range.get("spec") or {}).get("limits") or ():
        if limit.get("type") == kind:
            yield limit


# defaults


def _set_defaults(pod: Object, limit_range: Object) -> None:
    defaults: dict[str, dict[str, str]] = {"limits": {}, "requests": {}}
    for limit in _limits(limit_range, "Container"):
        defaults["limits"].update(limit.get("default") or {})
        defaults["requests"].update(limit.get("defaultRequest") or {})
    notes = [
        note
        for kind, label in _KINDS
        for container in pod["spec"].get(kind) or ()
        for note in _complete(container, label, defaults)
    ]
    if notes:
        annotations = pod["metadata"].get("annotations") or {}
        pod["metadata"]["annotations"] = {**annotations, _ANNOTATION: f"LimitRanger plugin set: {'; '.join(notes)}"}


def _complete(container: Object, label: str, defaults: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    resources = dict(container.get("resources") or {})
    for part, noun in (("requests", "request"), ("limits", "limit")):
        have = resources.get(part) or {}
        missing = {name: value for name, value in defaults[part].items() if name not in have}
        if missing:
            resources[part] = {**have, **missing}
            container["resources"] = resources
            yield f"{', '.join(sorted(missing))} {noun} for {label} {container.get('name', '')}"


# bounds


def _check_pod(pod: Object, limit_range: Object) -> Iterator[str]:
    for limit in _limits(limit_range, "Container"):
        for kind, _ in _KINDS:
            for container in pod["spec"].get(kind) or ():
                resources = container.get("resources") or {}
                yield from _check(limit, parsed(resources.get("requests")), parsed(resources.get("limits")))
    for limit in _limits(limit_range, "Pod"):
        yield from _check(limit, _total(pod, "requests"), _total(pod, "limits"))


def _check_claim(claim: Object, limit_range: Object) -> Iterator[str]:
    requests = parsed(((claim.get("spec") or {}).get("resources") or {}).get("requests"))
    for limit in _limits(limit_range, "PersistentVolumeClaim"):
        for name, bound in _bounds(limit, "min"):
            yield from _minimum(limit["type"], name, bound, requests, {})
        for name, bound in _bounds(limit, "max"):
            yield from _maximum_request(limit["type"], name, bound, requests)


def _check(limit: Object, requests: Resources, limits: Resources) -> Iterator[str]:
    kind = limit["type"]
    for name, bound in _bounds(limit, "min"):
        yield from _minimum(kind, name, bound, requests, limits)
    for name, bound in _bounds(limit, "max"):
        yield from _maximum(kind, name, bound, requests, limits)
    for name, bound in _bounds(limit, "maxLimitRequestRatio"):
        yield from _ratio(kind, name, bound, requests, limits)


def _bounds(limit: Object, part: str) -> list[tuple[str, Quantity]]:
    return sorted(parsed(limit.get(part)).items(), key=lambda item: item[0])


def _minimum(kind: str, name: str, bound: Quantity, requests: Resources, limits: Resources) -> Iterator[str]:
    head = f"minimum {name} usage per {kind} is {bound}"
    if name not in requests:
        yield f"{head}.  No request is specified"
    elif requests[name] < bound:
        yield f"{head}, but request is {requests[name]}"
    elif name in limits and limits[name] < bound:
        yield f"{head}, but limit is {limits[name]}"


def _maximum_request(kind: str, name: str, bound: Quantity, requests: Resources) -> Iterator[str]:
    head = f"maximum {name} usage per {kind} is {bound}"
    if name not in requests:
        yield f"{head}.  No request is specified"
    elif bound < requests[name]:
        yield f"{head}, but request is {requests[name]}"


def _maximum(kind: str, name: str, bound: Quantity, requests: Resources, limits: Resources) -> Iterator[str]:
    head = f"maximum {name} usage per {kind} is {bound}"
    if name not in limits:
        yield f"{head}.  No limit is specified"
    elif bound < limits[name]:
        yield f"{head}, but limit is {limits[name]}"
    elif name in requests and bound < requests[name]:
        yield f"{head}, but request is {requests[name]}"


def _ratio(kind: str, name: str, bound: Quantity, requests: Resources, limits: Resources) -> Iterator[str]:
    head = f"{name} max limit to request ratio per {kind} is {bound}"
    if not requests.get(name):
        yield f"{head}, but no request is specified or request is 0"
    elif not limits.get(name):
        yield f"{head}, but no limit is specified or limit is 0"
    else:
        ratio = float(limits[name]) / float(requests[name])
        if ratio > float(bound):
            yield f"{head}, but provided ratio is {ratio:.6f}"


def _total(pod: Object, part: str) -> Resources:
    return {**pod_totals.of_containers(pod["spec"], part), **pod_totals.own(pod["spec"], part)}
