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


def signing_request(name: str, user: str, group: str, signer: str, *usages: str) -> tuple[str, dict[str, str]]:
    """A CertificateSigningRequest, and the key that goes with it, as a kubeconfig has it."""
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, group)]
    subject = x509.Name([*parts, x509.NameAttribute(x509.NameOID.COMMON_NAME, user)])
    signed = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    request = base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()
    spec = {"request": request, "signerName": f"kubernetes.io/{signer}", "usages": usages, "expirationSeconds": 3600}
    head = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name}}
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return json.dumps({**head, "spec": spec}), {"client-key-data": base64.b64encode(pem).decode()}


def certificate(cluster: Cluster, name: str) -> str:
    return str((cluster.json("get", "csr", name).get("status") or {}).get("certificate") or "")


def test_a_user_gets_a_certificate_by_kubectl(api_only: Cluster, tmp_path: Path) -> None:
    request, user = signing_request("jane", "jane", "dev", "kube-apiserver-client", "client auth")
    api_only.kubectl("apply", "-f", "-", text=request)
    assert "Pending" in api_only.kubectl("get", "csr", "jane")
    api_only.kubectl("certificate", "approve", "jane")

    user["client-certificate-data"] = until(lambda: certificate(api_only, "jane"), "the certificate is there")
    assert "Approved,Issued" in api_only.kubectl("get", "csr", "jane")
    jane = with_user(api_only, tmp_path / "jane", user)
    code, said = kubectl(jane, "auth", "whoami", "-o", "json")
    assert (code, json.loads(said)["status"]["userInfo"]["username"]) == (0, "jane")
    assert kubectl(jane, "auth", "can-i", "list", "pods")[1].strip() == "no"
    api_only.kubectl("create", "clusterrolebinding", "devs", "--clusterrole=view", "--group=dev")
    until(lambda: kubectl(jane, "auth", "can-i", "list", "pods")[1].strip() == "yes", "she may look")
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

    text = base64.b64decode(until(token, "the token is there")).decode()
    robot = with_user(api_only, tmp_path / "robot", {"token": text})
    code, said = kubectl(robot, "auth", "whoami")
    assert (code, "system:serviceaccount:default:robot" in said) == (0, True)
    api_only.kubectl("delete", "serviceaccount", "robot")
    until(lambda: api_only.try_kubectl("get", "secret", "robot").returncode == 1, "the Secret is gone")
    until(lambda: "Unauthorized" in kubectl(robot, "get", "pods")[1], "the token is no good any more")


def test_a_token_ends_with_what_it_is_bound_to(api_only: Cluster, tmp_path: Path) -> None:
    api_only.kubectl("create", "secret", "generic", "anchor")
    bound = ("--bound-object-kind=Secret", "--bound-object-name=anchor")
    text = api_only.kubectl("create", "token", "default", *bound).strip()
    user = with_user(api_only, tmp_path / "bound", {"token": text})
    assert kubectl(user, "auth", "whoami")[0] == 0
    api_only.kubectl("delete", "secret", "anchor")
    until(lambda: "Unauthorized" in kubectl(user, "get", "pods")[1], "the token is no good any more")


def test_a_kubelet_gets_its_certificate_by_a_bootstrap_token(api_only: Cluster, tmp_path: Path) -> None:
    data = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:nodes",
    }
    meta = {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token", "metadata": meta}
    api_only.kubectl("apply", "-f", "-", text=json.dumps({**secret, "stringData": data}))
    # What kubeadm gives to those who join.
    for name, role in (
        ("join", "system:node-bootstrapper"),
        ("approve", "system:certificates.k8s.io:certificatesigningrequests:nodeclient"),
    ):
        api_only.kubectl(
            "create", "clusterrolebinding", name, f"--clusterrole={role}", "--group=system:bootstrappers:nodes"
        )
    joining = with_user(api_only, tmp_path / "joining", {"token": "abcdef.0123456789abcdef"})
    usages = ("client auth", "digital signature")
    request, user = signing_request("n1", "system:node:n1", "system:nodes", "kube-apiserver-client-kubelet", *usages)
    (tmp_path / "request").write_text(request)
    until(lambda: kubectl(joining, "create", "-f", str(tmp_path / "request"))[0] == 0, "the request is taken")
    user["client-certificate-data"] = until(lambda: certificate(api_only, "n1"), "the certificate is there")
    (condition,) = api_only.json("get", "csr", "n1")["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("Approved", "AutoApproved")
    node = with_user(api_only, tmp_path / "node", user)
    assert json.loads(kubectl(node, "auth", "whoami", "-o", "json")[1])["status"]["userInfo"]["groups"] == [
        "system:nodes",
        "system:authenticated",
    ]
    # Who joins may not look around, and a wrong secret is nobody's.
    assert "forbidden" in kubectl(joining, "get", "secrets", "-A")[1]
    wrong = with_user(api_only, tmp_path / "wrong", {"token": "abcdef.0123456789abcdee"})
    assert "Unauthorized" in kubectl(wrong, "get", "csr")[1]
