"""Certificates exchanged while watches go on: `knarr certificate`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from tests.e2e.cluster import KNARR, Cluster, run, until

pytestmark = pytest.mark.rootless


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose authority may change."""
    one = Cluster(f"certificates{os.getpid()}", tmp_path_factory.mktemp("certificates"))
    try:
        one.up("--api-only")
        yield one
    finally:
        one.down()


def _verb(cluster: Cluster, *words: str) -> subprocess.CompletedProcess[str]:
    return run([*KNARR, "certificate", *words, "--name", cluster.name])


def _certificates(path: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(path.read_bytes())


@contextmanager
def _watching(cluster: Cluster, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A kubectl that watches ConfigMaps and writes their names to a file."""
    command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "get", "configmaps", "--watch", "-o", "name"]
    with path.open("wb") as out:
        watch = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    try:
        until(lambda: "kube-root-ca.crt" in path.read_text(), "the watch shows what there is")
        yield watch
    finally:
        watch.kill()
        watch.wait()


def test_all_certificates_are_issued_anew_and_no_watch_ends(own: Cluster, tmp_path: Path) -> None:
    shown = _verb(own, "check")
    assert shown.returncode == 0 and "kube-apiserver" in shown.stdout and "365 days" not in shown.stderr
    before = {path: path.read_bytes() for path in (own.data_dir / "tls").glob("*.crt")}
    with _watching(own, tmp_path / "seen") as watch:
        done = _verb(own, "rotate")
        assert done.returncode == 0, done.stderr + own.logs()
        own.kubectl("create", "configmap", "after")
        until(lambda: "configmap/after" in (tmp_path / "seen").read_text(), "the watch goes on")
        assert watch.poll() is None
    changed = {path.stem for path, content in before.items() if path.read_bytes() != content}
    assert changed == {path.stem for path in before} - {"ca", "front-proxy-ca"}


def test_another_authority_takes_over_and_no_watch_ends(own: Cluster, tmp_path: Path) -> None:
    old_file = tmp_path / "old-kubeconfig"
    shutil.copy(own.kubeconfig, old_file)
    (old,) = _certificates(own.data_dir / "tls/ca.crt")
    with _watching(own, tmp_path / "seen") as watch:
        done = _verb(own, "rotate-ca")
        assert done.returncode == 0, done.stderr + own.logs()
        own.kubectl("create", "configmap", "after")
        until(lambda: "configmap/after" in (tmp_path / "seen").read_text(), "the watch goes on")
        assert watch.poll() is None
    new, kept = _certificates(own.data_dir / "tls/ca.crt")
    assert kept == old and new != old
    leaf, cross = _certificates(own.data_dir / "tls/serving.crt")
    leaf.verify_directly_issued_by(new)
    cross.verify_directly_issued_by(old)
    # Who has a copy of the old kubeconfig knows the old authority alone, and has its certificate.
    stale = run(["kubectl", "--kubeconfig", str(old_file), "get", "configmap", "after", "-o", "name"])
    assert stale.returncode == 0, stale.stderr
    bundle = (own.data_dir / "tls/ca.crt").read_text()
    root = ("get", "configmap", "kube-root-ca.crt", "-o", r"jsonpath={.data.ca\.crt}")
    until(lambda: own.kubectl(*root) == bundle, "pods are given both authorities")
    # A second time, and a server that starts anew with what is there.
    assert _verb(own, "rotate-ca").returncode == 0
    assert len(_certificates(own.data_dir / "tls/ca.crt")) == 3
    own.down_keeping_data()
    own.up("--api-only")
    assert own.kubectl("get", "configmap", "after", "-o", "name").strip() == "configmap/after"


def test_what_is_no_authority_is_refused(own: Cluster) -> None:
    tls = own.data_dir / "tls"
    done = _verb(own, "rotate-ca", "--certificate", str(tls / "admin.crt"), "--key", str(tls / "admin.key"))
    assert done.returncode == 1 and "not an authority's" in done.stderr
    done = _verb(own, "rotate-ca", "--certificate", str(tls / "ca.crt"))
    assert done.returncode == 1 and "go together" in done.stderr
    assert len(_certificates(tls / "ca.crt")) == 1 and not list(tls.glob("*next*"))
