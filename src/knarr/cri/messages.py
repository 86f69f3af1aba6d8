"""The CRI v1 messages and the few of containerd's own API, as field tables (numbers of the published api.proto).

One message a line: `Name: field=number=type`. Types: `s` string, `y` bytes, `i` integer or enum, `b` bool, `%` map of
strings, else a message; `*` before it means repeated.

https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto
https://github.com/containerd/containerd/tree/main/api/services
"""

from __future__ import annotations

from enum import IntEnum

from knarr.wire.messages import Codec

_CRI = """
Empty:
SandboxId: pod_sandbox_id=1=s verbose=2=b
ContainerId: container_id=1=s verbose=2=b
Url: url=1=s
VersionRequest: version=1=s
VersionResponse: version=1=s runtime_name=2=s runtime_version=3=s runtime_api_version=4=s
StatusRequest: verbose=1=b
StatusResponse: status=1=RuntimeStatus info=2=%
RuntimeStatus: conditions=1=*RuntimeCondition
RuntimeCondition: type=1=s status=2=b reason=3=s message=4=s
UpdateRuntimeConfigRequest: runtime_config=1=RuntimeConfig
RuntimeConfig: network_config=1=NetworkConfig
NetworkConfig: pod_cidr=1=s
Int64Value: value=1=i
KeyValue: key=1=s value=2=s
DNSConfig: servers=1=*s searches=2=*s options=3=*s
PortMapping: protocol=1=i container_port=2=i host_port=3=i host_ip=4=s
NamespaceOption: network=1=i pid=2=i ipc=3=i target_id=4=s
SecurityProfile: profile_type=1=i localhost_ref=2=s
PodSandboxMetadata: name=1=s uid=2=s namespace=3=s attempt=4=i
LinuxSandboxSecurityContext: namespace_options=1=NamespaceOption run_as_user=3=Int64Value readonly_rootfs=4=b \
supplemental_groups=5=*i privileged=6=b run_as_group=8=Int64Value seccomp=9=SecurityProfile
LinuxContainerResources: cpu_period=1=i cpu_quota=2=i cpu_shares=3=i memory_limit_in_bytes=4=i oom_score_adj=5=i \
cpuset_cpus=6=s cpuset_mems=7=s unified=9=% memory_swap_limit_in_bytes=10=i
LinuxPodSandboxConfig: cgroup_parent=1=s security_context=2=LinuxSandboxSecurityContext sysctls=3=% \
overhead=4=LinuxContainerResources resources=5=LinuxContainerResources
PodSandboxConfig: metadata=1=PodSandboxMetadata hostname=2=s log_directory=3=s dns_config=4=DNSConfig \
port_mappings=5=*PortMapping labels=6=% annotations=7=% linux=8=LinuxPodSandboxConfig
RunPodSandboxRequest: config=1=PodSandboxConfig runtime_handler=2=s
PodSandboxStateValue: state=1=i
PodIP: ip=1=s
PodSandboxNetworkStatus: ip=1=s additional_ips=2=*PodIP
PodSandboxStatus: id=1=s metadata=2=PodSandboxMetadata state=3=i created_at=4=i network=5=PodSandboxNetworkStatus \
labels=7=% annotations=8=% runtime_handler=9=s
PodSandboxStatusResponse: status=1=PodSandboxStatus info=2=%
PodSandboxFilter: id=1=s state=2=PodSandboxStateValue label_selector=3=%
ListPodSandboxRequest: filter=1=PodSandboxFilter
PodSandbox: id=1=s metadata=2=PodSandboxMetadata state=3=i created_at=4=i labels=5=% annotations=6=% runtime_handler=7=s
ListPodSandboxResponse: items=1=*PodSandbox
ImageSpec: image=1=s annotations=2=% user_specified_image=18=s runtime_handler=19=s
Mount: container_path=1=s host_path=2=s readonly=3=b selinux_relabel=4=b propagation=5=i
Device: container_path=1=s host_path=2=s permissions=3=s
Capability: add_capabilities=1=*s drop_capabilities=2=*s
LinuxContainerSecurityContext: capabilities=1=Capability privileged=2=b namespace_options=3=NamespaceOption \
run_as_user=5=Int64Value run_as_username=6=s readonly_rootfs=7=b supplemental_groups=8=*i no_new_privs=11=b \
run_as_group=12=Int64Value masked_paths=13=*s readonly_paths=14=*s seccomp=15=SecurityProfile
LinuxContainerConfig: resources=1=LinuxContainerResources security_context=2=LinuxContainerSecurityContext
ContainerMetadata: name=1=s attempt=2=i
ContainerConfig: metadata=1=ContainerMetadata image=2=ImageSpec command=3=*s args=4=*s working_dir=5=s \
envs=6=*KeyValue mounts=7=*Mount devices=8=*Device labels=9=% annotations=10=% log_path=11=s \
stdin=12=b stdin_once=13=b tty=14=b linux=15=LinuxContainerConfig stop_signal=18=i
CreateContainerRequest: pod_sandbox_id=1=s config=2=ContainerConfig sandbox_config=3=PodSandboxConfig
StopContainerRequest: container_id=1=s timeout=2=i
UpdateContainerResourcesRequest: container_id=1=s linux=2=LinuxContainerResources
ContainerStateValue: state=1=i
Container: id=1=s pod_sandbox_id=2=s metadata=3=ContainerMetadata image=4=ImageSpec image_ref=5=s state=6=i \
created_at=7=i labels=8=% annotations=9=%
ContainerFilter: id=1=s state=2=ContainerStateValue pod_sandbox_id=3=s label_selector=4=%
ListContainersRequest: filter=1=ContainerFilter
ListContainersResponse: containers=1=*Container
ContainerStatus: id=1=s metadata=2=ContainerMetadata state=3=i created_at=4=i started_at=5=i finished_at=6=i \
exit_code=7=i image=8=ImageSpec image_ref=9=s reason=10=s message=11=s labels=12=% annotations=13=% mounts=14=*Mount \
log_path=15=s
ContainerStatusResponse: status=1=ContainerStatus info=2=%
ExecSyncRequest: container_id=1=s cmd=2=*s timeout=3=i
ExecSyncResponse: stdout=1=y stderr=2=y exit_code=3=i
ExecRequest: container_id=1=s cmd=2=*s tty=3=b stdin=4=b stdout=5=b stderr=6=b
AttachRequest: container_id=1=s stdin=2=b tty=3=b stdout=4=b stderr=5=b
PortForwardRequest: pod_sandbox_id=1=s port=2=*i
CpuUsage: timestamp=1=i usage_core_nano_seconds=2=Int64Value usage_nano_cores=3=Int64Value
MemoryUsage: timestamp=1=i working_set_bytes=2=Int64Value available_bytes=3=Int64Value usage_bytes=4=Int64Value \
rss_bytes=5=Int64Value page_faults=6=Int64Value major_page_faults=7=Int64Value
FilesystemIdentifier: mountpoint=1=s
FilesystemUsage: timestamp=1=i fs_id=2=FilesystemIdentifier used_bytes=3=Int64Value inodes_used=4=Int64Value
ContainerAttributes: id=1=s metadata=2=ContainerMetadata labels=3=% annotations=4=%
ContainerStats: attributes=1=ContainerAttributes cpu=2=CpuUsage memory=3=MemoryUsage writable_layer=4=FilesystemUsage
ContainerStatsFilter: id=1=s pod_sandbox_id=2=s label_selector=3=%
ListContainerStatsRequest: filter=1=ContainerStatsFilter
ListContainerStatsResponse: stats=1=*ContainerStats
ContainerEvent: container_id=1=s container_event_type=2=i created_at=3=i
Image: id=1=s repo_tags=2=*s repo_digests=3=*s size=4=i uid=5=Int64Value username=6=s pinned=8=b
ImageFilter: image=1=ImageSpec
ListImagesRequest: filter=1=ImageFilter
ListImagesResponse: images=1=*Image
ImageStatusRequest: image=1=ImageSpec verbose=2=b
ImageStatusResponse: image=1=Image info=2=%
AuthConfig: username=1=s password=2=s auth=3=s server_address=4=s identity_token=5=s registry_token=6=s
PullImageRequest: image=1=ImageSpec auth=2=AuthConfig sandbox_config=3=PodSandboxConfig
PullImageResponse: image_ref=1=s
RemoveImageRequest: image=1=ImageSpec
ImageFsInfoResponse: image_filesystems=1=*FilesystemUsage
"""

_CONTAINERD = """
WriteRequest: action=1=i ref=2=s total=3=i expected=4=s offset=5=i data=6=y labels=7=%
WriteResponse: action=1=i offset=4=i total=5=i digest=6=s
ReadRequest: digest=1=s offset=2=i size=3=i
ReadResponse: offset=1=i data=2=y
InfoRequest: digest=1=s
Info: digest=1=s size=2=i labels=5=%
InfoResponse: info=1=Info
AbortRequest: ref=1=s
Descriptor: media_type=1=s digest=2=s size=3=i annotations=5=%
CtrImage: name=1=s labels=2=% target=3=Descriptor
GetImageRequest: name=1=s
GetImageResponse: image=1=CtrImage
ListCtrImagesRequest: filters=1=*s
ListCtrImagesResponse: images=1=*CtrImage
CreateImageRequest: image=1=CtrImage
FieldMask: paths=1=*s
UpdateImageRequest: image=1=CtrImage update_mask=2=FieldMask
DeleteImageRequest: name=1=s sync=2=b
CreateLeaseRequest: id=1=s labels=3=%
DeleteLeaseRequest: id=1=s sync=2=b
SubscribeRequest: filters=1=*s
Any: type_url=1=s value=2=y
Envelope: namespace=2=s topic=3=s event=4=Any
TaskExit: container_id=1=s id=2=s pid=3=i exit_status=4=i
"""

CODEC = Codec(_CRI + _CONTAINERD)


class SandboxState(IntEnum):
    """`PodSandboxState`."""

    READY = 0
    NOTREADY = 1


class ContainerState(IntEnum):
    """`ContainerState`."""

    CREATED = 0
    RUNNING = 1
    EXITED = 2
    UNKNOWN = 3


class NamespaceMode(IntEnum):
    """`NamespaceMode`."""

    POD = 0
    CONTAINER = 1
    NODE = 2
    TARGET = 3


class Propagation(IntEnum):
    """`MountPropagation`."""

    PRIVATE = 0
    HOST_TO_CONTAINER = 1
    BIDIRECTIONAL = 2


class Seccomp(IntEnum):
    """`SecurityProfile.ProfileType`."""

    RUNTIME_DEFAULT = 0
    UNCONFINED = 1
    LOCALHOST = 2


PROTOCOLS = {"TCP": 0, "UDP": 1, "SCTP": 2}
