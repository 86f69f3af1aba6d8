"""The spec of a pod or pod template, and a new pod."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.validation import meta, names, quantities
from knarr.api.validation.checks import Errors, items, label_key, labels, texts
from knarr.api.validation.pod import containers, resources, scheduling, security, volumes
from knarr.api.validation.pod.context import PodContext, context_of
from knarr.api.validation.pod.known import Known
from knarr.api.validation.pod.system import check_host_process, check_os
from knarr.api.validation.selectors import check_tolerations
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION = ("Never", "PreemptLowerPriority")
_HOST_USERS_FALSE = "when `hostUsers` is false"
_MIRROR = "kubernetes.io/config.mirror"
_MAX_NAMESERVERS, _MAX_SEARCHES, _MAX_SEARCH_CHARACTERS = 3, 32, 2048
_BLANKS = "must not have leading or trailing whitespace"


def check_create(errors: Errors, pod: Object) -> None:
    """A new pod, apart from what `meta` checks."""
    spec = pod.get("spec") or {}
    check_pod(errors, pod)
    if items(spec, "ephemeralContainers"):
        errors.append(field.forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and items(spec, "schedulingGates"):
        wrong = "cannot be set until all schedulingGates have been cleared"
        errors.append(field.forbidden("spec.nodeName", wrong))


def check_pod(errors: Errors, pod: Object) -> None:
    """A pod's annotations and spec, and what holds for pods alone, not for templates."""
    spec = pod.get("spec") or {}
    annotations = (pod.get("metadata") or {}).get("annotations")
    if annotations:
        check_pod_annotations(errors, annotations, spec, "metadata.annotations")
    check_spec(errors, spec, "spec")
    if not spec.get("serviceAccountName"):
        _check_tokens_without_account(errors, spec)
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for at, container in enumerate(items(spec, kind)):
            image = container.get("image", "")
            if image != image.strip():
                errors.append(field.invalid(f"spec.{kind}[{at}].image", image, _BLANKS))


def _check_tokens_without_account(errors: Errors, spec: Object) -> None:
    for at, volume in enumerate(items(spec, "volumes")):
        for index, source in enumerate(items(volume.get("projected") or {}, "sources")):
            if "serviceAccountToken" in source:
                wrong = "must not be specified when serviceAccountName is not set"
                path = f"spec.volumes[{at}].projected.sources[{index}].serviceAccountToken"
                errors.append(field.forbidden(path, wrong))


def check_pod_annotations(errors: Errors, annotations: Object, spec: Object, path: str) -> None:
    """Annotations that mean something for a pod."""
    mirror = annotations.get(_MIRROR)
    if mirror is not None and not spec.get("nodeName"):
        wrong = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(field.invalid(f"{path}[{_MIRROR}]", mirror, wrong))
    tolerations = annotations.get("scheduler.alpha.kubernetes.io/tolerations")
    if tolerations == "":
        errors.append(field.invalid(path, "scheduler.alpha.kubernetes.io/tolerations", "unexpected end of JSON input"))


def check_template(errors: Errors, template: Object, path: str) -> None:
    """A pod template: labels, annotations and spec."""
    check_template_metadata(errors, template, path)
    spec = template.get("spec") or {}
    check_spec(errors, spec, f"{path}.spec", template=True)
    if items(spec, "ephemeralContainers"):
        wrong = "ephemeral containers not allowed in pod template"
        errors.append(field.forbidden(f"{path}.spec.ephemeralContainers", wrong))


def check_template_metadata(errors: Errors, template: Object, path: str) -> None:
    """A template's labels and annotations."""
    own = template.get("metadata") or {}
    labels(errors, f"{path}.labels", own.get("labels"))
    annotations = own.get("annotations")
    if annotations:
        meta.check_annotations(errors, annotations, f"{path}.annotations")
        check_pod_annotations(errors, annotations, template.get("spec") or {}, f"{path}.annotations")


_good_specs = {template: Known() for template in (False, True)}


def check_spec(errors: Errors, spec: Object, path: str, *, template: bool = False) -> None:
    """A pod's spec in Kubernetes' order."""

    def check() -> bool:
        found: Errors = []
        _check_spec(found, spec, path, template=template)
        errors.extend(found)
        return not found

    _good_specs[template].passes(spec, check)


def _check_spec(errors: Errors, spec: Object, path: str, *, template: bool) -> None:
    context = context_of(spec)
    if "volumes" in spec:
        context.volumes = volumes.check_volumes(errors, items(spec, "volumes"), f"{path}.volumes")
    if "resourceClaims" in spec:
        resources.check_pod_claims(errors, items(spec, "resourceClaims"), f"{path}.resourceClaims")
    containers.check_containers(errors, spec, f"{path}.containers", context)
    if "initContainers" in spec:
        containers.check_init_containers(errors, spec, f"{path}.initContainers", context)
    if "ephemeralContainers" in spec:
        containers.check_ephemeral_containers(errors, spec, f"{path}.ephemeralContainers", context)
    if "resources" in spec:
        resources.check_pod_resources(errors, spec, f"{path}.resources")
    _check_host_network_ports(errors, spec, path, template=template)
    _check_policies(errors, spec, path)
    labels(errors, f"{path}.nodeSelector", spec.get("nodeSelector"))
    security.check_pod(errors, spec, f"{path}.securityContext")
    _check_placement(errors, spec, path)
    check_host_process(errors, spec, path)
    if not context.host_users:
        _check_host_users(errors, spec, path)
    _check_names(errors, spec, path)
    _check_rest(errors, spec, path, context)


def _check_host_network_ports(errors: Errors, spec: Object, path: str, *, template: bool) -> None:
    if not spec.get("hostNetwork"):
        return
    for kind in ("containers", "initContainers"):
        for at, container in enumerate(items(spec, kind)):
            for index, port in enumerate(items(container, "ports")):
                host = port.get("hostPort", 0)
                # Templates leave the port of the host to the pods' own defaults.
                if host != port.get("containerPort", 0) and (host or not template):
                    wrong = "must match `hostPort` when `hostNetwork` is true"
                    here = f"{path}.{kind}[{at}].ports[{index}].containerPort"
                    errors.append(field.invalid(here, port.get("containerPort", 0), wrong))


def _check_policies(errors: Errors, spec: Object, path: str) -> None:
    for name, known in (("restartPolicy", _RESTART_POLICIES), ("dnsPolicy", _DNS_POLICIES)):
        value = spec.get(name, "")
        if not value:
            errors.append(field.required(f"{path}.{name}"))
        elif value not in known:
            errors.append(field.not_supported(f"{path}.{name}", value, known))


def _check_placement(errors: Errors, spec: Object, path: str) -> None:
    if "affinity" in spec:
        scheduling.check_affinity(errors, spec["affinity"], f"{path}.affinity")
    _check_dns_config(errors, spec, f"{path}.dnsConfig")
    for at, gate in enumerate(items(spec, "readinessGates")):
        label_key(errors, f"{path}.readinessGates[{at}].conditionType", gate.get("conditionType", ""))
    if "schedulingGates" in spec:
        scheduling.check_gates(errors, items(spec, "schedulingGates"), f"{path}.schedulingGates")
    if "topologySpreadConstraints" in spec:
        constraints = items(spec, "topologySpreadConstraints")
        scheduling.check_spread(errors, constraints, f"{path}.topologySpreadConstraints")


def _check_dns_config(errors: Errors, spec: Object, path: str) -> None:
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            wrong = "must provide `dnsConfig` when `dnsPolicy` is None"
            errors.append(field.required(path, wrong))
            return
        if not items(config, "nameservers"):
            wrong = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            errors.append(field.required(f"{path}.nameservers", wrong))
            return
    if config is None:
        return
    servers, searches = items(config, "nameservers"), items(config, "searches")
    if len(servers) > _MAX_NAMESERVERS:
        wrong = f"must not have more than {_MAX_NAMESERVERS} nameservers"
        errors.append(field.invalid(f"{path}.nameservers", list(servers), wrong))
    for at, server in enumerate(servers):
        texts(errors, f"{path}.nameservers[{at}]", server, names.ip(server))
    _check_searches(errors, searches, f"{path}.searches")
    for at, option in enumerate(items(config, "options")):
        if not option.get("name"):
            errors.append(field.required(f"{path}.options[{at}]", "must not be empty"))


def _check_searches(errors: Errors, searches: Sequence[str], path: str) -> None:
    if len(searches) > _MAX_SEARCHES:
        wrong = f"must not have more than {_MAX_SEARCHES} search paths"
        errors.append(field.invalid(path, list(searches), wrong))
    if len(" ".join(searches)) > _MAX_SEARCH_CHARACTERS:
        wrong = f"must not have more than {_MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        errors.append(field.invalid(path, list(searches), wrong))
    for at, search in enumerate(searches):
        if search == ".":
            continue
        texts(errors, f"{path}[{at}]", search, names.dns_search(search.removesuffix(".")))


def _check_host_users(errors: Errors, spec: Object, path: str) -> None:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            errors.append(field.forbidden(f"{path}.{name}", _HOST_USERS_FALSE))
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for at, container in enumerate(items(spec, kind)):
            if items(container, "volumeDevices"):
                errors.append(field.forbidden(f"{path}.{kind}[{at}].volumeDevices", _HOST_USERS_FALSE))


def _check_names(errors: Errors, spec: Object, path: str) -> None:
    for name, check in (("serviceAccountName", names.dns_subdomain), ("nodeName", names.dns_subdomain)):
        if spec.get(name):
            texts(errors, f"{path}.{name}", spec[name], check(spec[name]))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2147483647:
        wrong = "must be between 1 and 2147483647, inclusive"
        errors.append(field.invalid(f"{path}.activeDeadlineSeconds", deadline, wrong))
    for name in ("hostname", "subdomain"):
        if spec.get(name):
            texts(errors, f"{path}.{name}", spec[name], names.dns_label(spec[name]))
    if "hostnameOverride" in spec:
        _check_hostname_override(errors, spec, path)


def _check_hostname_override(errors: Errors, spec: Object, path: str) -> None:
    override, here = spec["hostnameOverride"], f"{path}.hostnameOverride"
    texts(errors, here, override, names.dns_subdomain(override))
    if len(override) > 64:
        errors.append(field.too_long(here, 64))
    if spec.get("setHostnameAsFQDN"):
        wrong = "cannot be true when hostnameOverride is set"
        errors.append(field.forbidden(f"{path}.setHostnameAsFQDN", wrong))
    if spec.get("hostNetwork"):
        errors.append(field.forbidden(here, "when `hostNetwork` is set to `true`"))


def _check_rest(errors: Errors, spec: Object, path: str, context: PodContext) -> None:
    if "tolerations" in spec:
        check_tolerations(errors, items(spec, "tolerations"), f"{path}.tolerations")
    for at, alias in enumerate(items(spec, "hostAliases")):
        here = f"{path}.hostAliases[{at}]"
        texts(errors, f"{here}.ip", alias.get("ip", ""), names.ip(alias.get("ip", "")))
        for index, name in enumerate(items(alias, "hostnames")):
            texts(errors, f"{here}.hostnames[{index}]", name, names.dns_subdomain(name))
    for name in ("priorityClassName", "runtimeClassName"):
        if spec.get(name) or (name == "runtimeClassName" and name in spec):
            texts(errors, f"{path}.{name}", spec[name], names.dns_subdomain(spec[name]))
    preemption = spec.get("preemptionPolicy")
    if preemption is not None:
        if not preemption:
            errors.append(field.required(f"{path}.preemptionPolicy"))
        elif preemption not in _PREEMPTION:
            errors.append(field.not_supported(f"{path}.preemptionPolicy", preemption, _PREEMPTION))
    if "overhead" in spec:
        quantities.check_list(errors, f"{path}.overhead", spec["overhead"])
    check_os(errors, spec, path, context)
