from __future__ import annotations

import copy
from typing import Any

import pytest

from knarr.api import codec, defaults, registry, strategy
from knarr.api.semantics.qos import qos_class
from knarr.api.strategy import rules
from knarr.apimachinery.types import Object

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


def ready(plural: str, body: Any, group: str = "") -> Object:
    resource = registry.resource(plural, group)
    obj = codec.normalise(resource.api_version, resource.kind, body).object
    obj["metadata"].setdefault("name", "x")
    obj["metadata"].update(uid="u", creationTimestamp=NOW)
    defaults.apply(resource, obj)
    return obj


def created(plural: str, body: Any, group: str = "") -> Object:
    obj = ready(plural, body, group)
    strategy.prepare_create(registry.resource(plural, group), obj)
    return obj


def changed(plural: str, old: Object, change: Any, subresource: str = "", group: str = "") -> Object:
    obj = copy.deepcopy(old)
    change(obj)
    before = copy.deepcopy(old)
    strategy.prepare_update(registry.resource(plural, group), obj, old, subresource, LATER)
    assert old == before
    return obj


@pytest.mark.parametrize(
    "resource", (*registry.RESOURCES, *registry.OPTIONAL), ids=lambda item: f"{item.api_version} {item.kind}"
)
def test_every_kind_can_be_made_and_left_as_it_is(resource: Any) -> None:
    if codec.type_of(resource.api_version, resource.kind) is None:
        return
    obj = codec.decode(resource.api_version, resource.kind, b'{"metadata":{"name":"x"}}').object
    defaults.apply(resource, obj)
    strategy.prepare_create(resource, obj)
    for subresource in ("", "status"):
        again = copy.deepcopy(obj)
        strategy.prepare_update(resource, again, obj, subresource, LATER)
        assert again == obj, subresource


def test_a_client_sets_no_status() -> None:
    deployment = created("deployments", {"spec": {}, "status": {"replicas": 3}}, "apps")
    assert deployment["status"] == {}
    assert deployment["metadata"]["generation"] == 1
    after = changed("deployments", deployment, lambda obj: obj["status"].update(replicas=2), group="apps")
    assert after == deployment


def test_the_generation_counts_changes_that_matter() -> None:
    deployment = created("deployments", {}, "apps")

    def generation(change: Any) -> int:
        found: int = changed("deployments", deployment, change, group="apps")["metadata"]["generation"]
        return found

    assert generation(lambda obj: obj["spec"].update(replicas=2)) == 2
    assert generation(lambda obj: obj["metadata"].update(annotations={"a": "b"})) == 2
    assert generation(lambda obj: obj["metadata"].update(labels={"a": "b"}, generation=50)) == 1


def test_a_change_of_status_changes_nothing_else() -> None:
    definition = created("customresourcedefinitions", {"spec": {"group": "a"}}, "apiextensions.k8s.io")

    def change(obj: Object) -> None:
        obj["spec"]["group"] = "b"
        obj["metadata"]["labels"] = {"a": "b"}
        obj["status"]["conditions"] = []

    after = changed("customresourcedefinitions", definition, change, "status", "apiextensions.k8s.io")
    assert after["spec"] == definition["spec"]
    assert after["metadata"]["labels"] == {"a": "b"}
    assert after["status"]["conditions"] == []
    attachment = created("volumeattachments", {}, "storage.k8s.io")

    def attach(obj: Object) -> None:
        obj["metadata"]["labels"] = {"a": "b"}
        obj["status"]["attached"] = True

    after = changed("volumeattachments", attachment, attach, "status", "storage.k8s.io")
    assert "labels" not in after["metadata"]
    assert after["status"]["attached"] is True


def test_a_gated_pod_says_so_and_selectors_take_the_pods_labels() -> None:
    constraint = {"topologyKey": "zone", "labelSelector": {}, "matchLabelKeys": ["a", "missing"]}
    spec = {"containers": [], "schedulingGates": [{"name": "g"}], "topologySpreadConstraints": [constraint]}
    pod = created("pods", {"metadata": {"labels": {"a": "b"}}, "spec": spec, "status": {"phase": "Running"}})
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["conditions"][0]["lastTransitionTime"] == NOW
    assert pod["spec"]["topologySpreadConstraints"][0]["labelSelector"] == {
        "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]
    }


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "0"}}], "BestEffort"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1Gi"}}], "Guaranteed"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}], "Burstable"),
        ([{"limits": {"nvidia.com/gpu": "1"}}], "BestEffort"),
    ],
)
def test_quality_of_service(resources: list[Object], expected: str) -> None:
    assert qos_class({"containers": [{"resources": item} for item in resources]}) == expected


def test_a_pods_own_resources_decide_its_quality_of_service() -> None:
    own = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}
    assert qos_class({"containers": [{"resources": {}}], "resources": own}) == "Guaranteed"


def test_only_ephemeral_containers_change_through_their_subresource() -> None:
    pod = created("pods", {"spec": {"containers": [{"name": "c", "image": "a"}]}})

    def change(obj: Object) -> None:
        obj["spec"]["containers"][0]["image"] = "b"
        obj["spec"]["ephemeralContainers"] = [{"name": "e"}]
        obj["metadata"]["labels"] = {"a": "b"}

    after = changed("pods", pod, change, "ephemeralcontainers")
    assert after["spec"]["containers"] == pod["spec"]["containers"]
    assert after["spec"]["ephemeralContainers"] == [{"name": "e"}]
    assert "labels" not in after["metadata"]
    assert after["metadata"]["generation"] == 2


def test_a_resize_changes_resources_alone() -> None:
    pod = created("pods", {"spec": {"containers": [{"name": "c", "image": "a"}]}})

    def change(obj: Object) -> None:
        obj["spec"]["containers"][0].update(image="b", resources={"requests": {"cpu": "1"}})

    container = changed("pods", pod, change, "resize")["spec"]["containers"][0]
    assert (container["image"], container["resources"]) == ("a", {"requests": {"cpu": "1"}})


def test_a_job_selects_its_pods_by_its_uid_unless_told_otherwise() -> None:
    job = created("jobs", {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}}, "batch")
    uid = {"batch.kubernetes.io/controller-uid": "u"}
    assert job["spec"]["selector"] == {"matchLabels": uid}
    names = {"batch.kubernetes.io/job-name": "x", "job-name": "x", "controller-uid": "u", **uid}
    assert job["spec"]["template"]["metadata"]["labels"] == {"a": "b", **names}
    assert job["metadata"]["labels"] == {"a": "b"}
    manual = created("jobs", {"spec": {"manualSelector": True, "selector": {"matchLabels": {"a": "b"}}}}, "batch")
    assert manual["spec"]["selector"] == {"matchLabels": {"a": "b"}}


def test_a_claims_two_sources_follow_each_other() -> None:
    snapshot = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}
    assert created("persistentvolumeclaims", {"spec": {"dataSource": snapshot}})["spec"]["dataSourceRef"] == snapshot
    other = {"apiGroup": "x", "kind": "Y", "name": "z"}
    assert created("persistentvolumeclaims", {"spec": {"dataSourceRef": other}})["spec"]["dataSource"] == other
    assert "dataSource" not in created("persistentvolumeclaims", {"spec": {"dataSource": other}})["spec"]


def test_a_volume_notes_when_its_phase_changed() -> None:
    volume = created("persistentvolumes", {})
    assert volume["status"] == {"phase": "Pending", "lastPhaseTransitionTime": NOW}
    after = changed("persistentvolumes", volume, lambda obj: obj["status"].update(phase="Bound"), "status")
    assert after["status"] == {"phase": "Bound", "lastPhaseTransitionTime": LATER}
    same = changed("persistentvolumes", volume, lambda obj: obj["status"].pop("lastPhaseTransitionTime"), "status")
    assert same == volume


def test_a_service_keeps_what_was_allocated_and_sheds_what_its_type_had() -> None:
    service = created("services", {"spec": {"type": "NodePort", "ports": [{"port": 80}]}})
    service["spec"].update(clusterIP="10.0.0.1", clusterIPs=["10.0.0.1"])
    service["spec"]["ports"][0]["nodePort"] = 30000

    def unset(obj: Object) -> None:
        del obj["spec"]["clusterIP"], obj["spec"]["clusterIPs"], obj["spec"]["ports"][0]["nodePort"]

    assert changed("services", service, unset) == service
    inner = changed("services", service, lambda obj: obj["spec"].update(type="ClusterIP"))["spec"]
    assert "nodePort" not in inner["ports"][0]
    assert "externalTrafficPolicy" not in inner
    assert inner["clusterIP"] == "10.0.0.1"


def test_a_daemon_set_counts_changes_of_its_template() -> None:
    name = "deprecated.daemonset.template.generation"
    daemon_set = created("daemonsets", {"metadata": {"annotations": {name: "0"}}}, "apps")
    assert daemon_set["metadata"]["annotations"] == {name: "1"}

    def change(obj: Object) -> None:
        obj["spec"]["template"]["spec"]["nodeName"] = "n"
        obj["metadata"]["annotations"][name] = "9"

    assert changed("daemonsets", daemon_set, change, group="apps")["metadata"]["annotations"] == {name: "2"}


def test_approval_changes_conditions_alone_and_stays() -> None:
    group = "certificates.k8s.io"
    request = created("certificatesigningrequests", {"spec": {"username": "me"}}, group)
    assert "username" not in request["spec"]
    approved = [{"type": "Approved", "status": "True"}]

    def approve(obj: Object) -> None:
        obj["status"].update(conditions=approved, certificate="eA==")

    after = changed("certificatesigningrequests", request, approve, "approval", group)
    moments = {"lastUpdateTime": LATER, "lastTransitionTime": LATER}
    assert after["status"] == {"conditions": [{**approved[0], **moments}]}
    issued = changed(
        "certificatesigningrequests", after, lambda obj: obj.update(status={"certificate": "eA=="}), "status", group
    )
    assert issued["status"] == {"certificate": "eA==", **after["status"]}


def test_fields_of_features_that_are_off_vanish_unless_they_were_used() -> None:
    spec = {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 2}}}
    stateful_set = created("statefulsets", {"spec": spec}, "apps")
    assert "maxUnavailable" not in stateful_set["spec"]["updateStrategy"]["rollingUpdate"]
    old = ready("statefulsets", {"spec": spec}, "apps")
    assert changed("statefulsets", old, lambda obj: None, group="apps") == old
    lifecycle = {"stopSignal": "SIGUSR1"}
    pod = created("pods", {"spec": {"containers": [{"name": "c", "lifecycle": lifecycle}]}})
    assert "lifecycle" not in pod["spec"]["containers"][0]


def test_a_definition_remembers_the_versions_it_stored() -> None:
    def versions(*names: str) -> Object:
        return {"versions": [{"name": name, "storage": name == names[-1]} for name in names]}

    group = "apiextensions.k8s.io"
    definition = created("customresourcedefinitions", {"spec": versions("v1")}, group)
    assert definition["status"]["storedVersions"] == ["v1"]
    after = changed(
        "customresourcedefinitions", definition, lambda obj: obj["spec"].update(versions("v1", "v2")), group=group
    )
    assert after["status"]["storedVersions"] == ["v1", "v2"]


def test_rules_name_the_fields_nobody_can_own() -> None:
    assert rules.of(registry.DEPLOYMENTS).reset_fields() == (("status",),)
    assert rules.of(registry.DEPLOYMENTS).reset_fields("status") == (("spec",), ("metadata", "labels"))
    assert rules.of(registry.CONFIGMAPS).reset_fields() == ()


def test_sending_no_webhooks_counts_as_a_change_each_time() -> None:
    group, plural = "admissionregistration.k8s.io", "validatingwebhookconfigurations"
    configuration = created(plural, {"webhooks": []}, group)
    assert "webhooks" not in configuration
    after = changed(plural, configuration, lambda obj: obj.update(webhooks=[]), group=group)
    assert after["metadata"]["generation"] == 2
    assert "webhooks" not in after


def test_a_limit_range_without_a_name_gets_one() -> None:
    limits = ready("limitranges", {})
    del limits["metadata"]["name"]
    strategy.prepare_create(registry.LIMITRANGES, limits)
    assert limits["metadata"]["name"] == "u"


def test_the_report_on_a_device_goes_with_the_device() -> None:
    group = "resource.k8s.io"
    claim = created("resourceclaims", {}, group)
    devices = [{"driver": "d", "pool": "p", "device": name} for name in ("a", "b")]

    def allocation(*chosen: Object) -> Object:
        return {"devices": {"results": [{"request": "r", **device} for device in chosen]}}

    claim["status"] = {"allocation": allocation(*devices), "devices": devices}
    after = changed(
        "resourceclaims", claim, lambda obj: obj["status"].update(allocation=allocation(devices[1])), "status", group
    )
    assert after["status"]["devices"] == devices[1:]


def test_an_empty_list_is_no_change_of_a_spec() -> None:
    workload = created("deployments", {"spec": {"replicas": 1}}, "apps")
    after = changed("deployments", workload, lambda obj: obj["spec"].update(template={"spec": {}}), group="apps")
    assert after["metadata"]["generation"] == 2
    same = changed("deployments", after, lambda obj: obj["spec"]["template"]["spec"].update(volumes=[]), group="apps")
    assert same["metadata"]["generation"] == 2
