"""What Kubernetes sets in an object where its author was silent, kind by kind.

Input: a canonical object of a version; it is changed in place. Setting defaults twice changes nothing. What conversion
to the inner form changes of an object (a Secret's `stringData`, a pod's old field names) happens here too.
Source of the rules: k8s.io/kubernetes/pkg/apis/*/*/defaults.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from knarr.api.defaults import (
    admissionregistration_v1,
    apiextensions_v1,
    apiregistration_v1,
    apps_v1,
    authentication_v1,
    autoscaling_v1,
    autoscaling_v2,
    batch_v1,
    certificates_v1beta1,
    core_v1,
    discovery_v1,
    flowcontrol_v1,
    networking_v1,
    node_v1,
    pods,
    rbac_v1,
    resource_v1,
    resource_v1beta1,
    scheduling_v1,
    storage_v1,
)
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object

_DEFAULTS: Mapping[tuple[str, str], Callable[[Object], None]] = {
    ("v1", "ConfigMap"): core_v1.config_map,
    ("v1", "Endpoints"): core_v1.endpoints,
    ("v1", "LimitRange"): core_v1.limit_range,
    ("v1", "Namespace"): core_v1.namespace,
    ("v1", "Node"): core_v1.node,
    ("v1", "PersistentVolume"): core_v1.persistent_volume,
    ("v1", "PersistentVolumeClaim"): core_v1.persistent_volume_claim,
    ("v1", "Pod"): pods.pod,
    ("v1", "PodTemplate"): core_v1.pod_template,
    ("v1", "ReplicationController"): core_v1.replication_controller,
    ("v1", "ResourceQuota"): core_v1.resource_quota,
    ("v1", "Secret"): core_v1.secret,
    ("v1", "Service"): core_v1.service,
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy"): admissionregistration_v1.mutating_policy,
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding"): admissionregistration_v1.binding,
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"): admissionregistration_v1.mutating_webhooks,
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"): admissionregistration_v1.validating_policy,
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"): admissionregistration_v1.binding,
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"): admissionregistration_v1.validating_webhooks,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): apiextensions_v1.custom_resource_definition,
    ("apiregistration.k8s.io/v1", "APIService"): apiregistration_v1.api_service,
    ("apps/v1", "DaemonSet"): apps_v1.daemon_set,
    ("apps/v1", "Deployment"): apps_v1.deployment,
    ("apps/v1", "ReplicaSet"): apps_v1.replica_set,
    ("apps/v1", "StatefulSet"): apps_v1.stateful_set,
    ("authentication.k8s.io/v1", "TokenRequest"): authentication_v1.token_request,
    ("autoscaling/v1", "HorizontalPodAutoscaler"): autoscaling_v1.horizontal_pod_autoscaler,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): autoscaling_v2.horizontal_pod_autoscaler,
    ("batch/v1", "CronJob"): batch_v1.cron_job,
    ("batch/v1", "Job"): batch_v1.job,
    ("discovery.k8s.io/v1", "EndpointSlice"): discovery_v1.endpoint_slice,
    ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema"): flowcontrol_v1.flow_schema,
    ("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration"): flowcontrol_v1.priority_level_configuration,
    ("networking.k8s.io/v1", "IngressClass"): networking_v1.ingress_class,
    ("networking.k8s.io/v1", "NetworkPolicy"): networking_v1.network_policy,
    ("node.k8s.io/v1", "RuntimeClass"): node_v1.runtime_class,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): rbac_v1.role_binding,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): rbac_v1.role_binding,
    ("resource.k8s.io/v1", "ResourceClaim"): resource_v1.resource_claim,
    ("resource.k8s.io/v1", "ResourceClaimTemplate"): resource_v1.resource_claim_template,
    ("scheduling.k8s.io/v1", "PriorityClass"): scheduling_v1.priority_class,
    ("storage.k8s.io/v1", "CSIDriver"): storage_v1.csi_driver,
    ("storage.k8s.io/v1", "StorageClass"): storage_v1.storage_class,
    ("storage.k8s.io/v1", "VolumeAttachment"): storage_v1.volume_attachment,
    # Optional versions.
    ("admissionregistration.k8s.io/v1alpha1", "MutatingAdmissionPolicy"): admissionregistration_v1.mutating_policy,
    ("admissionregistration.k8s.io/v1alpha1", "MutatingAdmissionPolicyBinding"): admissionregistration_v1.binding,
    ("admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicy"): admissionregistration_v1.mutating_policy,
    ("admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicyBinding"): admissionregistration_v1.binding,
    ("certificates.k8s.io/v1beta1", "PodCertificateRequest"): certificates_v1beta1.pod_certificate_request,
    ("resource.k8s.io/v1beta1", "ResourceClaim"): resource_v1beta1.resource_claim,
    ("resource.k8s.io/v1beta1", "ResourceClaimTemplate"): resource_v1beta1.resource_claim_template,
    ("resource.k8s.io/v1beta2", "ResourceClaim"): resource_v1.resource_claim,
    ("resource.k8s.io/v1beta2", "ResourceClaimTemplate"): resource_v1.resource_claim_template,
}


#: Of kinds with many changes of their status, what concerns that alone.
_OF_STATUS: Mapping[tuple[str, str], Callable[[Object], None]] = {("v1", "Pod"): pods.status}


def apply_status(resource: Resource, obj: Object) -> None:
    """Set what the object's status leaves open, in place; everything else has been defaulted before."""
    found = _OF_STATUS.get((resource.api_version, resource.kind))
    if found is not None:
        found(obj)
    else:
        apply(resource, obj)


def apply(resource: Resource, obj: Object) -> None:
    """Set what the object leaves open, in place; kinds without defaults stay as they are."""
    found = _DEFAULTS.get((resource.api_version, resource.kind))
    if found is not None:
        found(obj)
