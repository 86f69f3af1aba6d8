"""Users come to be as with any Kubernetes: by certificates the cluster signs, tokens in Secrets, acting as others."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.e2e.cluster import Cluster, run, until

pytestmark = pytest.mark.rootless


def with_user(cluster: Cluster, path: Path, user: dict[str, Any]) -> Path:
    """A kubeconfig of the cluster for another user."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = user
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return path


def kubectl(kubeconfig: Path, *arguments: str) -> tuple[int, str]:
    done = run(["kubectl", "--kubeconfig", str(kubeconfig), *arguments])
    return done.returncode, done.stdout + done.stderr


def test_a_user_gets_a_certificate_by_kubectl(api_only: Cluster, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "dev")]
    subject = x509.Name([*parts, x509.NameAttribute(x509.NameOID.COMMON_NAME, "jane")])
    signed = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    request = base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()
    signer = "kubernetes.io/kube-apiserver-client"
    spec = {"request": request, "signerName": signer, "usages": ["client auth"], "expirationSeconds": 3600}
    head = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "jane"}}
    api_only.kubectl("apply", "-f", "-", text=json.dumps({**head, "spec": spec}))
    assert "Pending" in api_only.kubectl("get", "csr", "jane")
    api_only.kubectl("certificate", "approve", "jane")

    def certificate() -> str:
        return str((api_only.json("get", "csr", "jane").get("status") or {}).get("certificate") or "")

    data = until(certificate, "the certificate is there", 20)
    assert "Approved,Issued" in api_only.kubectl("get", "csr", "jane")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    user = {"client-certificate-data": data, "client-key-data": base64.b64encode(pem).decode()}
    jane = with_user(api_only, tmp_path / "jane", user)
    code, said = kubectl(jane, "auth", "whoami", "-o", "json")
    assert (code, json.loads(said)["status"]["userInfo"]["username"]) == (0, "jane")
    assert kubectl(jane, "auth", "can-i", "list", "pods")[1].strip() == "no"
    api_only.kubectl("create", "clusterrolebinding", "devs", "--clusterrole=view", "--group=dev")
    until(lambda: kubectl(jane, "auth", "can-i", "list", "pods")[1].strip() == "yes", "she may look", 20)
    assert kubectl(jane, "get", "pods")[0] == 0
    code, said = kubectl(jane, "get", "pods", "--as=joe")
    assert (code, "cannot impersonate-on:user-info:list" in said) == (1, True)


def test_a_token_in_a_secret_goes_with_its_account(api_only: Cluster, tmp_path: Path) -> None:
    api_only.kubectl("create", "serviceaccount", "robot")
    meta = {"name": "robot", "annotations": {"kubernetes.io/service-account.name": "robot"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token", "metadata": meta}
    api_only.kubectl("apply", "-f", "-", text=json.dumps(secret))

    def token() -> str:
        return str((api_only.json("get", "secret", "robot").get("data") or {}).get("token") or "")

    text = base64.b64decode(until(token, "the token is there", 20)).decode()
    robot = with_user(api_only, tmp_path / "robot", {"token": text})
    code, said = kubectl(robot, "auth", "whoami")
    assert (code, "system:serviceaccount:default:robot" in said) == (0, True)
    api_only.kubectl("delete", "serviceaccount", "robot")
    until(lambda: api_only.try_kubectl("get", "secret", "robot").returncode == 1, "the Secret is gone", 20)
    until(lambda: "Unauthorized" in kubectl(robot, "get", "pods")[1], "the token is no good any more", 20)


def test_a_token_ends_with_what_it_is_bound_to(api_only: Cluster, tmp_path: Path) -> None:
    api_only.kubectl("create", "secret", "generic", "anchor")
    bound = ("--bound-object-kind=Secret", "--bound-object-name=anchor")
    text = api_only.kubectl("create", "token", "default", *bound).strip()
    user = with_user(api_only, tmp_path / "bound", {"token": text})
    assert kubectl(user, "auth", "whoami")[0] == 0
    api_only.kubectl("delete", "secret", "anchor")
    until(lambda: "Unauthorized" in kubectl(user, "get", "pods")[1], "the token is no good any more", 20)
