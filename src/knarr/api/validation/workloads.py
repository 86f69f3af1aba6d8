"""ReplicationControllers, ReplicaSets, Deployments, DaemonSets, StatefulSets and ControllerRevisions."""

from __future__ import annotations

from knarr.api.validation import names
from knarr.api.validation.checks import (
    Errors,
    at_most_100_percent,
    count_or_percent,
    immutable,
    items,
    not_negative,
    number_of,
    one_of,
    sorted_map,
)
from knarr.api.validation.go_values import internal
from knarr.api.validation.kind import Kind
from knarr.api.validation.pod.spec import check_template, check_template_metadata
from knarr.api.validation.pod.warnings import template_name_warnings, template_warnings
from knarr.api.validation.selectors import check_label_selector
from knarr.apimachinery import field, labels
from knarr.apimachinery.types import Object

_MISMATCH = "`selector` does not match template `labels`"
_ONLY_ALWAYS = ("Always",)


def _spec(obj: Object) -> Object:
    found: Object = obj.get("spec") or {}
    return found


def _labels_of(template: Object) -> Object | None:
    found: Object | None = (template.get("metadata") or {}).get("labels")
    return found


def check_selector(errors: Errors, selector: Object | None, kind: str) -> bool:
    """A workload's selector: given, not empty, valid. Whether it can be asked."""
    if selector is None:
        errors.append(field.required("spec.selector"))
        return True
    seen = len(errors)
    check_label_selector(errors, selector, "spec.selector")
    good = len(errors) == seen
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.append(field.invalid("spec.selector", selector, f"empty selector is invalid for {kind}"))
    return good


def _check_match(errors: Errors, selector: Object | None, template: Object) -> None:
    parsed = labels.from_object(selector)
    if not parsed.is_everything and not parsed.matches(_labels_of(template) or {}):
        errors.append(field.invalid("spec.template.metadata.labels", sorted_map(_labels_of(template)), _MISMATCH))


def _check_pods(errors: Errors, template: Object, kind: str) -> None:
    """A template whose pods run for ever, in an object of this kind."""
    check_template(errors, template, "spec.template")
    _check_forever(errors, template.get("spec") or {}, kind)


def _check_forever(errors: Errors, spec: Object, kind: str) -> None:
    path = "spec.template.spec"
    policy = spec.get("restartPolicy", "")
    if policy != "Always":
        errors.append(field.not_supported(f"{path}.restartPolicy", policy, _ONLY_ALWAYS))
    if spec.get("activeDeadlineSeconds") is not None:
        errors.append(
            field.forbidden(f"{path}.activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported")
        )


def _create_rc(errors: Errors, obj: Object) -> None:
    spec = _spec(obj)
    not_negative(errors, "spec.minReadySeconds", spec.get("minReadySeconds", 0))
    selector, template = spec.get("selector") or {}, spec.get("template")
    if not selector:
        errors.append(field.required("spec.selector"))
    if spec.get("replicas") is None:
        errors.append(field.required("spec.replicas"))
    not_negative(errors, "spec.replicas", spec.get("replicas"))
    if template is None:
        errors.append(field.required("spec.template"))
        return
    if selector and not labels.from_set(selector).matches(_labels_of(template) or {}):
        errors.append(field.invalid("spec.template.metadata.labels", sorted_map(_labels_of(template)), _MISMATCH))
    _check_pods(errors, template, "ReplicationController")


def _create_rs(errors: Errors, obj: Object) -> None:
    spec = _spec(obj)
    not_negative(errors, "spec.replicas", spec.get("replicas", 0))
    not_negative(errors, "spec.minReadySeconds", spec.get("minReadySeconds", 0))
    selector = spec.get("selector")
    # Kubernetes names deployments here, too.
    ok = check_selector(errors, selector, "deployment")
    if not ok:
        errors.append(field.invalid("spec.selector", selector, "invalid label selector"))
    else:
        template = spec.get("template") or {}
        _check_match(errors, selector, template)
        _check_pods(errors, template, "ReplicaSet")


def _update_rs(errors: Errors, obj: Object, old: Object) -> None:
    _create_rs(errors, obj)
    immutable(errors, "spec.selector", _spec(obj).get("selector"), _spec(old).get("selector"))


def _create_deployment(errors: Errors, obj: Object) -> None:
    spec = _spec(obj)
    not_negative(errors, "spec.replicas", spec.get("replicas", 0))
    selector, template = spec.get("selector"), spec.get("template") or {}
    ok = check_selector(errors, selector, "deployment")
    if not ok:
        errors.append(field.invalid("spec.selector", selector, "invalid label selector"))
    else:
        _check_match(errors, selector, template)
        _check_pods(errors, template, "ReplicaSet")
    _check_strategy(errors, spec.get("strategy") or {})
    not_negative(errors, "spec.minReadySeconds", spec.get("minReadySeconds", 0))
    not_negative(errors, "spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds", 0)
    if deadline is not None:
        not_negative(errors, "spec.progressDeadlineSeconds", deadline)
        if deadline <= ready:
            wrong = "must be greater than minReadySeconds"
            errors.append(field.invalid("spec.progressDeadlineSeconds", deadline, wrong))


def _check_strategy(errors: Errors, strategy: Object) -> None:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            wrong = "may not be specified when strategy `type` is 'Recreate'"
            errors.append(field.forbidden("spec.strategy.rollingUpdate", wrong))
    elif kind == "RollingUpdate":
        if rolling is None:
            wrong = "this should be defaulted and never be nil"
            errors.append(field.required("spec.strategy.rollingUpdate", wrong))
        else:
            _check_rolling(errors, rolling)
    else:
        shown = internal("apps.v1.DeploymentStrategy", strategy)
        errors.append(field.not_supported("spec.strategy", shown, ("Recreate", "RollingUpdate")))


def _check_rolling(errors: Errors, rolling: Object) -> None:
    path = "spec.strategy.rollingUpdate"
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    count_or_percent(errors, f"{path}.maxUnavailable", unavailable)
    count_or_percent(errors, f"{path}.maxSurge", surge)
    if number_of(unavailable) == 0 and number_of(surge) == 0:
        wrong = "may not be 0 when `maxSurge` is 0"
        errors.append(field.invalid(f"{path}.maxUnavailable", unavailable, wrong))
    at_most_100_percent(errors, f"{path}.maxUnavailable", unavailable)


def _update_deployment(errors: Errors, obj: Object, old: Object) -> None:
    _create_deployment(errors, obj)
    immutable(errors, "spec.selector", _spec(obj).get("selector"), _spec(old).get("selector"))


def _deployment_status(errors: Errors, obj: Object, old: Object) -> None:
    status, before = obj.get("status") or {}, old.get("status") or {}
    for name in ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas"):
        not_negative(errors, f"status.{name}", status.get(name, 0))
    not_negative(errors, "status.unavailableReplicas", status.get("unavailableReplicas", 0))
    not_negative(errors, "status.terminatingReplicas", status.get("terminatingReplicas"))
    not_negative(errors, "status.collisionCount", status.get("collisionCount"))
    total = status.get("replicas", 0)
    for name in ("updatedReplicas", "readyReplicas", "availableReplicas"):
        if status.get(name, 0) > total:
            errors.append(
                field.invalid(f"status.{name}", status.get(name, 0), "cannot be greater than status.replicas")
            )
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        wrong = "cannot be greater than readyReplicas"
        errors.append(field.invalid("status.availableReplicas", status.get("availableReplicas", 0), wrong))
    _check_collisions(errors, status, before)


def _check_collisions(errors: Errors, status: Object, before: Object) -> None:
    new, old = status.get("collisionCount"), before.get("collisionCount")
    if old is None:
        return
    if new is None or new < old:
        errors.append(field.invalid("status.collisionCount", new or 0, "cannot be decremented"))


def _rs_status(errors: Errors, obj: Object, old: Object) -> None:
    _replica_status(errors, obj, ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"))


def _replica_status(errors: Errors, obj: Object, counts: tuple[str, ...]) -> None:
    status = obj.get("status") or {}
    for name in counts:
        not_negative(errors, f"status.{name}", status.get(name, 0))
    not_negative(errors, "status.observedGeneration", status.get("observedGeneration", 0))
    not_negative(errors, "status.terminatingReplicas", status.get("terminatingReplicas"))
    total = status.get("replicas", 0)
    for name in counts[1:]:
        if status.get(name, 0) > total:
            errors.append(
                field.invalid(f"status.{name}", status.get(name, 0), "cannot be greater than status.replicas")
            )
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        wrong = "cannot be greater than readyReplicas"
        errors.append(field.invalid("status.availableReplicas", status.get("availableReplicas", 0), wrong))


def _create_daemon_set(errors: Errors, obj: Object) -> None:
    spec = _spec(obj)
    selector, template = spec.get("selector"), spec.get("template") or {}
    if selector is not None:
        seen = len(errors)
        check_label_selector(errors, selector, "spec.selector")
        if len(errors) == seen:
            _check_match(errors, selector, template)
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            errors.append(field.invalid("spec.selector", selector, "empty selector is invalid for daemonset"))
    else:
        errors.append(field.invalid("spec.template.metadata.labels", sorted_map(_labels_of(template)), _MISMATCH))
    _check_pods(errors, template, "DaemonSet")
    not_negative(errors, "spec.minReadySeconds", spec.get("minReadySeconds", 0))
    _check_daemon_strategy(errors, spec.get("updateStrategy") or {})
    not_negative(errors, "spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))


def _check_daemon_strategy(errors: Errors, strategy: Object) -> None:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "OnDelete":
        return
    path = "spec.updateStrategy"
    if kind != "RollingUpdate":
        shown = internal("apps.v1.DaemonSetUpdateStrategy", strategy)
        errors.append(field.not_supported(path, shown, ("RollingUpdate", "OnDelete")))
        return
    if rolling is None:
        errors.append(field.required(f"{path}.rollingUpdate"))
        return
    path = f"{path}.rollingUpdate"
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    count_or_percent(errors, f"{path}.maxUnavailable", unavailable)
    count_or_percent(errors, f"{path}.maxSurge", surge)
    at_most_100_percent(errors, f"{path}.maxUnavailable", unavailable)
    at_most_100_percent(errors, f"{path}.maxSurge", surge)
    has_unavailable, has_surge = number_of(unavailable) != 0, number_of(surge) != 0
    if has_unavailable and has_surge:
        wrong = "may not be set when maxUnavailable is non-zero"
        errors.append(field.invalid(f"{path}.maxSurge", surge, wrong))
    elif not has_unavailable and not has_surge:
        errors.append(field.required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0"))


def _update_daemon_set(errors: Errors, obj: Object, old: Object) -> None:
    new_spec, old_spec = _spec(obj), _spec(old)
    immutable(errors, "spec.selector", new_spec.get("selector"), old_spec.get("selector"))
    _create_daemon_set(errors, obj)


def _daemon_set_status(errors: Errors, obj: Object, old: Object) -> None:
    status = obj.get("status") or {}
    for name in ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"):
        not_negative(errors, f"status.{name}", status.get(name, 0))
    for name in ("observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable"):
        not_negative(errors, f"status.{name}", status.get(name, 0))
    not_negative(errors, "status.collisionCount", status.get("collisionCount"))
    _check_collisions(errors, status, old.get("status") or {})


def _create_stateful_set(errors: Errors, obj: Object) -> None:
    spec = _spec(obj)
    policy = spec.get("podManagementPolicy", "")
    if not policy:
        errors.append(field.required("spec.podManagementPolicy"))
    elif policy not in ("OrderedReady", "Parallel"):
        errors.append(field.invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"))
    _check_stateful_strategy(errors, spec.get("updateStrategy") or {})
    _check_retention(errors, spec.get("persistentVolumeClaimRetentionPolicy"))
    not_negative(errors, "spec.replicas", spec.get("replicas", 0))
    not_negative(errors, "spec.minReadySeconds", spec.get("minReadySeconds", 0))
    ordinals = spec.get("ordinals")
    if ordinals is not None:
        not_negative(errors, "spec.ordinals.start", ordinals.get("start", 0))
    service = spec.get("serviceName", "")
    if service:
        for wrong in names.dns_label(service):
            errors.append(field.invalid("spec.serviceName", service, wrong))
    _check_claim_templates(errors, spec)
    selector, template = spec.get("selector"), spec.get("template") or {}
    ok = check_selector(errors, selector, "statefulset")
    if not ok:
        errors.append(field.invalid("spec.selector", selector, ""))
    else:
        _check_match(errors, selector, template)
        _check_stateful_pods(errors, template, spec)
    _check_forever(errors, template.get("spec") or {}, "StatefulSet")


def _check_stateful_pods(errors: Errors, template: Object, spec: Object) -> None:
    """The template with a volume for each claim, as its pods will have it."""
    check_template_metadata(errors, template, "spec.template")
    claims = dict.fromkeys((c.get("metadata") or {}).get("name", "") for c in items(spec, "volumeClaimTemplates"))
    pod = template.get("spec") or {}
    volumes: list[Object] = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
    volumes += [volume for volume in items(pod, "volumes") if volume.get("name", "") not in claims]
    if volumes:
        pod = {**pod, "volumes": volumes}
    check_template(errors, {**template, "spec": pod}, "spec.template")


def _check_claim_templates(errors: Errors, spec: Object) -> None:
    from knarr.api.validation.persistent_volume_claim import check_claim_template

    for at, claim in enumerate(items(spec, "volumeClaimTemplates")):
        check_claim_template(errors, claim, f"spec.volumeClaimTemplates[{at}]", labelled=False)


def _check_stateful_strategy(errors: Errors, strategy: Object) -> None:
    kind, rolling, path = strategy.get("type", ""), strategy.get("rollingUpdate"), "spec.updateStrategy"
    shown = internal("apps.v1.StatefulSetUpdateStrategy", strategy)
    if kind == "OnDelete":
        if rolling is not None:
            wrong = "only allowed for updateStrategy 'RollingUpdate'"
            errors.append(field.invalid(f"{path}.rollingUpdate", shown["RollingUpdate"], wrong))
    elif kind == "RollingUpdate":
        if rolling is None:
            return
        not_negative(errors, f"{path}.rollingUpdate.partition", rolling.get("partition") or 0)
        unavailable = rolling.get("maxUnavailable")
        if unavailable is not None:
            here = f"{path}.rollingUpdate.maxUnavailable"
            count_or_percent(errors, here, unavailable)
            if number_of(unavailable) == 0:
                errors.append(field.invalid(here, unavailable, "cannot be 0"))
            at_most_100_percent(errors, here, unavailable)
    elif not kind:
        errors.append(field.required(path))
    else:
        errors.append(field.invalid(path, shown, "must be 'RollingUpdate' or 'OnDelete'"))


def _check_retention(errors: Errors, policy: Object | None) -> None:
    if policy is None:
        return
    for name in ("whenDeleted", "whenScaled"):
        path = f"spec.persistentVolumeClaimRetentionPolicy.{name}"
        one_of(errors, path, policy.get(name, ""), ("Retain", "Delete"))


_STATEFUL_MUTABLE = (
    "replicas",
    "template",
    "updateStrategy",
    "minReadySeconds",
    "persistentVolumeClaimRetentionPolicy",
    "ordinals",
    "revisionHistoryLimit",
)
_STATEFUL_WRONG = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy',"
    " 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def _update_stateful_set(errors: Errors, obj: Object, old: Object) -> None:
    _create_stateful_set(errors, obj)
    spec, before = ({k: v for k, v in _spec(o).items() if k not in _STATEFUL_MUTABLE} for o in (obj, old))
    if spec != before:
        errors.append(field.forbidden("spec", _STATEFUL_WRONG))


def _stateful_set_status(errors: Errors, obj: Object, old: Object) -> None:
    status = obj.get("status") or {}
    names_of = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    for name in names_of:
        not_negative(errors, f"status.{name}", status.get(name, 0))
    not_negative(errors, "status.observedGeneration", status.get("observedGeneration"))
    not_negative(errors, "status.collisionCount", status.get("collisionCount"))
    total = status.get("replicas", 0)
    for name in names_of[1:]:
        if status.get(name, 0) > total:
            errors.append(
                field.invalid(f"status.{name}", status.get(name, 0), "cannot be greater than status.replicas")
            )
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        wrong = "cannot be greater than status.readyReplicas"
        errors.append(field.invalid("status.availableReplicas", status.get("availableReplicas", 0), wrong))
    _check_collisions(errors, status, old.get("status") or {})


def _create_revision(errors: Errors, obj: Object) -> None:
    data = obj.get("data")
    if data is None:
        errors.append(field.required("data", "data is mandatory"))
    elif not isinstance(data, dict):
        errors.append(field.required("data", "data must be a valid JSON object"))
    not_negative(errors, "revision", obj.get("revision", 0))


def _update_revision(errors: Errors, obj: Object, old: Object) -> None:
    _create_revision(errors, obj)
    immutable(errors, "data", obj.get("data"), old.get("data"))


def _warn(obj: Object, old: Object | None) -> list[str]:
    return template_warnings(obj, old, "spec.template")


def _warn_named(obj: Object, old: Object | None) -> list[str]:
    return [*template_name_warnings(obj, old), *_warn(obj, old)]


REPLICATIONCONTROLLERS = Kind(_create_rc, parts={"status": _rs_status}, name=names.long_name, warnings=_warn_named)
REPLICASETS = Kind(_create_rs, _update_rs, {"status": _rs_status}, warnings=_warn_named)
DEPLOYMENTS = Kind(_create_deployment, _update_deployment, {"status": _deployment_status}, warnings=_warn)
DAEMONSETS = Kind(_create_daemon_set, _update_daemon_set, {"status": _daemon_set_status}, warnings=_warn)
STATEFULSETS = Kind(
    _create_stateful_set,
    _update_stateful_set,
    {"status": _stateful_set_status},
    name=names.dns_label,
    warnings=_warn_named,
)
CONTROLLERREVISIONS = Kind(_create_revision, _update_revision)
