"""What is wrong with the expressions of a policy, for each of the kinds that it is about.

Where the policy's own validation knows nothing of `object`, `oldObject` and `params`, they have the types of their
schemas here. Source: k8s.io/apiserver/pkg/admission/plugin/policy/validating/typechecking.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from knarr.api.validation import expressions
from knarr.apimachinery.gvk import GroupVersionKind, parse_api_version
from knarr.apimachinery.types import Object
from knarr.controller.policy_status.kinds import Kinds, to_check

if TYPE_CHECKING:
    from knarr.api.cel import Environment

_PREFIX = "compilation failed: "


def warnings(policy: Object, kinds: Kinds) -> list[Object]:
    """The `expressionWarnings` of a policy's status."""
    spec = policy["spec"]
    param_kind = _param_kind(spec)
    params = None if param_kind is None else kinds.schema(param_kind)
    environments = [
        (kind, _environment(spec, schema, params))
        for kind in to_check(policy, kinds)
        if (schema := kinds.schema(kind)) is not None
    ]
    return [
        {"fieldRef": path, "warning": text}
        for path, expression in _expressions(spec)
        if (text := _warning(expression, environments))
    ]


def needed(policy: Object, kinds: Kinds) -> list[GroupVersionKind]:
    """The kinds whose schemas a policy is checked against."""
    params = _param_kind(policy["spec"])
    return [*to_check(policy, kinds), *([params] if params is not None else [])]


def _param_kind(spec: Object) -> GroupVersionKind | None:
    kind = spec.get("paramKind")
    if kind is None:
        return None
    return GroupVersionKind(*parse_api_version(kind.get("apiVersion", "")), kind.get("kind", ""))


def _expressions(spec: Object) -> Iterator[tuple[str, str]]:
    for index, rule in enumerate(spec.get("validations") or ()):
        for name in ("expression", "messageExpression"):
            if rule.get(name):
                yield f"spec.validations[{index}].{name}", rule[name]


def _environment(spec: Object, schema: Object, params: Object | None) -> Environment:
    """What expressions may refer to where objects are of a kind with this schema."""
    from knarr.api.cel import program
    from knarr.api.cel.declared import declared_type
    from knarr.api.cel.types import DYN

    about = declared_type(schema, "object", root=True) or DYN
    known = {"object": about, "oldObject": about}
    if params is not None:
        known["params"] = declared_type(params, "params", root=True) or DYN
    plain = expressions.admission_environment().without("object", "oldObject")
    environment: Environment = replace(plain, declared=known).closing("variables")
    for variable in spec.get("variables") or ():
        kind = program(variable["expression"], environment).type
        environment = environment.with_variable(f"variables.{variable['name']}", kind or "dyn")
    return environment


def _warning(text: str, environments: list[tuple[GroupVersionKind, Environment]]) -> str:
    from knarr.api.cel import program

    found = []
    for kind, environment in environments:
        problem = program(text, environment).problem
        if problem:
            found.append(f"{kind.group}/{kind.version}, Kind={kind.kind}: {problem.removeprefix(_PREFIX)}\n")
    return "\n".join(found)
