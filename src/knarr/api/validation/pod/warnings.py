"""What a client should be told of a pod or template that is accepted.

Source of the rules: k8s.io/kubernetes/pkg/api/pod/warnings.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from knarr.api.validation import names, quantities
from knarr.api.validation.addresses import address_warnings
from knarr.api.validation.checks import items
from knarr.api.validation.pod.known import Known
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_DEPRECATED_NODE_LABELS = {
    "beta.kubernetes.io/arch": 'use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'use "node.kubernetes.io/instance-type" instead',
}
_DEPRECATED_SINCE = {
    "beta.kubernetes.io/arch": "v1.14",
    "beta.kubernetes.io/os": "v1.14",
    "failure-domain.beta.kubernetes.io/region": "v1.17",
    "failure-domain.beta.kubernetes.io/zone": "v1.17",
    "beta.kubernetes.io/instance-type": "v1.17",
}
_VOLUMES = {
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
}
_NO_SELECTOR = "a null labelSelector results in matching no pod"
_DNS_LABEL = "a DNS label is recommended"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def pod_warnings(pod: Object, old: Object | None) -> list[str]:
    """A new pod's warnings. Updates get none: people seldom make them, and they are frequent."""
    if old is not None:
        return []
    out: list[str] = []
    name = (pod.get("metadata") or {}).get("name", "")
    wrong = names.dns_label(name)
    if name and wrong:
        out.append(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior;"
            f" {_DNS_LABEL}: [{' '.join(wrong)}]"
        )
    return out + _warnings(pod.get("spec") or {}, pod.get("metadata") or {}, "")


def template_warnings(obj: Object, old: Object | None, path: str) -> list[str]:
    """The warnings of the template at `path` (`spec.template`); none when an update leaves it as it is."""
    template, before = _at(obj, path), _at(old, path) if old is not None else None
    if template is None or template == before:
        return []
    own = template.get("metadata") or {}
    return _warnings(template.get("spec") or {}, own, f"{path}.")


def _at(obj: Object | None, path: str) -> Object | None:
    found = obj
    for part in path.split("."):
        found = (found or {}).get(part)
    return found


def template_name_warnings(obj: Object, old: Object | None) -> list[str]:
    """What the object's name will do as part of pods' names."""
    name = (obj.get("metadata") or {}).get("name", "")
    wrong = names.dns_label(name) if old is None and name else ()
    if not wrong:
        return []
    return [
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior;"
        f" {_DNS_LABEL}: [{' '.join(wrong)}]"
    ]


_quiet_specs = Known()


def _warnings(spec: Object, meta: Object, path: str) -> list[str]:
    out: list[str] = []

    def check() -> bool:
        out.extend(_spec_warnings(spec, f"{path}spec"))
        return not out

    if not meta.get("annotations"):
        _quiet_specs.passes(spec, check)
        return out
    return _spec_warnings(spec, f"{path}spec", _annotation_warnings(meta, path))


def _spec_warnings(spec: Object, here: str, of_annotations: Sequence[str] = ()) -> list[str]:
    out: list[str] = []
    for key in spec.get("nodeSelector") or ():
        out += _node_label(key, f"{here}.nodeSelector[{key}]")
    out += _affinity_labels(spec, here)
    for at, constraint in enumerate(items(spec, "topologySpreadConstraints")):
        key = constraint.get("topologyKey", "")
        out += _node_label(key, f"{here}.topologySpreadConstraints[{at}].topologyKey")
        if constraint.get("labelSelector") is None:
            out.append(f"{here}.topologySpreadConstraints[{at}].labelSelector: {_NO_SELECTOR}")
    out += of_annotations
    out += _volume_warnings(items(spec, "volumes"), here)
    out += _duplicates(spec, here)
    for kind in ("initContainers", "containers"):
        for at, container in enumerate(items(spec, kind)):
            out += _container(container, f"{here}.{kind}[{at}]")
    out += _port_conflicts(spec, here)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        out.append(
            f"{here}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        )
    out += _pod_affinity(spec, here)
    return out


def _node_label(key: str, path: str) -> list[str]:
    if key not in _DEPRECATED_NODE_LABELS:
        return []
    return [f"{path}: deprecated since {_DEPRECATED_SINCE[key]}; {_DEPRECATED_NODE_LABELS[key]}"]


def _affinity_labels(spec: Object, path: str) -> list[str]:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    out: list[str] = []
    base = f"{path}.affinity.nodeAffinity"
    for at, term in enumerate(items(affinity.get(_REQUIRED) or {}, "nodeSelectorTerms")):
        for index, expression in enumerate(items(term, "matchExpressions")):
            here = f"{base}.{_REQUIRED}.nodeSelectorTerms[{at}].matchExpressions[{index}].key"
            out += _node_label(expression.get("key", ""), here)
    for at, preferred in enumerate(items(affinity, _PREFERRED)):
        for index, expression in enumerate(items(preferred.get("preference") or {}, "matchExpressions")):
            here = f"{base}.{_PREFERRED}[{at}].preference.matchExpressions[{index}].key"
            out += _node_label(expression.get("key", ""), here)
    return out


def _annotation_warnings(meta: Object, path: str) -> list[str]:
    out: list[str] = []
    for key in meta.get("annotations") or ():
        for prefix, text in _ANNOTATIONS.items():
            if key == prefix or (prefix.endswith("/") and key.startswith(prefix)):
                out.append(f"{path}metadata.annotations[{key}]: {text}")
    return out


_ANNOTATIONS = {
    "seccomp.security.alpha.kubernetes.io/pod": 'non-functional in v1.27+; use the "seccompProfile" field instead',
    "container.seccomp.security.alpha.kubernetes.io/": (
        'non-functional in v1.27+; use the "seccompProfile" field instead'
    ),
    "container.apparmor.security.beta.kubernetes.io/": (
        'deprecated since v1.30; use the "appArmorProfile" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}


def _volume_warnings(volumes: Sequence[Object], path: str) -> list[str]:
    out: list[str] = []
    for at, volume in enumerate(volumes):
        here = f"{path}.volumes[{at}]"
        for name, text in _VOLUMES.items():
            if name in volume:
                out.append(f"{here}.{name}: {text}")
        out += _path_warnings(volume)
    return out


def _path_warnings(volume: Object) -> list[str]:
    shown = f"volume {field.quote(volume.get('name', ''))}"
    for name, kind, key in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
        if name in volume:
            paths = [item.get("path", "") for item in items(volume[name], "items")]
            return _overlaps(paths, f"{shown} ({kind} {field.quote(volume[name].get(key, ''))})")
    if "downwardAPI" in volume:
        paths = [item.get("path", "") for item in items(volume["downwardAPI"], "items")]
        return _overlaps(paths, f"{shown} (DownwardAPI)")
    if "projected" in volume:
        sources = items(volume["projected"], "sources")
        if any(not source for source in sources):
            return [f"{shown} (Projected) has no sources provided"]
        return _overlaps(_projected_paths(sources), f"{shown} (Projected)")
    return []


def _projected_paths(sources: Sequence[Object]) -> list[str]:
    out: list[str] = []
    for source in sources:
        for part in source.values():
            out += [item.get("path", "") for item in items(part, "items")]
            if part.get("path"):
                out.append(part["path"])
    return out


def _overlaps(paths: Sequence[str], shown: str) -> list[str]:
    for at, path in enumerate(paths):
        for other in paths[:at]:
            inside = other == path or other.startswith(f"{path}/") or path.startswith(f"{other}/")
            if inside:
                return [f"{shown}: overlapping paths: {field.quote(path)} with {field.quote(other)}"]
    return []


def _duplicates(spec: Object, path: str) -> list[str]:
    out: list[str] = []
    seen: set[str] = set()
    for at, secret in enumerate(items(spec, "imagePullSecrets")):
        name = secret.get("name", "")
        if not name:
            out.append(f'{path}.imagePullSecrets[{at}].name: invalid empty name ""')
        elif name in seen:
            out.append(f"{path}.imagePullSecrets[{at}].name: duplicate name {field.quote(name)}")
        seen.add(name)
    for at, server in enumerate(items(spec.get("dnsConfig") or {}, "nameservers")):
        out += address_warnings(f"{path}.dnsConfig.nameservers[{at}]", server)
    addresses: set[str] = set()
    for at, alias in enumerate(items(spec, "hostAliases")):
        address = alias.get("ip", "")
        out += address_warnings(f"{path}.hostAliases[{at}].ip", address)
        if address in addresses:
            out.append(f"{path}.hostAliases[{at}].ip: duplicate ip {field.quote(address)}")
        addresses.add(address)
    return out


def _container(container: Object, path: str) -> list[str]:
    out: list[str] = []
    resources = container.get("resources") or {}
    for group in ("limits", "requests"):
        for name, text in (resources.get(group) or {}).items():
            if name in ("memory", "ephemeral-storage") and quantities.parse(text).milli() % 1000:
                wrong = f"fractional byte value {field.quote(text)} is invalid, must be an integer"
                out.append(f"{path}.resources.{group}[{name}]: {wrong}")
    seen: set[str] = set()
    for at, variable in enumerate(items(container, "env")):
        name = variable.get("name", "")
        if name in seen and not _refers_to_itself(variable):
            wrong = f"hides previous definition of {field.quote(name)}, which may be dropped when using apply"
            out.append(f"{path}.env[{at}]: {wrong}")
        seen.add(name)
    return out


def _refers_to_itself(variable: Object) -> bool:
    return f"$({variable.get('name', '')})" in variable.get("value", "")


def _port_conflicts(spec: Object, path: str) -> list[str]:
    out: list[str] = []
    seen = _Ports()
    for kind in ("containers", "initContainers"):
        for at, container in enumerate(items(spec, kind)):
            if kind == "initContainers" and container.get("restartPolicy") != "Always":
                continue
            for index, port in enumerate(items(container, "ports")):
                here = f"{path}.{kind}[{at}].ports[{index}]"
                if port.get("hostIP") and not port.get("hostPort"):
                    out.append(f"{here}: hostIP set without hostPort: {_shown(port)}")
                out += seen.conflicts(port, here, at)
    return out


def _shown(port: Object) -> str:
    return (
        f"{{Name:{port.get('name', '')} HostPort:{port.get('hostPort', 0)} ContainerPort:{port.get('containerPort', 0)}"
        f" Protocol:{port.get('protocol', '')} HostIP:{port.get('hostIP', '')}}}"
    )


class _Ports:
    """The ports seen so far, found by what a next one may conflict with: a pod may name very many."""

    def __init__(self) -> None:
        #: (container, protocol, port, host port; None: any) → (order, host port, path) of the first such one.
        self._first: dict[tuple[int, Any, Any, int | None], tuple[int, int, str]] = {}
        #: (protocol, port) → (container, order, path) of the first two containers that have it without a host port.
        self._open: dict[tuple[Any, Any], list[tuple[int, int, str]]] = {}
        self._count = 0

    def conflicts(self, port: Object, path: str, container: int) -> list[str]:
        """What is wrong with a port; it counts for the next ones."""
        host, what = port.get("hostPort", 0), (port.get("protocol"), port.get("containerPort"))
        wanted: list[int | None] = [0, host] if host else [None]
        found = [self._first[container, *what, each] for each in wanted if (container, *what, each) in self._first]
        if not host:
            others = [entry for entry in self._open.get(what, ()) if entry[0] != container]
            found += [(order, 0, where) for _, order, where in others]
        self._note(what, host, path, container)
        if not found:
            return []
        _, other, where = min(found)
        return [f"{path}: {'duplicate' if other == host else 'overlapping'} port definition with {where}"]

    def _note(self, what: tuple[Any, Any], host: int, path: str, container: int) -> None:
        entry = (self._count, host, path)
        self._count += 1
        self._first.setdefault((container, *what, None), entry)
        self._first.setdefault((container, *what, host), entry)
        known = self._open.setdefault(what, [])
        if not host and len(known) < 2 and all(one[0] != container for one in known):
            known.append((container, entry[0], path))


def _pod_affinity(spec: Object, path: str) -> list[str]:
    out: list[str] = []
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(kind) or {}
        base = f"{path}.affinity.{kind}"
        for at, term in enumerate(items(terms, _REQUIRED)):
            if term.get("labelSelector") is None:
                out.append(f"{base}.{_REQUIRED}[{at}].labelSelector: {_NO_SELECTOR}")
        for at, term in enumerate(items(terms, _PREFERRED)):
            if (term.get("podAffinityTerm") or {}).get("labelSelector") is None:
                out.append(f"{base}.{_PREFERRED}[{at}].podAffinityTerm.labelSelector: {_NO_SELECTOR}")
    return out
