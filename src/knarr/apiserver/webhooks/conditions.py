"""The match conditions of webhooks: CEL over the request, all of which must hold."""

from __future__ import annotations

from knarr.apimachinery.errors import internal
from knarr.apimachinery.field import quote
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.authz.decision import Authorizer
from knarr.apiserver.matching.criteria import Match
from knarr.apiserver.matching.versions import Versions
from knarr.apiserver.webhooks.configurations import Webhook


class Conditions:
    """Evaluates conditions."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def hold(self, webhook: Webhook, attributes: Attributes, match: Match, versions: Versions) -> bool:
        """Whether all conditions of a webhook hold. Raises `StatusError`."""
        raise internal(f"the match conditions of webhook {quote(webhook.name)} cannot be evaluated")
