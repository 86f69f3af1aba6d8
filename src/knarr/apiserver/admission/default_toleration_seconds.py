"""DefaultTolerationSeconds: pods stay five minutes on a node that is not ready or cannot be reached."""

from __future__ import annotations

from knarr.apimachinery.types import Object
from knarr.apiserver.admission.plugin import Kinds, written_objects
from knarr.apiserver.attributes import Attributes

_SECONDS = 300
_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class DefaultTolerationSeconds:
    """Adds the two tolerations to pods that have none for these taints."""

    name = "DefaultTolerationSeconds"
    kinds: Kinds = frozenset({("pods", "")})
    concerns = staticmethod(written_objects)

    def admit(self, attributes: Attributes) -> None:
        """Add what is missing."""
        pod = attributes.object
        if attributes.operation not in ("CREATE", "UPDATE") or attributes.subresource or pod is None:
            return
        tolerations = pod["spec"].get("tolerations") or []
        missing = [key for key in _TAINTS if not any(_tolerates(item, key) for item in tolerations)]
        if missing:
            pod["spec"]["tolerations"] = [*tolerations, *map(_toleration, missing)]


def _tolerates(toleration: Object, key: str) -> bool:
    return toleration.get("key", "") in ("", key) and toleration.get("effect", "") in ("", "NoExecute")


def _toleration(key: str) -> Object:
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _SECONDS}
