"""What selects pods (Services, ReplicationControllers, ReplicaSets, StatefulSets), for spreading by default."""

from __future__ import annotations

from knarr.apimachinery import labels
from knarr.apimachinery.types import Object
from knarr.scheduler.pod_info import PodInfo

_CONTROLLERS = frozenset({("v1", "ReplicationController"), ("apps/v1", "ReplicaSet"), ("apps/v1", "StatefulSet")})


class WorkloadSelectors:
    """The selectors of all Services and controllers, by namespace."""

    def __init__(self) -> None:
        self._services: dict[str, dict[str, dict[str, str]]] = {}
        self._controllers: dict[tuple[str, str, str], Object] = {}

    def set_service(self, namespace: str, name: str, service: Object | None) -> None:
        """Take over a Service; `None` when it is gone."""
        named = self._services.setdefault(namespace, {})
        named.pop(name, None)
        selector = ((service or {}).get("spec") or {}).get("selector")
        if selector:
            named[name] = selector
        if not named:
            del self._services[namespace]

    def set_controller(self, kind: str, namespace: str, name: str, controller: Object | None) -> None:
        """Take over a controller of one of the three kinds; `None` when it is gone."""
        key = (kind, namespace, name)
        selector = ((controller or {}).get("spec") or {}).get("selector")
        if selector is None:
            self._controllers.pop(key, None)
        else:
            self._controllers[key] = {"matchLabels": selector} if kind == "ReplicationController" else selector

    def selector(self, pod: PodInfo) -> labels.Selector:
        """What selects the pod and its like: the Services that select it, and its controller. Everything if nothing."""
        merged: dict[str, str] = {}
        for selector in self._services.get(pod.namespace, {}).values():
            if all(pod.labels.get(key) == value for key, value in selector.items()):
                merged.update(selector)
        requirements = labels.from_set(merged).requirements
        owner = next((o for o in pod.obj["metadata"].get("ownerReferences") or () if o.get("controller")), None)
        if owner is not None and (owner.get("apiVersion"), owner.get("kind")) in _CONTROLLERS:
            controller = self._controllers.get((owner["kind"], pod.namespace, owner.get("name", "")))
            if controller is not None:
                requirements += labels.from_object(controller).requirements
        return labels.Selector(requirements) if requirements else labels.EVERYTHING
