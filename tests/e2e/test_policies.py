"""Policies written as expressions, as people and the conformance suite use them, over plain HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.cluster import Cluster, until
from tests.e2e.rest import Rest

pytestmark = pytest.mark.rootless
GROUP = "/apis/admissionregistration.k8s.io"
MERGE = "application/merge-patch+json"
DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
PODS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
CONFIG_MAPS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}


class Space:
    """A namespace, policies that are about it alone, and requests in it."""

    def __init__(self, rest: Rest, name: str) -> None:
        self.rest, self.name = rest, name
        self._made: list[str] = []

    def policy(self, flavour: str, name: str, rule: Any, *, binding: Any = None, **spec: Any) -> None:
        """Make a policy (`validating`, `mutating`) about the space, bind it, and wait until it is in force."""
        full = f"{self.name}-{name}"
        match = {
            "resourceRules": [{"operations": ["CREATE", "UPDATE"], **rule}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.name}},
        }
        policies = f"{GROUP}/v1/{flavour}admissionpolicies"
        actions = {"validationActions": ["Deny"]} if flavour == "validating" else {}
        self.make(policies, {"metadata": {"name": full}, "spec": {"matchConstraints": match, **spec}})
        bound = {"policyName": full, **actions, **(binding or {})}
        self.make(f"{GROUP}/v1/{flavour}admissionpolicybindings", {"metadata": {"name": full}, "spec": bound})

    def make(self, path: str, obj: Any) -> Any:
        """Make an object outside of the namespace; it goes with the space."""
        made = self.rest.ok("POST", path, obj)
        self._made.append(f"{path}/{obj['metadata']['name']}")
        return made

    def clear(self) -> None:
        """Take everything away."""
        for path in reversed(self._made):
            self.rest("DELETE", path)
        self.rest("DELETE", f"/api/v1/namespaces/{self.name}")

    def path(self, plural: str, name: str = "") -> str:
        prefix = "/apis/apps/v1" if plural == "deployments" else "/api/v1"
        return f"{prefix}/namespaces/{self.name}/{plural}" + (f"/{name}" if name else "")

    def create(self, plural: str, obj: Any) -> tuple[int, Any]:
        return self.rest("POST", self.path(plural), obj)

    def refusal(self, plural: str, obj: Any) -> str:
        """The message with which an object is refused."""
        code, body = self.create(plural, obj)
        assert code == 422, body
        assert body["reason"] == "Invalid"
        message: str = body["message"]
        return message


@pytest.fixture
def rest(api_only: Cluster) -> Rest:
    return Rest(api_only.kubeconfig)


@pytest.fixture
def space(rest: Rest, request: pytest.FixtureRequest) -> Iterator[Space]:
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40].strip("-")
    rest.ok("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    made = Space(rest, name)
    until(lambda: rest("GET", made.path("serviceaccounts", "default"))[0] == 200, "the account is there")
    yield made
    made.clear()


def deployment(name: str, replicas: int = 1, **labels: str) -> Any:
    pod = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": pod}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


def denied(space: Space, policy: str, why: str) -> str:
    full = f"{space.name}-{policy}"
    return f"ValidatingAdmissionPolicy '{full}' with binding '{full}' denied request: {why}"


# [sig-api-machinery] ValidatingAdmissionPolicy


def test_a_validating_policy_should_validate_against_a_deployment(space: Space) -> None:
    """[sig-api-machinery] ValidatingAdmissionPolicy should validate against a Deployment"""
    rules = [
        {
            "expression": "object.spec.replicas > 1",
            "messageExpression": "'wants more than ' + string(object.spec.replicas)",
        },
        {"expression": "object.metadata.namespace == request.namespace"},
    ]
    space.policy("validating", "two", DEPLOYMENTS, validations=rules)
    assert space.create("deployments", deployment("many", 2))[0] == 201
    message = space.refusal("deployments", deployment("one", 1))
    assert message == f'deployments.apps "one" is forbidden: {denied(space, "two", "wants more than 1")}'


def test_a_validating_policy_should_allow_expressions_to_refer_variables(space: Space) -> None:
    """[sig-api-machinery] ValidatingAdmissionPolicy should allow expressions to refer variables."""
    variables = [
        {"name": "replicas", "expression": "object.spec.replicas"},
        {"name": "oddReplicas", "expression": "variables.replicas % 2 == 1"},
    ]
    rules = [
        {"expression": "variables.replicas > 1"},
        {"expression": "variables.oddReplicas"},
    ]
    space.policy("validating", "odd", DEPLOYMENTS, variables=variables, validations=rules)
    assert space.create("deployments", deployment("three", 3))[0] == 201
    assert denied(space, "odd", "failed expression: variables.oddReplicas") in space.refusal(
        "deployments", deployment("two", 2)
    )


# [sig-api-machinery] MutatingAdmissionPolicy


def test_a_mutating_policy_should_mutate_a_deployment(space: Space) -> None:
    """[sig-api-machinery] MutatingAdmissionPolicy should mutate a Deployment"""
    meta = 'Object.spec.template.metadata{labels: {"by": "policy"}}'
    patch = f"Object{{spec: Object.spec{{template: Object.spec.template{{metadata: {meta}}}}}}}"
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": patch}}
    space.policy("mutating", "labels", DEPLOYMENTS, mutations=[mutation], reinvocationPolicy="Never")
    code, made = space.create("deployments", deployment("d"))
    assert code == 201
    assert made["spec"]["template"]["metadata"]["labels"] == {"app": "d", "by": "policy"}


def test_a_mutating_policy_should_mutate_annotations_of_a_deployment(space: Space) -> None:
    """[sig-api-machinery] MutatingAdmissionPolicy should mutate a Deployment with annotations"""
    patch = (
        'has(object.metadata.annotations) ? [JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey'
        '("example.com/by"), value: "policy"}] : [JSONPatch{op: "add", path: "/metadata/annotations", '
        'value: {"example.com/by": "policy"}}]'
    )
    mutation = {"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}
    space.policy("mutating", "notes", DEPLOYMENTS, mutations=[mutation], reinvocationPolicy="Never")
    made = space.create("deployments", deployment("d"))[1]
    assert made["metadata"]["annotations"]["example.com/by"] == "policy"
    noted = deployment("e")
    noted["metadata"]["annotations"] = {"mine": "1"}
    made = space.create("deployments", noted)[1]
    assert made["metadata"]["annotations"] == {"mine": "1", "example.com/by": "policy"}


# their API


@pytest.mark.parametrize("flavour", ["validating", "mutating"])
@pytest.mark.parametrize("part", ["policies", "policybindings"])
def test_policies_and_bindings_should_support_their_api_operations(rest: Rest, flavour: str, part: str) -> None:
    """[sig-api-machinery] ValidatingAdmissionPolicy should support ValidatingAdmissionPolicy API operations
    [sig-api-machinery] ValidatingAdmissionPolicy should support ValidatingAdmissionPolicyBinding API operations
    [sig-api-machinery] MutatingAdmissionPolicy should support MutatingAdmissionPolicy API operations
    [sig-api-machinery] MutatingAdmissionPolicy should support MutatingAdmissionPolicyBinding API operations
    """
    plural = f"{flavour}admission{part}"
    assert "admissionregistration.k8s.io" in [item["name"] for item in rest.ok("GET", "/apis")["groups"]]
    served = {item["name"]: item for item in rest.ok("GET", f"{GROUP}/v1")["resources"]}
    wanted = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
    assert set(served[plural]["verbs"]) == wanted
    path, label = f"{GROUP}/v1/{plural}", f"api-{flavour}-{part}"
    names = [f"{label}-{number}" for number in range(3)]
    made = [
        rest.ok("POST", path, {"metadata": {"name": name, "labels": {"t": label}}, "spec": _spec(flavour, part)})
        for name in names
    ]
    assert rest.ok("GET", f"{path}/{names[0]}")["metadata"]["uid"] == made[0]["metadata"]["uid"]
    assert len(rest.ok("GET", f"{path}?labelSelector=t%3D{label}")["items"]) == 3
    patched = rest.ok("PATCH", f"{path}/{names[0]}", {"metadata": {"annotations": {"p": "1"}}}, Content_Type=MERGE)
    patched["metadata"]["annotations"]["u"] = "1"
    updated = rest.ok("PUT", f"{path}/{names[0]}", patched)
    assert {"p": "1", "u": "1"}.items() <= updated["metadata"]["annotations"].items()
    if (flavour, part) == ("validating", "policies"):
        assert set(served[f"{plural}/status"]["verbs"]) == {"get", "patch", "update"}
        status = {"status": {"conditions": [_condition()]}}
        with_status = rest.ok("PATCH", f"{path}/{names[0]}/status", status, Content_Type=MERGE)
        assert [item["type"] for item in with_status["status"]["conditions"]] == ["Checked"]
    rest.ok("DELETE", f"{path}/{names[0]}")
    assert rest("GET", f"{path}/{names[0]}")[0] == 404
    rest.ok("DELETE", f"{path}?labelSelector=t%3D{label}")
    assert rest.ok("GET", f"{path}?labelSelector=t%3D{label}")["items"] == []


def _condition() -> Any:
    return {
        "type": "Checked",
        "status": "True",
        "reason": "Test",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


def _spec(flavour: str, part: str) -> Any:
    if part == "policybindings":
        return {"policyName": "nobody", **({"validationActions": ["Deny"]} if flavour == "validating" else {})}
    match = {"resourceRules": [{"operations": ["CREATE"], **CONFIG_MAPS, "apiVersions": ["v9"]}]}
    if flavour == "validating":
        return {"matchConstraints": match, "validations": [{"expression": "true"}]}
    patch = {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{}]"}}
    return {"matchConstraints": match, "mutations": [patch], "reinvocationPolicy": "Never"}


# a set of policies as clusters have them


def test_privileged_containers_are_denied_and_the_reason_decides_the_code(space: Space) -> None:
    rule = {
        "expression": "object.spec.containers.all(c, !c.?securityContext.privileged.orValue(false))",
        "message": "privileged containers are not for you",
        "reason": "Forbidden",
    }
    space.policy("validating", "privileged", PODS, validations=[rule])
    container = {"name": "c", "image": "nginx", "securityContext": {"privileged": True}}
    code, body = space.create("pods", {"metadata": {"name": "p"}, "spec": {"containers": [container]}})
    assert (code, body["reason"]) == (403, "Forbidden")
    assert denied(space, "privileged", "privileged containers are not for you") in body["message"]
    container["securityContext"] = {"privileged": False}
    assert space.create("pods", {"metadata": {"name": "p"}, "spec": {"containers": [container]}})[0] == 201


def test_labels_are_required_by_parameters_that_may_change(space: Space) -> None:
    space.rest.ok("POST", space.path("configmaps"), {"metadata": {"name": "required"}, "data": {"label": "team"}})
    rule = {
        "expression": "params.data.label in object.metadata.?labels.orValue({})",
        "messageExpression": "'label ' + params.data.label + ' is missing'",
    }
    space.policy(
        "validating",
        "required",
        DEPLOYMENTS,
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        validations=[rule],
        binding={"paramRef": {"name": "required", "namespace": space.name, "parameterNotFoundAction": "Deny"}},
    )
    assert denied(space, "required", "label team is missing") in space.refusal("deployments", deployment("d"))
    assert space.create("deployments", deployment("d", team="blue"))[0] == 201
    change = {"data": {"label": "cost"}}
    space.rest.ok("PATCH", space.path("configmaps", "required"), change, Content_Type=MERGE)
    assert denied(space, "required", "label cost is missing") in space.refusal(
        "deployments", deployment("e", team="blue")
    )
    space.rest.ok("DELETE", space.path("configmaps", "required"))
    why = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
    assert denied(space, "required", why) in space.refusal("deployments", deployment("e", cost="1"))


def test_scaling_beyond_a_limit_is_denied_through_the_scale_subresource_too(space: Space) -> None:
    rule = {**DEPLOYMENTS, "resources": ["deployments", "deployments/scale"]}
    space.policy("validating", "limit", rule, validations=[{"expression": "object.spec.replicas <= 3"}])
    assert space.create("deployments", deployment("d", 2))[0] == 201
    path = space.path("deployments", "d")
    code, body = space.rest("PATCH", f"{path}/scale", {"spec": {"replicas": 4}}, Content_Type=MERGE)
    assert code == 422
    assert denied(space, "limit", "failed expression: object.spec.replicas <= 3") in body["message"]
    assert (
        space.rest.ok("PATCH", f"{path}/scale", {"spec": {"replicas": 3}}, Content_Type=MERGE)["spec"]["replicas"] == 3
    )


def test_who_may_approve_may_write(space: Space) -> None:
    check = "authorizer.group('apps').resource('deployments').namespace(request.namespace).check('approve')"
    rule = {
        "expression": f"{check}.allowed()",
        "messageExpression": "request.userInfo.username + ' may not approve'",
    }
    space.policy("validating", "approved", CONFIG_MAPS, validations=[{**rule, "message": "no"}])
    assert space.create("configmaps", {"metadata": {"name": "a"}})[0] == 201
    role = {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}]}
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{space.name}"
    space.rest.ok("POST", f"{rbac}/roles", {"metadata": {"name": "writer"}, **role})
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "eve"}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "writer"}
    space.rest.ok("POST", f"{rbac}/rolebindings", {"metadata": {"name": "eve"}, "roleRef": ref, "subjects": [subject]})
    code, body = space.rest("POST", space.path("configmaps"), {"metadata": {"name": "b"}}, Impersonate_User="eve")
    assert code == 422
    assert denied(space, "approved", "eve may not approve") in body["message"]


def test_what_a_policy_warns_of_passes(space: Space) -> None:
    space.policy(
        "validating",
        "careful",
        CONFIG_MAPS,
        validations=[{"expression": "has(object.data)", "message": "it is empty"}],
        binding={"validationActions": ["Warn", "Audit"]},
    )
    code, warnings = space.rest.warnings("POST", space.path("configmaps"), {"metadata": {"name": "a"}})
    full = f"{space.name}-careful"
    warning = f"Validation failed for ValidatingAdmissionPolicy '{full}' with binding '{full}': it is empty"
    assert code == 201
    assert warnings == [f'299 - "{warning}"']


def test_a_rule_that_never_ends_is_broken_off_and_others_are_served_meanwhile(space: Space) -> None:
    deep = "object.data.all(a, object.data.all(b, object.data.all(c, object.data.all(d, a + b + c + d != ''))))"
    space.policy("validating", "endless", CONFIG_MAPS, validations=[{"expression": deep}])
    many = {f"k{number}": "v" for number in range(200)}
    code, body = space.create("configmaps", {"metadata": {"name": "many"}, "data": many})
    assert code == 422
    assert "operation cancelled: actual cost limit exceeded" in body["message"]
    assert space.create("configmaps", {"metadata": {"name": "few"}, "data": {"a": "b"}})[0] == 201


def test_defaults_set_by_mutation_are_seen_by_validation(space: Space) -> None:
    patch = 'Object{metadata: Object.metadata{labels: {"team": object.metadata.?labels["team"].orValue("nobody")}}}'
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": patch}}
    space.policy("mutating", "team", DEPLOYMENTS, mutations=[mutation], reinvocationPolicy="IfNeeded")
    rule = {"expression": "'team' in object.metadata.labels"}
    space.policy("validating", "team", DEPLOYMENTS, validations=[rule])
    assert space.create("deployments", deployment("d"))[1]["metadata"]["labels"] == {"team": "nobody"}
    assert space.create("deployments", deployment("e", team="blue"))[1]["metadata"]["labels"] == {"team": "blue"}


def test_commands_in_pods_are_judged_by_what_they_ask_for(space: Space) -> None:
    rule = {**PODS, "resources": ["pods/exec"], "operations": ["CONNECT"]}
    checks = ["!has(object.tty) || !object.tty", "object.command[0] != 'rm' || request.name == 'scratch'"]
    space.policy("validating", "exec", rule, validations=[{"expression": check} for check in checks])
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    assert space.create("pods", pod)[0] == 201
    path = space.path("pods", "p")
    for query, check in (("command=ls&tty=true", checks[0]), ("command=rm&command=-r", checks[1])):
        code, body = space.rest("POST", f"{path}/exec?{query}")
        assert code == 422
        assert denied(space, "exec", f"failed expression: {check}") in body["message"]
    code, body = space.rest("POST", f"{path}/exec?command=ls")
    assert "ValidatingAdmissionPolicy" not in body["message"]


def test_a_policy_that_is_taken_away_is_forgotten_at_once(space: Space) -> None:
    space.policy("validating", "never", CONFIG_MAPS, validations=[{"expression": "false"}])
    assert space.create("configmaps", {"metadata": {"name": "a"}})[0] == 422
    space.rest.ok("DELETE", f"{GROUP}/v1/validatingadmissionpolicies/{space.name}-never")
    assert space.create("configmaps", {"metadata": {"name": "a"}})[0] == 201


# type checking


def checked(space: Space, name: str) -> Any:
    """A policy with its status, once it is there."""
    path = f"{GROUP}/v1/validatingadmissionpolicies/{space.name}-{name}"
    until(lambda: "status" in space.rest.ok("GET", path), "the policy is checked")
    return space.rest.ok("GET", path)


def test_expressions_that_do_not_fit_the_kinds_are_told_in_the_status(space: Space) -> None:
    rules = [{"expression": "object.spec.replicas > 1"}, {"expression": "object.spec.replica > 1"}]
    space.policy("validating", "typed", DEPLOYMENTS, validations=rules)
    found = checked(space, "typed")
    status = found["status"]
    assert status["observedGeneration"] == found["metadata"]["generation"]
    (warning,) = status["typeChecking"]["expressionWarnings"]
    assert warning["fieldRef"] == "spec.validations[1].expression"
    assert warning["warning"].startswith("apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'replica'")
    space.policy("validating", "clean", DEPLOYMENTS, validations=rules[:1])
    assert checked(space, "clean")["status"] == {"observedGeneration": 1, "typeChecking": {}}
    managers = {item["manager"] for item in found["metadata"]["managedFields"] if item.get("subresource") == "status"}
    assert managers == {"validatingadmissionpolicy-status-controller"}


def test_expressions_about_custom_resources_are_checked_against_their_schemas(space: Space) -> None:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"at": {"type": "string"}}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "alarms", "kind": "Alarm"}
    crd = {"group": "policies.example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    space.make(path, {"metadata": {"name": "alarms.policies.example.com"}, "spec": crd})
    published = "apis/policies.example.com/v1"
    until(lambda: published in space.rest.ok("GET", "/openapi/v3")["paths"], "the schema is published")
    rule = {"apiGroups": ["policies.example.com"], "apiVersions": ["v1"], "resources": ["alarms"]}
    checks = ["object.spec.at != '' && size(object.metadata.labels) > 0", "object.spec.on == ''"]
    space.policy("validating", "alarm", rule, validations=[{"expression": check} for check in checks])
    warnings = checked(space, "alarm")["status"]["typeChecking"]["expressionWarnings"]
    text = "policies.example.com/v1, Kind=Alarm: ERROR: <input>:1:12: undefined field 'on'"
    assert [item["fieldRef"] for item in warnings] == ["spec.validations[1].expression"]
    assert warnings[0]["warning"].startswith(text)
