"""Admission policies and their bindings, apart from compiling their expressions."""

from __future__ import annotations

from typing import Any

from knarr.api.validation import expressions, names
from knarr.api.validation.admission import check_match_conditions, check_rule, is_identifier
from knarr.api.validation.checks import Errors, items, one_of, required_name, required_text, texts
from knarr.api.validation.conditions import check_conditions
from knarr.api.validation.kind import META_AS_CREATED, Kind
from knarr.api.validation.selectors import check_label_selector
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_MUTATING_OPERATIONS = ("*", "CONNECT", "CREATE", "UPDATE")
_ACTIONS = ("Audit", "Deny", "Warn")
_NOTHING = "validations or auditAnnotations must contain at least one item"
_BOTH = "name and selector are mutually exclusive"
_MAX_MESSAGE = 5 * 1024
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")


def _validating(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    environment = _check_head(errors, spec)
    rules, audits = items(spec, "validations"), items(spec, "auditAnnotations")
    if not rules and not audits:
        for key in ("validations", "auditAnnotations"):
            errors.append(field.required(f"spec.{key}", _NOTHING))
    for at, rule in enumerate(rules):
        _check_validation(errors, rule, f"spec.validations[{at}]", environment)
    name = (obj.get("metadata") or {}).get("name", "")
    seen: set[str] = set()
    for at, audit in enumerate(audits):
        path, key = f"spec.auditAnnotations[{at}]", audit.get("key", "")
        whole, text = f"{name}/{key}" if name else key, audit.get("valueExpression", "")
        if key in seen:
            errors.append(field.duplicate(f"{path}.key", key))
        seen.add(key)
        texts(errors, f"{path}.key", whole, names.qualified_name(whole))
        path = f"{path}.valueExpression"
        if not text.strip():
            errors.append(field.required(path, "valueExpression is not specified"))
        elif len(text.strip().encode()) > _MAX_MESSAGE:
            errors.append(field.too_long(path, _MAX_MESSAGE))
        else:
            expressions.check(errors, path, text, environment, ("string", "null_type"))


def _check_head(errors: Errors, spec: Object, *, patches: bool = False) -> Any:
    """What both kinds of policies have; gives what their expressions may use."""
    policy = spec.get("failurePolicy")
    if policy is None:
        errors.append(field.required("spec.failurePolicy"))
    else:
        one_of(errors, "spec.failurePolicy", policy, ("Fail", "Ignore"))
    kind = spec.get("paramKind")
    if kind is not None:
        _check_param_kind(errors, kind, "spec.paramKind")
    constraints = spec.get("matchConstraints")
    if constraints is None:
        errors.append(field.required("spec.matchConstraints"))
    else:
        check_constraints(errors, constraints, "spec.matchConstraints")
        if not items(constraints, "resourceRules"):
            errors.append(field.required("spec.matchConstraints.resourceRules"))
    environment = _check_variables(errors, spec, patches=patches)
    conditions = items(spec, "matchConditions")
    check_match_conditions(errors, conditions, "spec.matchConditions", params=kind is not None)
    return environment


def _check_param_kind(errors: Errors, kind: Object, path: str) -> None:
    version = kind.get("apiVersion", "")
    if not version:
        errors.append(field.required(f"{path}.apiVersion"))
    elif version.count("/") > 1:
        wrong = f"unexpected GroupVersion string: {version}"
        errors.append(field.invalid(f"{path}.apiVersion", version, wrong))
    else:
        group, _, tail = version.rpartition("/")
        if group:
            texts(errors, f"{path}.apiVersion", group, names.dns_subdomain(group))
        texts(errors, f"{path}.apiVersion", version, names.dns_1035_label(tail))
    name = kind.get("kind", "")
    if not name:
        errors.append(field.required(f"{path}.kind"))
    else:
        for text in names.dns_1035_label(name.lower()):
            wrong = f"may have mixed case, but should otherwise match: {text}"
            errors.append(field.invalid(f"{path}.kind", name, wrong))


def check_constraints(errors: Errors, match: Object, path: str) -> None:
    """Which requests a policy or binding is about."""
    policy = match.get("matchPolicy")
    if policy is not None:
        one_of(errors, f"{path}.matchPolicy", policy, ("Equivalent", "Exact"))
    for key in ("namespaceSelector", "objectSelector"):
        check_label_selector(errors, match.get(key), f"{path}.{key}")
    for key in ("resourceRules", "excludeResourceRules"):
        for at, rule in enumerate(items(match, key)):
            here = f"{path}.{key}[{at}]"
            check_rule(errors, rule, here)
            resource_names = items(rule, "resourceNames")
            for index, name in enumerate(resource_names):
                texts(errors, f"{here}.resourceNames[{index}]", name, names.path_segment(name))
                if name in resource_names[:index]:
                    errors.append(field.duplicate(f"{here}.resourceNames[{index}]", name))


def _check_variables(errors: Errors, spec: Object, *, patches: bool) -> Any:
    """Each variable, and what the ones after it may use."""
    variables, params = items(spec, "variables"), spec.get("paramKind") is not None
    environment = expressions.admission_environment(params=params, patches=patches)
    if variables:
        environment = environment.closing("variables")
    for at, variable in enumerate(variables):
        path, name, text = f"spec.variables[{at}]", variable.get("name", ""), variable.get("expression", "")
        if not name:
            errors.append(field.required(f"{path}.name", "name is not specified"))
        elif not is_identifier(name):
            errors.append(field.invalid(f"{path}.name", name, "must be a valid CEL identifier"))
        if not text.strip():
            errors.append(field.required(f"{path}.expression", "expression is not specified"))
            continue
        kind = expressions.check(errors, f"{path}.expression", text, environment)
        if is_identifier(name):
            # Of a bad one nothing is known but that it is there.
            environment = environment.with_variable(f"variables.{name}", kind or "dyn")
    return environment


def _check_validation(errors: Errors, rule: Object, path: str, environment: Any) -> None:
    text, spoken = rule.get("expression", ""), rule.get("messageExpression", "")
    if not text.strip():
        errors.append(field.required(f"{path}.expression", "expression is not specified"))
    else:
        expressions.check(errors, f"{path}.expression", text, environment, ("bool",))
    if spoken and not spoken.strip():
        errors.append(field.invalid(f"{path}.messageExpression", spoken, "must be non-empty if specified"))
    elif spoken:
        silent = environment.without("authorizer", "authorizer.requestResource")
        expressions.check(errors, f"{path}.messageExpression", spoken, silent, ("string",))
    message = rule.get("message", "")
    if message and not message.strip():
        errors.append(field.invalid(f"{path}.message", message, "message must be non-empty if specified"))
    elif "\n" in message.strip():
        errors.append(field.invalid(f"{path}.message", message, "must not contain line breaks"))
    elif "\n" in rule.get("expression", "") and not message:
        wrong = "message must be specified if expression contains line breaks"
        errors.append(field.required(f"{path}.message", wrong))
    if len(message.encode()) > _MAX_MESSAGE:
        errors.append(field.too_long(f"{path}.message", _MAX_MESSAGE))
    if rule.get("reason") is not None:
        one_of(errors, f"{path}.reason", rule["reason"], _REASONS)


def _mutating(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    environment = _check_head(errors, spec, patches=True)
    for rule in items(spec.get("matchConstraints") or {}, "resourceRules"):
        for operation in items(rule, "operations"):
            path = "spec.matchConstraints.resourceRules.operations"
            one_of(errors, path, operation, _MUTATING_OPERATIONS)
    mutations = items(spec, "mutations")
    if not mutations:
        errors.append(field.required("spec.mutations", "mutations must contain at least one item"))
    for at, mutation in enumerate(mutations):
        _check_mutation(errors, mutation, f"spec.mutations[{at}]", environment)
    policy = spec.get("reinvocationPolicy", "")
    if not policy:
        errors.append(field.required("spec.reinvocationPolicy"))
    else:
        one_of(errors, "spec.reinvocationPolicy", policy, ("IfNeeded", "Never"))


def _check_mutation(errors: Errors, mutation: Object, path: str, environment: Any) -> None:
    kind = mutation.get("patchType", "")
    if not kind:
        errors.append(field.required(f"{path}.patchType"))
    else:
        one_of(errors, f"{path}.patchType", kind, ("ApplyConfiguration", "JSONPatch"))
    for name, key in (("ApplyConfiguration", "applyConfiguration"), ("JSONPatch", "jsonPatch")):
        given = mutation.get(key)
        if kind == name and given is None:
            errors.append(field.required(f"{path}.{key}", f"must be specified when patchType is {name}"))
        elif kind in ("ApplyConfiguration", "JSONPatch") and kind != name and given is not None:
            errors.append(field.invalid(f"{path}.{key}", given, f"must not be specified when patchType is {kind}"))
        elif kind == name and given is not None and not given.get("expression", "").strip():
            errors.append(field.required(f"{path}.{key}.expression"))
        elif kind == name and given is not None:
            wanted = "Object" if key == "applyConfiguration" else "list(JSONPatch)"
            expressions.check(errors, f"{path}.{key}.expression", given["expression"], environment, (wanted,))


def _validating_binding(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    _check_binding(errors, spec)
    actions = items(spec, "validationActions")
    if not actions:
        wrong = "at least one validation action is required"
        errors.append(field.required("spec.validationActions", wrong))
    for at, action in enumerate(actions):
        path = f"spec.validationActions[{at}]"
        one_of(errors, path, action, _ACTIONS)
        if action in actions[:at]:
            errors.append(field.duplicate(path, action))
    if "Deny" in actions and "Warn" in actions:
        wrong = "must not contain both Deny and Warn (repeating the same validation failure information in the API"
        wrong += " response and headers serves no purpose)"
        errors.append(field.invalid("spec.validationActions", list(actions), wrong))


def _mutating_binding(errors: Errors, obj: Object) -> None:
    _check_binding(errors, obj.get("spec") or {})


def _check_binding(errors: Errors, spec: Object) -> None:
    required_name(errors, "spec.policyName", spec.get("policyName", ""), names.dns_subdomain)
    ref = spec.get("paramRef")
    if ref is not None:
        _check_param_ref(errors, ref, "spec.paramRef")
    if spec.get("matchResources") is not None:
        check_constraints(errors, spec["matchResources"], "spec.matchResources")


def _check_param_ref(errors: Errors, ref: Object, path: str) -> None:
    name, selector = ref.get("name", ""), ref.get("selector")
    if name:
        texts(errors, f"{path}.name", name, names.path_segment(name))
        if selector is not None:
            errors.append(field.forbidden(f"{path}.name", _BOTH))
    if selector is not None:
        check_label_selector(errors, selector, f"{path}.selector")
        if name:
            errors.append(field.forbidden(f"{path}.selector", _BOTH))
    elif not name:
        errors.append(field.required(path, "one of name or selector must be specified"))
    action = ref.get("parameterNotFoundAction")
    if action is None:
        required_text(errors, f"{path}.parameterNotFoundAction", "")
    elif action not in ("Allow", "Deny"):
        errors.append(field.not_supported(f"{path}.parameterNotFoundAction", action, ("Deny", "Allow")))


def _status(errors: Errors, obj: Object, old: Object) -> None:
    status = obj.get("status") or {}
    for at, warning in enumerate(items(status.get("typeChecking") or {}, "expressionWarnings")):
        path = f"status.typeChecking.expressionWarnings[{at}]"
        required_text(errors, f"{path}.warning", warning.get("warning"))
        required_text(errors, f"{path}.fieldRef", warning.get("fieldRef", "").strip())
    check_conditions(errors, items(status, "conditions"), "status.conditions")


VALIDATINGADMISSIONPOLICIES = Kind(_validating, parts={"status": _status}, update_meta=META_AS_CREATED)
VALIDATINGADMISSIONPOLICYBINDINGS = Kind(_validating_binding, update_meta=META_AS_CREATED)
MUTATINGADMISSIONPOLICIES = Kind(_mutating, update_meta=META_AS_CREATED)
MUTATINGADMISSIONPOLICYBINDINGS = Kind(_mutating_binding, update_meta=META_AS_CREATED)
