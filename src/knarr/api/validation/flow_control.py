"""FlowSchemas and PriorityLevelConfigurations."""

from __future__ import annotations

import math
from collections.abc import Sequence

from knarr.api.bootstrap import flow_control as bootstrap
from knarr.api.validation import names
from knarr.api.validation.checks import Errors, items, texts
from knarr.api.validation.go_values import internal
from knarr.api.validation.kind import META_AS_CREATED, Kind
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_KINDS = ("Group", "ServiceAccount", "User")
_MAX_PRECEDENCE, _MAX_QUEUES, _MAX_BITS = 10000, 10_000_000, 60


def _schema(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    precedence = spec.get("matchingPrecedence", 0)
    if precedence <= 0:
        errors.append(field.invalid("spec.matchingPrecedence", precedence, "must be a positive value"))
    if precedence > _MAX_PRECEDENCE:
        wrong = f"must not be greater than {_MAX_PRECEDENCE}"
        errors.append(field.invalid("spec.matchingPrecedence", precedence, wrong))
    if precedence == 1 and (obj.get("metadata") or {}).get("name") != "exempt":
        wrong = "only the schema named 'exempt' may have matchingPrecedence 1"
        errors.append(field.invalid("spec.matchingPrecedence", precedence, wrong))
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type", "") not in ("ByNamespace", "ByUser"):
        shown = internal("flowcontrol.v1.FlowDistinguisherMethod", method)
        known = ("ByNamespace", "ByUser")
        errors.append(field.not_supported("spec.distinguisherMethod.type", shown, known))
    level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
    path = "spec.priorityLevelConfiguration.name"
    if level:
        texts(errors, path, level, names.dns_subdomain(level))
    else:
        errors.append(field.required(path, "must reference a priority level"))
    for at, rule in enumerate(items(spec, "rules")):
        _check_rule(errors, rule, f"spec.rules[{at}]")
    _check_fixed(errors, "FlowSchema", obj)


def _check_rule(errors: Errors, rule: Object, path: str) -> None:
    subjects = items(rule, "subjects")
    if not subjects:
        errors.append(field.required(f"{path}.subjects", "subjects must contain at least one value"))
    for at, subject in enumerate(subjects):
        _check_subject(errors, subject, f"{path}.subjects[{at}]")
    resources, urls = items(rule, "resourceRules"), items(rule, "nonResourceRules")
    if not resources and not urls:
        wrong = "at least one of resourceRules and nonResourceRules has to be non-empty"
        errors.append(field.required(path, wrong))
    for at, entry in enumerate(resources):
        _check_resource_rule(errors, entry, f"{path}.resourceRules[{at}]")
    for at, entry in enumerate(urls):
        _check_url_rule(errors, entry, f"{path}.nonResourceRules[{at}]")


def _check_fixed(errors: Errors, kind: str, obj: Object) -> None:
    """What no cluster can do without keeps its contents, but for the shares of level `exempt`."""
    name, spec = (obj.get("metadata") or {}).get("name"), obj.get("spec") or {}
    wanted = bootstrap.mandatory(kind, name)
    but = ""
    if wanted is not None and "exempt" in wanted:
        but = " except the 'spec.exempt' field"
        wanted = {**wanted, **({"exempt": spec["exempt"]} if "exempt" in spec else {})}
    if wanted is not None and wanted != spec:
        shown = internal(f"flowcontrol.v1.{kind}Spec", spec)
        errors.append(field.invalid("spec", shown, f"spec of '{name}'{but} must equal the fixed value"))


_HOLDERS = {"ServiceAccount": "serviceAccount", "User": "user", "Group": "group"}


def _check_subject(errors: Errors, subject: Object, path: str) -> None:
    kind = subject.get("kind", "")
    if kind not in _HOLDERS:
        errors.append(field.not_supported(f"{path}.kind", kind, _KINDS))
        return
    for other, key in _HOLDERS.items():
        if other != kind and subject.get(key) is not None:
            errors.append(field.forbidden(f"{path}.{key}", f"{key} is forbidden when subject kind is not '{other}'"))
    key = _HOLDERS[kind]
    given = subject.get(key)
    if given is None:
        errors.append(field.required(f"{path}.{key}", f"{key} is required when subject kind is '{kind}'"))
        return
    name = given.get("name", "")
    if not name:
        errors.append(field.required(f"{path}.{key}.name"))
    elif kind == "ServiceAccount" and name != "*":
        texts(errors, f"{path}.{key}.name", name, names.dns_subdomain(name))
    if kind == "ServiceAccount":
        namespace = given.get("namespace", "")
        if not namespace:
            wrong = "must specify namespace for service account"
            errors.append(field.required(f"{path}.{key}.namespace", wrong))
        else:
            texts(errors, f"{path}.{key}.namespace", namespace, names.dns_label(namespace))


def _check_verbs(errors: Errors, verbs: Sequence[str], path: str) -> None:
    if not verbs:
        errors.append(field.required(path, "verbs must contain at least one value"))
    elif "*" in verbs:
        if len(verbs) > 1:
            wrong = "if '*' is present, must not specify other verbs"
            errors.append(field.invalid(path, list(verbs), wrong))
    elif not set(verbs) <= set(_VERBS):
        errors.append(field.not_supported(path, list(verbs), _VERBS))


def _star_alone(errors: Errors, values: Sequence[str], path: str, what: str) -> None:
    if len(values) > 1 and "*" in values:
        wrong = f"if '*' is present, must not specify other {what}"
        errors.append(field.invalid(path, list(values), wrong))


def _check_resource_rule(errors: Errors, rule: Object, path: str) -> None:
    _check_verbs(errors, items(rule, "verbs"), f"{path}.verbs")
    groups, resources, spaces = (items(rule, key) for key in ("apiGroups", "resources", "namespaces"))
    if not groups:
        errors.append(field.required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    _star_alone(errors, groups, f"{path}.apiGroups", "api groups")
    if not resources:
        errors.append(field.required(f"{path}.resources", "resource rules must supply at least one resource"))
    _star_alone(errors, resources, f"{path}.resources", "resources")
    if not spaces and not rule.get("clusterScope"):
        wrong = "resource rules that are not cluster scoped must supply at least one namespace"
        errors.append(field.required(f"{path}.namespaces", wrong))
    elif "*" in spaces:
        _star_alone(errors, spaces, f"{path}.namespaces", "namespaces")
    else:
        for at, space in enumerate(spaces):
            for text in names.dns_label(space):
                wrong = f"each member of this list must be '*' or a DNS-1123 label; {text}"
                errors.append(field.invalid(f"{path}.namespaces[{at}]", space, wrong))


def _check_url_rule(errors: Errors, rule: Object, path: str) -> None:
    _check_verbs(errors, items(rule, "verbs"), f"{path}.verbs")
    urls = items(rule, "nonResourceURLs")
    here = f"{path}.nonResourceURLs"
    if not urls:
        errors.append(field.required(here, "nonResourceURLs must contain at least one value"))
    elif "*" in urls:
        _star_alone(errors, urls, here, "non-resource URLs")
        return
    for at, url in enumerate(urls):
        _check_url(errors, url, f"{here}[{at}]")


def _check_url(errors: Errors, url: str, path: str) -> None:
    if not url:
        errors.append(field.invalid(path, url, "must not be empty"))
    elif url == "/":
        return
    elif not url.startswith("/"):
        errors.append(field.invalid(path, url, "must start with slash"))
    elif " " in url:
        errors.append(field.invalid(path, url, "must not contain white-space"))
    elif "//" in url:
        errors.append(field.invalid(path, url, "must not contain double slash"))
    elif "*" in url.removesuffix("/*"):
        errors.append(field.invalid(path, url, "wildcard can only do suffix matching"))


def _level(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    kind, limited, exempt = spec.get("type", ""), spec.get("limited"), spec.get("exempt")
    if kind == "Exempt":
        if limited is not None:
            errors.append(field.forbidden("spec.limited", "must be nil if the type is not Limited"))
        if exempt is not None:
            _check_shares(errors, exempt, "spec.exempt")
    elif kind == "Limited":
        if exempt is not None:
            errors.append(field.forbidden("spec.exempt", "must be nil if the type is Limited"))
        if limited is None:
            errors.append(field.required("spec.limited", "must not be empty when type is Limited"))
        else:
            _check_limited(errors, limited, "spec.limited")
    else:
        errors.append(field.not_supported("spec.type", kind, ("Exempt", "Limited")))
    _check_fixed(errors, "PriorityLevelConfiguration", obj)


def _check_shares(errors: Errors, holder: Object, path: str) -> None:
    shares, lendable = holder.get("nominalConcurrencyShares"), holder.get("lendablePercent")
    if shares is not None and shares < 0:
        wrong = "must be a non-negative integer"
        errors.append(field.invalid(f"{path}.nominalConcurrencyShares", shares, wrong))
    if lendable is not None and not 0 <= lendable <= 100:
        wrong = "must be between 0 and 100, inclusive"
        errors.append(field.invalid(f"{path}.lendablePercent", lendable, wrong))


def _check_limited(errors: Errors, limited: Object, path: str) -> None:
    _check_shares(errors, limited, path)
    borrowing = limited.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        wrong = "if specified, must be a non-negative integer"
        errors.append(field.invalid(f"{path}.borrowingLimitPercent", borrowing, wrong))
    response, here = limited.get("limitResponse") or {}, f"{path}.limitResponse"
    kind, queuing = response.get("type", ""), response.get("queuing")
    if kind == "Reject":
        if queuing is not None:
            wrong = "must be nil if limited.limitResponse.type is not Limited"
            errors.append(field.forbidden(f"{here}.queuing", wrong))
    elif kind == "Queue":
        if queuing is None:
            wrong = "must not be empty if limited.limitResponse.type is Limited"
            errors.append(field.required(f"{here}.queuing", wrong))
        else:
            _check_queuing(errors, queuing, f"{here}.queuing")
    else:
        errors.append(field.not_supported(f"{here}.type", kind, ("Queue", "Reject")))


def _check_queuing(errors: Errors, queuing: Object, path: str) -> None:
    length, queues, hand = (queuing.get(key, 0) for key in ("queueLengthLimit", "queues", "handSize"))
    if length <= 0:
        errors.append(field.invalid(f"{path}.queueLengthLimit", length, "must be positive"))
    if queues <= 0:
        errors.append(field.invalid(f"{path}.queues", queues, "must be positive"))
    elif queues > _MAX_QUEUES:
        errors.append(field.invalid(f"{path}.queues", queues, f"must not be greater than {_MAX_QUEUES}"))
    if hand <= 0:
        errors.append(field.invalid(f"{path}.handSize", hand, "must be positive"))
    elif hand > queues:
        wrong = f"should not be greater than queues ({queues})"
        errors.append(field.invalid(f"{path}.handSize", hand, wrong))
    elif _entropy(queues, hand) > _MAX_BITS:
        wrong = f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {_MAX_BITS}"
        errors.append(field.invalid(f"{path}.handSize", hand, wrong))


def _entropy(deck: int, hand: int) -> int:
    """How many random bits dealing takes."""
    bits = 0.0
    for taken in range(hand):
        bits += math.log2(deck - taken)
        if bits > _MAX_BITS:
            break
    return math.ceil(bits)


def _status(errors: Errors, obj: Object, old: Object) -> None:
    seen: set[str] = set()
    for at, condition in enumerate(items(obj.get("status") or {}, "conditions")):
        path, kind = f"status.conditions[{at}].type", condition.get("type", "")
        if kind in seen:
            errors.append(field.duplicate(path, kind))
        seen.add(kind)
        if not kind:
            errors.append(field.required(path, "must not be empty"))


FLOWSCHEMAS = Kind(_schema, parts={"status": _status}, update_meta=META_AS_CREATED)
PRIORITYLEVELCONFIGURATIONS = Kind(_level, parts={"status": _status}, update_meta=META_AS_CREATED)
