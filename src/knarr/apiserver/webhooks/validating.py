"""The admission step `ValidatingAdmissionWebhook`: webhooks that may refuse a request, all asked at once.

Source: k8s.io/apiserver/pkg/admission/plugin/webhook/validating.
"""

from __future__ import annotations

import asyncio

from knarr.apimachinery.errors import StatusError
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.matching import rules
from knarr.apiserver.matching.versions import Versions
from knarr.apiserver.webhooks.calls import Caller, Invocation
from knarr.apiserver.webhooks.configurations import Configurations


class ValidatingWebhooks:
    """Asks the webhooks of all ValidatingWebhookConfigurations."""

    name = "ValidatingAdmissionWebhook"

    def __init__(self, configurations: Configurations, caller: Caller) -> None:
        self._configurations = configurations
        self._caller = caller

    def idle(self, _attributes: Attributes) -> bool:
        """Whether there are no webhooks at all."""
        return not self._configurations.webhooks

    async def validate(self, attributes: Attributes) -> None:
        """Ask the webhooks. Raises `StatusError`: the refusal of the first that refuses."""
        webhooks = self._configurations.webhooks
        if not webhooks or attributes.kind_key in rules.EXEMPT:
            return
        versions = self._caller.versions(attributes)
        concerned: list[Invocation] = []
        for webhook in webhooks:
            match = await self._caller.wanted(webhook, attributes, versions)
            if match is not None:
                concerned.append(Invocation(webhook, match, len(concerned)))
        answers = await asyncio.gather(*(self._refusal(one, attributes, versions) for one in concerned))
        for refusal in answers:
            if refusal is not None:
                raise refusal

    async def _refusal(self, invocation: Invocation, attributes: Attributes, versions: Versions) -> StatusError | None:
        """Why a webhook refuses; None when it does not. The others are waited for all the same."""
        try:
            await self._caller.judged(invocation, attributes, self._call(invocation, attributes, versions))
        except StatusError as error:
            return error
        return None

    async def _call(self, invocation: Invocation, attributes: Attributes, versions: Versions) -> bool:
        await self._caller.ask(invocation, attributes, versions)
        return True
