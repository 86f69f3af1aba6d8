"""`knarr status`: which clusters run on this machine, and how they are."""

from __future__ import annotations

import argparse
from typing import Any

from knarr.cmd import clusters, members, own_etcd
from knarr.cmd.api import Api, Unreachable
from knarr.cmd.clusters import Cluster
from knarr.cmd.readiness import is_ready


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `knarr status`."""
    parser.add_argument("--name", help="name of a cluster (default: all)")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="form of the answer")


def run(arguments: argparse.Namespace) -> int:
    """Show clusters; returns 0 if every one shown is well, else 1."""
    found = [one for one in clusters.load_all() if arguments.name in (None, one.name)]
    reports = [report(one) for one in found]
    if arguments.output == "json":
        import orjson

        print(orjson.dumps(reports, option=orjson.OPT_INDENT_2).decode())
    elif not reports:
        print("No cluster." if arguments.name is None else f"No cluster {arguments.name!r}.")
    for one in reports if arguments.output == "text" else ():
        print("\n".join(_lines(one)))
    return 0 if reports and all(one["healthy"] for one in reports) else 1


def report(cluster: Cluster) -> dict[str, Any]:
    """What there is to say of a cluster, as JSON."""
    out: dict[str, Any] = {
        "name": cluster.name,
        "server": f"https://127.0.0.1:{cluster.port}",
        "context": cluster.context,
        "kubeconfig": cluster.kubeconfig,
        "dataDir": cluster.data_dir,
        "stopped": cluster.stopped,
        "processes": _processes(cluster),
        "nodes": [],
    }
    if not cluster.api_only:
        out["network"] = {
            "namespace": cluster.namespace,
            "pods": cluster.cluster_cidr,
            "services": cluster.service_cidr,
            "dns": cluster.dns_address,
            "uplink": cluster.uplink,
        }
    try:
        api = Api(cluster.admin_kubeconfig)
        out["version"] = api.read("/version")["gitVersion"]
        status, _ = api.get("/readyz")
        out["api"] = "ready" if status == 200 else "not ready"
        out["nodes"] = [_node(node) for node in api.read("/api/v1/nodes")["items"]]
    except Unreachable as error:
        out["api"] = f"unreachable: {error}"
    out["healthy"] = (
        out["api"] == "ready"
        and all(one["running"] for one in out["processes"].values())
        and all(one["ready"] for one in out["nodes"])
        and bool(out["nodes"] or cluster.api_only)
    )
    return out


def _processes(cluster: Cluster) -> dict[str, dict[str, Any]]:
    absent = {members.AGENT} if cluster.api_only else set()
    if not own_etcd.runs_for(cluster):
        absent.add(members.DATASTORE)
    wanted = [member for member in members.ALL if member not in absent]
    found = {member: members.holder(cluster.name, member) for member in wanted}
    return {
        member: {"pid": process.pid if process else None, "running": process is not None}
        for member, process in found.items()
    }


def _node(node: dict[str, Any]) -> dict[str, Any]:
    status = node.get("status") or {}
    info = status.get("nodeInfo") or {}
    addresses = [one["address"] for one in status.get("addresses") or () if one["type"] == "InternalIP"]
    return {
        "name": node["metadata"]["name"],
        "ready": is_ready(node),
        "version": info.get("kubeletVersion", ""),
        "runtime": info.get("containerRuntimeVersion", ""),
        "addresses": addresses,
        "pods": (node.get("spec") or {}).get("podCIDR", ""),
    }


def _lines(one: dict[str, Any]) -> list[str]:
    if one["stopped"]:
        return [f"{one['name']}: stopped; `knarr up` goes on with it", f"  data       {one['dataDir']}"]
    state = "running" if one["healthy"] else "NOT WELL"
    lines = [
        f"{one['name']}: {state}",
        f"  API        {one['server']} ({one['api']}) {one.get('version', '')}".rstrip(),
    ]
    lines.append(f"  kubectl    context {one['context']} in {one['kubeconfig'] or '(not merged)'}")
    for name, process in one["processes"].items():
        lines.append(f"  {name:<10} {'pid ' + str(process['pid']) if process['running'] else 'not running'}")
    if network := one.get("network"):
        uplink = "uplink" if network["uplink"] else "no uplink"
        lines.append(f"  network    {network['namespace']}, {uplink}; pods {network['pods']}")
        lines.append(f"             Services {network['services']}, DNS {network['dns']}")
    for node in one["nodes"]:
        ready = "Ready" if node["ready"] else "NotReady"
        lines.append(f"  node       {node['name']} {ready} {node['version']} {','.join(node['addresses'])}")
    lines.append(f"  data       {one['dataDir']}")
    return lines
