"""The API server, assembled: a store, the watch cache that follows it, and the pipeline over both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from knarr.api import registry
from knarr.api.bootstrap.system import Endpoint
from knarr.apimachinery.errors import StatusError
from knarr.apiserver import bootstrap, cache_follower, health, late_admission, names
from knarr.apiserver.admission import plugins
from knarr.apiserver.admission.config import AdmissionConfig
from knarr.apiserver.admission_chain import AdmissionChain, Latencies
from knarr.apiserver.aggregation.aggregator import Aggregator
from knarr.apiserver.aggregation.backends import Identify
from knarr.apiserver.api_service_status import ApiServiceStatus
from knarr.apiserver.authn import building as authn
from knarr.apiserver.authn.settings import Around, AuthenticationSettings
from knarr.apiserver.authz.building import Building
from knarr.apiserver.authz.chain import FOLLOWED, AuthorizerChain
from knarr.apiserver.authz.settings import AuthorizationSettings
from knarr.apiserver.cache_reader import CacheReader, decode
from knarr.apiserver.context import Connector, Context
from knarr.apiserver.custom.controller import DefinitionController
from knarr.apiserver.custom.conversion import Webhooks
from knarr.apiserver.custom.registry import CustomResources, follow_definitions
from knarr.apiserver.custom_api_services import CustomApiServices
from knarr.apiserver.discovery import Discovery
from knarr.apiserver.event_expiry import EventExpiry
from knarr.apiserver.field_managers import FieldManagers
from knarr.apiserver.flow_status import FlowStatus
from knarr.apiserver.flowcontrol.control import FlowControl
from knarr.apiserver.health import Health
from knarr.apiserver.ip_addresses import IPAddresses
from knarr.apiserver.metrics import Metrics, look_at
from knarr.apiserver.nonresource import NonResource
from knarr.apiserver.pipeline import Pipeline
from knarr.apiserver.published_keys import PublishedKeys
from knarr.apiserver.quota_accounting import QuotaAccounting
from knarr.apiserver.repeats import Repeat
from knarr.apiserver.request import Request, Response
from knarr.apiserver.served import ServedResources
from knarr.apiserver.service_claims import ServiceClaims
from knarr.apiserver.services import ServiceHooks
from knarr.apiserver.tables import TablePrinter
from knarr.apiserver.token_uses import TokenUses
from knarr.apiserver.tokens import TokenRequests
from knarr.apiserver.watch_cache import Change, Collection, WatchCache
from knarr.apiserver.webhooks.client import WebhookClient
from knarr.apiserver.writer import Writer
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.http_server import Handler
from knarr.component_base.tasks import Tasks
from knarr.storage.store import Expiring, Store, StoreError

if TYPE_CHECKING:
    # A server without an audit policy needs none of it.
    from knarr.apiserver.audit.auditor import Auditor

if TYPE_CHECKING:
    from knarr.apiserver.openapi import OpenApi

_log = logs.get("apiserver")
_RANGES = ("servicecidrs", "networking.k8s.io")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What an API server is told. Keys and authorities are PEM."""

    #: Private keys that sign service-account tokens; the first signs, all verify.
    signing_keys: Sequence[bytes]
    service_cidr: str = "10.43.0.0/16"
    node_ports: tuple[int, int] = (30000, 32767)
    #: Under which address and port the cluster reaches this server.
    advertise_address: str = "127.0.0.1"
    port: int = 6443
    client_authority: str = ""
    proxy_authority: str = ""
    #: Gives a TLS context the client certificate by which other API servers know this one for a front proxy.
    identify_proxy: Identify | None = None
    authentication: AuthenticationSettings = AuthenticationSettings()
    authorization: AuthorizationSettings = AuthorizationSettings()
    admission: AdmissionConfig = AdmissionConfig()
    #: (plural, subresource) → handler, for what leads to kubelets, pods and services.
    connectors: dict[tuple[str, str], Connector] = field(default_factory=dict)
    #: Other servers write to the same store.
    shared_store: bool = False
    #: Writes requests down.
    auditor: Auditor | None = None


class ApiServer:
    """A running API server. `handler` answers every request, `quick` those that need no waiting."""

    def __init__(self, ctx: Context, pipeline: Pipeline, checks: Health, tasks: Tasks) -> None:
        self.ctx = ctx
        self.pipeline = pipeline
        self.health = checks
        self.tasks = tasks
        #: Tells the other servers that this one ends.
        self.leave: Callable[[], Awaitable[None]] = _nobody
        #: Tells the cluster of another authority for client certificates (PEM).
        self.trust: Callable[[str], Awaitable[None]]

    async def handler(self, request: Request) -> Response:
        """Answer a request."""
        return await self.pipeline.handle(request)

    def quick(self, request: Request) -> Response | None:
        """Answer a cached read at once, else None."""
        return self.pipeline.quick(request)

    def repeat(self, request: Request, response: Response) -> Repeat | None:
        """What answers the same request of the same client again, if anything."""
        return self.pipeline.repeat(request, response)

    async def close(self) -> None:
        """Stop following the store. The store itself stays open: it is the caller's."""
        self.health.shutting_down = True
        try:
            await self.leave()
        except (StatusError, StoreError) as error:
            # The others notice when the lease ends.
            _log.warning("ends without a farewell", error=error)
        await self.tasks.close()
        await self.ctx.webhook_client.close()


async def _nobody() -> None:
    """There are no other servers."""


async def build(config: ServerConfig, store: Store, clock: Clock) -> ApiServer:
    """An API server over a store: loads what is there, writes what every cluster has. Raises `StatusError`."""
    checks = Health()
    cache = WatchCache()
    tasks = Tasks()
    signer = config.authentication.signer(config.signing_keys)
    uses = TokenUses(clock, tasks)
    ctx = _context(config, store, cache, Around(signer, CacheReader(cache), clock, tasks, uses.note))
    served = ctx.served
    following = await cache_follower.follow(store, cache, tasks, clock)
    custom = _custom_resources(ctx, tasks)
    checks.store_answers = lambda: not following.broken
    checks.done(health.STORE)
    _let_decide(ctx, config, tasks)
    repair_numbers = _give_numbers(ctx, config, tasks)
    for listener in (FlowStatus(ctx, tasks).on_change, ctx.flow_control.on_change):
        cache.listen(listener, registry.FLOWSCHEMAS.group)
    cache.listen(_follower(ctx), *(group for _, group in FOLLOWED))
    checks.done(health.CACHE)
    address = f"{config.advertise_address}:{config.port}"
    look_at(ctx.metrics, served, checks, ctx.flow_control)
    keys = PublishedKeys(signer, config.authentication.jwks_uri)
    nonresource = NonResource(Discovery(served, lambda: address, ctx.aggregator), checks, ctx.metrics, keys)
    nonresource.openapi = _openapi(ctx, clock)
    server = ApiServer(ctx, Pipeline(ctx, nonresource), checks, tasks)
    uses.handler = server.handler
    settings = bootstrap.Settings(
        service_cidr=config.service_cidr,
        endpoint=Endpoint(config.advertise_address, config.port),
        client_authority=config.client_authority,
        proxy_authority=config.proxy_authority,
    )
    try:
        beginning = bootstrap.Bootstrap(ctx, server.handler, settings, checks)
        await beginning.run()
        # Not before: what a server needs to begin must not depend on what only a running one leads to.
        _ask_outside(ctx, config.admission, tasks)
        server.leave, server.trust = beginning.leave, beginning.trust
        tasks.forever(beginning.keep, "system-objects")
        await repair_numbers()
        DefinitionController(ctx, custom, server.handler, tasks).start()
        await _keep_available(ctx, server.handler, tasks)
        CustomApiServices(ctx, server.handler, tasks).start()
        if not isinstance(store, Expiring):
            tasks.forever(EventExpiry(ctx).run, "event-expiry")
    except (StatusError, StoreError):
        await server.close()
        raise
    return server


def _let_decide(ctx: Context, config: ServerConfig, tasks: Tasks) -> None:
    """Ask the authorizers that the configuration names. Raises `ValueError`, `OSError`."""
    building = Building(ctx.authorizers, ctx.clock, tasks)
    building.use(config.authorization)
    building.follow(config.authorization)
    ctx.authorizers.load(ctx.reader)


def _ask_outside(ctx: Context, config: AdmissionConfig, tasks: Tasks) -> None:
    """Have writes admitted by policies, webhooks and quotas, too."""
    late_admission.add(ctx, config.disabled)
    if QuotaAccounting.name not in config.disabled:
        ctx.admission.add(QuotaAccounting(ctx, tasks, config.limited))


def _custom_resources(ctx: Context, tasks: Tasks) -> CustomResources:
    """Serve custom resources, now and from now on."""
    webhooks = Webhooks(ctx.webhook_client, tasks, ctx.clock)
    ctx.field_manager = FieldManagers(ctx.clock, webhooks.converted)
    return follow_definitions(ctx.served, ctx.cache, webhooks)


def _give_numbers(ctx: Context, config: ServerConfig, tasks: Tasks) -> Callable[[], Awaitable[None]]:
    """Allocate cluster IPs and node ports from now on; gives what puts right what an earlier end left undone."""
    hooks = ServiceHooks(config.service_cidr, config.node_ports)
    hooks.load(ctx.reader.list("services", ""))

    def on_range(collection: Collection, change: Change) -> None:
        if (collection.resource.plural, collection.resource.group) == _RANGES:
            hooks.follow_ranges(ctx.reader.list(*_RANGES))

    hooks.follow_ranges(ctx.reader.list(*_RANGES))
    ctx.cache.listen(on_range, _RANGES[1])
    ctx.hooks["services", ""] = hooks
    addresses = IPAddresses(ctx, tasks)
    if not config.shared_store:
        ctx.cache.listen(addresses.on_change, "")
        return addresses.repair
    hooks.claims = claims = ServiceClaims(ctx, hooks, addresses, tasks)
    ctx.cache.listen(claims.on_change, "")
    tasks.forever(claims.repair_forever, "service-claims")
    return claims.repair


async def _keep_available(ctx: Context, handler: Handler, tasks: Tasks) -> None:
    """Tell of every APIService whether it can be reached, from now on."""
    available = ApiServiceStatus(ctx, handler, tasks)
    await available.repair()
    ctx.cache.listen(available.on_change)
    ctx.metrics.registry.add(*available.families)


def _openapi(ctx: Context, clock: Clock) -> Callable[[Request], Awaitable[Response | None]]:
    """Answers OpenAPI documents. What makes them is loaded when somebody asks for one."""
    made: list[OpenApi] = []

    async def answer(request: Request) -> Response | None:
        if not made:
            from knarr.apiserver.openapi import OpenApi

            made.append(OpenApi(ctx.served, clock, ctx.aggregator))
        return await made[0](request)

    return answer


def _context(config: ServerConfig, store: Store, cache: WatchCache, around: Around) -> Context:
    served = ServedResources(cache)
    served.add_all(registry.RESOURCES)
    reader, clock = CacheReader(cache), around.clock
    authorizers = AuthorizerChain()
    metrics = Metrics()
    if config.auditor is not None:
        metrics.registry.add(*config.auditor.metrics.families)
    latencies = Latencies(metrics.admission, metrics.admission_steps)
    return Context(
        store=store,
        cache=cache,
        clock=clock,
        served=served,
        reader=reader,
        authenticator=authn.build(config.authentication, around),
        authorizers=authorizers,
        admission=AdmissionChain(
            plugins.build(authorizers, names.suffix, config.admission, metrics.pod_security), latencies
        ),
        writer=Writer(store, cache, metrics.store),
        token_requests=TokenRequests(around.signer, reader, config.authentication.terms),
        metrics=metrics,
        flow_control=FlowControl(reader),
        webhook_client=WebhookClient(reader),
        aggregator=Aggregator(cache.collection(registry.APISERVICES), reader, config.identify_proxy),
        connectors=dict(config.connectors),
        shared_store=config.shared_store,
        tables=TablePrinter(clock),
        field_manager=FieldManagers(clock),
        auditor=config.auditor,
    )


def _follower(ctx: Context) -> Callable[[Collection, Change], None]:
    """Keeps authorizers and authenticator current."""
    followed = frozenset(FOLLOWED)

    def follow(collection: Collection, change: Change) -> None:
        resource = collection.resource
        key = (resource.plural, resource.group)
        if key in followed and not (key == _PODS and _keeps_graph(change)):
            event = "DELETED" if change.deleted else "ADDED" if change.previous is None else "MODIFIED"
            ctx.authorizers.on_event(resource.plural, resource.group, event, decode(collection, change.entry))
        if change.deleted and key in (("serviceaccounts", ""), ("secrets", "")):
            ctx.authenticator.tokens.forget()

    return follow


_PODS = ("pods", "")


def _keeps_graph(change: Change) -> bool:
    """Whether a pod's change is none to the node authorizer; told without decoding the pod, for there are many.

    Nobody but ephemeral containers and resource claims adds references to a pod that is on a node. Source: plugin/pkg/
    auth/authorizer/node (graph_populator.go, updatePod).
    """
    if change.deleted:
        return False
    node = change.entry.head.spec.nodeName
    if not node:
        return True
    previous, body = change.previous, change.entry.body
    if previous is None or previous.head.spec.nodeName != node:
        return False
    return b'"ephemeralContainers"' not in body and b"esourceClaimStatus" not in body
