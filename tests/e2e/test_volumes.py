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


def test_a_late_claim_takes_the_volume_that_its_pods_node_has(cluster: Cluster, ns: str, tmp_path: Path) -> None:
    node = cluster.json("get", "nodes")["items"][0]["metadata"]["labels"]["kubernetes.io/hostname"]
    late = f"""
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: {ns}}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data}}
spec: {{accessModes: [ReadWriteOnce], storageClassName: {ns}, resources: {{requests: {{storage: 10Mi}}}}}}
"""

    def volume(name: str, host: str) -> str:
        wanted = f"{{key: kubernetes.io/hostname, operator: In, values: [{host}]}}"
        return f"""
---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {ns}-{name}}}
spec:
  capacity: {{storage: 10Mi}}
  accessModes: [ReadWriteOnce]
  storageClassName: {ns}
  persistentVolumeReclaimPolicy: Retain
  local: {{path: {tmp_path}}}
  nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: [{wanted}]}}]}}}}
"""

    cluster.apply(late + volume("far", "elsewhere"), ns)
    cluster.apply(pod("writer", "echo kept > /data/file", MOUNT, "volumeMounts: [{name: v, mountPath: /data}]"), ns)

    def refused() -> bool:
        found = cluster.json("get", "pod", "writer", "-n", ns)["status"].get("conditions") or []
        return any("didn't find available persistent volumes to bind" in each.get("message", "") for each in found)

    until(refused, "no node has a volume for it")
    cluster.apply(volume("near", node), ns)
    until(lambda: phase(cluster, ns, "pod", "writer") == "Succeeded", "the pod has written", 180)
    assert (tmp_path / "file").read_text() == "kept\n"
    assert cluster.json("get", "pvc", "data", "-n", ns)["spec"]["volumeName"] == f"{ns}-near"
    assert phase(cluster, ns, "pv", f"{ns}-far") == "Available"
    cluster.kubectl("delete", "pod,pvc", "--all", "-n", ns)
    until(lambda: phase(cluster, ns, "pv", f"{ns}-near") == "Released", "the volume is released")
    cluster.kubectl("delete", "pv", f"{ns}-near", f"{ns}-far")
    cluster.kubectl("delete", "storageclass", ns)
