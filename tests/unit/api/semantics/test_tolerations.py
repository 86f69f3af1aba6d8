from __future__ import annotations

import pytest

from knarr.api.semantics.tolerations import first_untolerated, tolerates

TAINT = {"key": "k", "value": "v", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("toleration", "want"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "x", "operator": "Exists"}, False),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "operator": "Equal", "value": "w"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "k", "operator": "Bogus", "value": "v"}, False),
    ],
)
def test_tolerates(toleration: dict[str, str], want: bool) -> None:
    assert tolerates(toleration, TAINT) is want


def test_first_untolerated_heeds_effects() -> None:
    soft = {"key": "s", "effect": "PreferNoSchedule"}
    assert first_untolerated([soft, TAINT], []) is TAINT
    assert first_untolerated([soft, TAINT], [{"key": "k", "operator": "Exists"}]) is None
    assert first_untolerated([soft], [], frozenset({"PreferNoSchedule"})) is soft
