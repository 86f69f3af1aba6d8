"""The specification's [sig-auth] behaviours, each in a test of its own."""

from __future__ import annotations

import base64
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.cluster import Cluster, until
from tests.e2e.manifests import pod
from tests.e2e.rest import Rest

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture
def rest(api_only: Cluster) -> Rest:
    return Rest(api_only.kubeconfig)


@pytest.fixture
def space(rest: Rest, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace without a node behind it."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:50].strip("-")
    rest.ok("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    rest("DELETE", f"/api/v1/namespaces/{name}")


def request_for(name: str) -> str:
    """A certificate request, as CertificateSigningRequests carry it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    signed = x509.CertificateSigningRequestBuilder().subject_name(subject)
    pem = signed.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(pem.public_bytes(serialization.Encoding.PEM)).decode()


def signing_request(signer: str, **labels: str) -> Any:
    spec = {"request": request_for("e2e-example"), "signerName": signer, "expirationSeconds": 3600}
    meta = {"generateName": "e2e-example-csr-", "labels": labels}
    return {"metadata": meta, "spec": {**spec, "usages": ["digital signature", "server auth"]}}


@pytest.mark.rootless
def test_certificates_api_operations(rest: Rest) -> None:
    """[sig-auth] Certificates API should support CSR API operations"""
    groups = {item["name"] for item in rest.ok("GET", "/apis")["groups"]}
    assert "certificates.k8s.io" in groups
    found = {item["name"] for item in rest.ok("GET", CSRS.rsplit("/", 1)[0])["resources"]}
    plural = "certificatesigningrequests"
    assert {plural, f"{plural}/approval", f"{plural}/status"} <= found

    signer, chosen = "example.com/e2e", "?labelSelector=special%3De2e"
    made = [rest.ok("POST", CSRS, signing_request(signer, special="e2e")) for _ in range(3)]
    name = made[0]["metadata"]["name"]
    path = f"{CSRS}/{name}"
    assert rest.ok("GET", path)["metadata"]["uid"] == made[0]["metadata"]["uid"]
    assert len(rest.ok("GET", CSRS + chosen)["items"]) == 3
    version = made[0]["metadata"]["resourceVersion"]

    patch = {"metadata": {"annotations": {"patched": "true"}}}
    assert rest.ok("PATCH", path, patch, Content_Type=MERGE)["metadata"]["annotations"]["patched"] == "true"
    current = rest.ok("GET", path)
    current["metadata"]["annotations"]["updated"] = "true"
    assert rest.ok("PUT", path, current)["metadata"]["annotations"]["updated"] == "true"
    seen = rest.watch(f"{CSRS}{chosen}&resourceVersion={version}", 4)
    changed = [event["type"] for event in seen if event["object"]["metadata"]["name"] == name]
    assert changed == ["MODIFIED", "MODIFIED"]

    approve_and_sign(rest, path)

    rest.ok("DELETE", path)
    assert rest("GET", path)[0] == 404
    rest.ok("DELETE", CSRS + chosen)
    assert rest.ok("GET", CSRS + chosen)["items"] == []


def approve_and_sign(rest: Rest, path: str) -> None:
    approval = rest.ok("GET", f"{path}/approval")
    condition = {"type": "ApprovalPatch", "status": "True", "reason": "e2e"}
    approval["status"]["conditions"] = [
        {"type": "Approved", "status": "True", "reason": "E2E", "message": "Set by e2e"}
    ]
    approved = rest.ok("PUT", f"{path}/approval", approval)
    assert [item["type"] for item in approved["status"]["conditions"]] == ["Approved"]
    both = {"status": {"conditions": [*approved["status"]["conditions"], condition]}}
    patched = rest.ok("PATCH", f"{path}/approval", both, Content_Type=MERGE)
    assert [item["type"] for item in patched["status"]["conditions"]] == ["Approved", "ApprovalPatch"]

    status = rest.ok("GET", f"{path}/status")
    certificate = certificate_of(rest)
    status["status"]["certificate"] = certificate
    assert rest.ok("PUT", f"{path}/status", status)["status"]["certificate"] == certificate
    more = [*patched["status"]["conditions"], {"type": "StatusPatch", "status": "True", "reason": "e2e"}]
    final = rest.ok("PATCH", f"{path}/status", {"status": {"conditions": more}}, Content_Type=MERGE)
    assert final["status"]["conditions"][-1]["type"] == "StatusPatch"


def certificate_of(rest: Rest) -> str:
    """Some certificate."""
    found = rest.ok("GET", "/api/v1/namespaces/default/configmaps/kube-root-ca.crt")
    return base64.b64encode(found["data"]["ca.crt"].encode()).decode()


@pytest.mark.rootless
def test_service_account_token_and_its_review(rest: Rest, space: str) -> None:
    """[sig-auth] ServiceAccounts should create a serviceAccountToken and ensure a successful TokenReview"""
    accounts = f"/api/v1/namespaces/{space}/serviceaccounts"
    rest.ok("POST", accounts, {"metadata": {"name": "e2e"}})
    token = rest.ok("POST", f"{accounts}/e2e/token", {"spec": {"audiences": []}})["status"]["token"]
    assert token
    review = rest.ok("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}})["status"]
    assert review["authenticated"]
    assert "error" not in review
    assert review["user"]["username"] == f"system:serviceaccount:{space}:e2e"


@pytest.mark.rootless
def test_the_root_ca_is_in_every_namespace(rest: Rest, space: str) -> None:
    """[sig-auth] ServiceAccounts should guarantee kube-root-ca.crt exist in any namespace"""
    path = f"/api/v1/namespaces/{space}/configmaps/kube-root-ca.crt"

    def authority() -> Any:
        status, found = rest("GET", path)
        return (found.get("data") or {}).get("ca.crt") if status == 200 else None

    original = until(authority, "it is there")
    assert "BEGIN CERTIFICATE" in original
    rest.ok("DELETE", path)
    until(lambda: authority() == original, "it is there again")
    rest.ok("PATCH", path, {"data": {"ca.crt": ""}}, Content_Type=MERGE)
    until(lambda: authority() == original, "it is right again")


@pytest.mark.rootless
def test_the_life_of_a_service_account(rest: Rest, space: str) -> None:
    """[sig-auth] ServiceAccounts should run through the lifecycle of a ServiceAccount"""
    accounts = f"/api/v1/namespaces/{space}/serviceaccounts"
    made = rest.ok("POST", accounts, {"metadata": {"name": "testserviceaccount", "labels": {"static": "true"}}})
    patch = {"metadata": {"labels": {"test": "patched"}}, "automountServiceAccountToken": False}
    path = f"{accounts}/testserviceaccount"
    assert rest.ok("PATCH", path, patch, Content_Type=STRATEGIC)["metadata"]["labels"]["test"] == "patched"
    (found,) = rest.ok("GET", "/api/v1/serviceaccounts?labelSelector=static%3Dtrue")["items"]
    assert (found["metadata"]["name"], found["automountServiceAccountToken"]) == ("testserviceaccount", False)
    rest.ok("DELETE", f"{accounts}?labelSelector=static%3Dtrue")
    version = int(made["metadata"]["resourceVersion"]) - 1
    events = rest.watch(f"{accounts}?labelSelector=static%3Dtrue&resourceVersion={version}", 3)
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]


@pytest.mark.rootless
def test_a_service_account_is_updated(rest: Rest, space: str) -> None:
    """[sig-auth] ServiceAccounts should update a ServiceAccount"""
    accounts = f"/api/v1/namespaces/{space}/serviceaccounts"
    made = rest.ok("POST", accounts, {"metadata": {"name": "e2e"}, "automountServiceAccountToken": False})
    made["automountServiceAccountToken"] = True
    assert rest.ok("PUT", f"{accounts}/e2e", made)["automountServiceAccountToken"] is True
    assert rest.ok("GET", f"{accounts}/e2e")["automountServiceAccountToken"] is True


@pytest.mark.rootless
def test_subject_reviews_say_what_the_subject_finds(rest: Rest, space: str) -> None:
    """[sig-auth] SubjectReview should support SubjectReview API operations"""
    rest.ok("POST", f"/api/v1/namespaces/{space}/serviceaccounts", {"metadata": {"name": "e2e"}})
    user = f"system:serviceaccount:{space}:e2e"
    attributes = {"verb": "list", "resource": "configmaps", "version": "v1", "namespace": space}
    prefix = "/apis/authorization.k8s.io/v1"
    configmaps = f"/api/v1/namespaces/{space}/configmaps"

    def answers() -> tuple[bool, bool, bool]:
        """What both reviews say, and what the account finds when it tries."""
        body = {"spec": {"user": user, "resourceAttributes": attributes}}
        whole = rest.ok("POST", f"{prefix}/subjectaccessreviews", body)
        body["metadata"] = {"namespace": space}
        local = rest.ok("POST", f"{prefix}/namespaces/{space}/localsubjectaccessreviews", body)
        status, _ = rest("GET", configmaps, Impersonate_User=user)
        return whole["status"]["allowed"], local["status"]["allowed"], status == 200

    assert answers() == (False, False, False)
    subject = {"kind": "ServiceAccount", "name": "e2e", "namespace": space}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    binding = {"metadata": {"name": "e2e"}, "subjects": [subject], "roleRef": ref}
    rest.ok("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{space}/rolebindings", binding)
    until(lambda: answers() == (True, True, True), "all agree that it may")


# with pods


def finished(cluster: Cluster, ns: str, name: str) -> str:
    """The logs of a pod that ends well."""
    cluster.kubectl("wait", f"pod/{name}", "-n", ns, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=180s")
    return cluster.kubectl("logs", name, "-n", ns)


def test_a_token_is_mounted_into_pods(cluster: Cluster, ns: str) -> None:
    """[sig-auth] ServiceAccounts should mount an API token into pods"""
    cluster.apply(pod("box", f"for f in token ca.crt namespace; do echo; cat {MOUNT}/$f; echo; echo ===; done"), ns)
    token, authority, namespace, _ = (part.strip() for part in finished(cluster, ns, "box").split("===\n"))
    wanted = cluster.json("get", "configmap", "kube-root-ca.crt", "-n", ns)["data"]["ca.crt"]
    assert (namespace, authority) == (ns, wanted.strip())
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    found = json.loads(cluster.kubectl("create", "-f", "-", "-o", "json", text=json.dumps(review)))["status"]
    assert found["user"]["username"] == f"system:serviceaccount:{ns}:default"
    extra = found["user"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["box"]
    assert extra["authentication.kubernetes.io/node-name"]


def test_a_projected_token_is_mounted(cluster: Cluster, ns: str) -> None:
    """[sig-auth] ServiceAccounts should mount projected service account token"""
    extra = """
securityContext: {runAsUser: 1000, runAsGroup: 10000, fsGroup: 10000}
volumes:
- name: token
  projected:
    sources: [{serviceAccountToken: {path: test-token, audience: e2e, expirationSeconds: 43200}}]
"""
    container = "volumeMounts: [{name: token, mountPath: /test}]"
    cluster.apply(pod("box", "cat /test/test-token; echo; stat -L -c '%a %g' /test/test-token", extra, container), ns)
    token, mode = finished(cluster, ns, "box").splitlines()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert (claims["aud"], claims["exp"] - claims["iat"]) == (["e2e"], 43200)
    assert claims["sub"] == f"system:serviceaccount:{ns}:default"
    assert mode == "640 10000"


def test_pods_and_accounts_may_do_without_a_token(cluster: Cluster, ns: str) -> None:
    """[sig-auth] ServiceAccounts should allow opting out of API token automount"""
    accounts = {"default": None, "mount": True, "nomount": False}
    for name, mounts in accounts.items():
        if name != "default":
            account: Any = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
            account["automountServiceAccountToken"] = mounts
            cluster.apply(json.dumps(account), ns)
    until(lambda: cluster.try_kubectl("get", "serviceaccount", "default", "-n", ns).returncode == 0, "it is there")
    for name, mounts in accounts.items():
        for wish in (None, True, False):
            wanted = wish if wish is not None else mounts is not False
            said = "" if wish is None else f"automountServiceAccountToken: {str(wish).lower()}"
            title = f"{name}-{'unsaid' if wish is None else str(wish).lower()}"
            cluster.apply(pod(title, "true", f"serviceAccountName: {name}\n{said}"), ns)
            made = cluster.json("get", "pod", title, "-n", ns)["spec"]["containers"][0]
            mounted = [item["mountPath"] for item in made.get("volumeMounts") or ()]
            assert (MOUNT in mounted) is wanted, title


DISCOVER = f"""
import base64, hashlib, json, ssl, urllib.request as u
mount = {MOUNT!r}
context = ssl.create_default_context(cafile=mount + '/ca.crt')
token = open(mount + '/token').read()
def get(url):
    request = u.Request(url, headers={{'Authorization': 'Bearer ' + token}})
    return json.load(u.urlopen(request, context=context))
def decode(part):
    return base64.urlsafe_b64decode(part + '==')
found = get('https://kubernetes.default/.well-known/openid-configuration')
head, body, signature = token.split('.')
claims, kid = json.loads(decode(body)), json.loads(decode(head))['kid']
assert found['issuer'] == claims['iss'], found
assert found['response_types_supported'] == ['id_token'], found
assert found['id_token_signing_alg_values_supported'] == ['RS256'], found
key = next(key for key in get(found['jwks_uri'])['keys'] if key['kid'] == kid)
n, e = (int.from_bytes(decode(key[part]), 'big') for part in 'ne')
size = (n.bit_length() + 7) // 8
signed = pow(int.from_bytes(decode(signature), 'big'), e, n).to_bytes(size, 'big')
digest = hashlib.sha256(f'{{head}}.{{body}}'.encode()).digest()
assert signed.endswith(b'\\0' + bytes.fromhex('3031300d060960864801650304020105000420') + digest)
print('verified', claims['sub'])
"""


def test_a_pod_verifies_its_token_by_the_issuers_discovery(cluster: Cluster, ns: str) -> None:
    """[sig-auth] ServiceAccounts ServiceAccountIssuerDiscovery should support OIDC discovery of
    service account issuer
    """
    manifest = f"""
apiVersion: v1
kind: Pod
metadata: {{name: oidc}}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: python
    imagePullPolicy: IfNotPresent
    command:
    - python3
    - -c
    - |
{textwrap.indent(DISCOVER, "      ")}
"""
    cluster.apply(manifest, ns)
    assert finished(cluster, ns, "oidc") == f"verified system:serviceaccount:{ns}:default\n"
