"""The variable `authorizer` of expressions: questions that the server's own authorizers answer, each once a request.

Source: k8s.io/apiserver/pkg/admission/plugin/authorizer/caching_authorizer.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from knarr.apiserver.attributes import Attributes
from knarr.apiserver.authz.decision import Authorizer as Asked
from knarr.apiserver.request import RequestInfo, UserInfo

if TYPE_CHECKING:
    from knarr.api.cel.functions.authorizer import Check, Decision


class Questions:
    """What the user of a request, and any service account, may do."""

    def __init__(self, authorizer: Asked, attributes: Attributes) -> None:
        self._authorizer = authorizer
        self._attributes = attributes
        self._known: dict[Check, Decision] = {}

    def variables(self) -> dict[str, Any]:
        """`authorizer`, and the question about the object of the request."""
        from knarr.api.cel.functions.authorizer import Authorizer, Check, ResourceCheck

        attributes = self._attributes
        check = Check(
            None,
            group=attributes.resource.group,
            resource=attributes.resource.plural,
            subresource=attributes.subresource,
            namespace=attributes.namespace,
            name=attributes.name,
        )
        return {
            "authorizer": Authorizer(None, self._decide),
            "authorizer.requestResource": ResourceCheck(self._decide, check),
        }

    def _decide(self, check: Check) -> Decision:
        from knarr.api.cel.functions.authorizer import Decision

        found = self._known.get(check)
        if found is None:
            decision = self._authorizer.authorize(self._user(check), _info(check))
            found = self._known[check] = Decision(decision.allowed, decision.reason, decision.error)
        return found

    def _user(self, check: Check) -> UserInfo:
        from knarr.api.cel.functions.authorizer import ServiceAccount

        account = check.user
        if not isinstance(account, ServiceAccount):
            return self._attributes.user
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{account.namespace}")
        return UserInfo(f"system:serviceaccount:{account.namespace}:{account.name}", groups)


def _info(check: Check) -> RequestInfo:
    if check.path:
        return RequestInfo(check.verb, check.path)
    return RequestInfo(
        check.verb,
        "",
        is_resource=True,
        group=check.group,
        version="*",
        namespace=check.namespace,
        resource=check.resource,
        subresource=check.subresource,
        name=check.name,
        field_selector=check.field_selector,
        label_selector=check.label_selector,
    )
