"""`componentstatuses`: a deprecated view of the control plane's health, made when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from knarr.apimachinery.errors import not_found
from knarr.apimachinery.types import Object
from knarr.apiserver import read, responses
from knarr.apiserver.context import Context
from knarr.apiserver.negotiation import TABLE, Form
from knarr.apiserver.request import Request, Response
from knarr.apiserver.served import Scope

_NAMES = ("controller-manager", "scheduler", "etcd-0")
#: The leases by which controllers and scheduler show that they live.
_LEASES = {"controller-manager": "kube-controller-manager", "scheduler": "kube-scheduler"}


async def get(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """One component. Raises `StatusError` 404."""
    name = request.info.name if request.info is not None else ""
    for obj in _all(ctx):
        if obj["metadata"]["name"] == name:
            return read.object_response(ctx, scope, obj, request, form)
    raise not_found("componentstatuses", "", name)


async def list_all(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """All components."""
    found = list(_all(ctx))
    if form.kind == TABLE and ctx.tables is not None:
        table = {**ctx.tables.table(scope, found, request.query), "metadata": {}}
        return responses.obj(table, request, form)
    items = [{key: value for key, value in obj.items() if key not in ("kind", "apiVersion")} for obj in found]
    body = {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items}
    return responses.obj(body, request, form)


def _all(ctx: Context) -> Iterator[Object]:
    for name in _NAMES:
        healthy, message = _state(ctx, name)
        condition: Object = {"type": "Healthy", "status": "True" if healthy else "False", "message": message}
        yield {
            "kind": "ComponentStatus",
            "apiVersion": "v1",
            "metadata": {"name": name},
            "conditions": [condition],
        }


def _state(ctx: Context, name: str) -> tuple[bool, str]:
    lease = _LEASES.get(name)
    if lease is None:
        return True, "ok"
    found = ctx.reader.get("leases", "coordination.k8s.io", "kube-system", lease)
    holder = ((found or {}).get("spec") or {}).get("holderIdentity")
    return (True, "ok") if holder else (False, f"nobody holds the lease {lease}")
