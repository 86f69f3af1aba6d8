"""What holds for all pods: quotas are never overdrawn, and a stricter level allows nothing that a laxer one forbids."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.apiserver.conftest import FakeReader

from knarr.api import registry
from knarr.api.semantics.quota_usage import pod_usage
from knarr.api.semantics.resource_lists import Resources, added, beyond, only, parsed
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.admission import resource_quota
from knarr.apiserver.admission.pod_standards.policy import LevelVersion
from knarr.apiserver.admission.pod_standards.standards import violations
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.request import UserInfo

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_HARD = {"pods": "6", "requests.cpu": "2", "limits.memory": "1Gi"}

_container = st.builds(
    lambda cpu, memory: {
        "name": "c",
        "resources": {"requests": {"cpu": f"{cpu}m"}, "limits": {"memory": f"{memory}Mi"}},
    },
    st.integers(0, 1500),
    st.integers(0, 700),
)
_pods = st.builds(
    lambda containers, steps: {"metadata": {"name": "p"}, "spec": {"containers": containers, "initContainers": steps}},
    st.lists(_container, min_size=1, max_size=3),
    st.lists(_container, max_size=2),
)


@given(st.lists(_pods, max_size=12))
def test_what_is_charged_is_the_sum_of_what_passes_and_within_the_limits(pods: list[Object]) -> None:
    quota: Object = {"metadata": {"name": "q"}, "spec": {"hard": _HARD}, "status": {"hard": _HARD}}
    used: dict[str, Resources] = {"q": parsed(dict.fromkeys(_HARD, "0"))}
    quota["status"]["used"] = dict.fromkeys(_HARD, "0")
    passed: list[Object] = []
    for pod in pods:
        write = Attributes("CREATE", registry.PODS, "", "n", "p", pod, None, UserInfo("u"), FakeReader())
        before = used["q"]
        try:
            used |= resource_quota.charge(write, [quota], used, _NOW)
        except StatusError:
            assert beyond(added(before, only(pod_usage(pod, _NOW), _HARD)), parsed(_HARD))
            assert used["q"] is before
        else:
            passed.append(pod)
    assert not beyond(used["q"], parsed(_HARD))
    total: Resources = reduce(added, (pod_usage(pod, _NOW) for pod in passed), parsed(dict.fromkeys(_HARD, "0")))
    assert only(total, _HARD) == used["q"]


def _maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries({}, optional=fields)


_profile = _maybe(type=st.sampled_from(["RuntimeDefault", "Localhost", "Unconfined"]))
_shared = {
    "seccompProfile": _profile,
    "appArmorProfile": _profile,
    "runAsNonRoot": st.booleans(),
    "runAsUser": st.sampled_from([0, 1]),
    "seLinuxOptions": _maybe(type=st.sampled_from(["container_t", "other"]), user=st.just("u")),
}
_names = st.lists(st.sampled_from(["ALL", "CHOWN", "NET_ADMIN", "NET_BIND_SERVICE"]), max_size=2)
_context = _maybe(
    **_shared,
    privileged=st.booleans(),
    allowPrivilegeEscalation=st.booleans(),
    procMount=st.sampled_from(["Default", "Unmasked"]),
    capabilities=_maybe(add=_names, drop=_names),
)
_item = _maybe(securityContext=_context, ports=st.just([{"containerPort": 1, "hostPort": 1}]))
_spec = _maybe(
    containers=st.lists(_item, max_size=2),
    initContainers=st.lists(_item, max_size=1),
    ephemeralContainers=st.lists(_item, max_size=1),
    securityContext=_maybe(**_shared),
    hostNetwork=st.booleans(),
    hostUsers=st.booleans(),
    volumes=st.lists(st.sampled_from([{"name": "a", "hostPath": {}}, {"name": "b", "emptyDir": {}}]), max_size=2),
)


@given(_spec, st.one_of(st.none(), st.integers(0, 40)))
def test_what_restricted_allows_baseline_allows_and_privileged_allows_all(spec: Object, minor: int | None) -> None:
    strict, base, free = (
        violations(LevelVersion(level, minor), {}, spec) for level in ("restricted", "baseline", "privileged")
    )
    assert strict or not base
    assert not free
    assert all(violation.reason and violation.detail for violation in (*strict, *base))
