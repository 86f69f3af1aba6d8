"""What the status of a ValidatingAdmissionPolicy tells of its expressions."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.controller.test_policy_kinds import KINDS

from knarr.apimachinery.types import Object
from knarr.controller.policy_status import checking

DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
BOTH = {**DEPLOYMENTS, "resources": ["deployments", "replicasets"]}
CRONS = {"apiGroups": ["example.com"], "apiVersions": ["v1"], "resources": ["crons"]}


def warnings(rule: Object, *expressions: str, **spec: Any) -> dict[str, str]:
    validations = [{"expression": text} for text in expressions]
    policy = {"spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": validations, **spec}}
    return {item["fieldRef"]: item["warning"] for item in checking.warnings(policy, KINDS)}


@pytest.mark.parametrize(
    "expression",
    [
        "object.spec.replicas > 1",
        "object.metadata.labels['a'] == 'b' && object.metadata.?labels.?c.orValue('') != ''",
        "object.spec.template.spec.containers.all(c, c.image != 'x' && c.ports.exists(p, p.hostPort > 0))",
        "object.spec.strategy.rollingUpdate.maxSurge == 1 || object.spec.strategy.rollingUpdate.maxSurge == '10%'",
        "object.metadata.creationTimestamp < timestamp('2026-01-01T00:00:00Z')",
        "oldObject == null || oldObject.spec.replicas == object.spec.replicas",
        "authorizer.group('').resource('pods').check('get').allowed() && request.name != ''",
    ],
)
def test_what_fits_is_not_warned_of(expression: str) -> None:
    assert warnings(DEPLOYMENTS, expression) == {}


def test_fields_that_are_not_there_are_told_for_each_kind() -> None:
    (text,) = warnings(BOTH, "object.spec.replica > 1").values()
    problem = "ERROR: <input>:1:12: undefined field 'replica'\n | object.spec.replica > 1\n | ...........^\n"
    assert text == f"apps/v1, Kind=Deployment: {problem}\napps/v1, Kind=ReplicaSet: {problem}"


def test_types_that_do_not_go_together_are_told() -> None:
    (text,) = warnings(DEPLOYMENTS, "object.spec.replicas > '1'").values()
    wrong = "found no matching overload for '_>_' applied to '(int, string)'"
    assert text.startswith(f"apps/v1, Kind=Deployment: ERROR: <input>:1:22: {wrong}\n")


def test_messages_that_do_not_add_up_are_told() -> None:
    said = "'wants replicas > 1, got ' + object.spec.replicas"
    rules = [{"expression": "object.spec.replicas > 1", "messageExpression": said}]
    ((path, text),) = warnings(DEPLOYMENTS, validations=rules).items()
    assert path == "spec.validations[0].messageExpression"
    assert "found no matching overload for '_+_' applied to '(string, int)'" in text


def test_variables_have_the_types_of_their_expressions() -> None:
    variables = [
        {"name": "count", "expression": "object.spec.replicas"},
        {"name": "twice", "expression": "variables.count * 2"},
    ]
    assert warnings(DEPLOYMENTS, "variables.twice > 1", variables=variables) == {}
    found = warnings(DEPLOYMENTS, "variables.twice == 'x'", "variables.none", variables=variables)
    assert "'_==_' applied to '(int, string)'" in found["spec.validations[0].expression"]
    assert "undefined field 'none'" in found["spec.validations[1].expression"]


def test_parameters_have_the_schema_of_their_kind() -> None:
    kind = {"apiVersion": "example.com/v1", "kind": "Cron"}
    assert warnings(DEPLOYMENTS, "params.spec.at == 'x'", paramKind=kind) == {}
    (text,) = warnings(DEPLOYMENTS, "params.spec.when == 'x'", paramKind=kind).values()
    assert "undefined field 'when'" in text


def test_custom_resources_and_message_expressions_are_checked_too() -> None:
    rules = [{"expression": "object.spec.at != ''", "messageExpression": "object.spec.on + 1"}]
    found = warnings(CRONS, validations=rules)
    assert list(found) == ["spec.validations[0].messageExpression"]
    assert found["spec.validations[0].messageExpression"].startswith("example.com/v1, Kind=Cron: ERROR: <input>:1:12:")


def test_kinds_without_a_schema_are_left_out() -> None:
    assert warnings({**CRONS, "resources": ["nothings"]}, "object.none") == {}
