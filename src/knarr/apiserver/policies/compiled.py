"""Policies as they are evaluated: their expressions, each with what it may refer to.

Input: a stored policy, whose expressions were checked when it was written. They are compiled when first run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from knarr.apimachinery.types import Object
from knarr.apiserver.matching.criteria import Criteria, of_resources
from knarr.apiserver.policies.conditions import Conditions
from knarr.apiserver.policies.evaluation import Expression

if TYPE_CHECKING:
    from knarr.api.cel import Environment


@dataclass(frozen=True, slots=True)
class Rule:
    """One validation: its expression, and what is said when it fails."""

    expression: Expression
    message: str
    spoken: Expression | None
    reason: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """One mutation: `kind` is ApplyConfiguration or JSONPatch."""

    kind: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Binding:
    """A binding of either kind; `criteria` narrow its policy down."""

    name: str
    policy: str
    criteria: Criteria | None
    param_ref: Object | None
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of either kind; validating ones have rules and annotations, mutating ones mutations."""

    name: str
    criteria: Criteria
    param_kind: Object | None
    ignores_failures: bool
    variables: Mapping[str, Expression]
    conditions: Conditions
    rules: tuple[Rule, ...] = ()
    annotations: tuple[tuple[str, Expression], ...] = ()
    mutations: tuple[Mutation, ...] = ()
    reinvoked: bool = False
    #: Whether any rule has an expression for its message.
    speaks: bool = False


def binding(obj: Object) -> Binding:
    """A binding of a ValidatingAdmissionPolicy or MutatingAdmissionPolicy."""
    spec = obj["spec"]
    resources = spec.get("matchResources")
    return Binding(
        name=obj["metadata"]["name"],
        policy=spec.get("policyName", ""),
        criteria=None if resources is None else of_resources(resources),
        param_ref=spec.get("paramRef"),
        actions=tuple(spec.get("validationActions") or ()),
    )


def validating(obj: Object) -> Policy:
    """A ValidatingAdmissionPolicy."""
    spec = obj["spec"]
    head, environment = _head(obj, patches=False)
    silent = environment.without("authorizer", "authorizer.requestResource")
    rules = tuple(_rule(item, environment, silent) for item in spec.get("validations") or ())
    annotations = tuple(
        (item["key"], Expression(item["valueExpression"], environment)) for item in spec.get("auditAnnotations") or ()
    )
    speaks = any(rule.spoken is not None for rule in rules)
    return Policy(**head, rules=rules, annotations=annotations, speaks=speaks)


def _rule(item: Object, environment: Environment, silent: Environment) -> Rule:
    spoken = item.get("messageExpression") or ""
    return Rule(
        expression=Expression(item["expression"], environment),
        message=item.get("message") or "",
        spoken=Expression(spoken, silent) if spoken else None,
        reason=item.get("reason") or "",
    )


def mutating(obj: Object) -> Policy:
    """A MutatingAdmissionPolicy."""
    spec = obj["spec"]
    head, environment = _head(obj, patches=True)
    mutations = tuple(_mutation(item, environment) for item in spec.get("mutations") or ())
    return Policy(**head, mutations=mutations, reinvoked=spec.get("reinvocationPolicy") == "IfNeeded")


def _mutation(item: Object, environment: Environment) -> Mutation:
    kind = item["patchType"]
    patch = item["applyConfiguration"] if kind == "ApplyConfiguration" else item["jsonPatch"]
    return Mutation(kind, Expression(patch["expression"], environment))


def _head(obj: Object, *, patches: bool) -> tuple[dict[str, Any], Environment]:
    """What both kinds of policies have, and what their expressions may refer to."""
    spec = obj["spec"]
    environment, variables = _variables(spec, patches=patches)
    ignores = spec.get("failurePolicy") == "Ignore"
    conditions = tuple(Expression(item["expression"], environment) for item in spec.get("matchConditions") or ())
    head = {
        "name": obj["metadata"]["name"],
        "criteria": of_resources(spec["matchConstraints"]),
        "param_kind": spec.get("paramKind"),
        "ignores_failures": ignores,
        "variables": variables,
        "conditions": Conditions(conditions, ignores, variables),
    }
    return head, environment


def _variables(spec: Object, *, patches: bool) -> tuple[Environment, Mapping[str, Expression]]:
    from knarr.api.cel import compile_expression
    from knarr.api.validation import expressions

    params = spec.get("paramKind") is not None
    environment = expressions.admission_environment(params=params, patches=patches)
    listed = spec.get("variables") or ()
    if listed:
        environment = environment.closing("variables")
    found = {}
    for item in listed:
        found[item["name"]] = Expression(item["expression"], environment)
        kind = compile_expression(item["expression"], environment).type
        environment = environment.with_variable(f"variables.{item['name']}", kind or "dyn")
    return environment, found
