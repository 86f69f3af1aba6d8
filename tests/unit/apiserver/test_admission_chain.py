"""The mutating half runs once more when a webhook or policy has changed the object."""

from __future__ import annotations

import asyncio

from tests.unit.apiserver.conftest import FakeReader

from knarr.api import registry
from knarr.apiserver.admission.plugins import Plugins
from knarr.apiserver.admission_chain import AdmissionChain, Latencies
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.metrics import Metrics
from knarr.apiserver.request import UserInfo


class _Plugin:
    name = "LimitRanger"
    kinds = None

    def __init__(self) -> None:
        self.seen: list[bool] = []

    def admit(self, attributes: Attributes) -> None:
        self.seen.append(attributes.again)


class _Step:
    name = "MutatingAdmissionPolicy"

    def __init__(self, *, changes: bool) -> None:
        self.changes = changes

    async def admit(self, attributes: Attributes) -> None:
        attributes.reinvoke |= self.changes


def _rounds(*, changes: bool) -> list[bool]:
    metrics, plugin = Metrics(), _Plugin()
    latencies = Latencies(metrics.admission, metrics.admission_steps)
    chain = AdmissionChain(Plugins([plugin]), latencies, [_Step(changes=changes)])
    user, reader = UserInfo("u"), FakeReader()
    asyncio.run(chain.admit(Attributes("CREATE", registry.PODS, "", "n", "p", {}, None, user, reader)))
    return plugin.seen


def test_what_nobody_changes_is_admitted_once() -> None:
    assert _rounds(changes=False) == [False]


def test_after_a_change_all_plugins_are_asked_once_more_and_no_more() -> None:
    assert _rounds(changes=True) == [False, True]
