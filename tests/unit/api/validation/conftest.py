"""Objects that are fine, for tests that spoil them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from knarr.api import codec, defaults, registry, validation
from knarr.apimachinery.types import Object

Judge = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def pod() -> Object:
    obj: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns1", "uid": "u", "resourceVersion": "1"},
        "spec": {"containers": [{"name": "c", "image": "nginx"}], "serviceAccountName": "default"},
    }
    found = codec.normalise("v1", "Pod", obj).object
    defaults.apply(registry.PODS, found)
    return found


@pytest.fixture
def judge() -> Judge:
    """Field and reason of every error of a new pod, or of a change of `old`."""

    def errors(obj: Object, old: Object | None = None, subresource: str = "") -> list[tuple[str, str]]:
        if old is None:
            found = validation.validate_create(registry.PODS, obj)
        else:
            found = validation.validate_update(registry.PODS, obj, old, subresource)
        return [(error.field, error.reason.removeprefix("FieldValue")) for error in found]

    return errors
