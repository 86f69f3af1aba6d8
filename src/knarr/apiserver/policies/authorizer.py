"""The variable `authorizer` of expressions: checks that run through the server's own authorizers.

Every method gives a new value, as the functions of expressions do; `check` asks, each question once.
Source: k8s.io/apiserver/pkg/cel/library/authz.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from knarr.api.validation import names
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.authz.decision import Authorizer as Asked
from knarr.apiserver.authz.decision import Decision
from knarr.apiserver.request import RequestInfo, UserInfo


@dataclass(frozen=True, slots=True)
class Authorizer:
    """What a user may do. Methods raise `ValueError` for what cannot be asked."""

    asked: Asked
    user: UserInfo
    _known: dict[tuple[UserInfo | str, RequestInfo], Decision] = field(default_factory=dict, repr=False)

    def path(self, path: str) -> PathCheck:
        """Questions about a path that names no resource."""
        if not path.strip():
            raise ValueError("path must not be empty")
        return PathCheck(self, path)

    def group(self, group: str) -> GroupCheck:
        """Questions about an API group."""
        return GroupCheck(self, group)

    def service_account(self, namespace: str, name: str) -> Authorizer:
        """What a service account may do."""
        if names.dns_subdomain(name):
            raise ValueError("Invalid service account name")
        if names.dns_label(namespace):
            raise ValueError("Invalid service account namespace")
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        return replace(self, user=UserInfo(f"system:serviceaccount:{namespace}:{name}", groups))

    def request_resource(self, attributes: Attributes) -> ResourceCheck:
        """Questions about the object of a request."""
        check = self.group(attributes.resource.group).resource(attributes.resource.plural)
        place = (attributes.subresource, attributes.namespace, attributes.name)
        return check.subresource(place[0]).namespace(place[1]).name(place[2])

    def ask(self, info: RequestInfo) -> Decision:
        """The answer, which is remembered while the request lasts."""
        key = (self.user.name, info)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self.asked.authorize(self.user, info)
        return found


@dataclass(frozen=True, slots=True)
class PathCheck:
    """Questions about a path."""

    authorizer: Authorizer
    path: str

    def check(self, verb: str) -> Decision:
        """Whether a request with this method is allowed."""
        return self.authorizer.ask(RequestInfo(verb, self.path))


@dataclass(frozen=True, slots=True)
class GroupCheck:
    """Questions about an API group."""

    authorizer: Authorizer
    group: str

    def resource(self, resource: str) -> ResourceCheck:
        """Questions about a resource of the group."""
        if not resource.strip():
            raise ValueError("resource must not be empty")
        info = RequestInfo("", "", is_resource=True, group=self.group, version="*", resource=resource)
        return ResourceCheck(self.authorizer, info)


@dataclass(frozen=True, slots=True)
class ResourceCheck:
    """Questions about a resource."""

    authorizer: Authorizer
    info: RequestInfo

    def subresource(self, name: str) -> ResourceCheck:
        """The same about a subresource."""
        return self._with(subresource=name)

    def namespace(self, name: str) -> ResourceCheck:
        """The same in a namespace."""
        return self._with(namespace=name)

    def name(self, name: str) -> ResourceCheck:
        """The same about one object."""
        return self._with(name=name)

    def field_selector(self, text: str) -> ResourceCheck:
        """The same about the objects that a field selector selects."""
        return self._with(field_selector=text)

    def label_selector(self, text: str) -> ResourceCheck:
        """The same about the objects that a label selector selects."""
        return self._with(label_selector=text)

    def check(self, verb: str) -> Decision:
        """Whether a request with this verb is allowed."""
        return self.authorizer.ask(replace(self.info, verb=verb))

    def _with(self, **changed: str) -> ResourceCheck:
        return ResourceCheck(self.authorizer, replace(self.info, **changed))  # type: ignore[arg-type]
