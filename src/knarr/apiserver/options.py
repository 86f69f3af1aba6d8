"""The options of verbs, from the query: checked as Kubernetes checks them.

Source of rules and texts: k8s.io/apimachinery/pkg/apis/meta/{internalversion,v1}/validation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from knarr.apimachinery import field, fields, labels
from knarr.apimachinery.errors import StatusError, bad_request, invalid
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.types import Object
from knarr.apiserver.request_info import is_true
from knarr.apiserver.selectors import Selectors

#: Stands for the PatchOptions of a server-side apply, which have rules of their own.
APPLY_OPTIONS = "ApplyOptions"
_META = "meta.k8s.io"
_INT = re.compile(r"[+-]?[0-9]+", re.ASCII)
_MATCH = "resourceVersionMatch"
_KINDS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}
EXACT, NOT_OLDER = "Exact", "NotOlderThan"
#: Characters of a user agent up to which who it is is remembered.
_REMEMBERED = 1024
#: Longest name of a field manager.
_MANAGER_LIMIT = 128


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What list, watch and deletecollection are asked for."""

    selectors: Selectors
    watch: bool = False
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    match: str = ""
    timeout: int | None = None
    bookmarks: bool = False
    initial_events: bool | None = None


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What create, update and patch are asked for."""

    dry_run: bool = False
    manager: str = ""
    validation: str = "Warn"
    force: bool | None = None
    #: A server-side apply.
    applies: bool = False


def list_options(query: Mapping[str, str], transform: fields.Transform, *, watch: bool) -> ListOptions:
    """The options of a collection request. Raises `StatusError` 400 or 422."""
    initial = query.get("sendInitialEvents")
    options = ListOptions(
        selectors=_selectors(query, transform),
        watch=watch,
        limit=int64(query.get("limit", "")) or 0,
        continue_token=query.get("continue", ""),
        resource_version=query.get("resourceVersion", ""),
        match=query.get(_MATCH, ""),
        timeout=int64(query.get("timeoutSeconds", "")),
        bookmarks="allowWatchBookmarks" in query and is_true(query["allowWatchBookmarks"]),
        initial_events=None if initial is None else is_true(initial),
    )
    errors = _watch_errors(options) if watch else _list_errors(options)
    if errors:
        raise invalid("ListOptions", _META, "", errors)
    return options


def _selectors(query: Mapping[str, str], transform: fields.Transform) -> Selectors:
    label_text, field_text = query.get("labelSelector", ""), query.get("fieldSelector", "")
    try:
        label = labels.parse(label_text) if label_text else labels.EVERYTHING
        chosen = fields.parse(field_text, transform) if field_text else fields.EVERYTHING
    except ValueError as error:
        raise bad_request(str(error)) from error
    return Selectors(label, chosen)


def _list_errors(options: ListOptions) -> list[FieldError]:
    errors = []
    if options.match:
        if not options.resource_version:
            errors.append(field.forbidden(_MATCH, f"{_MATCH} is forbidden unless resourceVersion is provided"))
        if options.continue_token:
            errors.append(field.forbidden(_MATCH, f"{_MATCH} is forbidden when continue is provided"))
        if options.match not in (EXACT, NOT_OLDER):
            errors.append(field.not_supported(_MATCH, options.match, (EXACT, NOT_OLDER, "")))
        if options.match == EXACT and options.resource_version == "0":
            errors.append(field.forbidden(_MATCH, f'{_MATCH} "exact" is forbidden for resourceVersion "0"'))
    if options.initial_events is not None:
        errors.append(field.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return errors


def _watch_errors(options: ListOptions) -> list[FieldError]:
    errors = []
    if options.initial_events is not None and options.match != NOT_OLDER:
        errors.append(field.forbidden(_MATCH, f"sendInitialEvents requires setting {_MATCH} to {NOT_OLDER}"))
    if options.match:
        if options.initial_events is None:
            errors.append(
                field.forbidden(_MATCH, f"{_MATCH} is forbidden for watch unless sendInitialEvents is provided")
            )
        if options.match != NOT_OLDER:
            errors.append(field.not_supported(_MATCH, options.match, (NOT_OLDER,)))
        if options.continue_token:
            errors.append(field.forbidden(_MATCH, f"{_MATCH} is forbidden when continue is provided"))
    return errors


def write_options(kind: str, query: Mapping[str, str], lists: Mapping[str, list[str]], user_agent: str) -> WriteOptions:
    """The options of a write; `kind` is `CreateOptions`, `UpdateOptions`, `PatchOptions` or `ApplyOptions`.

    Raises `StatusError` 422. The manager is the first part of the user agent unless the query names one.
    """
    if not query and kind != APPLY_OPTIONS:
        return (_plain_options if len(user_agent) < _REMEMBERED else _plain_options.__wrapped__)(user_agent)
    force = query.get("force")
    forced = None if force is None else is_true(force)
    errors = _write_errors(kind, query, lists.get("dryRun", ()))
    if errors:
        raise invalid("PatchOptions" if kind == APPLY_OPTIONS else kind, _META, "", errors)
    return WriteOptions(
        dry_run="dryRun" in query,
        manager=query.get("fieldManager", "") or manager_of(user_agent),
        validation=query.get("fieldValidation", "") or "Warn",
        force=forced,
        applies=kind == APPLY_OPTIONS,
    )


def operation_options(operation: str, query: Mapping[str, str]) -> Object:
    """The `CreateOptions` or `UpdateOptions` of a write, as admission is told of them; those of a PATCH are its own."""
    found: Object = {"kind": _KINDS.get(operation, ""), "apiVersion": f"{_META}/v1"}
    if query:
        if "dryRun" in query:
            found["dryRun"] = [query["dryRun"]]
        for name in ("fieldManager", "fieldValidation"):
            if query.get(name):
                found[name] = query[name]
    return found


@lru_cache(maxsize=256)
def _plain_options(user_agent: str) -> WriteOptions:
    return WriteOptions(manager=manager_of(user_agent))


def _write_errors(kind: str, query: Mapping[str, str], dry_run: list[str] | tuple[()]) -> list[FieldError]:
    errors = []
    if kind == APPLY_OPTIONS and not query.get("fieldManager"):
        errors.append(field.required("fieldManager", "is required for apply patch"))
    if kind == "PatchOptions" and "force" in query:
        errors.append(field.forbidden("force", "may not be specified for non-apply patch"))
    errors += _manager_errors(query.get("fieldManager", ""))
    errors += dry_run_errors(dry_run)
    validation = query.get("fieldValidation", "")
    if validation not in ("", "Ignore", "Warn", "Strict"):
        errors.append(field.not_supported("fieldValidation", validation, ("", "Ignore", "Strict", "Warn")))
    return errors


def _manager_errors(manager: str) -> list[FieldError]:
    errors = []
    if len(manager.encode()) > _MANAGER_LIMIT:
        errors.append(field.too_long("fieldManager", _MANAGER_LIMIT))
    for index, char in enumerate(manager):
        if not char.isprintable():
            why = f"invalid character U+{ord(char):04X} (at position {len(manager[:index].encode())})"
            errors.append(field.invalid("fieldManager", manager, why))
            break
    return errors


def dry_run_errors(values: list[str] | tuple[()]) -> list[FieldError]:
    """`All` is the only kind of dry run."""
    if all(value == "All" for value in values):
        return []
    return [field.not_supported("dryRun", list(values), ("All",))]


def manager_of(user_agent: str) -> str:
    """The name of a field manager who did not give one: what prints of the user agent's first part."""
    head = user_agent.split("/", 1)[0]
    if head.isascii() and head.isprintable() and len(head) <= _MANAGER_LIMIT:
        return head
    out, size = "", 0
    for char in filter(str.isprintable, head):
        size += len(char.encode())
        if size > _MANAGER_LIMIT:
            break
        out += char
    return out


def int64(text: str) -> int | None:
    """An integer parameter; None when absent. Raises `StatusError` 400 as Go's ParseInt complains."""
    if not text:
        return None
    if not _INT.fullmatch(text):
        raise bad_request(f"strconv.ParseInt: parsing {field.quote(text)}: invalid syntax")
    number = int(text)
    if not -(1 << 63) <= number < 1 << 63:
        raise bad_request(f"strconv.ParseInt: parsing {field.quote(text)}: value out of range")
    return number


def parse_revision(text: str) -> int:
    """A resourceVersion. Raises `StatusError` 500 for text that is none, as Kubernetes does."""
    if text.isascii() and text.isdigit() and len(text) <= 20:
        return int(text)
    raise StatusError(500, "", f"resourceVersion: Invalid value: {field.quote(text)}: {parse_uint_error(text)}")


def parse_uint_error(text: str) -> str:
    """What Go's ParseUint says of a text."""
    return f"strconv.ParseUint: parsing {field.quote(text)}: invalid syntax"
