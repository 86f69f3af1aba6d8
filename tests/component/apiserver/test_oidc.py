"""Users of another issuer: its keys are found, kept, found anew; what is not quite right is refused."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import orjson
import yaml
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.component.apiserver.outsiders import outsider
from tests.component.apiserver.test_authentication import whoami
from tests.component.apiserver.world import World, eventually, running

from knarr.apimachinery.types import Object
from knarr.apiserver import token_keys
from knarr.apiserver.authn.jwt import keys
from knarr.apiserver.authn.settings import AuthenticationSettings
from knarr.apiserver.request import Request
from knarr.component_base import certificates
from knarr.component_base.certificates import Authority, Leaf
from knarr.component_base.clock import RealClock
from knarr.component_base.http import Response

CLOCK = RealClock()


class Provider:
    """An identity provider. `kid` names the key of the moment."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.url = ""
        self.claimed = ""
        self.asked: list[str] = []
        self.rotate("one")

    def rotate(self, kid: str) -> None:
        self.kid = kid
        self.key: Any = load_pem_private_key(certificates.signing_key(self._directory, kid), None)

    async def answer(self, request: Request) -> Any:
        self.asked.append(request.path)
        if request.path == "/.well-known/openid-configuration":
            return {"issuer": self.claimed or self.url, "jwks_uri": f"{self.url}/keys"}
        if request.path == "/keys":
            return {"keys": [token_keys.jwk(self.kid, self.key.public_key())]}
        return Response(404, b"", "text/plain")

    def token(self, key: Any = None, algorithm: str = "RS256", **changes: Any) -> str:
        now = int(CLOCK.now().timestamp())
        claims = {"iss": self.url, "aud": "knarr", "sub": "jane", "exp": now + 600, "groups": ["dev"], **changes}
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, key or self.key, algorithm, headers={"kid": self.kid})


def tls(directory: Path, authority: Authority) -> ssl.SSLContext:
    leaf = Leaf("issuer", ips=("127.0.0.1",), server=True)
    certificate, key = certificates.leaf_files(authority, directory, "issuer", leaf, CLOCK.now())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def write(path: Path, url: str, authority: bytes, **more: Any) -> None:
    issuer = {"url": url, "audiences": ["knarr"], "certificateAuthority": authority.decode()}
    mappings = {
        "username": {"claim": "sub", "prefix": "oidc:"},
        "groups": {"expression": "claims.?groups.orValue([])"},
    }
    document: Object = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}
    document["jwt"] = [{"issuer": issuer, "claimMappings": mappings, **more}]
    document["anonymous"] = {"enabled": True, "conditions": [{"path": "/livez"}]}
    path.write_text(yaml.safe_dump(document))


@asynccontextmanager
async def trusting(directory: Path, *, strange: bool = False) -> AsyncIterator[tuple[World, Provider, Path]]:
    """A server and the issuer that it trusts; `strange`: whose certificate is of another authority."""
    provider = Provider(directory / "provider")
    authority = Authority.load_or_create(directory / "provider", "ca", CLOCK.now())
    other = Authority.load_or_create(directory / "provider", "other", CLOCK.now())
    file = directory / "authentication.yaml"
    async with outsider(provider.answer, tls(directory / "provider", authority)) as provider.url:
        write(file, provider.url, (other if strange else authority).certificate)
        async with running(directory, authentication=AuthenticationSettings(file=file)) as world:
            yield world, provider, file


def test_users_of_an_issuer_are_let_in_and_its_keys_are_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with trusting(tmp_path) as (world, provider, _):
            wanted = ("oidc:jane", ["dev", "system:authenticated"], None, None)
            tokens = [provider.token(jti=str(number)) for number in range(4)]
            assert await asyncio.gather(*(whoami(world.bearer(token)) for token in tokens)) == [wanted] * 4
            assert provider.asked == ["/.well-known/openid-configuration", "/keys"]
            # The cluster's own tokens and certificates are as good as ever.
            assert (await whoami(world.client()))[0] == "admin"

    asyncio.run(main())


def test_what_is_not_quite_right_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with trusting(tmp_path) as (world, provider, _):
            now = int(CLOCK.now().timestamp())
            strange: Any = load_pem_private_key(certificates.signing_key(tmp_path, "strange"), None)
            public = certificates_public(provider)
            head, body, signature = provider.token().split(".")
            bad = {
                "forged": provider.token(strange),
                "expired": provider.token(exp=now - 1),
                "for ever": provider.token(exp=None),
                "not yet": provider.token(nbf=now + 3600),
                "another audience": provider.token(aud=["vault"]),
                "no audience": provider.token(aud=None),
                "another issuer": provider.token(iss="https://other.example"),
                "nobody": provider.token(sub=None),
                "symmetric": jwt.encode({"iss": provider.url, "aud": "knarr", "exp": now + 9}, public[:32], "HS256"),
                "unsigned": jwt.encode({"iss": provider.url, "aud": "knarr", "exp": now + 9}, "", "none"),
                "cut": f"{head}.{body}.",
                "garbage": f"{head}.{body}.{signature[:-8]}AAAAAAAA",
                "large": provider.token(padding="x" * 40_000)[:-4],
            }
            found = {name: await whoami(world.bearer(token)) for name, token in bad.items()}
            assert found == dict.fromkeys(bad, 401)
            assert (await whoami(world.bearer(provider.token())))[0] == "oidc:jane"

    asyncio.run(main())


def certificates_public(provider: Provider) -> bytes:
    return orjson.dumps(token_keys.jwk("x", provider.key.public_key()))


def test_a_new_key_is_found(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(keys, "_AGAIN", 0.0)

    async def main() -> None:
        async with trusting(tmp_path) as (world, provider, _):
            old = provider.token()
            assert (await whoami(world.bearer(old)))[0] == "oidc:jane"
            provider.rotate("two")
            assert (await whoami(world.bearer(provider.token())))[0] == "oidc:jane"
            world.api.ctx.authenticator.tokens.forget()
            assert await whoami(world.bearer(old)) == 401

    asyncio.run(main())


def test_an_issuer_that_cannot_be_trusted_knows_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        async with trusting(tmp_path, strange=True) as (world, provider, _):
            assert await whoami(world.bearer(provider.token())) == 401
            assert provider.asked == []
        async with trusting(tmp_path) as (world, provider, _):
            provider.claimed = "https://other.example"
            assert await whoami(world.bearer(provider.token())) == 401
            assert provider.asked == ["/.well-known/openid-configuration"]

    asyncio.run(main())


def test_a_changed_configuration_is_taken_over(tmp_path: Path) -> None:
    async def main() -> None:
        async with trusting(tmp_path) as (world, provider, file):
            token = provider.token()
            assert (await whoami(world.bearer(token)))[0] == "oidc:jane"
            anyone = world.bearer("").transport
            assert [(await anyone.request("GET", path, {})).status for path in ("/livez", "/version")] == [200, 401]
            before = world.api.ctx.authenticator.anonymous
            authority = (tmp_path / "provider" / "ca.crt").read_bytes()
            rule = {"expression": "user.username != 'oidc:jane'", "message": "not she"}
            text = file.read_text()
            write(file, provider.url, authority, userValidationRules=[rule])
            assert file.read_text() != text
            await eventually(lambda: world.api.ctx.authenticator.anonymous is not before)
            assert await whoami(world.bearer(token)) == 401
            assert (await whoami(world.bearer(provider.token(sub="joe"))))[0] == "oidc:joe"

    asyncio.run(main())
