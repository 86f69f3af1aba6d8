"""RuntimeClass: pods get the overhead and the scheduling constraints of their runtime.

Source: https://kubernetes.io/docs/concepts/containers/runtime-class/
"""

from __future__ import annotations

from knarr.apimachinery.field import quote
from knarr.apimachinery.types import Object
from knarr.apiserver.admission.plugin import Kinds, new_objects, refuse
from knarr.apiserver.attributes import Attributes

_MISMATCH = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"


class RuntimeClass:
    """Applies a pod's RuntimeClass."""

    name = "RuntimeClass"
    kinds: Kinds = frozenset({("pods", "")})
    concerns = staticmethod(new_objects)

    def admit(self, attributes: Attributes) -> None:
        """Set overhead, node selector and tolerations of a new pod. Raises `StatusError`."""
        pod = attributes.object
        if attributes.operation != "CREATE" or attributes.subresource or pod is None:
            return
        runtime = _runtime_class(attributes, pod)
        if runtime is None:
            return
        spec = pod["spec"]
        overhead = runtime.get("overhead")
        if overhead is not None:
            fixed = overhead.get("podFixed") or {}
            if spec.get("overhead") and spec["overhead"] != fixed:
                raise refuse(attributes, _MISMATCH)
            if fixed:
                spec["overhead"] = dict(fixed)
        if runtime.get("scheduling") is not None:
            _constrain(attributes, spec, runtime["scheduling"])

    def validate(self, attributes: Attributes) -> None:
        """Refuse an overhead that no RuntimeClass gives. Raises `StatusError`."""
        pod = attributes.object
        if attributes.operation != "CREATE" or attributes.subresource or pod is None:
            return
        runtime = _runtime_class(attributes, pod)
        overhead = runtime.get("overhead") if runtime is not None else None
        have = pod["spec"].get("overhead") or {}
        if overhead is not None:
            if have != (overhead.get("podFixed") or {}):
                raise refuse(attributes, _MISMATCH)
        elif have:
            raise refuse(
                attributes, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            )


def _runtime_class(attributes: Attributes, pod: Object) -> Object | None:
    name = pod["spec"].get("runtimeClassName")
    if name is None:
        return None
    found = attributes.reader.get("runtimeclasses", "node.k8s.io", "", name)
    if found is None:
        raise refuse(attributes, f"pod rejected: RuntimeClass {quote(name)} not found")
    return found


def _constrain(attributes: Attributes, spec: Object, scheduling: Object) -> None:
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        if selector.get(key, value) != value:
            theirs, mine = f"runtimeClass.scheduling.nodeSelector[{key}]", f"pod.spec.nodeSelector[{key}]"
            raise refuse(attributes, f"conflict: {theirs} = {value}; {mine} = {selector[key]}")
        selector[key] = value
    if selector:
        spec["nodeSelector"] = selector
    tolerations = _merge([*(spec.get("tolerations") or ()), *(scheduling.get("tolerations") or ())])
    if tolerations:
        spec["tolerations"] = tolerations


def _merge(tolerations: list[Object]) -> list[Object]:
    """The tolerations without those that another one includes; of equal ones the first stays."""
    kept: list[Object] = []
    for index, item in enumerate(tolerations):
        later = (other for other in tolerations[index + 1 :] if other != item)
        if not any(_includes(other, item) for other in (*kept, *later)):
            kept.append(item)
    return kept


def _includes(wide: Object, narrow: Object) -> bool:
    """Tell whether `wide` tolerates everything that `narrow` does, at least as long."""
    if wide == narrow:
        return True
    exists = wide.get("operator") == "Exists"
    key, effect = wide.get("key", ""), wide.get("effect", "")
    if (narrow.get("key", "") != key and (key or not exists)) or (effect and narrow.get("effect", "") != effect):
        return False
    limit = wide.get("tolerationSeconds")
    if effect == "NoExecute" and limit is not None:
        seconds = narrow.get("tolerationSeconds")
        if seconds is None or seconds > limit:
            return False
    if exists:
        return True
    same_operator = bool(narrow.get("operator", "") == wide.get("operator", ""))
    return same_operator and bool(narrow.get("value", "") == wide.get("value", ""))
