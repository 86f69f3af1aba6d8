"""Services. What only the cluster knows (ranges of addresses and ports, who has them) is the allocator's part."""

from __future__ import annotations

from knarr.api.validation import names
from knarr.api.validation.addresses import address_warnings, network_warnings
from knarr.api.validation.checks import Errors, items, labels, one_of, port, port_or_name, texts
from knarr.api.validation.go_values import internal
from knarr.api.validation.kind import Kind
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_FAMILIES = ("IPv4", "IPv6")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_KUBELET_PORT = 10250
_DAY = 86400
_SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_ONCE = "may not change once set"


def _create(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    kind = spec.get("type", "")
    _check_cluster_ips(errors, spec)
    ports = items(spec, "ports")
    headless = _headless(spec)
    if not ports and not headless and kind != "ExternalName":
        errors.append(field.required("spec.ports"))
    _check_by_type(errors, spec, kind, headless=headless)
    seen: set[str] = set()
    for at, entry in enumerate(ports):
        _check_port(errors, entry, f"spec.ports[{at}]", seen, named=len(ports) > 1)
    labels(errors, "spec.selector", spec.get("selector"))
    _check_affinity(errors, spec)
    for at, address in enumerate(items(spec, "externalIPs")):
        _check_external_ip(errors, address, f"spec.externalIPs[{at}]")
    if not kind:
        errors.append(field.required("spec.type"))
    else:
        one_of(errors, "spec.type", kind, _TYPES)
    _check_node_ports(errors, spec, kind)
    _check_duplicate_ports(errors, spec)
    _check_source_ranges(errors, obj, spec, kind)
    _check_traffic(errors, spec, kind)
    _check_class(errors, spec, kind)


def _headless(spec: Object) -> bool:
    addresses = items(spec, "clusterIPs")
    return len(addresses) == 1 and addresses[0] == "None"


def _check_by_type(errors: Errors, spec: Object, kind: str, *, headless: bool) -> None:
    if kind == "LoadBalancer":
        for at, entry in enumerate(items(spec, "ports")):
            if entry.get("port") == _KUBELET_PORT:
                wrong = f"may not expose port {_KUBELET_PORT} externally since it is used by kubelet"
                errors.append(field.invalid(f"spec.ports[{at}]", _KUBELET_PORT, wrong))
    if kind in ("LoadBalancer", "NodePort") and headless:
        wrong = f"may not be set to 'None' for {kind} services"
        errors.append(field.invalid("spec.clusterIPs[0]", "None", wrong))
    if kind == "ExternalName":
        _check_external_name(errors, spec)


def _check_external_name(errors: Errors, spec: Object) -> None:
    for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(name):
            errors.append(field.forbidden(f"spec.{name}", "may not be set for ExternalName services"))
    target = spec.get("externalName", "").removesuffix(".")
    if target:
        texts(errors, "spec.externalName", target, names.dns_subdomain(target))
    else:
        errors.append(field.required("spec.externalName"))


def _check_port(errors: Errors, entry: Object, path: str, seen: set[str], *, named: bool) -> None:
    name = entry.get("name", "")
    if named and not name:
        errors.append(field.required(f"{path}.name"))
    elif name:
        texts(errors, f"{path}.name", name, names.dns_label(name))
        if name in seen:
            errors.append(field.duplicate(f"{path}.name", name))
        seen.add(name)
    port(errors, f"{path}.port", entry.get("port", 0))
    protocol = entry.get("protocol", "")
    if not protocol:
        errors.append(field.required(f"{path}.protocol"))
    else:
        one_of(errors, f"{path}.protocol", protocol, _PROTOCOLS)
    port_or_name(errors, f"{path}.targetPort", entry.get("targetPort", 0))
    application = entry.get("appProtocol")
    if application is not None:
        texts(errors, f"{path}.appProtocol", application, names.qualified_name(application))


def _check_affinity(errors: Errors, spec: Object) -> None:
    affinity, config = spec.get("sessionAffinity", ""), spec.get("sessionAffinityConfig")
    if not affinity:
        errors.append(field.required("spec.sessionAffinity"))
    else:
        one_of(errors, "spec.sessionAffinity", affinity, ("ClientIP", "None"))
    path = "spec.sessionAffinityConfig"
    if affinity == "ClientIP":
        client = (config or {}).get("clientIP")
        if config is None:
            errors.append(field.required(path, "when session affinity type is ClientIP"))
        elif client is None:
            errors.append(field.required(f"{path}.clientIP", "when session affinity type is ClientIP"))
        elif client.get("timeoutSeconds") is None:
            wrong = "when session affinity type is ClientIP"
            errors.append(field.required(f"{path}.clientIP.timeoutSeconds", wrong))
        elif not 0 < client["timeoutSeconds"] <= _DAY:
            wrong = f"must be greater than 0 and less than {_DAY}"
            errors.append(field.invalid(f"{path}.clientIP.timeoutSeconds", client["timeoutSeconds"], wrong))
    elif affinity == "None" and config is not None:
        errors.append(field.forbidden(path, "must not be set when session affinity is None"))


def _check_external_ip(errors: Errors, address: str, path: str) -> None:
    wrong = names.ip(address)
    texts(errors, path, address, wrong)
    if not wrong:
        check_ordinary_ip(errors, address, path)


def check_ordinary_ip(errors: Errors, address: str, path: str) -> None:
    """An address that is not unspecified, loopback, link-local or link-local multicast."""
    parsed = names.parse_ip_sloppy(address)
    if parsed is None:
        errors.append(field.invalid(path, address, "must be a valid IP address"))
        return
    if parsed.is_unspecified:
        errors.append(field.invalid(path, address, f"may not be unspecified ({address})"))
    if parsed.is_loopback:
        errors.append(field.invalid(path, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if parsed.is_link_local:
        errors.append(field.invalid(path, address, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
    if address.startswith("224.0.0.") or address.lower().startswith("ff02:"):
        wrong = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        errors.append(field.invalid(path, address, wrong))


def _check_node_ports(errors: Errors, spec: Object, kind: str) -> None:
    seen: set[tuple[str, int]] = set()
    for at, entry in enumerate(items(spec, "ports")):
        number = entry.get("nodePort", 0)
        if not number:
            continue
        path = f"spec.ports[{at}].nodePort"
        if kind == "ClusterIP":
            errors.append(field.forbidden(path, "may not be used when `type` is 'ClusterIP'"))
        key = (entry.get("protocol", ""), number)
        if key in seen:
            errors.append(field.duplicate(path, number))
        seen.add(key)


def _check_duplicate_ports(errors: Errors, spec: Object) -> None:
    seen: set[tuple[str, int]] = set()
    for at, entry in enumerate(items(spec, "ports")):
        key = (entry.get("protocol", ""), entry.get("port", 0))
        if key in seen:
            errors.append(
                field.duplicate(
                    f"spec.ports[{at}]",
                    internal("core.v1.ServicePort", {"protocol": key[0], "port": key[1], "targetPort": 0}),
                )
            )
        seen.add(key)


def _check_source_ranges(errors: Errors, obj: Object, spec: Object, kind: str) -> None:
    path, ranges = "spec.LoadBalancerSourceRanges", items(spec, "loadBalancerSourceRanges")
    if ranges:
        if kind != "LoadBalancer":
            errors.append(field.forbidden(path, "may only be used when `type` is 'LoadBalancer'"))
        for at, value in enumerate(ranges):
            texts(errors, f"{path}[{at}]", value, names.cidr(value.strip()))
        return
    value = ((obj.get("metadata") or {}).get("annotations") or {}).get(_SOURCE_RANGES)
    if value is None:
        return
    here = f"metadata.annotations[{_SOURCE_RANGES}]"
    if kind != "LoadBalancer":
        errors.append(field.forbidden(here, "may only be used when `type` is 'LoadBalancer'"))
    if value.strip() and any(names.cidr(part.strip()) for part in value.split(",")):
        wrong = "must be a comma separated list of CIDRs e.g. 192.168.0.0/16,10.0.0.0/8"
        errors.append(field.invalid(here, value, wrong))


def _check_traffic(errors: Errors, spec: Object, kind: str) -> None:
    outer, number = spec.get("externalTrafficPolicy", ""), spec.get("healthCheckNodePort", 0)
    external = kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(items(spec, "externalIPs")))
    path = "spec.externalTrafficPolicy"
    if not external:
        if outer:
            errors.append(field.invalid(path, outer, "may only be set for externally-accessible services"))
    elif not outer:
        errors.append(field.required(path))
    else:
        one_of(errors, path, outer, ("Cluster", "Local"))
    if number and not (kind == "LoadBalancer" and outer == "Local"):
        wrong = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.append(field.invalid("spec.healthCheckNodePort", number, wrong))
    inner = spec.get("internalTrafficPolicy")
    if inner is None:
        if kind in ("NodePort", "LoadBalancer", "ClusterIP"):
            errors.append(field.required("spec.internalTrafficPolicy"))
    else:
        one_of(errors, "spec.internalTrafficPolicy", inner, ("Cluster", "Local"))
    distribution = spec.get("trafficDistribution")
    if distribution is not None:
        one_of(errors, "spec.trafficDistribution", distribution, _DISTRIBUTIONS)


def _check_class(errors: Errors, spec: Object, kind: str) -> None:
    name = spec.get("loadBalancerClass")
    if name is None:
        return
    if kind != "LoadBalancer":
        errors.append(field.forbidden("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'"))
    texts(errors, "spec.loadBalancerClass", name, names.qualified_name(name))


def _check_cluster_ips(errors: Errors, spec: Object) -> None:
    if spec.get("type") == "ExternalName":
        return
    addresses, families = items(spec, "clusterIPs"), items(spec, "ipFamilies")
    for at, family in enumerate(families):
        if family not in _FAMILIES:
            errors.append(field.not_supported(f"spec.ipFamilies[{at}]", family, _FAMILIES))
        elif family in families[:at]:
            errors.append(field.duplicate(f"spec.ipFamilies[{at}]", family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None:
        one_of(errors, "spec.ipFamilyPolicy", policy, _POLICIES)
    first = spec.get("clusterIP", "")
    if first and (not addresses or addresses[0] != first):
        wrong = "first value must match `clusterIP`"
        errors.append(field.invalid("spec.clusterIPs", list(addresses) or None, wrong))
    if not first and addresses:
        errors.append(
            field.invalid("spec.clusterIPs", list(addresses), "must be empty when `clusterIP` is not specified")
        )
    if _addresses_good(errors, addresses):
        _check_families(errors, addresses, families)


def _addresses_good(errors: Errors, addresses: object) -> bool:
    listed = [str(address) for address in addresses] if isinstance(addresses, list | tuple) else []
    before = len(errors)
    for at, address in enumerate(listed):
        if address == "None" and at == 0:
            if len(listed) > 1:
                errors.append(field.invalid("spec.clusterIPs", listed, "'None' must be the first and only value"))
            continue
        texts(errors, f"spec.clusterIPs[{at}]", address, names.ip(address))
    good = len(errors) == before
    if len(listed) > 2:
        errors.append(field.invalid("spec.clusterIPs", listed, "may only hold up to 2 values"))
    return good


def _check_families(errors: Errors, addresses: object, families: object) -> None:
    listed = [str(address) for address in addresses] if isinstance(addresses, list | tuple) else []
    wanted = [str(family) for family in families] if isinstance(families, list | tuple) else []
    versions = [parsed.version for parsed in map(names.parse_ip_sloppy, listed) if parsed is not None]
    if len(listed) > 1 and len(set(versions)) < 2:
        wrong = "may specify no more than one IP for each IP family"
        errors.append(field.invalid("spec.clusterIPs", listed, wrong))
    for at, (version, family) in enumerate(zip(versions, wanted, strict=False)):
        if family in _FAMILIES and f"IPv{version}" != family:
            wrong = f"expected an {family} value as indicated by `ipFamilies[{at}]`"
            errors.append(field.invalid(f"spec.clusterIPs[{at}]", listed[at], wrong))


def _update(errors: Errors, obj: Object, old: Object) -> None:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        _check_kept_addresses(errors, spec, before)
        _check_kept_families(errors, spec, before)
    if spec.get("type") == before.get("type") == "LoadBalancer":
        new, had = spec.get("loadBalancerClass"), before.get("loadBalancerClass")
        if new != had:
            errors.append(field.invalid("spec.loadBalancerClass", new, _ONCE))
    _create(errors, obj)


def _check_kept_addresses(errors: Errors, spec: Object, before: Object) -> None:
    new, old = items(spec, "clusterIPs"), items(before, "clusterIPs")
    if _headless(spec) and _headless(before):
        return
    if old and not new:
        errors.append(field.invalid("spec.clusterIPs[0]", None, "primary clusterIP can not be unset"))
    for at in range(min(len(new), len(old))):
        if new[at] != old[at]:
            errors.append(field.invalid(f"spec.clusterIPs[{at}]", list(new), _ONCE))
    if len(old) > len(new) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        wrong = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        errors.append(field.invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), wrong))


def _check_kept_families(errors: Errors, spec: Object, before: Object) -> None:
    new, old = items(spec, "ipFamilies"), items(before, "ipFamilies")
    if any(family not in _FAMILIES for family in new) or (_headless(spec) and _headless(before)):
        return
    for at in range(min(len(new), len(old))):
        if new[at] != old[at]:
            errors.append(field.invalid(f"spec.ipFamilies[{at}]", list(new), _ONCE))


def _status(errors: Errors, obj: Object, old: Object) -> None:
    status = (obj.get("status") or {}).get("loadBalancer") or {}
    kind = (obj.get("spec") or {}).get("type")
    check_load_balancer(errors, status, "status.loadBalancer", restricted=kind != "LoadBalancer")


def check_load_balancer(errors: Errors, status: Object, path: str, *, restricted: bool) -> None:
    """The addresses a load balancer gave; `restricted`: the Service is of no such type."""
    ingress = items(status, "ingress")
    if restricted and ingress:
        errors.append(field.forbidden(f"{path}.ingress", 'may only be used when `spec.type` is "LoadBalancer"'))
        return
    for at, entry in enumerate(ingress):
        here = f"{path}.ingress[{at}]"
        address, host, mode = entry.get("ip", ""), entry.get("hostname", ""), entry.get("ipMode")
        if address:
            texts(errors, f"{here}.ip", address, names.ip(address))
        if mode is not None:
            if not address:
                errors.append(field.forbidden(f"{here}.ipMode", "may not be specified when `ip` is not set"))
            else:
                one_of(errors, f"{here}.ipMode", mode, ("Proxy", "VIP"))
        if host:
            texts(errors, f"{here}.hostname", host, names.dns_subdomain(host))
            if names.parse_ip_sloppy(host) is not None:
                errors.append(field.invalid(f"{here}.hostname", host, "must be a DNS name, not an IP address"))


_OLD_TOPOLOGY, _TOPOLOGY = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"


def _warn(obj: Object, old: Object | None) -> list[str]:
    spec = obj.get("spec") or {}
    out: list[str] = []
    if _OLD_TOPOLOGY in ((obj.get("metadata") or {}).get("annotations") or {}):
        out.append(f"annotation {_OLD_TOPOLOGY} is deprecated, please use {_TOPOLOGY} instead")
    if _headless(spec):
        out += _headless_warnings(spec)
    out += _address_warnings(spec)
    if items(spec, "externalIPs"):
        if spec.get("type") == "ExternalName":
            out.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
        out.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if spec.get("trafficDistribution") == "PreferClose":
        out.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return out


def _headless_warnings(spec: Object) -> list[str]:
    out = []
    if spec.get("loadBalancerIP"):
        out.append('spec.loadBalancerIP is ignored when spec.clusterIP is set to "None"')
    if items(spec, "externalIPs"):
        out.append('spec.externalIPs is ignored when spec.clusterIP is set to "None"')
    if spec.get("sessionAffinity") != "None":
        out.append("spec.SessionAffinity is ignored for headless services")
    return out


def _address_warnings(spec: Object) -> list[str]:
    out = address_warnings("spec.loadBalancerIP", spec.get("loadBalancerIP", ""))
    for name in ("clusterIPs", "externalIPs"):
        for at, address in enumerate(items(spec, name)):
            out += address_warnings(f"spec.{name}[{at}]", address)
    for at, network in enumerate(items(spec, "loadBalancerSourceRanges")):
        out += network_warnings(f"spec.loadBalancerSourceRanges[{at}]", network)
    return out


SERVICES = Kind(_create, _update, {"status": _status}, name=names.dns_label, warnings=_warn)
