"""From nothing to a served page: how long each step takes, and what server and agent hold. Needs root.

Usage: python -m bench.clusterbench NGINX.tar  (made by `scripts/demo-image nginx NGINX.tar`)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.measure import cpu_seconds, rss_mib

KNARR = [sys.executable, "-m", "knarr.cmd.main"]


def run(*command: str) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("it does not come")
        time.sleep(0.02)


def main() -> None:
    name = f"bench{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        config = f"{folder}/kubeconfig"
        kubectl = ["kubectl", "--kubeconfig", config]
        began = time.monotonic()
        try:
            run(*KNARR, "up", "--name", name, "--data-dir", f"{folder}/data", "--kubeconfig", config, "--port", "0")
            row("`knarr up` until the node is Ready", began)
            run(*KNARR, "images", "import", sys.argv[1], "--name", name)
            row("… and an nginx image is imported", began)
            run(*kubectl, "create", "deployment", "web", "--image=nginx")
            run(*kubectl, "expose", "deployment", "web", "--port=80")
            address = run(*kubectl, "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
            fetch = ["nsenter", f"--net=/run/netns/knarr-{name}", "busybox", "wget", "-q", "-O", "/dev/null"]
            until(
                lambda: not subprocess.run([*fetch, f"http://{address}/"], capture_output=True, check=False).returncode
            )
            row("… and nginx answers on its Service", began)
            time.sleep(20)
            pids = {key: one["pid"] for key, one in state(name)["processes"].items()}
            before, since = {key: cpu_seconds([pid]) for key, pid in pids.items()}, time.monotonic()
            time.sleep(20)
            for key, pid in pids.items():
                share = (cpu_seconds([pid]) - before[key]) / (time.monotonic() - since)
                print(f"| {key}, idle | {rss_mib(pid)} MiB | {share:.1%} of a core |")
        finally:
            run(*KNARR, "down", "--name", name)


def state(name: str) -> Any:
    done = subprocess.run([*KNARR, "status", "--name", name, "-o", "json"], capture_output=True, text=True, check=False)
    return json.loads(done.stdout)[0]


def row(what: str, began: float) -> None:
    print(f"| {what} | {time.monotonic() - began:.1f} s | |", flush=True)


if __name__ == "__main__":
    if not Path(sys.argv[-1]).is_file():
        raise SystemExit(__doc__)
    main()
