"""Nobody grants more than he holds."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.authz.chain import AuthorizerChain
from knarr.apiserver.authz.escalation import check
from knarr.apiserver.request import UserInfo

GROUP = "rbac.authorization.k8s.io"
ALICE = UserInfo("alice", ("system:authenticated",))
READ_SECRETS = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
OWN = [{"apiGroups": [GROUP], "resources": ["roles", "rolebindings"], "verbs": ["create", "update"]}]


def chain(rules: list[Object]) -> AuthorizerChain:
    out = AuthorizerChain()
    out.on_event("roles", GROUP, "ADDED", {"metadata": {"namespace": "ns", "name": "r"}, "rules": rules})
    out.on_event("roles", GROUP, "ADDED", {"metadata": {"namespace": "ns", "name": "more"}, "rules": READ_SECRETS})
    binding: Object = {
        "metadata": {"namespace": "ns", "name": "rb"},
        "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "alice"}],
    }
    out.on_event("rolebindings", GROUP, "ADDED", binding)
    return out


def write(plural: str, kind: str, obj: Object, old: Object | None = None, user: UserInfo = ALICE) -> Attributes:
    resource = Resource(GROUP, "v1", plural, kind, namespaced=True)
    obj["metadata"].setdefault("name", "new")
    name = obj["metadata"]["name"]
    operation: Any = "UPDATE" if old is not None else "CREATE"
    return Attributes(operation, resource, "", "ns", name, obj, old, user, reader=None)  # type: ignore[arg-type]


def role(rules: list[Object], **meta: Any) -> Object:
    return {"metadata": dict(meta), "rules": rules}


def binding(name: str, kind: str = "Role") -> Object:
    return {"metadata": {"name": "b"}, "roleRef": {"apiGroup": GROUP, "kind": kind, "name": name}, "subjects": []}


def test_a_role_with_more_is_refused_with_what_is_missing() -> None:
    with pytest.raises(StatusError) as caught:
        check(write("roles", "Role", role(READ_SECRETS)), chain(OWN))
    assert caught.value.message == (
        f'roles.{GROUP} "new" is forbidden: user "alice" (groups=["system:authenticated"]) is attempting to grant '
        'RBAC permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'
    )


def test_a_role_with_as_much_is_fine() -> None:
    check(write("roles", "Role", role(OWN)), chain(OWN))


def test_the_missing_verbs_of_a_resource_stand_together() -> None:
    wanted = [{"apiGroups": [""], "resources": ["pods", "secrets"], "verbs": ["get", "list"]}]
    with pytest.raises(StatusError) as caught:
        check(write("roles", "Role", role(wanted)), chain(OWN))
    assert caught.value.message.endswith(
        ':\n{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}'
        '\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}'
    )


@pytest.mark.parametrize("verb", ["escalate", "*"])
def test_the_verb_escalate_lifts_the_limit(verb: str) -> None:
    may = [{"apiGroups": [GROUP], "resources": ["roles"], "verbs": ["create", verb]}]
    check(write("roles", "Role", role(READ_SECRETS)), chain(may))


def test_administrators_are_not_limited() -> None:
    user = UserInfo("root", ("system:masters",))
    check(write("roles", "Role", role(READ_SECRETS), user=user), chain(OWN))


def test_owners_and_finalizers_may_change_on_a_role_with_more() -> None:
    old = role(READ_SECRETS, name="more", finalizers=["a/b"])
    check(write("roles", "Role", role(READ_SECRETS, name="more"), old), chain(OWN))
    with pytest.raises(StatusError):
        check(write("roles", "Role", role(READ_SECRETS, name="more", labels={"a": "b"}), old), chain(OWN))


def test_binding_needs_what_the_role_gives() -> None:
    with pytest.raises(StatusError) as caught:
        check(write("rolebindings", "RoleBinding", binding("more")), chain(OWN))
    assert caught.value.code == 403
    check(write("rolebindings", "RoleBinding", binding("r")), chain(OWN))


def test_binding_a_role_that_is_not_there() -> None:
    with pytest.raises(StatusError) as caught:
        check(write("rolebindings", "RoleBinding", binding("absent")), chain(OWN))
    assert caught.value.message == f'rolebindings.{GROUP} "absent" not found'


def test_the_verb_bind_lifts_the_limit() -> None:
    may = [{"apiGroups": [GROUP], "resources": ["roles"], "verbs": ["bind"], "resourceNames": ["more"]}]
    check(write("rolebindings", "RoleBinding", binding("more")), chain(may))


def test_an_aggregated_role_needs_everything() -> None:
    obj = {"metadata": {}, "rules": [], "aggregationRule": {"clusterRoleSelectors": []}}
    with pytest.raises(StatusError) as caught:
        check(write("clusterroles", "ClusterRole", obj), chain(OWN))
    assert caught.value.message.endswith("must have cluster-admin privileges to use the aggregationRule")
