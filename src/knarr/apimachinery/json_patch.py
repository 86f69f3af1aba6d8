"""JSON patch (RFC 6902), with the liberties of the implementation kube-apiserver uses.

Negative list indexes count from the end, `test` of null holds for an absent member, `replace` of one sets it, an
operation without `value` writes null. Input: a document and a list of operations, neither of which is changed.
Output: the patched document,
which shares what the patch left alone with the input.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from knarr.apimachinery.errors import StatusError, bad_request, request_entity_too_large
from knarr.apimachinery.merge_patch import wrong_json
from knarr.apimachinery.types import Object

#: Most operations of one patch.
MAX_OPERATIONS = 10_000
#: Most bytes that all `copy` operations of one patch may write.
MAX_COPIED = 3 * 1024 * 1024

_INDEX = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_TEXT_MEMBERS = ("op", "path", "from")


class _DoesNotApplyError(Exception):
    """An operation cannot be carried out on the document."""


def apply(doc: Object, operations: Any) -> Any:
    """The document with all operations carried out in order.

    The result may be of any JSON type, as an operation may replace the whole document. Raises `StatusError`: 400 for
    what is no patch, 413 for too many operations, 422 for one that does not apply.
    """
    _check(operations)
    patched = _Patched(doc)
    try:
        for operation in operations:
            patched.carry_out(operation)
    except _DoesNotApplyError as error:
        message = "the server rejected our request due to an error in our request"
        raise StatusError(422, "Invalid", message, {}) from error
    return patched.root


def _check(operations: Any) -> None:
    if not isinstance(operations, list):
        raise wrong_json(operations, "[]handlers.jsonPatchOp")
    for operation in operations:
        if not isinstance(operation, dict):
            raise wrong_json(operation, "handlers.jsonPatchOp")
        for member in _TEXT_MEMBERS:
            if not isinstance(value := operation.get(member, ""), str):
                raise _wrong_member(value, member)
    if len(operations) > MAX_OPERATIONS:
        allowed = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        raise request_entity_too_large(allowed)


def _wrong_member(value: Any, member: str) -> StatusError:
    head = wrong_json(value, "").message.partition(" into Go value")[0]
    return bad_request(f"{head} into Go struct field jsonPatchOp.{member} of type string")


class _Patched:
    """The document under change. What an operation writes to is copied before, along its path."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self._copied = 0
        #: Containers that are copies already, by identity: each is copied once, however often it is written to.
        self._own_copies: dict[int, Any] = {}

    def carry_out(self, operation: Object) -> None:
        verb = _VERBS.get(operation.get("op", ""))
        if verb is None:
            raise _DoesNotApplyError(f"unexpected kind: {operation.get('op', 'unknown')}")
        verb(self, operation)

    def add(self, operation: Object) -> None:
        """Insert into a list, or set a member."""
        self._insert(_member(operation, "path"), operation.get("value"))

    def remove(self, operation: Object) -> None:
        """Take out an item or a member."""
        self._take(_member(operation, "path"))

    def replace(self, operation: Object) -> None:
        """Change an item, or set a member."""
        path, value = _member(operation, "path"), operation.get("value")
        if path == "":
            if not isinstance(value, dict | list):
                raise _DoesNotApplyError("replace operation value must be object or array")
            self.root = value
            return
        container, key = self._own(path)
        container[_index(key, len(container)) if isinstance(container, list) else key] = value

    def move(self, operation: Object) -> None:
        """Remove and add."""
        value = self._take(_member(operation, "from"))
        self._insert(_member(operation, "path"), value)

    def copy(self, operation: Object) -> None:
        """Add what stands elsewhere."""
        source = _member(operation, "from")
        container, key = self._find(source)
        value = _get(container, key)
        data = orjson.dumps(value)
        self._copied += len(data)
        if self._copied > MAX_COPIED:
            raise _DoesNotApplyError(f"the accumulated size increase of copy operations exceeded {MAX_COPIED}")
        # The copy is its own: what is written to it later must not show at its source.
        self._insert(_member(operation, "path"), orjson.loads(data))

    def test(self, operation: Object) -> None:
        """Go on only if the value is the given one."""
        path, wanted = _member(operation, "path"), operation.get("value")
        if path == "":
            current = self.root
        else:
            container, key = self._find(path)
            current = container.get(key) if isinstance(container, dict) else _get(container, key)
        if not _equal(current, wanted):
            raise _DoesNotApplyError(f"testing value {path} failed")

    def _insert(self, path: str, value: Any) -> None:
        container, key = self._own(path)
        if isinstance(container, dict):
            container[key] = value
        else:
            container.insert(len(container) if key == "-" else _index(key, len(container) + 1), value)

    def _take(self, path: str) -> Any:
        container, key = self._own(path)
        _get(container, key)
        return container.pop(_index(key, len(container)) if isinstance(container, list) else key)

    def _find(self, path: str) -> tuple[Any, str]:
        """The container a path points into, and the key in it."""
        steps, key = _steps(path)
        container = self.root
        for step in steps:
            container = _container(_get(container, step), path)
        return _container(container, path), key

    def _own(self, path: str) -> tuple[Any, str]:
        """As `_find`, with fresh copies of all containers on the way."""
        steps, key = _steps(path)
        self.root = container = self._owned(_container(self.root, path))
        for step in steps:
            below = self._owned(_container(_get(container, step), path))
            container[_index(step, len(container)) if isinstance(container, list) else step] = below
            container = below
        return container, key

    def _owned(self, container: Any) -> Any:
        if id(container) in self._own_copies:
            return container
        copy = dict(container) if isinstance(container, dict) else list(container)
        self._own_copies[id(copy)] = copy
        return copy


_VERBS: dict[str, Callable[[_Patched, Object], None]] = {
    "add": _Patched.add,
    "remove": _Patched.remove,
    "replace": _Patched.replace,
    "move": _Patched.move,
    "copy": _Patched.copy,
    "test": _Patched.test,
}


def _member(operation: Object, name: str) -> str:
    if name not in operation:
        raise _DoesNotApplyError(f"operation missing {name} field")
    text: str = operation[name]
    return text


def _steps(path: str) -> tuple[list[str], str]:
    parts = path.split("/")
    if len(parts) < 2:
        raise _DoesNotApplyError(f"doc is missing path: {path}")
    decoded = [part.replace("~1", "/").replace("~0", "~") for part in parts[1:]]
    return decoded[:-1], decoded[-1]


def _container(value: Any, path: str) -> Any:
    if not isinstance(value, dict | list):
        raise _DoesNotApplyError(f"doc is missing path: {path}")
    return value


def _get(container: Any, key: str) -> Any:
    if isinstance(container, list):
        return container[_index(key, len(container))]
    if key not in container:
        raise _DoesNotApplyError(f"unable to get nonexistent key: {key}")
    return container[key]


def _index(key: str, size: int) -> int:
    if not _INDEX.fullmatch(key):
        raise _DoesNotApplyError(f"value was not a proper array index: '{key}'")
    at = int(key)
    if not -size <= at < size:
        raise _DoesNotApplyError(f"unable to access invalid index: {at}")
    return at + size if at < 0 else at


def _equal(left: Any, right: Any) -> bool:
    """Equality of JSON values that keeps `1`, `1.0` and `true` apart."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(_equal(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)
