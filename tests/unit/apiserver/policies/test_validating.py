"""What validating policies decide, and what is done about it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api import registry
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.policies import compiled, evaluation, validating
from knarr.apiserver.policies.compiled import Binding, Policy
from knarr.apiserver.policies.conditions import ConditionsError
from knarr.apiserver.policies.evaluation import TooDearError
from knarr.apiserver.policies.metrics import PolicyMetrics
from knarr.apiserver.policies.validating import Decision, Effects, Judgement
from knarr.apiserver.request import UserInfo

VALUES: dict[str, Any] = {
    "object": {"metadata": {"name": "a"}, "data": {"k": "v"}, "many": list(range(1000))},
    "oldObject": None,
    "request": {"operation": "CREATE", "userInfo": {"username": "eve"}},
    "params": None,
    "namespaceObject": None,
}
#: Costs far more than is allowed for one expression.
ENDLESS = "object.many.all(a, object.many.all(b, object.many.all(c, a + b + c >= 0)))"


def policy(*rules: Any, **spec: Any) -> Policy:
    match = {"resourceRules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}]}
    validations = [rule if isinstance(rule, dict) else {"expression": rule} for rule in rules]
    return compiled.validating(
        {
            "metadata": {"name": "p", "uid": "u"},
            "spec": {"failurePolicy": "Fail", "matchConstraints": match, "validations": validations, **spec},
        }
    )


def decisions(one: Policy) -> list[tuple[bool, str, str]]:
    return [(each.denied, each.message, each.reason) for each in validating.judge(one, VALUES).decisions]


def test_rules_are_decided_one_by_one() -> None:
    assert decisions(policy("object.data.k == 'v'", " object.data.k == 'w' ")) == [
        (False, "", ""),
        (True, "failed expression: object.data.k == 'w'", "Invalid"),
    ]


@pytest.mark.parametrize(
    ("rule", "message", "reason"),
    [
        ({"message": " no "}, "no", "Invalid"),
        ({"message": "no", "reason": "Forbidden"}, "no", "Forbidden"),
        ({"message": "no", "messageExpression": "'k is ' + object.data.k + ' '"}, "k is v", "Invalid"),
        ({"message": "no", "messageExpression": "object.data.none"}, "no", "Invalid"),
        ({"message": "no", "messageExpression": r"'a\nb'"}, "no", "Invalid"),
        ({"message": "no", "messageExpression": "' '"}, "no", "Invalid"),
        ({"messageExpression": f"'{'x' * 5121}'"}, "failed expression: false", "Invalid"),
    ],
)
def test_the_message_is_that_of_the_expression_else_the_given_one(rule: Any, message: str, reason: str) -> None:
    assert decisions(policy({"expression": "false", **rule})) == [(True, message, reason)]


def test_what_cannot_be_evaluated_follows_the_failure_policy() -> None:
    text = "expression 'object.data.none == 'x'' resulted in error: no such key: none"
    assert decisions(policy("object.data.none == 'x'", "true")) == [(True, text, ""), (False, "", "")]
    assert decisions(policy("object.data.none == 'x'", "false", failurePolicy="Ignore")) == [
        (False, text, ""),
        (True, "failed expression: false", "Invalid"),
    ]


def test_variables_are_evaluated_when_they_are_asked_for_and_fail_who_asks() -> None:
    variables = [
        {"name": "k", "expression": "object.data.k"},
        {"name": "kk", "expression": "variables.k + variables.k"},
        {"name": "none", "expression": "object.data.none"},
    ]
    found = decisions(policy("variables.kk == 'vv'", "variables.none == 'x'", variables=variables))
    error = 'composited variable "none" fails to evaluate: no such key: none'
    assert found[0] == (False, "", "")
    assert found[1][:2] == (True, f"expression 'variables.none == 'x'' resulted in error: {error}")


def test_what_does_not_compile_any_more_follows_the_failure_policy_too() -> None:
    variables = [{"name": "bad", "expression": "nothing"}]
    found = decisions(policy("object.", "variables.bad", variables=variables))
    assert found[0][1].startswith("compilation error: compilation failed: ERROR: <input>:1:8: Syntax error")
    assert 'composited variable "bad" fails to compile: compilation failed' in found[1][1]


def test_a_rule_that_never_ends_is_aside_from_the_quick_ones_and_broken_off() -> None:
    endless = policy(ENDLESS, "true")
    with pytest.raises(TooDearError):
        validating.judge(endless, VALUES, quick=True)
    found = decisions(endless)
    assert found[0][:2] == (
        True,
        f"expression '{ENDLESS}' resulted in error: operation cancelled: actual cost limit exceeded",
    )
    assert found[1] == (False, "", "")


def test_rules_that_are_dear_together_are_broken_off_together(monkeypatch: pytest.MonkeyPatch) -> None:
    assert evaluation.BUDGET == 10_000_000
    monkeypatch.setattr(evaluation, "BUDGET", 1_500_000)
    spent = "validation failed due to running out of cost budget, no further validation rules will be run"
    assert decisions(policy(ENDLESS, ENDLESS, "false")) == [(True, spent, "")]
    assert decisions(policy(ENDLESS, ENDLESS, "false", failurePolicy="Ignore")) == [(False, spent, "")]


def test_messages_share_the_budget_of_their_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "BUDGET", 1_500_000)
    said = {"messageExpression": f"{ENDLESS} ? 'a' : 'b'"}
    spent = "validation failed due to running out of cost budget, no further validation rules will be run"
    found = decisions(policy({"expression": "true", **said}, {"expression": "false", **said}))
    assert found == [(True, f"failed messageExpression: {spent}", "")] * 2


@pytest.mark.parametrize(
    ("expressions", "holds"),
    [
        (["request.operation == 'CREATE'"], True),
        (["object.data.none == 'x'", "request.operation == 'UPDATE'"], False),
        (["namespaceObject == null"], True),
    ],
)
def test_conditions(expressions: list[str], holds: bool) -> None:  # noqa: FBT001
    conditions = [{"name": f"c{index}", "expression": text} for index, text in enumerate(expressions)]
    assert policy("true", matchConditions=conditions).conditions.hold(VALUES) is holds


def test_a_condition_that_cannot_be_told_follows_the_failure_policy() -> None:
    conditions = [{"name": str(index), "expression": f"object.data.{key} == 'x'"} for index, key in enumerate("no")]
    text = "expression 'object.data.{0} == 'x'' resulted in error: no such key: {0}"
    with pytest.raises(ConditionsError) as error:
        policy("true", matchConditions=conditions).conditions.hold(VALUES)
    assert str(error.value) == f"[{text.format('n')}, {text.format('o')}]"
    assert not policy("true", matchConditions=conditions, failurePolicy="Ignore").conditions.hold(VALUES)


def test_audit_annotations() -> None:
    annotations = [
        {"key": "who", "valueExpression": "' ' + request.userInfo.username"},
        {"key": "nothing", "valueExpression": "null"},
        {"key": "empty", "valueExpression": "' '"},
        {"key": "broken", "valueExpression": "object.data.none"},
    ]
    found = validating.judge(policy(auditAnnotations=annotations), VALUES)
    assert found.annotations == (("who", "eve"),)
    assert found.broken == ("expression 'object.data.none' resulted in error: no such key: none",)
    assert not validating.judge(policy(auditAnnotations=annotations, failurePolicy="Ignore"), VALUES).broken


# what bindings make of it


def attributes() -> tuple[Attributes, list[str]]:
    warnings: list[str] = []
    made = Attributes(
        "CREATE",
        registry.CONFIGMAPS,
        "",
        "n",
        "a",
        {},
        None,
        UserInfo("eve"),
        reader=None,  # type: ignore[arg-type]
        warn=warnings.append,
    )
    return made, warnings


def binding(*actions: str) -> Binding:
    return Binding("b", "p", None, None, actions)


DENIED = Judgement((Decision(denied=False), Decision(True, "no", "Forbidden")))


def test_a_denial_is_the_answer() -> None:
    request, warnings = attributes()
    effects = Effects(request, PolicyMetrics())
    effects.take(policy("false"), binding("Deny"), DENIED)
    error = validating.denial(request, effects.denials[0])
    text = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"
    assert (error.code, error.reason, error.message) == (403, "Forbidden", f'configmaps "a" is forbidden: {text}')
    assert error.details == {"name": "a", "kind": "configmaps", "causes": [{"message": text}]}
    assert not warnings


@pytest.mark.parametrize(
    ("reason", "code"), [("", 422), ("Invalid", 422), ("Unauthorized", 401), ("RequestEntityTooLarge", 413)]
)
def test_the_reason_decides_the_code(reason: str, code: int) -> None:
    error = validating.denial(attributes()[0], validating.Denial("p", "b", "no", reason))
    assert (error.code, error.reason) == (code, reason or "Invalid")


def test_warnings_and_audit_let_pass() -> None:
    request, warnings = attributes()
    metrics = PolicyMetrics()
    effects = Effects(request, metrics)
    effects.take(policy("false"), binding("Warn", "Audit"), DENIED)
    assert not effects.denials
    assert warnings == ["Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': no"]
    (failure,) = orjson.loads(request.annotations["validation.policy.admission.k8s.io/validation_failure"])
    assert failure == {
        "message": "no",
        "policy": "p",
        "binding": "b",
        "expressionIndex": 1,
        "validationActions": ["Warn", "Audit"],
    }
    assert set(metrics.validated.values) == {
        ("p", "b", "invalid_error", "warn"),
        ("p", "b", "invalid_error", "audit"),
    }


@given(st.lists(st.sampled_from(["x", "y", "z" * 20000]), max_size=5))
def test_the_different_values_of_an_annotation_stand_together(values: list[str]) -> None:
    request, _ = attributes()
    effects = Effects(request, PolicyMetrics())
    for value in values:
        effects.take(policy("true"), binding("Deny"), Judgement(annotations=(("k", value),)))
    effects.publish()
    wanted = ", ".join(dict.fromkeys(value[: 10 * 1024] for value in values))
    assert request.annotations == ({"p/k": wanted} if values else {})
