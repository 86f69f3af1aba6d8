"""How much of a device's capacity a claim may ask for, where claims share the device."""

from __future__ import annotations

from knarr.api.validation import quantities
from knarr.api.validation.checks import Errors, items
from knarr.apimachinery import field
from knarr.apimachinery.quantity import Quantity
from knarr.apimachinery.types import Object

_MAX_VALUES = 10
_BOTH = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'


def check_capacity(errors: Errors, capacity: Object, path: str, *, shared: bool) -> None:
    """One capacity; `shared`: the device may be allocated several times."""
    policy = capacity.get("requestPolicy")
    if policy is None:
        return
    here = f"{path}.requestPolicy"
    if not shared:
        errors.append(field.forbidden(here, "allowMultipleAllocations must be true"))
        return
    most, values, ranged = quantities.parse(capacity.get("value")), items(policy, "validValues"), "validRange" in policy
    if values and ranged:
        errors.append(field.forbidden(here, _BOTH))
    elif values or ranged:
        _check_policy(errors, policy, most, here)


def _check_policy(errors: Errors, policy: Object, most: Quantity, path: str) -> None:
    kind = "validValues" if policy.get("validValues") else "validRange"
    if policy.get("default") is None:
        errors.append(field.required(f"{path}.default", f"required when {kind} is defined"))
        return
    default = quantities.parse(policy["default"])
    if kind == "validValues":
        values = [quantities.parse(value) for value in policy[kind]]
        _check_values(errors, values, default, most, f"{path}.{kind}")
    else:
        _check_range(errors, policy[kind], default, most, f"{path}.{kind}")


def _check_values(errors: Errors, values: list[Quantity], default: Quantity, most: Quantity, path: str) -> None:
    for at, (value, following) in enumerate(zip(values, values[1:], strict=False), start=1):
        if value > following:
            wrong = "values must be sorted in ascending order"
            errors.append(field.invalid(f"{path}[{at}]", str(following), wrong))
    if len(values) > _MAX_VALUES:
        errors.append(field.too_many(path, len(values), _MAX_VALUES))
    else:
        for at, value in enumerate(values):
            if value > most:
                wrong = f"option is larger than capacity value: {most}"
                errors.append(field.invalid(f"{path}[{at}]", str(value), wrong))
        errors += [
            field.duplicate(f"{path}[{at}]", str(value)) for at, value in enumerate(values) if value in values[:at]
        ]
    if len(values) > _MAX_VALUES or default not in values:
        wrong = "default value is not valid according to the requestPolicy"
        errors.append(field.invalid(path, str(default), wrong))


def _check_range(errors: Errors, given: Object, default: Quantity, most: Quantity, path: str) -> None:
    if given.get("min") is None:
        errors.append(field.required(f"{path}.min", "required when validRange is defined"))
        return
    low = quantities.parse(given["min"])
    high = quantities.parse(given["max"]) if given.get("max") is not None else None
    if low > most:
        errors.append(field.invalid(f"{path}.min", str(low), f"min is larger than capacity value: {most}"))
    if default < low:
        errors.append(field.invalid(f"{path}.default", str(default), f"default is less than min: {low}"))
    if high is not None:
        if low > high:
            errors.append(field.invalid(f"{path}.max", str(low), f"min is larger than max: {high}"))
        if high > most:
            errors.append(field.invalid(f"{path}.max", str(high), f"max is larger than capacity value: {most}"))
        if default > high:
            errors.append(field.invalid(f"{path}.default", str(default), f"default is more than max: {high}"))
    if given.get("step") is not None:
        ends = [default] if high is None else [default, high]
        _check_step(errors, quantities.parse(given["step"]), (low, most), ends, f"{path}.step")


def _check_step(
    errors: Errors, step: Quantity, bounds: tuple[Quantity, Quantity], ends: list[Quantity], path: str
) -> None:
    low, most = bounds
    if step.sign <= 0:
        errors.append(field.invalid(path, str(step), "must be greater than zero"))
        return
    added = low + step
    if added > most:
        wrong = f"one step {added} is larger than capacity value: {most}"
        errors.append(field.invalid(path, str(step), wrong))
    for end in ends:
        if (end.milli() - low.milli()) % step.milli():
            wrong = f"value is not a multiple of a given step ({step}) from ({low})"
            errors.append(field.invalid(path, str(end), wrong))
