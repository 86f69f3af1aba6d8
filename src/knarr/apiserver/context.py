"""What the handlers of one API server share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.apiserver.admission_chain import AdmissionChain
from knarr.apiserver.aggregation.aggregator import Aggregator
from knarr.apiserver.authn.authenticator import Authenticator
from knarr.apiserver.authz.chain import AuthorizerChain
from knarr.apiserver.cache_reader import CacheReader
from knarr.apiserver.fanout import Fanouts
from knarr.apiserver.flowcontrol.control import FlowControl
from knarr.apiserver.hooks import Hook
from knarr.apiserver.impersonation import Impersonation
from knarr.apiserver.kept_lists import KeptLists
from knarr.apiserver.metrics import Metrics
from knarr.apiserver.request import Request, Response
from knarr.apiserver.served import Scope, ServedResources
from knarr.apiserver.tokens import TokenRequests
from knarr.apiserver.watch_cache import WatchCache
from knarr.apiserver.webhooks.client import WebhookClient
from knarr.apiserver.writer import Writer
from knarr.component_base.clock import Clock
from knarr.storage.store import Store

if TYPE_CHECKING:
    # A server without an audit policy needs none of it.
    from knarr.apiserver.audit.auditor import Auditor

#: Answers a subresource that leads out of the API server: `log`, `exec`, `attach`, `portforward`, `proxy`.
Connector = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Apply:
    """How a configuration is applied: by whom, to which subresource, and whether conflicts are overruled."""

    manager: str
    subresource: str = ""
    force: bool = False


class FieldManager(Protocol):
    """Keeps `metadata.managedFields`; called once in the path of every write."""

    def update(self, resource: Resource, obj: Object, old: Object | None, manager: str, subresource: str) -> None:
        """Note what `manager` changed, in place. `old` is None for a new object."""
        ...

    def apply(self, resource: Resource, config: Object, old: Object | None, how: Apply) -> Object:
        """The canonical object that a server-side apply makes of `old`, managed fields set. Raises `StatusError`."""
        ...

    def apply_scale(self, resource: Resource, config: Object, old: Object, how: Apply) -> Object:
        """The workload `old` after an apply to its Scale. Raises `StatusError`."""
        ...


class Tables(Protocol):
    """Makes `Table` objects for printing."""

    def table(self, scope: Scope, objects: list[Object], options: Mapping[str, str]) -> Object:
        """A `meta.k8s.io/v1` Table without list metadata. `options` is the query (`includeObject`)."""
        ...


@dataclass(slots=True)
class Context:
    """One API server's parts."""

    store: Store
    cache: WatchCache
    clock: Clock
    served: ServedResources
    reader: CacheReader
    authenticator: Authenticator
    authorizers: AuthorizerChain
    admission: AdmissionChain
    writer: Writer
    token_requests: TokenRequests
    metrics: Metrics
    flow_control: FlowControl
    #: Calls webhooks of every kind.
    webhook_client: WebhookClient
    #: Other API servers behind this one.
    aggregator: Aggregator
    impersonation: Impersonation = field(default_factory=Impersonation)
    hooks: dict[tuple[str, str], Hook] = field(default_factory=dict)
    fanouts: Fanouts = field(default_factory=Fanouts)
    lists: KeptLists = field(default_factory=KeptLists)
    #: (plural, subresource) → handler.
    connectors: dict[tuple[str, str], Connector] = field(default_factory=dict)
    field_manager: FieldManager | None = None
    tables: Tables | None = None
    #: Other servers write to the store as well: fresh reads wait for its revision.
    shared_store: bool = False
    #: Writes requests down; None where nobody wants that.
    auditor: Auditor | None = None
