"""Pods and containers in the runtime's terms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery.types import Object
from knarr.cri.messages import CODEC, NamespaceMode, Seccomp
from knarr.kubelet import container_resources, security_context
from knarr.kubelet.container_config import BoundPath, Parts, container_config
from knarr.kubelet.dns_config import dns_config
from knarr.kubelet.hosts_file import hosts_file
from knarr.kubelet.node_config import NodeConfig, Resolver, parse_resolver
from knarr.kubelet.pod_names import HostnameTooLong, hostname
from knarr.kubelet.sandbox_config import SandboxFault, sandbox_config
from knarr.kubelet.security_context import ConfigFault

GIB = 2**30
NODE = NodeConfig(
    "n1",
    Path("/k"),
    Path("/l"),
    ("172.30.0.2",),
    cgroup_root="knarr-x",
    cluster_dns=("10.43.0.10",),
    memory=4 * GIB,
    resolver=Resolver(("9.9.9.9",), ("example.com",), ("timeout:1",)),
)


def pod(container: Object | None = None, **spec: Any) -> Object:
    app = {"name": "app", "image": "nginx", **(container or {})}
    return {
        "metadata": {"name": "web-0", "namespace": "ns", "uid": "u1", "labels": {"app": "web"}},
        "spec": {"containers": [app], "terminationGracePeriodSeconds": 30, **spec},
    }


def config(obj: Object, **parts: Any) -> dict[str, Any]:
    made = container_config(obj, obj["spec"]["containers"][0], Parts(2, "sha256:1", **parts), NODE)
    assert CODEC.decode("ContainerConfig", CODEC.encode("ContainerConfig", made))["log_path"] == made["log_path"]
    return made


def test_a_container_is_named_labelled_and_logged_as_every_kubelet_does() -> None:
    made = config(pod({"command": ["sh", "-c", "echo $(A) $(B) $$(A)"]}), environment={"A": "1"})
    assert made["metadata"] == {"name": "app", "attempt": 2}
    assert made["command"] == ["sh", "-c", "echo 1 $(B) $(A)"]
    assert made["envs"] == [{"key": "A", "value": "1"}]
    assert made["log_path"] == "app/2.log"
    assert made["labels"]["io.kubernetes.container.name"] == "app"
    assert made["labels"]["io.kubernetes.pod.uid"] == "u1"
    assert made["annotations"]["io.kubernetes.container.restartCount"] == "2"


def test_mounts_follow_the_volume_mounts_and_own_files_give_way_to_them() -> None:
    mounts = [
        {"name": "v", "mountPath": "/etc/hosts", "readOnly": True},
        {"name": "w", "mountPath": "/w", "mountPropagation": "Bidirectional"},
    ]
    paths = [BoundPath("/h/v"), BoundPath("/h/w", True)]
    made = config(pod({"volumeMounts": mounts}), paths=paths, files=[("/etc/hosts", "/x"), ("/dev/log", "/y")])
    assert [(each["container_path"], each["host_path"], each.get("readonly", False)) for each in made["mounts"]] == [
        ("/etc/hosts", "/h/v", True),
        ("/w", "/h/w", True),
        ("/dev/log", "/y", False),
    ]
    assert made["mounts"][1]["propagation"] == 2


def test_security_is_the_containers_then_the_pods_then_the_images() -> None:
    obj = pod(
        {"securityContext": {"runAsUser": 7, "capabilities": {"drop": ["ALL"], "add": ["CAP_NET_ADMIN"]}}},
        securityContext={"runAsUser": 5, "runAsGroup": 6, "fsGroup": 9, "supplementalGroups": [8]},
    )
    security = config(obj, image={"uid": {"value": 33}, "username": ""})["linux"]["security_context"]
    assert security["run_as_user"] == {"value": 7} and security["run_as_group"] == {"value": 6}
    assert security["supplemental_groups"] == [8, 9]
    assert security["capabilities"] == {"add_capabilities": ["NET_ADMIN"], "drop_capabilities": ["ALL"]}
    assert security["seccomp"]["profile_type"] == Seccomp.UNCONFINED
    assert "/proc/kcore" in security["masked_paths"]
    of_image = config(pod(), image={"uid": None, "username": "www"})["linux"]["security_context"]
    assert of_image["run_as_username"] == "www"


@pytest.mark.parametrize(
    ("context", "image", "text"),
    [
        ({"runAsUser": 0}, {}, "container's runAsUser breaks non-root policy"),
        ({}, {}, "container has runAsNonRoot and image will run as root"),
        ({}, {"username": "www"}, "image has non-numeric user (www), cannot verify user is non-root"),
    ],
)
def test_non_root_is_held(context: Object, image: Object, text: str) -> None:
    with pytest.raises(ConfigFault) as fault:
        config(pod({"securityContext": {"runAsNonRoot": True, **context}}), image=image)
    assert text in str(fault.value)


def test_namespaces_are_the_nodes_the_pods_or_joined() -> None:
    assert security_context.namespaces({"hostNetwork": True})["network"] == NamespaceMode.NODE
    assert security_context.namespaces({})["pid"] == NamespaceMode.CONTAINER
    assert security_context.namespaces({"shareProcessNamespace": True})["pid"] == NamespaceMode.POD
    joined = security_context.namespaces({}, "c1")
    assert (joined["pid"], joined["target_id"]) == (NamespaceMode.TARGET, "c1")


def test_resources_reach_the_kernel() -> None:
    resources = {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"cpu": "1500m", "memory": "2Gi"}}
    made = config(pod({"resources": resources}))["linux"]["resources"]
    assert made == {
        "cpu_shares": 256,
        "cpu_quota": 150_000,
        "cpu_period": 100_000,
        "memory_limit_in_bytes": 2 * GIB,
        "oom_score_adj": 750,
    }
    same = {"cpu": "1", "memory": "1Gi"}
    guaranteed = config(pod({"resources": {"requests": same, "limits": same}}))
    assert guaranteed["linux"]["resources"]["oom_score_adj"] == -997
    assert config(pod())["linux"]["resources"]["oom_score_adj"] == 1000


def test_a_pods_group_is_limited_only_where_every_container_is() -> None:
    limited, free = {"limits": {"cpu": "1", "memory": "1Gi"}}, {"requests": {"cpu": "100m"}}
    both = pod(containers=[{"name": "a", "resources": limited}, {"name": "b", "resources": free}])
    assert container_resources.pod_limits(both) == (102, 0, 0)
    alone = pod(containers=[{"name": "a", "resources": {**limited, **free}}])
    assert container_resources.pod_limits(alone) == (102, 100_000, GIB)


@given(st.integers(0, 10**9), st.integers(1, 2**45))
def test_a_burstable_container_is_killed_between_guaranteed_and_best_effort(request: int, memory: int) -> None:
    container = {"name": "a", "resources": {"requests": {"memory": str(request + 1)}}}
    assert 3 <= container_resources.oom_score_adj(pod(container), container, memory) <= 999


def test_isolation_that_the_runtime_lacks_is_refused_and_not_left_out() -> None:
    with pytest.raises(SandboxFault, match="runtime does not support user namespaces"):
        sandbox_config(pod(hostUsers=False), NODE, 0)
    assert sandbox_config(pod(hostUsers=True), NODE, 0)
    mount = {"name": "v", "mountPath": "/v", "readOnly": True, "recursiveReadOnly": "Enabled"}
    with pytest.raises(ConfigFault, match='volume "v" requested recursive read-only mode'):
        config(pod({"volumeMounts": [mount]}), paths=[BoundPath("/k/v", False)])


def test_a_sandbox_has_its_group_names_ports_and_sysctls() -> None:
    ports = [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]
    obj = pod({"ports": ports}, securityContext={"sysctls": [{"name": "net.a", "value": "1"}]})
    made = sandbox_config(obj, NODE, 3)
    assert CODEC.encode("PodSandboxConfig", made)
    assert made["metadata"] == {"name": "web-0", "uid": "u1", "namespace": "ns", "attempt": 3}
    assert made["linux"]["cgroup_parent"] == "/knarr-x/kubepods/besteffort/podu1"
    assert made["linux"]["sysctls"] == {"net.a": "1"}
    assert made["port_mappings"] == [{"protocol": 0, "container_port": 80, "host_port": 8080, "host_ip": ""}]
    assert made["labels"]["app"] == "web" and made["labels"]["io.kubernetes.pod.name"] == "web-0"
    assert made["log_directory"] == "/l/ns_web-0_u1"
    of_host = sandbox_config(pod({"ports": ports}, hostNetwork=True), NODE, 0)
    assert of_host["hostname"] == "" and of_host["port_mappings"] == []


def test_host_names_are_short_unless_asked_for_in_full() -> None:
    assert hostname(pod(), "cluster.local") == "web-0"
    obj = pod(hostname="h", subdomain="s", setHostnameAsFQDN=True)
    assert hostname(obj, "cluster.local") == "h.s.ns.svc.cluster.local"
    with pytest.raises(HostnameTooLong):
        hostname(pod(hostname="h" * 60, subdomain="s", setHostnameAsFQDN=True), "cluster.local")


@pytest.mark.parametrize(
    ("spec", "servers", "options"),
    [
        ({}, ["10.43.0.10"], ["ndots:5"]),
        ({"hostNetwork": True}, ["9.9.9.9"], ["timeout:1"]),
        ({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}, ["10.43.0.10"], ["ndots:5"]),
        ({"dnsPolicy": "Default"}, ["9.9.9.9"], ["timeout:1"]),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"]}}, ["1.1.1.1"], []),
        (
            {"dnsConfig": {"nameservers": ["1.1.1.1"], "options": [{"name": "ndots", "value": "2"}]}},
            ["10.43.0.10", "1.1.1.1"],
            ["ndots:2"],
        ),
    ],
)
def test_names_are_resolved_by_policy(spec: Object, servers: list[str], options: list[str]) -> None:
    made = dns_config(pod(**spec), NODE)
    assert (made["servers"], made["options"]) == (servers, options)


def test_searches_begin_with_the_pods_namespace() -> None:
    assert dns_config(pod(), NODE)["searches"] == [
        "ns.svc.cluster.local",
        "svc.cluster.local",
        "cluster.local",
        "example.com",
    ]


def test_a_resolver_is_read() -> None:
    text = "# c\nnameserver 1.1.1.1\nnameserver 2.2.2.2\nsearch a b\noptions ndots:1 rotate\n"
    assert parse_resolver(text) == Resolver(("1.1.1.1", "2.2.2.2"), ("a", "b"), ("ndots:1", "rotate"))


def test_the_hosts_file_names_the_pod_and_its_aliases() -> None:
    obj = pod(hostname="h", subdomain="s", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["x", "y"]}])
    text = hosts_file(obj, ["10.42.0.2"], "cluster.local", "")
    assert text.startswith("# Kubernetes-managed hosts file.\n")
    assert "10.42.0.2\th.s.ns.svc.cluster.local\th\n" in text
    assert text.endswith("\n# Entries added by HostAliases.\n1.2.3.4\tx\ty\n")
    of_host = hosts_file(pod(hostNetwork=True), [], "cluster.local", "127.0.0.1 node\n")
    assert of_host == "# Kubernetes-managed hosts file (host network).\n127.0.0.1 node\n"
