"""`knarr simulate` on a cluster without a node, seen through kubectl."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.e2e.cluster import KNARR, Cluster, run, until

pytestmark = pytest.mark.rootless

STAGES = """
apiVersion: simulation.knarr.dev/v1alpha1
kind: Stage
metadata: {name: runs}
spec:
  resourceRef: {kind: Pod}
  selector: {matchExpressions: [{key: .status.phase, operator: In, values: [Pending]}]}
  next: {pod: {phase: Running}}
---
apiVersion: simulation.knarr.dev/v1alpha1
kind: Stage
metadata: {name: breaks}
spec:
  resourceRef: {kind: Pod}
  selector: {matchExpressions: [{key: .status.phase, operator: In, values: [Running]}]}
  delay: {durationMilliseconds: 100, jitterDurationMilliseconds: 300}
  next:
    event: {type: Warning, reason: Broke, message: it broke}
    pod: {phase: Failed, exitCode: 7}
"""


@contextmanager
def simulating(cluster: Cluster, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A simulation for as long as the block lasts, then ended as Ctrl-C does."""
    command = [*KNARR, "simulate", "--kubeconfig", str(cluster.kubeconfig), *options]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                out, _ = process.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert process.returncode == 0, out


def names(cluster: Cluster, *arguments: str) -> list[str]:
    return cluster.kubectl("get", *arguments, "-o", "name").split()


def test_a_deployment_runs_on_simulated_nodes_and_nothing_is_left_of_them(api_only: Cluster) -> None:
    with simulating(api_only, "--nodes", "5", "--pods", "20", "--deployments", "2", "--prefix", "life") as process:
        assert process.stdout is not None
        of_ours = ("-n", "simulation", "-l", "simulation.knarr.dev/name=life")
        api_only.kubectl("wait", "--for=create", "deployment/life-1", "-n", "simulation", "--timeout=60s")
        api_only.kubectl("rollout", "status", "deployment/life-0", "deployment/life-1", "-n", "simulation")
        assert len(names(api_only, "pods", *of_ours, "--field-selector=status.phase=Running")) == 20
        assert len(names(api_only, "nodes", "-l", "simulation.knarr.dev/name=life")) == 5
        api_only.kubectl("wait", "--for=condition=Ready", "node/life-00004", "--timeout=60s")
        api_only.kubectl("rollout", "restart", "deployment/life-0", "-n", "simulation")
        api_only.kubectl("rollout", "status", "deployment/life-0", "-n", "simulation")
    assert names(api_only, "nodes", "-l", "simulation.knarr.dev/name=life") == []
    assert names(api_only, "pods", "-A", "-l", "simulation.knarr.dev/name=life") == []
    assert names(api_only, "leases", "-A", "-l", "simulation.knarr.dev/name=life") == []
    until(lambda: api_only.try_kubectl("get", "namespace", "simulation").returncode == 1, "the namespace is gone")


def test_stages_of_ones_own_are_played(api_only: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "stages.yaml"
    file.write_text(STAGES)
    options = ("--nodes", "2", "--pods", "6", "--prefix", "stages", "--namespace", "staged", "--stages", str(file))
    with simulating(api_only, *options):

        def failed() -> int:
            states = api_only.try_kubectl(
                "get", "pods", "-n", "staged", "-o",
                "jsonpath={.items[*].status.containerStatuses[0].state.terminated.exitCode}",
            )  # fmt: skip
            return states.stdout.split().count("7")

        until(lambda: failed() == 6, "all pods have failed")
        until(lambda: "it broke" in api_only.kubectl("get", "events", "-n", "staged"), "the event is told")


def test_it_clears_up_where_pods_of_others_wait_and_its_own_stages_know_no_end(
    api_only: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "stages.yaml"
    file.write_text(STAGES.split("---")[0])
    api_only.kubectl("run", "waits", "--image=nowhere", "--overrides", '{"spec": {"nodeSelector": {"no": "where"}}}')
    options = ("--nodes", "1", "--pods", "2", "--prefix", "endless", "--namespace", "endless", "--stages", str(file))
    done = run([*KNARR, "simulate", "--kubeconfig", str(api_only.kubeconfig), *options, "--once"])
    assert done.returncode == 0, done.stderr
    assert names(api_only, "nodes", "-l", "simulation.knarr.dev/name=endless") == []
    assert names(api_only, "pods", "waits") == ["pod/waits"]
    api_only.kubectl("delete", "pod", "waits")


def test_once_ends_by_itself_and_says_how_long_it_took(api_only: Cluster) -> None:
    options = ("--nodes", "2", "--pods", "4", "--prefix", "once", "--namespace", "once", "--once")
    done = run([*KNARR, "simulate", "--kubeconfig", str(api_only.kubeconfig), *options])
    assert done.returncode == 0, done.stderr
    assert "pods 4 Ready" in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--nodes", "0"), "--nodes must be at least 1"),
        (("--nodes", "40000"), "has room for 32768 nodes"),
        (("--node-pods", "300"), "--node-pods: 250 at most"),
        (("--pods", "1", "--deployments", "2"), "--deployments: more than --pods"),
        (("--label", "x"), "--label x: expected KEY=VALUE"),
        (("--stages", "/nonexistent"), "No such file"),
        (("--name", "no-such"), "no cluster 'no-such'"),
        (("--prefix", "Not_A_Name"), "Invalid value"),
    ],
)
def test_what_cannot_be_is_said(api_only: Cluster, options: tuple[str, ...], message: str) -> None:
    done = run([*KNARR, "simulate", "--kubeconfig", str(api_only.kubeconfig), *options])
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
