"""Secrets at rest: what the database's files show of them, and `knarr secrets-encrypt`."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
from collections.abc import Iterator

import pytest
from tests.e2e.cluster import KNARR, Cluster, run

pytestmark = pytest.mark.rootless


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose database nobody else writes to."""
    one = Cluster(f"encryption{os.getpid()}", tmp_path_factory.mktemp("encryption"))
    try:
        yield one
    finally:
        one.down()


def _verb(cluster: Cluster, *words: str) -> subprocess.CompletedProcess[str]:
    return run([*KNARR, "secrets-encrypt", *words, "--name", cluster.name])


def _secret(cluster: Cluster, name: str) -> bytes:
    """Make a Secret; gives what its text looks like where it is stored plainly."""
    text = f"the text of {name} that nobody should read"
    cluster.kubectl("create", "secret", "generic", name, f"--from-literal=text={text}")
    return base64.b64encode(text.encode())


def _stored(cluster: Cluster) -> bytes:
    return b"".join(path.read_bytes() for path in cluster.data_dir.glob("state.db*"))


def test_secrets_are_encrypted_from_the_start(own: Cluster) -> None:
    own.up("--api-only", "--secrets-encryption")
    text = _secret(own, "one")
    assert text not in _stored(own) and b"k8s:enc:secretbox:v1:key1:" in _stored(own)
    assert own.kubectl("get", "secret", "one", "-o", "jsonpath={.data.text}").encode() == text
    for path in own.data_dir.rglob("*"):
        if path.is_file() and "log" not in path.parts:
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077 or path.suffix == ".crt", path


def test_encryption_turned_on_its_key_exchanged_and_turned_off(own: Cluster) -> None:
    own.up("--api-only")
    assert "Encryption Status: Disabled" in _verb(own, "status").stdout
    never = _verb(own, "rotate-keys")
    assert never.returncode == 1 and "never enabled" in never.stderr
    plain = _secret(own, "plain")
    assert plain in _stored(own)
    done = _verb(own, "enable")
    assert done.returncode == 0 and "1 Secrets written" in done.stdout, done.stderr + own.logs()
    first = _secret(own, "first")
    assert first not in _stored(own)
    done = _verb(own, "rotate-keys")
    assert done.returncode == 0 and "2 Secrets written" in done.stdout, done.stderr + own.logs()
    status = _verb(own, "status").stdout
    assert "Enabled" in status and "All hashes match" in status and "secretbox key2" in status and "key1" not in status
    # A server that starts anew reads what the last one wrote.
    own.down_keeping_data()
    own.up("--api-only")
    for name, text in (("plain", plain), ("first", first)):
        assert own.kubectl("get", "secret", name, "-o", "jsonpath={.data.text}").encode() == text
    done = _verb(own, "disable")
    assert done.returncode == 0, done.stderr + own.logs()
    assert first in _stored(own)
