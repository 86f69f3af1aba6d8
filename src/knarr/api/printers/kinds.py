"""Which function prints which resource: `plural.group` → cells in the order of the columns in `columns.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from knarr.api.printers import cluster, core, network, pods, storage, workloads
from knarr.apimachinery.types import Object

Cells: TypeAlias = Callable[[Object, datetime], list[Any]]

CELLS: Mapping[str, Cells] = {
    "componentstatuses": core.component_status,
    "configmaps": core.config_map,
    "endpoints": core.endpoints,
    "events": core.event,
    "events.events.k8s.io": core.event,
    "namespaces": core.namespace,
    "nodes": core.node,
    "persistentvolumeclaims": storage.claim,
    "persistentvolumes": storage.volume,
    "pods": pods.cells,
    "podtemplates": core.pod_template,
    "replicationcontrollers": workloads.replication_controller,
    "resourcequotas": core.resource_quota,
    "scales": workloads.scale,
    "secrets": core.secret,
    "serviceaccounts": core.service_account,
    "services": core.service,
    "controllerrevisions.apps": workloads.controller_revision,
    "daemonsets.apps": workloads.daemon_set,
    "deployments.apps": workloads.deployment,
    "replicasets.apps": workloads.replica_set,
    "statefulsets.apps": workloads.stateful_set,
    "cronjobs.batch": workloads.cron_job,
    "jobs.batch": workloads.job,
    "horizontalpodautoscalers.autoscaling": workloads.autoscaler,
    "poddisruptionbudgets.policy": workloads.disruption_budget,
    "endpointslices.discovery.k8s.io": network.endpoint_slice,
    "ingressclasses.networking.k8s.io": network.ingress_class,
    "ingresses.networking.k8s.io": network.ingress,
    "ipaddresses.networking.k8s.io": network.ip_address,
    "networkpolicies.networking.k8s.io": network.network_policy,
    "servicecidrs.networking.k8s.io": network.service_cidr,
    "csidrivers.storage.k8s.io": storage.csi_driver,
    "csinodes.storage.k8s.io": storage.csi_node,
    "storageclasses.storage.k8s.io": storage.storage_class,
    "volumeattachments.storage.k8s.io": storage.attachment,
    "volumeattributesclasses.storage.k8s.io": storage.attributes_class,
    "clusterrolebindings.rbac.authorization.k8s.io": cluster.role_binding,
    "rolebindings.rbac.authorization.k8s.io": cluster.role_binding,
    "certificatesigningrequests.certificates.k8s.io": cluster.signing_request,
    "mutatingadmissionpolicies.admissionregistration.k8s.io": cluster.mutating_policy,
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": cluster.policy_binding,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": cluster.webhooks,
    "validatingadmissionpolicies.admissionregistration.k8s.io": cluster.validating_policy,
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": cluster.policy_binding,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": cluster.webhooks,
    "priorityclasses.scheduling.k8s.io": cluster.priority_class,
    "runtimeclasses.node.k8s.io": cluster.runtime_class,
    "leases.coordination.k8s.io": cluster.lease,
    "flowschemas.flowcontrol.apiserver.k8s.io": cluster.flow_schema,
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": cluster.priority_level,
    "apiservices.apiregistration.k8s.io": cluster.api_service,
    "deviceclasses.resource.k8s.io": core.service_account,
    "resourceclaims.resource.k8s.io": cluster.device_claim,
    "resourceclaimtemplates.resource.k8s.io": core.service_account,
    "resourceslices.resource.k8s.io": cluster.device_slice,
}
