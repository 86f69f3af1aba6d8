"""Who may come in: tokens from files and webhooks, front proxies, several keys, tokens in Secrets."""

from __future__ import annotations

import asyncio
import base64
import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.component.apiserver.outsiders import outsider
from tests.component.apiserver.world import NAMESPACE, World, eventually, running

from knarr.api import registry
from knarr.api.semantics import token_secrets
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.authn.authenticator import Anonymous
from knarr.apiserver.authn.front_proxy import FrontProxy
from knarr.apiserver.authn.settings import AuthenticationSettings, TokenWebhook
from knarr.apiserver.authn.static_tokens import StaticTokens
from knarr.apiserver.outside import Webhook
from knarr.apiserver.request import Request
from knarr.apiserver.tokens import TokenTerms
from knarr.client.client import Client
from knarr.client.http import HttpTransport
from knarr.component_base import certificates
from knarr.component_base.certificates import Authority, Leaf
from knarr.component_base.clock import RealClock
from knarr.component_base.http import Response
from knarr.component_base.kubeconfig import Access

CLOCK = RealClock()
ISSUER = "https://kubernetes.default.svc"


async def whoami(client: Client, **headers: str) -> Any:
    """Who the server says one is; the status for somebody it does not let in."""
    transport = client.transport
    assert isinstance(transport, HttpTransport)
    given = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()).encode()
    transport._fixed += given  # noqa: SLF001 - a test's own headers
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    answer = await transport.request("POST", path, {}, b"{}")
    if answer.status != 201:
        return answer.status
    user = orjson.loads(answer.body)["status"]["userInfo"]
    return user["username"], user.get("groups"), user.get("uid"), user.get("extra")


async def token(world: World, account: str = "default", **spec: Any) -> str:
    body = {"spec": {"audiences": [], **spec}}
    path = registry.SERVICEACCOUNTS.path(NAMESPACE, account, "token")
    answer = await world.client().transport.request("POST", path, {}, orjson.dumps(body))
    return str(orjson.loads(answer.body)["status"]["token"])


async def review(world: World, text: str, *audiences: str) -> Object:
    body = {"spec": {"token": text, "audiences": list(audiences)}}
    answer = await world.client().create(registry.TOKENREVIEWS, body)
    status: Object = answer["status"]
    return status


def test_tokens_from_a_file(tmp_path: Path) -> None:
    settings = AuthenticationSettings(
        static_tokens='secret,jane,u1,"dev,ops"\n\nother,joe,u2\n', anonymous=Anonymous(enabled=False)
    )

    async def main() -> None:
        async with running(tmp_path, authentication=settings) as world:
            groups = ["dev", "ops", "system:authenticated"]
            assert await whoami(world.bearer("secret")) == ("jane", groups, "u1", None)
            assert await whoami(world.bearer("secre")) == 401
            assert await whoami(world.bearer("")) == 401
            assert (await review(world, "other", ISSUER, "any"))["audiences"] == [ISSUER]
            assert not (await review(world, "other", "any")).get("authenticated")

    asyncio.run(main())


@pytest.mark.parametrize("line", ["a,b", "a"])
def test_a_token_file_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="at least 3 columns"):
        StaticTokens(line, ())


# front proxies


@asynccontextmanager
async def proxied(directory: Path) -> AsyncIterator[tuple[World, Authority]]:
    """A server that believes front proxies."""
    proxies = Authority.load_or_create(directory, "front-proxy-ca", CLOCK.now())
    own = Authority.load_or_create(directory, "ca", CLOCK.now())
    proxy = FrontProxy(frozenset({subject(proxies)}), frozenset({subject(own)}))
    async with running(directory, authentication=AuthenticationSettings(proxy=proxy)) as world:
        yield world, proxies


def subject(authority: Authority) -> Any:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(cadata=authority.certificate.decode())
    return context.get_ca_certs()[0]["subject"]


def certified(world: World, authority: Authority, name: str) -> Client:
    pair = authority.issue(Leaf(name, ("system:masters",), client=True), CLOCK.now())
    return world.with_access(Access(world.url, world.authority.certificate, pair.certificate, pair.key))


def test_a_front_proxy_names_its_users(tmp_path: Path) -> None:
    headers = {"X_Remote_User": "jane", "X_Remote_Group": "dev", "X_Remote_Uid": "7", "X_Remote_Extra_Some%2fKey": "v"}

    async def main() -> None:
        async with proxied(tmp_path) as (world, proxies):
            found = await whoami(certified(world, proxies, "front-proxy-client"), **headers)
            assert found == ("jane", ["dev", "system:authenticated"], "7", {"some/key": ["v"]})
            # A proxy that is not on the list, one that names nobody, and a client that claims to be one.
            assert await whoami(certified(world, proxies, "someone"), **headers) == 401
            assert await whoami(certified(world, proxies, "front-proxy-client")) == 401
            user, groups, *_ = await whoami(certified(world, world.authority, "front-proxy-client"), **headers)
            assert (user, groups) == ("front-proxy-client", ["system:masters", "system:authenticated"])

    asyncio.run(main())


def test_a_certificate_may_carry_a_uid(tmp_path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from knarr.component_base import request_signing

    async def main() -> None:
        async with running(tmp_path) as world:
            found = []
            for uids in ((), ("u-1",), ("u-1", "u-2")):
                oid = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")
                names = [x509.NameAttribute(x509.NameOID.COMMON_NAME, "jane")]
                names += [x509.NameAttribute(oid, uid) for uid in uids]
                key = ec.generate_private_key(ec.SECP256R1())
                builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
                request = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
                life = datetime.timedelta(hours=1)
                signed = request_signing.sign(world.authority, request, ["client auth"], life, CLOCK.now())
                pem = key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
                access = Access(world.url, world.authority.certificate, signed, pem)
                answer = await whoami(world.with_access(access))
                found.append(answer if answer == 401 else answer[2])
            assert found == [None, "u-1", 401]

    asyncio.run(main())


def test_a_certificate_of_another_authority_is_no_way_in(tmp_path: Path) -> None:
    pair = certificates.new_authority("ca", CLOCK.now())

    async def main() -> None:
        async with proxied(tmp_path) as (world, _):
            with pytest.raises(ConnectionError):
                await whoami(certified(world, Authority(pair.certificate, pair.key), "admin"))
            assert (await whoami(world.client()))[0] == "admin"

    asyncio.run(main())


# webhooks


class TokenHook:
    """Knows `good` and `audience`; is in trouble with `trouble`."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def answer(self, request: Request) -> Any:
        spec = orjson.loads(request.body)["spec"]
        self.asked.append(spec["token"])
        user = {"username": "jane", "uid": "1", "groups": ["dev"], "extra": {"k": ["v"]}}
        match spec["token"]:
            case "good":
                return {"status": {"authenticated": True, "user": user}}
            case "audience":
                return {"status": {"authenticated": True, "user": user, "audiences": ["other"]}}
            case "trouble":
                return Response(400, b"{}", "application/json")
            case "garbage":
                return Response(200, b"[", "application/json")
            case "large":
                return Response(200, b'"' + b"x" * (5 << 20) + b'"', "application/json")
            case _:
                return {"status": {"authenticated": False, "error": "never heard of it"}}


@asynccontextmanager
async def with_hook(directory: Path, keep: float) -> AsyncIterator[tuple[World, TokenHook]]:
    hook = TokenHook()
    async with outsider(hook.answer) as url:
        webhook = Webhook(Access(f"{url}/authenticate"), CLOCK, 5.0)
        settings = AuthenticationSettings(webhook=TokenWebhook(webhook, "authentication.k8s.io/v1", keep))
        async with running(directory, authentication=settings) as world:
            yield world, hook
        await webhook.close()


def test_a_webhook_knows_tokens_and_is_asked_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with with_hook(tmp_path, 60.0) as (world, hook):
            wanted = ("jane", ["dev", "system:authenticated"], "1", {"k": ["v"]})
            users = await asyncio.gather(*(whoami(world.bearer("good")) for _ in range(5)))
            assert users == [wanted] * 5
            assert hook.asked == ["good"]
            # Tokens of service accounts are not its business.
            assert (await whoami(world.bearer(await token(world))))[0] == f"system:serviceaccount:{NAMESPACE}:default"
            assert hook.asked == ["good"]

    asyncio.run(main())


def test_without_a_cache_every_request_asks_again_and_is_answered(tmp_path: Path) -> None:
    async def main() -> None:
        async with with_hook(tmp_path, 0.0) as (world, hook):
            assert (await review(world, "good"))["user"]["username"] == "jane"
            assert (await review(world, "good"))["authenticated"]
            assert hook.asked == ["good", "good"]

    asyncio.run(main())


@pytest.mark.parametrize("bad", ["unknown", "audience", "trouble", "garbage", "large", "x" * 60_000])
def test_what_a_webhook_does_not_vouch_for_is_refused(tmp_path: Path, bad: str) -> None:
    async def main() -> None:
        async with with_hook(tmp_path, 0.0) as (world, _):
            assert await whoami(world.bearer(bad)) == 401
            status = await review(world, bad)
            assert not status.get("authenticated")
            assert status["error"].startswith(
                "invalid bearer token" if bad == "audience" else "[invalid bearer token, "
            )

    asyncio.run(main())


# keys and terms


def test_tokens_of_an_earlier_key_and_issuer_stay_good(tmp_path: Path) -> None:
    other = certificates.signing_key(tmp_path / "new")

    async def main() -> None:
        async with running(tmp_path) as world:
            old = await token(world)
            account = await world.client().get(registry.SERVICEACCOUNTS, "default", NAMESPACE)
        signer = AuthenticationSettings().signer([certificates.signing_key(tmp_path)])
        claims = signer.verify(old)
        assert claims is not None
        settings = AuthenticationSettings(keys=[other], issuers=("https://new.example", ISSUER))
        async with running(tmp_path, authentication=settings) as world:
            found = await world.client().get(registry.SERVICEACCOUNTS, "default", NAMESPACE)
            claims["kubernetes.io"]["serviceaccount"]["uid"] = found["metadata"]["uid"]
            moved = AuthenticationSettings(issuers=(ISSUER,)).signer([other]).sign(claims)
            assert (await whoami(world.bearer(moved)))[0].endswith(":default")
            assert (await whoami(world.bearer(old))) == 401, "the account is another one"
            assert account["metadata"]["uid"] != found["metadata"]["uid"]
            stranger = AuthenticationSettings().signer([certificates.signing_key(tmp_path / "third")]).sign(claims)
            assert (await whoami(world.bearer(stranger))) == 401
            keys = await world.client().transport.request("GET", "/openid/v1/jwks", {})
            assert len(orjson.loads(keys.body)["keys"]) == 2
            about = await world.client().transport.request("GET", "/.well-known/openid-configuration", {})
            assert orjson.loads(about.body)["issuer"] == "https://new.example"

    asyncio.run(main())


def test_a_token_lives_no_longer_than_the_server_lets_it(tmp_path: Path) -> None:
    settings = AuthenticationSettings(terms=TokenTerms(longest=3600))

    async def main() -> None:
        async with running(tmp_path, authentication=settings) as world:
            body = orjson.dumps({"spec": {"audiences": [], "expirationSeconds": 7200}})
            path = registry.SERVICEACCOUNTS.path(NAMESPACE, "default", "token")
            answer = await world.client().transport.request("POST", path, {}, body)
            assert orjson.loads(answer.body)["spec"]["expirationSeconds"] == 3600
            assert answer.headers["warning"] == '299 - "requested expiration of 7200 seconds shortened to 3600 seconds"'

    asyncio.run(main())


def unsigned(claims: Object) -> str:
    def part(value: Object) -> str:
        return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def test_forged_tokens_are_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            good = await token(world)
            assert (await whoami(world.bearer(good)))[0].endswith(":default")
            claims = AuthenticationSettings().signer([certificates.signing_key(tmp_path)]).verify(good)
            head, body, signature = good.split(".")
            deep = base64.urlsafe_b64encode(b'{"alg":' + b"[" * 5000).decode()
            other = await token(world, audiences=["vault"])
            forged = (unsigned(claims or {}), f"{head}.{body}.", f"{head}.{body}.{signature[::-1]}", other)
            for text in (*forged, f"{deep}.{body}.{signature}", f"{head}.{body}" + "." * 50_000):
                assert await whoami(world.bearer(text)) == 401
            assert (await review(world, other, "vault"))["audiences"] == ["vault"]

    asyncio.run(main())


# tokens in Secrets


def test_the_use_of_a_secrets_token_is_noted(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            admin = world.client()
            account = await admin.get(registry.SERVICEACCOUNTS, "default", NAMESPACE)
            meta = {"name": "t", "annotations": {token_secrets.NAME: "default"}}
            secret = await admin.create(registry.SECRETS, {"metadata": meta, "type": token_secrets.TYPE}, NAMESPACE)
            text = world.api.ctx.token_requests.signer.sign(token_secrets.claims(account, secret))
            data = {"token": base64.b64encode(text.encode()).decode()}
            await admin.patch(registry.SECRETS, "t", {"data": data}, NAMESPACE)
            assert (await whoami(world.bearer(text)))[0] == f"system:serviceaccount:{NAMESPACE}:default"

            def labels() -> Object:
                found = world.api.ctx.reader.get("secrets", "", NAMESPACE, "t") or {}
                return found["metadata"].get("labels") or {}

            today = CLOCK.now().strftime(token_secrets.DAY)
            await eventually(lambda: labels() == {token_secrets.LAST_USED: today})
            marked = {"metadata": {"labels": {token_secrets.INVALID_SINCE: today}}}
            await admin.patch(registry.SECRETS, "t", marked, NAMESPACE)
            world.api.ctx.authenticator.tokens.forget()
            assert await whoami(world.bearer(text)) == 401
            assert "has been marked invalid" in (await review(world, text))["error"]

    asyncio.run(main())


def test_anonymous_requests_may_be_let_in_on_some_paths_only(tmp_path: Path) -> None:
    settings = AuthenticationSettings(anonymous=Anonymous(paths=frozenset({"/livez"})))

    async def main() -> None:
        async with running(tmp_path, authentication=settings) as world:
            anyone = world.bearer("").transport
            statuses = [(await anyone.request("GET", path, {})).status for path in ("/livez", "/version", "/api")]
            assert statuses == [200, 401, 401]
            with pytest.raises(StatusError):
                await world.bearer("").list(registry.PODS, NAMESPACE)

    asyncio.run(main())
