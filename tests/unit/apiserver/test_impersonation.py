"""Impersonation: who may act as whom, and as whom exactly."""

from __future__ import annotations

import pytest

from knarr.apimachinery.errors import StatusError
from knarr.apiserver.authz.decision import Decision, RuleList
from knarr.apiserver.impersonation import impersonate
from knarr.apiserver.request import Request, RequestInfo, UserInfo

ROOT = UserInfo("root")


class Asked:
    """Allows what is listed, and keeps the questions."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed
        self.questions: list[str] = []

    def authorize(self, user: UserInfo, info: RequestInfo) -> Decision:
        resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        question = f"{info.verb} {info.group}:{resource} {info.namespace}:{info.name}"
        self.questions.append(question)
        return Decision(not self.allowed or question in self.allowed)

    def rules_for(self, user: UserInfo, namespace: str) -> RuleList:
        raise NotImplementedError


def act(headers: dict[str, str | list[str]], authorizer: Asked | None = None) -> UserInfo:
    single = {key: value if isinstance(value, str) else ", ".join(value) for key, value in headers.items()}
    repeated = {key: value for key, value in headers.items() if isinstance(value, list) and len(value) > 1}
    return impersonate(Request("GET", "/", {}, single, repeated=repeated), ROOT, authorizer or Asked())


def test_without_headers_the_user_stays() -> None:
    assert act({"accept": "x"}) is ROOT


def test_every_part_is_asked_for() -> None:
    asked = Asked()
    user = act(
        {
            "impersonate-user": "bob",
            "impersonate-group": ["a, b", "c"],
            "impersonate-uid": "u",
            "impersonate-extra-acme.com%2fproject": "p",
        },
        asked,
    )
    assert user == UserInfo("bob", ("a, b", "c", "system:authenticated"), "u", {"acme.com/project": ("p",)})
    assert asked.questions == [
        "impersonate :users :bob",
        "impersonate authentication.k8s.io:uids :u",
        "impersonate :groups :a, b",
        "impersonate :groups :c",
        "impersonate authentication.k8s.io:userextras/acme.com/project :p",
    ]


def test_a_service_account_has_its_groups_and_is_asked_for_as_one() -> None:
    asked = Asked()
    user = act({"impersonate-user": "system:serviceaccount:ns:sa"}, asked)
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")
    assert asked.questions == ["impersonate :serviceaccounts ns:sa"]


@pytest.mark.parametrize(
    ("headers", "groups"),
    [
        ({"impersonate-user": "system:anonymous"}, ("system:unauthenticated",)),
        ({"impersonate-user": "x", "impersonate-group": "system:unauthenticated"}, ("system:unauthenticated",)),
        ({"impersonate-user": "x", "impersonate-group": "system:authenticated"}, ("system:authenticated",)),
    ],
)
def test_membership_is_completed(headers: dict[str, str | list[str]], groups: tuple[str, ...]) -> None:
    assert act(headers).groups == groups


def test_one_refusal_refuses_all() -> None:
    with pytest.raises(StatusError) as caught:
        act({"impersonate-user": "bob", "impersonate-group": "g"}, Asked("impersonate :users :bob"))
    assert caught.value.message == (
        'groups "g" is forbidden: User "root" cannot impersonate resource "groups" in API group "" at the cluster scope'
    )


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ({"impersonate-group": "g"}, 'Groups:[]string{"g"}, Extra:map[string][]string(nil)'),
        ({"impersonate-extra-a": "g"}, 'Groups:[]string(nil), Extra:map[string][]string{"a":[]string{"g"}}'),
    ],
)
def test_headers_without_a_user_are_refused(headers: dict[str, str | list[str]], shown: str) -> None:
    with pytest.raises(StatusError) as caught:
        act(headers)
    assert (caught.value.code, caught.value.message) == (
        400,
        f'requested &user.DefaultInfo{{Name:"", UID:"", {shown}}} without impersonating a user name',
    )
