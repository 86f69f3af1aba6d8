"""Secrets with tokens: filled, ended when unused, cleared away; what bootstrap tokens sign."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
from typing import Any

import pytest
from tests.fakes import world
from tests.fakes.world import World

from knarr.api.registry import CONFIGMAPS, NAMESPACES, PODS, SECRETS, SERVICEACCOUNTS
from knarr.api.semantics import token_secrets as semantics
from knarr.apimachinery import timestamps
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.controller import legacy_tokens, token_secrets
from knarr.controller.bootstrap_tokens import cleaner, signer

DAY = 86400.0


def sign(claims: Object) -> str:
    return f"token of {claims['sub']} in {claims['kubernetes.io/serviceaccount/secret.name']}"


TOKENS = (token_secrets.controller(sign, "the CA"),)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def account(name: str = "a", **more: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "ns"}, **more}


def secret(name: str = "t", owner: str = "a", **meta: Any) -> Object:
    annotations = {semantics.NAME: owner}
    head = {"name": name, "namespace": "ns", "annotations": annotations, **meta}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": head, "type": semantics.TYPE}


def exists(town: World, name: str = "t", namespace: str = "ns") -> bool:
    try:
        town.api.get(SECRETS, namespace, name)
    except StatusError:
        return False
    return True


def test_a_secret_gets_token_authority_and_namespace() -> None:
    async def story(town: World) -> None:
        town.api.put(SECRETS, secret())
        town.api.put(SERVICEACCOUNTS, account())

    # The account comes at once after its Secret: a live read finds it.
    town = world.run(story, TOKENS)
    found = town.api.get(SECRETS, "ns", "t")
    assert (
        found["metadata"]["annotations"][semantics.UID] == town.api.get(SERVICEACCOUNTS, "ns", "a")["metadata"]["uid"]
    )
    assert {key: base64.b64decode(text).decode() for key, text in found["data"].items()} == {
        "ca.crt": "the CA",
        "namespace": "ns",
        "token": "token of system:serviceaccount:ns:a in t",
    }


def test_a_token_goes_with_its_account_and_stays_away_from_the_next_one() -> None:
    async def story(town: World) -> None:
        town.api.put(SERVICEACCOUNTS, account())
        town.api.put(SECRETS, secret())
        await town.settle()
        assert exists(town)
        town.api.remove(SERVICEACCOUNTS, ("ns", "a"))
        town.api.put(SERVICEACCOUNTS, account())
        await town.settle()

    assert not exists(world.run(story, TOKENS))


def test_a_token_of_nobody_goes_and_others_stay() -> None:
    async def story(town: World) -> None:
        town.api.put(SECRETS, secret())
        town.api.put(SECRETS, {**secret("opaque"), "type": "Opaque"})

    town = world.run(story, TOKENS)
    assert (exists(town), exists(town, "opaque")) == (False, True)


def test_accounts_forget_a_secret_that_is_gone() -> None:
    async def story(town: World) -> None:
        town.api.put(SERVICEACCOUNTS, account(secrets=[{"name": "t"}, {"name": "other"}]))
        town.api.put(SECRETS, secret())
        await town.settle()
        town.api.remove(SECRETS, ("ns", "t"))

    town = world.run(story, TOKENS)
    assert town.api.get(SERVICEACCOUNTS, "ns", "a")["secrets"] == [{"name": "other"}]


# unused tokens


def legacy(town: World, used: str | None, *, referred: bool = True, mounted: bool = False) -> None:
    """A token whose use has been tracked for two years."""
    town.clock.advance(2000 * DAY)
    now = town.clock.now()
    since = (now - datetime.timedelta(days=730)).strftime(semantics.DAY)
    tracking = {"name": semantics.TRACKING, "namespace": "kube-system"}
    town.api.put(NAMESPACES, {"metadata": {"name": "kube-system"}})
    town.api.put(CONFIGMAPS, {"metadata": tracking, "data": {"since": since}})
    town.api.put(SERVICEACCOUNTS, account(secrets=[{"name": "t"}] if referred else []))
    if mounted:
        volume = {"name": "v", "secret": {"secretName": "t"}}
        town.api.put(PODS, {"metadata": {"name": "p", "namespace": "ns"}, "spec": {"volumes": [volume]}})
    labels = {semantics.LAST_USED: used} if used is not None else {}
    created = timestamps.seconds(now - datetime.timedelta(days=800))
    town.api.put(SECRETS, secret(labels=labels, creationTimestamp=created))


@pytest.mark.parametrize(
    ("how", "ends"),
    [
        ({"used": None}, True),
        ({"used": "2019-01-01"}, True),
        ({"used": "not a day"}, False),
        ({"used": None, "referred": False}, False),
        ({"used": None, "mounted": True}, False),
    ],
)
def test_unused_tokens_become_invalid_and_go_a_year_later(how: dict[str, Any], ends: bool) -> None:  # noqa: FBT001
    async def story(town: World) -> None:
        legacy(town, **how)
        created = timestamps.seconds(town.clock.now() - datetime.timedelta(days=800))
        stored = town.api.get(SECRETS, "ns", "t")
        stored["metadata"]["creationTimestamp"] = created
        await town.settle()
        labels = town.api.get(SECRETS, "ns", "t")["metadata"].get("labels") or {}
        today = town.clock.now().strftime(semantics.DAY)
        assert labels.get(semantics.INVALID_SINCE) == (today if ends else None)
        await town.advance(367 * DAY, step=DAY)

    assert exists(world.run(story, (legacy_tokens.controller(),))) is not ends


# bootstrap tokens


def bootstrap(name: str, expires: str = "", **data: str) -> Object:
    content = {"token-id": name, "token-secret": "0123456789abcdef", "expiration": expires, **data}
    return {
        "metadata": {"name": f"bootstrap-token-{name}", "namespace": "kube-system"},
        "type": semantics.BOOTSTRAP_TYPE,
        "data": {key: encoded(text) for key, text in content.items()},
    }


def test_bootstrap_tokens_go_at_their_end() -> None:
    async def story(town: World) -> None:
        soon = timestamps.seconds(town.clock.now() + datetime.timedelta(seconds=10))
        town.api.put(SECRETS, bootstrap("aaaaaa", soon))
        town.api.put(SECRETS, bootstrap("bbbbbb"))
        town.api.put(SECRETS, bootstrap("cccccc", "some day"))
        await town.advance(9)
        names = [f"bootstrap-token-{x * 6}" for x in "abc"]
        assert [exists(town, name, "kube-system") for name in names] == [True, True, False]
        await town.advance(2)
        assert [exists(town, name, "kube-system") for name in names] == [False, True, False]

    world.run(story, (cleaner.CONTROLLER,))


def test_cluster_info_is_signed_with_every_token_that_may() -> None:
    async def story(town: World) -> None:
        meta = {"name": "cluster-info", "namespace": "kube-public"}
        stale = {"kubeconfig": "the text", "jws-kubeconfig-gone00": "x"}
        town.api.put(CONFIGMAPS, {"metadata": meta, "data": stale})
        signs = {"usage-bootstrap-signing": "true"}
        town.api.put(SECRETS, bootstrap("aaaaaa", **signs))
        town.api.put(SECRETS, bootstrap("bbbbbb"))
        town.api.put(SECRETS, bootstrap("cccccc", "2001-01-01T00:00:00Z", **signs))

    town = world.run(story, (signer.CONTROLLER,))
    data = town.api.get(CONFIGMAPS, "kube-public", "cluster-info")["data"]
    assert sorted(data) == ["jws-kubeconfig-aaaaaa", "kubeconfig"]
    header, payload, signature = data["jws-kubeconfig-aaaaaa"].split(".")
    assert base64.urlsafe_b64decode(header + "==") == b'{"alg":"HS256","kid":"aaaaaa"}'
    text = base64.urlsafe_b64encode(b"the text").rstrip(b"=").decode()
    wanted = hmac.digest(b"0123456789abcdef", f"{header}.{text}".encode(), hashlib.sha256)
    assert (payload, base64.urlsafe_b64decode(signature + "==")) == ("", wanted)
