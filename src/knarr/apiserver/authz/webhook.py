"""The webhook authorizer: somebody outside decides, asked by a SubjectAccessReview.

Source: https://kubernetes.io/docs/reference/access-authn-authz/webhook/
"""

from __future__ import annotations

import orjson

from knarr.apimachinery import fields, labels
from knarr.apimachinery.types import Object
from knarr.apiserver import users
from knarr.apiserver.authz import conditions
from knarr.apiserver.authz.decision import Decision, RuleList
from knarr.apiserver.authz.settings import Terms
from knarr.apiserver.outside import OutsideError, Webhook
from knarr.apiserver.pending import Answers
from knarr.apiserver.request import RequestInfo, UserInfo
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks

#: Bytes of a question up to which its answer is remembered.
_REMEMBERED = 10_000
_OPERATORS = {
    "in": "In",
    "notin": "NotIn",
    "=": "In",
    "==": "In",
    "!=": "NotIn",
    "exists": "Exists",
    "!": "DoesNotExist",
}
_BOTH = "webhook subject access review returned both allow and deny response"
_log = logs.get("authz")


class WebhookAuthorizer:
    """Asks a webhook; remembers what it says."""

    def __init__(self, webhook: Webhook, terms: Terms, clock: Clock, tasks: Tasks) -> None:
        self._webhook = webhook
        self._terms = terms
        self._answers: Answers[bytes, Decision] = Answers(self._keep, clock, tasks)
        self._asked_anew: Answers[bytes, Decision] = Answers(lambda _: 0.0, clock, tasks)

    def authorize(self, user: UserInfo, info: RequestInfo) -> Decision | None:
        """What the webhook says. Raises `Pending`."""
        spec = question(user, info)
        if self._terms.conditions:
            holds, error = conditions.match(self._terms.conditions, spec)
            if error:
                return self._failed(error)
            if not holds:
                return None
        key = orjson.dumps(spec, option=orjson.OPT_SORT_KEYS)
        answers = self._answers if len(key) <= _REMEMBERED else self._asked_anew
        return answers.get(key, lambda: self._ask(spec))

    def rules_for(self, _user: UserInfo, _namespace: str) -> RuleList | None:
        """A webhook cannot list what it would allow."""
        return RuleList([], [], True, "webhook authorizer does not support user rule resolution")

    def _keep(self, decision: Decision) -> float:
        if decision.error:
            return 0.0
        return self._terms.keep_allowed if decision.allowed else self._terms.keep_refused

    async def _ask(self, spec: Object) -> Decision:
        body = {
            "apiVersion": self._terms.api_version,
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": self._worded(spec),
            "status": {"allowed": False},
        }
        try:
            return read((await self._webhook.review(body)).get("status") or {})
        except OutsideError as error:
            _log.warning("a webhook does not decide", error=error)
            return self._failed(str(error))

    def _failed(self, error: str) -> Decision:
        return Decision(False, error=error, denied=self._terms.denies_on_error)

    def _worded(self, spec: Object) -> Object:
        """Groups are called `group` in v1beta1."""
        if self._terms.api_version.endswith("/v1") or "groups" not in spec:
            return spec
        return {("group" if key == "groups" else key): value for key, value in spec.items()}


def read(status: Object) -> Decision:
    """What a SubjectAccessReview's status says."""
    allowed, denied = status.get("allowed") is True, status.get("denied") is True
    reason = str(status.get("reason") or "")
    if allowed and denied:
        return Decision(False, reason, denied=True, error=_BOTH)
    return Decision(allowed, reason, denied=denied)


def question(user: UserInfo, info: RequestInfo) -> Object:
    """The spec of a SubjectAccessReview."""
    spec = users.shown(user, name="user")
    if info.is_resource:
        spec["resourceAttributes"] = _resource(info)
    else:
        spec["nonResourceAttributes"] = {"path": info.path, "verb": info.verb}
    return spec


def _resource(info: RequestInfo) -> Object:
    parts = {
        "namespace": info.namespace,
        "verb": info.verb,
        "group": info.group,
        "version": info.version,
        "resource": info.resource,
        "subresource": info.subresource,
        "name": info.name,
    }
    found: Object = {key: value for key, value in parts.items() if value}
    if info.field_selector:
        terms = fields.parse(info.field_selector).terms
        found["fieldSelector"] = {
            "requirements": [
                {"key": term.field, "operator": "NotIn" if term.negated else "In", "values": [term.value]}
                for term in terms
            ]
        }
    if info.label_selector:
        found["labelSelector"] = {"requirements": _label_requirements(info.label_selector)}
    return {key: value for key, value in found.items() if value != {"requirements": []}}


def _label_requirements(text: str) -> list[Object]:
    """Requirements that compare numbers cannot be said in a review: leaving them out asks for more than is wanted."""
    found = []
    for item in labels.parse(text).requirements:
        operator = _OPERATORS.get(item.operator)
        if operator is None:
            continue
        requirement: Object = {"key": item.key, "operator": operator}
        if operator in ("In", "NotIn"):
            requirement["values"] = sorted(item.values)
        found.append(requirement)
    return found
