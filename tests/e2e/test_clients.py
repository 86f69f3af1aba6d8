"""Client libraries as their users have them: the official Python client and kr8s, against a cluster without a node."""

from __future__ import annotations

import base64
import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.cluster import Cluster, run, until
from tests.e2e.manifests import pod

# As modules without types: their stubs know less than they do.
kubernetes: Any = importlib.import_module("kubernetes")
importlib.import_module("kubernetes.dynamic")
kr8s: Any = importlib.import_module("kr8s")

pytestmark = [
    pytest.mark.rootless,
    # Of the libraries' own making.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Kubernetes version:UserWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
NS = "default"


@pytest.fixture
def client(api_only: Cluster) -> Iterator[Any]:
    """The official client, configured from the kubeconfig."""
    with kubernetes.config.new_client_from_config(str(api_only.kubeconfig)) as made:
        yield made


def config_map(name: str, **data: str) -> Any:
    meta = kubernetes.client.V1ObjectMeta(name=name, labels={"made-by": "official"})
    return kubernetes.client.V1ConfigMap(metadata=meta, data=data)


def deployment(name: str, replicas: int) -> Any:
    of = kubernetes.client
    container = of.V1Container(
        name="c",
        image="nginx",
        ports=[of.V1ContainerPort(container_port=80)],
        resources=of.V1ResourceRequirements(requests={"cpu": "100m"}, limits={"memory": "64Mi"}),
        liveness_probe=of.V1Probe(http_get=of.V1HTTPGetAction(path="/", port="http")),
    )
    template = of.V1PodTemplateSpec(
        metadata=of.V1ObjectMeta(labels={"app": name}), spec=of.V1PodSpec(containers=[container])
    )
    spec = of.V1DeploymentSpec(
        replicas=replicas, selector=of.V1LabelSelector(match_labels={"app": name}), template=template
    )
    return of.V1Deployment(metadata=of.V1ObjectMeta(name=name), spec=spec)


def test_the_official_client_reads_and_writes(client: Any) -> None:
    core = kubernetes.client.CoreV1Api(client)
    made = core.create_namespaced_config_map(NS, config_map("one", key="1"))
    assert made.metadata.creation_timestamp.tzinfo is not None
    assert made.metadata.managed_fields[0].manager == "OpenAPI-Generator"
    made.data["key"] = "2"
    replaced = core.replace_namespaced_config_map("one", NS, made)
    assert replaced.data == {"key": "2"}
    made.data["key"] = "3"
    with pytest.raises(kubernetes.client.ApiException) as stale:
        core.replace_namespaced_config_map("one", NS, made)
    assert (stale.value.status, stale.value.reason) == (409, "Conflict")
    patched = core.patch_namespaced_config_map("one", NS, {"data": {"other": "x", "key": None}})
    assert patched.data == {"other": "x"}
    steps = [{"op": "test", "path": "/data/other", "value": "x"}, {"op": "remove", "path": "/data/other"}]
    assert core.patch_namespaced_config_map("one", NS, steps).data is None
    gone = core.delete_namespaced_config_map("one", NS)
    assert gone["status"] == "Success"
    with pytest.raises(kubernetes.client.ApiException) as missing:
        core.read_namespaced_config_map("one", NS)
    assert missing.value.status == 404


def test_the_official_client_pages_and_selects(client: Any) -> None:
    core = kubernetes.client.CoreV1Api(client)
    for number in range(5):
        core.create_namespaced_config_map(NS, config_map(f"page-{number}"))
    selector = "made-by=official"
    first = core.list_namespaced_config_map(NS, label_selector=selector, limit=2)
    assert first.metadata.remaining_item_count is None  # not told with selectors
    rest = core.list_namespaced_config_map(NS, label_selector=selector, limit=9, _continue=first.metadata._continue)
    assert [item.metadata.name for item in first.items + rest.items] == [f"page-{number}" for number in range(5)]
    core.delete_collection_namespaced_config_map(NS, label_selector=selector)
    assert core.list_namespaced_config_map(NS, label_selector=selector).items == []


def test_the_official_client_watches(client: Any) -> None:
    core = kubernetes.client.CoreV1Api(client)
    began = core.list_namespaced_config_map(NS).metadata.resource_version

    def change() -> None:
        core.create_namespaced_config_map(NS, config_map("seen"))
        core.patch_namespaced_config_map("seen", NS, {"data": {"a": "b"}})
        core.delete_namespaced_config_map("seen", NS)

    writer = threading.Thread(target=change)
    writer.start()
    watch = kubernetes.watch.Watch()
    kinds = []
    stream = watch.stream(core.list_namespaced_config_map, NS, resource_version=began, timeout_seconds=20)
    for event in stream:
        if event["object"].metadata.name == "seen":
            kinds.append(event["type"])
        if event["type"] == "DELETED":
            watch.stop()
    writer.join()
    assert kinds == ["ADDED", "MODIFIED", "DELETED"]


def test_the_official_client_runs_a_deployment(client: Any) -> None:
    apps, core = kubernetes.client.AppsV1Api(client), kubernetes.client.CoreV1Api(client)
    made = apps.create_namespaced_deployment(NS, deployment("typed", 2))
    assert made.spec.strategy.rolling_update.max_surge == "25%"
    assert made.spec.template.spec.containers[0].liveness_probe.http_get.port == "http"
    until(lambda: len(core.list_namespaced_pod(NS, label_selector="app=typed").items) == 2, "pods are there")
    apps.patch_namespaced_deployment_scale("typed", NS, {"spec": {"replicas": 3}})
    until(lambda: apps.read_namespaced_deployment_status("typed", NS).status.replicas == 3, "it is scaled")
    applied = apps.patch_namespaced_deployment(
        "typed",
        NS,
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "typed"}, "spec": {"paused": True}},
        field_manager="pauser",
        force=True,
        _content_type="application/apply-patch+yaml",
    )
    assert applied.spec.paused is True
    assert {item.manager for item in applied.metadata.managed_fields} >= {"pauser", "OpenAPI-Generator"}
    options = kubernetes.client.V1DeleteOptions(propagation_policy="Foreground")
    apps.delete_namespaced_deployment("typed", NS, body=options)
    until(lambda: not core.list_namespaced_pod(NS, label_selector="app=typed").items, "its pods went with it")


def test_the_official_client_asks_who_it_is_and_what_it_may(client: Any) -> None:
    of = kubernetes.client
    who = of.AuthenticationV1Api(client).create_self_subject_review(of.V1SelfSubjectReview())
    assert who.status.user_info.username == "admin"
    assert "system:masters" in who.status.user_info.groups
    attributes = of.V1ResourceAttributes(verb="delete", resource="nodes")
    review = of.V1SelfSubjectAccessReview(spec=of.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes))
    assert of.AuthorizationV1Api(client).create_self_subject_access_review(review).status.allowed is True
    request = of.AuthenticationV1TokenRequest(spec=of.V1TokenRequestSpec(audiences=[], expiration_seconds=3600))
    token = of.CoreV1Api(client).create_namespaced_service_account_token("default", NS, request).status.token
    configuration = of.Configuration.get_default_copy()
    configuration.host, configuration.ssl_ca_cert = client.configuration.host, client.configuration.ssl_ca_cert
    configuration.api_key = {"authorization": f"Bearer {token}"}
    with of.ApiClient(configuration) as as_account:
        mine = of.AuthenticationV1Api(as_account).create_self_subject_review(of.V1SelfSubjectReview())
        assert mine.status.user_info.username == "system:serviceaccount:default:default"
        with pytest.raises(of.ApiException) as refused:
            of.CoreV1Api(as_account).list_namespaced_secret(NS)
    assert refused.value.status == 403


def test_the_dynamic_client_discovers_and_applies(client: Any, tmp_path: Path) -> None:
    dynamic = kubernetes.dynamic.DynamicClient(client, cache_file=str(tmp_path / "discovery"))
    jobs = dynamic.resources.get(api_version="batch/v1", kind="Job")
    assert jobs.namespaced
    secrets = dynamic.resources.get(api_version="v1", kind="Secret")
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "dyn"}, "stringData": {"a": "b"}}
    applied = secrets.server_side_apply(body=body, name="dyn", namespace=NS, field_manager="dynamic")
    assert base64.b64decode(applied.data.a) == b"b"
    assert [item.metadata.name for item in secrets.get(namespace=NS, field_selector="metadata.name=dyn").items] == [
        "dyn"
    ]
    secrets.delete(name="dyn", namespace=NS)


def test_the_official_client_makes_what_a_file_says(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: from-file}\n"
        "spec: {selector: {app: x}, ports: [{port: 80, targetPort: http}]}\n"
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: from-file}\n"
        "spec: {defaultBackend: {service: {name: from-file, port: {number: 80}}}}\n"
    )
    kubernetes.utils.create_from_yaml(client, str(path), namespace=NS)
    with pytest.raises(kubernetes.utils.FailToCreateError, match="already exists"):
        kubernetes.utils.create_from_yaml(client, str(path), namespace=NS)
    service = kubernetes.client.CoreV1Api(client).read_namespaced_service("from-file", NS)
    assert service.spec.ports[0].target_port == "http"
    assert service.spec.cluster_ip.startswith("10.")


def test_kr8s_reads_writes_and_waits(api_only: Cluster) -> None:
    from kr8s.objects import Deployment, Namespace

    api = kr8s.api(kubeconfig=str(api_only.kubeconfig))
    assert {"pods", "deployments", "leases"} <= {item["name"] for item in api.api_resources()}
    space = Namespace({"metadata": {"name": "kr8s"}}, api=api)
    space.create()
    manifest = kubernetes.client.ApiClient().sanitize_for_serialization(deployment("web", 1))
    web = Deployment({**manifest, "metadata": {"name": "web", "namespace": "kr8s"}}, api=api)
    web.create()
    web.label(tier="front")
    web.scale(2)
    until(lambda: len(list(api.get("pods", namespace="kr8s"))) == 2, "it is scaled")
    assert [item.name for item in api.get("deployments", namespace="kr8s", label_selector={"tier": "front"})] == ["web"]
    web.delete(propagation_policy="Foreground")
    web.wait("delete", timeout=120)
    space.delete()
    space.wait("delete", timeout=120)


def test_events_of_both_groups_live_and_go(client: Any) -> None:
    of = kubernetes.client
    core, events = of.CoreV1Api(client), of.EventsV1Api(client)
    now = "2026-01-01T00:00:00.123456Z"
    body = {
        "metadata": {"name": "new-form", "labels": {"testevent": "set"}},
        "eventTime": now,
        "action": "Do",
        "reason": "Test",
        "type": "Normal",
        "note": "This is one",
        "reportingController": "tests",
        "reportingInstance": "one",
        "regarding": {"namespace": NS},
    }
    events.create_namespaced_event(NS, body)
    as_core = core.read_namespaced_event("new-form", NS)
    assert (as_core.message, as_core.reporting_component) == ("This is one", "tests")
    with pytest.raises(kubernetes.client.ApiException, match="field is immutable"):
        events.patch_namespaced_event("new-form", NS, {"note": "This is another"})
    found = events.read_namespaced_event("new-form", NS)
    found.series = of.EventsV1EventSeries(count=2, last_observed_time=found.event_time)
    assert events.replace_namespaced_event("new-form", NS, found).series.count == 2
    assert [item.metadata.name for item in events.list_event_for_all_namespaces(label_selector="testevent=set").items]
    events.delete_collection_namespaced_event(NS, label_selector="testevent=set")
    assert not core.list_event_for_all_namespaces(label_selector="testevent=set").items


#: Apart from this process: the library leaves its sockets to the garbage collector.
TALK = """
import sys
from kubernetes import client, config
from kubernetes.stream import stream
core = client.CoreV1Api(config.new_client_from_config(sys.argv[1]))
place = (core.connect_get_namespaced_pod_exec, "box", sys.argv[2])
talk = stream(*place, command=["sh", "-c", "echo out; echo err >&2; exit 3"], stdout=True, stderr=True,
              _preload_content=False)
talk.run_forever(timeout=120)
print([talk.read_stdout(), talk.read_stderr(), talk.returncode])
talk = stream(*place, command=["head", "-n1"], stdin=True, stdout=True, _preload_content=False)
talk.write_stdin("typed\\n")
talk.run_forever(timeout=120)
print([talk.read_stdout()])
"""


def test_the_official_client_talks_to_containers(cluster: Cluster, ns: str) -> None:
    cluster.apply(pod("box", "sleep 1000"), ns)
    cluster.kubectl("wait", "pod/box", "-n", ns, "--for=condition=Ready", "--timeout=180s")
    done = run([sys.executable, "-W", "ignore", "-c", TALK, str(cluster.kubeconfig), ns])
    assert done.stdout.splitlines() == ["['out\\n', 'err\\n', 3]", "['typed\\n']"], done.stderr
