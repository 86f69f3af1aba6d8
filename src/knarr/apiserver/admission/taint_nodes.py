"""TaintNodesByCondition: a new node is not ready until a controller has seen that it is."""

from __future__ import annotations

from knarr.apiserver.admission.plugin import Kinds, new_objects
from knarr.apiserver.attributes import Attributes

_TAINT = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition:
    """Taints new nodes."""

    name = "TaintNodesByCondition"
    kinds: Kinds = frozenset({("nodes", "")})
    concerns = staticmethod(new_objects)

    def admit(self, attributes: Attributes) -> None:
        """Add the not-ready taint to a new node."""
        node = attributes.object
        if attributes.operation != "CREATE" or attributes.subresource or node is None:
            return
        spec = node.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(taint.get("key") == _TAINT["key"] and taint.get("effect") == _TAINT["effect"] for taint in taints):
            spec["taints"] = [*taints, dict(_TAINT)]
