"""`metadata.managedFields`: who owns which fields of an object, kept current with every write.

Input: the object before and after a write and who writes. Output: the entries, as they stand in metadata. An entry
stands for one manager, operation, apiVersion (of updates) and subresource; none is empty. No argument is changed.
Source: k8s.io/apimachinery/pkg/util/managedfields; sigs.k8s.io/structured-merge-diff, merge; KEP-555.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec
from msgspec.structs import replace

from knarr.apimachinery import field_changes, field_sets
from knarr.apimachinery.field_changes import Changes
from knarr.apimachinery.field_schema import FieldSchema
from knarr.apimachinery.field_sets import FieldSet
from knarr.apimachinery.types import Object

UPDATE, APPLY = "Update", "Apply"
#: The manager of what was there before an object's fields were first applied.
BEFORE_FIRST_APPLY = "before-first-apply"
#: The manager of updates of whom only the latest are told apart, and how many those are.
ANCIENT_CHANGES = "ancient-changes"
MAX_UPDATE_MANAGERS = 10
#: The manager who has no name.
UNKNOWN = "unknown"

#: Where the replicas of built-in workloads stand.
REPLICAS = ("f:spec", "f:replicas")
_FIELDS_V1 = "FieldsV1"


class Versioned(NamedTuple):
    """An object before and after a write, in one version, with that version's schema."""

    schema: FieldSchema
    old: Object
    new: Object


#: Gives a write's objects in another version; `None` when that is not served any more.
Convert: TypeAlias = Callable[[str], Versioned | None]


class Entry(msgspec.Struct, frozen=True):
    """One manager's fields. `time` is in RFC 3339, empty where nobody knows it; `source` how metadata has it."""

    manager: str
    operation: str
    api_version: str
    fields: FieldSet
    subresource: str = ""
    time: str = ""
    source: Object | None = None

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What tells entries apart: one who applies has one entry, whatever the version."""
        version = "" if self.operation == APPLY else self.api_version
        return self.manager, self.operation, version, self.subresource


class Write(msgspec.Struct, frozen=True):
    """Who writes: `now` is in RFC 3339; `unowned` is the set of fields that the write cannot set."""

    manager: str
    api_version: str
    now: str
    subresource: str = ""
    unowned: FieldSet = field_sets.LEAF


def update(write: Write, objects: Versioned, convert: Convert) -> list[Object]:
    """The new object's `metadata.managedFields` after a create, update or patch.

    The old object is an empty one of the kind for a create. What a client says of managers counts unless it is
    malformed or stands in a write of a subresource; an empty list or entry makes it forget all. An object that does
    not fit its schema has no owners.
    """
    try:
        return _updated(write, objects, convert)
    except ValueError:
        return []


def _updated(write: Write, objects: Versioned, convert: Convert) -> list[Object]:
    before = objects.old["metadata"]
    given, live = objects.new["metadata"].get("managedFields"), before.get("managedFields")
    new_base = _client_entries(write, given, live)
    if not (live if new_base is None else new_base) and before.get("uid"):
        # Whose fields have no owners is left alone until somebody applies.
        return []
    if not live and not new_base and not before.get("uid"):
        # A new object: whoever makes it owns it all.
        found = _settable(write, field_changes.compare_new(objects.schema, objects.old, objects.new))
        fields = field_sets.difference(found.changed, found.removed)
        return [_encoded(_mine(write, fields))] if fields else []
    found = changes(write, objects)
    if new_base is None:
        unchanged = _again(write, live or [], found)
        if unchanged is not None:
            return unchanged
    return encoded(after_update(write, trusted(live) if new_base is None else new_base, found, convert))


def _again(write: Write, live: list[Object], found: Changes) -> list[Object] | None:
    """The entries where nobody owns more or less than before: only the writer's time is a later one.

    `None` where somebody does, or where that takes a closer look.
    """
    if not found.changed and not found.removed:
        return live
    if found.removed or not write.now or len(live) > MAX_UPDATE_MANAGERS:
        return None
    own: Object | None = None
    for entry in live:
        if _is_by(write, entry):
            if own is not None or "time" not in entry:
                return None
            own = entry
        elif entry["apiVersion"] != write.api_version or _loses(entry["fieldsV1"], found.changed):
            return None
    if own is None or not field_sets.contains(own["fieldsV1"], found.changed):
        return None
    later = {**own, "time": write.now}
    if len(live) == 1:
        return [later]
    return sorted([later if entry is own else entry for entry in live], key=_order_in_metadata)


def _is_by(write: Write, entry: Object) -> bool:
    """Whether an entry of an object is that of the writer."""
    return (
        entry.get("manager") == (write.manager or UNKNOWN)
        and entry["operation"] == UPDATE
        and entry["apiVersion"] == write.api_version
        and entry.get("subresource", "") == write.subresource
    )


def _loses(fields: FieldSet, taken: FieldSet) -> bool:
    return field_sets.difference(fields, taken) is not fields


def changes(write: Write, objects: Versioned) -> Changes:
    """What a write changes, of what it can set."""
    return _settable(write, field_changes.compare(objects.schema, objects.old, objects.new))


def _settable(write: Write, found: Changes) -> Changes:
    if not write.unowned:
        return found
    return Changes(field_sets.without(found.changed, write.unowned), field_sets.without(found.removed, write.unowned))


def update_scale(write: Write, objects: Versioned, path: Sequence[str] = REPLICAS) -> list[Object]:
    """The entries of a workload whose replicas were changed through its Scale.

    The Scale has owners where the replicas have, at `path`; who takes them gets an entry that only tells of them.
    Nobody notes when: entries of a Scale come without a time.
    """
    live = objects.old["metadata"].get("managedFields") or []
    entries = trusted(live)
    found = changes(write, objects)
    if not found.changed or not any(field_sets.has(entry.fields, path) for entry in entries):
        return live
    known = {entry.identity: entry.time for entry in entries}
    mine = Entry(write.manager or UNKNOWN, UPDATE, write.api_version, found.changed, write.subresource)
    rest = _others(entries, lambda _version: found)
    return encoded(_joined(rest, replace(mine, time=known.get(mine.identity, ""))))


def scale_entries(entries: Iterable[Entry], api_version: str, path: Sequence[str] = REPLICAS) -> list[Entry]:
    """Who owns a workload's replicas, as owners of those of its Scale."""
    fields: FieldSet = field_sets.of_paths([REPLICAS])
    return [
        replace(entry, api_version=api_version, fields=fields, source=None)
        for entry in entries
        if field_sets.has(entry.fields, path)
    ]


def with_scale_entries(
    entries: Iterable[Entry], scale: Iterable[Entry], api_version: str, path: Sequence[str] = REPLICAS
) -> list[Entry]:
    """A workload's entries when its Scale's owners are others than before."""
    replicas = field_sets.of_paths([path])
    owners = {(entry.manager, entry.operation, entry.subresource): entry for entry in scale}
    out = []
    for entry in entries:
        still = owners.pop((entry.manager, entry.operation, entry.subresource), None)
        fields = entry.fields if still is not None else field_sets.difference(entry.fields, replicas)
        if fields:
            out.append(entry if fields is entry.fields else replace(entry, fields=fields, source=None))
    # Nobody notes when a Scale's owners came to be.
    added = (
        replace(entry, api_version=api_version, fields=replicas, time="", source=None) for entry in owners.values()
    )
    return [*out, *added]


def same_but_times(new: Object, old: Object) -> bool:
    """Whether nothing but the times of managers sets two objects apart: not worth a write."""
    for name in new:
        # Most writes change something.
        if name != "metadata" and new[name] != old.get(name):
            return False
    mine, before = new["metadata"].get("managedFields"), old["metadata"].get("managedFields")
    if not mine or not before or mine == before or len(mine) != len(before):
        return False
    if any({**entry, "time": ""} != {**was, "time": ""} for entry, was in zip(mine, before, strict=True)):
        return False
    return {**new, "metadata": {**new["metadata"], "managedFields": before}} == old


def put(meta: Object, entry: Entry) -> None:
    """Set one manager's whole entry in an object's metadata, which is changed in place."""
    others = [item for item in trusted(meta.get("managedFields")) if item.identity != entry.identity]
    meta["managedFields"] = encoded([*others, entry])


def after_update(write: Write, entries: Sequence[Entry], found: Changes, convert: Convert) -> list[Entry]:
    """The entries when an update has made the `found` changes in its own version."""
    fields = field_sets.difference(found.changed, found.removed)
    if not fields:
        return _capped(_others(entries, _by_version(write, found, convert)))
    mine = _mine(write, fields)
    identity = mine.identity
    others = [entry for entry in entries if entry.identity != identity]
    for entry in entries:
        if entry.identity == identity:
            mine = _grown(mine, entry, found.removed)
    return _capped([*_others(others, _by_version(write, found, convert)), mine])


def _mine(write: Write, fields: FieldSet) -> Entry:
    return Entry(write.manager or UNKNOWN, UPDATE, write.api_version, fields, write.subresource, write.now)


def _grown(mine: Entry, before: Entry, removed: FieldSet) -> Entry:
    """A writer's entry with what was his already."""
    kept = field_sets.difference(before.fields, removed)
    # Who changes the same fields again and again is told by a later time alone.
    known = field_sets.contains(kept, mine.fields)
    return replace(mine, fields=kept if known else field_sets.ordered(field_sets.union(mine.fields, kept)))


def _by_version(write: Write, found: Changes, convert: Convert) -> Callable[[str], Changes | None]:
    known: dict[str, Changes | None] = {write.api_version: found}

    def changes_in(api_version: str) -> Changes | None:
        if api_version not in known:
            other = convert(api_version)
            known[api_version] = None if other is None else changes(write, other)
        return known[api_version]

    return changes_in


def _others(entries: Iterable[Entry], changes_in: Callable[[str], Changes | None]) -> list[Entry]:
    """The entries without the fields that the write has taken or removed; none of a version that is gone."""
    out = []
    for entry in entries:
        found = changes_in(entry.api_version)
        if found is None:
            continue
        fields = field_sets.difference(field_sets.difference(entry.fields, found.changed), found.removed)
        if fields is entry.fields:
            out.append(entry)
        elif fields:
            out.append(replace(entry, fields=fields, source=None))
    return out


def _joined(entries: list[Entry], mine: Entry) -> list[Entry]:
    out = []
    for entry in entries:
        if entry.identity == mine.identity:
            # Who changes the same fields again and again is told by a later time alone.
            known = field_sets.contains(entry.fields, mine.fields)
            fields = entry.fields if known else field_sets.ordered(field_sets.union(mine.fields, entry.fields))
            mine = replace(mine, fields=fields)
        else:
            out.append(entry)
    return [*out, mine]


def _capped(entries: list[Entry]) -> list[Entry]:
    """The oldest updaters of a version become one when there are too many."""
    if len(entries) <= MAX_UPDATE_MANAGERS:
        return entries
    updaters = sorted((entry for entry in entries if entry.operation == UPDATE), key=_age)
    surplus = len(updaters) - MAX_UPDATE_MANAGERS
    if surplus <= 0:
        return entries
    rest = {entry.identity: entry for entry in entries}
    first: dict[str, Entry] = {}
    for entry in updaters:
        if surplus <= 0:
            break
        bucket = first.get(entry.api_version)
        if bucket is None:
            first[entry.api_version] = entry
            continue
        del rest[entry.identity]
        rest.pop(bucket.identity, None)
        fields = field_sets.ordered(field_sets.union(bucket.fields, entry.fields))
        merged = Entry(ANCIENT_CHANGES, UPDATE, entry.api_version, fields, time=entry.time)
        rest[merged.identity] = first[entry.api_version] = merged
        surplus -= 1
    return list(rest.values())


def _age(entry: Entry) -> tuple[str, tuple[str, ...]]:
    return entry.time, (entry.manager, entry.operation, entry.api_version, entry.subresource)


def _order(entry: Entry) -> tuple[str, ...]:
    return entry.operation, entry.time, entry.manager, entry.api_version, entry.subresource


def _order_in_metadata(entry: Object) -> tuple[str, ...]:
    """As `_order`, of what stands in metadata."""
    return (
        entry["operation"],
        entry.get("time", ""),
        entry.get("manager", ""),
        entry["apiVersion"],
        entry.get("subresource", ""),
    )


def _client_entries(write: Write, given: Any, live: Any) -> list[Entry] | None:
    """What a client says of managers; `None` where that does not count and the live object is asked."""
    if given is None or write.subresource or given == live:
        return None
    if is_reset(given):
        return []
    try:
        return decoded(given) or None
    except ValueError:
        return None


def is_reset(given: Any) -> bool:
    """Whether a client wants all managers forgotten."""
    return given in ([], [{}])


def trusted(entries: Iterable[Object] | None) -> list[Entry]:
    """The entries of an object that this server has written."""
    return [
        Entry(
            entry.get("manager", ""),
            entry["operation"],
            entry["apiVersion"],
            entry["fieldsV1"],
            entry.get("subresource", ""),
            entry.get("time", ""),
            entry,
        )
        for entry in entries or ()
    ]


def decoded(entries: Iterable[Object]) -> list[Entry]:
    """The entries that a client gives. Raises `ValueError` for malformed ones."""
    out: dict[tuple[str, ...], Entry] = {}
    for entry in entries:
        found = _decoded(entry)
        out[found.identity] = found
    return list(out.values())


def _decoded(entry: Object) -> Entry:
    operation, version = entry.get("operation", ""), entry.get("apiVersion", "")
    if operation not in (UPDATE, APPLY):
        raise ValueError("operation must be `Apply` or `Update`")
    if not version:
        raise ValueError("apiVersion must not be empty")
    if entry.get("fieldsType") != _FIELDS_V1:
        raise ValueError(f"invalid fieldsType {entry.get('fieldsType', '')!r}")
    return Entry(
        manager=entry.get("manager", ""),
        operation=operation,
        api_version=version,
        fields=field_sets.ordered(field_sets.decoded(entry.get("fieldsV1") or {})),
        subresource=entry.get("subresource", ""),
        time=entry.get("time") or "",
    )


def encoded(entries: Iterable[Entry]) -> list[Object]:
    """The entries as they stand in metadata, in their order."""
    return [_encoded(entry) for entry in sorted(entries, key=_order)]


def _encoded(entry: Entry) -> Object:
    if entry.source is not None:
        return entry.source
    out: Object = {}
    if entry.manager:
        out["manager"] = entry.manager
    out["operation"] = entry.operation
    out["apiVersion"] = entry.api_version
    if entry.time:
        out["time"] = entry.time
    out["fieldsType"] = _FIELDS_V1
    out["fieldsV1"] = entry.fields
    if entry.subresource:
        out["subresource"] = entry.subresource
    return out
