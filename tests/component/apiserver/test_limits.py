"""What bounds requests: pages, deadlines, priority levels; and what every answer tells of itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.component.apiserver.test_watching import TABLE, ask, body
from tests.component.apiserver.world import NAMESPACE, config_map, running

from knarr.api import registry
from knarr.apimachinery.types import Object
from knarr.component_base.http import Request

RBAC = "rbac.authorization.k8s.io"
TEMPLATES = f"/api/v1/namespaces/{NAMESPACE}/podtemplates"
LEVEL: Object = {
    "metadata": {"name": "closed"},
    "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 0, "limitResponse": {"type": "Reject"}}},
}
SCHEMA: Object = {
    "metadata": {"name": "closed"},
    "spec": {
        "priorityLevelConfiguration": {"name": "closed"},
        "matchingPrecedence": 5,
        "rules": [
            {
                "subjects": [{"kind": "User", "user": {"name": "busy"}}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                "resourceRules": [
                    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
                ],
            }
        ],
    },
}


def test_chunks_go_on_when_their_version_is_forgotten(tmp_path: Path) -> None:
    """[sig-api-machinery] Servers with support for API chunking should support continue listing from the last key if
    the original version has been compacted away, though the list is inconsistent
    """

    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            for number in range(40):
                spec = {"containers": [{"name": "c", "image": "i"}]}
                template: Object = {"metadata": {"name": f"t{number:02}"}, "template": {"spec": spec}}
                await client.create(registry.PODTEMPLATES, template, NAMESPACE)
            first = body(await ask(world, f"{TEMPLATES}?limit=17"))
            version = first["metadata"]["resourceVersion"]
            assert (len(first["items"]), first["metadata"]["remainingItemCount"]) == (17, 23)
            await client.delete(registry.PODTEMPLATES, "t20", NAMESPACE)
            token = first["metadata"]["continue"]
            second = body(await ask(world, f"{TEMPLATES}?limit=17&continue={token}"))
            assert second["metadata"]["resourceVersion"] == version
            assert (len(second["items"]), second["metadata"]["remainingItemCount"]) == (17, 6)
            assert second["items"][3]["metadata"]["name"] == "t20"
            await world.api.ctx.store.compact(world.api.ctx.cache.revision)
            gone = await ask(world, f"{TEMPLATES}?limit=17&continue={token}")
            assert gone.status == 410 and body(gone)["reason"] == "Expired"
            token = body(gone)["metadata"]["continue"]
            rest = body(await ask(world, f"{TEMPLATES}?limit=17&continue={token}"))
            assert int(rest["metadata"]["resourceVersion"]) > int(version)
            names = [item["metadata"]["name"] for item in rest["items"]]
            assert names[:4] == ["t17", "t18", "t19", "t21"] and rest["metadata"]["remainingItemCount"] == 5
            token = rest["metadata"]["continue"]
            last = body(await ask(world, f"{TEMPLATES}?limit=17&continue={token}"))
            assert last["metadata"]["resourceVersion"] == rest["metadata"]["resourceVersion"]
            assert len(last["items"]) == 5 and "continue" not in last["metadata"]
            assert len(body(await ask(world, TEMPLATES))["items"]) == 39

    asyncio.run(main())


def test_what_has_no_table_form_is_not_acceptable_as_one(tmp_path: Path) -> None:
    """Conformance: 406 for a backend which does not implement metadata."""

    async def main() -> None:
        async with running(tmp_path) as world:
            request = Request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {}, {"accept": TABLE})
            request.body = b'{"spec":{"resourceAttributes":{"verb":"list","resource":"pods"}}}'
            request.peer = ("admin", ("system:masters",))
            assert (await world.api.handler(request)).status == 406

    asyncio.run(main())


def test_a_request_ends_when_its_time_is_over(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            late = await ask(world, "/api/v1/configmaps?resourceVersion=999999&timeout=50ms")
            assert late.status == 504
            assert body(late)["message"] == "Timeout: request did not complete within the allotted timeout"
            for path in ("/api/v1/configmaps", "/version"):
                wrong = await ask(world, f"{path}?timeout=soon")
                assert wrong.status == 400
                why = 'invalid timeout specified in the request URL - time: invalid duration "soon"'
                assert body(wrong)["message"] == why

    asyncio.run(main())


def test_a_closed_priority_level_turns_its_flow_away(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            assert (await ask(world, "/version", user="busy")).status == 200
            level = await client.create(registry.PRIORITYLEVELCONFIGURATIONS, LEVEL)
            schema = await client.create(registry.FLOWSCHEMAS, SCHEMA)
            for path in ("/version", "/api"):
                refused = await ask(world, path, user="busy")
                assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
                assert refused.body == b"Too many requests, please try again later.\n"
                assert refused.headers["X-Kubernetes-Pf-Flowschema-Uid"] == schema["metadata"]["uid"]
                assert refused.headers["X-Kubernetes-Pf-Prioritylevel-Uid"] == level["metadata"]["uid"]
                assert (await ask(world, path)).status == 200
            await client.delete(registry.FLOWSCHEMAS, "closed")
            assert (await ask(world, "/version", user="busy")).status == 200

    asyncio.run(main())


def test_a_flood_of_dear_lists_lets_others_pass(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            admin, noisy, quiet = world.client(), world.client("noisy"), world.client("quiet")
            subjects = [{"kind": "User", "apiGroup": RBAC, "name": name} for name in ("noisy", "quiet")]
            ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
            binding = {"metadata": {"name": "both"}, "roleRef": ref, "subjects": subjects}
            await admin.create(registry.resource("clusterrolebindings", RBAC), binding)
            for number in range(400):
                await admin.create(registry.CONFIGMAPS, config_map(f"m{number}", a="b"), NAMESPACE)
            dear = {"labelSelector": "a!=c", "fieldSelector": "metadata.name!=x"}
            flood = [asyncio.ensure_future(noisy.list(registry.CONFIGMAPS, NAMESPACE, **dear)) for _ in range(100)]
            await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
            # A list, too, does not wait for all that came before it.
            assert len((await quiet.list(registry.CONFIGMAPS, NAMESPACE, **dear))["items"]) == 400
            assert sum(task.done() for task in flood) < 60
            assert all(len(found["items"]) == 400 for found in await asyncio.gather(*flood))

    asyncio.run(main())


def test_every_answer_has_an_audit_id(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            await world.client().create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
            paths = ("/version", "/api/v1/configmaps", "/api/v1/nodes/none", "/nowhere", "/api/v1/pods?watch=1")
            found = [(await ask(world, path)).headers["Audit-Id"] for path in paths]
            assert len(set(found)) == len(paths)
            assert (await ask(world, "/version", **{"audit-id": "mine"})).headers["Audit-Id"] == "mine"

    asyncio.run(main())
