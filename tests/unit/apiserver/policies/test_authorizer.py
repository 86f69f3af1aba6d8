"""The questions that expressions may ask the authorizers."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api import registry
from knarr.api.cel import Budget, EvaluationError, program
from knarr.api.validation import expressions
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.authz.decision import Decision, RuleList
from knarr.apiserver.pending import Pending
from knarr.apiserver.policies.authorizer import Questions
from knarr.apiserver.request import RequestInfo, UserInfo

EVE = UserInfo("eve", ("people",))


class Asked:
    """Allows service accounts everything, and says what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, RequestInfo]] = []

    def authorize(self, user: UserInfo, info: RequestInfo) -> Decision:
        self.asked.append((user.name, info))
        allowed = user.name.startswith("system:serviceaccount:")
        return Decision(allowed, "" if allowed else "not for people", error="" if allowed else "no answer")

    def rules_for(self, user: UserInfo, namespace: str) -> RuleList:
        raise NotImplementedError


def value(expression: str, asked: Any) -> Any:
    attributes = Attributes("UPDATE", registry.PODS, "status", "n", "p", {}, {}, EVE, reader=None)  # type: ignore[arg-type]
    made = program(expression, expressions.admission_environment())
    assert not made.problem
    return made.evaluate(Questions(asked, attributes).variables(), Budget())


def test_a_question_is_asked_as_it_is_put_together_and_once() -> None:
    asked = Asked()
    check = "authorizer.group('apps').resource('deployments').subresource('scale').namespace('n').name('d')"
    check += ".fieldSelector('spec.nodeName=a').labelSelector('a=b').check('update')"
    assert value(f"{check}.reason() + {check}.error()", asked) == "not for peopleno answer"
    ((user, info),) = asked.asked
    assert user == "eve"
    assert (info.verb, info.group, info.version, info.resource) == ("update", "apps", "*", "deployments")
    assert (info.subresource, info.namespace, info.name, info.is_resource) == ("scale", "n", "d", True)
    assert (info.field_selector, info.label_selector) == ("spec.nodeName=a", "a=b")


def test_paths_and_service_accounts() -> None:
    asked = Asked()
    assert value("authorizer.path('/healthz').check('get').allowed()", asked) is False
    assert value("authorizer.serviceAccount('n', 'bot').path('/healthz').check('get').allowed()", asked) is True
    assert [user for user, _ in asked.asked] == ["eve", "system:serviceaccount:n:bot"]
    assert asked.asked[0][1] == RequestInfo("get", "/healthz")


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ("path(' ')", "path must not be empty"),
        ("group('').resource('')", "resource must not be empty"),
        ("serviceAccount('n', 'Bot')", "Invalid service account name"),
        ("serviceAccount('N', 'bot')", "Invalid service account namespace"),
    ],
)
def test_what_cannot_be_asked(wrong: str, text: str) -> None:
    with pytest.raises(EvaluationError, match=text):
        value(f"authorizer.{wrong}", Asked())


def test_the_resource_of_a_request() -> None:
    asked = Asked()
    value("authorizer.requestResource.check('delete').allowed()", asked)
    ((_, info),) = asked.asked
    found = (info.verb, info.resource, info.subresource, info.namespace, info.name)
    assert found == ("delete", "pods", "status", "n", "p")


def test_where_somebody_outside_must_be_asked_first_the_request_begins_again() -> None:
    async def ask() -> None:
        return None

    class Waits(Asked):
        def authorize(self, user: UserInfo, info: RequestInfo) -> Decision:
            raise Pending(ask)

    with pytest.raises(Pending):
        value("authorizer.path('/healthz').check('get').allowed() || true", Waits())
