"""The scheduler's view of claims, volumes and classes: what the watches show, with its own decisions on top.

What was decided for a claim or volume is *assumed* until the watch shows a later version of it, or the pod is given up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from knarr.api.registry import CSIDRIVERS, CSISTORAGECAPACITIES, PVCS, PVS, STORAGECLASSES
from knarr.api.resources import Resource
from knarr.api.semantics import volume_binding
from knarr.apimachinery.types import Object

#: What the scheduler watches for it.
WATCHED = (PVCS, PVS, STORAGECLASSES, CSIDRIVERS, CSISTORAGECAPACITIES)
_Place = tuple[str, str]


class Storage:
    """Objects by resource, namespace and name."""

    def __init__(self) -> None:
        self._objects: dict[Resource, dict[_Place, Object]] = {resource: {} for resource in WATCHED}
        self._assumed: dict[Resource, dict[_Place, Object]] = {PVCS: {}, PVS: {}}
        #: The names of volumes by storage class.
        self._by_class: dict[str, set[str]] = {}

    def set(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        """Take over a change; `new` is none for an object that is gone."""
        place = _place(new or old or {"metadata": {"name": ""}})
        self._assumed.get(resource, {}).pop(place, None)
        before = self._objects[resource].pop(place, None)
        if resource is PVS and before is not None:
            self._by_class.get(volume_binding.class_name(before), set()).discard(place[1])
        if new is None:
            return
        self._objects[resource][place] = new
        if resource is PVS:
            self._by_class.setdefault(volume_binding.class_name(new), set()).add(place[1])

    def assume(self, resource: Resource, objects: Iterable[Object]) -> None:
        """Show claims or volumes as they are going to be."""
        for obj in objects:
            self._assumed[resource][_place(obj)] = obj

    def give_up(self, resource: Resource, objects: Iterable[Object]) -> None:
        """Show claims or volumes as they are again."""
        for obj in objects:
            if self._assumed[resource].get(_place(obj)) is obj:
                del self._assumed[resource][_place(obj)]

    def claim(self, namespace: str, name: str) -> Object | None:
        """A claim."""
        return self._get(PVCS, (namespace, name))

    def volume(self, name: str) -> Object | None:
        """A volume."""
        return self._get(PVS, ("", name))

    def storage_class(self, name: str) -> Object | None:
        """A storage class."""
        return self._objects[STORAGECLASSES].get(("", name))

    def driver(self, name: str) -> Object | None:
        """A CSI driver."""
        return self._objects[CSIDRIVERS].get(("", name))

    def capacities(self, class_name: str) -> Sequence[Object]:
        """What drivers say is left for a class."""
        return [each for each in self._objects[CSISTORAGECAPACITIES].values() if each["storageClassName"] == class_name]

    def volumes(self, class_name: str) -> Sequence[Object]:
        """The volumes of a class."""
        found = (self.volume(name) for name in self._by_class.get(class_name, ()))
        return [volume for volume in found if volume is not None]

    def _get(self, resource: Resource, place: _Place) -> Object | None:
        return self._assumed[resource].get(place) or self._objects[resource].get(place)


def _place(obj: Object) -> _Place:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
