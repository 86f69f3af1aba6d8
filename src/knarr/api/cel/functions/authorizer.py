"""Asking whether somebody may do something (https://pkg.go.dev/k8s.io/apiserver/pkg/cel/library#Authz)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.functions.registry import Library
from knarr.apimachinery import dns_names

library = Library()


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer: whether it is allowed, why, and what went wrong in deciding."""

    allowed: bool
    reason: str = ""
    error: str = ""
    kind = "kubernetes.authorization.Decision"


@dataclass(frozen=True, slots=True)
class Check:
    """A question: may `user` do `verb` to a path, or to a resource of an API group.

    `user` is whatever the authorizer was made with, or of a service account (namespace, name). Selectors are texts.
    """

    user: Any
    verb: str = ""
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A user that an expression names."""

    namespace: str
    name: str


#: Decides. What it raises (other than `EvaluationError`) passes through the evaluation: one that has to wait may raise,
#: be asked outside, and know the answer when the expression is evaluated again.
Decide = Callable[[Check], Decision]


@dataclass(frozen=True, slots=True)
class Authorizer:
    """The variable `authorizer`: a user, and what decides."""

    user: Any
    decide: Decide
    kind = "kubernetes.authorization.Authorizer"


@dataclass(frozen=True, slots=True)
class PathCheck:
    """A question about a path, without its verb."""

    decide: Decide
    check: Check
    kind = "kubernetes.authorization.PathCheck"


@dataclass(frozen=True, slots=True)
class GroupCheck:
    """A question about an API group, without its resource."""

    decide: Decide
    check: Check
    kind = "kubernetes.authorization.GroupCheck"


@dataclass(frozen=True, slots=True)
class ResourceCheck:
    """A question about a resource, without its verb; the variable `authorizer.requestResource` is one."""

    decide: Decide
    check: Check
    kind = "kubernetes.authorization.ResourceCheck"


@library.add("path", Authorizer, str)
def _path(value: Authorizer, path: str) -> PathCheck:
    if not path.strip():
        raise EvaluationError("path must not be empty")
    return PathCheck(value.decide, Check(value.user, path=path))


@library.add("group", Authorizer, str)
def _group(value: Authorizer, group: str) -> GroupCheck:
    return GroupCheck(value.decide, Check(value.user, group=group))


@library.add("serviceAccount", Authorizer, str, str)
def _service_account(value: Authorizer, namespace: str, name: str) -> Authorizer:
    if dns_names.dns_subdomain(name):
        raise EvaluationError("Invalid service account name")
    if dns_names.dns_label(namespace):
        raise EvaluationError("Invalid service account namespace")
    return Authorizer(ServiceAccount(namespace, name), value.decide)


@library.add("resource", GroupCheck, str)
def _resource(value: GroupCheck, resource: str) -> ResourceCheck:
    if not resource.strip():
        raise EvaluationError("resource must not be empty")
    return ResourceCheck(value.decide, replace(value.check, resource=resource))


def _add_part(name: str, field: str) -> None:
    def narrowed(value: ResourceCheck, text: str) -> ResourceCheck:
        return ResourceCheck(value.decide, replace(value.check, **{field: text}))

    library.add(name, ResourceCheck, str)(narrowed)


for _name, _field in {
    "subresource": "subresource",
    "namespace": "namespace",
    "name": "name",
    "fieldSelector": "field_selector",
    "labelSelector": "label_selector",
}.items():
    _add_part(_name, _field)


@library.add("check", ResourceCheck, str)
@library.add("check", PathCheck, str)
def _check(value: ResourceCheck | PathCheck, verb: str) -> Decision:
    return value.decide(replace(value.check, verb=verb))


@library.add("allowed", Decision)
def _allowed(value: Decision) -> bool:
    return value.allowed


@library.add("reason", Decision)
def _reason(value: Decision) -> str:
    return value.reason


@library.add("errored", Decision)
def _errored(value: Decision) -> bool:
    return bool(value.error)


@library.add("error", Decision)
def _error(value: Decision) -> str:
    return value.error
