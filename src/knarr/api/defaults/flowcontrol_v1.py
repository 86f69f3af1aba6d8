"""Defaults of flowcontrol.apiserver.k8s.io/v1."""

from __future__ import annotations

from typing import Any

from knarr.apimachinery.types import Object

_PRECEDENCE = 1000
_SHARES = 30
_QUEUING: dict[str, Any] = {"queues": 64, "handSize": 8, "queueLengthLimit": 50}


def flow_schema(obj: Object) -> None:
    """The precedence."""
    obj["spec"]["matchingPrecedence"] = obj["spec"].get("matchingPrecedence") or _PRECEDENCE


def priority_level_configuration(obj: Object) -> None:
    """Shares, and queues."""
    limited, exempt = obj["spec"].get("limited"), obj["spec"].get("exempt")
    if limited is not None:
        limited.setdefault("nominalConcurrencyShares", _SHARES)
        limited.setdefault("lendablePercent", 0)
        queuing = limited["limitResponse"].get("queuing")
        for name, value in _QUEUING.items() if queuing is not None else ():
            queuing[name] = queuing.get(name) or value
    if exempt is not None:
        exempt.setdefault("nominalConcurrencyShares", 0)
        exempt.setdefault("lendablePercent", 0)
