"""Ingresses, IngressClasses, NetworkPolicies, ServiceCIDRs and IPAddresses."""

from __future__ import annotations

from knarr.api.validation import names
from knarr.api.validation.addresses import network_warnings
from knarr.api.validation.checks import (
    Errors,
    immutable,
    items,
    one_of,
    port,
    port_or_name,
    required_name,
    texts,
)
from knarr.api.validation.go_values import internal
from knarr.api.validation.kind import Kind
from knarr.api.validation.selectors import check_label_selector
from knarr.api.validation.services import check_load_balancer
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_CLASS = "kubernetes.io/ingress.class"
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_BAD_ENDS = ("/..", "/.")
_NO_BACKEND = "resource or service backend is required"


def _ingress(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    rules, backend = items(spec, "rules"), spec.get("defaultBackend")
    if not rules and backend is None:
        shown = list(rules) if "rules" in spec else None
        errors.append(field.invalid("spec", shown, "either `defaultBackend` or `rules` must be specified"))
    if backend is not None:
        _check_backend(errors, backend, "spec.defaultBackend")
    for at, rule in enumerate(rules):
        _check_rule(errors, rule, f"spec.rules[{at}]")
    for at, entry in enumerate(items(spec, "tls")):
        for index, host in enumerate(items(entry, "hosts")):
            check = names.wildcard_subdomain if "*" in host else names.dns_subdomain
            texts(errors, f"spec.tls[{at}].hosts[{index}]", host, check(host))
        secret = entry.get("secretName", "")
        if secret:
            texts(errors, f"spec.tls[{at}].secretName", secret, names.dns_subdomain(secret))
    name = spec.get("ingressClassName")
    if name is not None:
        texts(errors, "spec.ingressClassName", name, names.dns_subdomain(name))


def _create_ingress(errors: Errors, obj: Object) -> None:
    annotation = ((obj.get("metadata") or {}).get("annotations") or {}).get(_CLASS, "")
    name = (obj.get("spec") or {}).get("ingressClassName")
    if annotation and name is not None and annotation != name:
        wrong = "must match `ingressClassName` when both are specified"
        errors.append(field.invalid(f"annotations.{_CLASS}", annotation, wrong))
    _ingress(errors, obj)


def _update_ingress(errors: Errors, obj: Object, old: Object) -> None:
    _ingress(errors, obj)


def _check_rule(errors: Errors, rule: Object, path: str) -> None:
    host = rule.get("host", "")
    if host:
        if names.parse_ip_sloppy(host) is not None:
            errors.append(field.invalid(f"{path}.host", host, "must be a DNS name, not an IP address"))
        check = names.wildcard_subdomain if "*" in host else names.dns_subdomain
        texts(errors, f"{path}.host", host, check(host))
    http = rule.get("http")
    if http is None:
        return
    paths = items(http, "paths")
    if not paths:
        errors.append(field.required(f"{path}.http.paths"))
    for at, entry in enumerate(paths):
        _check_path(errors, entry, f"{path}.http.paths[{at}]")


def _check_path(errors: Errors, entry: Object, path: str) -> None:
    kind, target = entry.get("pathType"), entry.get("path", "")
    if kind is None:
        errors.append(field.required(f"{path}.pathType", "pathType must be specified"))
        return
    if kind in ("Exact", "Prefix"):
        if not target.startswith("/"):
            errors.append(field.invalid(f"{path}.path", target, "must be an absolute path"))
        for bad in _BAD_PATHS:
            if bad in target:
                errors.append(field.invalid(f"{path}.path", target, f"must not contain '{bad}'"))
        for bad in _BAD_ENDS:
            if target.endswith(bad):
                errors.append(field.invalid(f"{path}.path", target, f"cannot end with '{bad}'"))
    elif kind == "ImplementationSpecific":
        if target and not target.startswith("/"):
            errors.append(field.invalid(f"{path}.path", target, "must be an absolute path"))
    else:
        errors.append(field.not_supported(f"{path}.pathType", kind, _PATH_TYPES))
    _check_backend(errors, entry.get("backend") or {}, f"{path}.backend")


def _check_backend(errors: Errors, backend: Object, path: str) -> None:
    service, resource = backend.get("service"), backend.get("resource")
    if resource is not None and service is not None:
        errors.append(field.invalid(path, "", "cannot set both resource and service backends"))
    elif resource is not None:
        _check_local_reference(errors, resource, f"{path}.resource")
    elif service is not None:
        _check_service_backend(errors, service, path)
    else:
        errors.append(field.invalid(path, "", _NO_BACKEND))


def _check_service_backend(errors: Errors, service: Object, path: str) -> None:
    required_name(errors, f"{path}.service.name", service.get("name", ""), names.dns_label)
    given = service.get("port") or {}
    name, number = given.get("name", ""), given.get("number", 0)
    if name and number:
        errors.append(field.invalid(path, "", "cannot set both port name & port number"))
    elif name:
        texts(errors, f"{path}.service.port.name", name, names.port_name(name))
    elif number:
        port(errors, f"{path}.service.port.number", number)
    else:
        errors.append(field.required(path, "port name or number is required"))


def _check_local_reference(errors: Errors, ref: Object, path: str) -> None:
    group = ref.get("apiGroup")
    if group:
        texts(errors, f"{path}.apiGroup", group, names.dns_subdomain(group))
    for name in ("kind", "name"):
        required_name(errors, f"{path}.{name}", ref.get(name, ""), names.path_segment)


def _ingress_status(errors: Errors, obj: Object, old: Object) -> None:
    status = (obj.get("status") or {}).get("loadBalancer") or {}
    check_load_balancer(errors, status, "status.loadBalancer", restricted=False)


def _warn_ingress(obj: Object, old: Object | None) -> list[str]:
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    if old is None and _CLASS in annotations:
        return [f"annotation {field.quote(_CLASS)} is deprecated, please use 'spec.ingressClassName' instead"]
    return []


def _class(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    controller = spec.get("controller", "")
    if len(controller) > 250:
        errors.append(field.too_long("spec.controller", 250))
    required_name(errors, "spec.controller", controller, names.domain_prefixed_path)
    parameters, path = spec.get("parameters"), "spec.parameters"
    if parameters is None:
        return
    _check_local_reference(errors, parameters, path)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        errors.append(field.required(f"{path}.scope"))
        return
    one_of(errors, f"{path}.scope", scope, ("Cluster", "Namespace"))
    if scope == "Namespace":
        if namespace is None:
            errors.append(field.required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'"))
        else:
            texts(errors, f"{path}.namespace", namespace, names.dns_label(namespace))
    if scope == "Cluster" and namespace is not None:
        errors.append(field.forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'"))


def _update_class(errors: Errors, obj: Object, old: Object) -> None:
    _class(errors, obj)
    new, before = ((o.get("spec") or {}).get("controller") for o in (obj, old))
    immutable(errors, "spec.controller", new, before)


def _policy(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    check_label_selector(errors, spec.get("podSelector"), "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for at, rule in enumerate(items(spec, direction)):
            path = f"spec.{direction}[{at}]"
            for index, entry in enumerate(items(rule, "ports")):
                _check_policy_port(errors, entry, f"{path}.ports[{index}]")
            for index, peer in enumerate(items(rule, peers)):
                _check_peer(errors, peer, f"{path}.{peers}[{index}]")
    kinds = items(spec, "policyTypes")
    if len(kinds) > 2:
        wrong = "may not specify more than two policyTypes"
        errors.append(field.invalid("spec.policyTypes", list(kinds), wrong))
        return
    for at, kind in enumerate(kinds):
        one_of(errors, f"spec.policyTypes[{at}]", kind, ("Ingress", "Egress"))


def _check_policy_port(errors: Errors, entry: Object, path: str) -> None:
    protocol, number, end = (entry.get(name) for name in ("protocol", "port", "endPort"))
    if protocol is not None:
        one_of(errors, f"{path}.protocol", protocol, ("TCP", "UDP", "SCTP"))
    if number is not None:
        port_or_name(errors, f"{path}.port", number)
    if end is None:
        return
    if number is None:
        errors.append(field.invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified"))
    elif isinstance(number, str):
        errors.append(field.invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric"))
    else:
        if end < number:
            errors.append(field.invalid(f"{path}.endPort", number, "must be greater than or equal to `port`"))
        port(errors, f"{path}.endPort", end)


def _check_peer(errors: Errors, peer: Object, path: str) -> None:
    given = 0
    for name in ("podSelector", "namespaceSelector"):
        if peer.get(name) is not None:
            given += 1
            check_label_selector(errors, peer[name], f"{path}.{name}")
    block = peer.get("ipBlock")
    if block is not None:
        _check_block(errors, block, f"{path}.ipBlock")
        if given:
            errors.append(field.forbidden(path, "may not specify both ipBlock and another peer"))
    elif not given:
        errors.append(field.required(path, "must specify a peer"))


def _check_block(errors: Errors, block: Object, path: str) -> None:
    whole = block.get("cidr", "")
    if not whole:
        errors.append(field.required(f"{path}.cidr"))
        return
    parsed, wrong = names.parse_cidr(whole), names.cidr(whole)
    if parsed is None or wrong:
        texts(errors, f"{path}.cidr", whole, wrong)
        return
    for at, part in enumerate(items(block, "except")):
        here = f"{path}.except[{at}]"
        inner, wrong = names.parse_cidr(part), names.cidr(part)
        if inner is None or wrong:
            texts(errors, here, part, wrong)
        elif (
            inner.version != parsed.version
            or inner.prefixlen <= parsed.prefixlen
            or inner.network_address not in parsed
        ):
            errors.append(field.invalid(here, part, "must be a strict subset of `cidr`"))


def _warn_policy(obj: Object, old: Object | None) -> list[str]:
    """IPv6 networks that are not written in the usual way."""
    out: list[str] = []
    for kind, peers in (("ingress", "from"), ("egress", "to")):
        for at, rule in enumerate(items(obj.get("spec") or {}, kind)):
            for index, peer in enumerate(items(rule, peers)):
                block, path = peer.get("ipBlock") or {}, f"spec.{kind}[{at}].{peers}[{index}].ipBlock"
                out += network_warnings(f"{path}.cidr", block.get("cidr", ""))
                for last, part in enumerate(items(block, "except")):
                    out += network_warnings(f"{path}.except[{last}]", part)
    return out


def _cidrs(errors: Errors, obj: Object) -> None:
    ranges = items(obj.get("spec") or {}, "cidrs")
    if not ranges:
        errors.append(field.required("spec.cidrs", "at least one CIDR required"))
        return
    if len(ranges) > 2:
        errors.append(field.invalid("spec.cidrs", {"CIDRs": list(ranges)}, "may only hold up to 2 values"))
    for at, value in enumerate(ranges):
        texts(errors, f"spec.cidrs[{at}]", value, names.canonical_cidr(value))
    versions = [parsed.version for parsed in map(names.parse_cidr, ranges) if parsed is not None]
    if len(ranges) == 2 and len(versions) == 2 and versions[0] == versions[1]:
        wrong = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        errors.append(field.invalid("spec.cidrs", list(ranges), wrong))


def _update_cidrs(errors: Errors, obj: Object, old: Object) -> None:
    new, before = (list(items(o.get("spec") or {}, "cidrs")) for o in (obj, old))
    if new[: len(before)] != before or len(new) > 2:
        errors.append(field.invalid("spec.cidrs", new, "field is immutable"))
    elif len(new) > len(before):
        _cidrs(errors, obj)


def _address(errors: Errors, obj: Object) -> None:
    ref = (obj.get("spec") or {}).get("parentRef")
    if ref is None:
        errors.append(field.required("spec.parentRef"))
        return
    group = ref.get("group", "")
    if group:
        texts(errors, "spec.parentRef.group", group, names.dns_subdomain(group))
    for name in ("resource", "name"):
        required_name(errors, f"spec.parentRef.{name}", ref.get(name, ""), names.path_segment)
    namespace = ref.get("namespace", "")
    if namespace:
        texts(errors, "spec.parentRef.namespace", namespace, names.path_segment(namespace))


def _update_address(errors: Errors, obj: Object, old: Object) -> None:
    new, before = ((o.get("spec") or {}).get("parentRef") for o in (obj, old))
    immutable(errors, "spec.parentRef", new, before, internal("networking.v1.ParentReference", new))


INGRESSES = Kind(_create_ingress, _update_ingress, {"status": _ingress_status}, warnings=_warn_ingress)
INGRESSCLASSES = Kind(_class, _update_class)
NETWORKPOLICIES = Kind(_policy, warnings=_warn_policy)
SERVICECIDRS = Kind(_cidrs, _update_cidrs)
IPADDRESSES = Kind(_address, _update_address, name=names.canonical_ip)
