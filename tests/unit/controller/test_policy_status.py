"""What the status of a ValidatingAdmissionPolicy tells of its expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.controller.test_policy_kinds import CRON, DOCUMENT, KINDS

from knarr.api.registry import VALIDATINGADMISSIONPOLICIES
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.controller.policy_status import checking
from knarr.controller.policy_status.controller import reconcile
from knarr.controller_runtime.changes import Context, Document, Patch, Result
from knarr.controller_runtime.snapshot import Key

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


# the controller


class Cluster:
    """A snapshot of one policy and one definition."""

    def __init__(self, policy: Object) -> None:
        self.policy = policy

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        return self.policy if name == self.policy["metadata"]["name"] else None

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Object]:
        return [CRON]

    def indexed(self, resource: Resource, index: str, value: str) -> Sequence[Object]:
        return []


def policy(observed: int) -> Object:
    spec = {
        "matchConstraints": {"resourceRules": [CRONS]},
        "validations": [{"expression": "object.spec.on == 1"}],
    }
    head = {"name": "p", "generation": 2}
    return {"metadata": head, "spec": spec, "status": {"observedGeneration": observed} if observed else {}}


def reconciled(cluster: Cluster, live: Mapping[Any, Object | None] | None = None) -> Result:
    context = Context(datetime(2026, 1, 1, tzinfo=UTC), names=None, live=live or {})  # type: ignore[arg-type]
    return reconcile(Key(VALIDATINGADMISSIONPOLICIES, "", "p"), cluster, context)


def test_published_schemas_are_read_before_a_policy_is_judged_by_them() -> None:
    cluster = Cluster(policy(observed=1))
    (read,) = reconciled(cluster).reads
    assert read == Document("/openapi/v3/apis/example.com/v1")
    (change,) = reconciled(cluster, {read: DOCUMENT}).changes
    assert isinstance(change, Patch)
    assert (change.subresource, change.options["force"]) == ("status", "true")
    status = change.patch["status"]
    assert status["observedGeneration"] == 2
    assert [item["fieldRef"] for item in status["typeChecking"]["expressionWarnings"]] == [
        "spec.validations[0].expression"
    ]


def test_where_nothing_is_published_nothing_is_warned_of() -> None:
    cluster = Cluster(policy(observed=0))
    (change,) = reconciled(cluster, {Document("/openapi/v3/apis/example.com/v1"): None}).changes
    assert isinstance(change, Patch)
    assert change.patch["status"] == {"observedGeneration": 2, "typeChecking": {}}


def test_a_policy_that_has_been_checked_is_left_alone() -> None:
    assert reconciled(Cluster(policy(observed=2))) == Result()
