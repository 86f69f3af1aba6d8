"""A bare server with kube-apiserver's flags about who comes in and what he may: each does what it says."""

from __future__ import annotations

import base64
import http.client
import json
import signal
import ssl
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.e2e.cluster import KNARR, until
from tests.e2e.rest import Rest
from tests.webhook_server import WebhookServer, send_json, serving

from knarr.apiserver import token_keys
from knarr.component_base import certificates, kubeconfig
from knarr.component_base.certificates import Authority, Leaf
from knarr.component_base.clock import RealClock
from knarr.component_base.kubeconfig import Access

pytestmark = pytest.mark.rootless
CLOCK = RealClock()
REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
JWKS = "https://keys.example.com/jwks"


class Outside:
    """Who is asked: an issuer of tokens, and webhooks for tokens and for authorization."""

    def __init__(self, folder: Path, server: WebhookServer) -> None:
        self.folder, self.server = folder, server
        self.url = f"https://127.0.0.1:{server.port}"
        self.key: Any = load_pem_private_key(certificates.signing_key(folder, "issuer"), None)
        self.asked: dict[str, list[Any]] = {"tokens": [], "authorization": []}
        discovery = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        server.raw("/.well-known/openid-configuration", lambda handler: send_json(handler, discovery))
        jwks = {"keys": [token_keys.jwk("one", self.key.public_key())]}
        server.raw("/keys", lambda handler: send_json(handler, jwks))
        server.raw("/tokens", self._token)
        server.raw("/authorization", self._authorization)

    def kubeconfig(self, name: str) -> str:
        path = self.folder / f"{name}.kubeconfig"
        kubeconfig.write(path, name, Access(f"{self.url}/{name}", self.server.authority.certificate))
        return str(path)

    def identity(self, **claims: Any) -> str:
        """A token of the issuer."""
        now = int(CLOCK.now().timestamp())
        whole = {"iss": self.url, "aud": "knarr", "sub": "1", "exp": now + 3600, **claims}
        return jwt.encode(whole, self.key, "RS256", headers={"kid": "one"})

    def _token(self, handler: BaseHTTPRequestHandler) -> None:
        review = self._read(handler, "tokens")
        known = review["spec"]["token"] == "hooked"
        status = {"authenticated": known, "user": {"username": "hal", "groups": ["hooks"]} if known else {}}
        send_json(handler, {**review, "status": status})

    def _authorization(self, handler: BaseHTTPRequestHandler) -> None:
        review = self._read(handler, "authorization")
        send_json(handler, {**review, "status": {"allowed": review["spec"]["user"] == "hal"}})

    def _read(self, handler: BaseHTTPRequestHandler, name: str) -> Any:
        review = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.asked[name].append(review)
        return review


class Bare:
    """A server with many flags."""

    def __init__(self, folder: Path, outside: Outside) -> None:
        self.folder, self.outside = folder, outside
        self.proxies = Authority.load_or_create(folder, "proxies", CLOCK.now())
        (folder / "issuer.crt").write_bytes(outside.server.authority.certificate)
        flags = {
            "oidc-issuer-url": outside.url,
            "oidc-client-id": "knarr",
            "oidc-ca-file": str(folder / "issuer.crt"),
            "oidc-username-claim": "email",
            "oidc-groups-claim": "teams",
            "oidc-groups-prefix": "of:",
            "oidc-required-claim": "hd=example.com",
            "authentication-token-webhook-config-file": outside.kubeconfig("tokens"),
            "authentication-token-webhook-version": "v1",
            "authentication-token-webhook-cache-ttl": "1h",
            "authorization-mode": "Webhook,RBAC",
            "authorization-webhook-config-file": outside.kubeconfig("authorization"),
            "authorization-webhook-version": "v1",
            "authorization-webhook-cache-authorized-ttl": "1h",
            "authorization-webhook-cache-unauthorized-ttl": "0s",
            "requestheader-client-ca-file": str(folder / "proxies.crt"),
            "requestheader-allowed-names": "front",
            "requestheader-username-headers": "X-Me",
            "requestheader-uid-headers": "X-My-Uid",
            "requestheader-group-headers": "X-Mine,X-Ours",
            "requestheader-extra-headers-prefix": "X-Also-",
            "service-account-jwks-uri": JWKS,
            "disable-admission-plugins": "ServiceAccount,LimitRanger",
        }
        config = folder / "kubeconfig"
        command = [*KNARR, "server", "--role", "apiserver", "--foreground", "--port", "0", "--kubeconfig", str(config)]
        command += ["--data-dir", str(folder / "data"), *(f"--{flag}={value}" for flag, value in flags.items())]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: config.exists() or self.process.poll() is not None, "there is a kubeconfig")
        assert self.process.poll() is None, (folder / "log").read_text()
        self.rest, self.access = Rest(config), kubeconfig.load(config)
        until(self._ready, "it is ready")

    def _ready(self) -> bool:
        try:
            return self.rest("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def ask(self, method: str, path: str, headers: Any, proxy: str = "") -> tuple[int, Any]:
        """A request without the administrator's certificate; with that of a proxy of this name."""
        tls = ssl.create_default_context(cadata=self.access.authority.decode())
        if proxy:
            leaf = Leaf(proxy, client=True)
            tls.load_cert_chain(*certificates.leaf_files(self.proxies, self.folder, proxy, leaf, CLOCK.now()))
        host, port = self.access.server.removeprefix("https://").split(":")
        connection = http.client.HTTPSConnection(host, int(port), context=tls, timeout=120)
        try:
            connection.putrequest(method, path)
            for name, value in headers:
                connection.putheader(name, value)
            body = b"{}" if method == "POST" else b""
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def whoami(self, *headers: tuple[str, str], proxy: str = "") -> Any:
        """Who the server takes somebody for; the status where it takes him for nobody."""
        status, found = self.ask("POST", REVIEW, headers, proxy)
        return found["status"]["userInfo"] if status == 201 else status

    def bearer(self, token: str) -> Any:
        return self.whoami(("Authorization", f"Bearer {token}"))


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Bare]:
    with serving(tmp_path / "outside") as server:
        made = Bare(tmp_path, Outside(tmp_path, server))
        try:
            yield made
            made.process.send_signal(signal.SIGTERM)
            assert made.process.wait(90) == 0
        finally:
            made.process.kill()
            made.process.wait()


def test_flags_about_identity_do_what_they_say(bare: Bare) -> None:
    # Everybody may see who he is by RBAC; the webhook knows nothing of that.
    oidc(bare)
    token_webhook(bare)
    front_proxy(bare)
    authorization_webhook(bare)
    found = bare.rest.ok("GET", "/.well-known/openid-configuration")
    assert found["jwks_uri"] == JWKS
    # Without the plugin ServiceAccount a pod is taken as it is.
    spec = {"containers": [{"name": "c", "image": "i"}]}
    pods = "/api/v1/namespaces/default/pods"
    assert "serviceAccountName" not in bare.rest.ok("POST", pods, {"metadata": {"name": "p"}, "spec": spec})["spec"]


def oidc(bare: Bare) -> None:
    claims = {"email": "jane@example.com", "teams": ["a", "b"], "hd": "example.com"}
    token = bare.outside.identity(**claims)
    jane = bare.bearer(token)
    assert (jane["username"], jane["groups"]) == ("jane@example.com", ["of:a", "of:b", "system:authenticated"])
    for wrong in ({"hd": "other"}, {"aud": "other"}, {"email_verified": False}, {"email": None}):
        assert bare.bearer(bare.outside.identity(**{**claims, **wrong})) == 401
    head, body, signature = token.split(".")
    other = base64.urlsafe_b64encode(base64.urlsafe_b64decode(body + "==").replace(b"jane", b"john")).decode()
    assert bare.bearer(f"{head}.{other.rstrip('=')}.{signature}") == 401


def token_webhook(bare: Bare) -> None:
    asked = bare.outside.asked["tokens"]
    asked.clear()
    for _ in range(3):
        hal = bare.bearer("hooked")
        assert (hal["username"], hal["groups"]) == ("hal", ["hooks", "system:authenticated"])
    assert [(one["apiVersion"], one["spec"]["token"]) for one in asked] == [("authentication.k8s.io/v1", "hooked")]


def front_proxy(bare: Bare) -> None:
    headers = [("X-Me", "jane"), ("X-My-Uid", "7"), ("X-Mine", "a"), ("X-Mine", "b"), ("X-Ours", "c")]
    jane = bare.whoami(*headers, ("X-Also-Scopes", "x"), proxy="front")
    assert (jane["username"], jane["uid"]) == ("jane", "7")
    assert jane["groups"] == ["a", "b", "c", "system:authenticated"]
    assert jane["extra"]["scopes"] == ["x"]
    assert bare.whoami(*headers, proxy="stranger") == 401
    # The headers of others mean nothing here.
    assert bare.whoami(("X-Remote-User", "jane"), proxy="front") == 401


def authorization_webhook(bare: Bare) -> None:
    asked = bare.outside.asked["authorization"]

    def get(token: str) -> int:
        return bare.ask("GET", "/api/v1/namespaces/default/secrets/none", [("Authorization", f"Bearer {token}")])[0]

    jane = bare.outside.identity(email="jane@example.com", hd="example.com")
    asked.clear()
    # What is refused is not remembered, what is allowed is.
    assert [get(jane) for _ in range(2)] == [403, 403]
    assert [get("hooked") for _ in range(3)] == [404, 404, 404]
    assert [one["spec"]["user"] for one in asked] == ["jane@example.com", "jane@example.com", "hal"]
    assert {one["apiVersion"] for one in asked} == {"authorization.k8s.io/v1"}
