"""The ways of acting as somebody else: constrained ones, for single requests, and the one from before, for all.

Input: who acts as whom for which request, the authorizers. Output: the user as the request is from, None where the way
is not one for this user, or the refusal.
Source: https://kep.k8s.io/5284 (constrained impersonation, on by default in v1.36).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import msgspec

from knarr.api.validation import names
from knarr.apimachinery.field import quote
from knarr.apiserver.authn.tokens import AUTHENTICATED
from knarr.apiserver.authz.decision import MASTERS, NODE_USER_PREFIX, NODES, Authorizer, Decision, forbidden
from knarr.apiserver.request import RequestInfo, UserInfo

_AUTHENTICATION = "authentication.k8s.io"
_ACCOUNT = "system:serviceaccount:"
_ANONYMOUS = "system:anonymous"
_OTHERS = "system:unauthenticated"
_NODE_NAME = "authentication.kubernetes.io/node-name"
_NODE_KEYS = "authentication.kubernetes.io/associated-node-keys"
#: From so many values on, one question about all of them comes first.
_MANY = 4


@dataclass(frozen=True, slots=True)
class Mode:
    """One way: its name (empty for the one from before), and whom it is for: (wanted, impersonator)."""

    name: str
    suits: Callable[[UserInfo, UserInfo], bool]

    @property
    def verb(self) -> str:
        """What must be allowed on the parts of the wanted user."""
        return f"impersonate:{self.name}" if self.name else "impersonate"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody acts as `wanted` for the request `info`."""

    wanted: UserInfo
    user: UserInfo
    info: RequestInfo
    authorizer: Authorizer

    def by(self, mode: Mode) -> UserInfo | None:
        """The user as the request is from; None where the mode is not one for him. Raises `StatusError` 403."""
        if not mode.suits(self.wanted, self.user):
            return None
        asker = _associated(self.user) if mode is ASSOCIATED_NODE else self.user
        if mode.name:
            self._require(
                asker, msgspec.structs.replace(self.info, verb=f"impersonate-on:{mode.name}:{self.info.verb}")
            )
        for question in self._questions(asker, mode):
            self._require(asker, question)
        return _complete(self.wanted, constrained=bool(mode.name))

    def _questions(self, asker: UserInfo, mode: Mode) -> Iterator[RequestInfo]:
        """What the impersonator must be allowed, one question a part of the wanted user."""
        wanted, group = self.wanted, _AUTHENTICATION if mode.name else ""
        yield _name_question(mode, wanted.name, group)
        if wanted.uid:
            yield _question(mode, _AUTHENTICATION, "uids", wanted.uid)
        self._refuse(asker, mode, "groups", _odd_group(wanted))
        groups = [_question(mode, group, "groups", each) for each in wanted.groups]
        yield from self._unless_all(asker, mode, groups)
        self._refuse(asker, mode, "userextras", _odd_extra(wanted))
        extra = [
            _question(mode, _AUTHENTICATION, "userextras", value, subresource=key)
            for key, values in wanted.extra.items()
            for value in values
        ]
        yield from self._unless_all(asker, mode, extra)

    def _unless_all(self, asker: UserInfo, mode: Mode, questions: list[RequestInfo]) -> Iterable[RequestInfo]:
        """The questions, but none where there are many and the impersonator may use any value."""
        if not mode.name or len(questions) < _MANY:
            return questions
        one = questions[0]
        every = msgspec.structs.replace(one, name="*", subresource="*" if one.subresource else "")
        return () if self.authorizer.authorize(asker, every).allowed else questions

    def _require(self, asker: UserInfo, question: RequestInfo) -> None:
        decision = self.authorizer.authorize(asker, question)
        if not decision.allowed:
            reason = ": ".join(filter(None, (decision.error, decision.reason)))
            raise forbidden(asker, question, Decision(False, reason))

    def _refuse(self, asker: UserInfo, mode: Mode, resource: str, wrong: str) -> None:
        """Refuse what nobody may act as for single requests. Raises `StatusError` 403."""
        if wrong and mode.name:
            name = MASTERS if MASTERS in wrong else ""
            raise forbidden(asker, _question(mode, _AUTHENTICATION, resource, name), Decision(False, wrong))


def _odd_group(wanted: UserInfo) -> str:
    if "" in wanted.groups:
        return "impersonating the empty string group is not allowed"
    return "impersonating the system:masters group is not allowed" if MASTERS in wanted.groups else ""


def _odd_extra(wanted: UserInfo) -> str:
    for key, values in wanted.extra.items():
        if not key:
            return "impersonating the empty string key in extra is not allowed"
        wrong = names.domain_prefixed_path(key)
        if wrong:
            shown = f"extra.key: Invalid value: {quote(key)}: {wrong[0]}"
            return f"impersonating an invalid key in extra is not allowed: {shown}"
        if key != key.lower():
            return f"impersonating a non-lowercase key in extra is not allowed: {quote(key)}"
        if "" in values:
            return "impersonating the empty string value in extra is not allowed"
    return ""


def _name_question(mode: Mode, user: str, group: str) -> RequestInfo:
    namespace, name = account_name(user)
    if name:
        return _question(mode, group, "serviceaccounts", name, namespace=namespace)
    node = node_name(user)
    if mode.name and node:
        return _question(mode, group, "nodes", "*" if mode is ASSOCIATED_NODE else node)
    return _question(mode, group, "users", user)


def _question(
    mode: Mode, group: str, resource: str, name: str, *, namespace: str = "", subresource: str = ""
) -> RequestInfo:
    return RequestInfo(mode.verb, "", True, group, "v1", namespace, resource, subresource, name)


def account_name(user: str) -> tuple[str, str]:
    """Namespace and name of the service account that a user name stands for; empty for other users."""
    parts = user.split(":")
    if user.startswith(_ACCOUNT) and len(parts) == 4 and parts[2] and parts[3]:
        return parts[2], parts[3]
    return "", ""


def node_name(user: str) -> str:
    """The node that a user name stands for; empty for other users."""
    name = user[len(NODE_USER_PREFIX) :] if user.startswith(NODE_USER_PREFIX) else ""
    return name if name and not names.dns_subdomain(name) else ""


def _complete(wanted: UserInfo, *, constrained: bool) -> UserInfo:
    groups = wanted.groups
    namespace, name = account_name(wanted.name)
    if name and not groups:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    if constrained and node_name(wanted.name):
        groups = (NODES,)
    if wanted.name == _ANONYMOUS:
        missing = _OTHERS if _OTHERS not in groups else ""
    else:
        missing = AUTHENTICATED if _OTHERS not in groups and AUTHENTICATED not in groups else ""
    if missing:
        groups = (*groups, missing)
    return UserInfo(wanted.name, groups, wanted.uid, wanted.extra)


# whom the modes are for


def _is_bare(wanted: UserInfo) -> bool:
    """Whether nothing but a name is wanted: all else is the server's to say."""
    return not (wanted.uid or wanted.groups or wanted.extra)


def _on_this_node(wanted: UserInfo, user: UserInfo) -> bool:
    node = node_name(wanted.name)
    if not node or not _is_bare(wanted) or not account_name(user.name)[1]:
        return False
    return tuple(user.extra.get(_NODE_NAME, ())) == (node,)


def _associated(user: UserInfo) -> UserInfo:
    """A service account as it is asked about for its node: the same on every node."""
    return replace(user, extra={_NODE_KEYS: tuple(sorted(user.extra))})


ASSOCIATED_NODE = Mode("associated-node", _on_this_node)
LEGACY = Mode("", lambda _wanted, _user: True)
#: In the order they are tried.
MODES = (
    ASSOCIATED_NODE,
    Mode("arbitrary-node", lambda wanted, _: _is_bare(wanted) and bool(node_name(wanted.name))),
    Mode("serviceaccount", lambda wanted, _: _is_bare(wanted) and bool(account_name(wanted.name)[1])),
    Mode("user-info", lambda wanted, _: not node_name(wanted.name) and not account_name(wanted.name)[1]),
    LEGACY,
)
