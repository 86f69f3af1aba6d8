"""Impersonation: who may act as whom, and as whom exactly."""

from __future__ import annotations

import pytest

from knarr.apimachinery.errors import StatusError
from knarr.apiserver.authz.decision import Decision, RuleList
from knarr.apiserver.impersonation import Impersonation
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


GET_POD = RequestInfo("get", "", True, "", "v1", "bar", "pods", "", "foo")


def act(
    headers: dict[str, str | list[str]],
    authorizer: Asked | None = None,
    user: UserInfo = ROOT,
    impersonation: Impersonation | None = None,
) -> UserInfo:
    single = {key: value if isinstance(value, str) else ", ".join(value) for key, value in headers.items()}
    repeated = {key: value for key, value in headers.items() if isinstance(value, list) and len(value) > 1}
    request = Request("GET", "/", {}, single, repeated=repeated, info=GET_POD)
    return (impersonation or Impersonation()).user_of(request, user, authorizer or Asked())


def test_without_headers_the_user_stays() -> None:
    assert act({"accept": "x"}) is ROOT


ON, AS_BOB = "impersonate-on:user-info:get :pods bar:foo", "impersonate:user-info authentication.k8s.io:users :bob"
ALL_PARTS: dict[str, str | list[str]] = {
    "impersonate-user": "bob",
    "impersonate-group": ["a, b", "c"],
    "impersonate-uid": "u",
    "impersonate-extra-acme.com%2fproject": "p",
}
BOB = UserInfo("bob", ("a, b", "c", "system:authenticated"), "u", {"acme.com/project": ("p",)})


def test_every_part_is_asked_for() -> None:
    asked = Asked()
    assert act(ALL_PARTS, asked) == BOB
    mode = "impersonate:user-info authentication.k8s.io"
    assert asked.questions == [
        ON,
        f"{mode}:users :bob",
        f"{mode}:uids :u",
        f"{mode}:groups :a, b",
        f"{mode}:groups :c",
        f"{mode}:userextras/acme.com/project :p",
    ]


LEGACY = (
    "impersonate :users :bob",
    "impersonate authentication.k8s.io:uids :u",
    "impersonate :groups :a, b",
    "impersonate :groups :c",
    "impersonate authentication.k8s.io:userextras/acme.com/project :p",
)


def test_who_may_act_as_somebody_for_all_may_as_before_and_is_not_asked_more_next_time() -> None:
    asked, impersonation = Asked(*LEGACY), Impersonation()
    assert act(ALL_PARTS, asked, impersonation=impersonation) == BOB
    assert asked.questions == [ON, *LEGACY]
    asked.questions.clear()
    assert act(ALL_PARTS, asked, impersonation=impersonation) == BOB
    assert asked.questions == [*LEGACY]


def test_a_service_account_has_its_groups_and_is_asked_for_as_one() -> None:
    for mode in ("serviceaccount", ""):
        questions = [
            "impersonate-on:serviceaccount:get :pods bar:foo",
            "impersonate:serviceaccount authentication.k8s.io:serviceaccounts ns:sa",
        ]
        asked = Asked(*(questions if mode else ["impersonate :serviceaccounts ns:sa"]))
        user = act({"impersonate-user": "system:serviceaccount:ns:sa"}, asked)
        assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")
        assert asked.questions == (questions if mode else [questions[0], "impersonate :serviceaccounts ns:sa"])


NODE: dict[str, str | list[str]] = {"impersonate-user": "system:node:n1"}


def test_a_node_has_its_group_for_single_requests_alone() -> None:
    allowed = (
        "impersonate-on:arbitrary-node:get :pods bar:foo",
        "impersonate:arbitrary-node authentication.k8s.io:nodes :n1",
    )
    assert act(NODE, Asked(*allowed)).groups == ("system:nodes", "system:authenticated")
    assert act(NODE, Asked("impersonate :users :system:node:n1")).groups == ("system:authenticated",)


def test_a_service_account_may_act_as_the_node_it_is_on() -> None:
    allowed = (
        "impersonate-on:associated-node:get :pods bar:foo",
        "impersonate:associated-node authentication.k8s.io:nodes :*",
    )
    name = "system:serviceaccount:ns:agent"
    on_node = UserInfo(name, extra={"authentication.kubernetes.io/node-name": ("n1",)})
    assert act(NODE, Asked(*allowed), on_node).groups == ("system:nodes", "system:authenticated")
    elsewhere = UserInfo(name, extra={"authentication.kubernetes.io/node-name": ("n2",)})
    for other in (elsewhere, UserInfo(name), UserInfo("jane", extra=on_node.extra)):
        with pytest.raises(StatusError):
            act(NODE, Asked(*allowed), other)


def test_many_groups_are_asked_for_at_once() -> None:
    groups = ["a", "b", "c", "d"]
    allowed = (ON, AS_BOB)
    asked = Asked(*allowed, "impersonate:user-info authentication.k8s.io:groups :*")
    assert act({"impersonate-user": "bob", "impersonate-group": groups}, asked).groups == (
        *groups,
        "system:authenticated",
    )
    assert len(asked.questions) == 3


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"impersonate-group": "system:masters"}, "impersonating the system:masters group is not allowed"),
        ({"impersonate-group": ["a", ""]}, "impersonating the empty string group is not allowed"),
        ({"impersonate-extra-scopes": "x"}, "impersonating an invalid key in extra is not allowed"),
        ({"impersonate-extra-acme.com%2fa": ["x", ""]}, "impersonating the empty string value in extra"),
    ],
)
def test_nobody_acts_for_single_requests_as(headers: dict[str, str | list[str]], why: str) -> None:
    class Constrained(Asked):
        def authorize(self, user: UserInfo, info: RequestInfo) -> Decision:
            return Decision(info.verb != "impersonate")

    with pytest.raises(StatusError, match=why):
        act({"impersonate-user": "bob", **headers}, Constrained())
    # As before, who may act as anybody may.
    assert act({"impersonate-user": "bob", **headers}).name == "bob"


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
    allowed = (ON, AS_BOB)
    with pytest.raises(StatusError) as caught:
        act({"impersonate-user": "bob", "impersonate-group": "g"}, Asked(*allowed, "impersonate :users :bob"))
    assert caught.value.message == (
        'groups.authentication.k8s.io "g" is forbidden: User "root" cannot impersonate:user-info resource "groups" in '
        'API group "authentication.k8s.io" at the cluster scope'
    )
    with pytest.raises(StatusError) as caught:
        act({"impersonate-user": "bob"}, Asked("nothing"))
    assert caught.value.message == (
        'pods "foo" is forbidden: User "root" cannot impersonate-on:user-info:get resource "pods" in API group "" in '
        'the namespace "bar"'
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
