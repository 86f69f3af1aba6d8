"""Resource names and quantities: container resources, extended resources, huge pages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from knarr.api.validation import names
from knarr.api.validation.checks import Errors
from knarr.apimachinery import field, quantity
from knarr.apimachinery.quantity import Quantity

CONTAINER = frozenset({"cpu", "memory", "ephemeral-storage"})
_QUOTA = frozenset(
    {
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.storage",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "persistentvolumeclaims",
        "configmaps",
        "services.nodeports",
        "services.loadbalancers",
    }
)
_STANDARD = _QUOTA | {"storage"}
_INTEGERS = frozenset(
    {
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)
HUGE = "hugepages-"
_NOT_STANDARD = "must be a standard resource type or fully qualified"
_NOT_CONTAINER = "must be a standard resource for containers"


def is_huge_page(name: str) -> bool:
    """`hugepages-2Mi`."""
    return name.startswith(HUGE)


@lru_cache(maxsize=1024)
def is_native(name: str) -> bool:
    """A resource of Kubernetes itself: no domain, or one below kubernetes.io."""
    return "/" not in name or "kubernetes.io/" in name


@lru_cache(maxsize=1024)
def is_extended(name: str) -> bool:
    """A device-like resource of somebody's own domain: integers, not overcommitted."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not names.qualified_name(f"requests.{name}")


@lru_cache(maxsize=1024)
def name_errors(name: str) -> tuple[str, ...]:
    """What is wrong with a resource's name in general."""
    wrong = names.qualified_name(name)
    if wrong:
        return wrong
    if "/" not in name and name not in _STANDARD and not is_huge_page(name):
        return (_NOT_STANDARD,)
    return ()


@lru_cache(maxsize=1024)
def container_name_errors(name: str) -> tuple[str, ...]:
    """What is wrong with a name in a container's `resources`."""
    wrong = name_errors(name)
    if wrong and wrong != (_NOT_STANDARD,):
        return wrong
    if "/" not in name:
        if name not in CONTAINER and not is_huge_page(name):
            return (*wrong, _NOT_CONTAINER)
    elif not is_native(name) and not is_extended(name):
        return (*wrong, "doesn't follow extended resource name standard")
    return wrong


@lru_cache(maxsize=1024)
def quota_name_errors(name: str) -> tuple[str, ...]:
    """What is wrong with a name in a ResourceQuota."""
    wrong = name_errors(name)
    if "/" not in name and name not in _QUOTA and not name.startswith(("requests.hugepages-", HUGE)):
        return (*wrong, "must be a standard resource for quota")
    return wrong


def parse(value: str | int | float | None) -> Quantity:
    """The quantity of a canonical field; none is zero."""
    return quantity.ZERO if value is None else quantity.parse(value)


def not_negative(errors: Errors, path: str, value: Quantity) -> None:
    """A quantity of zero or more."""
    if value.sign < 0:
        errors.append(field.invalid(path, str(value), "must be greater than or equal to 0"))


def check_value(errors: Errors, path: str, name: str, value: Quantity) -> None:
    """A quantity of this resource: not negative, whole where only whole ones exist."""
    not_negative(errors, path, value)
    if (name in _INTEGERS or is_extended(name)) and value.milli() % 1000 != 0:
        errors.append(field.invalid(path, str(value), "must be an integer"))


def check_list(errors: Errors, path: str, given: Mapping[str, str] | None) -> None:
    """A container-like list of resources, each name and amount."""
    for name, text in (given or {}).items():
        here = f"{path}[{name}]"
        for wrong in container_name_errors(name):
            errors.append(field.invalid(here, name, wrong))
        check_value(errors, here, name, parse(text))
