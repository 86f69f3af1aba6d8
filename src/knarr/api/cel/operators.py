"""Operators of the language: equality, order, arithmetic, membership, and access to fields and items."""

from __future__ import annotations

from typing import Any

from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.values import (
    NONE,
    Built,
    Duration,
    Lazy,
    MapList,
    Optional,
    SetList,
    Timestamp,
    Uint,
    no_overload,
    type_name,
)
from knarr.api.cel.work import spend

#: What is found where there is nothing.
ABSENT = object()
_LEAST, _MOST, _MOST_UINT = -(2**63), 2**63 - 1, 2**64 - 1
#: The first and the last timestamp, in nanoseconds: years 1 to 9999.
EARLIEST, LATEST = -62135596800 * 10**9, 253402300799 * 10**9 + 999_999_999
_NUMBERS = frozenset({int, float, Uint})
_INTEGERS = frozenset({int, Uint})
_LISTS = frozenset({list, SetList, MapList})
#: Values that the operators are there for at all; of others Go says which operator is not.
_ADDED = frozenset({bytes, float, Duration, int, list, SetList, MapList, str, Timestamp, Uint})
_SUBTRACTED = frozenset({int, float, Uint, Duration, Timestamp})
_PLAIN = frozenset({str, bool, bytes, type(None)})


def equal(left: Any, right: Any) -> bool:
    """Whether two values are equal; those of different types are not, numbers aside."""
    kind, other = type(left), type(right)
    if kind is other and kind in _PLAIN:
        return bool(left == right)
    if kind in _NUMBERS and other in _NUMBERS:
        return float(left) == float(right) if float in (kind, other) else int(left) == int(right)
    if kind in _LISTS and other in _LISTS:
        return _equal_lists(left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        return _equal_maps(left, right)
    if kind is Optional and other is Optional:
        return left.present == right.present and equal(left.value, right.value)
    return kind is other and bool(left == right)


def _equal_lists(left: Any, right: Any) -> bool:
    if len(left) != len(right):
        return False
    spend(len(left))
    if type(left) is SetList:
        return all(contains(right, item) for item in left) and all(contains(left, item) for item in right)
    if type(left) is MapList:
        others = {_key(item, left.keys): item for item in right}
        return all((key := _key(item, left.keys)) in others and equal(item, others[key]) for item in left)
    return left is right or all(map(equal, left, right))


def _equal_maps(left: Any, right: Any) -> bool:
    if len(left) != len(right):
        return False
    spend(len(left))
    return left is right or all(key in right and equal(value, right[key]) for key, value in left.items())


def _key(item: Any, keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(key) for key in keys)


def contains(items: Any, value: Any) -> bool:
    """Whether a list has an item equal to a value."""
    if type(value) is str:
        return value in items
    return any(equal(value, item) for item in items)


def within(value: Any, holder: Any) -> bool:
    """`value in holder`."""
    if isinstance(holder, dict):
        return find(holder, value) is not ABSENT
    if isinstance(holder, list):
        return contains(holder, value)
    raise no_overload()


def compare(left: Any, right: Any) -> int:
    """Below zero, zero or above: which of two values comes first. Raises where they have no order."""
    kind, other = type(left), type(right)
    if kind in _NUMBERS and other in _NUMBERS:
        if float in (kind, other):
            left, right = float(left), float(right)
    elif kind is not other or kind not in (str, bytes, bool, Timestamp, Duration):
        raise no_overload()
    else:
        left, right = (int(left), int(right)) if kind in (Timestamp, Duration) else (left, right)
    if left != left or right != right:
        raise EvaluationError("NaN values cannot be ordered")
    return 1 if left > right else -1 if left < right else 0


def _unknown(name: str, kind: type, kinds: frozenset[type]) -> EvaluationError:
    return no_overload() if kind in kinds else EvaluationError(f"no such overload: {name}")


def _checked(value: int) -> int:
    if _LEAST <= value <= _MOST:
        return value
    raise EvaluationError("integer overflow")


def _unsigned(value: int) -> Uint:
    if 0 <= value <= _MOST_UINT:
        return Uint(value)
    raise EvaluationError("unsigned integer overflow")


def _duration(value: int) -> Duration:
    if _LEAST <= value <= _MOST:
        return Duration(value)
    raise EvaluationError("integer overflow")


def timestamp(value: int, offset: int = 0) -> Timestamp:
    """A timestamp of so many nanoseconds, shown so many seconds east of UTC. Raises where there is none."""
    if EARLIEST <= value <= LATEST:
        return Timestamp(value, offset)
    raise EvaluationError("timestamp overflow")


def add(left: Any, right: Any) -> Any:
    """`left + right`."""
    kind, other = type(left), type(right)
    if kind is int and other is int:
        return _checked(left + right)
    if kind is other and kind in (str, float, bytes):
        return left + right
    if kind in _LISTS and other in _LISTS:
        return _added(left, right)
    if kind is Uint and other is Uint:
        return _unsigned(int(left) + int(right))
    pair = (kind, other)
    if pair == (Duration, Duration):
        return _duration(int(left) + int(right))
    if pair in ((Timestamp, Duration), (Duration, Timestamp)):
        return timestamp(int(left) + int(right), (left if kind is Timestamp else right).offset)
    raise _unknown("_+_", kind, _ADDED)


def _added(left: Any, right: Any) -> Any:
    if type(left) is SetList:
        return SetList([*left, *(item for item in right if not contains(left, item))])
    if type(left) is MapList:
        others = {_key(item, left.keys): item for item in right}
        kept = [others.pop(_key(item, left.keys), item) for item in left]
        return MapList([*kept, *others.values()], left.keys)
    return [*left, *right]


def subtract(left: Any, right: Any) -> Any:
    """`left - right`."""
    kind, other = type(left), type(right)
    if kind is int and other is int:
        return _checked(left - right)
    if kind is float and other is float:
        return left - right
    if kind is Uint and other is Uint:
        return _unsigned(int(left) - int(right))
    pair = (kind, other)
    if pair in ((Duration, Duration), (Timestamp, Timestamp)):
        return _duration(int(left) - int(right))
    if pair == (Timestamp, Duration):
        return timestamp(int(left) - int(right), left.offset)
    raise _unknown("_-_", kind, _SUBTRACTED)


def multiply(left: Any, right: Any) -> Any:
    """`left * right`."""
    kind, other = type(left), type(right)
    if kind is int and other is int:
        return _checked(left * right)
    if kind is float and other is float:
        return left * right
    if kind is Uint and other is Uint:
        return _unsigned(int(left) * int(right))
    raise _unknown("_*_", kind, _NUMBERS)


def divide(left: Any, right: Any) -> Any:
    """`left / right`; integers towards zero."""
    kind, other = type(left), type(right)
    if kind is float and other is float:
        return _divided(left, right)
    if kind is not other or kind not in _INTEGERS:
        raise _unknown("_/_", kind, _NUMBERS)
    if right == 0:
        raise EvaluationError("division by zero")
    found = abs(left) // abs(right)
    if kind is Uint:
        return Uint(found)
    return _checked(found if (left < 0) == (right < 0) else -found)


def _divided(left: float, right: float) -> float:
    if right:
        return left / right
    if left == 0 or left != left:
        return float("nan")
    # The signs of zeros count.
    return float("inf") if (left > 0) == (str(right)[0] != "-") else float("-inf")


def modulo(left: Any, right: Any) -> Any:
    """`left % right`, with the sign of the left."""
    kind, other = type(left), type(right)
    if kind is not other or kind not in _INTEGERS:
        raise _unknown("_%_", kind, _INTEGERS)
    if right == 0:
        raise EvaluationError("modulus by zero")
    found = abs(left) % abs(right)
    if kind is Uint:
        return Uint(found)
    if left == _LEAST and right == -1:
        raise EvaluationError("integer overflow")
    return found if left >= 0 else -found


def negate(value: Any) -> Any:
    """`-value`."""
    if type(value) is int:
        return _checked(-value)
    if type(value) is float:
        return -value
    raise no_overload()


def find(holder: Any, key: Any) -> Any:
    """A field or an item, or `ABSENT`."""
    if isinstance(holder, dict):
        return _find_key(holder, key)
    if isinstance(holder, list):
        index = _index(key)
        return holder[index] if 0 <= index < len(holder) else ABSENT
    return ABSENT


def _find_key(holder: Any, key: Any) -> Any:
    try:
        found = _lazy(holder, key) if type(holder) is Lazy else holder.get(key, ABSENT)
    except TypeError:
        # Lists and maps are no keys.
        return ABSENT
    if type(key) is str or found is ABSENT:
        return found
    # Python takes true for one; a key is found by its own kind only, numbers aside.
    own = next(known for known in holder if known == key)
    return found if (type(own) is bool) == (type(key) is bool) else ABSENT


def _lazy(holder: Lazy, key: Any) -> Any:
    return holder[key] if key in holder.makers else ABSENT


def _index(key: Any) -> int:
    if type(key) in _INTEGERS:
        return int(key)
    if type(key) is float and key.is_integer():
        return int(key)
    raise EvaluationError(f"unsupported index type '{type_name(key)}' in list")


def access(holder: Any, key: Any) -> Any:
    """`holder.key` and `holder[key]`; of an optional holder an optional value."""
    if type(holder) is Optional:
        return optional_access(holder, key)
    found = find(holder, key)
    if found is ABSENT:
        if isinstance(holder, list):
            raise EvaluationError(f"index out of bounds: {shown(key)}")
        raise EvaluationError(f"no such key: {shown(key)}")
    return found


def optional_access(holder: Any, key: Any) -> Optional:
    """`holder.?key` and `holder[?key]`."""
    if type(holder) is Optional:
        if not holder.present:
            return NONE
        holder = holder.value
    found = find(holder, key)
    if found is ABSENT:
        return NONE
    return found if isinstance(found, Optional) else Optional(found)


def optional_field(holder: Any, key: Any) -> Optional:
    """`holder.?key` of an object that a schema declares: null is as good as nothing."""
    found = optional_access(holder, key)
    return NONE if found.present and found.value is None else found


def filled(holder: Any, key: str) -> bool:
    """`has(holder.key)` of such an object."""
    if type(holder) is Optional:
        return holder.present and filled(holder.value, key)
    return isinstance(holder, dict) and holder.get(key) is not None


def present(holder: Any, key: str) -> bool:
    """`has(holder.key)`."""
    if type(holder) is Optional:
        return holder.present and present(holder.value, key)
    if type(holder) is Built or isinstance(holder, dict):
        return find(holder, key) is not ABSENT
    return False


def shown(value: Any) -> str:
    """A key as messages have it."""
    if type(value) is bool:
        return str(value).lower()
    if type(value) is float:
        return f"{value:g}"
    return str(value)
