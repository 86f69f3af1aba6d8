"""Checks the expressions of each ValidatingAdmissionPolicy once for every change of it.

Input: a policy, the CustomResourceDefinitions, the published schemas of their resources, which are read when a policy
names them. Output: its status, applied. What is found changes nothing of what the policy does.
Source: pkg/controller/validatingadmissionpolicystatus.
"""

from __future__ import annotations

from knarr.api.registry import CUSTOMRESOURCEDEFINITIONS, VALIDATINGADMISSIONPOLICIES
from knarr.apimachinery.types import Object
from knarr.controller.policy_status import checking
from knarr.controller.policy_status.kinds import Kinds
from knarr.controller_runtime.changes import DONE, Context, Document, Patch, Result
from knarr.controller_runtime.controller import Controller, Watch, itself, nobody
from knarr.controller_runtime.snapshot import Key, Snapshot

_OPENAPI = "/openapi/v3/apis/"
_NAME = "validatingadmissionpolicy-status-controller"


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Check one policy."""
    policy = snapshot.get(*key)
    if policy is None:
        return DONE
    generation = policy["metadata"].get("generation", 0)
    if generation <= (policy.get("status") or {}).get("observedGeneration", 0):
        return DONE
    documents = {
        read.path.removeprefix(_OPENAPI): found for read, found in context.live.items() if isinstance(read, Document)
    }
    kinds = Kinds(snapshot.list(CUSTOMRESOURCEDEFINITIONS), documents)
    unread = kinds.unread(checking.needed(policy, kinds))
    if unread:
        return Result(reads=tuple(Document(_OPENAPI + version) for version in sorted(unread)))
    warnings = checking.warnings(policy, kinds)
    status: Object = {"observedGeneration": generation, "typeChecking": {}}
    if warnings:
        status["typeChecking"]["expressionWarnings"] = warnings
    body = {
        "apiVersion": VALIDATINGADMISSIONPOLICIES.api_version,
        "kind": VALIDATINGADMISSIONPOLICIES.kind,
        "metadata": {"name": key.name},
        "status": status,
    }
    return Result((_apply(key, body),))


def _apply(key: Key, body: Object) -> Patch:
    return Patch(
        VALIDATINGADMISSIONPOLICIES,
        "",
        key.name,
        body,
        content_type="application/apply-patch+yaml",
        subresource="status",
        options={"fieldManager": _NAME, "force": "true"},
    )


CONTROLLER = Controller(
    name=_NAME,
    resource=VALIDATINGADMISSIONPOLICIES,
    watches=(
        Watch(VALIDATINGADMISSIONPOLICIES, itself(VALIDATINGADMISSIONPOLICIES)),
        Watch(CUSTOMRESOURCEDEFINITIONS, nobody),
    ),
    writes=("patch validatingadmissionpolicies/status",),
    reconcile=reconcile,
)
