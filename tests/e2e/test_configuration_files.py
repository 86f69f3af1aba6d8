"""A bare server with kube-apiserver's configuration files: they are in force, or it does not start."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.cluster import KNARR, until
from tests.e2e.rest import Rest

pytestmark = pytest.mark.rootless
APISERVER = "apiserver.config.k8s.io"
SECRETS = "/api/v1/namespaces/default/secrets"
HIDDEN = "a-thing-that-nobody-may-read-in-the-file"


def encryption(*names: str) -> Any:
    """Secrets are written with the first key and read with all."""
    keys = [{"name": name, "secret": base64.b64encode(name.ljust(32).encode()).decode()} for name in names]
    providers = [{"aescbc": {"keys": keys}}, {"identity": {}}]
    resources = [{"resources": ["secrets"], "providers": providers}]
    return {"apiVersion": f"{APISERVER}/v1", "kind": "EncryptionConfiguration", "resources": resources}


FILES: dict[str, Any] = {
    "--audit-policy-file": {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "RequestResponse", "resources": [{"group": "", "resources": ["secrets"]}]},
            {"level": "None"},
        ],
    },
    "--encryption-provider-config": encryption("first"),
    "--admission-control-config-file": {
        "apiVersion": f"{APISERVER}/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [
            {
                "name": "PodSecurity",
                "configuration": {
                    "apiVersion": "pod-security.admission.config.k8s.io/v1",
                    "kind": "PodSecurityConfiguration",
                    "defaults": {"enforce": "baseline", "enforce-version": "latest"},
                },
            }
        ],
    },
    "--authorization-config": {
        "apiVersion": f"{APISERVER}/v1",
        "kind": "AuthorizationConfiguration",
        "authorizers": [{"type": "Node", "name": "node"}, {"type": "RBAC", "name": "rbac"}],
    },
    "--authentication-config": {
        "apiVersion": f"{APISERVER}/v1",
        "kind": "AuthenticationConfiguration",
        "anonymous": {"enabled": True, "conditions": [{"path": "/healthz"}]},
    },
}


class Bare:
    """A server with all files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.audit = folder, folder / "data", folder / "audit.log"
        given = []
        for flag, content in FILES.items():
            self.write(flag, content)
            given += [flag, str(self.path(flag))]
        given += ["--audit-log-path", str(self.audit), "--audit-log-maxsize", "1", "--audit-log-maxbackup", "2"]
        config = folder / "kubeconfig"
        command = [*KNARR, "server", "--role", "apiserver", "--foreground", "--port", "0", "--data-dir", str(self.data)]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--kubeconfig", str(config), *given], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(config.exists, "there is a kubeconfig")
        self.rest = Rest(config)
        until(self._ready, "it is ready")

    def path(self, flag: str) -> Path:
        return self.folder / f"{flag.strip('-')}.yaml"

    def write(self, flag: str, content: Any) -> None:
        self.path(flag).write_text(json.dumps(content))

    def stored(self) -> bytes:
        """All bytes of the database."""
        return b"".join(path.read_bytes() for path in self.data.glob("state.db*"))

    def events(self) -> list[Any]:
        """What has been written down about Secrets."""
        return [json.loads(line) for line in self.audit.read_text().splitlines()]

    def _ready(self) -> bool:
        try:
            return self.rest("GET", SECRETS)[0] == 200
        except OSError:
            return False


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Bare]:
    made = Bare(tmp_path)
    try:
        yield made
        made.process.send_signal(signal.SIGTERM)
        assert made.process.wait(90) == 0
    finally:
        made.process.kill()
        made.process.wait()


def secret(name: str, value: str) -> Any:
    return {"metadata": {"name": name}, "data": {"a": base64.b64encode(value.encode()).decode()}}


def test_files_are_in_force_and_followed(bare: Bare) -> None:
    rest = bare.rest
    rest.ok("POST", SECRETS, secret("first", HIDDEN))
    assert b"k8s:enc:aescbc:v1:first:" in bare.stored()
    assert HIDDEN.encode() not in bare.stored()
    assert base64.b64encode(HIDDEN.encode()) not in bare.stored()

    (event,) = [one for one in bare.events() if one["verb"] == "create"]
    assert (event["level"], event["stage"], event["user"]["username"]) == (
        "RequestResponse",
        "ResponseComplete",
        "admin",
    )
    assert event["responseObject"]["metadata"]["uid"]
    assert {one["objectRef"]["resource"] for one in bare.events()} == {"secrets"}

    rest.ok("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    host = {"hostNetwork": True, "automountServiceAccountToken": False, "containers": [{"name": "c", "image": "i"}]}
    status, told = rest("POST", "/api/v1/namespaces/default/pods", {"metadata": {"name": "p"}, "spec": host})
    assert status == 403
    assert 'violates PodSecurity "baseline:latest"' in told["message"]

    # A changed key is taken over, one that is broken is not, and what was written before can be read on.
    bare.write("--encryption-provider-config", encryption("second", "first"))

    def written_with_the_second() -> bool:
        rest.ok("PUT", f"{SECRETS}/first", secret("first", HIDDEN))
        return b"k8s:enc:aescbc:v1:second:" in bare.stored()

    until(written_with_the_second, "the new key writes")
    bare.path("--encryption-provider-config").write_text("broken: [")
    until(lambda: "old encryption configuration stays" in (bare.folder / "log").read_text(), "the log tells it")
    assert rest.ok("GET", f"{SECRETS}/first")["data"] == secret("first", HIDDEN)["data"]


def test_the_audit_log_begins_anew_when_it_is_full(bare: Bare) -> None:
    for number in range(6):
        bare.rest.ok("POST", SECRETS, secret(f"big{number}", "x" * 300_000))
    kept = list(bare.folder.glob("audit-*.log"))
    assert len(kept) == 2
    for path in (*kept, bare.audit):
        assert path.stat().st_size <= 1 << 20
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("flag", FILES)
def test_a_file_that_is_broken_is_told_and_nothing_starts(tmp_path: Path, flag: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("kind: [")
    command = [
        *KNARR,
        "server",
        "--role",
        "apiserver",
        "--foreground",
        "--port",
        "0",
        "--data-dir",
        str(tmp_path / "d"),
    ]
    kubeconfig = ["--kubeconfig", str(tmp_path / "kubeconfig")]
    done = subprocess.run(
        [*command, *kubeconfig, flag, str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert str(path) in done.stderr
