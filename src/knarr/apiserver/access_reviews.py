"""The reviews: may somebody do something, what may I do, who am I, whose token is this.

Input: a decoded review, the user who asks, the authorizers. Output: the answer's body. Nothing is stored.
Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from knarr.apimachinery import field, labels
from knarr.apimachinery.errors import bad_request, invalid
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.types import Object
from knarr.apiserver import users
from knarr.apiserver.authn.tokens import TokenAuthenticator, TokenError
from knarr.apiserver.authz.decision import Authorizer
from knarr.apiserver.request import RequestInfo, UserInfo

_GROUP = "authorization.k8s.io"
_IN = ("In", "NotIn")
_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
_EXISTS = ("Exists", "DoesNotExist")


def self_subject_access(body: Object, user: UserInfo, authorizer: Authorizer) -> Object:
    """SelfSubjectAccessReview: may the user who asks do this? Raises `StatusError`."""
    spec = body.get("spec") or {}
    _refuse([*_attribute_errors(spec), *_metadata_errors(body)])
    return _decide(body, user, spec, authorizer)


def subject_access(body: Object, authorizer: Authorizer) -> Object:
    """SubjectAccessReview: may the user it names do this? Raises `StatusError`."""
    spec = body.get("spec") or {}
    _refuse([*_attribute_errors(spec), *_subject_errors(spec), *_metadata_errors(body)])
    return _decide(body, _named_user(spec), spec, authorizer)


def local_subject_access(body: Object, namespace: str, authorizer: Authorizer) -> Object:
    """LocalSubjectAccessReview: the same, within the namespace of the request. Raises `StatusError`."""
    spec = body.get("spec") or {}
    _refuse([*_attribute_errors(spec), *_subject_errors(spec), *_metadata_errors(body, "namespace")])
    meta = body.get("metadata") or {}
    own = meta.get("namespace", namespace)
    attributes = spec.get("resourceAttributes")
    if attributes is not None and attributes.get("namespace", "") != own:
        path = "spec.resourceAttributes.namespace"
        _refuse([field.invalid(path, attributes.get("namespace", ""), "must match metadata.namespace")])
    if spec.get("nonResourceAttributes") is not None:
        shown = _path_attributes(spec["nonResourceAttributes"])
        _refuse([field.invalid("spec.nonResourceAttributes", shown, "disallowed on this kind of request")])
    answer = _decide(body, _named_user(spec), spec, authorizer)
    answer["metadata"] = {**meta, "namespace": own}
    return answer


def self_subject_rules(body: Object, user: UserInfo, authorizer: Authorizer) -> Object:
    """SelfSubjectRulesReview: what may the user who asks do in a namespace? Raises `StatusError`."""
    namespace = (body.get("spec") or {}).get("namespace", "")
    if not namespace:
        raise bad_request("no namespace on request")
    rules = authorizer.rules_for(user, namespace)
    status: Object = {
        "resourceRules": rules.resource_rules,
        "nonResourceRules": rules.non_resource_rules,
        "incomplete": rules.incomplete,
    }
    if rules.error:
        status["evaluationError"] = rules.error
    return {**_head(body), "metadata": {}, "spec": {}, "status": status}


def self_subject(body: Object, user: UserInfo, now: datetime.datetime) -> Object:
    """SelfSubjectReview: who the user is who asks."""
    meta = {**(body.get("metadata") or {}), "creationTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {**_head(body), "metadata": meta, "status": {"userInfo": users.shown(user)}}


def token_review(body: Object, tokens: TokenAuthenticator) -> Object:
    """TokenReview: whose token is this, and is it good for these audiences? Raises `StatusError`."""
    spec = body.get("spec") or {}
    token = spec.get("token", "")
    if not token:
        raise bad_request("token is required for TokenReview in authentication")
    status: Object = {"user": {}}
    try:
        found = tokens.review(token, spec.get("audiences") or ())
        if found is None:
            status["error"] = "invalid bearer token"
        else:
            status = {
                "authenticated": True,
                "user": users.shown(found.user),
                "audiences": list(found.audiences),
            }
    except TokenError as error:
        status["error"] = f"[invalid bearer token, {error}]"
    return {**_head(body), "metadata": body.get("metadata") or {}, "spec": spec, "status": status}


def _head(body: Object) -> Object:
    return {"kind": body.get("kind", ""), "apiVersion": body.get("apiVersion", "")}


def _named_user(spec: Object) -> UserInfo:
    extra: Mapping[str, Iterable[str]] = spec.get("extra") or {}
    return UserInfo(
        name=spec.get("user", ""),
        groups=tuple(spec.get("groups") or ()),
        uid=spec.get("uid", ""),
        extra={key.lower(): tuple(values or ()) for key, values in extra.items()},
    )


def _decide(body: Object, user: UserInfo, spec: Object, authorizer: Authorizer) -> Object:
    decision = authorizer.authorize(user, _question(spec))
    status: Object = {"allowed": decision.allowed}
    if decision.denied:
        status["denied"] = True
    if decision.reason:
        status["reason"] = decision.reason
    if decision.error:
        status["evaluationError"] = decision.error
    return {**_head(body), "metadata": body.get("metadata") or {}, "spec": spec, "status": status}


def _question(spec: Object) -> RequestInfo:
    attributes = spec.get("resourceAttributes")
    if attributes is None:
        other = spec["nonResourceAttributes"]
        return RequestInfo(other.get("verb", ""), other.get("path", ""))
    return RequestInfo(
        verb=attributes.get("verb", ""),
        path="",
        is_resource=True,
        group=attributes.get("group", ""),
        version=attributes.get("version", ""),
        namespace=attributes.get("namespace", ""),
        resource=attributes.get("resource", ""),
        subresource=attributes.get("subresource", ""),
        name=attributes.get("name", ""),
        field_selector=_field_selector(attributes.get("fieldSelector") or {}),
        label_selector=_label_selector(attributes.get("labelSelector") or {}),
    )


def _field_selector(selector: Object) -> str:
    """A field selector as a query gives it. Requirements that a query cannot say narrow, and are left out."""
    raw: str = selector.get("rawSelector", "")
    if raw:
        return raw
    parts = []
    for requirement in selector.get("requirements") or ():
        values = requirement.get("values") or []
        if len(values) == 1 and requirement.get("operator") in _IN:
            sign = "=" if requirement["operator"] == "In" else "!="
            parts.append(f"{requirement.get('key', '')}{sign}{values[0]}")
    return ",".join(parts)


def _label_selector(selector: Object) -> str:
    """A label selector as a query gives it."""
    raw: str = selector.get("rawSelector", "")
    try:
        if raw:
            return str(labels.parse(raw))
        found = (
            labels.requirement(item.get("key", ""), _OPERATORS[item["operator"]], item.get("values") or ())
            for item in selector.get("requirements") or ()
            if item.get("operator") in _OPERATORS
        )
        return ",".join(map(str, found))
    except ValueError:
        # What cannot be parsed narrows nothing.
        return ""


# validation


def _refuse(errors: list[FieldError]) -> None:
    if errors:
        # Kubernetes gives these failures no kind.
        raise invalid("", _GROUP, "", errors)


def _attribute_errors(spec: Object) -> list[FieldError]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        text = "cannot be specified in combination with resourceAttributes"
        return [field.invalid("spec.nonResourceAttributes", _path_attributes(path), text)]
    if resource is None and path is None:
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [field.invalid("spec.resourceAttributes", None, text)]
    errors: list[FieldError] = []
    for kind in ("fieldSelector", "labelSelector"):
        if resource is not None and resource.get(kind) is not None:
            errors += _selector_errors(f"spec.resourceAttributes.{kind}", resource[kind])
    return errors


def _subject_errors(spec: Object) -> list[FieldError]:
    if spec.get("user") or spec.get("groups"):
        return []
    return [field.invalid("spec.user", spec.get("user", ""), "at least one of user or group must be specified")]


def _metadata_errors(body: Object, *allowed: str) -> list[FieldError]:
    """A review has no metadata but what the server sets."""
    meta = body.get("metadata") or {}
    if all(key in (*allowed, "managedFields") or not value for key, value in meta.items()):
        return []
    return [field.invalid("metadata", {key: meta[key] for key in meta if key not in allowed}, "must be empty")]


def _path_attributes(attributes: Object) -> Object:
    """As Kubernetes prints them: the internal type has no JSON names."""
    return {"Path": attributes.get("path", ""), "Verb": attributes.get("verb", "")}


def _selector_errors(path: str, selector: Object) -> list[FieldError]:
    raw, requirements = selector.get("rawSelector", ""), selector.get("requirements") or ()
    if raw and requirements:
        return [field.invalid(f"{path}.rawSelector", raw, "may not specified at the same time as requirements")]
    if not raw and not requirements:
        text = f"when {path} is specified, requirements or rawSelector is required"
        return [field.required(f"{path}.requirements", text)]
    errors: list[FieldError] = []
    for index, requirement in enumerate(requirements):
        errors += _requirement_errors(f"{path}.requirements[{index}]", requirement)
    return errors


def _requirement_errors(path: str, requirement: Mapping[str, Any]) -> list[FieldError]:
    errors: list[FieldError] = []
    if not requirement.get("key"):
        errors.append(field.required(f"{path}.key", "must be specified"))
    operator, values = requirement.get("operator", ""), requirement.get("values") or ()
    if operator in _IN and not values:
        errors.append(field.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in _EXISTS and values:
        errors.append(
            field.forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        )
    return errors
