"""What the API server's unit tests share: a reader over plain objects."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from knarr.apimachinery.types import Object


class FakeReader:
    """Objects by resource, namespace and name."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str, str], Object] = {}

    def add(self, resource: str, obj: Object, group: str = "") -> Object:
        meta = obj["metadata"]
        self.objects[resource, group, meta.get("namespace", ""), meta["name"]] = obj
        return obj

    def remove(self, resource: str, namespace: str, name: str, group: str = "") -> None:
        del self.objects[resource, group, namespace, name]

    def get(self, resource: str, group: str, namespace: str, name: str) -> Object | None:
        return self.objects.get((resource, group, namespace, name))

    def list(self, resource: str, group: str, namespace: str = "") -> Iterable[Object]:
        return [
            obj
            for key, obj in self.objects.items()
            if key[:2] == (resource, group) and (not namespace or key[2] == namespace)
        ]


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader()
