"""PodTopologyLabels: a pod gets the zone and region of its node as labels, for the downward API to show.

Source: https://kep.k8s.io/4742
"""

from __future__ import annotations

from knarr.apiserver.admission.plugin import Kinds
from knarr.apiserver.attributes import Attributes, Reader

_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


def _concerns(operation: str, subresource: str) -> bool:
    """Labels follow the node: of bindings, and of pods that are made for one."""
    return operation == "CREATE" and subresource in ("", "binding")


class PodTopologyLabels:
    """Labels bindings, whose labels the pod takes over, and new pods that have their node already."""

    name = "PodTopologyLabels"
    kinds: Kinds = frozenset({("pods", "")})
    concerns = staticmethod(_concerns)

    def admit(self, attributes: Attributes) -> None:
        """Add the labels of the node, where there is one."""
        obj = attributes.object
        if attributes.operation != "CREATE" or obj is None:
            return
        if attributes.subresource == "binding":
            target = obj.get("target") or {}
            node = target.get("name") if target.get("kind") == "Node" else None
        elif not attributes.subresource:
            node = (obj.get("spec") or {}).get("nodeName")
        else:
            return
        labels = _topology(attributes.reader, node) if node else {}
        if labels:
            obj["metadata"]["labels"] = {**(obj["metadata"].get("labels") or {}), **labels}


def _topology(reader: Reader, node: str) -> dict[str, str]:
    found = reader.get("nodes", "", "", node)
    labels = (found["metadata"].get("labels") or {}) if found is not None else {}
    return {key: labels[key] for key in _LABELS if key in labels}
