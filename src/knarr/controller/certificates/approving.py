"""Approves the client certificates of kubelets, whose askers may have them.

Input: a CertificateSigningRequest, the answers to SubjectAccessReviews about who made it. Output: the approval.
Source: pkg/controller/certificates/approver (sarApprover).
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from knarr.api.registry import CSRS, SUBJECTACCESSREVIEWS
from knarr.api.semantics import certificate_requests
from knarr.apimachinery.types import Object
from knarr.controller.certificates import requests
from knarr.controller_runtime.changes import DONE, Ask, Context, Result
from knarr.controller_runtime.controller import Controller, Watch, itself
from knarr.controller_runtime.snapshot import Key, Snapshot

#: Seconds after which somebody who may not have the certificate is asked about again.
_AGAIN = 30.0
_TEXTS = {
    "selfnodeclient": "Auto approving self kubelet client certificate after SubjectAccessReview.",
    "nodeclient": "Auto approving kubelet client certificate after SubjectAccessReview.",
}


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Approve one request, if it is for a kubelet's client certificate and its asker may."""
    request = snapshot.get(*key)
    if request is None or requests.has_certificate(request):
        return DONE
    if requests.find(request, requests.APPROVED) or requests.find(request, requests.DENIED):
        return DONE
    recognized = tuple(_recognized(request))
    for subresource in recognized:
        question = _question(request, subresource)
        if question not in context.live:
            # The answers of one round are gone in the next: ask again what was refused before.
            return Result(reads=(*context.live, question))
        if _allowed(context.live[question]):
            condition = {"type": requests.APPROVED, "reason": "AutoApproved", "message": _TEXTS[subresource]}
            return Result((requests.add(request, "approval", condition, context.now),))
    # Rights may still be given.
    return Result(requeue_after=_AGAIN) if recognized else DONE


def _recognized(request: Object) -> Iterator[str]:
    """The permissions by which the request may be approved."""
    spec = request["spec"]
    if spec.get("signerName") != certificate_requests.KUBELET_CLIENT:
        return
    try:
        asked = certificate_requests.requested(request)
    except ValueError:
        # Nobody can approve it for what it is.
        return
    if certificate_requests.kubelet_client_refusal(asked, spec.get("usages") or ()):
        return
    if spec.get("username") == asked.common_name:
        yield "selfnodeclient"
    yield "nodeclient"


def _question(request: Object, subresource: str) -> Ask:
    spec = request["spec"]
    attributes = {
        "group": CSRS.group,
        "version": "*",
        "resource": CSRS.plural,
        "subresource": subresource,
        "verb": "create",
    }
    asker = {"user": spec.get("username", ""), "uid": spec.get("uid", ""), "groups": spec.get("groups") or []}
    body = {
        "apiVersion": SUBJECTACCESSREVIEWS.api_version,
        "kind": SUBJECTACCESSREVIEWS.kind,
        "spec": {**asker, "extra": spec.get("extra") or {}, "resourceAttributes": attributes},
    }
    return Ask(SUBJECTACCESSREVIEWS, orjson.dumps(body))


def _allowed(review: Object | None) -> bool:
    return review is not None and bool((review.get("status") or {}).get("allowed"))


CONTROLLER = Controller(
    name=requests.ACCOUNT,
    title="certificatesigningrequest-approving-controller",
    resource=CSRS,
    watches=(Watch(CSRS, itself(CSRS)),),
    writes=("create subjectaccessreviews", "update certificatesigningrequests/approval"),
    reconcile=reconcile,
)
