"""Endpoints and EndpointSlices."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.validation import names
from knarr.api.validation.addresses import address_warnings
from knarr.api.validation.checks import Errors, immutable, items, labels, one_of, port, texts
from knarr.api.validation.kind import META_AS_CREATED, META_BOTH, Kind
from knarr.api.validation.services import check_ordinary_ip
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_MAX_ADDRESSES, _MAX_PORTS, _MAX_ENDPOINTS, _MAX_HINTS = 100, 20000, 1000, 8


def _endpoints(errors: Errors, obj: Object) -> None:
    for at, subset in enumerate(items(obj, "subsets")):
        path = f"subsets[{at}]"
        ready, waiting, ports = (items(subset, name) for name in ("addresses", "notReadyAddresses", "ports"))
        if not ready and not waiting:
            errors.append(field.required(path, "must specify `addresses` or `notReadyAddresses`"))
        for name, addresses in (("addresses", ready), ("notReadyAddresses", waiting)):
            for index, address in enumerate(addresses):
                _check_address(errors, address, f"{path}.{name}[{index}]")
        for index, entry in enumerate(ports):
            _check_subset_port(errors, entry, f"{path}.ports[{index}]", named=len(ports) > 1)


def _check_address(errors: Errors, address: Object, path: str) -> None:
    ip = address.get("ip", "")
    texts(errors, f"{path}.ip", ip, names.ip(ip))
    host = address.get("hostname", "")
    if host:
        texts(errors, f"{path}.hostname", host, names.dns_label(host))
    node = address.get("nodeName")
    if node is not None:
        texts(errors, f"{path}.nodeName", node, names.dns_subdomain(node))
    check_ordinary_ip(errors, ip, f"{path}.ip")


def _check_subset_port(errors: Errors, entry: Object, path: str, *, named: bool) -> None:
    name = entry.get("name", "")
    if named and not name:
        errors.append(field.required(f"{path}.name"))
    elif name:
        texts(errors, f"{path}.name", name, names.dns_label(name))
    port(errors, f"{path}.port", entry.get("port", 0))
    protocol = entry.get("protocol", "")
    if not protocol:
        errors.append(field.required(f"{path}.protocol"))
    else:
        one_of(errors, f"{path}.protocol", protocol, _PROTOCOLS)
    application = entry.get("appProtocol")
    if application is not None:
        texts(errors, f"{path}.appProtocol", application, names.qualified_name(application))


def _warn_endpoints(obj: Object, old: Object | None) -> list[str]:
    return ["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"]


def _slice(errors: Errors, obj: Object) -> None:
    kind = obj.get("addressType", "")
    known = kind in _ADDRESS_TYPES
    if not kind:
        errors.append(field.required("addressType"))
    elif not known:
        errors.append(field.not_supported("addressType", kind, _ADDRESS_TYPES))
    _check_endpoints(errors, items(obj, "endpoints"), kind if known else "")
    _check_slice_ports(errors, items(obj, "ports"))


def _check_endpoints(errors: Errors, endpoints: Sequence[Object], kind: str) -> None:
    if len(endpoints) > _MAX_ENDPOINTS:
        errors.append(field.too_many("endpoints", len(endpoints), _MAX_ENDPOINTS))
        return
    for at, endpoint in enumerate(endpoints):
        path = f"endpoints[{at}]"
        addresses = items(endpoint, "addresses")
        if not addresses:
            errors.append(field.required(f"{path}.addresses", "must contain at least 1 address"))
        elif len(addresses) > _MAX_ADDRESSES:
            errors.append(field.too_many(f"{path}.addresses", len(addresses), _MAX_ADDRESSES))
        for index, address in enumerate(addresses):
            _check_slice_address(errors, address, kind, f"{path}.addresses[{index}]", f"{path}.addresses")
        node = endpoint.get("nodeName")
        if node is not None:
            texts(errors, f"{path}.nodeName", node, names.dns_subdomain(node))
        topology = endpoint.get("deprecatedTopology")
        if topology:
            labels(errors, f"{path}.deprecatedTopology", topology)
        host = endpoint.get("hostname")
        if host is not None:
            texts(errors, f"{path}.hostname", host, names.dns_label(host))
        _check_hints(errors, endpoint.get("hints"), f"{path}.hints")


def _check_slice_address(errors: Errors, address: str, kind: str, path: str, whole: str) -> None:
    if kind in ("IPv4", "IPv6"):
        wrong = names.ip(address)
        texts(errors, path, address, wrong)
        parsed = names.parse_ip_sloppy(address)
        if parsed is not None and not wrong and f"IPv{parsed.version}" != kind:
            article = "an IPv4 address" if kind == "IPv4" else "an IPv6 address"
            errors.append(field.invalid(whole, address, f"must be {article}"))
        if parsed is not None:
            check_ordinary_ip(errors, address, path)
    elif kind == "FQDN":
        texts(errors, path, address, _fqdn(address))


def _fqdn(address: str) -> tuple[str, ...]:
    wrong = names.dns_subdomain(address.removesuffix("."))
    if wrong:
        return wrong
    return (
        () if "." in address.removesuffix(".") else ("should be a domain with at least two segments separated by dots",)
    )


def _check_hints(errors: Errors, hints: Object | None, path: str) -> None:
    if not hints:
        return
    for name in ("forZones", "forNodes"):
        entries = items(hints, name)
        if len(entries) > _MAX_HINTS:
            errors.append(field.too_many(f"{path}.{name}", len(entries), _MAX_HINTS))
            continue
        seen: set[str] = set()
        for at, entry in enumerate(entries):
            given, here = entry.get("name", ""), f"{path}.{name}[{at}].name"
            if given in seen:
                errors.append(field.duplicate(here, given))
            seen.add(given)
            check = names.label_value if name == "forZones" else names.dns_subdomain
            texts(errors, here, given, check(given))


def _check_slice_ports(errors: Errors, ports: Sequence[Object]) -> None:
    if len(ports) > _MAX_PORTS:
        errors.append(field.too_many("ports", len(ports), _MAX_PORTS))
        return
    seen: set[str] = set()
    for at, entry in enumerate(ports):
        path, name = f"ports[{at}]", entry.get("name") or ""
        if name:
            texts(errors, f"{path}.name", name, names.dns_label(name))
        if name in seen:
            errors.append(field.duplicate(f"{path}.name", name))
        seen.add(name)
        protocol = entry.get("protocol")
        if protocol is None:
            errors.append(field.required(f"{path}.protocol"))
        else:
            one_of(errors, f"{path}.protocol", protocol, _PROTOCOLS)
        application = entry.get("appProtocol")
        if application is not None:
            texts(errors, f"{path}.appProtocol", application, names.qualified_name(application))


def _update_slice(errors: Errors, obj: Object, old: Object) -> None:
    _slice(errors, obj)
    immutable(errors, "addressType", obj.get("addressType"), old.get("addressType"))


def _warn_slice(obj: Object, old: Object | None) -> list[str]:
    if obj.get("addressType") == "FQDN":
        return ["spec.addressType: FQDN endpoints are deprecated"] if old is None else []
    return [
        warning
        for at, endpoint in enumerate(items(obj, "endpoints"))
        for index, address in enumerate(items(endpoint, "addresses"))
        for warning in address_warnings(f"endpoints[{at}].addresses[{index}]", address)
    ]


ENDPOINTS = Kind(_endpoints, warnings=_warn_endpoints, update_meta=META_BOTH)
ENDPOINTSLICES = Kind(_slice, _update_slice, warnings=_warn_slice, update_meta=META_AS_CREATED)
