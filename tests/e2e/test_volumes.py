"""Claims on a real node: a folder of the node for the pod that comes first, kept from pod to pod, gone in the end."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.cluster import Cluster, until
from tests.e2e.manifests import pod

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Mi}}}
"""
MOUNT = "volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]"
AS_USER = "volumeMounts: [{name: v, mountPath: /data}]\nsecurityContext: {runAsUser: 1000}"


def phase(cluster: Cluster, ns: str, kind: str, name: str) -> str:
    return cluster.kubectl("get", kind, name, "-n", ns, "-o", "jsonpath={.status.phase}")


def test_a_claim_of_the_default_class_keeps_what_pods_write_and_leaves_nothing(cluster: Cluster, ns: str) -> None:
    cluster.apply(CLAIM, ns)
    assert cluster.json("get", "pvc", "data", "-n", ns)["spec"]["storageClassName"] == "local-path"
    cluster.apply(pod("writer", "echo kept > /data/file", MOUNT, AS_USER), ns)
    until(lambda: phase(cluster, ns, "pod", "writer") == "Succeeded", "the first pod has written", 180)
    found = cluster.json("get", "pvc", "data", "-n", ns)
    assert found["status"]["phase"] == "Bound"
    volume = cluster.json("get", "pv", found["spec"]["volumeName"])
    folder = Path(volume["spec"]["hostPath"]["path"])
    assert (folder / "file").read_text() == "kept\n"
    cluster.apply(pod("reader", "cat /data/file", MOUNT, AS_USER), ns)
    until(lambda: phase(cluster, ns, "pod", "reader") == "Succeeded", "the second pod has read", 180)
    assert cluster.kubectl("logs", "reader", "-n", ns) == "kept\n"
    cluster.kubectl("delete", "pod,pvc", "--all", "-n", ns)
    until(
        lambda: cluster.try_kubectl("get", "pv", volume["metadata"]["name"]).returncode != 0, "the volume is gone", 180
    )
    assert not folder.exists()


def test_an_ephemeral_volume_lives_as_long_as_its_pod(cluster: Cluster, ns: str) -> None:
    spec = "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}"
    volumes = f"volumes: [{{name: v, ephemeral: {{volumeClaimTemplate: {{{spec}}}}}}}]"
    cluster.apply(pod("p", "echo here > /data/file && sleep 3600", volumes, AS_USER), ns)
    until(lambda: phase(cluster, ns, "pod", "p") == "Running", "the pod runs", 180)
    claim = cluster.json("get", "pvc", "p-v", "-n", ns)
    assert claim["metadata"]["ownerReferences"][0]["name"] == "p"
    cluster.kubectl("delete", "pod", "p", "-n", ns)
    until(lambda: cluster.try_kubectl("get", "pvc", "p-v", "-n", ns).returncode != 0, "its claim is gone", 180)
