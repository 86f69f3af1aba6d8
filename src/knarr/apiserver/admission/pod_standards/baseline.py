"""The controls of the level `baseline`: no known way to gain privileges.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from knarr.apimachinery.types import Object
from knarr.apiserver.admission.pod_standards.violation import (
    Control,
    Violation,
    containers,
    context,
    counted,
    has_own_users,
    names_of,
    plural,
    quoted,
    setters,
    use,
)

_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)


def _gathered(spec: Object, find: Callable[[Object], set[str]]) -> tuple[list[str], set[str]]:
    """The names of the containers in which `find` finds something, and all that it finds."""
    found = [(container.get("name", ""), find(container)) for container in containers(spec)]
    return [name for name, values in found if values], set().union(*(values for _, values in found))


def capabilities(_meta: Object, spec: Object) -> Violation | None:
    """No capabilities may be added but those that containers have anyway."""

    def added(container: Object) -> set[str]:
        return set((context(container, "capabilities") or {}).get("add") or ()) - _CAPABILITIES

    bad, forbidden = _gathered(spec, added)
    if not bad:
        return None
    what = f"must not include {quoted(sorted(forbidden))} in securityContext.capabilities.add"
    return Violation("non-default capabilities", f"{counted('container', bad)} {what}")


def host_namespaces(_meta: Object, spec: Object) -> Violation | None:
    """The node's namespaces may not be shared."""
    shared = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return Violation("host namespaces", ", ".join(shared)) if shared else None


def host_path_volumes(_meta: Object, spec: Object) -> Violation | None:
    """The node's files may not be mounted."""
    bad = names_of(volume for volume in spec.get("volumes") or () if volume.get("hostPath") is not None)
    return Violation("hostPath volumes", counted("volume", bad)) if bad else None


def host_ports(_meta: Object, spec: Object) -> Violation | None:
    """The node's ports may not be taken."""

    def taken(container: Object) -> set[str]:
        return {str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")}

    bad, forbidden = _gathered(spec, taken)
    if not bad:
        return None
    what = f"{plural('hostPort', len(forbidden))} {', '.join(sorted(forbidden))}"
    return Violation("hostPort", f"{counted('container', bad)} {use(len(bad))} {what}")


def probe_hosts(_meta: Object, spec: Object) -> Violation | None:
    """Probes and lifecycle hooks may not make the node connect to elsewhere."""
    bad, forbidden = _gathered(spec, lambda container: set(_hosts(container)))
    if not bad:
        return None
    what = f"{plural('probe or lifecycle host', len(forbidden))} {quoted(sorted(forbidden))}"
    return Violation("probe or lifecycle host", f"{counted('container', sorted(set(bad)))} {use(len(set(bad)))} {what}")


def _hosts(container: Object) -> Iterator[str]:
    lifecycle = container.get("lifecycle") or {}
    handlers = [container.get(kind) for kind in ("livenessProbe", "readinessProbe", "startupProbe")]
    handlers += [lifecycle.get(kind) for kind in ("postStart", "preStop")]
    for handler in handlers:
        for action in ("httpGet", "tcpSocket"):
            host = ((handler or {}).get(action) or {}).get("host")
            if host:
                yield host


def privileged(_meta: Object, spec: Object) -> Violation | None:
    """No container may be privileged."""
    bad = names_of(container for container in containers(spec) if context(container, "privileged"))
    if not bad:
        return None
    return Violation("privileged", f"{counted('container', bad)} must not set securityContext.privileged=true")


def proc_mount(_meta: Object, spec: Object) -> Violation | None:
    """`/proc` stays masked."""
    found = [item for item in containers(spec) if context(item, "procMount") not in (None, "Default")]
    if not found:
        return None
    types = sorted({context(container, "procMount") for container in found})
    what = f"must not set securityContext.procMount to {quoted(types)}"
    return Violation("procMount", f"{counted('container', names_of(found))} {what}")


def proc_mount_of_host_users(meta: Object, spec: Object) -> Violation | None:
    """`/proc` stays masked where the pod shares the node's users."""
    return None if has_own_users(spec) else proc_mount(meta, spec)


def selinux_options(*more: str) -> Control:
    """SELinux types are those for containers; user and role are not set. `more` are types that a version added."""
    allowed = frozenset(("", "container_t", "container_init_t", "container_kvm_t", *more))

    def control(_meta: Object, spec: Object) -> Violation | None:
        holders = [holder for holder in (spec, *containers(spec)) if _selinux_parts(holder, allowed)]
        if not holders:
            return None
        parts = set().union(*(_selinux_parts(holder, allowed) for holder in holders))
        types = sorted(part.removeprefix("type=") for part in parts if part.startswith("type="))
        what = [f"{plural('type', len(types))} {quoted(types)}"] if types else []
        what += [f"{part} may not be set" for part in ("user", "role") if part in parts]
        who = setters(pod=holders[0] is spec, names=names_of(holder for holder in holders if holder is not spec))
        return Violation("seLinuxOptions", f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(what)}")

    return control


def _selinux_parts(holder: Object, allowed: frozenset[str]) -> set[str]:
    """What is wrong with the options of a pod or container: `type=…`, `user`, `role`."""
    options = context(holder, "seLinuxOptions") or {}
    kind = options.get("type") or ""
    parts = {part for part in ("user", "role") if options.get(part)}
    return parts if kind in allowed else parts | {f"type={kind}"}


def sysctls(*allowed: str) -> Control:
    """Only sysctls that are safe (`allowed`) may be set."""

    def control(_meta: Object, spec: Object) -> Violation | None:
        names = names_of(context(spec, "sysctls") or ())
        bad = [name for name in names if name not in allowed]
        return Violation("forbidden sysctls", ", ".join(bad)) if bad else None

    return control


def windows_host_process(_meta: Object, spec: Object) -> Violation | None:
    """No host processes on Windows."""

    def sets(holder: Object) -> bool:
        return bool((context(holder, "windowsOptions") or {}).get("hostProcess"))

    who = setters(pod=sets(spec), names=names_of(filter(sets, containers(spec))))
    if not who:
        return None
    return Violation("hostProcess", f"{who} must not set securityContext.windowsOptions.hostProcess=true")
