"""Expressions in objects: they must compile, to a value of the right type.

Source of the rules: k8s.io/apiserver/pkg/admission/plugin/cel/compile.go and k8s.io/dynamic-resource-allocation/cel.
"""

from __future__ import annotations

from typing import Any

from knarr.api.validation.checks import Errors
from knarr.apimachinery import field

_ALWAYS = {
    "object": "dyn",
    "oldObject": "dyn",
    "namespaceObject": "kubernetes.Namespace",
    "request": "kubernetes.AdmissionRequest",
}
_AUTHORIZER = {"authorizer": "Authorizer", "authorizer.requestResource": "ResourceCheck"}


def admission_environment(*, params: bool = False, authorizer: bool = True, patches: bool = False) -> Any:
    """What conditions, rules and variables of admission may use."""
    from knarr.api.cel import Environment

    known = _ALWAYS | (_AUTHORIZER if authorizer else {}) | ({"params": "dyn"} if params else {})
    return Environment(tuple(sorted(known.items())), frozenset(), ("Object", "JSONPatch") if patches else ())


def device_environment() -> Any:
    """What selectors of devices may use."""
    from knarr.api.cel import Environment

    return Environment((("device", "kubernetes.DRADevice"),), devices=True)


def check(errors: Errors, path: str, text: str, environment: Any, wanted: tuple[str, ...] = ()) -> str:
    """An expression, of one of the wanted types if any are named. Gives its type, empty for a bad one."""
    from knarr.api.cel import compile_expression, problem_error

    found = compile_expression(text, environment)
    if found.problem:
        errors.append(problem_error(path, text, found.problem))
    elif wanted and found.type not in wanted:
        listed = wanted[0] if len(wanted) == 1 else f"one of [{' '.join(wanted)}]"
        errors.append(field.invalid(path, text, f"must evaluate to {listed} but got {found.type}"))
    return found.type


def check_selector(errors: Errors, path: str, text: str) -> None:
    """A selector of devices."""
    from knarr.api.cel import compile_expression, problem_error

    found = compile_expression(text, device_environment())
    if found.problem:
        errors.append(problem_error(path, text, found.problem))
    elif found.type != "bool":
        wrong = f"must evaluate to bool or the unknown type, not {found.type}"
        errors.append(field.invalid(path, text, wrong))
