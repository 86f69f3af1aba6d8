"""What a server writes when it starts: the objects that every cluster has. Existing ones are brought up to date.

The writes go through the server's own pipeline, as `system:apiserver`.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from knarr.api import registry
from knarr.api.bootstrap import flow_control, system
from knarr.api.bootstrap.system import Endpoint
from knarr.api.resources import Resource
from knarr.api.semantics import token_secrets
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.gvk import parse_api_version
from knarr.apimachinery.types import Object
from knarr.apiserver import health, loopback
from knarr.apiserver.authz import bootstrap as rbac
from knarr.apiserver.authz.rbac import GROUP as RBAC_GROUP
from knarr.apiserver.context import Context
from knarr.apiserver.health import Health
from knarr.apiserver.master_leases import PERIOD, LeaseStore, MasterLeases
from knarr.apiserver.token_uses import tracking_map
from knarr.component_base.http_server import Handler

#: How often, and after how many seconds, what another server was about to write is looked at again.
_ATTEMPTS, _PAUSE = 20, 0.25


@dataclass(frozen=True, slots=True)
class Settings:
    """What the objects say of this cluster. Authorities are PEM."""

    service_cidr: str
    endpoint: Endpoint
    client_authority: str = ""
    proxy_authority: str = ""


class Bootstrap:
    """Writes the objects of a new cluster."""

    def __init__(self, ctx: Context, handler: Handler, settings: Settings, checks: Health) -> None:
        self._ctx = ctx
        self._handler = handler
        self._settings = settings
        self._health = checks
        store, alone = ctx.store, ipaddress.ip_address(settings.endpoint.address).is_loopback
        self._leases = MasterLeases(store, settings.endpoint) if isinstance(store, LeaseStore) and not alone else None

    async def run(self) -> None:
        """Write everything that is missing. Raises `StatusError`."""
        await self._ensure(system.namespaces())
        self._health.done(health.SYSTEM)
        await self._roles()
        self._health.done(health.RBAC)
        await self._ensure(system.priority_classes())
        self._health.done(health.PRIORITY)
        await self._flow_control()
        self._health.done(health.FLOW)
        await self._services()
        self._health.done(health.SERVICES)
        await self._api_services()
        self._health.done(health.REGISTRATION)

    async def _roles(self) -> None:
        changes = list(rbac.reconcile(self._ctx.reader))
        await asyncio.gather(*(self._role(change) for change in changes))

    async def _role(self, change: rbac.Change) -> None:
        resource = registry.resource(change.resource, RBAC_GROUP)
        meta = change.obj["metadata"]
        namespace, name = meta.get("namespace", ""), meta["name"]
        if change.action == "replace":
            await self._delete(resource.path(namespace, name))
        if change.action == "update":
            await self._call("PUT", resource.path(namespace, name), change.obj)
        else:
            await self._create(resource, change.obj)

    async def _services(self) -> None:
        settings = self._settings
        await self._ensure([system.service_cidr(settings.service_cidr)])
        await self._status(registry.SERVICECIDRS, "kubernetes", {"conditions": [self._ready()]})
        await self._way_here()
        await self.trust(settings.client_authority)

    async def trust(self, client_authority: str) -> None:
        """Tell whom this server takes client certificates and proxied requests from. Raises `StatusError`."""
        authentication = system.authentication_map(client_authority, self._settings.proxy_authority)
        await self._apply(registry.CONFIGMAPS, authentication)
        await self._ensure([tracking_map(self._ctx.clock.now().strftime(token_secrets.DAY))])

    async def publish(self, endpoints: Sequence[Endpoint]) -> None:
        """Let Service `kubernetes` lead to these servers. Raises `StatusError`."""
        # Endpoints may not be in the loopback range: no pod could reach them.
        if found := [one for one in endpoints if not ipaddress.ip_address(one.address).is_loopback]:
            await self._apply(registry.ENDPOINTS, system.kubernetes_endpoints(found))
            await self._apply(registry.ENDPOINTSLICES, system.kubernetes_slice(found))

    async def keep(self) -> None:
        """Renew this server's lease for ever, and write again what no cluster can do without and somebody deleted."""
        while True:
            await self._ctx.clock.sleep(PERIOD)
            await self._ensure(system.namespaces())
            await self._flow_control()
            await self._way_here()

    async def _flow_control(self) -> None:
        for wanted in flow_control.objects():
            resource = _resource(wanted)
            current = self._current(resource, wanted)
            if current is None:
                await self._create(resource, wanted)
            elif (changed := flow_control.restored(wanted, current)) is not None:
                await self._replace(resource.path("", changed["metadata"]["name"]), changed)

    async def _way_here(self) -> None:
        settings = self._settings
        await self._own_service(system.kubernetes_service(settings.service_cidr, settings.endpoint))
        await self.publish([settings.endpoint] if self._leases is None else await self._leases.renew())

    async def leave(self) -> None:
        """Let Service `kubernetes` lead to this server no more, when there are others."""
        if self._leases is not None:
            await self.publish(await self._leases.leave())

    async def _own_service(self, service: Object) -> None:
        """Service `kubernetes`. Another server that starts now may have its address before it has the Service."""
        for _ in range(_ATTEMPTS):
            try:
                return await self._ensure([service])
            except StatusError as error:
                if error.reason != "Invalid" or not self._ctx.shared_store:
                    raise
            await self._ctx.clock.sleep(_PAUSE)
        await self._ensure([service])

    def _ready(self) -> Object:
        return {
            "type": "Ready",
            "status": "True",
            "reason": "",
            "message": "Kubernetes default Service CIDR is ready",
            "lastTransitionTime": self._ctx.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    async def _api_services(self) -> None:
        own = (scope.resource for scope in self._ctx.served if scope.resource.custom is None)
        groups = dict.fromkeys((resource.group, resource.version) for resource in own)
        # The aggregator does not register itself.
        groups = {item: None for item in groups if item[0] != "apiregistration.k8s.io"}
        await self._ensure(system.api_services(groups))

    # writes

    async def _ensure(self, objects: Iterable[Object]) -> None:
        """Create what does not exist."""
        missing = [
            (resource, obj) for obj in objects for resource in [_resource(obj)] if self._current(resource, obj) is None
        ]
        await asyncio.gather(*(self._create(resource, obj) for resource, obj in missing))

    async def _apply(self, resource: Resource, obj: Object) -> None:
        """Create, or replace when the contents differ."""
        current = self._current(resource, obj)
        if current is None:
            await self._create(resource, obj)
        elif any(current.get(key) != obj[key] for key in obj if key != "metadata"):
            meta = obj["metadata"]
            await self._call("PUT", resource.path(meta.get("namespace", ""), meta["name"]), obj)

    async def _status(self, resource: Resource, name: str, status: Object) -> None:
        """Set the status of a cluster object that has none yet."""
        current = self._ctx.reader.get(resource.plural, resource.group, "", name)
        if current is not None and not (current.get("status") or {}).get("conditions"):
            path = resource.path("", name, "status")
            await self._call("PATCH", path, {"status": status}, "application/merge-patch+json")

    def _current(self, resource: Resource, obj: Object) -> Object | None:
        meta = obj["metadata"]
        return self._ctx.reader.get(resource.plural, resource.group, meta.get("namespace", ""), meta["name"])

    async def _create(self, resource: Resource, obj: Object) -> None:
        try:
            await self._call("POST", resource.path(obj["metadata"].get("namespace", "")), obj)
        except StatusError as error:
            # Another server of the same store may start at the same time.
            if error.reason != "AlreadyExists":
                raise

    async def _replace(self, path: str, obj: Object) -> None:
        try:
            await self._call("PUT", path, obj)
        except StatusError as error:
            # Somebody else has changed or deleted it meanwhile: it is looked at again.
            if error.reason not in ("Conflict", "NotFound"):
                raise

    async def _delete(self, path: str) -> None:
        try:
            await self._call("DELETE", path)
        except StatusError as error:
            # Another server was faster.
            if error.reason != "NotFound":
                raise

    async def _call(self, method: str, path: str, obj: Object | None = None, media: str = "application/json") -> None:
        await loopback.call(self._handler, method, path, obj, media)


def _resource(obj: Object) -> Resource:
    group, version = parse_api_version(obj["apiVersion"])
    found = registry.by_kind(group, version, obj["kind"])
    if found is None:
        raise LookupError(f"{obj['apiVersion']} {obj['kind']} is not served")
    return found
