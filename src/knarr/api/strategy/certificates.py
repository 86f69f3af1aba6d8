"""Certificate signing requests: who asks is the server's to say, and conditions have their moments."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.apimachinery.types import Object

_ASKER = ("username", "uid", "groups", "extra")


def create(obj: Object) -> None:
    """Forget what the client says of itself; the caller fills it in."""
    for name in _ASKER:
        obj["spec"].pop(name, None)


def update(obj: Object, old: Object, _now: str) -> None:
    """A request never changes."""
    obj["spec"] = old["spec"]


def update_status(obj: Object, old: Object, now: str) -> None:
    """Approval and denial stay."""
    conditions = obj["status"].get("conditions", [])
    for kind in ("Approved", "Denied"):
        if not any(item["type"] == kind for item in conditions):
            conditions = [*conditions, *(item for item in _conditions(old) if item["type"] == kind)]
    if conditions:
        obj["status"]["conditions"] = _with_moments(conditions, _conditions(old), now)


def approve(obj: Object, old: Object, now: str) -> None:
    """Nothing but the conditions changes."""
    conditions = obj["status"].get("conditions", [])
    obj["spec"] = old["spec"]
    obj["status"] = {name: value for name, value in old["status"].items() if name != "conditions"}
    if conditions:
        obj["status"]["conditions"] = _with_moments(conditions, _conditions(old), now)


def _conditions(obj: Object) -> Sequence[Object]:
    found: Sequence[Object] = obj["status"].get("conditions", ())
    return found


def _with_moments(conditions: Sequence[Object], old: Sequence[Object], now: str) -> list[Object]:
    before = {(item["type"], item["status"]): item.get("lastTransitionTime") for item in old}
    out = []
    for item in conditions:
        since = item.get("lastTransitionTime") or before.get((item["type"], item["status"])) or now or None
        updated = item.get("lastUpdateTime") or now or None
        out.append({**item, "lastUpdateTime": updated, "lastTransitionTime": since})
    return out
