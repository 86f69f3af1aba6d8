"""Security contexts in the runtime's terms.

Input: pod, container, the image's user. Output: CRI security contexts. Raises `ConfigFault`.
https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from knarr.apimachinery.types import Object
from knarr.cri.messages import NamespaceMode, Seccomp

_MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_SECCOMP = {
    "RuntimeDefault": {"profile_type": int(Seccomp.RUNTIME_DEFAULT)},
    "Unconfined": {"profile_type": int(Seccomp.UNCONFINED)},
}


class ConfigFault(ValueError):
    """Why a container's configuration cannot be made: the text of `CreateContainerConfigError`."""


def namespaces(spec: Object, target: str = "") -> dict[str, Any]:
    """Which namespaces are the node's, the pod's, or a container's own. `target`: the id of a container to join."""
    pid = NamespaceMode.CONTAINER
    if spec.get("hostPID"):
        pid = NamespaceMode.NODE
    elif spec.get("shareProcessNamespace"):
        pid = NamespaceMode.POD
    elif target:
        pid = NamespaceMode.TARGET
    return {
        "network": int(NamespaceMode.NODE if spec.get("hostNetwork") else NamespaceMode.POD),
        "pid": int(pid),
        "ipc": int(NamespaceMode.NODE if spec.get("hostIPC") else NamespaceMode.POD),
        "target_id": target if pid is NamespaceMode.TARGET else "",
    }


def sandbox_security(pod: Object) -> dict[str, Any]:
    """The `LinuxSandboxSecurityContext`."""
    spec = pod["spec"]
    own = spec.get("securityContext") or {}
    out: dict[str, Any] = {
        "namespace_options": namespaces(spec),
        "privileged": privileged(spec),
        "seccomp": _SECCOMP["RuntimeDefault"],
        "supplemental_groups": _groups(own),
    }
    if own.get("runAsUser") is not None:
        out["run_as_user"] = {"value": own["runAsUser"]}
    if own.get("runAsGroup") is not None and "run_as_user" in out:
        out["run_as_group"] = {"value": own["runAsGroup"]}
    return out


def privileged(spec: Object) -> bool:
    """Whether any container of a pod is privileged."""
    groups = ("initContainers", "containers", "ephemeralContainers")
    return any(
        bool((each.get("securityContext") or {}).get("privileged")) for key in groups for each in spec.get(key) or ()
    )


def container_security(
    pod: Object, container: Object, image: Mapping[str, Any], profiles: PurePath, target: str = ""
) -> dict[str, Any]:
    """The `LinuxContainerSecurityContext`. `image` tells its user; `profiles` is the folder of seccomp profiles."""
    of_pod, own = pod["spec"].get("securityContext") or {}, container.get("securityContext") or {}
    effective = {**{key: of_pod[key] for key in _INHERITED if of_pod.get(key) is not None}, **_set(own)}
    capabilities = effective.get("capabilities") or {}
    unmasked = effective.get("procMount") == "Unmasked"
    out: dict[str, Any] = {
        "namespace_options": namespaces(pod["spec"], target),
        "privileged": bool(effective.get("privileged")),
        "readonly_rootfs": bool(effective.get("readOnlyRootFilesystem")),
        "no_new_privs": effective.get("allowPrivilegeEscalation") is False,
        "supplemental_groups": _groups(of_pod),
        "masked_paths": [] if unmasked else list(_MASKED),
        "readonly_paths": [] if unmasked else list(_READ_ONLY),
        "seccomp": _seccomp(effective.get("seccompProfile"), profiles),
        "capabilities": {
            "add_capabilities": [_capability(name) for name in capabilities.get("add") or ()],
            "drop_capabilities": [_capability(name) for name in capabilities.get("drop") or ()],
        },
    }
    out |= _user(pod, container, effective, image)
    if effective.get("runAsGroup") is not None:
        out["run_as_group"] = {"value": effective["runAsGroup"]}
    return out


_INHERITED = ("runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile")


def _set(context: Object) -> Object:
    return {key: value for key, value in context.items() if value is not None}


def _groups(of_pod: Object) -> list[int]:
    groups = list(of_pod.get("supplementalGroups") or ())
    if of_pod.get("fsGroup") is not None:
        groups.append(of_pod["fsGroup"])
    return groups


def _capability(name: str) -> str:
    """Runtimes want the name without its prefix."""
    return name.removeprefix("CAP_")


def _seccomp(profile: Object | None, profiles: PurePath) -> dict[str, Any]:
    """Without a word, nothing is filtered, as Kubernetes has it by default."""
    kind = (profile or {}).get("type") or "Unconfined"
    if kind != "Localhost":
        return _SECCOMP[kind]
    path = profiles / str((profile or {}).get("localhostProfile", ""))
    return {"profile_type": int(Seccomp.LOCALHOST), "localhost_ref": str(path)}


def _user(pod: Object, container: Object, effective: Object, image: Mapping[str, Any]) -> dict[str, Any]:
    """The user to run as: the pod's or container's, else the image's."""
    uid = effective.get("runAsUser")
    image_uid, image_name = (image.get("uid") or {}).get("value"), image.get("username") or ""
    if effective.get("runAsNonRoot"):
        meta = pod["metadata"]
        where = f'(pod: "{meta["name"]}_{meta["namespace"]}({meta["uid"]})", container: {container["name"]})'
        _check_non_root(uid, image_uid, image_name, where)
    if uid is not None:
        return {"run_as_user": {"value": uid}}
    if image_uid is not None:
        return {"run_as_user": {"value": image_uid}}
    return {"run_as_username": image_name} if image_name else {}


def _check_non_root(uid: int | None, image_uid: int | None, image_name: str, where: str) -> None:
    if uid == 0:
        raise ConfigFault(f"container's runAsUser breaks non-root policy {where}")
    if uid is not None:
        return
    if image_uid is None and image_name:
        raise ConfigFault(
            f"container has runAsNonRoot and image has non-numeric user ({image_name}), cannot verify user is "
            f"non-root {where}"
        )
    if not image_uid:
        raise ConfigFault(f"container has runAsNonRoot and image will run as root {where}")
