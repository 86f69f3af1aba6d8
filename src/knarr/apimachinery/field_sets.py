"""Sets of the fields of an object, in the form in which `metadata.managedFields` keeps them, and their algebra.

A set is a tree of dicts, FieldsV1 itself: `{"f:spec": {"f:ports": {'k:{"port":80}': {".": {}, "f:name": {}}}}}`. A key
is one step of a path: `f:` a field's name, `k:` the keys of a list's item, `v:` an item's value, `i:` its index. A node
belongs to the set itself when it holds `.` or when it is empty; a node without `.` only leads to its members. The root
never belongs to the set: `{}` there is the empty set.

Sets are read-only: every function gives a new one, which may share nodes with its arguments.
Source: sigs.k8s.io/structured-merge-diff, fieldpath; KEP-555.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import orjson

#: A set, or a node of one.
FieldSet: TypeAlias = dict[str, Any]
#: The mark of a node that belongs to the set and has members below it.
SELF = "."
#: A node without anything below it. Shared, never changed.
LEAF: FieldSet = {}

#: A number that is the value of a key, or a whole value.
_NUMBER = re.compile(r"(?<=[:])\d+(?=[,}]|$)")


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """The fields of either set."""
    if not left or not right:
        return left or right
    out = dict(left)
    for step, node in right.items():
        mine = out.get(step)
        out[step] = node if mine is None else _node_union(mine, node)
    return out


def _node_union(left: FieldSet, right: FieldSet) -> FieldSet:
    if not left:
        return right if not right or SELF in right else {SELF: LEAF, **right}
    if not right:
        return left if SELF in left else {SELF: LEAF, **left}
    return union(left, right)


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """The fields of `left` that are not in `right`; `left` itself when that takes nothing."""
    out: FieldSet | None = None
    for step in left.keys() & right.keys():
        mine = left[step]
        kept = _node_difference(mine, right[step])
        if kept is mine:
            continue
        if out is None:
            out = dict(left)
        if kept is None:
            del out[step]
        else:
            out[step] = kept
    return left if out is None else out


def _node_difference(left: FieldSet, right: FieldSet) -> FieldSet | None:
    """What is left of a node; `None` when nothing is."""
    takes_self = not right or SELF in right
    if not left:
        return None if takes_self else left
    if not right:
        # Only the node itself goes: what leads on to members stays.
        kept = {step: node for step, node in left.items() if step != SELF} if SELF in left else left
    else:
        kept = difference(left, right)
    if not kept:
        return None
    return LEAF if len(kept) == 1 and SELF in kept else kept


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """The fields of both sets."""
    out: FieldSet = {}
    for step in left.keys() & right.keys():
        both = _node_intersection(left[step], right[step])
        if both is not None:
            out[step] = both
    return out


def _node_intersection(left: FieldSet, right: FieldSet) -> FieldSet | None:
    belongs = (not left or SELF in left) and (not right or SELF in right)
    below = intersection(left, right) if left and right else {}
    below.pop(SELF, None)
    if belongs:
        return {SELF: LEAF, **below} if below else LEAF
    return below or None


def without(left: FieldSet, right: FieldSet) -> FieldSet:
    """The fields of `left` that neither are in `right` nor lie below one that is."""
    out: FieldSet | None = None
    for step in left.keys() & right.keys():
        mine, theirs = left[step], right[step]
        kept = None if not theirs or SELF in theirs else _node_without(mine, theirs)
        if kept is mine:
            continue
        if out is None:
            out = dict(left)
        if kept is None:
            del out[step]
        else:
            out[step] = kept
    return left if out is None else out


def _node_without(left: FieldSet, right: FieldSet) -> FieldSet | None:
    kept = without(left, right)
    if left and not kept:
        return None
    return LEAF if len(kept) == 1 and SELF in kept else kept


def contains(left: FieldSet, right: FieldSet) -> bool:
    """Whether every field of `right` is in `left`: for sets where that is likely, quicker than their difference."""
    for step, node in right.items():
        mine = left.get(step)
        if mine is None or not _node_contains(mine, node):
            return False
    return True


def _node_contains(left: FieldSet, right: FieldSet) -> bool:
    if not right:
        return not left or SELF in left
    if not left:
        # The node itself is all there is.
        return len(right) == 1 and SELF in right
    return contains(left, right)


def has(fields: FieldSet, path: Iterable[str]) -> bool:
    """Whether the field at a path of steps belongs to the set."""
    node = fields
    for step in path:
        found = node.get(step)
        if found is None:
            return False
        node = found
    return not node or SELF in node


def of_paths(paths: Iterable[Iterable[str]]) -> FieldSet:
    """The set of some paths of steps."""
    out: FieldSet = {}
    for path in paths:
        found: FieldSet = LEAF
        for step in reversed(tuple(path)):
            found = {step: found}
        out = union(out, found)
    return out


def paths(fields: FieldSet) -> Iterator[tuple[str, ...]]:
    """The path of every field of the set: at each level first the fields, then what lies below, in order of steps."""
    steps = sorted((step for step in fields if step != SELF), key=_rank)
    for step in steps:
        if not fields[step] or SELF in fields[step]:
            yield (step,)
    for step in steps:
        for below in paths(fields[step]):
            yield (step, *below)


def path_text(path: Iterable[str]) -> str:
    """A path as errors show it: `.spec.ports[port=80,protocol="TCP"].name`, `.metadata.finalizers[="a"]`."""
    return "".join(step_text(step) for step in path)


def step_text(step: str) -> str:
    """One step as errors show it."""
    head, text = step[:2], step[2:]
    if head == "f:":
        return f".{text}"
    if head == "i:":
        return f"[{text}]"
    if head == "v:":
        return f"[={text}]"
    keys: dict[str, Any] = orjson.loads(text)
    return f"[{','.join(f'{key}={orjson.dumps(value).decode()}' for key, value in keys.items())}]"


def _rank(step: str) -> tuple[int, str]:
    return ("fkvi".find(step[:1]), _numbers_in_order(step))


def ordered(fields: FieldSet) -> FieldSet:
    """The same set with its steps in the order in which they are written."""
    return {step: ordered(fields[step]) if fields[step] else LEAF for step in in_order(fields)}


def in_order(steps: Iterable[str]) -> list[str]:
    """Sibling steps in the order in which they are written: numbers in keys by their value."""
    out = sorted(steps)
    if len(out) > 1 and out[-1][:2] in ("k:", "v:") and _NUMBER.search(out[-1]):
        out.sort(key=_numbers_in_order)
    return out


def _numbers_in_order(step: str) -> str:
    """A text that sorts as the step does: positive numbers padded."""
    return _NUMBER.sub(lambda match: match[0].rjust(20), step) if step[:2] in ("k:", "v:") else step


def decoded(value: Any) -> FieldSet:
    """The set that a client's FieldsV1 stands for, in canonical form. Raises `ValueError`."""
    if not isinstance(value, dict):
        raise ValueError("a set of fields is an object")
    out = {}
    for step, node in value.items():
        if step == SELF:
            continue
        out[_canonical(step)] = _decoded_node(node)
    return out


def _decoded_node(value: Any) -> FieldSet:
    below = decoded(value)
    if not below:
        return LEAF
    return {SELF: LEAF, **below} if SELF in value else below


def _canonical(step: str) -> str:
    head, text = step[:2], step[2:]
    if head == "f:":
        return step
    if head == "i:":
        return f"i:{int(text)}"
    if head not in ("k:", "v:"):
        raise ValueError(f"unknown step {step!r} of a field's path")
    value = orjson.loads(text)
    if head == "k:" and not isinstance(value, dict):
        raise ValueError(f"the keys of an item are an object, not {text}")
    return head + orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
