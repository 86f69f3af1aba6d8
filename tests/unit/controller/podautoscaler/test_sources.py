"""Answers of metrics APIs, which other servers give: whatever they say, there is a proposal or a reason for none."""

from __future__ import annotations

import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.api import FakeApi, FakeInformers

from knarr.api.registry import CUSTOMRESOURCEDEFINITIONS
from knarr.apimachinery.types import Object
from knarr.component_base.clock import FakeClock
from knarr.controller.podautoscaler import sources
from knarr.controller.podautoscaler.calculating import Scaled
from knarr.controller.podautoscaler.proposing import Proposing, Unusable
from knarr.controller.podautoscaler.settings import Settings, Tolerances
from knarr.controller.podautoscaler.sources import Sources
from knarr.controller_runtime.changes import Attempt, Lookup

ABOUT = {"apiVersion": "v1", "kind": "Service", "name": "s"}
CPU = {"name": "cpu", "target": {"averageValue": "1"}}
METRICS: list[Object] = [
    {"type": "Resource", "resource": CPU},
    {"type": "ContainerResource", "containerResource": {**CPU, "container": "c"}},
    {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"averageValue": "1"}}},
    {
        "type": "Object",
        "object": {"metric": {"name": "m"}, "describedObject": ABOUT, "target": {"type": "Value", "value": "1"}},
    },
    {"type": "External", "external": {"metric": {"name": "m"}, "target": {"averageValue": "1"}}},
]
Scalar = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=3), st.sampled_from(["1", "5m", "15s"])
)
Json = st.recursive(Scalar, lambda inner: st.lists(inner, max_size=2), max_leaves=3)
_KEYS = ("metadata", "timestamp", "window", "containers", "value", "describedObject", "windowSeconds")
Item = st.dictionaries(st.sampled_from(_KEYS), st.one_of(Json, st.dictionaries(st.sampled_from(["name"]), Json)))
Answer = st.one_of(Json, st.fixed_dictionaries({"items": st.one_of(Json, st.lists(Item, max_size=2))}))
Groups = st.one_of(
    st.just({"versions": [{"version": "v1beta2"}]}), st.fixed_dictionaries({"versions": st.one_of(Json, st.none())})
)


def pod() -> Object:
    return {"metadata": {"name": "p"}, "spec": {"containers": []}, "status": {"phase": "Running"}}


class Everything(dict[Lookup, Any]):
    """Answers whatever is asked for."""

    def __init__(self, groups: Object, answer: Object) -> None:
        super().__init__()
        self.groups, self.answer = groups, answer

    def get(self, key: Lookup, default: Any = None) -> Any:
        return self.groups if key == Attempt(f"/apis/{sources.CUSTOM}") else self.answer


@settings(max_examples=300)
@given(st.sampled_from(METRICS), Groups, Answer)
def test_any_answer_gives_a_proposal_or_a_reason(metric: Object, groups: Object, answer: Object) -> None:
    informers = FakeInformers(FakeApi(FakeClock()))
    informers.add(CUSTOMRESOURCEDEFINITIONS)
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    scaled = Scaled([pod()], 1, 1, Tolerances(0.1, 0.1), Settings(), now)
    found = Sources("default", "a=b", informers, Everything(groups, answer))
    assert found.lookups(metric)
    try:
        proposed = Proposing(scaled, found).propose(metric)
    except Unusable as error:
        assert error.reason.startswith("Failed") and str(error) and str(error) in error.told
    else:
        assert isinstance(proposed.replicas, int)


def test_selectors_are_shown_as_go_shows_them() -> None:
    assert sources.described({"name": "m"}) == "nil"
    selector = {
        "matchLabels": {"b": "1", "a": "2"},
        "matchExpressions": [{"key": "k", "operator": "In", "values": ["x", "y"]}],
    }
    assert sources.described({"selector": selector}) == (
        "&LabelSelector{MatchLabels:map[string]string{a: 2,b: 1,},MatchExpressions:[]LabelSelectorRequirement{"
        "LabelSelectorRequirement{Key:k,Operator:In,Values:[x y],},},}"
    )
