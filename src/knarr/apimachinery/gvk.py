"""Group, version, kind: the names of types and collections.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

from typing import NamedTuple


class GroupVersionKind(NamedTuple):
    """Names a type. The core group is the empty string."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        """The `apiVersion` an object of this kind carries."""
        return f"{self.group}/{self.version}" if self.group else self.version


def parse_api_version(api_version: str) -> tuple[str, str]:
    """Split `apiVersion` into (group, version); `v1` gives `("", "v1")`."""
    group, _, version = api_version.rpartition("/")
    return group, version


def qualified(name: str, group: str) -> str:
    """`deployments.apps`, or `pods` for the core group: how messages and RBAC name a resource or kind."""
    return f"{name}.{group}" if group else name
