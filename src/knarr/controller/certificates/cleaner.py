"""Clears away CertificateSigningRequests that nobody needs any more.

Input: a CertificateSigningRequest. Output: its deletion: a day after it was made if nothing happened, an hour after it
was signed, denied or failed, and when its certificate has ended. Source: pkg/controller/certificates/cleaner.
"""

from __future__ import annotations

import base64
import binascii
import datetime
from collections.abc import Iterator

from knarr.api.registry import CSRS
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller.certificates import requests
from knarr.controller_runtime.changes import DONE, Context, Delete, Result
from knarr.controller_runtime.controller import Controller, Watch, itself
from knarr.controller_runtime.snapshot import Key, Snapshot

_DONE = datetime.timedelta(hours=1)
_PENDING = datetime.timedelta(hours=24)


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Delete one request once it is past its time; look again then."""
    request = snapshot.get(*key)
    if request is None:
        return DONE
    end = min(_ends(request), default=None)
    if end is None:
        return DONE
    left = (end - context.now).total_seconds()
    if left > 0:
        return Result(requeue_after=left)
    meta = request["metadata"]
    return Result((Delete(CSRS, "", meta["name"], meta["uid"]),))


def _ends(request: Object) -> Iterator[datetime.datetime]:
    status = request.get("status") or {}
    if not status.get("conditions"):
        yield timestamps.parse(request["metadata"]["creationTimestamp"]) + _PENDING
    for condition in status.get("conditions") or ():
        updated = condition.get("lastUpdateTime")
        settled = condition["type"] in (requests.DENIED, requests.FAILED) or bool(status.get("certificate"))
        if updated and settled:
            yield timestamps.parse(updated) + _DONE
    end = _end_of_certificate(status.get("certificate") or "")
    if end is not None:
        yield end


def _end_of_certificate(encoded: str) -> datetime.datetime | None:
    if not encoded:
        return None
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(base64.b64decode(encoded)).not_valid_after_utc
    except (ValueError, binascii.Error):
        return None


CONTROLLER = Controller(
    name=requests.ACCOUNT,
    title="certificatesigningrequest-cleaner-controller",
    resource=CSRS,
    watches=(Watch(CSRS, itself(CSRS)),),
    writes=("delete certificatesigningrequests",),
    reconcile=reconcile,
)
