"""Where a pod may run: affinity, topology spread, gates."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, items, label_key, texts
from knarr.api.validation.selectors import check_label_selector, check_node_selector, check_node_term
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT = "must be in the range 1-100"
_WHEN = ("DoNotSchedule", "ScheduleAnyway")
_INCLUSION = ("Honor", "Ignore")


def check_affinity(errors: Errors, affinity: Object, path: str) -> None:
    """A pod's `affinity`."""
    if "nodeAffinity" in affinity:
        check_node_affinity(errors, affinity["nodeAffinity"], f"{path}.nodeAffinity")
    for name in ("podAffinity", "podAntiAffinity"):
        if name in affinity:
            _check_pod_affinity(errors, affinity[name], f"{path}.{name}")


def check_node_affinity(errors: Errors, affinity: Object, path: str) -> None:
    """Required and preferred nodes."""
    required = affinity.get(_REQUIRED)
    if required is not None:
        check_node_selector(errors, required, f"{path}.{_REQUIRED}")
    for at, term in enumerate(items(affinity, _PREFERRED)):
        here = f"{path}.{_PREFERRED}[{at}]"
        _check_weight(errors, term, here)
        check_node_term(errors, term.get("preference") or {}, f"{here}.preference")


def _check_weight(errors: Errors, term: Object, path: str) -> None:
    weight = term.get("weight", 0)
    if not 0 < weight <= 100:
        errors.append(field.invalid(f"{path}.weight", weight, _WEIGHT))


def _check_pod_affinity(errors: Errors, affinity: Object, path: str) -> None:
    for at, term in enumerate(items(affinity, _REQUIRED)):
        _check_pod_term(errors, term, f"{path}.{_REQUIRED}[{at}]")
    for at, weighted in enumerate(items(affinity, _PREFERRED)):
        here = f"{path}.{_PREFERRED}[{at}]"
        _check_weight(errors, weighted, here)
        _check_pod_term(errors, weighted.get("podAffinityTerm") or {}, f"{here}.podAffinityTerm")


def _check_pod_term(errors: Errors, term: Object, path: str) -> None:
    check_label_selector(errors, term.get("labelSelector"), f"{path}.labelSelector")
    check_label_selector(errors, term.get("namespaceSelector"), f"{path}.namespaceSelector")
    _check_match_label_keys(errors, term, path)
    for namespace in items(term, "namespaces"):
        texts(errors, f"{path}.namespace", namespace, names.dns_label(namespace))
    key = term.get("topologyKey", "")
    if not key:
        errors.append(field.required(f"{path}.topologyKey", "can not be empty"))
    label_key(errors, f"{path}.topologyKey", key)


def _check_match_label_keys(errors: Errors, term: Object, path: str) -> None:
    match, mismatch = items(term, "matchLabelKeys"), items(term, "mismatchLabelKeys")
    if not match and not mismatch:
        return
    _check_keys_with_selector(errors, match, term, f"{path}.matchLabelKeys")
    _check_keys_with_selector(errors, mismatch, term, f"{path}.mismatchLabelKeys")
    for at, key in enumerate(match):
        if key in mismatch:
            errors.append(
                field.invalid(
                    f"{path}.matchLabelKeys[{at}]", key, "exists in both matchLabelKeys and mismatchLabelKeys"
                )
            )


def _check_keys_with_selector(
    errors: Errors, keys: Sequence[str], holder: Object, path: str, *, merged: bool = True
) -> None:
    if not keys:
        return
    selector = holder.get("labelSelector")
    if selector is None:
        errors.append(field.forbidden(path, "must not be specified when labelSelector is not set"))
    own = set((selector or {}).get("matchLabels") or ())
    own |= {expression.get("key", "") for expression in items(selector or {}, "matchExpressions")}
    for at, key in enumerate(keys):
        label_key(errors, f"{path}[{at}]", key)
        if not merged and key in own:
            wrong = "exists in both matchLabelKeys and labelSelector"
            errors.append(field.invalid(f"{path}[{at}]", key, wrong))


def check_spread(errors: Errors, constraints: Sequence[Object], path: str) -> None:
    """A pod's `topologySpreadConstraints`."""
    pairs = [(item.get("topologyKey", ""), item.get("whenUnsatisfiable", "")) for item in constraints]
    for at, constraint in enumerate(constraints):
        here = f"{path}[{at}]"
        skew, key, when = (constraint.get(n) for n in ("maxSkew", "topologyKey", "whenUnsatisfiable"))
        if not skew or skew <= 0:
            errors.append(field.invalid(f"{here}.maxSkew", skew or 0, "must be greater than zero"))
        if not key:
            errors.append(field.required(f"{here}.topologyKey", "can not be empty"))
        if when not in _WHEN:
            errors.append(field.not_supported(f"{here}.whenUnsatisfiable", when or "", _WHEN))
        if pairs[at] in pairs[at + 1 :]:
            text = f"{{{pairs[at][0]}, {pairs[at][1]}}}"
            errors.append(field.duplicate(f"{here}.{{topologyKey, whenUnsatisfiable}}", text))
        _check_min_domains(errors, constraint, here)
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            policy = constraint.get(name)
            if policy is not None and policy not in _INCLUSION:
                errors.append(field.not_supported(f"{here}.{name}", policy, _INCLUSION))
        keys = items(constraint, "matchLabelKeys")
        _check_keys_with_selector(errors, keys, constraint, f"{here}.matchLabelKeys")
        check_label_selector(errors, constraint.get("labelSelector"), f"{here}.labelSelector")


def _check_min_domains(errors: Errors, constraint: Object, path: str) -> None:
    domains, when = constraint.get("minDomains"), constraint.get("whenUnsatisfiable", "")
    if domains is None:
        return
    if domains <= 0:
        errors.append(field.invalid(f"{path}.minDomains", domains, "must be greater than zero"))
    if when != "DoNotSchedule":
        wrong = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
        errors.append(field.invalid(f"{path}.minDomains", domains, wrong))


def check_gates(errors: Errors, gates: Sequence[Object], path: str) -> None:
    """A pod's `schedulingGates`."""
    seen: set[str] = set()
    for at, gate in enumerate(gates):
        name = gate.get("name", "")
        label_key(errors, f"{path}[{at}]", name)
        if name in seen:
            errors.append(field.duplicate(f"{path}[{at}]", name))
        seen.add(name)
