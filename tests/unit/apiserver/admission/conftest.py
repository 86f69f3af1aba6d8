"""What the tests of admission plugins share: writes to give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.apiserver.conftest import FakeReader

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.request import UserInfo

#: (object, resource=pods, old=None, sub="") → the write of it in namespace `n`.
Write = Callable[..., Attributes]


@pytest.fixture
def write(reader: FakeReader) -> Write:
    def attributes(
        obj: Object, resource: Resource = registry.PODS, old: Object | None = None, sub: str = ""
    ) -> Attributes:
        operation: Any = "CREATE" if old is None else "UPDATE"
        namespace = "n" if resource.namespaced else ""
        found = Attributes(
            operation, resource, sub, namespace, obj["metadata"].get("name", ""), obj, old, UserInfo("u"), reader
        )
        warnings: list[str] = []
        found.warn = warnings.append
        found.options = {"warnings": warnings}
        return found

    return attributes


def pod(*containers: Object, **spec: Any) -> Object:
    """A pod called `p`."""
    return {
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"containers": list(containers) or [{"name": "c"}], **spec},
    }


def refusal(act: Callable[[Attributes], None], write: Attributes) -> str:
    """Why a plugin refuses a write with 403."""
    with pytest.raises(StatusError) as caught:
        act(write)
    assert caught.value.code == 403
    return caught.value.message.partition(" is forbidden: ")[2]
