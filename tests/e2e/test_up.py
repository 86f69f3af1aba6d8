"""`knarr up`: what it says and takes back when it can't or may not go on, and whose kubeconfig it changes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from tests.e2e.cluster import KNARR, Cluster, run, until
from tests.e2e.manifests import pod
from tests.e2e.test_life import census

from knarr.cmd import clusters, preflight
from knarr.cri import programs

MEMBERS = ("supervisor", "server", "agent")
MINE = """
apiVersion: v1
kind: Config
current-context: work
clusters: [{name: work, cluster: {server: "https://work.example"}}]
users: [{name: me, user: {token: secret}}]
contexts: [{name: work, context: {cluster: work, user: me, namespace: team}}]
"""


@pytest.fixture
def one(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster that is not up yet; whatever comes of it is ended."""
    name = f"up{os.getpid()}-{abs(hash(request.node.name)) % 10000}"
    made = Cluster(name, tmp_path_factory.mktemp(name))
    yield made
    assert made.down().returncode == 0


def up(cluster: Cluster, *options: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """`knarr up` in the background, its output in pipes."""
    where = ["--data-dir", str(cluster.data_dir), "--kubeconfig", str(cluster.kubeconfig)]
    command = [*KNARR, "up", "--name", cluster.name, *where, *options]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        command, text=True, env={**os.environ, **(environment or {})}, preexec_fn=_as_in_a_terminal, **pipes
    )


def _as_in_a_terminal() -> None:
    # What a shell starts in the background ignores Ctrl-C, and behind `nohup` the terminal's end, and so would all that
    # it starts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def refusal(cluster: Cluster, *options: str, environment: Mapping[str, str] | None = None) -> str:
    """The one line with which `knarr up` gives up at once, leaving nothing."""
    before = census(cluster.name)
    process = up(cluster, *options, environment=environment)
    out, error = process.communicate(timeout=180)
    assert process.returncode == 1, out
    assert out == ""
    assert error.startswith("knarr up: ")
    assert error.count("\n") == 1, error
    assert census(cluster.name) == before
    assert run([*KNARR, "status", "--name", cluster.name]).stdout == f"No cluster '{cluster.name}'.\n"
    assert not list(clusters.run_dir().glob(f"{cluster.name}.*"))
    assert not cluster.data_dir.is_dir()
    return error.removeprefix("knarr up: ").strip()


def started(cluster: Cluster, process: subprocess.Popen[str]) -> None:
    """Wait until a cluster in the foreground is ready."""
    assert process.stdout is not None
    first = process.stdout.readline()
    assert "is ready" in first, process.communicate(timeout=180)


def test_a_port_that_is_taken(one: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        expected = f"port {port} on 127.0.0.1: Address already in use; --port 0 picks a free one"
        assert refusal(one, "--port", str(port)) == expected


def test_a_data_directory_that_cannot_be_written(one: Cluster) -> None:
    one.data_dir.write_text("a file is in the way")
    assert refusal(one, "--port", "0") == f"data directory {one.data_dir} cannot be written: File exists"


def test_a_data_directory_with_something_else_in_it(one: Cluster) -> None:
    one.data_dir.mkdir()
    (one.data_dir / "letter").write_text("mine")
    process = up(one, "--port", "0")
    _, error = process.communicate(timeout=180)
    assert process.returncode == 1
    assert error == f"knarr up: data directory {one.data_dir} holds 'letter', which is no cluster's; name another\n"
    assert (one.data_dir / "letter").read_text() == "mine"


def test_a_program_that_is_not_installed(one: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a PATH with everything but containerd; the folders of system programs are looked at, too."""
    for program in ("ip", "nsenter", "nft", "runc"):
        (tmp_path / program).symlink_to(shutil.which(program) or "")
    monkeypatch.setattr(programs, "SBIN", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(preflight.UpError, match=r"^not installed: containerd \(package containerd\)$"):
        preflight._check_node()


def test_a_kernel_without_nftables(one: Cluster, tmp_path: Path) -> None:
    nft = tmp_path / "nft"
    real = shutil.which("nft")
    nft.write_text(
        f"""#!/bin/sh
        case "$*" in "-f -") echo 'netlink: cache initialization failed: Protocol not supported' >&2; exit 1;; esac
        exec {real} "$@"
        """
    )
    nft.chmod(0o755)
    said = refusal(one, "--port", "0", environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert said.startswith("this kernel lacks nftables with address translation")
    assert said.endswith("Protocol not supported")


def test_nobody_listens_when_it_is_ready(one: Cluster) -> None:
    """As with `knarr up | head`: the cluster stays."""
    process = up(one, "--api-only", "--port", "0")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert (process.stderr.read(), process.wait(180)) == ("", 0)
    process.stderr.close()
    assert one.kubectl("get", "--raw", "/readyz") == "ok"


def test_a_second_time(one: Cluster) -> None:
    one.up("--api-only")
    process = up(one, "--api-only", "--port", "0")
    _, error = process.communicate(timeout=180)
    hint = f"`knarr status` shows it, `knarr down --name {one.name}` ends it"
    assert (process.returncode, error) == (1, f"knarr up: cluster {one.name!r} runs already; {hint}\n")
    assert one.kubectl("get", "--raw", "/readyz") == "ok"


def test_twice_at_once(one: Cluster) -> None:
    both = [up(one, "--api-only", "--port", "0") for _ in range(2)]
    said = [process.communicate(timeout=180) for process in both]
    assert sorted(process.returncode for process in both) == [0, 1]
    assert sum("runs already" in error for _, error in said) == 1
    assert one.kubectl("get", "--raw", "/readyz") == "ok"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["INT", "TERM", "HUP"])
def test_broken_off_half_way(one: Cluster, number: signal.Signals) -> None:
    before = census(one.name)
    process = up(one, "--port", "0")
    until(lambda: list((one.data_dir / "log").glob("agent.log")), "the agent starts")
    process.send_signal(number)
    out, error = process.communicate(timeout=180)
    assert (process.returncode, out, error) == (130, "", "knarr up: interrupted\n")
    assert census(one.name) == before
    assert not one.data_dir.exists()
    assert run([*KNARR, "status", "--name", one.name]).stdout == f"No cluster '{one.name}'.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["INT", "HUP"])
def test_the_end_of_a_cluster_in_the_foreground(one: Cluster, number: signal.Signals, images: dict[str, Path]) -> None:
    before = census(one.name)
    process = up(one, "--port", "0", "--foreground")
    started(one, process)
    one.import_image(images["busybox"])
    one.apply(pod("box", "sleep 1000", restart="Always"), "default")
    one.kubectl("wait", "pod/box", "--for=condition=Ready", "--timeout=180s")
    process.send_signal(number)
    _, error = process.communicate(timeout=180)
    assert (process.returncode, error) == (0, "")
    until(lambda: census(one.name) == before, "nothing but the data is left")
    said = run([*KNARR, "status", "--name", one.name]).stdout
    assert said.startswith(f"{one.name}: stopped; `knarr up` goes on with it\n")
    assert one.name not in one.kubeconfig.read_text()
    if number == signal.SIGINT:
        one.up()
        # As after a restart of the machine: the pod is the same, its container another.
        until(lambda: one.json("get", "pod", "box")["status"]["containerStatuses"][0]["restartCount"] == 1, "it runs")
        one.kubectl("wait", "pod/box", "--for=condition=Ready", "--timeout=180s")


def test_all_killed_at_once_and_up_again(one: Cluster, images: dict[str, Path]) -> None:
    one.up()
    one.import_image(images["busybox"])
    one.apply(pod("box", "sleep 1000"), "default")
    one.kubectl("wait", "pod/box", "--for=condition=Ready", "--timeout=180s")
    before = one.json("get", "pod", "box")["status"]["containerStatuses"][0]
    found = one.state()["processes"]
    containerd = int((one.data_dir / "agent" / "run" / "containerd.pid").read_text())
    for pid in (*(found[member]["pid"] for member in MEMBERS), containerd):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(one.state()["processes"][member]["running"] for member in MEMBERS), "all are dead")
    one.up()
    after = one.json("get", "pod", "box")["status"]["containerStatuses"][0]
    assert (after["containerID"], after["restartCount"]) == (before["containerID"], 0)
    assert one.kubectl("exec", "box", "--", "echo", "hello") == "hello\n"


@pytest.mark.parametrize("pair", [("supervisor", "server"), ("supervisor", "agent"), ("server", "agent")])
def test_two_killed_at_once(cluster: Cluster, pair: tuple[str, str]) -> None:
    found = cluster.state()["processes"]
    for member in pair:
        os.kill(found[member]["pid"], signal.SIGKILL)

    def back() -> bool:
        now = cluster.state()
        return bool(now["healthy"]) and all(now["processes"][one]["pid"] != found[one]["pid"] for one in pair)

    until(back, "all run again")
    (third,) = set(MEMBERS) - set(pair)
    assert cluster.state()["processes"][third] == found[third]


def contexts(path: Path) -> set[str]:
    return {one["name"] for one in yaml.safe_load(path.read_text())["contexts"]}


@pytest.mark.rootless
@pytest.mark.parametrize("where", ["HOME", "KUBECONFIG"])
def test_the_context_goes_to_ones_own_kubeconfig_and_away_again(one: Cluster, where: str, tmp_path: Path) -> None:
    mine = tmp_path / (".kube/config" if where == "HOME" else "elsewhere")
    mine.parent.mkdir(exist_ok=True)
    mine.write_text(MINE)
    mine.chmod(0o640)
    environment = {name: value for name, value in os.environ.items() if name not in ("KUBECONFIG", "SUDO_UID")}
    environment[where] = str(tmp_path) if where == "HOME" else f"{mine}:/nowhere"
    done = _own(one, environment)
    assert done.returncode == 0, done.stderr
    assert contexts(mine) == {"work", f"knarr-{one.name}"}
    ready = subprocess.run(["kubectl", "get", "--raw", "/readyz"], env=environment, capture_output=True, check=False)
    assert ready.stdout == b"ok"
    assert one.down().returncode == 0
    assert yaml.safe_load(mine.read_text()) == {**yaml.safe_load(MINE)}
    assert mine.stat().st_mode & 0o777 == 0o640


@pytest.mark.rootless
def test_a_kubeconfig_that_is_broken_is_left_alone(one: Cluster) -> None:
    one.kubeconfig.write_text("contexts: [")
    assert refusal(one, "--api-only", "--port", "0").startswith(f"kubeconfig {one.kubeconfig} is no valid YAML")
    one.kubeconfig.unlink()
    one.up("--api-only")
    one.kubeconfig.write_text("contexts: [")
    ended = one.down()
    assert ended.returncode == 1
    assert f"left behind: kubectl context 'knarr-{one.name}': {one.kubeconfig} is no valid YAML" in ended.stderr
    assert not one.data_dir.exists()
    assert one.kubeconfig.read_text() == "contexts: ["


def test_behind_sudo_it_is_the_kubeconfig_of_who_called_it(one: Cluster, tmp_path: Path) -> None:
    """With a user database of our own, in a mount namespace of our own."""
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 4711, 4711)
    users = tmp_path / "passwd"
    users.write_text(Path("/etc/passwd").read_text() + f"caller:x:4711:4711::{home}:/bin/sh\n")
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    inside = ["unshare", "-m", "sh", "-c", f'mount --bind {users} /etc/passwd && exec "$@"', "sh"]
    done = _own(one, {**environment, "SUDO_UID": "4711", "HOME": str(tmp_path)}, inside)
    assert done.returncode == 0, done.stderr
    mine = home / ".kube" / "config"
    assert contexts(mine) == {f"knarr-{one.name}"}
    assert {(path.stat().st_uid, path.stat().st_gid) for path in (mine, mine.parent)} == {(4711, 4711)}
    assert mine.stat().st_mode & 0o777 == 0o600
    assert one.down().returncode == 0
    assert contexts(mine) == set()
    assert (mine.stat().st_uid, mine.stat().st_gid) == (4711, 4711)


def _own(
    cluster: Cluster, environment: Mapping[str, str], inside: list[str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`knarr up` without saying which kubeconfig."""
    options = ["--name", cluster.name, "--data-dir", str(cluster.data_dir), "--port", "0", "--api-only"]
    command = [*(inside or []), *KNARR, "up", *options]
    return subprocess.run(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_down_right_after_the_supervisor_was_killed(one: Cluster) -> None:
    before = census(one.name)
    one.up()
    os.kill(one.state()["processes"]["supervisor"]["pid"], signal.SIGKILL)
    ended = one.down()
    assert ended.returncode == 0, ended.stderr
    until(lambda: census(one.name) == before, "nothing is left and nobody comes back")
    assert run([*KNARR, "status", "--name", one.name]).stdout == f"No cluster '{one.name}'.\n"


def test_who_asks_while_no_server_runs_is_answered_by_the_next(cluster: Cluster, ns: str) -> None:
    for number in range(3):
        os.kill(cluster.state()["processes"]["server"]["pid"], signal.SIGKILL)
        cluster.kubectl("create", "configmap", f"c{number}", "-n", ns)
        cluster.apply(pod(f"box{number}", "sleep 1000"), ns)
        cluster.kubectl("wait", "-n", ns, f"pod/box{number}", "--for=condition=Ready", "--timeout=180s")
