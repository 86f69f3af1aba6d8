"""How long nodes may trust what they know, by the size of the cluster."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.world import World, run

from knarr.api.registry import NODES
from knarr.controller import node_ttl

SIZES = st.integers(0, 6000)


def test_a_node_of_a_small_cluster_asks_every_time() -> None:
    async def story(world: World) -> None:
        world.api.put(NODES, {"metadata": {"name": "n"}})
        await world.settle()
        assert world.api.get(NODES, "", "n")["metadata"]["annotations"] == {"node.alpha.kubernetes.io/ttl": "0"}

    run(story, (node_ttl.CONTROLLER,))


@given(SIZES, st.sampled_from([None, "0", "15", "30", "60", "300", "7"]))
def test_what_stands_is_kept_while_it_may_and_settles_at_once(nodes: int, before: str | None) -> None:
    first = node_ttl.seconds(before, nodes)
    assert node_ttl.seconds(str(first), nodes) == first
    if nodes > 1000:
        assert first >= 60
    if nodes < 90:
        assert first == 0
