"""The match conditions of webhooks: CEL over the request, all of which must hold.

Source: k8s.io/apiserver/pkg/admission/plugin/webhook/generic (ShouldCallHook).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from knarr.apimachinery.errors import forbidden
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.authz.decision import Authorizer
from knarr.apiserver.matching import requests
from knarr.apiserver.matching.criteria import Match
from knarr.apiserver.matching.versions import Versions
from knarr.apiserver.policies import aside, conditions
from knarr.apiserver.policies.authorizer import Questions
from knarr.apiserver.policies.conditions import ConditionsError
from knarr.apiserver.policies.evaluation import Expression
from knarr.apiserver.webhooks.metrics import WebhookMetrics


def compiled(items: Iterable[Object], *, ignores_failures: bool) -> conditions.Conditions | None:
    """The `matchConditions` of a webhook, ready to be evaluated; None without any."""
    texts = [item["expression"] for item in items]
    if not texts:
        return None
    from knarr.api.validation import expressions

    environment = expressions.admission_environment()
    return conditions.Conditions(tuple(Expression(text, environment) for text in texts), ignores_failures)


class Matcher:
    """Evaluates conditions about requests; `type_` is that of admission, as metrics name it."""

    def __init__(self, authorizer: Authorizer, type_: str, counted: WebhookMetrics) -> None:
        self._authorizer = authorizer
        self._type = type_
        self._counted = counted

    async def holds(
        self, name: str, wanted: conditions.Conditions, attributes: Attributes, match: Match, versions: Versions
    ) -> bool:
        """Whether the conditions of a webhook hold. Raises `StatusError` 403 where that cannot be told."""
        values = self._values(attributes, match, versions)
        key = (name, "webhook", self._type, attributes.operation)
        try:
            found = await aside.done(wanted.hold, values)
        except ConditionsError as error:
            self._counted.condition_errors.add(key)
            raise forbidden(*attributes.kind_key, attributes.name, str(error)) from error
        if not found:
            self._counted.exclusions.add(key)
        return found

    def _values(self, attributes: Attributes, match: Match, versions: Versions) -> Mapping[str, Any]:
        objects = versions.get(match)
        return {
            "object": objects.object,
            "oldObject": objects.old_object,
            "request": requests.about(attributes, match),
            "namespaceObject": None,
            **Questions(self._authorizer, attributes).variables(),
        }
