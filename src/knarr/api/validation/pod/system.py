"""What pods of an operating system may not have."""

from __future__ import annotations

from knarr.api.validation.checks import Errors, items
from knarr.api.validation.pod.context import PodContext
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_SYSTEMS = ("linux", "windows")
_NOT_WINDOWS = "cannot be set for a windows pod"
_NOT_LINUX = "windows options cannot be set for a linux pod"
_KINDS = ("containers", "initContainers", "ephemeralContainers")
_POD_FIELDS = ("appArmorProfile", "seLinuxOptions", "seccompProfile", "fsGroup", "fsGroupChangePolicy", "sysctls")
_POD_IDS = ("runAsUser", "runAsGroup", "supplementalGroups", "supplementalGroupsPolicy")
_CONTAINER_FIELDS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)


def check_os(errors: Errors, spec: Object, path: str, context: PodContext) -> None:
    """`spec.os` and what it rules out."""
    system = spec.get("os")
    if system is None:
        return
    name = system.get("name", "")
    if not name:
        errors.append(field.required(f"{path}.os.name"))
        return
    if name not in _SYSTEMS:
        errors.append(field.not_supported(f"{path}.os", name, _SYSTEMS))
    elif context.windows:
        _check_windows(errors, spec, path)
    else:
        _check_linux(errors, spec, path)


def _check_windows(errors: Errors, spec: Object, path: str) -> None:
    own = spec.get("securityContext") or {}
    for name in _POD_FIELDS[:3]:
        _forbid(errors, own, name, f"{path}.securityContext", _NOT_WINDOWS)
    for name in ("hostUsers", "hostPID", "hostIPC"):
        if spec.get(name) or (name == "hostUsers" and name in spec):
            errors.append(field.forbidden(f"{path}.{name}", _NOT_WINDOWS))
    for name in (*_POD_FIELDS[3:], "shareProcessNamespace", *_POD_IDS):
        holder = spec if name == "shareProcessNamespace" else own
        _forbid(errors, holder, name, path if holder is spec else f"{path}.securityContext", _NOT_WINDOWS)
    for kind in _KINDS:
        for at, container in enumerate(items(spec, kind)):
            given = container.get("securityContext") or {}
            for name in _CONTAINER_FIELDS:
                _forbid(errors, given, name, f"{path}.{kind}[{at}].securityContext", _NOT_WINDOWS)


def _forbid(errors: Errors, holder: Object, name: str, path: str, wrong: str) -> None:
    if holder.get(name) is not None:
        errors.append(field.forbidden(f"{path}.{name}", wrong))


def _check_linux(errors: Errors, spec: Object, path: str) -> None:
    _forbid(errors, spec.get("securityContext") or {}, "windowsOptions", f"{path}.securityContext", _NOT_LINUX)
    for kind in _KINDS:
        for at, container in enumerate(items(spec, kind)):
            given = container.get("securityContext") or {}
            _forbid(errors, given, "windowsOptions", f"{path}.{kind}[{at}].securityContext", _NOT_LINUX)


def check_host_process(errors: Errors, spec: Object, path: str) -> None:
    """Windows containers that are processes of the host: all of a pod's or none, and in the host's network."""
    pod = _host_process(spec)
    own = [
        (f"{path}.{kind}[{at}].securityContext.windowsOptions.hostProcess", _host_process(container))
        for kind in ("initContainers", "containers", "ephemeralContainers")
        for at, container in enumerate(items(spec, kind))
    ]
    for here, given in own:
        if pod is not None and given is not None and pod != given:
            shown = "true" if pod else "false"
            wrong = f"pod hostProcess value must be identical if both are specified, was {shown}"
            errors.append(field.invalid(here, given, wrong))
    count = sum(bool(pod if given is None else given) for _, given in own)
    if not count:
        return
    if count != len(own):
        wrong = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        errors.append(field.invalid(path, "", wrong))
    if not spec.get("hostNetwork"):
        wrong = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.append(field.invalid(f"{path}.hostNetwork", False, wrong))


def _host_process(holder: Object) -> bool | None:
    given: bool | None = ((holder.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
    return given
