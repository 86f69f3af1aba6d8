"""`pods/eviction`: a deletion that asks the disruption budgets first.

Source of the rules: pkg/registry/core/pod/storage/eviction.go.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apimachinery import labels, timestamps
from knarr.apimachinery.errors import StatusError, bad_request, forbidden, too_many_requests
from knarr.apimachinery.types import Object
from knarr.apiserver import bodies, creating, deleting, guarded, projection, read, responses
from knarr.apiserver.context import Context
from knarr.apiserver.creating import Call
from knarr.apiserver.guarded import Target
from knarr.apiserver.negotiation import Form
from knarr.apiserver.options import WriteOptions
from knarr.apiserver.request import Request, Response
from knarr.apiserver.served import Scope

_EVICTION = Resource("policy", "v1", "evictions", "Eviction", namespaced=True)
#: Evicted pods that a budget remembers before it says no.
_REMEMBERED = 2000
_RETRY = 10
_CANNOT = "Cannot evict pod as it would violate the pod's disruption budget."


async def evict(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """Answer a POST of an Eviction. Raises `StatusError` 429 when a budget forbids it."""
    one = creating.call(ctx, scope, request, "CreateOptions")
    body = bodies.read(request, _EVICTION, one.opts.validation)
    if body["metadata"].get("name", "") != one.info.name:
        raise bad_request("name in URL does not match name in Eviction object")
    wanted: Object = body.get("deleteOptions") or {}
    dry_run = one.opts.dry_run or bool(wanted.get("dryRun"))
    attributes = one.attributes("CREATE", body, None, one.info.name)
    await ctx.admission.admit(attributes)
    await ctx.admission.validate(attributes)
    pod = projection.served(scope, read.find(scope, one.info.namespace, one.info.name))
    if not _free_to_go(pod):
        await _ask_budgets(one, pod, dry_run=dry_run)
    inner = Call(ctx, scope, request, one.info, one.user, WriteOptions(dry_run=dry_run))
    await deleting.delete_object(
        inner, one.info.namespace, one.info.name, {**wanted, "dryRun": ["All"] if dry_run else []}
    )
    return responses.obj(responses.success(request, 201), request, form, 201)


def _free_to_go(pod: Object) -> bool:
    """A pod that has ended, goes already, or never ran counts for no budget."""
    phase = (pod.get("status") or {}).get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or bool(pod["metadata"].get("deletionTimestamp"))


async def _ask_budgets(one: Call, pod: Object, *, dry_run: bool) -> None:
    budgets = list(_budgets(one, pod))
    if len(budgets) > 1:
        raise StatusError(
            500,
            "InternalError",
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        )
    if not budgets:
        return
    budget = budgets[0]
    if not _is_ready(pod) and _unhealthy_may_go(budget):
        return
    scope = one.ctx.served.of(registry.PODDISRUPTIONBUDGETS)
    target = Target(scope, one.info.namespace, budget["metadata"]["name"])
    name, now = pod["metadata"]["name"], one.ctx.clock.now()
    await guarded.change(one.ctx, target, lambda old: _spend(old, name, now), dry_run=dry_run)


def _budgets(one: Call, pod: Object) -> Iterator[Object]:
    have = pod["metadata"].get("labels") or {}
    for budget in one.ctx.reader.list("poddisruptionbudgets", "policy", one.info.namespace):
        selector = labels.from_object((budget.get("spec") or {}).get("selector"))
        if selector.matches(have):
            yield budget


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)


def _unhealthy_may_go(budget: Object) -> bool:
    spec, status = budget.get("spec") or {}, budget.get("status") or {}
    if spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    healthy, desired = int(status.get("currentHealthy", 0)), int(status.get("desiredHealthy", 0))
    return healthy >= desired > 0


def _spend(budget: Object, pod: str, now: datetime.datetime) -> Object:
    """The budget with one disruption less. Raises `StatusError` 429, 403."""
    meta, status = budget["metadata"], budget.get("status") or {}
    name = meta["name"]
    if status.get("observedGeneration", 0) < meta.get("generation", 0):
        text = f"The disruption budget {name} is still being processed by the server."
        raise _refusal(text, "")
    allowed = status.get("disruptionsAllowed", 0)
    if allowed < 0:
        raise forbidden("poddisruptionbudget", "", name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or {}) > _REMEMBERED:
        raise forbidden(
            "poddisruptionbudget",
            "",
            name,
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        )
    if allowed == 0:
        healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        raise _refusal(
            _CANNOT, f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
        )
    disrupted = {**(status.get("disruptedPods") or {}), pod: timestamps.seconds(now)}
    return {**budget, "status": {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": disrupted}}


def _refusal(text: str, why: str) -> StatusError:
    error = too_many_requests(text, 0 if why else _RETRY)
    if why:
        error.details = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    return error
