"""Bindings: a pod gets its node. `pods/binding` and the collection `bindings` do the same.

Source of the rules: k8s.io/kubernetes/pkg/registry/core/pod/storage/storage.go.
"""

from __future__ import annotations

from knarr.api import registry
from knarr.apimachinery import field
from knarr.apimachinery.errors import StatusError, bad_request, conflict
from knarr.apimachinery.types import Object
from knarr.apiserver import bodies, creating, guarded, metadata, responses
from knarr.apiserver.context import Context
from knarr.apiserver.creating import Call
from knarr.apiserver.guarded import Target
from knarr.apiserver.negotiation import Form
from knarr.apiserver.request import Request, Response
from knarr.apiserver.served import Scope


async def bind(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """Answer a POST of a Binding. Raises `StatusError`."""
    one = creating.call(ctx, scope, request, "CreateOptions")
    body = bodies.read(request, registry.BINDINGS, one.opts.validation)
    metadata.ensure_namespace(registry.BINDINGS, body, one.info.namespace)
    name = body["metadata"].get("name", "")
    if one.info.name and name != one.info.name:
        raise bad_request("name in URL does not match name in Binding object")
    attributes = one.attributes("CREATE", body, None, name)
    await ctx.admission.admit(attributes)
    errors = _errors(body.get("target") or {})
    if errors:
        # The registry joins these without a status of its own.
        texts = [str(error) for error in errors]
        raise StatusError(500, "", texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
    await ctx.admission.validate(attributes)
    await _assign(one, body, name)
    return responses.obj(responses.success(request, 201), request, form, 201)


def _errors(target: Object) -> list[field.FieldError]:
    errors = []
    if target.get("kind", "") not in ("", "Node"):
        errors.append(field.not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(field.required("target.name"))
    return errors


async def _assign(one: Call, body: Object, name: str) -> None:
    if not name:
        raise bad_request("Name parameter required.")
    pods = one.ctx.served.of(registry.PODS)
    meta = body["metadata"]
    target = Target(pods, one.info.namespace, name, meta.get("uid", ""), meta.get("resourceVersion", ""))
    now = one.now()
    await guarded.change(one.ctx, target, lambda old: _bound(old, body, now), dry_run=one.opts.dry_run)


def _bound(old: Object, body: Object, now: str) -> Object:
    """The pod on its node. Raises `StatusError` 409."""
    name, spec = old["metadata"]["name"], old.get("spec") or {}
    if old["metadata"].get("deletionTimestamp"):
        raise conflict("pods/binding", "", name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        why = f'pod {name} is already assigned to node "{spec["nodeName"]}"'
        raise conflict("pods/binding", "", name, why)
    if spec.get("schedulingGates"):
        why = f"pod {name} has non-empty .spec.schedulingGates"
        raise conflict("pods/binding", "", name, why)
    annotations = {**(old["metadata"].get("annotations") or {}), **(body["metadata"].get("annotations") or {})}
    labels = {**(old["metadata"].get("labels") or {}), **_topology(body["metadata"].get("labels") or {})}
    meta = dict(old["metadata"])
    if annotations:
        meta["annotations"] = annotations
    if labels:
        meta["labels"] = labels
    return {
        **old,
        "metadata": meta,
        "spec": {**spec, "nodeName": body["target"]["name"]},
        "status": _scheduled(old, now),
    }


def _topology(labels: dict[str, str]) -> dict[str, str]:
    """Of a binding's labels those of its node's place are copied to the pod."""
    return {key: value for key, value in labels.items() if key.startswith("topology.kubernetes.io/")}


def _scheduled(old: Object, now: str) -> Object:
    """The status with the condition that the pod has its node; the transition is stamped when it is one."""
    status = dict(old.get("status") or {})
    conditions: list[Object] = list(status.get("conditions") or ())
    at = next((index for index, item in enumerate(conditions) if item.get("type") == "PodScheduled"), None)
    condition: Object = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    if at is None:
        conditions.append(condition)
    elif conditions[at].get("status") != "True":
        conditions[at] = condition
    status["conditions"] = conditions
    return status
