"""All controllers, in one visible tuple: what each watches and writes stands in its module."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from knarr.api.registry import EVENTS, EVENTS_V1, RESOURCES
from knarr.api.resources import Resource
from knarr.controller import (
    attach_detach,
    cluster_dns,
    cluster_role_aggregation,
    cronjob,
    daemonset,
    deployment,
    device_taint_eviction,
    disruption,
    endpoint_slice,
    endpoint_slice_mirroring,
    endpoints,
    ephemeral_volume,
    garbage_collector,
    job,
    legacy_tokens,
    local_path,
    namespace,
    node_ipam,
    node_lifecycle,
    node_ttl,
    persistent_volume,
    pod_gc,
    podautoscaler,
    policy_status,
    resource_claim,
    resource_quota,
    root_ca,
    service_account,
    service_cidrs,
    statefulset,
    taint_eviction,
    token_secrets,
    ttl_after_finished,
    volume_expand,
)
from knarr.controller.bootstrap_tokens import cleaner as token_cleaner
from knarr.controller.bootstrap_tokens import signer as bootstrap_signer
from knarr.controller.certificates import approving, cleaner, signing
from knarr.controller.protection import attribute_classes, claims, volumes
from knarr.controller.replicas import replicaset, replication_controller
from knarr.controller_runtime.controller import Controller


@dataclass(frozen=True, slots=True)
class Settings:
    """What controllers must know of the cluster.

    `root_ca` is the PEM bundle of the API server's CA; `cluster_cidrs` are the ranges of pod addresses, one or one of
    each IP family (none: nodes are given no ranges); `node_grace` are the seconds for which a silent node is trusted;
    `dns_address` is the ClusterIP that nodes answer DNS at (none: they do not).
    """

    root_ca: str
    cluster_cidrs: tuple[str, ...] = ("10.42.0.0/16",)
    node_grace: float = 40.0
    terminated_pods: int = 12500
    dns_address: str = ""
    #: The folder of each node in which volumes of the class `local-path` lie (none: there is no such class).
    local_storage: str = ""
    local_storage_image: str = "busybox"
    #: Signs certificates; without it nobody does, and requests wait for another signer.
    sign: signing.Sign | None = None
    #: Signs the tokens of service accounts that stand in Secrets; without it they get none.
    sign_token: token_secrets.Sign | None = None
    autoscaling: podautoscaler.Settings = podautoscaler.Settings()
    certificate_life: datetime.timedelta = datetime.timedelta(days=365)


def controllers(settings: Settings) -> tuple[Controller, ...]:
    """The controllers of kube-controller-manager."""
    ipam = (node_ipam.controller(settings.cluster_cidrs),) if settings.cluster_cidrs else ()
    dns = (cluster_dns.controller(settings.dns_address),) if settings.dns_address else ()
    image = settings.local_storage_image
    local = (local_path.controller(settings.local_storage, image),) if settings.local_storage else ()
    signer = (signing.controller(settings.sign, settings.certificate_life),) if settings.sign else ()
    tokens = (token_secrets.controller(settings.sign_token, settings.root_ca),) if settings.sign_token else ()
    return (
        service_account.CONTROLLER,
        *tokens,
        legacy_tokens.controller(),
        bootstrap_signer.CONTROLLER,
        token_cleaner.CONTROLLER,
        root_ca.controller(settings.root_ca),
        *ipam,
        node_ttl.CONTROLLER,
        service_cidrs.CONTROLLER,
        node_lifecycle.controller(settings.node_grace),
        taint_eviction.CONTROLLER,
        deployment.CONTROLLER,
        replicaset.CONTROLLER,
        replication_controller.CONTROLLER,
        job.CONTROLLER,
        cronjob.CONTROLLER,
        ttl_after_finished.CONTROLLER,
        statefulset.CONTROLLER,
        daemonset.controller(),
        endpoint_slice.CONTROLLER,
        endpoints.CONTROLLER,
        endpoint_slice_mirroring.CONTROLLER,
        *dns,
        cluster_role_aggregation.CONTROLLER,
        approving.CONTROLLER,
        *signer,
        cleaner.CONTROLLER,
        disruption.CONTROLLER,
        policy_status.CONTROLLER,
        pod_gc.controller(settings.terminated_pods),
        podautoscaler.controller(settings.autoscaling),
        resource_quota.controller(_in_namespaces()),
        persistent_volume.CONTROLLER,
        attach_detach.CONTROLLER,
        *local,
        volume_expand.CONTROLLER,
        ephemeral_volume.CONTROLLER,
        resource_claim.CONTROLLER,
        device_taint_eviction.CONTROLLER,
        claims.CONTROLLER,
        volumes.CONTROLLER,
        attribute_classes.CONTROLLER,
        namespace.controller(_in_namespaces()),
        garbage_collector.controller(_collected()),
    )


def _stored(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """Of resources that are views of the same objects, the preferred version."""
    found: dict[str, Resource] = {}
    for resource in resources:
        if {"list", "watch", "delete"} <= set(resource.verbs):
            found.setdefault(resource.storage, resource)
    return tuple(found.values())


def _in_namespaces() -> tuple[Resource, ...]:
    return _stored(resource for resource in RESOURCES if resource.namespaced and resource is not EVENTS_V1)


def _collected() -> tuple[Resource, ...]:
    return _stored(resource for resource in RESOURCES if resource not in (EVENTS, EVENTS_V1))
