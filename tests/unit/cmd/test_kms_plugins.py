"""Plugins that are asked how they are, and what becomes of their keys when they do not answer."""

from __future__ import annotations

import asyncio
from typing import cast

from knarr.cmd.kms_plugins import ASK, ASK_AGAIN, LASTS, KmsPlugins
from knarr.storage.encryption.kms import KmsProvider
from knarr.storage.encryption.provider import TransformError


class Plugin:
    name = "vault"

    def __init__(self) -> None:
        self.asked, self.lapsed, self.away = 0, False, False

    async def refresh(self) -> None:
        self.asked += 1
        if self.away:
            raise TransformError("away")
        self.lapsed = False

    def lapse(self) -> None:
        self.lapsed = True


def test_a_key_lapses_when_its_plugin_has_not_answered_for_long() -> None:
    async def main() -> None:
        plugin, other, plugins = Plugin(), Plugin(), KmsPlugins()
        plugins.use([cast(KmsProvider, plugin), cast(KmsProvider, other)], 0.0)
        await plugins.look(ASK - 1)
        assert plugin.asked == 0
        await plugins.look(ASK)
        assert (plugin.asked, plugins.well) == (1, True)
        plugin.away = True
        await plugins.look(2 * ASK)
        assert (plugin.lapsed, plugins.well) == (False, False)
        # It is asked more often now, and the other one with it.
        await plugins.look(2 * ASK + ASK_AGAIN)
        assert (plugin.asked, other.asked) == (3, 3)
        await plugins.look(ASK + LASTS)
        assert (plugin.lapsed, other.lapsed) == (True, False)
        plugin.away = False
        await plugins.look(ASK + LASTS + ASK_AGAIN)
        assert (plugin.lapsed, plugins.well) == (False, True)

    asyncio.run(main())
