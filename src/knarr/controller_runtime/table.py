"""The table of controllers in `docs/controllers.md`."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.controller_runtime.controller import Controller

_HEAD = """# Controllers

Each decides in a pure function (`controller/`); the manager (`controller_runtime/manager.py`) wakes it, carries out
what it orders, and acts as the service account named here. All run in the server that holds the Lease
`kube-system/kube-controller-manager`.

| controller | service account | watches | writes |
| --- | --- | --- | --- |
"""
#: More resources than these are not listed one by one.
_MANY = 10


def table(controllers: Sequence[Controller]) -> str:
    """The page, in Markdown."""
    return _HEAD + "".join(f"| {' | '.join(_row(controller))} |\n" for controller in controllers)


def _row(controller: Controller) -> tuple[str, str, str, str]:
    watched = [watch.resource.plural for watch in controller.watches]
    shown = ", ".join(watched) if len(watched) <= _MANY else "everything that concerns it"
    return (
        controller.label,
        controller.name or "none: it is kube-controller-manager itself",
        shown,
        "; ".join(controller.writes),
    )
