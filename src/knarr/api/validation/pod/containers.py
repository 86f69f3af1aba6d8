"""Containers, init containers and ephemeral containers of a pod or template."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, items, texts
from knarr.api.validation.pod import mounts, probes, resources, security
from knarr.api.validation.pod.context import PodContext
from knarr.api.validation.pod.env import check_env, check_env_from
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_NOT_INIT = "may not be set for init containers without restartPolicy=Always"
_NOT_EPHEMERAL = "cannot be set for an Ephemeral Container"
#: What an ephemeral container may have.
_EPHEMERAL_FIELDS = frozenset(
    {
        "name",
        "image",
        "command",
        "args",
        "workingDir",
        "envFrom",
        "env",
        "volumeMounts",
        "volumeDevices",
        "terminationMessagePath",
        "terminationMessagePolicy",
        "imagePullPolicy",
        "securityContext",
        "stdin",
        "stdinOnce",
        "tty",
        "targetContainerName",
    }
)


def check_containers(errors: Errors, spec: Object, path: str, context: PodContext) -> None:
    """A pod's regular containers."""
    containers = items(spec, "containers")
    if not containers:
        errors.append(field.required(path))
        return
    seen: set[str] = set()
    for at, container in enumerate(containers):
        here = f"{path}[{at}]"
        _check_common(errors, container, here, context)
        _check_unique(errors, container, here, seen)
        if "lifecycle" in container:
            probes.check_lifecycle(errors, container["lifecycle"], f"{here}.lifecycle", context.grace)
        probes.check_probes(errors, container, here, context.grace)
        _check_restart(errors, container, here)
    check_host_ports(errors, containers, path)


def check_init_containers(errors: Errors, spec: Object, path: str, context: PodContext) -> None:
    """A pod's init containers; those that restart always are sidecars and may have probes and hooks."""
    containers = items(spec, "initContainers")
    seen = {container.get("name", "") for container in items(spec, "containers")}
    for at, container in enumerate(containers):
        here = f"{path}[{at}]"
        _check_common(errors, container, here, context)
        _check_restart(errors, container, here)
        _check_unique(errors, container, here, seen)
        if container.get("restartPolicy") == "Always":
            if "lifecycle" in container:
                probes.check_lifecycle(errors, container["lifecycle"], f"{here}.lifecycle", context.grace)
            probes.check_probes(errors, container, here, context.grace)
        else:
            for name in ("lifecycle", *probes.PROBES):
                if name in container:
                    errors.append(field.forbidden(f"{here}.{name}", _NOT_INIT))
        if items(container, "ports"):
            check_host_ports(errors, [container], path)


def check_ephemeral_containers(errors: Errors, spec: Object, path: str, context: PodContext) -> None:
    """A pod's ephemeral containers."""
    regular = [c.get("name", "") for kind in ("containers", "initContainers") for c in items(spec, kind)]
    seen = set(regular)
    for at, container in enumerate(items(spec, "ephemeralContainers")):
        here = f"{path}[{at}]"
        _check_common(errors, container, here, context)
        _check_unique(errors, container, here, seen)
        target = container.get("targetContainerName", "")
        if target and target not in regular:
            errors.append(field.not_found(f"{here}.targetContainerName", target))
        for name, value in container.items():
            if name not in _EPHEMERAL_FIELDS and value not in ({}, []):
                errors.append(field.forbidden(f"{here}.{name}", _NOT_EPHEMERAL))
        for index, mount in enumerate(items(container, "volumeMounts")):
            for name in ("subPath", "subPathExpr"):
                if mount.get(name):
                    wrong = "cannot be set for an Ephemeral Container"
                    errors.append(field.forbidden(f"{here}.volumeMounts[{index}].{name}", wrong))


def _check_unique(errors: Errors, container: Object, path: str, seen: set[str]) -> None:
    name = container.get("name", "")
    if name and name in seen:
        errors.append(field.duplicate(f"{path}.name", name))
    seen.add(name)


def _check_common(errors: Errors, container: Object, path: str, context: PodContext) -> None:
    name = container.get("name", "")
    if not name:
        errors.append(field.required(f"{path}.name"))
    else:
        wrong = names.dns_label(name)
        if wrong:
            texts(errors, f"{path}.name", name, wrong)
    if not container.get("image", "").strip():
        errors.append(field.required(f"{path}.image"))
    _check_message_policy(errors, container, path)
    if "ports" in container:
        check_ports(errors, items(container, "ports"), f"{path}.ports")
    if "env" in container:
        check_env(errors, items(container, "env"), f"{path}.env")
    if "envFrom" in container:
        check_env_from(errors, items(container, "envFrom"), f"{path}.envFrom")
    _check_storage(errors, container, path, context)
    _check_pull_policy(errors, container.get("imagePullPolicy", ""), f"{path}.imagePullPolicy")
    resources.check_requirements(errors, container.get("resources"), f"{path}.resources", context.claims)
    if "resizePolicy" in container:
        policies = items(container, "resizePolicy")
        resources.check_resize_policy(errors, policies, f"{path}.resizePolicy", context.restart_policy)
    given = container.get("securityContext")
    security.check_container(errors, given, f"{path}.securityContext", host_users=context.host_users)


def _check_message_policy(errors: Errors, container: Object, path: str) -> None:
    policy = container.get("terminationMessagePolicy", "")
    if not policy:
        errors.append(field.required(f"{path}.terminationMessagePolicy"))
    elif policy not in _MESSAGE_POLICIES:
        errors.append(field.not_supported(f"{path}.terminationMessagePolicy", policy, _MESSAGE_POLICIES))


def _check_storage(errors: Errors, container: Object, path: str, context: PodContext) -> None:
    if "volumeMounts" in container:
        mounts.check_mounts(errors, container, f"{path}.volumeMounts", context.volumes)
    if "volumeDevices" in container:
        mounts.check_devices(errors, container, f"{path}.volumeDevices", context.volumes)


def _check_pull_policy(errors: Errors, policy: str, path: str) -> None:
    if not policy:
        errors.append(field.required(path))
    elif policy not in _PULL_POLICIES:
        errors.append(field.not_supported(path, policy, _PULL_POLICIES))


def _check_restart(errors: Errors, container: Object, path: str) -> None:
    policy = container.get("restartPolicy")
    if policy is not None and policy not in _RESTART_POLICIES:
        errors.append(field.not_supported(f"{path}.restartPolicy", policy, _RESTART_POLICIES))
    rules = items(container, "restartPolicyRules")
    if not rules:
        return
    here = f"{path}.restartPolicyRules"
    if policy is None:
        errors.append(field.required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used"))
    if len(rules) > 20:
        errors.append(field.too_long(here, 20))
    for at, rule in enumerate(rules):
        _check_restart_rule(errors, rule, f"{here}[{at}]")


def _check_restart_rule(errors: Errors, rule: Object, path: str) -> None:
    action = rule.get("action", "")
    if action not in ("Restart", "RestartAllContainers"):
        errors.append(field.not_supported(f"{path}.action", action, ("Restart",)))
    codes = rule.get("exitCodes")
    if codes is None:
        errors.append(field.required(f"{path}.exitCodes", "must be specified"))
        return
    operator = codes.get("operator", "")
    if operator not in ("In", "NotIn"):
        errors.append(field.not_supported(f"{path}.exitCodes.operator", operator, ("In", "NotIn")))
    if len(items(codes, "values")) > 255:
        errors.append(field.too_long(f"{path}.exitCodes.values", 255))


def check_ports(errors: Errors, ports: Sequence[Object], path: str) -> None:
    """A container's `ports`."""
    seen: set[str] = set()
    for at, port in enumerate(ports):
        name = port.get("name", "")
        if name:
            wrong = names.port_name(name)
            if wrong:
                texts(errors, f"{path}[{at}].name", name, wrong)
            elif name in seen:
                errors.append(field.duplicate(f"{path}[{at}].name", name))
            seen.add(name)
        number = port.get("containerPort", 0)
        if number == 0:
            errors.append(field.required(f"{path}[{at}].containerPort"))
        elif not 0 < number < 65536:
            texts(errors, f"{path}[{at}].containerPort", number, names.port_number(number))
        host = port.get("hostPort", 0)
        if host and not 0 < host < 65536:
            texts(errors, f"{path}[{at}].hostPort", host, names.port_number(host))
        protocol = port.get("protocol", "")
        if not protocol:
            errors.append(field.required(f"{path}[{at}].protocol"))
        elif protocol not in _PROTOCOLS:
            errors.append(field.not_supported(f"{path}[{at}].protocol", protocol, _PROTOCOLS))


def check_host_ports(errors: Errors, containers: Sequence[Object], path: str) -> None:
    """Ports of the node may be taken once."""
    seen: set[str] = set()
    for at, container in enumerate(containers):
        for index, port in enumerate(items(container, "ports")):
            host = port.get("hostPort", 0)
            if not host:
                continue
            key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{host}"
            if key in seen:
                errors.append(field.duplicate(f"{path}[{at}].ports[{index}].hostPort", key))
            seen.add(key)
