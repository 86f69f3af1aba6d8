"""Quantities (https://pkg.go.dev/k8s.io/apiserver/pkg/cel/library#Quantity)."""

from __future__ import annotations

from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.functions.registry import Library
from knarr.apimachinery import quantity as quantities
from knarr.apimachinery.quantity import Quantity as Amount

library = Library()
_INT64 = 2**63
#: A power of ten that no number of 64 bits has.
_HUGE = 19


class Quantity:
    """A quantity as a value."""

    __slots__ = ("amount",)
    kind = "kubernetes.Quantity"

    def __init__(self, amount: Amount) -> None:
        self.amount = amount

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.amount == other.amount

    def __hash__(self) -> int:
        return hash(self.amount)


@library.add("quantity", str)
def read(text: str) -> Quantity:
    """The quantity of a text. Raises `EvaluationError`."""
    try:
        return Quantity(quantities.parse(text))
    except ValueError as error:
        raise EvaluationError(str(error)) from error


@library.add("isQuantity", str)
def _is_quantity(text: str) -> bool:
    try:
        quantities.parse(text)
    except ValueError:
        return False
    return True


@library.add("sign", Quantity)
def _sign(value: Quantity) -> int:
    return value.amount.sign


def _whole(amount: Amount) -> int | None:
    """The number, if it is one of 64 bits and was not written with a fraction (`1.0` is no integer there)."""
    if amount.exponent < 0 or amount.exponent > _HUGE:
        return None
    number = amount.mantissa * 10**amount.exponent
    return number if -_INT64 <= number < _INT64 else None


@library.add("isInteger", Quantity)
def _is_integer(value: Quantity) -> bool:
    return _whole(value.amount) is not None


@library.add("asInteger", Quantity)
def _as_integer(value: Quantity) -> int:
    found = _whole(value.amount)
    if found is None:
        raise EvaluationError("cannot convert value to integer")
    return found


@library.add("asApproximateFloat", Quantity)
def _as_float(value: Quantity) -> float:
    return float(value.amount)


@library.add("isGreaterThan", Quantity, Quantity)
def _is_greater(value: Quantity, other: Quantity) -> bool:
    return other.amount < value.amount


@library.add("isLessThan", Quantity, Quantity)
def _is_less(value: Quantity, other: Quantity) -> bool:
    return value.amount < other.amount


@library.add("compareTo", Quantity, Quantity)
def _compare(value: Quantity, other: Quantity) -> int:
    return (value.amount > other.amount) - (value.amount < other.amount)


@library.add("add", Quantity, Quantity)
def _add(value: Quantity, other: Quantity) -> Quantity:
    return Quantity(value.amount + other.amount)


@library.add("add", Quantity, int)
def _add_int(value: Quantity, other: int) -> Quantity:
    return Quantity(value.amount + quantities.of(other))


@library.add("sub", Quantity, Quantity)
def _sub(value: Quantity, other: Quantity) -> Quantity:
    return Quantity(value.amount - other.amount)


@library.add("sub", Quantity, int)
def _sub_int(value: Quantity, other: int) -> Quantity:
    return Quantity(value.amount - quantities.of(other))
