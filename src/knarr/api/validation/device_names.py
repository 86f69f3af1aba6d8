"""What names and lists of devices must be, wherever dynamic resources mention them."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, texts
from knarr.apimachinery import field

_MAX_DOMAIN, _MAX_IDENTIFIER, _MAX_POOL = 63, 32, 253
_FULL = "a fully qualified name must be a domain and a name separated by a slash"
_UNKNOWN = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UUID_WRONG = (
    "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal"
    " characters"
)
#: Checks one item at its path.
Check = Callable[[Errors, Any, str], None]


def check_driver(errors: Errors, name: str, path: str) -> None:
    """The name of a driver, or the domain of an attribute."""
    if not name:
        errors.append(field.required(path))
        return
    if len(name.encode()) > _MAX_DOMAIN:
        errors.append(field.too_long(path, _MAX_DOMAIN))
    texts(errors, path, name, names.dns_subdomain(name.lower()))


def check_pool(errors: Errors, name: str, path: str) -> None:
    """The name of a pool: subdomains between slashes."""
    if not name:
        errors.append(field.required(path))
        return
    if len(name.encode()) > _MAX_POOL:
        errors.append(field.too_long(path, _MAX_POOL))
    for part in name.split("/"):
        texts(errors, path, part, names.dns_subdomain(part))


def check_label(errors: Errors, name: str, path: str) -> None:
    """The name of a device, a request or a set of counters."""
    texts(errors, path, name, names.dns_label(name))


def check_qualified(errors: Errors, name: str, path: str) -> None:
    """An attribute's or capacity's name: a C identifier, with a domain before a slash or without."""
    parts = name.split("/")
    if len(parts) > 2:
        errors.append(field.invalid(path, name, "must not contain more than one slash"))
        return
    if len(parts) == 2:
        if not parts[0]:
            errors.append(field.invalid(path, "", "the domain must not be empty"))
        else:
            check_driver(errors, parts[0], path)
        if not parts[1]:
            errors.append(field.invalid(path, "", "the name must not be empty"))
            return
    _check_identifier(errors, parts[-1], path)


def check_full(errors: Errors, name: str, path: str) -> None:
    """A qualified name that must have a domain."""
    check_qualified(errors, name, path)
    if "/" not in name:
        errors.append(field.invalid(path, name, _FULL))


def _check_identifier(errors: Errors, name: str, path: str) -> None:
    if len(name.encode()) > _MAX_IDENTIFIER:
        errors.append(field.too_long(path, _MAX_IDENTIFIER))
    texts(errors, path, name, names.c_identifier(name))


def check_request_reference(errors: Errors, name: str, path: str, known: set[str]) -> None:
    """The name of a request, or of one and its subrequest; `known` has them all."""
    parts = name.split("/")
    if len(parts) > 2:
        errors.append(field.invalid(path, name, _UNKNOWN))
        return
    for part in parts:
        texts(errors, path, part, names.dns_label(part))
    if name not in known:
        errors.append(field.invalid(path, name, _UNKNOWN))


def check_uid(errors: Errors, uid: str, path: str) -> None:
    """A UUID in lower case."""
    if _UUID.fullmatch(uid):
        return
    if not _UUID.fullmatch(uid.lower()):
        size = len(uid.encode())
        why = "invalid UUID format" if size == 36 else f"invalid UUID length: {size}"
        errors.append(field.invalid(path, uid, f"error validating uid: {why}"))
    else:
        errors.append(field.invalid(path, uid, _UUID_WRONG))


def check_slice(errors: Errors, items: Sequence[Any], most: int, check: Check, path: str) -> None:
    """Each item of a list of at most so many."""
    if len(items) > most:
        errors.append(field.too_many(path, len(items), most))
        return
    for at, item in enumerate(items):
        check(errors, item, f"{path}[{at}]")


def check_set(
    errors: Errors,
    items: Sequence[Any],
    most: int,
    check: Check,
    path: str,
    key: Callable[[Any], Hashable] | None = None,
) -> None:
    """The same of a list whose items differ, in their `key` if there is one."""
    check_slice(errors, items, most, check, path)
    if len(items) > most:
        return
    seen: set[Hashable] = set()
    for at, item in enumerate(items):
        mark = item if key is None else key(item)
        if mark in seen:
            errors.append(field.duplicate(f"{path}[{at}]", mark))
        seen.add(mark)


def check_map(errors: Errors, given: Mapping[str, Any], check_key: Check, check: Check, path: str) -> None:
    """Each key and value of a map; long keys are cut in paths."""
    for key, item in given.items():
        check_key(errors, key, path)
        check(errors, item, f"{path}[{_shortened(key)}]")


def _shortened(key: str) -> str:
    limit = _MAX_DOMAIN + 1 + _MAX_IDENTIFIER
    left = limit - 3
    return key if len(key) <= limit else f"{key[: (left + 1) // 2]}...{key[len(key) - left // 2 :]}"


def check_conditions_names(errors: Errors, binding: Sequence[str], failure: Sequence[str], path: str) -> None:
    """Conditions that binding waits for, and those that make it fail."""
    place, other = f"{path}.bindingConditions", f"{path}.bindingFailureConditions"
    for given, here in ((binding, place), (failure, other)):
        check_slice(errors, given, 4, _check_label_name, here)
    for at, name in enumerate(binding):
        if name in binding[:at]:
            errors.append(field.duplicate(f"{place}[{at}]", name))
    for at, name in enumerate(failure):
        if name in failure[:at]:
            errors.append(field.duplicate(f"{other}[{at}]", name))
        if name in binding:
            wrong = "bindingFailureConditions must not overlap with bindingConditions"
            errors.append(field.invalid(f"{other}[{at}]", name, wrong))
    if failure and not binding:
        wrong = "bindingConditions are required to use bindingFailureConditions"
        errors.append(field.invalid(place, None, wrong))
    if binding and not failure:
        wrong = "bindingFailureConditions are required to use bindingConditions"
        errors.append(field.invalid(other, None, wrong))


def _check_label_name(errors: Errors, name: str, path: str) -> None:
    texts(errors, path, name, names.qualified_name(name))


def check_effect(errors: Errors, effect: str, path: str) -> None:
    """What a taint does, or a toleration stands."""
    if effect not in ("NoExecute", "NoSchedule", "None"):
        errors.append(field.not_supported(path, effect, ("NoExecute", "NoSchedule", "None")))
