"""What a pod is given and how it lives: volumes, environment, limits, probes, init containers, graceful end."""

from __future__ import annotations

import base64
import json

from tests.e2e.cluster import Cluster, until
from tests.e2e.manifests import pod


def finished(cluster: Cluster, ns: str, name: str) -> str:
    """The logs of a pod that has ended well."""
    cluster.kubectl("wait", f"pod/{name}", "-n", ns, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=180s")
    return cluster.kubectl("logs", name, "-n", ns)


def test_configuration_as_environment_and_volumes(cluster: Cluster, ns: str) -> None:
    cluster.kubectl("create", "configmap", "conf", "-n", ns, "--from-literal=color=green")
    cluster.kubectl("create", "secret", "generic", "secret", "-n", ns, "--from-literal=word=hush")
    extra = """
volumes:
- {name: conf, configMap: {name: conf}}
- {name: secret, secret: {secretName: secret, defaultMode: 0400}}
- name: all
  projected:
    sources:
    - {downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
    - {serviceAccountToken: {path: token, audience: vault, expirationSeconds: 3600}}
- {name: scratch, emptyDir: {}}
"""
    container = """
env:
- {name: COLOR, valueFrom: {configMapKeyRef: {name: conf, key: color}}}
- {name: WORD, valueFrom: {secretKeyRef: {name: secret, key: word}}}
- {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
- {name: LIMIT, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
- {name: BOTH, value: $(COLOR)-$(WORD)}
envFrom: [{configMapRef: {name: conf}, prefix: CONF_}]
resources: {limits: {memory: 64Mi, cpu: 100m}}
volumeMounts:
- {name: conf, mountPath: /conf}
- {name: secret, mountPath: /secret}
- {name: all, mountPath: /all}
- {name: scratch, mountPath: /scratch}
"""
    command = (
        "echo $COLOR $WORD $BOTH $CONF_color $LIMIT; cat /conf/color; echo; cat /secret/word; echo; cat /all/labels;"
        " echo; cut -d. -f2 /all/token; touch /scratch/x && echo wrote; stat -L -c %a /secret/word"
    )
    cluster.apply(pod("all", command, extra, container), ns)
    lines = finished(cluster, ns, "all").splitlines()
    assert lines[:4] == ["green hush green-hush green 64", "green", "hush", 'app="all"']
    claims = json.loads(base64.urlsafe_b64decode(lines[4] + "=="))
    assert claims["aud"] == ["vault"]
    assert claims["kubernetes.io"]["pod"]["name"] == "all"
    assert lines[5:] == ["wrote", "400"]


def test_a_changed_config_map_reaches_the_volume(cluster: Cluster, ns: str) -> None:
    cluster.kubectl("create", "configmap", "conf", "-n", ns, "--from-literal=color=red")
    extra = "volumes: [{name: conf, configMap: {name: conf}}]"
    cluster.apply(pod("box", "sleep 1000", extra, "volumeMounts: [{name: conf, mountPath: /conf}]"), ns)
    cluster.kubectl("wait", "pod/box", "-n", ns, "--for=condition=Ready", "--timeout=180s")
    cluster.kubectl("patch", "configmap", "conf", "-n", ns, "-p", '{"data":{"color":"blue"}}')
    read = ("exec", "box", "-n", ns, "--", "cat", "/conf/color")
    until(lambda: cluster.kubectl(*read) == "blue", "the new content is there")


def test_a_host_path(cluster: Cluster, ns: str) -> None:
    folder = cluster.folder / "shared"
    folder.mkdir()
    extra = f"volumes: [{{name: host, hostPath: {{path: {folder}, type: Directory}}}}]"
    cluster.apply(pod("box", "echo hi > /host/file", extra, "volumeMounts: [{name: host, mountPath: /host}]"), ns)
    finished(cluster, ns, "box")
    assert (folder / "file").read_text() == "hi\n"


def test_too_much_memory_is_an_oom_kill(cluster: Cluster, ns: str) -> None:
    hog = "python3 -c 'held = []; [held.append(bytes([1]) * 1048576) for _ in range(200)]'"
    manifest = pod("hog", hog, container="resources: {limits: {memory: 32Mi}, requests: {cpu: 50m}}")
    cluster.apply(manifest.replace("image: busybox", "image: python"), ns)
    cluster.kubectl("wait", "pod/hog", "-n", ns, "--for=jsonpath={.status.phase}=Failed", "--timeout=180s")
    state = cluster.json("get", "pod", "hog", "-n", ns)["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (state["reason"], state["exitCode"]) == ("OOMKilled", 137)


def test_limits_reach_the_kernel(cluster: Cluster, ns: str) -> None:
    container = "resources: {limits: {memory: 48Mi, cpu: 250m}, requests: {cpu: 100m}}"
    command = (
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null"
        " || { cat /sys/fs/cgroup/memory.max; cut -d' ' -f1 /sys/fs/cgroup/cpu.max; }"
    )
    cluster.apply(pod("box", command, container=container), ns)
    assert finished(cluster, ns, "box").split() == [str(48 * 2**20), "25000"]


def test_probes(cluster: Cluster, ns: str) -> None:
    probes = """
startupProbe: {exec: {command: [test, -e, /tmp/started]}, periodSeconds: 1, timeoutSeconds: 60, failureThreshold: 600}
readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1, timeoutSeconds: 60}
livenessProbe: {exec: {command: [test, '!', -e, /tmp/sick]}, periodSeconds: 1, timeoutSeconds: 60, failureThreshold: 1}
"""
    cluster.apply(pod("box", "trap 'exit 0' TERM; sleep 1000 & wait", container=probes, restart="Always"), ns)

    def status() -> dict[str, object]:
        found = cluster.json("get", "pod", "box", "-n", ns)["status"].get("containerStatuses") or [{}]
        return dict(found[0])

    until(lambda: "running" in str(status().get("state")), "it runs")
    assert (status()["started"], status()["ready"]) == (False, False)
    until(lambda: "Startup probe failed" in cluster.kubectl("get", "events", "-n", ns), "it was asked")
    cluster.kubectl("exec", "box", "-n", ns, "--", "touch", "/tmp/started")
    until(lambda: status()["started"] is True, "it has started")
    assert status()["ready"] is False
    cluster.kubectl("exec", "box", "-n", ns, "--", "touch", "/tmp/ready")
    until(lambda: status()["ready"] is True, "it is ready")
    cluster.kubectl("exec", "box", "-n", ns, "--", "touch", "/tmp/sick")
    until(lambda: status()["restartCount"] == 1, "it was restarted")
    until(lambda: "Liveness probe failed" in cluster.kubectl("get", "events", "-n", ns), "events tell of it")


def test_http_and_tcp_probes(cluster: Cluster, ns: str) -> None:
    manifest = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: nginx
    image: nginx
    imagePullPolicy: IfNotPresent
    ports: [{name: http, containerPort: 80}]
    readinessProbe: {httpGet: {path: /index.html, port: http}, periodSeconds: 1}
    livenessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
  - name: never
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sleep, "1000"]
    readinessProbe: {tcpSocket: {port: 81}, periodSeconds: 1}
"""
    cluster.apply(manifest, ns)

    def ready() -> dict[str, bool]:
        found = cluster.json("get", "pod", "web", "-n", ns)["status"].get("containerStatuses", [])
        return {one["name"]: one["ready"] for one in found}

    until(lambda: ready() == {"nginx": True, "never": False}, "HTTP succeeds, TCP on a closed port fails")
    until(lambda: "connection refused" in cluster.kubectl("get", "events", "-n", ns), "an event says why")


def test_init_containers_run_one_after_another_first(cluster: Cluster, ns: str) -> None:
    extra = """
volumes: [{name: work, emptyDir: {}}]
initContainers:
- {name: one, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "echo one >> /work/log"],
   volumeMounts: [{name: work, mountPath: /work}]}
- {name: two, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "echo two >> /work/log"],
   volumeMounts: [{name: work, mountPath: /work}]}
"""
    cluster.apply(pod("box", "cat /work/log", extra, "volumeMounts: [{name: work, mountPath: /work}]"), ns)
    assert finished(cluster, ns, "box").split() == ["one", "two"]


def test_a_pod_may_say_goodbye(cluster: Cluster, ns: str) -> None:
    folder = cluster.folder / "goodbye"
    folder.mkdir()
    extra = f"""
volumes: [{{name: host, hostPath: {{path: {folder}}}}}]
"""
    container = """
volumeMounts: [{name: host, mountPath: /host}]
lifecycle: {preStop: {exec: {command: [sh, -c, "echo hook >> /host/log"]}}}
"""
    command = "trap 'echo term >> /host/log; sleep 1; echo end >> /host/log; exit 0' TERM; sleep 1000 & wait"
    manifest = pod("box", command, extra, container).replace(
        "terminationGracePeriodSeconds: 1", "terminationGracePeriodSeconds: 20"
    )
    cluster.apply(manifest, ns)
    cluster.kubectl("wait", "pod/box", "-n", ns, "--for=condition=Ready", "--timeout=180s")
    cluster.kubectl("delete", "pod", "box", "-n", ns)
    assert (folder / "log").read_text().split() == ["hook", "term", "end"]
