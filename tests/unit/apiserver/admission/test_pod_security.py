"""PodSecurity: the controls of each level and version, and what the plugin makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.apiserver.admission.conftest import Write
from tests.unit.apiserver.conftest import FakeReader

from knarr.api import registry
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.admission.pod_security import PodSecurity
from knarr.apiserver.admission.pod_standards.metrics import PodSecurityMetrics
from knarr.apiserver.admission.pod_standards.policy import LevelVersion, Policy, Settings, of_labels
from knarr.apiserver.admission.pod_standards.standards import violations

_PREFIX = "pod-security.kubernetes.io/"
_SAFE: Object = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def _container(name: str = "c", **fields: Any) -> Object:
    return {"name": name, "image": "i", "securityContext": _SAFE, **fields}


def _with(**context: Any) -> Object:
    return {"containers": [_container(securityContext={**_SAFE, **context})]}


def _seen(level: str, minor: int | None, spec: Object, **annotations: str) -> list[str]:
    meta = {"annotations": {key.replace("__", "/"): value for key, value in annotations.items()}}
    return [str(violation) for violation in violations(LevelVersion(level, minor), meta, spec)]


_HOSTS = {"httpGet": {"port": 1, "host": "b"}}
_BASELINE: list[tuple[Object, str]] = [
    ({"containers": [_container()], "hostIPC": True, "hostPID": True}, "host namespaces (hostPID=true, hostIPC=true)"),
    (
        {"containers": [_container("a", ports=[{"hostPort": 80}, {"hostPort": 9}]), _container("b", ports=[])]},
        'hostPort (container "a" uses hostPorts 80, 9)',
    ),
    (
        {
            "containers": [_container("a", lifecycle={"preStop": _HOSTS})],
            "initContainers": [_container("z", startupProbe={"tcpSocket": {"host": "a"}})],
        },
        'probe or lifecycle host (containers "a", "z" use probe or lifecycle hosts "a", "b")',
    ),
    (_with(privileged=True), 'privileged (container "c" must not set securityContext.privileged=true)'),
    (_with(procMount="Unmasked"), 'procMount (container "c" must not set securityContext.procMount to "Unmasked")'),
    (
        {**_with(seLinuxOptions={"role": "r"}), "securityContext": {"seLinuxOptions": {"type": "t", "user": "u"}}},
        'seLinuxOptions (pod and container "c" set forbidden securityContext.seLinuxOptions: '
        'type "t"; user may not be set; role may not be set)',
    ),
    (
        {**_with(appArmorProfile={"type": "Unconfined"}), "securityContext": {"appArmorProfile": {"type": "x"}}},
        'forbidden AppArmor profiles (pod and container "c" must not set AppArmor profile type to "Unconfined", "x")',
    ),
    (
        {**_with(), "securityContext": {"windowsOptions": {"hostProcess": True}}},
        "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
    ),
    ({**_with(), "securityContext": {"sysctls": [{"name": "a"}, {"name": "b"}]}}, "forbidden sysctls (a, b)"),
]


@pytest.mark.parametrize(("spec", "text"), _BASELINE)
@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_both_levels_forbid_known_ways_to_privileges(level: str, spec: Object, text: str) -> None:
    assert _seen(level, None, spec) == [text]
    assert _seen("privileged", None, spec) == []


_RESTRICTED: list[tuple[Object, str]] = [
    (
        {**_with(), "volumes": [{"name": "b", "nfs": {}}, {"name": "a", "hostPath": {}}, {"name": "i", "image": {}}]},
        'restricted volume types (volumes "b", "a" use restricted volume types "hostPath", "nfs")',
    ),
    (
        {"containers": [_container("a", securityContext={**_SAFE, "capabilities": {"add": ["B", "A"]}})]},
        'unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]; '
        'container "a" must not include "A", "B" in securityContext.capabilities.add)',
    ),
    (
        {**_with(runAsNonRoot=False), "securityContext": {"runAsNonRoot": False}},
        'runAsNonRoot != true (pod and container "c" must not set securityContext.runAsNonRoot=false)',
    ),
    ({**_with(), "securityContext": {"runAsUser": 0}}, "runAsUser=0 (pod must not set runAsUser=0)"),
    (
        {**_with(seccompProfile=None), "securityContext": {"seccompProfile": {"type": "Unconfined"}}},
        'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ),
]


@pytest.mark.parametrize(("spec", "text"), _RESTRICTED)
def test_restricted_demands_hardening(spec: Object, text: str) -> None:
    assert _seen("restricted", None, spec) == [text]


_VERSIONS: list[tuple[str, Object, int]] = [
    ("restricted", {"containers": [{"name": "c", "securityContext": {"runAsNonRoot": True}}]}, 8),
    ("restricted", {"containers": [_container(securityContext={**_SAFE, "runAsUser": 0})]}, 23),
    ("baseline", {"containers": [_container(livenessProbe=_HOSTS)]}, 34),
]


@pytest.mark.parametrize(("level", "spec", "since"), _VERSIONS)
def test_a_control_holds_from_its_version_on(level: str, spec: Object, since: int) -> None:
    assert _seen(level, since - 1, spec) == []
    assert len(_seen(level, since, spec)) == 1
    assert _seen(level, None, spec)
    assert _seen(level, 99, spec) == _seen(level, None, spec)


_RELAXED: list[tuple[str, Object, int]] = [
    ("baseline", {"securityContext": {"sysctls": [{"name": "net.ipv4.ip_local_reserved_ports"}]}}, 27),
    ("baseline", {"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_fin_timeout"}]}}, 29),
    ("baseline", {"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}}, 32),
    ("baseline", {"securityContext": {"seLinuxOptions": {"type": "container_engine_t"}}}, 31),
    ("baseline", {**_with(procMount="Unmasked"), "hostUsers": False}, 35),
    ("restricted", {**_with(runAsNonRoot=None, runAsUser=0), "hostUsers": False}, 35),
    ("restricted", {"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": True}, "containers": [{}]}, 25),
]


@pytest.mark.parametrize(("level", "spec", "since"), _RELAXED)
def test_a_version_may_allow_more(level: str, spec: Object, since: int) -> None:
    assert _seen(level, since - 1, spec)
    assert _seen(level, since, spec) == []


def test_old_versions_look_at_seccomp_annotations() -> None:
    marked = {"seccomp.security.alpha.kubernetes.io__pod": "unconfined"}
    text = 'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")'
    assert _seen("baseline", 18, _with(), **marked) == [text]
    assert _seen("baseline", 19, _with(), **marked) == []


def test_capabilities_count_once_in_restricted() -> None:
    spec = {"containers": [_container(securityContext={**_SAFE, "capabilities": {"drop": ["ALL"], "add": ["X"]}})]}
    assert len(_seen("restricted", 21, spec)) == len(_seen("restricted", 22, spec)) == 1
    assert _seen("restricted", 21, spec)[0].startswith("non-default capabilities")
    assert _seen("restricted", 22, spec)[0].startswith("unrestricted capabilities")


def test_labels_make_a_policy() -> None:
    policy, errors = of_labels({f"{_PREFIX}enforce": "baseline", f"{_PREFIX}enforce-version": "v1.24"}, Policy())
    assert policy == Policy(LevelVersion("baseline", 24), LevelVersion(), LevelVersion("baseline", 24))
    assert not errors
    policy, errors = of_labels(
        {f"{_PREFIX}enforce": "x", f"{_PREFIX}warn": "y", f"{_PREFIX}audit-version": "1.24"}, Policy()
    )
    assert policy == Policy(LevelVersion("restricted"), LevelVersion(), LevelVersion())
    assert [str(error) for error in errors] == [
        f'metadata.labels[{_PREFIX}enforce]: Invalid value: "x": must be one of privileged, baseline, restricted',
        f'metadata.labels[{_PREFIX}audit-version]: Invalid value: "1.24": must be "latest" or "v1.x"',
        f'metadata.labels[{_PREFIX}warn]: Invalid value: "y": must be one of privileged, baseline, restricted',
    ]


# the plugin


def _label(reader: FakeReader, **labels: str) -> Object:
    named = {_PREFIX + key.replace("_", "-"): value for key, value in labels.items()}
    return reader.add("namespaces", {"metadata": {"name": "n", "labels": named}})


def _pod(name: str = "p", image: str = "i", **meta: Any) -> Object:
    spec = {"containers": [{"name": "c", "image": image}], "hostNetwork": True}
    return {"metadata": {"name": name, "namespace": "n", **meta}, "spec": spec}


def test_audit_notes_what_enforce_lets_pass(reader: FakeReader, write: Write) -> None:
    _label(reader, audit="baseline")
    one = write(_pod())
    PodSecurity().validate(one)
    assert one.options["warnings"] == []
    assert one.annotations == {
        f"{_PREFIX}enforce-policy": "privileged:latest",
        f"{_PREFIX}audit-violations": 'would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
    }


def test_an_update_counts_only_when_it_changes_what_runs(reader: FakeReader, write: Write) -> None:
    _label(reader, enforce="baseline")
    PodSecurity().validate(write(_pod(labels={"a": "b"}), old=_pod()))
    PodSecurity().validate(write(_pod(image="j"), old=_pod(), sub="status"))
    with pytest.raises(StatusError, match="violates PodSecurity"):
        PodSecurity().validate(write(_pod(image="j"), old=_pod()))


def test_templates_are_only_warned_of(reader: FakeReader, write: Write) -> None:
    _label(reader, enforce="baseline")
    template = {"spec": _pod()["spec"]}
    job = {"metadata": {"name": "j"}, "spec": {"jobTemplate": {"spec": {"template": template}}}}
    for obj, resource in (
        (job, registry.CRONJOBS),
        ({"metadata": {"name": "t"}, "template": template}, registry.PODTEMPLATES),
    ):
        one = write(obj, resource)
        PodSecurity().validate(one)
        assert one.options["warnings"] == [
            'would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'
        ]


def test_a_namespace_needs_valid_labels_and_tells_of_pods_that_break_new_ones(reader: FakeReader, write: Write) -> None:
    old: Object = {"metadata": {"name": "n"}}
    for name in ("b", "a", "c"):
        reader.add("pods", _pod(name))
    new = {"metadata": {"name": "n", "labels": {f"{_PREFIX}enforce": "baseline"}}}
    one = write(new, registry.NAMESPACES, old)
    PodSecurity().validate(one)
    assert one.options["warnings"] == [
        'existing pods in namespace "n" violate the new PodSecurity enforce level "baseline:latest"',
        "a (and 2 other pods): host namespaces",
    ]
    unchanged = write(new, registry.NAMESPACES, new)
    PodSecurity().validate(unchanged)
    assert unchanged.options["warnings"] == []
    with pytest.raises(StatusError) as caught:
        bad = {"metadata": {"name": "n", "labels": {f"{_PREFIX}enforce": "no"}}}
        PodSecurity().validate(write(bad, registry.NAMESPACES, old))
    assert caught.value.code == 422


def test_defaults_hold_without_labels_and_labels_come_before_them() -> None:
    strict = Policy(LevelVersion("baseline"), warn=LevelVersion("restricted"))
    assert of_labels({"a": "b"}, strict) == (strict, [])
    policy, _ = of_labels({f"{_PREFIX}enforce": "privileged"}, strict)
    assert policy == Policy(LevelVersion(), warn=LevelVersion("restricted"))


def test_who_is_exempt_may_do_anything(reader: FakeReader, write: Write) -> None:
    _label(reader, enforce="restricted")
    for settings, reason in (
        (Settings(usernames=frozenset({"u"})), "user"),
        (Settings(namespaces=frozenset({"n"})), "namespace"),
        (Settings(runtime_classes=frozenset({"kata"})), "runtimeClass"),
    ):
        pod = _pod()
        pod["spec"]["runtimeClassName"] = "kata"
        one = write(pod)
        PodSecurity(settings).validate(one)
        assert one.annotations == {f"{_PREFIX}exempt": reason}
    namespace = {"metadata": {"name": "n", "labels": {f"{_PREFIX}enforce": "baseline"}}}
    one = write(namespace, registry.NAMESPACES)
    PodSecurity(Settings(namespaces=frozenset({"n"}))).validate(one)
    text = 'namespace "n" is exempt from Pod Security, and the policy (enforce=baseline:latest) will be ignored'
    assert one.options["warnings"] == [text]


def test_decisions_are_counted(reader: FakeReader, write: Write) -> None:
    _label(reader, enforce="baseline", warn="restricted", warn_version="v1.99")
    metrics = PodSecurityMetrics()
    plugin = PodSecurity(Settings(runtime_classes=frozenset({"kata"})), metrics)
    good, bad, exempt = _pod(), _pod(), _pod()
    good["spec"]["hostNetwork"] = False
    exempt["spec"]["runtimeClassName"] = "kata"
    plugin.validate(write(good))
    plugin.validate(write(exempt))
    with pytest.raises(StatusError):
        plugin.validate(write(bad))
    request = ("create", "pod", "")
    assert metrics.evaluations.values == {
        ("allow", "enforce", "baseline", "latest", *request): 1,
        ("deny", "enforce", "baseline", "latest", *request): 1,
        ("deny", "warn", "restricted", "future", *request): 1,
    }
    assert metrics.exemptions.values == {request: 1}
