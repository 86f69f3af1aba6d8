"""Defaults of admissionregistration.k8s.io/v1."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def validating_webhooks(obj: Object) -> None:
    """Each webhook: what happens on failure, what it sees, how long it may take."""
    for webhook in obj.get("webhooks", ()):
        _webhook(webhook)


def mutating_webhooks(obj: Object) -> None:
    """The same, and whether it is called again."""
    for webhook in obj.get("webhooks", ()):
        _webhook(webhook)
        webhook.setdefault("reinvocationPolicy", "Never")


def _webhook(webhook: Object) -> None:
    webhook.setdefault("failurePolicy", "Fail")
    webhook.setdefault("timeoutSeconds", 10)
    _match(webhook)
    _rules(webhook.get("rules", ()))
    service = webhook["clientConfig"].get("service")
    if service is not None:
        service.setdefault("port", 443)


def validating_policy(obj: Object) -> None:
    """What happens on failure, and what the policy sees."""
    spec = obj["spec"]
    spec.setdefault("failurePolicy", "Fail")
    _resources(spec.get("matchConstraints"))


def mutating_policy(obj: Object) -> None:
    """The same, and whether it is called again."""
    validating_policy(obj)


def binding(obj: Object) -> None:
    """What a binding sees."""
    _resources(obj["spec"].get("matchResources"))


def _resources(match: Object | None) -> None:
    if match is not None:
        _match(match)
        _rules(match.get("resourceRules", ()))
        _rules(match.get("excludeResourceRules", ()))


def _match(match: Object) -> None:
    match.setdefault("matchPolicy", "Equivalent")
    match.setdefault("namespaceSelector", {})
    match.setdefault("objectSelector", {})


def _rules(rules: list[Object] | tuple[()]) -> None:
    for rule in rules:
        rule.setdefault("scope", "*")
