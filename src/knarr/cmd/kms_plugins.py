"""Keeps asking the KMS plugins of an encryption configuration how they are.

A plugin's key is used for writing for three minutes after its last answer: so a key that was taken away is not used for
long. Source: k8s.io/apiserver/pkg/server/options/encryptionconfig, KEP-3299.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from knarr.component_base import logs
from knarr.storage.store import StoreError

if TYPE_CHECKING:
    from knarr.storage.encryption.kms import KmsProvider

#: Seconds until a plugin is asked again that was well, or was not; and for which its key is used after its last answer.
ASK, ASK_AGAIN, LASTS = 60.0, 10.0, 180.0
_log = logs.get("encryption")


class KmsPlugins:
    """When plugins have answered last; `now` is always of one clock that only goes forward, in seconds."""

    def __init__(self) -> None:
        #: Whether all have answered when they were asked last.
        self.well = True
        self._answered: dict[KmsProvider, float] = {}
        self._next = 0.0

    def use(self, providers: Sequence[KmsProvider], now: float) -> None:
        """From now on these are asked, which have just answered."""
        self._answered = dict.fromkeys(providers, now)
        self._next = now + ASK
        self.well = True

    async def look(self, now: float) -> None:
        """Ask them, if it is time to."""
        if now < self._next:
            return
        self.well = all([await self._ask(provider, now) for provider in self._answered])
        self._next = now + (ASK if self.well else ASK_AGAIN)

    async def _ask(self, provider: KmsProvider, now: float) -> bool:
        try:
            await provider.refresh()
        except StoreError as error:
            _log.warning("a KMS plugin is not well", plugin=provider.name, error=error)
            if now - self._answered[provider] >= LASTS:
                provider.lapse()
            return False
        self._answered[provider] = now
        return True
