"""Fields in the order of Kubernetes' internal types, where that is not the order of the versioned ones."""

from __future__ import annotations

_CONTAINER = """
    name image command args workingDir ports envFrom env resources resizePolicy restartPolicy restartPolicyRules
    volumeMounts volumeDevices livenessProbe readinessProbe startupProbe lifecycle terminationMessagePath
    terminationMessagePolicy imagePullPolicy securityContext stdin stdinOnce tty
"""
_VOLUME_MOUNT = """
    name readOnly recursiveReadOnly mountPath subPath mountPropagation subPathExpr
"""
_CLAIM = """
    accessModes selector resources volumeName storageClassName volumeMode dataSource dataSourceRef
    volumeAttributesClassName
"""
_VOLUME = """
    name hostPath emptyDir gcePersistentDisk awsElasticBlockStore gitRepo secret nfs iscsi glusterfs
    persistentVolumeClaim rbd quobyte flexVolume cinder cephfs flocker downwardAPI fc azureFile configMap
    vsphereVolume azureDisk photonPersistentDisk projected portworxVolume scaleIO storageos csi ephemeral image
"""
_POD = """
    volumes initContainers containers ephemeralContainers restartPolicy terminationGracePeriodSeconds
    activeDeadlineSeconds dnsPolicy nodeSelector serviceAccountName automountServiceAccountToken nodeName
    securityContext imagePullSecrets hostname subdomain setHostnameAsFQDN affinity schedulerName tolerations
    hostAliases priorityClassName priority preemptionPolicy dnsConfig readinessGates runtimeClassName overhead
    enableServiceLinks topologySpreadConstraints os schedulingGates resourceClaims resources hostnameOverride
    schedulingGroup
"""
_POD_SECURITY = """
    seLinuxOptions windowsOptions runAsUser runAsGroup runAsNonRoot supplementalGroups supplementalGroupsPolicy
    fsGroup fsGroupChangePolicy sysctls seccompProfile appArmorProfile seLinuxChangePolicy
"""
_SECURITY = """
    capabilities privileged seLinuxOptions windowsOptions runAsUser runAsGroup runAsNonRoot readOnlyRootFilesystem
    allowPrivilegeEscalation procMount seccompProfile appArmorProfile
"""

#: Type -> its fields in order.
ORDERS: dict[str, tuple[str, ...]] = {
    "core.v1.Container": tuple(_CONTAINER.split()),
    "core.v1.VolumeMount": tuple(_VOLUME_MOUNT.split()),
    "core.v1.PersistentVolumeClaimSpec": tuple(_CLAIM.split()),
    "core.v1.Volume": tuple(_VOLUME.split()),
    "core.v1.PodSpec": tuple(_POD.split()),
    "core.v1.PodSecurityContext": tuple(_POD_SECURITY.split()),
    "core.v1.SecurityContext": tuple(_SECURITY.split()),
    "core.v1.ServicePort": ("name", "protocol", "appProtocol", "port", "targetPort", "nodePort"),
    "core.v1.TypedLocalObjectReference": ("apiGroup", "kind", "name"),
    "core.v1.TypedObjectReference": ("apiGroup", "kind", "name", "namespace"),
    "rbac.v1.RoleRef": ("apiGroup", "kind", "name"),
    "core.v1.EphemeralContainer": (*_CONTAINER.split(), "targetContainerName"),
}
#: Fields of a pod's spec that the internal type keeps in the security context, first there.
IN_SECURITY_CONTEXT = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")
