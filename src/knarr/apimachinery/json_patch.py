"""JSON patch (RFC 6902), with the liberties of the implementation kube-apiserver uses.

Negative list indexes count from the end, `test` of null holds for an absent member, `replace` of one sets it, an
operation without `value` writes null. Input: a document and a list of operations, neither of which is changed.
Output: the patched document,
which shares what the patch left alone with the input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

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


class DoesNotApplyError(Exception):
    """An operation cannot be carried out on the document; its text is that of Go's implementation."""


class TestFailedError(DoesNotApplyError):
    """The document is not what a `test` wants it to be."""

    #: This is no test of pytest's.
    __test__ = False


class _Words(NamedTuple):
    """How an operation says that its path leads nowhere, and that it cannot do its work there."""

    missing: str
    failed: str


_ADD = _Words('add operation does not apply: doc is missing path: "{}"', "error in add for path: '{}'")
_REMOVE = _Words('remove operation does not apply: doc is missing path: "{}"', "error in remove for path: '{}'")
_REPLACE = _Words("replace operation does not apply: doc is missing path: {}", "error in remove for path: '{}'")
_MOVE_FROM = _Words("move operation does not apply: doc is missing from path: {}", "error in move for path: '{}'")
_MOVE_TO = _Words("move operation does not apply: doc is missing destination path: {}", "error in move for path: '{}'")
_COPY_FROM = _Words("copy operation does not apply: doc is missing from path: {}", "error in copy for from: '{}'")
_COPY_TO = _Words(
    "copy operation does not apply: doc is missing destination path: {}", "error while adding value during copy"
)
_TEST = _Words("test operation does not apply: is missing path: {}", "error in test for path: '{}'")


def apply(doc: Object, operations: Any) -> Any:
    """The document with all operations carried out in order.

    The result may be of any JSON type, as an operation may replace the whole document. Raises `StatusError`: 400 for
    what is no patch, 413 for too many operations, 422 for one that does not apply.
    """
    check(operations)
    try:
        return carry_out(doc, operations)
    except DoesNotApplyError as error:
        message = "the server rejected our request due to an error in our request"
        raise StatusError(422, "Invalid", message, {}) from error


def carry_out(doc: Object, operations: Iterable[Object]) -> Any:
    """The same for operations that are well formed. Raises `DoesNotApplyError`."""
    patched = _Patched(doc)
    for operation in operations:
        patched.carry_out(operation)
    return patched.root


def check(operations: Any) -> None:
    """Raises `StatusError` for what is no well-formed list of operations."""
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
            raise DoesNotApplyError(f"Unexpected kind: {operation.get('op', 'unknown')}")
        verb(self, operation)

    def add(self, operation: Object) -> None:
        """Insert into a list, or set a member."""
        self._insert(_member(operation, "path"), operation.get("value"), _ADD)

    def remove(self, operation: Object) -> None:
        """Take out an item or a member."""
        self._take(_member(operation, "path"), _REMOVE)

    def replace(self, operation: Object) -> None:
        """Change an item, or set a member."""
        path, value = _member(operation, "path"), operation.get("value")
        if path == "":
            if not isinstance(value, dict | list):
                raise DoesNotApplyError("replace operation value must be object or array: %!w(<nil>)")
            self.root = value
            return
        container, key = self._own(path, _REPLACE)
        with _saying(_REPLACE, path):
            container[_index(key, len(container)) if isinstance(container, list) else key] = value

    def move(self, operation: Object) -> None:
        """Remove and add."""
        value = self._take(_member(operation, "from"), _MOVE_FROM)
        self._insert(_member(operation, "path"), value, _MOVE_TO)

    def copy(self, operation: Object) -> None:
        """Add what stands elsewhere."""
        source = _member(operation, "from")
        container, key = self._find(source, _COPY_FROM)
        with _saying(_COPY_FROM, source):
            data = orjson.dumps(_get(container, key))
        self._copied += len(data)
        if self._copied > MAX_COPIED:
            raise DoesNotApplyError(f"the accumulated size increase of copy operations exceeded {MAX_COPIED}")
        # The copy is its own: what is written to it later must not show at its source.
        self._insert(_member(operation, "path"), orjson.loads(data), _COPY_TO)

    def test(self, operation: Object) -> None:
        """Go on only if the value is the given one."""
        path, wanted = _member(operation, "path"), operation.get("value")
        if path == "":
            current = self.root
        else:
            container, key = self._find(path, _TEST)
            with _saying(_TEST, path):
                current = container.get(key) if isinstance(container, dict) else _get(container, key)
        if not _equal(current, wanted):
            raise TestFailedError(f"testing value {path} failed: test failed")

    def _insert(self, path: str, value: Any, words: _Words) -> None:
        container, key = self._own(path, words)
        if isinstance(container, dict):
            container[key] = value
            return
        with _saying(words, path):
            container.insert(len(container) if key == "-" else _index(key, len(container) + 1, adds=True), value)

    def _take(self, path: str, words: _Words) -> Any:
        container, key = self._own(path, words)
        with _saying(words, path):
            if isinstance(container, list):
                return container.pop(_index(key, len(container)))
            if key not in container:
                raise DoesNotApplyError(f"Unable to remove nonexistent key: {key}: missing value")
            return container.pop(key)

    def _find(self, path: str, words: _Words) -> tuple[Any, str]:
        """The container a path points into, and the key in it."""
        with _leading(words, path):
            steps, key = _steps(path)
            container = self.root
            for step in steps:
                container = _container(_get(container, step))
            return _container(container), key

    def _own(self, path: str, words: _Words) -> tuple[Any, str]:
        """As `_find`, with fresh copies of all containers on the way."""
        with _leading(words, path):
            steps, key = _steps(path)
            self.root = container = self._owned(_container(self.root))
            for step in steps:
                below = self._owned(_container(_get(container, step)))
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


@contextmanager
def _saying(words: _Words, path: str) -> Iterator[None]:
    """Put the operation's words before what is wrong."""
    try:
        yield
    except DoesNotApplyError as error:
        raise DoesNotApplyError(f"{words.failed.format(path)}: {error}") from error


@contextmanager
def _leading(words: _Words, path: str) -> Iterator[None]:
    """Whatever is wrong on the way, the path leads nowhere."""
    try:
        yield
    except DoesNotApplyError as error:
        raise DoesNotApplyError(f"{words.missing.format(path)}: missing value") from error


def _member(operation: Object, name: str) -> str:
    if name not in operation:
        raise DoesNotApplyError(f"operation missing {name} field: missing value")
    text: str = operation[name]
    return text


def _steps(path: str) -> tuple[list[str], str]:
    parts = path.split("/")
    if len(parts) < 2:
        raise DoesNotApplyError("there is no step")
    decoded = [part.replace("~1", "/").replace("~0", "~") for part in parts[1:]]
    return decoded[:-1], decoded[-1]


def _container(value: Any) -> Any:
    if not isinstance(value, dict | list):
        raise DoesNotApplyError("there is nothing below")
    return value


def _get(container: Any, key: str) -> Any:
    if isinstance(container, list):
        return container[_index(key, len(container))]
    if key not in container:
        raise DoesNotApplyError(f"unable to get nonexistent key: {key}: missing value")
    return container[key]


def _index(key: str, size: int, *, adds: bool = False) -> int:
    if not _INDEX.fullmatch(key):
        why = f'strconv.Atoi: parsing "{key}": invalid syntax'
        raise DoesNotApplyError(f"value was not a proper array index: '{key}': {why}" if adds else why)
    at = int(key)
    if not -size <= at < size:
        raise DoesNotApplyError(f"Unable to access invalid index: {at}: invalid index referenced")
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
