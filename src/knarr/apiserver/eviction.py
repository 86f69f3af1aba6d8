"""`pods/eviction`: a deletion that asks the disruption budgets first.

Source of the rules: pkg/registry/core/pod/storage/eviction.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.api.semantics import conditions, disruptions, pod_state
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
#: Seconds after which to try again while the budget is not up to date.
_RETRY = 10
#: Who writes the status of a budget that was asked.
_MANAGER = "kube-apiserver"
_BETA = re.compile(rb'("apiVersion"\s*:\s*)"policy/v1beta1"')
_CANNOT = "Cannot evict pod as it would violate the pod's disruption budget."


async def evict(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """Answer a POST of an Eviction. Raises `StatusError` 429 when a budget forbids it."""
    one = creating.call(ctx, scope, request, "CreateOptions")
    # The type is the same in the version that nothing else is served in any more.
    request.body = _BETA.sub(rb'\1"policy/v1"', request.body)
    body = bodies.read(request, _EVICTION, one.opts.validation)
    if body["metadata"].get("name", "") != one.info.name:
        raise bad_request("name in URL does not match name in Eviction object")
    wanted = _delete_options(one, body)
    attributes = one.attributes("CREATE", body, None, one.info.name)
    await ctx.admission.admit(attributes)
    await ctx.admission.validate(attributes)
    pod = projection.served(scope, read.find(scope, one.info.namespace, one.info.name))
    if not _free_to_go(pod):
        await _ask_budgets(one, pod, dry_run=bool(wanted.get("dryRun")))
    await _delete(one, pod, wanted)
    return responses.obj(responses.success(request, 201), request, form, 201)


def _delete_options(one: Call, body: Object) -> Object:
    """How the pod is to be deleted; the request's dry run counts for it. Raises `StatusError` 422, 500."""
    wanted: Object = dict(body.get("deleteOptions") or {})
    given, asked = wanted.get("dryRun") or [], ["All"] if one.opts.dry_run else []
    if given and asked and given != asked:
        shown = f"[{' '.join(asked)}] and [{' '.join(given)}]"
        raise StatusError(500, "", f"Non-matching dry-run options in request and content: {shown}")
    wanted["dryRun"] = given or asked
    deleting.check_options(wanted)
    return wanted


async def _delete(one: Call, pod: Object, wanted: Object) -> None:
    """Note on the pod why it goes, and delete it. Raises `StatusError`."""
    dry_run = bool(wanted["dryRun"])
    asked = wanted.get("preconditions") or {}
    current = all(asked.get(name) in (None, pod["metadata"].get(name)) for name in ("uid", "resourceVersion"))
    if current and not dry_run and not pod["metadata"].get("deletionTimestamp"):
        target = Target(one.scope, one.info.namespace, one.info.name, asked.get("uid") or "")
        now = one.now()
        entry = await guarded.change(one.ctx, target, lambda old: _targeted(old, now))
        if entry is not None and asked.get("resourceVersion"):
            wanted = {**wanted, "preconditions": {**asked, "resourceVersion": str(entry.revision)}}
    inner = Call(one.ctx, one.scope, one.request, one.info, one.user, WriteOptions(dry_run=dry_run))
    await deleting.delete_object(inner, one.info.namespace, one.info.name, wanted)


def _targeted(pod: Object, now: str) -> Object:
    """The pod with the condition that it is evicted."""
    status: Object = pod.get("status") or {}
    reason, message = "EvictionByEvictionAPI", "Eviction API: evicting"
    condition = {**disruptions.target(pod, now, reason=reason, message=message), "lastProbeTime": None}
    found = conditions.replaced(status.get("conditions") or (), condition)
    return {**pod, "status": {**status, "conditions": found}}


def _free_to_go(pod: Object) -> bool:
    """A pod that has ended, goes already, or never ran counts for no budget."""
    phase = (pod.get("status") or {}).get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or bool(pod["metadata"].get("deletionTimestamp"))


async def _ask_budgets(one: Call, pod: Object, *, dry_run: bool) -> None:
    budgets = list(_budgets(one, pod))
    if len(budgets) > 1:
        text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise StatusError(500, "", text)
    if not budgets:
        return
    budget = budgets[0]
    if not pod_state.is_ready(pod) and _unhealthy_may_go(budget):
        return
    scope = one.ctx.served.of(registry.PODDISRUPTIONBUDGETS)
    target = Target(scope, one.info.namespace, budget["metadata"]["name"])
    name, now = pod["metadata"]["name"], timestamps.seconds(one.ctx.clock.now())

    def spend(old: Object) -> Object:
        spent = _spend(old, name, now)
        if one.ctx.field_manager is not None:
            one.ctx.field_manager.update(scope.resource, spent, old, _MANAGER, "status")
        return spent

    await guarded.change(one.ctx, target, spend, dry_run=dry_run)


def _budgets(one: Call, pod: Object) -> Iterator[Object]:
    have = pod["metadata"].get("labels") or {}
    for budget in one.ctx.reader.list("poddisruptionbudgets", "policy", one.info.namespace):
        try:
            selector = labels.from_object((budget.get("spec") or {}).get("selector"))
        except ValueError:
            # A selector that is none selects nothing.
            continue
        if selector.matches(have):
            yield budget


def _unhealthy_may_go(budget: Object) -> bool:
    spec, status = budget.get("spec") or {}, budget.get("status") or {}
    if spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    healthy, desired = int(status.get("currentHealthy", 0)), int(status.get("desiredHealthy", 0))
    return healthy >= desired > 0


def _spend(budget: Object, pod: str, now: str) -> Object:
    """The budget with one disruption less. Raises `StatusError` 429, 403."""
    meta, status = budget["metadata"], budget.get("status") or {}
    name = meta["name"]
    if status.get("observedGeneration", 0) < meta.get("generation", 0):
        raise _refusal(f"The disruption budget {name} is still being processed by the server.", _RETRY)
    allowed = status.get("disruptionsAllowed", 0)
    if allowed < 0:
        raise _forbidden(name, "pdb disruptions allowed is negative")
    disrupted = status.get("disruptedPods") or {}
    if len(disrupted) > _REMEMBERED:
        raise _forbidden(name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller")
    if allowed == 0:
        healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        raise _refusal(f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently", 0)
    spent = {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": {**disrupted, pod: now}}
    spent = disruptions.with_allowed(spent, now) if allowed == 1 else spent
    return {**budget, "metadata": dict(meta), "status": spent}


def _forbidden(name: str, why: str) -> StatusError:
    return forbidden("poddisruptionbudget", "policy", name, why)


def _refusal(why: str, retry: int) -> StatusError:
    """429: `retry` says after how many seconds to try again; 0 that nobody knows."""
    error = too_many_requests(_CANNOT, retry)
    error.details = {**(error.details or {}), "causes": [{"reason": "DisruptionBudget", "message": why}]}
    return error
