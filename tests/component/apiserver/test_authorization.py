"""Authorizers in their order: webhooks that allow, deny, fail; a configuration that changes while the server runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from tests.component.apiserver.outsiders import outsider
from tests.component.apiserver.world import NAMESPACE, World, config_map, eventually, running

from knarr.api import registry
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.authz import configuration
from knarr.apiserver.authz.settings import from_modes
from knarr.apiserver.request import Request
from knarr.client.client import Client
from knarr.component_base import kubeconfig
from knarr.component_base.http import Response
from knarr.component_base.kubeconfig import Access

CONFIGMAPS = registry.CONFIGMAPS


class Hook:
    """Allows what is called `open`, denies what is called `shut`, fails over `trouble`."""

    def __init__(self) -> None:
        self.asked: list[Object] = []
        #: Set when those who ask for `slow` may have their answer.
        self.patience = asyncio.Event()

    async def answer(self, request: Request) -> Any:
        spec = orjson.loads(request.body)["spec"]
        self.asked.append(spec)
        name = spec.get("resourceAttributes", {}).get("name", "")
        match name:
            case "open":
                return {"status": {"allowed": True, "reason": "the webhook says so"}}
            case "shut":
                return {"status": {"allowed": False, "denied": True, "reason": "not this one"}}
            case "both":
                return {"status": {"allowed": True, "denied": True}}
            case "trouble":
                return Response(403, b"", "text/plain")
            case "slow":
                await self.patience.wait()
                return {"status": {"allowed": True}}
            case _:
                return {"status": {"allowed": False}}


def webhook(path: Path, policy: str = "NoOpinion", **more: Any) -> Object:
    hook = {
        "authorizedTTL": "60s",
        "unauthorizedTTL": "60s",
        "timeout": "5s",
        "subjectAccessReviewVersion": "v1",
        "failurePolicy": policy,
        "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": str(path)},
    }
    return {"type": "Webhook", "name": "hook", "webhook": {**hook, **more}}


def write(path: Path, *authorizers: Object) -> Path:
    document = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration"}
    path.write_text(yaml.safe_dump({**document, "authorizers": list(authorizers)}))
    return path


RBAC = {"type": "RBAC", "name": "rbac"}


@asynccontextmanager
async def guarded(directory: Path, **how: Any) -> AsyncIterator[tuple[World, Hook, Path]]:
    hook = Hook()
    async with outsider(hook.answer) as url:
        access = directory / "hook.kubeconfig"
        kubeconfig.write(access, "hook", Access(f"{url}/authorize"))
        file = write(directory / "authorization.yaml", webhook(access, **how), RBAC)
        async with running(directory, authorization=configuration.load(file)) as world:
            hook.asked.clear()
            yield world, hook, file


async def outcome(client: Client, name: str) -> tuple[int, str]:
    """Code and message of reading a ConfigMap: 404 for who may."""
    with pytest.raises(StatusError) as raised:
        await client.get(CONFIGMAPS, name, NAMESPACE)
    return raised.value.code, raised.value.message


def test_a_webhook_allows_denies_or_leaves_it_to_rbac(tmp_path: Path) -> None:
    async def main() -> None:
        async with guarded(tmp_path) as (world, hook, _):
            jane = world.client("jane", "dev")
            assert (await outcome(jane, "open"))[0] == 404
            code, message = await outcome(jane, "shut")
            assert (code, message.endswith(f'in the namespace "{NAMESPACE}": not this one')) == (403, True)
            assert (await outcome(jane, "other"))[0] == 403
            await outcome(jane, "open")
            assert [spec["resourceAttributes"]["name"] for spec in hook.asked] == ["open", "shut", "other"]
            assert hook.asked[0] == {
                "user": "jane",
                "groups": ["dev", "system:authenticated"],
                "extra": hook.asked[0]["extra"],
                "resourceAttributes": {
                    "namespace": NAMESPACE,
                    "verb": "get",
                    "version": "v1",
                    "resource": "configmaps",
                    "name": "open",
                },
            }
            # RBAC is asked after it; system:masters need no webhook.
            assert (await outcome(world.client(), "shut"))[0] == 404
            assert len(hook.asked) == 3

    asyncio.run(main())


@pytest.mark.parametrize(("policy", "code"), [("NoOpinion", 500), ("Deny", 500)])
def test_a_webhook_that_fails_lets_nobody_in(tmp_path: Path, policy: str, code: int) -> None:
    async def main() -> None:
        async with guarded(tmp_path, policy=policy) as (world, hook, _):
            jane = world.client("jane", "dev")
            assert (await outcome(jane, "trouble"))[0] == code
            assert (await outcome(jane, "both"))[0] == 500
            await outcome(jane, "trouble")
            # Failures are not remembered.
            assert len(hook.asked) == 3
            review = await world.client().create(registry.SUBJECTACCESSREVIEWS, asked("trouble"))
            assert (review["status"]["allowed"], bool(review["status"]["evaluationError"])) == (False, True)
            assert review["status"].get("denied", False) is (policy == "Deny")

    asyncio.run(main())


def asked(name: str, **more: Any) -> Object:
    attributes = {"verb": "get", "resource": "configmaps", "name": name, "namespace": NAMESPACE, **more}
    return {"spec": {"user": "joe", "resourceAttributes": attributes}}


def test_a_webhook_that_hangs_holds_up_nobody_else(tmp_path: Path) -> None:
    async def main() -> None:
        async with guarded(tmp_path, timeout="30s") as (world, hook, _):
            jane = world.client("jane", "dev")
            slow = [asyncio.ensure_future(outcome(jane, "slow")) for _ in range(20)]
            await eventually(lambda: len(hook.asked) == 1)
            assert (await outcome(jane, "open"))[0] == 404
            assert not any(task.done() for task in slow)
            hook.patience.set()
            assert [code for code, _ in await asyncio.gather(*slow)] == [404] * 20
            # All of them had the same question.
            assert [spec["resourceAttributes"]["name"] for spec in hook.asked] == ["slow", "open"]

    asyncio.run(main())


def test_a_webhook_that_hangs_lets_nobody_in(tmp_path: Path) -> None:
    async def main() -> None:
        async with guarded(tmp_path, timeout="300ms") as (world, _, _):
            assert (await outcome(world.client("jane", "dev"), "slow"))[0] == 500

    asyncio.run(main())


def test_reviews_ask_the_webhook_and_tell_it_of_selectors(tmp_path: Path) -> None:
    async def main() -> None:
        async with guarded(tmp_path) as (world, hook, _):
            admin = world.client()
            found = await admin.create(registry.SUBJECTACCESSREVIEWS, asked("shut"))
            assert found["status"] == {"allowed": False, "denied": True, "reason": "not this one"}
            found = await admin.create(registry.SUBJECTACCESSREVIEWS, asked("open"))
            assert found["status"] == {"allowed": True, "reason": "the webhook says so"}
            selector = {"requirements": [{"key": "app", "operator": "NotIn", "values": ["a", "b"]}]}
            await admin.create(registry.SUBJECTACCESSREVIEWS, asked("x", labelSelector=selector))
            assert hook.asked[-1]["resourceAttributes"]["labelSelector"] == selector
            with pytest.raises(StatusError):
                await world.client("jane", "dev").list(CONFIGMAPS, NAMESPACE, fieldSelector="metadata.name!=a")
            wanted = [{"key": "metadata.name", "operator": "NotIn", "values": ["a"]}]
            assert hook.asked[-1]["resourceAttributes"]["fieldSelector"] == {"requirements": wanted}

    asyncio.run(main())


def test_writes_begin_anew_with_the_answer(tmp_path: Path) -> None:
    """Impersonation, the write and its escalation check each ask; the object is made once."""

    async def main() -> None:
        async with guarded(tmp_path) as (world, hook, _):
            rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]
            role = {"metadata": {"name": "edits"}, "rules": rules}
            admin = world.client()
            await admin.create(registry.ROLES, role, NAMESPACE)
            subject = {"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}
            ref = {"kind": "Role", "name": "edits", "apiGroup": "rbac.authorization.k8s.io"}
            binding = {"metadata": {"name": "jane"}, "subjects": [subject], "roleRef": ref}
            await admin.create(registry.ROLEBINDINGS, binding, NAMESPACE)
            made = await world.client("jane", "dev").create(CONFIGMAPS, config_map("one"), NAMESPACE)
            assert made["metadata"]["uid"]
            assert len(hook.asked) == 1

    asyncio.run(main())


def test_a_webhook_is_asked_only_about_what_its_conditions_match(tmp_path: Path) -> None:
    matches = [
        "has(request.resourceAttributes)",
        "request.resourceAttributes.namespace == 'tests' && !('trusted' in request.groups)",
        "request.resourceAttributes.name != 'puzzle' || request.extra['no such key'].size() > 0",
    ]
    how = {
        "matchConditionSubjectAccessReviewVersion": "v1",
        "matchConditions": [{"expression": text} for text in matches],
    }

    async def main() -> None:
        async with guarded(tmp_path, policy="Deny", **how) as (world, hook, _):
            assert (await outcome(world.client("jane", "dev"), "open"))[0] == 404
            assert (await outcome(world.client("jane", "trusted"), "open"))[0] == 403
            with pytest.raises(StatusError):
                await world.client("jane", "dev").list(CONFIGMAPS, "default")
            assert (await world.client("jane", "dev").transport.request("GET", "/metrics", {})).status == 403
            assert len(hook.asked) == 1
            assert (await outcome(world.client("jane", "dev"), "puzzle"))[0] == 500

    asyncio.run(main())


def test_a_changed_configuration_is_taken_over_and_a_broken_one_is_not(tmp_path: Path) -> None:
    async def main() -> None:
        async with guarded(tmp_path) as (world, hook, file):
            jane = world.client("jane", "dev")
            assert (await outcome(jane, "open"))[0] == 404
            file.write_text("kind: AuthorizationConfiguration")
            await asyncio.sleep(0)
            write(file, RBAC)

            def forgotten() -> bool:
                return len(world.api.ctx.authorizers._links) == 1  # noqa: SLF001 - what the file says now

            await eventually(forgotten)
            assert (await outcome(jane, "open"))[0] == 403
            assert len(hook.asked) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("authorizers", "why"),
    [
        ([], "at least one authorization mode must be defined"),
        ([RBAC, {**RBAC, "name": "again"}], "Duplicate value"),
        ([{"type": "Some", "name": "some"}], "Unsupported value"),
        ([{**RBAC, "extra": 1}], "unknown field"),
        ([{"type": "Webhook", "name": "hook"}], "required"),
        ([webhook(Path("/nowhere"))], "must be a regular file"),
        ([{"type": "ABAC", "name": "abac"}], "authorization-policy-file"),
        ([webhook(Path(__file__), timeout="31s")], "at most 30s"),
        ([webhook(Path(__file__), failurePolicy="Ignore")], "Unsupported value"),
        ([webhook(Path(__file__), authorizedTTL="0s")], "greater than zero"),
        ([webhook(Path(__file__), matchConditions=[{"expression": "request.nobody == 'x'"}])], "undefined field"),
        ([webhook(Path(__file__), matchConditions=[{"expression": "request.user"}])], "must evaluate to bool"),
        ([webhook(Path(__file__), matchConditions=[{"expression": "true"}])], "matchConditionSubjectAccess"),
    ],
)
def test_a_wrong_configuration_is_refused(tmp_path: Path, authorizers: list[Object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        configuration.load(write(tmp_path / "a.yaml", *authorizers))


@pytest.mark.parametrize(
    ("modes", "why"), [([], "at least one"), (["Some"], "not a valid mode"), (["RBAC", "RBAC"], "more than once")]
)
def test_wrong_modes_are_refused(modes: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        from_modes(modes, None)


def test_modes_decide_in_their_order(tmp_path: Path) -> None:
    async def main() -> None:
        for modes, code in ((["AlwaysDeny", "RBAC"], 403), (["AlwaysDeny", "AlwaysAllow"], 404)):
            settings = from_modes(modes, None)
            async with running(tmp_path, authorization=settings) as world:
                assert (await outcome(world.client("jane", "dev"), "x"))[0] == code

    asyncio.run(main())
