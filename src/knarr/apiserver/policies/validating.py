"""What a ValidatingAdmissionPolicy decides of a request, and what its bindings make of that.

Input: a compiled policy and the values of its expressions' variables. Output: one decision for each rule, and audit
annotations; `denial` is the answer to a request that is refused. Nothing here looks at the cluster.
Source: k8s.io/apiserver/pkg/admission/plugin/policy/validating (validator.go, dispatcher.go).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from knarr.apimachinery.errors import StatusError
from knarr.apiserver.admission.plugin import refuse
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.policies.compiled import Binding, Policy
from knarr.apiserver.policies.evaluation import Expression, Outcome, OutOfBudgetError, Session
from knarr.apiserver.policies.metrics import PolicyMetrics

#: Longest message that an expression may make, in bytes; longer ones are not used.
_LONGEST_MESSAGE = 5 * 1024
#: Audit annotations are cut after so many characters.
_LONGEST_ANNOTATION = 10 * 1024
_FAILURE = "validation.policy.admission.k8s.io/validation_failure"
_CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413, "Invalid": 422}


@dataclass(frozen=True, slots=True)
class Decision:
    """What came of one rule. `reason` is empty where the rule did not fail but could not be evaluated."""

    denied: bool
    message: str = ""
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """All decisions of a policy with one set of parameters, audit annotations, and those that could not be made."""

    decisions: tuple[Decision, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Denial:
    """One decision to refuse a request. `binding` is empty where the policy itself cannot be used."""

    policy: str
    binding: str
    message: str
    reason: str = ""

    @property
    def text(self) -> str:
        """The sentence of the answer."""
        by = f" with binding '{self.binding}'" if self.binding else ""
        return f"ValidatingAdmissionPolicy '{self.policy}'{by} denied request: {self.message}"


def denial(attributes: Attributes, first: Denial) -> StatusError:
    """The answer to a request that a policy refuses."""
    error = refuse(attributes, first.text)
    error.reason = first.reason or "Invalid"
    error.code = _CODES.get(error.reason, 422)
    error.details = {**(error.details or {}), "causes": [{"message": first.text}]}
    return error


def judge(policy: Policy, values: Mapping[str, Any], *, quick: bool = False) -> Judgement:
    """Evaluate a policy whose conditions hold. Raises `TooDearError` if it is to be quick."""
    session = Session(policy.variables, values, quick=quick)
    try:
        outcomes = [session.run(rule.expression) for rule in policy.rules]
    except OutOfBudgetError as error:
        return Judgement((_failed(policy, str(error)),))
    messages = _messages(policy, values, session.left, quick=quick)
    decisions = tuple(_decision(policy, index, outcome, messages) for index, outcome in enumerate(outcomes))
    try:
        return _annotated(policy, values, decisions, quick=quick)
    except OutOfBudgetError as error:
        return Judgement((_failed(policy, str(error)),))


def _failed(policy: Policy, message: str, seconds: float = 0.0) -> Decision:
    return Decision(not policy.ignores_failures, message, seconds=seconds)


def _messages(policy: Policy, values: Mapping[str, Any], left: int, *, quick: bool) -> Sequence[Outcome | None] | str:
    """What the message expressions say, each where its rule stands; a text where they cost too much."""
    if not policy.speaks:
        return [None] * len(policy.rules)
    session = Session(policy.variables, _without_authorizer(values), left, quick=quick)
    try:
        return [None if rule.spoken is None else session.run(rule.spoken) for rule in policy.rules]
    except OutOfBudgetError as error:
        return str(error)


def _without_authorizer(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in values.items() if not name.startswith("authorizer")}


def _decision(policy: Policy, index: int, outcome: Outcome, messages: Sequence[Outcome | None] | str) -> Decision:
    if outcome.error:
        return _failed(policy, outcome.error, outcome.seconds)
    if isinstance(messages, str):
        return _failed(policy, f"failed messageExpression: {messages}")
    if outcome.value is True:
        return Decision(denied=False)
    rule = policy.rules[index]
    said = _spoken(messages[index]) or rule.message.strip()
    said = said or f"failed expression: {rule.expression.text.strip()}"
    return Decision(True, said, rule.reason or "Invalid", outcome.seconds)


def _spoken(outcome: Outcome | None) -> str:
    """What a message expression says, if it can be used."""
    if outcome is None or not isinstance(outcome.value, str):
        return ""
    text = outcome.value.strip()
    return "" if "\n" in text or len(text.encode()) > _LONGEST_MESSAGE else text


def _annotated(policy: Policy, values: Mapping[str, Any], decisions: tuple[Decision, ...], *, quick: bool) -> Judgement:
    if not policy.annotations:
        return Judgement(decisions)
    session = Session(policy.variables, _without_authorizer(values), quick=quick)
    made: list[tuple[str, str]] = []
    broken: list[str] = []
    for key, expression in policy.annotations:
        outcome = session.run(expression)
        if outcome.error:
            broken += [] if policy.ignores_failures else [outcome.error]
        elif isinstance(outcome.value, str):
            made += [(key, outcome.value.strip())] if outcome.value.strip() else []
        elif outcome.value is not None:
            broken.append(_wrong_type(expression, outcome.value))
    return Judgement(decisions, tuple(made), tuple(broken))


def _wrong_type(expression: Expression, value: Any) -> str:
    name = {bool: "bool", int: "int", float: "double", list: "list", dict: "map"}.get(type(value), "dyn")
    return (
        f"valueExpression '{expression.text}' resulted in unsupported return type: {name}. "
        "Return type must be either string or null."
    )


class Effects:
    """What bindings make of judgements of one request: who refuses it, warnings, audit annotations."""

    def __init__(self, attributes: Attributes, metrics: PolicyMetrics) -> None:
        self.denials: list[Denial] = []
        self._attributes = attributes
        self._metrics = metrics
        self._values: dict[str, list[str]] = {}

    def take(self, policy: Policy, binding: Binding, judgement: Judgement) -> None:
        """Do what a binding wants done about a judgement."""
        name = binding.name
        for index, decision in enumerate(judgement.decisions):
            if not decision.denied and decision.message:
                self._metrics.validation((policy.name, name), decision.message, "allow", decision.seconds)
            for action in binding.actions if decision.denied else ():
                denied = Denial(policy.name, name, decision.message, decision.reason)
                self._act(action, denied, index, binding)
                self._metrics.validation((policy.name, name), decision.message, action.lower(), decision.seconds)
        for key, value in judgement.annotations:
            known = self._values.setdefault(f"{policy.name}/{key}", [])
            cut = value[:_LONGEST_ANNOTATION]
            known += [] if cut in known else [cut]
        for message in judgement.broken:
            self.denials.append(Denial(policy.name, name, message))
            self._metrics.validation((policy.name, name), message, "deny", 0.0)

    def _act(self, action: str, denied: Denial, index: int, binding: Binding) -> None:
        if action == "Deny":
            self.denials.append(denied)
        elif action == "Audit":
            self._attributes.annotations.setdefault(_FAILURE, _failure(denied, index, binding))
        elif action == "Warn":
            by = f"ValidatingAdmissionPolicy '{denied.policy}' with binding '{denied.binding}'"
            self._attributes.warn(f"Validation failed for {by}: {denied.message}")

    def publish(self) -> None:
        """Note the audit annotations of all policies, the different values of a policy's bindings together."""
        for key, values in self._values.items():
            self._attributes.annotations.setdefault(key, ", ".join(values))


def _failure(denied: Denial, index: int, binding: Binding) -> str:
    """The audit annotation of a failed rule."""
    failure = {
        "message": denied.message,
        "policy": binding.policy,
        "binding": denied.binding,
        "expressionIndex": index,
        "validationActions": list(binding.actions),
    }
    return orjson.dumps([failure]).decode()
