"""The plugins that complete pods: ServiceAccount, Priority, RuntimeClass, tolerations, places of nodes."""

from __future__ import annotations

import pytest
from tests.unit.apiserver.admission.conftest import Write, pod, refusal
from tests.unit.apiserver.conftest import FakeReader

from knarr.api import registry
from knarr.apimachinery.types import Object
from knarr.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from knarr.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from knarr.apiserver.admission.pod_topology_labels import PodTopologyLabels
from knarr.apiserver.admission.priority import Priority
from knarr.apiserver.admission.runtime_class import RuntimeClass
from knarr.apiserver.admission.service_account import ServiceAccount

_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


# ServiceAccount


def _account(reader: FakeReader, name: str = "default", **fields: object) -> Object:
    return reader.add("serviceaccounts", {"metadata": {"name": name, "namespace": "n"}, **fields})


def test_a_pod_runs_as_the_default_account_with_its_token_mounted(reader: FakeReader, write: Write) -> None:
    _account(reader, imagePullSecrets=[{"name": "reg"}])
    mounted = {"name": "b", "volumeMounts": [{"mountPath": _PATH, "name": "mine"}]}
    obj = pod({"name": "a"}, mounted, initContainers=[{"name": "i"}])
    ServiceAccount(lambda: "abcde").admit(write(obj))
    spec = obj["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
    assert spec["imagePullSecrets"] == [{"name": "reg"}]
    mount = {"name": "kube-api-access-abcde", "readOnly": True, "mountPath": _PATH}
    assert spec["containers"][0]["volumeMounts"] == spec["initContainers"][0]["volumeMounts"] == [mount]
    assert [item["name"] for item in spec["containers"][1]["volumeMounts"]] == ["mine"]
    sources = spec["volumes"][0]["projected"]["sources"]
    assert [next(iter(source)) for source in sources] == ["serviceAccountToken", "configMap", "downwardAPI"]


@pytest.mark.parametrize(("own", "theirs"), [(False, True), (False, None), (None, False)])
def test_who_wants_no_token_gets_none(
    reader: FakeReader,
    write: Write,
    own: bool | None,
    theirs: bool | None,
) -> None:
    _account(reader, automountServiceAccountToken=theirs)
    obj = pod(automountServiceAccountToken=own)
    ServiceAccount(str).admit(write(obj))
    assert "volumes" not in obj["spec"]


def test_an_account_that_is_absent_is_refused(write: Write) -> None:
    text = refusal(ServiceAccount(str).admit, write(pod(serviceAccountName="who")))
    assert text == 'error looking up service account n/who: serviceaccount "who" not found'


def test_an_account_may_demand_that_it_lists_all_secrets(reader: FakeReader, write: Write) -> None:
    account = _account(reader, secrets=[{"name": "known"}], automountServiceAccountToken=False)
    account["metadata"]["annotations"] = {"kubernetes.io/enforce-mountable-secrets": "true"}
    good = pod(volumes=[{"name": "v", "secret": {"secretName": "known"}}])
    ServiceAccount(str).admit(write(good))
    bad = pod({"name": "c", "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "other"}}}]})
    assert refusal(ServiceAccount(str).admit, write(bad)) == (
        'container c with envVar E referencing secret.secretName="other" is not allowed because service account '
        "default does not reference that secret"
    )


# Priority


def _priority(reader: FakeReader, name: str, value: int, **fields: object) -> None:
    reader.add("priorityclasses", {"metadata": {"name": name}, "value": value, **fields}, "scheduling.k8s.io")


def test_priority_comes_from_the_class_the_default_class_or_is_zero(reader: FakeReader, write: Write) -> None:
    def admitted(**spec: object) -> Object:
        obj = pod(**spec)
        Priority().admit(write(obj))
        return {key: obj["spec"].get(key) for key in ("priorityClassName", "priority", "preemptionPolicy")}

    lower = "PreemptLowerPriority"
    assert admitted() == {"priorityClassName": None, "priority": 0, "preemptionPolicy": lower}
    _priority(reader, "high", 10, preemptionPolicy="Never")
    _priority(reader, "usual", 5, globalDefault=True, preemptionPolicy=lower)
    assert admitted() == {"priorityClassName": "usual", "priority": 5, "preemptionPolicy": lower}
    named = admitted(priorityClassName="high", priority=10)
    assert named == {"priorityClassName": "high", "priority": 10, "preemptionPolicy": "Never"}
    wrong = refusal(Priority().admit, write(pod(priorityClassName="high", priority=3)))
    assert wrong.startswith("the integer value of priority (3) must not be provided in pod spec")
    assert refusal(Priority().admit, write(pod(priorityClassName="x"))) == "no PriorityClass with name x was found"


def test_an_update_keeps_the_priority_and_one_class_is_the_default(reader: FakeReader, write: Write) -> None:
    obj = pod()
    Priority().admit(write(obj, old=pod(priority=7, preemptionPolicy="Never")))
    assert (obj["spec"]["priority"], obj["spec"]["preemptionPolicy"]) == (7, "Never")
    _priority(reader, "usual", 5, globalDefault=True)
    second: Object = {"metadata": {"name": "b"}, "value": 1, "globalDefault": True}
    text = refusal(Priority().validate, write(second, registry.PRIORITYCLASSES))
    assert text == "PriorityClass usual is already marked as default. Only one default can exist"


# RuntimeClass


def _runtime(reader: FakeReader, **fields: object) -> None:
    reader.add("runtimeclasses", {"metadata": {"name": "kata"}, "handler": "kata", **fields}, "node.k8s.io")


def test_a_runtime_class_gives_overhead_and_place(reader: FakeReader, write: Write) -> None:
    place = {"nodeSelector": {"kata": "yes"}, "tolerations": [{"key": "k", "operator": "Exists"}]}
    _runtime(reader, overhead={"podFixed": {"cpu": "10m"}}, scheduling=place)
    obj = pod(runtimeClassName="kata", nodeSelector={"a": "b"}, tolerations=[{"key": "k", "value": "v"}])
    RuntimeClass().admit(write(obj))
    assert obj["spec"]["overhead"] == {"cpu": "10m"}
    assert obj["spec"]["nodeSelector"] == {"a": "b", "kata": "yes"}
    assert obj["spec"]["tolerations"] == [{"key": "k", "operator": "Exists"}]
    RuntimeClass().validate(write(obj))


def test_what_contradicts_the_runtime_class_is_refused(reader: FakeReader, write: Write) -> None:
    _runtime(reader, overhead={"podFixed": {"cpu": "10m"}}, scheduling={"nodeSelector": {"a": "b"}})
    other = pod(runtimeClassName="kata", overhead={"cpu": "1"})
    mismatch = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
    assert refusal(RuntimeClass().admit, write(other)) == mismatch
    elsewhere = pod(runtimeClassName="kata", nodeSelector={"a": "c"})
    conflict = "conflict: runtimeClass.scheduling.nodeSelector[a] = b; pod.spec.nodeSelector[a] = c"
    assert refusal(RuntimeClass().admit, write(elsewhere)) == conflict
    absent = refusal(RuntimeClass().admit, write(pod(runtimeClassName="no")))
    assert absent == 'pod rejected: RuntimeClass "no" not found'
    alone = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
    assert refusal(RuntimeClass().validate, write(pod(overhead={"cpu": "1"}))) == alone


# tolerations, places


def test_pods_stay_five_minutes_on_a_lost_node_unless_they_say_otherwise(write: Write) -> None:
    def keys(*tolerations: Object) -> list[str]:
        obj = pod(tolerations=list(tolerations))
        DefaultTolerationSeconds().admit(write(obj))
        added = obj["spec"]["tolerations"][len(tolerations) :]
        assert all(item["tolerationSeconds"] == 300 for item in added)
        return [item["key"].rpartition("/")[2] for item in added]

    assert keys() == ["not-ready", "unreachable"]
    assert keys({"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}) == ["unreachable"]
    assert keys({"operator": "Exists"}) == []
    assert keys({"operator": "Exists", "effect": "NoSchedule"}) == ["not-ready", "unreachable"]


def test_bindings_and_bound_pods_tell_their_nodes_place(reader: FakeReader, write: Write) -> None:
    zone = {"topology.kubernetes.io/zone": "z"}
    reader.add("nodes", {"metadata": {"name": "a", "labels": {**zone, "topology.kubernetes.io/other": "x"}}})
    binding: Object = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "a"}}
    PodTopologyLabels().admit(write(binding, sub="binding"))
    assert binding["metadata"]["labels"] == zone
    bound, lost = pod(nodeName="a"), pod(nodeName="gone")
    bound["metadata"]["labels"] = {"topology.kubernetes.io/zone": "mine"}
    for obj in (bound, lost):
        PodTopologyLabels().admit(write(obj))
    assert bound["metadata"]["labels"] == zone
    assert "labels" not in lost["metadata"]


def test_nothing_is_made_where_a_namespace_ends(reader: FakeReader, write: Write) -> None:
    reader.add("namespaces", {"metadata": {"name": "n"}, "status": {"phase": "Terminating"}})
    text = refusal(NamespaceLifecycle().admit, write(pod()))
    assert text == "unable to create new content in namespace n because it is being terminated"
    NamespaceLifecycle().admit(write(pod(), old=pod()))
