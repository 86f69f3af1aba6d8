"""`knarr simulate`: nodes and pods without containers, on any cluster, through its API."""

from __future__ import annotations

import argparse
import ipaddress
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from knarr.cmd import clusters

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine
    from typing import Any

    from knarr.apimachinery.types import Object
    from knarr.client.client import Client
    from knarr.cmd.simulation_picture import Picture
    from knarr.component_base.kubeconfig import Access
    from knarr.simulation.load import Load
    from knarr.simulation.nodes import Shape
    from knarr.simulation.simulation import Plan, Simulation
    from knarr.simulation.stages import Stage

_MOST_PODS_A_NODE = 250


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `knarr simulate`."""
    where = parser.add_argument_group("the cluster")
    where.add_argument(
        "--name", help="a cluster that `knarr up` made (default: the current context of your kubeconfig)"
    )
    where.add_argument("--kubeconfig", type=Path, help="kubeconfig of any cluster")
    where.add_argument("--context", default="", help="its context")
    what = parser.add_argument_group("what is simulated")
    what.add_argument("--nodes", type=int, default=10, metavar="N", help="nodes (default 10)")
    what.add_argument("--pods", type=int, default=0, metavar="N", help="pods to create on them (default none)")
    what.add_argument("--deployments", type=int, default=0, metavar="N", help="… in so many Deployments (default bare)")
    what.add_argument("--stages", type=Path, metavar="FILE", help="what happens to nodes and pods, and when (YAML)")
    what.add_argument("--prefix", default="sim", help="name of the simulation, and begin of its nodes' names")
    what.add_argument("--namespace", default="simulation", help="where the pods go")
    what.add_argument("--node-cpu", default="32", metavar="CPU")
    what.add_argument("--node-memory", default="256Gi", metavar="BYTES")
    what.add_argument("--node-pods", type=int, default=110, metavar="N")
    what.add_argument("--zones", type=int, default=3, metavar="N")
    what.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="a label of every node")
    what.add_argument("--taint", action=argparse.BooleanOptionalAction, help="taint the nodes, so that only pods that "
        "tolerate simulation.knarr.dev/name come (default: where the cluster has other nodes)")  # fmt: skip
    what.add_argument("--heartbeat", type=float, default=10.0, metavar="SECONDS", help="how often leases are renewed")
    what.add_argument("--pod-cidr", type=ipaddress.IPv4Network, default=ipaddress.IPv4Network("10.128.0.0/9"))
    what.add_argument("--seed", default="", help="another seed draws other delays and failures")
    end = parser.add_argument_group("the end")
    end.add_argument("--once", action="store_true", help="end when every pod of --pods is ready or has ended")
    end.add_argument("--keep", action="store_true", help="leave nodes and pods there")


def run(arguments: argparse.Namespace) -> int:
    """Simulate until Ctrl-C; returns the exit code."""
    import asyncio

    from knarr.apimachinery.errors import StatusError

    try:
        access, load, plan = _access(arguments), _load(arguments), _plan(arguments)
    except (OSError, ValueError, KeyError) as error:
        return _fail(error)
    try:
        return asyncio.run(_simulate(arguments, access, plan, load))
    except (StatusError, ConnectionError) as error:
        return _fail(error)


def _fail(error: object) -> int:
    print(f"knarr simulate: {error}", file=sys.stderr)
    return 1


def _access(arguments: argparse.Namespace) -> Access:
    from knarr.component_base import kubeconfig

    if arguments.name:
        cluster = clusters.load(arguments.name)
        if cluster is None:
            raise ValueError(f"no cluster {arguments.name!r}; `knarr up --name {arguments.name}` makes one")
        return kubeconfig.load(cluster.admin_kubeconfig)
    path = arguments.kubeconfig or kubeconfig.invoking_user(os.environ)[0]
    if not path.exists():
        raise ValueError(f"no kubeconfig {path}; `knarr up` makes one, and --kubeconfig names another")
    return kubeconfig.load(path, arguments.context)


def _plan(arguments: argparse.Namespace) -> Plan:
    from knarr.simulation.nodes import Shape
    from knarr.simulation.simulation import Plan

    for name in ("nodes", "zones", "node_pods"):
        if getattr(arguments, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1")
    if arguments.node_pods > _MOST_PODS_A_NODE:
        raise ValueError(f"--node-pods: {_MOST_PODS_A_NODE} at most: a node has the addresses of a /24")
    if arguments.heartbeat <= 0:
        raise ValueError("--heartbeat must be above 0")
    shape = Shape(
        name=arguments.prefix,
        cpu=arguments.node_cpu,
        memory=arguments.node_memory,
        pods=arguments.node_pods,
        zones=arguments.zones,
        labels=dict(_label(text) for text in arguments.label),
        pod_cidr=arguments.pod_cidr,
        lease_seconds=max(40, int(4 * arguments.heartbeat)),
    )
    shape.range_of(arguments.nodes - 1)
    return Plan(shape, arguments.nodes, _stages(arguments.stages), arguments.heartbeat, arguments.seed)


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--label {text}: expected KEY=VALUE")
    return key, value


def _load(arguments: argparse.Namespace) -> Load:
    from knarr.simulation.load import Load

    if arguments.pods < 0 or arguments.deployments < 0:
        raise ValueError("--pods and --deployments must not be negative")
    if arguments.deployments > arguments.pods:
        raise ValueError("--deployments: more than --pods")
    return Load(arguments.prefix, arguments.namespace, arguments.pods, arguments.deployments)


def _stages(path: Path | None) -> tuple[Stage, ...]:
    """The stages of the file; of a kind that it does not mention, the usual ones."""
    from knarr.simulation import default_stages, stages

    if path is None:
        return default_stages.STAGES
    import yaml

    try:
        own = stages.load(yaml.safe_load_all(path.read_text()))
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error}") from error
    kinds = {stage.kind for stage in own}
    return (*own, *(stage for stage in default_stages.STAGES if stage.kind not in kinds))


async def _simulate(arguments: argparse.Namespace, access: Access, plan: Plan, load: Load) -> int:
    import asyncio
    from dataclasses import replace

    from knarr.client.client import Client
    from knarr.client.http import HttpTransport
    from knarr.cmd.simulation_picture import Picture, Subject
    from knarr.component_base.clock import RealClock
    from knarr.simulation.latency import MeasuredTransport
    from knarr.simulation.simulation import Simulation

    clock = RealClock()
    transport = MeasuredTransport(HttpTransport(access, "knarr-simulate"), clock)
    client = Client(transport)
    ended = _end_on_signals(asyncio.get_running_loop())
    try:
        plan = replace(plan, shape=await _tainted(plan.shape, client, arguments.taint))
        simulation = Simulation(plan, client, clock)
        with Picture(Subject(simulation, load, transport, plan.count), clock) as picture:
            try:
                await _first_of(ended.wait(), _play(simulation, load, picture, once=arguments.once))
                if not arguments.keep:
                    picture.note("clearing up (Ctrl-C leaves the rest there)")
                    await _first_of(_signal_again(ended), simulation.clear(load))
            finally:
                await simulation.close()
    finally:
        await client.close()
    return 0


async def _play(simulation: Simulation, load: Load, picture: Picture, *, once: bool) -> None:
    """Make nodes and load and play them: for ever, or `once` until each pod of the load has come to something."""
    import asyncio

    picture.note("making nodes")
    await simulation.make_nodes()
    simulation.start()
    picture.note("making pods" if load.pods else "playing")
    await simulation.add(load)
    picture.note("playing")
    await simulation.until_up(load)
    picture.note("all is up")
    if not once:
        await asyncio.Event().wait()


def _end_on_signals(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """Set when somebody wants the end."""
    import asyncio
    import signal

    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    return ended


async def _signal_again(ended: asyncio.Event) -> None:
    ended.clear()
    await ended.wait()


async def _first_of(*waited: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of them ends, and end the others. Raises what it raised."""
    import asyncio

    tasks = [asyncio.ensure_future(each) for each in waited]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _tainted(shape: Shape, client: Client, wanted: bool | None) -> Shape:  # noqa: FBT001 - a flag's three values
    """The shape with the taint that keeps other pods away, if it is wanted, or nothing is said and others are there."""
    from dataclasses import replace

    from knarr.api.registry import NODES
    from knarr.simulation.nodes import LABEL

    if wanted is None:
        others = (await client.list(NODES, labelSelector=f"!{LABEL}", limit="1"))["items"]
        wanted = bool(others)
        if others:
            print(f"node {others[0]['metadata']['name']} is real: simulated nodes get the taint {LABEL}:NoSchedule")
    taint: Object = {"key": LABEL, "value": shape.name, "effect": "NoSchedule"}
    return replace(shape, taints=(taint,)) if wanted else shape
