"""Requests, limits and claims of containers and of whole pods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from knarr.api.semantics import pod_requests
from knarr.api.validation import names, quantities
from knarr.api.validation.checks import Errors, items, texts
from knarr.api.validation.go_values import internal
from knarr.apimachinery import field
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.quantity import Quantity
from knarr.apimachinery.types import Object

_POD_LEVEL = ("cpu", "memory")
_RESIZABLE = ("cpu", "memory")
_RESIZE_POLICIES = ("NotRequired", "RestartContainer")
_BOTH_CLAIMS = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
_NO_CLAIM = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
_HUGE_ALONE = "HugePages require cpu or memory"


def check_requirements(errors: Errors, given: Object | None, path: str, claims: Sequence[str]) -> None:
    """A container's `resources`."""
    if not given:
        return
    _check_lists(errors, given, path, _check_container_name)
    if "claims" in given:
        check_claim_names(errors, items(given, "claims"), f"{path}.claims", claims)


def _check_lists(errors: Errors, given: Object, path: str, check_name: Callable[[Errors, str, str], None]) -> None:
    limits, requests = given.get("limits") or {}, given.get("requests") or {}
    for name, text in limits.items():
        check_name(errors, name, f"{path}.limits[{name}]")
        _check_amount(errors, name, quantities.parse(text), f"{path}.limits[{name}]")
    for name, text in requests.items():
        value = quantities.parse(text)
        check_name(errors, name, f"{path}.requests[{name}]")
        _check_amount(errors, name, value, f"{path}.requests[{name}]")
        _check_against_limit(errors, name, value, limits, path)
    both = {**limits, **requests}
    if any(map(quantities.is_huge_page, both)) and "cpu" not in both and "memory" not in both:
        errors.append(field.forbidden(path, _HUGE_ALONE))


def _check_container_name(errors: Errors, name: str, path: str) -> None:
    for wrong in quantities.container_name_errors(name):
        errors.append(field.invalid(path, name, wrong))


def _check_pod_level_name(errors: Errors, name: str, path: str) -> None:
    wrong = quantities.name_errors(name)
    for text in wrong:
        errors.append(field.invalid(path, name, text))
    if not wrong and name not in _POD_LEVEL and not quantities.is_huge_page(name):
        errors.append(field.not_supported(path, name, _POD_LEVEL))


def _check_amount(errors: Errors, name: str, value: Quantity, path: str) -> None:
    quantities.check_value(errors, path, name, value)
    if quantities.is_huge_page(name):
        _check_huge_page(errors, name, value, path)


def _check_huge_page(errors: Errors, name: str, value: Quantity, path: str) -> None:
    size = name.removeprefix(quantities.HUGE)
    try:
        page = quantities.parse(size).value()
    except ValueError:
        page = 0
    if page <= 0 or value.value() % page:
        errors.append(field.invalid(path, str(value), f"{value} is not positive integer multiple of {size}"))


def _check_against_limit(errors: Errors, name: str, value: Quantity, limits: Mapping[str, str], path: str) -> None:
    overcommitted = quantities.is_native(name) and not quantities.is_huge_page(name)
    text = limits.get(name)
    if text is None:
        if not overcommitted:
            wrong = "Limit must be set for non overcommitable resources"
            errors.append(field.required(f"{path}.limits", wrong))
        return
    limit = quantities.parse(text)
    if not overcommitted and value != limit:
        wrong = f"must be equal to {name} limit of {limit}"
        errors.append(field.invalid(f"{path}.requests", str(value), wrong))
    elif value > limit:
        wrong = f"must be less than or equal to {name} limit of {limit}"
        errors.append(field.invalid(f"{path}.requests", str(value), wrong))


def check_claim_names(errors: Errors, claims: Sequence[Object], path: str, known: Sequence[str]) -> None:
    """A container's references to the pod's resource claims."""
    whole: set[str] = set()
    parts: set[tuple[str, str]] = set()
    for at, claim in enumerate(claims):
        name, request, here = claim.get("name", ""), claim.get("request", ""), f"{path}[{at}]"
        if not name:
            errors.append(field.required(here))
            continue
        if request:
            texts(errors, f"{here}.request", request, names.dns_label(request))
        taken = name in whole or (name, request) in parts
        if taken or (not request and any(other == name for other, _ in parts)):
            errors.append(field.duplicate(here, f"{name}/{request}" if request else name))
        if request:
            parts.add((name, request))
        else:
            whole.add(name)
        if name not in known:
            errors.append(FieldError("FieldValueNotFound", here, name, _claims_known(known)))


def _claims_known(known: Sequence[str]) -> str:
    if not known:
        return "must be one of the names in pod.spec.resourceClaims which is empty"
    return f"must be one of the names in pod.spec.resourceClaims: {', '.join(sorted(known))}"


def check_pod_claims(errors: Errors, claims: Sequence[Object], path: str) -> None:
    """A pod's `resourceClaims`."""
    seen: set[str] = set()
    for at, claim in enumerate(claims):
        name, here = claim.get("name", ""), f"{path}[{at}]"
        if not name:
            errors.append(field.required(f"{here}.name"))
        elif name in seen:
            errors.append(field.duplicate(f"{here}.name", name))
        else:
            texts(errors, f"{here}.name", name, names.dns_label(name))
            seen.add(name)
        given = [key for key in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(key) is not None]
        if len(given) != 1:
            wrong = _BOTH_CLAIMS if given else _NO_CLAIM
            errors.append(field.invalid(here, internal("core.v1.PodResourceClaim", claim), wrong))
        for key in given:
            texts(errors, f"{here}.{key}", claim[key], names.dns_subdomain(claim[key]))


def check_resize_policy(errors: Errors, policies: Sequence[Object], path: str, restart_policy: str) -> None:
    """A container's `resizePolicy`."""
    seen: set[str] = set()
    for at, policy in enumerate(policies):
        name, action = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if name in seen:
            errors.append(field.duplicate(f"{path}[{at}]", name))
        seen.add(name)
        _check_choice(errors, name, _RESIZABLE, path)
        _check_choice(errors, action, _RESIZE_POLICIES, path)
        if restart_policy == "Never" and action != "NotRequired":
            wrong = "must be 'NotRequired' when `restartPolicy` is 'Never'"
            errors.append(field.invalid(path, action, wrong))


def _check_choice(errors: Errors, value: str, known: Sequence[str], path: str) -> None:
    if not value:
        errors.append(field.required(path))
    elif value not in known:
        errors.append(field.not_supported(path, value, known))


def check_pod_resources(errors: Errors, spec: Object, path: str) -> None:
    """A pod's own `resources` (pod-level resources)."""
    given = spec.get("resources")
    if not given:
        return
    if given.get("claims"):
        errors.append(field.forbidden(f"{path}.claims", "claims may not be set for Resources at pod-level"))
    _check_lists(errors, given, path, _check_pod_level_name)
    _check_aggregate(errors, spec, given, path)


def _check_aggregate(errors: Errors, spec: Object, given: Object, path: str) -> None:
    bare = {key: value for key, value in spec.items() if key not in ("resources", "overhead")}
    total = pod_requests.effective_requests({"spec": bare})
    for name, text in (given.get("requests") or {}).items():
        wanted = total.get(name)
        if wanted is None:
            continue
        if pod_requests.amount(name, text) < wanted:
            wrong = f"must be greater than or equal to aggregate container requests of {_shown(name, wanted)}"
            errors.append(field.invalid(f"{path}.requests[{name}]", text, wrong))
    limits = given.get("limits") or {}
    for at, container in enumerate(items(spec, "containers")):
        for name, text in ((container.get("resources") or {}).get("limits") or {}).items():
            if name in limits and quantities.parse(text) > quantities.parse(limits[name]):
                wrong = f"must be less than or equal to pod limits of {limits[name]}"
                errors.append(field.invalid(f"spec.containers[{at}].resources.limits[{name}]", text, wrong))


def _shown(name: str, amount: int) -> str:
    return str(Quantity(amount, -3) if name == "cpu" else Quantity(amount))
