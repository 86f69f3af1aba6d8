"""One authorizer of the chain, and the simplest ones."""

from __future__ import annotations

from typing import Protocol

from knarr.apiserver.authz.decision import Decision, RuleList
from knarr.apiserver.request import RequestInfo, UserInfo


class Link(Protocol):
    """One authorizer."""

    def authorize(self, user: UserInfo, info: RequestInfo) -> Decision | None:
        """Its decision; None where it has no opinion and nothing to say. May raise `Pending`."""
        ...

    def rules_for(self, user: UserInfo, namespace: str) -> RuleList | None:
        """What it lets a user do in a namespace; None for nothing."""
        ...


class AlwaysAllow:
    """Allows everything."""

    def authorize(self, _user: UserInfo, _info: RequestInfo) -> Decision | None:
        """Yes."""
        return Decision(True)

    def rules_for(self, _user: UserInfo, _namespace: str) -> RuleList | None:
        """Everything."""
        resources = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
        return RuleList(resources, [{"verbs": ["*"], "nonResourceURLs": ["*"]}])


class AlwaysDeny:
    """Allows nothing, and leaves it to others."""

    def authorize(self, _user: UserInfo, _info: RequestInfo) -> Decision | None:
        """Not by this one."""
        return Decision(False, "Everything is forbidden.")

    def rules_for(self, _user: UserInfo, _namespace: str) -> RuleList | None:
        """Nothing."""
        return None
