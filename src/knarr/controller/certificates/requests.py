"""What the controllers of CertificateSigningRequests share: conditions, and how changes of them are written."""

from __future__ import annotations

import datetime

from knarr.api.registry import CSRS
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import Update

APPROVED, DENIED, FAILED = "Approved", "Denied", "Failed"
#: The service account of all of them.
ACCOUNT = "certificate-controller"


def find(request: Object, kind: str) -> list[Object]:
    """The conditions of a type; those that hold have status `True`."""
    return [item for item in (request.get("status") or {}).get("conditions") or () if item.get("type") == kind]


def is_true(request: Object, kind: str) -> bool:
    """Whether a condition of this type holds."""
    return any(item.get("status") == "True" for item in find(request, kind))


def has_certificate(request: Object) -> bool:
    """Whether it has been signed."""
    return bool((request.get("status") or {}).get("certificate"))


def add(request: Object, subresource: str, condition: Object, now: datetime.datetime) -> Update:
    """The write of one more condition that holds."""
    status = request.get("status") or {}
    whole = {**condition, "status": "True", "lastUpdateTime": timestamps.seconds(now)}
    conditions = [*(status.get("conditions") or ()), whole]
    return Update(CSRS, {**request, "status": {**status, "conditions": conditions}}, subresource)
