"""PodSecurity: pods keep to the Pod Security Standards that their namespace is labelled with.

Source: https://kubernetes.io/docs/concepts/security/pod-security-admission/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from knarr.apimachinery.errors import invalid
from knarr.apimachinery.field import quote
from knarr.apimachinery.types import Object
from knarr.apiserver.admission.plugin import Kinds, refuse
from knarr.apiserver.admission.pod_standards.metrics import PodSecurityMetrics
from knarr.apiserver.admission.pod_standards.policy import (
    PREFIX,
    PRIVILEGED,
    LevelVersion,
    Policy,
    Settings,
    has_labels,
    of_labels,
    stricter,
)
from knarr.apiserver.admission.pod_standards.standards import violations
from knarr.apiserver.attributes import Attributes

#: Pods that are looked at when a namespace's level changes.
_MAX_PODS = 3000
_POD = ("pods", "")
_NAMESPACE = ("namespaces", "")
_TEMPLATES = frozenset(
    {
        ("podtemplates", ""),
        ("replicationcontrollers", ""),
        ("daemonsets", "apps"),
        ("deployments", "apps"),
        ("replicasets", "apps"),
        ("statefulsets", "apps"),
        ("cronjobs", "batch"),
        ("jobs", "batch"),
    }
)
#: Subresources that leave the pod's spec alone.
_HARMLESS = frozenset({"attach", "binding", "eviction", "exec", "log", "portforward", "proxy", "status"})
_CONTAINERS = ("containers", "initContainers")
_PRIVILEGED = Policy()


def _concerns(operation: str, subresource: str) -> bool:
    """Most subresources leave the pod's spec alone."""
    return operation in ("CREATE", "UPDATE") and subresource not in _HARMLESS


class PodSecurity:
    """Refuses pods (enforce), warns (warn) and notes for the audit log (audit)."""

    name = "PodSecurity"
    kinds: Kinds = _TEMPLATES | {_POD, _NAMESPACE}
    concerns = staticmethod(_concerns)

    def __init__(self, settings: Settings | None = None, metrics: PodSecurityMetrics | None = None) -> None:
        self._settings = settings or Settings()
        self._metrics = metrics or PodSecurityMetrics()

    def validate(self, attributes: Attributes) -> None:
        """Look at a pod, a workload or a namespace's labels. Raises `StatusError`."""
        if attributes.object is None or attributes.operation not in ("CREATE", "UPDATE"):
            return
        if attributes.kind_key == _POD:
            if attributes.subresource not in _HARMLESS:
                self._check_pod(attributes, attributes.object)
        elif attributes.subresource:
            return
        elif attributes.kind_key == _NAMESPACE:
            self._check_namespace(attributes, attributes.object)
        else:
            self._check_template(attributes, attributes.object)

    # pods and templates

    def _check_pod(self, attributes: Attributes, pod: Object) -> None:
        policy = self._policy(attributes)
        if policy == _PRIVILEGED:
            self._metrics.evaluated(attributes, "enforce", policy.enforce, allowed=True)
            return
        old = attributes.old_object
        if (old is not None and not _changed(old, pod)) or self._exempts(attributes, pod):
            return
        attributes.annotations[f"{PREFIX}enforce-policy"] = str(policy.enforce)
        detail = _detail(policy.enforce, pod)
        self._metrics.evaluated(attributes, "enforce", policy.enforce, allowed=not detail)
        self._note(attributes, policy, pod)
        if detail:
            raise refuse(attributes, f"violates PodSecurity {quote(str(policy.enforce))}: {detail}")
        self._warn(attributes, policy, pod)

    def _check_template(self, attributes: Attributes, obj: Object) -> None:
        policy = self._policy(attributes)
        if policy.warn.level == policy.audit.level == PRIVILEGED:
            return
        template = _template(obj)
        if template is None or self._exempts(attributes, template):
            return
        self._note(attributes, policy, template)
        self._warn(attributes, policy, template)

    def _note(self, attributes: Attributes, policy: Policy, pod: Object) -> None:
        detail = _detail(policy.audit, pod)
        if detail:
            text = f"would violate PodSecurity {quote(str(policy.audit))}: {detail}"
            attributes.annotations[f"{PREFIX}audit-violations"] = text
            self._metrics.evaluated(attributes, "audit", policy.audit, allowed=False)

    def _warn(self, attributes: Attributes, policy: Policy, pod: Object) -> None:
        detail = _detail(policy.warn, pod)
        if detail:
            attributes.warn(f"would violate PodSecurity {quote(str(policy.warn))}: {detail}")
            self._metrics.evaluated(attributes, "warn", policy.warn, allowed=False)

    def _policy(self, attributes: Attributes) -> Policy:
        namespace = attributes.reader.get("namespaces", "", "", attributes.namespace)
        labels = namespace["metadata"].get("labels") if namespace is not None else None
        policy, errors = of_labels(labels, self._settings.defaults)
        if errors:
            texts = [str(error) for error in errors]
            joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
            attributes.annotations[f"{PREFIX}error"] = f"Failed to parse policy: {joined}"
            self._metrics.failed(attributes)
        return policy

    def _exempts(self, attributes: Attributes, pod: Object) -> bool:
        settings = self._settings
        reasons = {
            "namespace": attributes.namespace in settings.namespaces,
            "user": attributes.user.name in settings.usernames,
            "runtimeClass": (pod.get("spec") or {}).get("runtimeClassName") in settings.runtime_classes,
        }
        reason = next((name for name, holds in reasons.items() if holds), "")
        if reason:
            attributes.annotations[f"{PREFIX}exempt"] = reason
            self._metrics.exempted(attributes)
        return bool(reason)

    # namespaces

    def _check_namespace(self, attributes: Attributes, namespace: Object) -> None:
        name, labels = namespace["metadata"].get("name", ""), namespace["metadata"].get("labels")
        policy, errors = of_labels(labels, self._settings.defaults)
        old = attributes.old_object
        before, earlier = of_labels(old["metadata"].get("labels") if old else None, self._settings.defaults)
        if errors and (old is None or errors != earlier):
            raise invalid("Namespace", "", name, errors)
        new = policy.enforce
        relaxed = new.minor == before.enforce.minor and not stricter(new.level, before.enforce.level)
        if old is not None and (new.level == PRIVILEGED or relaxed):
            return
        if name in self._settings.namespaces:
            if has_labels(labels) and policy not in (_PRIVILEGED, self._settings.defaults):
                attributes.warn(_ignored(name, policy, labels))
        elif old is not None:
            pods = (pod for pod in attributes.reader.list("pods", "", name) if not self._is_exempt_class(pod))
            _warn_of_pods(attributes, name, new, _prioritized(pods))

    def _is_exempt_class(self, pod: Object) -> bool:
        return pod["spec"].get("runtimeClassName") in self._settings.runtime_classes


def _template(obj: Object) -> Object | None:
    holder = obj if "template" in obj else obj.get("spec") or {}
    if "jobTemplate" in holder:
        holder = holder["jobTemplate"].get("spec") or {}
    found: Object | None = holder.get("template")
    return found


def _detail(level: LevelVersion, pod: Object) -> str:
    return ", ".join(map(str, violations(level, pod.get("metadata") or {}, pod.get("spec") or {})))


def _changed(old: Object, pod: Object) -> bool:
    """Whether an update changes what the standards look at: images, and ephemeral containers that are new."""
    before, after = old.get("spec") or {}, pod.get("spec") or {}
    if any(_images(before, kind) != _images(after, kind) for kind in _CONTAINERS):
        return True
    images = dict(_named_images(before))
    return any(images.get(name) != image for name, image in _named_images(after))


def _images(spec: Object, kind: str) -> list[str]:
    return [container.get("image", "") for container in spec.get(kind) or ()]


def _named_images(spec: Object) -> Iterator[tuple[str, str]]:
    for container in spec.get("ephemeralContainers") or ():
        yield container.get("name", ""), container.get("image", "")


# namespaces


def _ignored(namespace: str, policy: Policy, labels: Mapping[str, str]) -> str:
    modes = {"enforce": policy.enforce, "audit": policy.audit, "warn": policy.warn}
    said = [
        f"{mode}={level}"
        for mode, level in modes.items()
        if level.level != PRIVILEGED and (PREFIX + mode in labels or f"{PREFIX}{mode}-version" in labels)
    ]
    text = f"namespace {quote(namespace)} is exempt from Pod Security, and the policy"
    return f"{text} ({', '.join(said)}) will be ignored"


def _warn_of_pods(attributes: Attributes, namespace: str, level: LevelVersion, pods: Sequence[Object]) -> None:
    """Tell which pods break the new rules: the first of those that break the same ones, and how many more."""
    found: dict[str, list[str]] = {}
    for pod in pods[:_MAX_PODS]:
        reasons = ", ".join(violation.reason for violation in violations(level, pod["metadata"], pod["spec"]))
        if reasons:
            found.setdefault(reasons, []).append(pod["metadata"]["name"])
    if len(pods) > _MAX_PODS:
        text = "new PodSecurity enforce level only checked against the first"
        attributes.warn(f"{text} {_MAX_PODS} of {len(pods)} existing pods")
    if found:
        text = f"existing pods in namespace {quote(namespace)} violate the new PodSecurity enforce level"
        attributes.warn(f"{text} {quote(str(level))}")
    for text in sorted(f"{_some(names)}: {reasons}" for reasons, names in found.items()):
        attributes.warn(text)


def _some(names: list[str]) -> str:
    more = len(names) - 1
    if not more:
        return names[0]
    return f"{min(names)} (and {more} other {'pod' if more == 1 else 'pods'})"


def _prioritized(pods: Iterable[Object]) -> list[Object]:
    """One pod of each controller first: the others are like it."""
    first: list[Object] = []
    rest: list[Object] = []
    seen: set[str] = set()
    for pod in pods:
        owners = pod["metadata"].get("ownerReferences") or ()
        uid = next((owner["uid"] for owner in owners if owner.get("controller")), "")
        (rest if uid in seen else first).append(pod)
        if uid:
            seen.add(uid)
    return first + rest
