"""All controllers, in one visible tuple: what each watches and writes stands in its module."""

from __future__ import annotations

from dataclasses import dataclass

from knarr.controller import deployment, endpoint_slice, node_ipam, replicaset, root_ca, service_account
from knarr.controller_runtime.controller import Controller


@dataclass(frozen=True, slots=True)
class Settings:
    """What controllers must know of the cluster.

    `root_ca` is the PEM bundle of the API server's CA; `cluster_cidrs` are the ranges of pod addresses, one or one of
    each IP family (none: nodes are given no ranges).
    """

    root_ca: str
    cluster_cidrs: tuple[str, ...] = ("10.42.0.0/16",)


def controllers(settings: Settings) -> tuple[Controller, ...]:
    """The controllers of kube-controller-manager."""
    ipam = (node_ipam.controller(settings.cluster_cidrs),) if settings.cluster_cidrs else ()
    return (
        service_account.CONTROLLER,
        root_ca.controller(settings.root_ca),
        *ipam,
        deployment.CONTROLLER,
        replicaset.CONTROLLER,
        endpoint_slice.CONTROLLER,
    )
