"""Server-side apply: a configuration becomes part of an object, and its manager the owner of what it says.

Input: the live object, the configuration, who applies, the entries so far. Output: the merged object (not yet
canonical) and the new entries, or the conflicts with other managers. What the manager applied last time and leaves out
now is removed, unless somebody else owns it.
Source: sigs.k8s.io/structured-merge-diff, merge/update.go; KEP-555.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from knarr.apimachinery import field_changes, field_merge, field_sets, managed_fields
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.field import quote
from knarr.apimachinery.field_changes import Changes
from knarr.apimachinery.field_schema import FieldSchema
from knarr.apimachinery.field_sets import FieldSet
from knarr.apimachinery.managed_fields import APPLY, Entry, Versioned, Write
from knarr.apimachinery.types import Object


class Versions(Protocol):
    """A kind's versions."""

    def schema(self, api_version: str) -> FieldSchema | None:
        """How the fields of that version are owned; `None` when there is no such version (any more)."""
        ...

    def convert(self, obj: Object, api_version: str) -> Object:
        """The object, which says its version, in another one. The same object when that is its version."""
        ...


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply makes. `obj` is `None` when the live object is already so."""

    obj: Object | None
    entries: list[Entry]


class Conflicts(Exception):
    """Fields of the configuration that others own with another value: (entry, path) each."""

    def __init__(self, found: Sequence[tuple[Entry, tuple[str, ...]]]) -> None:
        super().__init__(f"{len(found)} conflicts")
        self.found = found

    @property
    def fields(self) -> FieldSet:
        """The fields as a set."""
        return field_sets.of_paths(path for _, path in self.found)

    def status_error(self) -> StatusError:
        """409 with a cause for each conflict."""
        causes = [
            {
                "reason": "FieldManagerConflict",
                "message": f"conflict with {_shown(entry)}",
                "field": field_sets.path_text(path),
            }
            for entry, path in self.found
        ]
        return StatusError(409, "Conflict", self._message(), {"causes": causes})

    def _message(self) -> str:
        if len(self.found) == 1:
            entry, path = self.found[0]
            return f"Apply failed with 1 conflict: conflict with {_shown(entry)}: {field_sets.path_text(path)}"
        lines: dict[str, list[str]] = {}
        for entry, path in self.found:
            lines.setdefault(_shown(entry), []).append(f"- {field_sets.path_text(path)}")
        parts = [line for shown, below in lines.items() for line in (f"conflicts with {shown}:", *below)]
        return f"Apply failed with {len(self.found)} conflicts: " + "\n".join(parts)


def _shown(entry: Entry) -> str:
    text = quote(entry.manager)
    if entry.subresource:
        text = f"{text} with subresource {quote(entry.subresource)}"
    return text if entry.operation == APPLY else f"{text} using {entry.api_version}"


def apply(
    write: Write, live: Object, config: Object, entries: Sequence[Entry], versions: Versions, *, force: bool
) -> Applied:
    """Merge a configuration that fits its schema into an object of its version. Raises `Conflicts`."""
    schema = versions.schema(write.api_version)
    if schema is None:
        raise LookupError(f"there is no schema of {write.api_version}")
    fields = field_sets.without(field_changes.extract(schema, config), write.unowned)
    mine = Entry(write.manager, APPLY, write.api_version, fields, write.subresource)
    last = next((entry for entry in entries if entry.identity == mine.identity), None)
    others = [entry for entry in entries if entry.identity != mine.identity]
    merged: Object = field_merge.merge(schema, live, config)
    if last is not None:
        merged = _pruned(merged, last, [*others, mine], versions, write.api_version)
    kept = _after(write, others, Versioned(schema, live, merged), versions, force=force)
    changed = merged != live
    time = write.now if changed else (last.time if last is not None else "")
    return Applied(merged if changed else None, [*kept, replace(mine, time=time)] if fields else kept)


def _after(
    write: Write, others: Iterable[Entry], objects: Versioned, versions: Versions, *, force: bool
) -> list[Entry]:
    """The other managers' entries without what the apply takes or removes. Raises `Conflicts` unless forced."""
    known: dict[str, Changes | None] = {}
    kept: list[Entry] = []
    conflicts: list[tuple[Entry, tuple[str, ...]]] = []
    for entry in others:
        if entry.api_version not in known:
            known[entry.api_version] = _changes_in(write, entry.api_version, objects, versions)
        changes = known[entry.api_version]
        if changes is None:
            continue
        taken = field_sets.intersection(entry.fields, changes.changed)
        conflicts += [(entry, path) for path in field_sets.paths(taken)]
        fields = field_sets.difference(field_sets.difference(entry.fields, taken), changes.removed)
        if fields:
            kept.append(entry if fields is entry.fields else replace(entry, fields=fields, source=None))
    if conflicts and not force:
        raise Conflicts(sorted(conflicts, key=lambda item: item[0].identity))
    return kept


def _changes_in(write: Write, api_version: str, objects: Versioned, versions: Versions) -> Changes | None:
    schema = versions.schema(api_version)
    if schema is None:
        return None
    old, new = versions.convert(objects.old, api_version), versions.convert(objects.new, api_version)
    return managed_fields.changes(write, Versioned(schema, old, new))


# what was applied before and is left out now


def _pruned(merged: Object, last: Entry, owners: Sequence[Entry], versions: Versions, api_version: str) -> Object:
    """The merged object without what only the last configuration named, in `api_version`."""
    schema = versions.schema(last.api_version)
    if schema is None:
        return merged
    before = versions.convert(merged, last.api_version)
    named = field_merge.with_named(schema, last.fields)
    pruned = _owned_again(before, _removed(schema, before, named), last.api_version, owners, versions)
    left = _set_of(schema, versions.convert(pruned, last.api_version))
    gone = field_sets.difference(_set_of(schema, before), left)
    return versions.convert(_removed(schema, before, field_sets.intersection(gone, named)), api_version)


def _owned_again(
    merged: Object, pruned: Object, api_version: str, owners: Sequence[Entry], versions: Versions
) -> Object:
    """The pruned object with all that somebody owns, version by version; that of the pruned object first."""
    owned = _by_version(owners)
    for version in sorted(owned, key=lambda item: item != api_version):
        schema = versions.schema(version)
        if schema is None:
            continue
        merged, pruned = versions.convert(merged, version), versions.convert(pruned, version)
        stays = field_sets.union(_set_of(schema, pruned), field_merge.with_named(schema, owned[version]))
        pruned = _removed(schema, merged, field_sets.difference(_set_of(schema, merged), stays))
    return pruned


def _by_version(entries: Iterable[Entry]) -> Mapping[str, FieldSet]:
    out: dict[str, FieldSet] = {}
    for entry in entries:
        out[entry.api_version] = field_sets.union(out.get(entry.api_version, {}), entry.fields)
    return out


def _set_of(schema: FieldSchema, obj: Object) -> FieldSet:
    return field_merge.with_named(schema, field_changes.extract(schema, obj))


def _removed(schema: FieldSchema, obj: Object, fields: FieldSet) -> Object:
    out: Object = field_merge.remove(schema, obj, fields) or {}
    return out
