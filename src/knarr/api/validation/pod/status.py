"""A pod's status: what a kubelet or controller may write."""

from __future__ import annotations

import ipaddress

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, items, label_key, texts
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_STATES = ("waiting", "running", "terminated")


def check(errors: Errors, pod: Object, old: Object) -> None:
    """A change through `status`."""
    status, before = pod.get("status") or {}, old.get("status") or {}
    spec, old_spec = pod.get("spec") or {}, old.get("spec") or {}
    if spec.get("nodeName", "") != old_spec.get("nodeName", ""):
        wrong = "may not be changed directly"
        errors.append(field.forbidden("status.nodeName", wrong))
    nominated = status.get("nominatedNodeName", "")
    if nominated:
        texts(errors, "status.nominatedNodeName", nominated, names.dns_subdomain(nominated))
    if items(old_spec, "schedulingGates") and before.get("phase") != status.get("phase"):
        _check_gated_phase(errors, status)
    _check_conditions(errors, status)
    _check_qos(errors, status, before)
    always = spec.get("restartPolicy") == "Always"
    for name in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for at, state in enumerate(items(status, name)):
            _check_container(errors, state, f"status.{name}[{at}]")
        if name == "containerStatuses":
            _check_transitions(errors, items(status, name), items(before, name), f"status.{name}", always=always)
    _check_ips(errors, items(status, "podIPs"), "status.podIPs", "ip")
    host_ips = items(status, "hostIPs")
    if host_ips and host_ips[0].get("ip", "") != status.get("hostIP", ""):
        wrong = "must be equal to `hostIP`"
        errors.append(field.invalid("status.hostIPs[0].ip", host_ips[0].get("ip", ""), wrong))
    _check_ips(errors, host_ips, "status.hostIPs", "ip")


def _check_gated_phase(errors: Errors, status: Object) -> None:
    if status.get("phase") in ("Running", "Succeeded"):
        wrong = "may not be set while schedulingGates remain"
        errors.append(field.forbidden("status.phase", wrong))


def _check_conditions(errors: Errors, status: Object) -> None:
    for at, condition in enumerate(items(status, "conditions")):
        if condition.get("type") == "PodScheduled" or "type" not in condition:
            continue
        label_key(errors, f"status.conditions[{at}].type", condition["type"])


def _check_qos(errors: Errors, status: Object, before: Object) -> None:
    old, new = before.get("qosClass", ""), status.get("qosClass", "")
    if old and new != old:
        errors.append(field.invalid("status.qosClass", new, "field is immutable"))


def _check_container(errors: Errors, state: Object, path: str) -> None:
    for index, resource in enumerate(items(state, "allocatedResourcesStatus")):
        if not resource.get("name"):
            errors.append(field.required(f"{path}.allocatedResourcesStatus[{index}].name"))
    current = state.get("state") or {}
    given = [name for name in _STATES if name in current]
    if len(given) > 1:
        errors.append(field.forbidden(f"{path}.state", "may not specify more than 1 container state"))


def _check_transitions(errors: Errors, new: object, old: object, path: str, *, always: bool) -> None:
    if always or not isinstance(new, list) or not isinstance(old, list | tuple):
        return
    now = {state.get("name", ""): (at, state) for at, state in enumerate(new)}
    for state in old:
        if "terminated" not in (state.get("state") or {}):
            continue
        found = now.get(state.get("name", ""))
        if found is not None and "terminated" not in (found[1].get("state") or {}):
            wrong = "may not be transitioned to non-terminated state"
            errors.append(field.forbidden(f"{path}[{found[0]}].state", wrong))


def _check_ips(errors: Errors, addresses: object, path: str, key: str) -> None:
    if not isinstance(addresses, list):
        return
    families: set[int] = set()
    for at, address in enumerate(addresses):
        text = address.get(key, "")
        wrong = names.ip(text)
        texts(errors, f"{path}[{at}]", text, wrong)
        parsed = names.parse_ip_sloppy(text)
        if isinstance(parsed, ipaddress.IPv4Address | ipaddress.IPv6Address):
            families.add(parsed.version)
    if len(addresses) > 1 and len(families) < len(addresses):
        shown = [address.get(key, "") for address in addresses]
        wrong_text = "may specify no more than one IP for each IP family"
        errors.append(field.invalid(path, shown, wrong_text))
