from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from knarr.apimachinery import timestamps
from knarr.component_base.clock import FakeClock
from knarr.kubelet.tokens import TokenFault, TokenManager, renewal

POD = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {"serviceAccountName": "sa"}}
PATH = "/api/v1/namespaces/ns/serviceaccounts/sa/token"


def test_a_pods_token_is_kept_until_four_fifths_of_its_life(server: Any) -> None:
    clock = FakeClock()

    def issue(body: Any) -> Any:
        seconds = body["spec"]["expirationSeconds"]
        expires = timestamps.seconds(clock.now() + timedelta(seconds=seconds))
        return {"spec": body["spec"], "status": {"token": f"t{len(server.bodies)}", "expirationTimestamp": expires}}

    server.posts[PATH] = issue

    async def main() -> None:
        manager = TokenManager(server.client, clock)
        first, again = await asyncio.gather(manager.get(POD, "", 3607), manager.get(POD, "", 3607))
        assert first == again
        assert server.bodies[0]["spec"] == {
            "audiences": [],
            "expirationSeconds": 3607,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"},
        }
        clock.advance(3607 * 0.79)
        assert (await manager.get(POD, "", 3607)).value == "t1"
        clock.advance(3607 * 0.02)
        server.refuse = [ConnectionRefusedError("down")]
        assert (await manager.get(POD, "", 3607)).value == "t1"
        clock.advance(30)
        assert (await manager.get(POD, "", 3607)).value == "t2"
        assert (await manager.get(POD, "vault", 600)).value == "t3"
        manager.forget("u")
        server.refuse = [ConnectionRefusedError("down")]
        with pytest.raises(TokenFault, match="failed to fetch token: down"):
            await manager.get(POD, "", 3607)

    asyncio.run(main())


def test_long_tokens_are_renewed_daily() -> None:
    end = datetime(2027, 1, 1, tzinfo=UTC)
    assert renewal(end, timedelta(days=365)) == end - timedelta(days=364)
    assert renewal(end, timedelta(seconds=1000)) == end - timedelta(seconds=200)
