from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from knarr.simulation import default_stages, paths, stages
from knarr.simulation.stages import API_VERSION, Next, NodeState, PodState, Stage

FAILS = f"""
apiVersion: {API_VERSION}
kind: Stage
metadata: {{name: pod-fails}}
spec:
  resourceRef: {{kind: Pod}}
  selector:
    matchLabels: {{app: shaky}}
    matchExpressions:
    - {{key: ".status.conditions[type=Ready].status", operator: In, values: ["True"]}}
    - {{key: .metadata.deletionTimestamp, operator: DoesNotExist}}
  weight: 3
  delay: {{durationMilliseconds: 1000, jitterDurationMilliseconds: 5000}}
  next:
    event: {{type: Warning, reason: Failed, message: it broke}}
    pod: {{phase: Failed, exitCode: 2, reason: Broken}}
"""


def pod(**parts: Any) -> dict[str, Any]:
    meta = {"name": "p", "namespace": "n", "uid": "u", **parts.pop("metadata", {})}
    return {"metadata": meta, "spec": {"containers": [{"name": "c", "image": "i"}]}, "status": {}, **parts}


def ready(value: str) -> dict[str, Any]:
    return {"phase": "Running", "conditions": [{"type": "Ready", "status": value}]}


def test_a_stage_is_read_and_selects() -> None:
    (stage,) = stages.load(yaml.safe_load_all(FAILS))
    assert stage.next.pod == PodState("Failed", ready=False, exit_code=2, reason="Broken")
    assert (stage.weight, stage.delay, stage.longest) == (3, 1.0, 5.0)
    labelled = {"labels": {"app": "shaky"}}
    assert stage.selects(pod(metadata=labelled, status=ready("True")))
    assert not stage.selects(pod(metadata=labelled, status=ready("False")))
    assert not stage.selects(pod(status=ready("True")))
    assert not stage.selects(pod(metadata={**labelled, "deletionTimestamp": "t"}, status=ready("True")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "Stages"}, "expected apiVersion"),
        ({"metadata": {}}, ".metadata.name: is missing"),
        ({"spec": {"resourceRef": {"kind": "Job"}}}, ".spec.resourceRef.kind: 'Job' is none of Node, Pod"),
        ({"spec": {"resourceRef": {"kind": "Pod"}, "next": {}}}, ".spec.next: says nothing"),
        ({"spec": {"resourceRef": {"kind": "Pod"}, "next": {"node": {"ready": True}}}}, "only for a stage of a Node"),
        ({"spec": {"resourceRef": {"kind": "Pod"}, "next": {"delete": 1}}}, ".spec.next.delete: expected bool, got 1"),
        ({"spec": {"resourceRef": {"kind": "Pod"}, "next": {"delete": True}, "wait": 1}}, ".spec.wait: unknown field"),
        ({"spec": {"resourceRef": {"kind": "Pod"}, "next": {"delete": True}, "weight": -1}}, "must not be negative"),
    ],
)
def test_what_is_wrong_with_a_stage_is_said(change: dict[str, Any], message: str) -> None:
    document = {"apiVersion": API_VERSION, "kind": "Stage", "metadata": {"name": "x"}, **change}
    with pytest.raises(ValueError, match="document 1: ") as raised:
        stages.load([document])
    assert message in str(raised.value)


def test_an_empty_file_is_no_file_of_stages() -> None:
    with pytest.raises(ValueError, match="no stage in it"):
        stages.load([None])


def test_paths_lead_into_lists() -> None:
    obj = {"metadata": {"ownerReferences": [{"kind": "Job"}, {"kind": "Pod"}], "labels": {"a.b/c": "d"}}}
    assert list(paths.values(obj, paths.parse(".metadata.ownerReferences[].kind"))) == ["Job", "Pod"]
    assert list(paths.values(obj, paths.parse(".metadata.ownerReferences[kind=Pod].kind"))) == ["Pod"]
    assert list(paths.values(obj, paths.parse('.metadata.labels."a.b/c"'))) == ["d"]
    assert list(paths.values(obj, paths.parse(".metadata.labels.kind.x"))) == []


@given(st.text(max_size=30))
def test_any_text_is_a_path_or_an_error(text: str) -> None:
    try:
        steps = paths.parse(text)
    except ValueError:
        return
    assert steps
    assert list(paths.values({}, steps)) == []


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.text(max_size=5))
def test_a_choice_hangs_on_seed_and_object_alone(weights: list[int], seed: str) -> None:
    several = [Stage(f"s{i}", "Pod", Next(delete=True), weight=w, longest=9.0) for i, w in enumerate(weights)]
    chosen = stages.choose(several, pod(), seed)
    assert chosen == stages.choose(several, pod(), seed)
    assert chosen is not None
    assert chosen[0].weight or not any(weights)
    assert 0 <= chosen[1] < 9.0


def test_weights_are_shares() -> None:
    several = [Stage("rare", "Pod", Next(delete=True)), Stage("usual", "Pod", Next(delete=True), weight=9)]
    drawn = [stages.choose(several, pod(metadata={"uid": str(i)}), "") for i in range(2000)]
    rare = sum(choice is not None and choice[0].name == "rare" for choice in drawn)
    assert 140 < rare < 260


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (pod(status={"phase": "Pending"}), "pod-running"),
        (pod(status=ready("True")), None),
        (pod(metadata={"ownerReferences": [{"kind": "Job"}]}, status=ready("True")), "pod-complete"),
        (pod(metadata={"deletionTimestamp": "t"}, status=ready("True")), "pod-gone"),
        (pod(metadata={"deletionTimestamp": "t", "finalizers": ["f"]}, status=ready("True")), "pod-killed"),
        (pod(metadata={"deletionTimestamp": "t", "finalizers": ["f"]}, status={"phase": "Failed"}), "pod-ended-gone"),
    ],
)
def test_the_usual_life_of_a_pod(obj: dict[str, Any], expected: str | None) -> None:
    chosen = stages.choose([stage for stage in default_stages.STAGES if stage.kind == "Pod"], obj, "")
    assert (chosen[0].name if chosen else None) == expected


def test_a_node_that_is_not_heard_of_comes_back() -> None:
    node = {"metadata": {"name": "n"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    chosen = stages.choose([stage for stage in default_stages.STAGES if stage.kind == "Node"], node, "")
    assert chosen is not None
    assert chosen[0].next.node == NodeState()
