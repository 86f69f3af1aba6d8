"""Admission of one write: the built-in plugins in their order, then what lies outside (webhooks, policies)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from knarr.apiserver.admission.plugins import Plugins
from knarr.apiserver.attributes import Attributes


class Admission(Protocol):
    """An admission step that may have to wait: webhooks, policies."""

    async def admit(self, attributes: Attributes) -> None:
        """May change `attributes.object`. Raises `StatusError`."""
        ...

    async def validate(self, attributes: Attributes) -> None:
        """May only refuse. Raises `StatusError`."""
        ...


class AdmissionChain:
    """All admission of a server; `outer` steps run after the built-in plugins, in order."""

    def __init__(self, plugins: Plugins, outer: Sequence[Admission] = ()) -> None:
        self.plugins = plugins
        self.outer = list(outer)

    async def admit(self, attributes: Attributes) -> None:
        """Run the mutating half. Raises `StatusError`."""
        self.plugins.admit(attributes)
        for step in self.outer:
            await step.admit(attributes)

    async def validate(self, attributes: Attributes) -> None:
        """Run the validating half. Raises `StatusError`."""
        self.plugins.validate(attributes)
        for step in self.outer:
            await step.validate(attributes)
