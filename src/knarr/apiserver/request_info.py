"""What a request asks for: verb, resource, name, read from method, path and query.

Source of the rules: k8s.io/apiserver/pkg/endpoints/request (RequestInfoFactory).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from knarr.apimachinery import fields, labels
from knarr.apiserver.request import RequestInfo

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
#: Subresources of namespaces: `/namespaces/a/status` is one, `/namespaces/a/pods` is a collection.
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
#: Characters of path and selectors up to which what they say is remembered.
_REMEMBERED = 1024
_SPECIAL_VERBS = frozenset({"proxy", "watch"})


def of(method: str, path: str, query: Mapping[str, str]) -> RequestInfo:
    """The request info of a request; never fails: what names no resource is a plain path."""
    if query:
        selectors = query.get("fieldSelector", ""), query.get("labelSelector", "")
        # Only what is short is remembered: else strangers could fill the memory.
        parse = _parse if len(path) + len(selectors[0]) + len(selectors[1]) < _REMEMBERED else _parse.__wrapped__
        return parse(method, path, "watch" in query and is_true(query["watch"]), *selectors)
    return (_parse if len(path) < _REMEMBERED else _parse.__wrapped__)(method, path, False, "", "")


def is_true(text: str) -> bool:
    """A boolean query parameter: everything but `false` and `0` (and an absent one) is true."""
    return text.lower() not in ("false", "0")


@lru_cache(maxsize=8192)
def _parse(method: str, path: str, watch: bool, field_selector: str, label_selector: str) -> RequestInfo:  # noqa: FBT001
    parts = path.strip("/").split("/")
    split = _group_version(parts)
    if split is None:
        return RequestInfo(method.lower(), path)
    group, version, rest = split
    verb = _VERBS.get(method, "")
    special = bool(rest) and rest[0] in _SPECIAL_VERBS
    if special:
        if len(rest) < 2:
            return RequestInfo(method.lower(), path)
        verb, rest = rest[0], rest[1:]
    namespace, rest = _namespace(rest)
    resource = rest[0] if rest else ""
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 and not special else ""
    selecting = not name and verb in ("get", "delete", "watch")
    if selecting:
        verb = _collection_verb(verb, watch=watch)
        name = _selected_name(field_selector) if verb in ("list", "watch") else ""
    return RequestInfo(
        verb=verb,
        path=path,
        is_resource=True,
        group=group,
        version=version,
        namespace=namespace,
        resource=resource,
        subresource=subresource,
        name=name,
        rest="/".join(rest[3:]) + ("/" if path.endswith("/") and len(rest) > 3 else ""),
        field_selector=_parsed_field(field_selector) if selecting else "",
        label_selector=_parsed_label(label_selector) if selecting else "",
    )


def _group_version(parts: list[str]) -> tuple[str, str, list[str]] | None:
    """Group, version and the rest of a resource's path; None for other paths."""
    if len(parts) >= 3 and parts[0] == "api":
        return "", parts[1], parts[2:]
    if len(parts) >= 4 and parts[0] == "apis":
        return parts[1], parts[2], parts[3:]
    return None


def _namespace(rest: list[str]) -> tuple[str, list[str]]:
    if not rest or rest[0] != "namespaces" or len(rest) < 2:
        return "", rest
    if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
        return rest[1], rest[2:]
    return rest[1], rest


def _collection_verb(verb: str, *, watch: bool) -> str:
    if verb == "delete":
        return "deletecollection"
    return "watch" if watch or verb == "watch" else "list"


def _selected_name(text: str) -> str:
    """The one name that a field selector demands: the request is about that object."""
    if "metadata.name" not in text:
        return ""
    try:
        name = fields.parse(text).exact("metadata.name") or ""
    except ValueError:
        return ""
    return "" if name in (".", "..") or "/" in name or "%" in name else name


def _parsed_field(text: str) -> str:
    """The selector as authorizers see it: empty where it cannot be parsed."""
    try:
        fields.parse(text)
    except ValueError:
        return ""
    return text


def _parsed_label(text: str) -> str:
    try:
        labels.parse(text)
    except ValueError:
        return ""
    return text
