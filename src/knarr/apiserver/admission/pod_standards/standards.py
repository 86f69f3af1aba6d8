"""Which controls each level of the Pod Security Standards has in each version.

Input: a level and version, a pod's metadata and spec. Output: what they forbid, in the order of messages: the controls
of `baseline` by name, then those of `restricted`.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from knarr.apimachinery.types import Object
from knarr.apiserver.admission.pod_standards import baseline, profiles, restricted
from knarr.apiserver.admission.pod_standards.policy import BASELINE, PRIVILEGED, LevelVersion
from knarr.apiserver.admission.pod_standards.violation import Control, Violation

_SYSCTLS_0 = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_syncookies",
)
_SYSCTLS_27 = (*_SYSCTLS_0, "net.ipv4.ip_local_reserved_ports")
_SYSCTLS_29 = (
    *_SYSCTLS_27,
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
)
_SYSCTLS_32 = (*_SYSCTLS_29, "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem")


class _Row(NamedTuple):
    """One control: from which minor version of 1.x on which form of it holds."""

    name: str
    forms: tuple[tuple[int, Control], ...]
    #: The control of `baseline` that this one of `restricted` takes the place of.
    instead_of: str = ""


_BASELINE = (
    _Row("appArmorProfile", ((0, profiles.apparmor),)),
    _Row("capabilities", ((0, baseline.capabilities),)),
    _Row("hostNamespaces", ((0, baseline.host_namespaces),)),
    _Row("hostPathVolumes", ((0, baseline.host_path_volumes),)),
    _Row("hostPorts", ((0, baseline.host_ports),)),
    _Row("hostProbesAndHostLifecycle", ((34, baseline.probe_hosts),)),
    _Row("privileged", ((0, baseline.privileged),)),
    _Row("procMount", ((0, baseline.proc_mount), (35, baseline.proc_mount_of_host_users))),
    _Row("seLinuxOptions", ((0, baseline.selinux_options()), (31, baseline.selinux_options("container_engine_t")))),
    _Row("seccompProfile", ((0, profiles.seccomp_annotations), (19, profiles.seccomp))),
    _Row(
        "sysctls",
        (
            (0, baseline.sysctls(*_SYSCTLS_0)),
            (27, baseline.sysctls(*_SYSCTLS_27)),
            (29, baseline.sysctls(*_SYSCTLS_29)),
            (32, baseline.sysctls(*_SYSCTLS_32)),
        ),
    ),
    _Row("windowsHostProcess", ((0, baseline.windows_host_process),)),
)
_RESTRICTED = (
    _Row(
        "allowPrivilegeEscalation",
        ((8, restricted.allow_privilege_escalation), (25, restricted.allow_privilege_escalation_on_linux)),
    ),
    _Row(
        "capabilities_restricted",
        ((22, restricted.capabilities), (25, restricted.capabilities_on_linux)),
        instead_of="capabilities",
    ),
    _Row("procMount_restricted", ((35, baseline.proc_mount),), instead_of="procMount"),
    _Row("restrictedVolumes", ((0, restricted.volumes),), instead_of="hostPathVolumes"),
    _Row("runAsNonRoot", ((0, restricted.run_as_non_root), (35, restricted.run_as_non_root_of_host_users))),
    _Row("runAsUser", ((23, restricted.run_as_user), (35, restricted.run_as_user_of_host_users))),
    _Row(
        "seccompProfile_restricted",
        ((19, profiles.seccomp_required), (25, profiles.seccomp_required_on_linux)),
        instead_of="seccompProfile",
    ),
)


def violations(policy: LevelVersion, meta: Object, spec: Object) -> list[Violation]:
    """What a level and version forbid of a pod."""
    found = (control(meta, spec) for control in controls(policy))
    return [violation for violation in found if violation is not None]


@cache
def controls(policy: LevelVersion) -> tuple[Control, ...]:
    """The controls of a level and version."""
    if policy.level == PRIVILEGED:
        return ()
    base = {row.name: form for row in _BASELINE if (form := _form(row, policy.minor)) is not None}
    if policy.level == BASELINE:
        return tuple(base.values())
    strict = {row: form for row in _RESTRICTED if (form := _form(row, policy.minor)) is not None}
    for row in strict:
        base.pop(row.instead_of, None)
    return (*base.values(), *strict.values())


def _form(row: _Row, minor: int | None) -> Control | None:
    """The form of a control in a version; None before its first."""
    forms = [form for since, form in row.forms if minor is None or since <= minor]
    return forms[-1] if forms else None
