"""Deletions, evictions and identities from end to end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.component.apiserver.world import NAMESPACE, config_map, eventually, pod, running

from knarr.api import registry
from knarr.apimachinery.errors import StatusError
from knarr.client.client import MERGE_PATCH


async def _gone(call: object) -> bool:
    try:
        await call  # type: ignore[misc]
    except StatusError as error:
        assert error.code == 404
        return True
    return False


def test_what_no_cluster_can_do_without_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knarr.apiserver.bootstrap.PERIOD", 0.02)

    async def main() -> None:
        async with running(tmp_path) as world:
            client, reader = world.client(), world.api.ctx.reader
            before = await client.get(registry.SERVICES, "kubernetes", "default")
            await client.delete(registry.SERVICES, "kubernetes", "default")
            await eventually(lambda: reader.get("services", "", "default", "kubernetes") is not None)
            after = await client.get(registry.SERVICES, "kubernetes", "default")
            assert after["metadata"]["uid"] != before["metadata"]["uid"]
            assert after["spec"]["clusterIP"] == before["spec"]["clusterIP"]

    asyncio.run(main())


def test_flow_schemas_and_priority_levels_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knarr.apiserver.bootstrap.PERIOD", 0.02)
    levels, group = registry.PRIORITYLEVELCONFIGURATIONS, "flowcontrol.apiserver.k8s.io"

    async def main() -> None:
        async with running(tmp_path) as world:
            client, reader = world.client(), world.api.ctx.reader

            def shares(name: str) -> object:
                found = reader.get("prioritylevelconfigurations", group, "", name)
                return found and found["spec"].get("limited", found["spec"].get("exempt"))["nominalConcurrencyShares"]

            await client.delete(levels, "exempt")
            await eventually(lambda: shares("exempt") == 0)
            own = {"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}}
            await client.patch(levels, "workload-low", {"metadata": own, **_limited(7)}, MERGE_PATCH)
            await client.patch(levels, "workload-high", _limited(7), MERGE_PATCH)
            await eventually(lambda: shares("workload-high") == 40)
            assert shares("workload-low") == 7
            with pytest.raises(StatusError, match="spec of 'catch-all' must equal the fixed value"):
                await client.patch(levels, "catch-all", _limited(7), MERGE_PATCH)
            with pytest.raises(StatusError, match="spec of 'catch-all' must equal the fixed value"):
                await client.patch(registry.FLOWSCHEMAS, "catch-all", {"spec": {"matchingPrecedence": 9}}, MERGE_PATCH)
            given = {"spec": {"exempt": {"nominalConcurrencyShares": 3}}}
            await client.patch(levels, "exempt", given, MERGE_PATCH)
            await client.delete(registry.FLOWSCHEMAS, "exempt")
            await eventually(lambda: reader.get("flowschemas", group, "", "exempt") is not None)
            assert shares("exempt") == 3

    asyncio.run(main())


def _limited(shares: int) -> dict[str, object]:
    return {"spec": {"limited": {"nominalConcurrencyShares": shares}}}


def test_a_running_pod_goes_in_two_steps_and_never_later(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await client.create(registry.PODS, pod("p", nodeName="n"), NAMESPACE)
            first = await client.delete(registry.PODS, "p", NAMESPACE, {"gracePeriodSeconds": 20})
            assert first["metadata"]["deletionGracePeriodSeconds"] == 20
            longer = await client.delete(registry.PODS, "p", NAMESPACE, {"gracePeriodSeconds": 60})
            assert longer["metadata"]["deletionTimestamp"] == first["metadata"]["deletionTimestamp"]
            shorter = await client.delete(registry.PODS, "p", NAMESPACE, {"gracePeriodSeconds": 5})
            assert shorter["metadata"]["deletionTimestamp"] < first["metadata"]["deletionTimestamp"]
            await client.delete(registry.PODS, "p", NAMESPACE, {"gracePeriodSeconds": 0})
            assert await _gone(client.get(registry.PODS, "p", NAMESPACE))

    asyncio.run(main())


def test_an_unscheduled_pod_goes_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await client.create(registry.PODS, pod("p"), NAMESPACE)
            await client.delete(registry.PODS, "p", NAMESPACE)
            assert await _gone(client.get(registry.PODS, "p", NAMESPACE))

    asyncio.run(main())


def test_finalizers_hold_an_object_until_the_last_is_gone(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            body = config_map("a")
            body["metadata"]["finalizers"] = ["a.b/c", "d.e/f"]
            await client.create(registry.CONFIGMAPS, body, NAMESPACE)
            held = await client.delete(registry.CONFIGMAPS, "a", NAMESPACE, {"propagationPolicy": "Foreground"})
            assert held["metadata"]["finalizers"] == ["a.b/c", "d.e/f", "foregroundDeletion"]
            for left in (["a.b/c"], []):
                patch = {"metadata": {"finalizers": left}}
                await client.patch(registry.CONFIGMAPS, "a", patch, NAMESPACE, content_type=MERGE_PATCH)
            assert await _gone(client.get(registry.CONFIGMAPS, "a", NAMESPACE))

    asyncio.run(main())


def test_a_namespace_ends_when_it_is_finalized(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            ending = await client.delete(registry.NAMESPACES, NAMESPACE)
            assert ending["status"]["phase"] == "Terminating"
            with pytest.raises(StatusError, match="because it is being terminated"):
                await client.create(registry.CONFIGMAPS, config_map("late"), NAMESPACE)
            ending["spec"]["finalizers"] = []
            path = registry.NAMESPACES.path("", NAMESPACE, "finalize")
            import orjson

            answer = await client.transport.request("PUT", path, {}, orjson.dumps(ending))
            assert answer.status == 200
            assert await _gone(client.get(registry.NAMESPACES, NAMESPACE))

    asyncio.run(main())


def test_a_budget_lets_evictions_through_one_by_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            for name in ("a", "b"):
                body = pod(name, nodeName="n")
                body["metadata"]["labels"] = {"app": "x"}
                await client.create(registry.PODS, body, NAMESPACE)
                ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
                await client.patch(
                    registry.PODS,
                    name,
                    {"status": ready},
                    NAMESPACE,
                    content_type=MERGE_PATCH,
                    subresource="status",
                )
            budget = {
                "metadata": {"name": "x"},
                "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}},
            }
            await client.create(registry.PODDISRUPTIONBUDGETS, budget, NAMESPACE)
            status = {
                "disruptionsAllowed": 1,
                "currentHealthy": 2,
                "desiredHealthy": 1,
                "expectedPods": 2,
                "observedGeneration": 1,
            }
            await client.patch(
                registry.PODDISRUPTIONBUDGETS,
                "x",
                {"status": status},
                NAMESPACE,
                content_type=MERGE_PATCH,
                subresource="status",
            )

            async def evict(name: str) -> int:
                body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
                try:
                    await client.create(registry.PODS, body, NAMESPACE, name=name, subresource="eviction")
                except StatusError as error:
                    return error.code
                return 201

            assert sorted(await asyncio.gather(evict("a"), evict("b"))) == [201, 429]

    asyncio.run(main())


def test_who_asks_decides_what_is_answered(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            admin = world.client()
            nobody = world.bearer("")
            assert (await nobody.transport.request("GET", "/readyz", {})).status == 200
            with pytest.raises(StatusError) as refused:
                await nobody.list(registry.PODS, NAMESPACE)
            assert refused.value.code == 403
            assert 'User "system:anonymous" cannot list resource "pods"' in refused.value.message
            with pytest.raises(StatusError) as wrong:
                await world.bearer("a.b.c").list(registry.PODS, NAMESPACE)
            assert wrong.value.code == 401
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
            answer = await admin.create(registry.SERVICEACCOUNTS, body, NAMESPACE, name="default", subresource="token")
            account = world.bearer(answer["status"]["token"])
            with pytest.raises(StatusError, match="system:serviceaccount:tests:default"):
                await account.list(registry.PODS, NAMESPACE)
            role = {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]}
            await admin.create(registry.ROLES, role, NAMESPACE)
            binding = {
                "metadata": {"name": "r"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
                "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE}],
            }
            await admin.create(registry.ROLEBINDINGS, binding, NAMESPACE)
            assert (await account.list(registry.PODS, NAMESPACE))["items"] == []
            await admin.delete(registry.SERVICEACCOUNTS, "default", NAMESPACE)
            with pytest.raises(StatusError) as over:
                await account.list(registry.PODS, NAMESPACE)
            assert over.value.code == 401

    asyncio.run(main())
