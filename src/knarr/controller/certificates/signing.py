"""Signs approved CertificateSigningRequests of the four signers of Kubernetes.

Input: a CertificateSigningRequest, the cluster's authority. Output: its certificate, or the condition that says why
there is none. Source: pkg/controller/certificates/signer.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable, Sequence

from knarr.api.registry import CSRS
from knarr.api.semantics import certificate_requests
from knarr.api.semantics.certificate_requests import CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY
from knarr.apimachinery.types import Object
from knarr.controller.certificates import requests
from knarr.controller_runtime.changes import DONE, Context, Result, Update
from knarr.controller_runtime.controller import Controller, Watch, itself
from knarr.controller_runtime.snapshot import Key, Snapshot

SIGNERS = (KUBELET_SERVING, KUBELET_CLIENT, CLIENT, LEGACY)
#: Certificates live no shorter, whatever is asked for.
_SHORTEST = datetime.timedelta(minutes=10)
#: Signs a request in PEM for these usages and this long. Raises `ValueError`.
Sign = Callable[[bytes, Sequence[str], datetime.timedelta, datetime.datetime], bytes]


def controller(sign: Sign, longest: datetime.timedelta) -> Controller:
    """The controller that signs certificates of at most this life."""

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        request = snapshot.get(*key)
        if request is None or not _is_due(request):
            return DONE
        spec, usages = request["spec"], request["spec"].get("usages") or ()
        try:
            pem, asked = certificate_requests.pem_of(request), certificate_requests.requested(request)
        except ValueError:
            # Validation lets none of these in.
            return DONE
        why = certificate_requests.refusal(spec["signerName"], asked, usages)
        if why:
            failed = {"type": requests.FAILED, "reason": "SignerValidationFailure", "message": why}
            return Result((requests.add(request, "status", failed, context.now),))
        certificate = sign(pem, usages, _life(spec.get("expirationSeconds"), longest), context.now)
        status = {**(request.get("status") or {}), "certificate": base64.b64encode(certificate).decode()}
        return Result((Update(CSRS, {**request, "status": status}, "status"),))

    return Controller(
        name=requests.ACCOUNT,
        title="certificatesigningrequest-signing-controller",
        resource=CSRS,
        watches=(Watch(CSRS, itself(CSRS)),),
        writes=("update certificatesigningrequests/status",),
        reconcile=reconcile,
    )


def _is_due(request: Object) -> bool:
    if request["spec"].get("signerName") not in SIGNERS or requests.has_certificate(request):
        return False
    approved, denied = requests.find(request, requests.APPROVED), requests.find(request, requests.DENIED)
    return bool(approved) and not denied and not requests.is_true(request, requests.FAILED)


def _life(asked: int | None, longest: datetime.timedelta) -> datetime.timedelta:
    if asked is None:
        return longest
    wanted = datetime.timedelta(seconds=asked)
    return longest if wanted > longest else max(wanted, _SHORTEST)
