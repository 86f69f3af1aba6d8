"""What drivers report of devices that a claim was given."""

from __future__ import annotations

import ipaddress

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, items
from knarr.api.validation.conditions import check_conditions
from knarr.api.validation.device_names import check_driver, check_label, check_pool, check_set, check_uid
from knarr.apimachinery import field
from knarr.apimachinery.field import Bare
from knarr.apimachinery.types import Object

_MAX_CONDITIONS, _MAX_DATA, _MAX_IPS, _MAX_INTERFACE, _MAX_HARDWARE = 8, 10 * 1024, 16, 256, 128


def device_id(device: Object) -> Bare:
    """How messages name an allocated device, and what tells it from others."""
    parts = [device.get(name, "") for name in ("driver", "pool", "device")]
    share = device.get("shareID")
    return Bare("/".join([*parts, share] if share else parts))


def check_device_status(errors: Errors, device: Object, path: str, *, allocated: set[Bare]) -> None:
    """One entry of `status.devices`; `allocated` are the claim's devices."""
    check_driver(errors, device.get("driver", ""), f"{path}.driver")
    check_pool(errors, device.get("pool", ""), f"{path}.pool")
    check_label(errors, device.get("device", ""), f"{path}.device")
    if device.get("shareID") is not None:
        check_uid(errors, device["shareID"], f"{path}.shareID")
    if device_id(device) not in allocated:
        errors.append(field.invalid(path, device_id(device), "must be an allocated device in the claim"))
    conditions = items(device, "conditions")
    if len(conditions) > _MAX_CONDITIONS:
        errors.append(field.too_many(f"{path}.conditions", len(conditions), _MAX_CONDITIONS))
    check_conditions(errors, conditions, f"{path}.conditions")
    data = device.get("data")
    if data is not None and not isinstance(data, dict):
        errors.append(field.invalid(f"{path}.data", "<value omitted>", "must be a valid JSON object"))
    if device.get("networkData") is not None:
        _check_network(errors, device["networkData"], f"{path}.networkData")


def _check_network(errors: Errors, data: Object, path: str) -> None:
    for name, most in (("interfaceName", _MAX_INTERFACE), ("hardwareAddress", _MAX_HARDWARE)):
        if len(data.get(name, "").encode()) > most:
            errors.append(field.too_long(f"{path}.{name}", most))
    check_set(errors, items(data, "ips"), _MAX_IPS, _check_address, f"{path}.ips")


def _check_address(errors: Errors, address: str, path: str) -> None:
    """An address with the length of its network's prefix, in canonical form."""
    head, slash, length = address.partition("/")
    parsed = names.parse_ip(head)
    if not slash or parsed is None or not length.isdecimal() or int(length) > parsed.max_prefixlen:
        wrong = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
        errors.append(field.invalid(path, address, wrong))
        return
    canonical = str(ipaddress.ip_interface(f"{parsed}/{int(length)}"))
    if canonical != address:
        errors.append(field.invalid(path, address, f'must be in canonical form ("{canonical}")'))
