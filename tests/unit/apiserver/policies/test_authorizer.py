"""The questions that expressions may ask the authorizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from knarr.api import registry
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.authz.decision import Decision, RuleList
from knarr.apiserver.policies.authorizer import Authorizer
from knarr.apiserver.request import RequestInfo, UserInfo

EVE = UserInfo("eve", ("people",))


class Asked:
    """Allows service accounts everything, and says what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, RequestInfo]] = []

    def authorize(self, user: UserInfo, info: RequestInfo) -> Decision:
        self.asked.append((user.name, info))
        allowed = user.name.startswith("system:serviceaccount:")
        return Decision(allowed, "" if allowed else "not for people")

    def rules_for(self, user: UserInfo, namespace: str) -> RuleList:
        raise NotImplementedError


def test_a_question_is_asked_as_it_is_put_together_and_once() -> None:
    asked = Asked()
    check = Authorizer(asked, EVE).group("apps").resource("deployments").subresource("scale").namespace("n").name("d")
    assert [check.check("update") for _ in range(2)] == [Decision(False, "not for people")] * 2
    ((user, info),) = asked.asked
    assert user == "eve"
    assert (info.verb, info.group, info.version, info.resource) == ("update", "apps", "*", "deployments")
    assert (info.subresource, info.namespace, info.name, info.is_resource) == ("scale", "n", "d", True)


def test_paths_and_service_accounts() -> None:
    asked = Asked()
    authorizer = Authorizer(asked, EVE)
    assert not authorizer.path("/healthz").check("get").allowed
    assert authorizer.service_account("n", "bot").path("/healthz").check("get").allowed
    assert [user for user, _ in asked.asked] == ["eve", "system:serviceaccount:n:bot"]
    assert asked.asked[0][1] == RequestInfo("get", "/healthz")


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda one: one.path(" "), "path must not be empty"),
        (lambda one: one.group("").resource(""), "resource must not be empty"),
        (lambda one: one.service_account("n", "Bot"), "Invalid service account name"),
        (lambda one: one.service_account("N", "bot"), "Invalid service account namespace"),
    ],
)
def test_what_cannot_be_asked(wrong: Callable[[Authorizer], Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        wrong(Authorizer(Asked(), EVE))


def test_the_resource_of_a_request() -> None:
    asked = Asked()
    attributes = Attributes("UPDATE", registry.PODS, "status", "n", "p", {}, {}, EVE, reader=None)  # type: ignore[arg-type]
    Authorizer(asked, EVE).request_resource(attributes).check("delete")
    ((_, info),) = asked.asked
    assert (info.verb, info.resource, info.subresource, info.namespace, info.name) == (
        "delete",
        "pods",
        "status",
        "n",
        "p",
    )
