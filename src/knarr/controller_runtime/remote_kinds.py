"""Resources that other servers serve behind APIServices: what discovery tells of them, and which do not answer.

Input: the APIServices that the watch shows, live answers of discovery. Output: resources, lookups, the groups that
nobody can ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from knarr.api.registry import APISERVICES
from knarr.api.resources import Resource
from knarr.api.semantics import conditions
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import Document, Lookup
from knarr.controller_runtime.snapshot import Snapshot


def documents(snapshot: Snapshot) -> tuple[Document, ...]:
    """The discovery documents of the APIServices that answer."""
    return tuple(Document(f"/apis/{_version(item)}") for item in _remote(snapshot) if _is_available(item))


def unavailable(snapshot: Snapshot) -> Sequence[str]:
    """The group-versions of those that do not."""
    return sorted(_version(item) for item in _remote(snapshot) if not _is_available(item))


def deletable(answers: Mapping[Lookup, Object | None], asked: Iterable[Document]) -> list[Resource]:
    """The namespaced resources that can be listed and deleted, by the answers."""
    found = []
    for document in asked:
        group, _, version = document.path.removeprefix("/apis/").partition("/")
        for item in (answers.get(document) or {}).get("resources") or ():
            verbs = tuple(item.get("verbs") or ())
            if item.get("namespaced") and "/" not in item["name"] and {"list", "delete"} <= set(verbs):
                found.append(Resource(group, version, item["name"], item["kind"], namespaced=True, verbs=verbs))
    return found


def _remote(snapshot: Snapshot) -> Iterable[Object]:
    return (item for item in snapshot.list(APISERVICES) if (item.get("spec") or {}).get("service"))


def _version(item: Object) -> str:
    return f"{item['spec']['group']}/{item['spec']['version']}"


def _is_available(item: Object) -> bool:
    return (conditions.find(item, "Available") or {}).get("status") == "True"
