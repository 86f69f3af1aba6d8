"""Security contexts of containers and pods."""

from __future__ import annotations

import re

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, items, one_of, texts
from knarr.api.validation.go_values import internal
from knarr.api.validation.paths import check_descending
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_MAX_ID = 2**31 - 1
_SYSCTL_TEXT = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
_SYSCTL = re.compile(_SYSCTL_TEXT)
_SYSCTL_WRONG = f"must have at most 253 characters and match regex {_SYSCTL_TEXT}"
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "fs.mqueue.")
_GMSA_LIMIT = 64 * 1024
_APPARMOR_LIMIT = 4095
_NO_ESCALATION = "cannot set `allowPrivilegeEscalation` to false and"


def check_container(errors: Errors, context: Object | None, path: str, *, host_users: bool) -> None:
    """A container's `securityContext`."""
    if not context:
        return
    for name in ("runAsUser", "runAsGroup"):
        _check_id(errors, context.get(name), f"{path}.{name}")
    if "procMount" in context:
        _check_proc_mount(errors, context["procMount"], f"{path}.procMount", host_users=host_users)
    _check_seccomp(errors, context.get("seccompProfile"), f"{path}.seccompProfile")
    if context.get("allowPrivilegeEscalation") is False:
        _check_no_escalation(errors, context, path)
    _check_windows(errors, context.get("windowsOptions"), f"{path}.windowsOptions")
    _check_apparmor(errors, context.get("appArmorProfile"), f"{path}.appArmorProfile")


def _check_id(errors: Errors, value: int | None, path: str) -> None:
    if value is not None and not 0 <= value <= _MAX_ID:
        errors.append(field.invalid(path, value, f"must be between 0 and {_MAX_ID}, inclusive"))


def _check_proc_mount(errors: Errors, value: str, path: str, *, host_users: bool) -> None:
    if value == "Unmasked" and host_users:
        errors.append(field.invalid(path, value, "`hostUsers` must be false to use `Unmasked`"))
    one_of(errors, path, value, ("Default", "Unmasked"))


def _check_no_escalation(errors: Errors, context: Object, path: str) -> None:
    shown = internal("core.v1.SecurityContext", context)
    if context.get("privileged"):
        errors.append(field.invalid(path, shown, f"{_NO_ESCALATION} `privileged` to true"))
    for capability in items(context.get("capabilities") or {}, "add"):
        if capability == "CAP_SYS_ADMIN":
            errors.append(field.invalid(path, shown, f"{_NO_ESCALATION} `capabilities.Add` CAP_SYS_ADMIN"))


def _check_seccomp(errors: Errors, profile: Object | None, path: str) -> None:
    if profile is None:
        return
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        errors.append(field.required(f"{path}.type", "type is required when seccompProfile is set"))
    else:
        one_of(errors, f"{path}.type", kind, _PROFILES)
    here = f"{path}.localhostProfile"
    if kind != "Localhost":
        if local is not None:
            shown = internal("core.v1.SeccompProfile", profile)
            errors.append(field.invalid(here, shown, "can only be set when seccomp type is Localhost"))
    elif local is None:
        errors.append(field.required(here, "must be set when seccomp type is Localhost"))
    else:
        check_descending(errors, local, here)


def _check_apparmor(errors: Errors, profile: Object | None, path: str) -> None:
    if profile is None:
        return
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    here = f"{path}.localhostProfile"
    if not kind:
        errors.append(field.required(f"{path}.type", "type is required when appArmorProfile is set"))
    elif kind == "Localhost":
        _check_apparmor_local(errors, local, here)
    elif kind not in _PROFILES:
        errors.append(field.not_supported(f"{path}.type", kind, _PROFILES))
    elif local is not None:
        errors.append(field.invalid(here, local, "can only be set when AppArmor type is Localhost"))


def _check_apparmor_local(errors: Errors, local: str | None, path: str) -> None:
    if local is None or not local.strip():
        errors.append(field.required(path, "must be set when AppArmor type is Localhost"))
        return
    if local.strip() != local:
        errors.append(field.invalid(path, local, "must not be padded with whitespace"))
    if len(local.encode()) > _APPARMOR_LIMIT:
        errors.append(field.too_long(path, _APPARMOR_LIMIT))


def _check_windows(errors: Errors, options: Object | None, path: str) -> None:
    if not options:
        return
    spec_name = options.get("gmsaCredentialSpecName")
    if spec_name is not None:
        texts(errors, f"{path}.gmsaCredentialSpecName", spec_name, names.dns_subdomain(spec_name))
    spec = options.get("gmsaCredentialSpec")
    if spec is not None:
        here = f"{path}.gmsaCredentialSpec"
        if not spec:
            errors.append(field.invalid(here, spec, "gmsaCredentialSpec cannot be an empty string"))
        elif len(spec.encode()) > _GMSA_LIMIT:
            errors.append(field.invalid(here, spec, "gmsaCredentialSpec size must be under 64 KiB"))
    user = options.get("runAsUserName")
    if user is not None:
        _check_windows_user(errors, user, f"{path}.runAsUserName")


def _check_windows_user(errors: Errors, user: str, path: str) -> None:
    if not user:
        errors.append(field.invalid(path, user, "runAsUserName cannot be an empty string"))
        return
    if any(ord(char) < 32 or ord(char) == 127 for char in user):
        errors.append(field.invalid(path, user, "runAsUserName cannot contain control characters"))
    parts = user.split("\\")
    if len(parts) > 2:
        errors.append(field.invalid(path, user, "runAsUserName cannot contain more than one backslash"))
        return
    if len(parts) == 2 and not parts[0]:
        wrong = "runAsUserName's Domain doesn't match the NetBIOS nor the DNS format"
        errors.append(field.invalid(path, user, wrong))
    if not parts[-1]:
        errors.append(field.invalid(path, user, "runAsUserName's User cannot be empty"))
    elif len(parts[-1]) > 104:
        wrong = "runAsUserName's User length must not be longer than 104 characters"
        errors.append(field.invalid(path, user, wrong))


def check_pod(errors: Errors, spec: Object, path: str) -> None:
    """A pod's `securityContext`, with what it says of namespaces."""
    context = spec.get("securityContext") or {}
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        wrong = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(field.invalid(f"{path}.shareProcessNamespace", True, wrong))
    if not context:
        return
    _check_id(errors, context.get("fsGroup"), f"{path}.fsGroup")
    for name in ("runAsUser", "runAsGroup"):
        _check_id(errors, context.get(name), f"{path}.{name}")
    for at, group in enumerate(items(context, "supplementalGroups")):
        _check_id(errors, group, f"{path}.supplementalGroups[{at}]")
    _check_sysctls(errors, spec, context, f"{path}.sysctls")
    for name, known in _POD_CHOICES:
        if name in context:
            one_of(errors, f"{path}.{name}", context[name], known)
    _check_seccomp(errors, context.get("seccompProfile"), f"{path}.seccompProfile")
    _check_windows(errors, context.get("windowsOptions"), f"{path}.windowsOptions")
    _check_apparmor(errors, context.get("appArmorProfile"), f"{path}.appArmorProfile")


_POD_CHOICES = (
    ("fsGroupChangePolicy", ("Always", "OnRootMismatch")),
    ("supplementalGroupsPolicy", ("Merge", "Strict")),
    ("seLinuxChangePolicy", ("MountOption", "Recursive")),
)


def _check_sysctls(errors: Errors, spec: Object, context: Object, path: str) -> None:
    seen: set[str] = set()
    for at, sysctl in enumerate(items(context, "sysctls")):
        name, here = sysctl.get("name", ""), f"{path}[{at}].name"
        if not name:
            errors.append(field.required(here))
        elif len(name) > 253 or not _SYSCTL.fullmatch(name):
            errors.append(field.invalid(here, name, _SYSCTL_WRONG))
        elif name in seen:
            errors.append(field.duplicate(here, name))
        _check_host_sysctl(errors, spec, name, f"{path}[{at}]")
        seen.add(name)


def _check_host_sysctl(errors: Errors, spec: Object, name: str, path: str) -> None:
    plain = name.replace("/", ".")
    if spec.get("hostIPC") and (plain.startswith(_IPC_SYSCTLS) or plain == "kernel.sem"):
        errors.append(field.invalid(path, name, "sysctl not allowed with host ipc enabled"))
    if spec.get("hostNetwork") and plain.startswith("net."):
        errors.append(field.invalid(path, name, "sysctl not allowed with host net enabled"))
