"""Priority: pods get the number of their PriorityClass.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
"""

from __future__ import annotations

from knarr.apimachinery.types import Object
from knarr.apiserver.admission.plugin import Kinds, refuse, written_objects
from knarr.apiserver.attributes import Attributes, Reader

_GROUP = "scheduling.k8s.io"
_CLASSES = ("priorityclasses", _GROUP)


class Priority:
    """Resolves priority classes; sees to it that one of them at most is the default."""

    name = "Priority"
    kinds: Kinds = frozenset({("pods", ""), _CLASSES})
    concerns = staticmethod(written_objects)

    def admit(self, attributes: Attributes) -> None:
        """Set a pod's priority and preemption policy. Raises `StatusError` for an unknown class."""
        pod = attributes.object
        if attributes.kind_key == _CLASSES or attributes.subresource or pod is None:
            return
        if attributes.operation == "UPDATE" and attributes.old_object is not None:
            old = attributes.old_object["spec"]
            for field in ("priority", "preemptionPolicy"):
                if pod["spec"].get(field) is None and old.get(field) is not None:
                    pod["spec"][field] = old[field]
        elif attributes.operation == "CREATE":
            _resolve(attributes, pod["spec"])

    def validate(self, attributes: Attributes) -> None:
        """Refuse a second default class. Raises `StatusError`."""
        new = attributes.object
        if attributes.kind_key != _CLASSES or attributes.subresource or new is None or not new.get("globalDefault"):
            return
        default = _default_class(attributes.reader)
        if default is None:
            return
        name = default["metadata"]["name"]
        if attributes.operation == "CREATE" or name != new["metadata"]["name"]:
            raise refuse(attributes, f"PriorityClass {name} is already marked as default. Only one default can exist")


def _resolve(attributes: Attributes, spec: Object) -> None:
    name = spec.get("priorityClassName")
    if name:
        found = attributes.reader.get("priorityclasses", _GROUP, "", name)
        if found is None:
            raise refuse(attributes, f"no PriorityClass with name {name} was found")
    else:
        found = _default_class(attributes.reader)
        if found is not None:
            spec["priorityClassName"] = found["metadata"]["name"]
    value = found.get("value", 0) if found is not None else 0
    policy = found.get("preemptionPolicy") if found is not None else "PreemptLowerPriority"
    if spec.get("priority") is not None and spec["priority"] != value:
        raise refuse(
            attributes,
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
            f"priority admission controller computed {value} from the given PriorityClass name",
        )
    spec["priority"] = value
    if policy is None:
        return
    if spec.get("preemptionPolicy") is not None and spec["preemptionPolicy"] != policy:
        raise refuse(
            attributes,
            f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; "
            f"priority admission controller computed {policy} from the given PriorityClass name",
        )
    spec["preemptionPolicy"] = policy


def _default_class(reader: Reader) -> Object | None:
    """The default class; the one with the lowest value when a race made several."""
    defaults = [item for item in reader.list("priorityclasses", _GROUP) if item.get("globalDefault")]
    return min(defaults, key=lambda item: int(item.get("value", 0)), default=None)
