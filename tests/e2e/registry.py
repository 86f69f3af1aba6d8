"""A registry for tests: Debian's docker-registry on a loopback port of the node's own network namespace."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.cluster import ROOT, Cluster, until

ADDRESS = "127.0.0.1:5000"
USER, PASSWORD = "knarr", "secret"
#: bcrypt, the only form the registry reads.
_HTPASSWD = f"{USER}:$2b$04$8JfMn/bnpX01d/3B1yGqauRGI7jbiYCPpAxpI4oQuHfL18UGSnkbK\n"
_CONFIG = """
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: {address}}}
auth: {{htpasswd: {{realm: tests, path: {folder}/htpasswd}}}}
"""
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@contextmanager
def running(cluster: Cluster, folder: Path) -> Iterator[None]:
    """The registry, which asks for user and password."""
    (folder / "htpasswd").write_text(_HTPASSWD)
    (folder / "config.yml").write_text(_CONFIG.format(folder=folder, address=ADDRESS))
    with (folder / "registry.log").open("wb") as log:
        net = f"--net=/run/netns/knarr-{cluster.name}"
        command = ["nsenter", net, "--", "docker-registry", "serve", str(folder / "config.yml")]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        # Unauthorized is an answer as well.
        until(
            lambda: "401" in cluster.in_node("busybox", "wget", "-O", "-", f"http://{ADDRESS}/v2/").stderr, "it serves"
        )
        yield
    finally:
        process.terminate()
        process.wait(60)


def push(cluster: Cluster, archive: Path, name: str) -> str:
    """Put the image of an OCI archive into the registry; gives its digest."""
    done = cluster.in_node("env", f"PYTHONPATH={ROOT}", sys.executable, "-m", __name__, str(archive), name)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def credentials() -> str:
    """A `.dockerconfigjson` for the registry."""
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return json.dumps({"auths": {ADDRESS: {"auth": auth}}})


def _push(archive: Path, name: str) -> str:
    repository, _, tag = name.partition(":")
    with tarfile.open(archive) as tar:
        blobs = {Path(item.name).name: _read(tar, item) for item in tar if item.name.startswith("blobs/")}
        (wanted,) = json.loads(_read(tar, tar.getmember("index.json")))["manifests"]
    manifest = blobs.pop(wanted["digest"].removeprefix("sha256:"))
    for data in blobs.values():
        begun = _call("POST", f"http://{ADDRESS}/v2/{repository}/blobs/uploads/", b"")
        _call("PUT", f"{begun}&digest=sha256:{hashlib.sha256(data).hexdigest()}", data)
    _call("PUT", f"http://{ADDRESS}/v2/{repository}/manifests/{tag}", manifest, _MANIFEST)
    return str(wanted["digest"])


def _read(tar: tarfile.TarFile, item: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(item)
    return file.read() if file else b""


def _call(method: str, url: str, data: bytes, media: str = "application/octet-stream") -> str:
    """The `Location` of the answer."""
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {auth}", "Content-Type": media}
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(answer.headers.get("Location", ""))


if __name__ == "__main__":
    sys.stdout.write(_push(Path(sys.argv[1]), sys.argv[2]))
