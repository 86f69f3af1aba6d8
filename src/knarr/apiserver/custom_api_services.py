"""Keeps an APIService for every served version of custom resources, and none for what is gone.

Source: pkg/controlplane/controller/crdregistration, k8s.io/kube-aggregator/pkg/controllers/autoregister.
"""

from __future__ import annotations

from knarr.api import registry
from knarr.api.bootstrap import system
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver import loopback
from knarr.apiserver.cache_reader import decode
from knarr.apiserver.context import Context
from knarr.apiserver.watch_cache import Change, Collection
from knarr.apiserver.worklist import Worklist
from knarr.component_base.http_server import Handler
from knarr.component_base.tasks import Tasks

_API_SERVICES = (registry.APISERVICES.plural, registry.APISERVICES.group)
#: Another server was faster, or the user.
_SETTLED = frozenset({"AlreadyExists", "NotFound", "Conflict"})


class CustomApiServices:
    """Writes the APIServices of custom groups, one group after the other."""

    def __init__(self, ctx: Context, handler: Handler, tasks: Tasks) -> None:
        self._ctx = ctx
        self._handler = handler
        self._tasks = tasks
        #: The versions that the definitions of a group serve, by name of the definition.
        self._versions: dict[str, dict[str, frozenset[str]]] = {}
        self._worklist = Worklist(self._settle)

    def start(self) -> None:
        """Put right what is not, and follow changes from now on."""
        definitions = registry.CUSTOMRESOURCEDEFINITIONS
        for crd in self._ctx.reader.list(definitions.plural, definitions.group):
            self._note(crd)
        for api_service in self._ctx.reader.list(*_API_SERVICES):
            if _is_ours(api_service):
                self._worklist.want(api_service["spec"]["group"])
        self._ctx.cache.listen(self.on_change, registry.CUSTOMRESOURCEDEFINITIONS.group, registry.APISERVICES.group)
        self._tasks.forever(self._worklist.work, "custom-api-services")

    def on_change(self, collection: Collection, change: Change) -> None:
        """Look at the group that a change is about."""
        resource = collection.resource
        if resource is registry.CUSTOMRESOURCEDEFINITIONS:
            if change.deleted:
                self._drop(change.entry.head.metadata.name)
            else:
                self._note(decode(collection, change.entry))
        elif resource is registry.APISERVICES:
            group = change.entry.head.metadata.name.partition(".")[2]
            if group in self._versions:
                self._worklist.want(group)

    def _note(self, crd: Object) -> None:
        spec, name = crd["spec"], crd["metadata"]["name"]
        versions = frozenset(one["name"] for one in spec["versions"] if one.get("served")) if _stands(crd) else ()
        known = self._versions.setdefault(spec["group"], {})
        if known.get(name) != versions:
            known[name] = frozenset(versions)
            self._worklist.want(spec["group"])

    def _drop(self, name: str) -> None:
        group = name.partition(".")[2]
        self._versions.get(group, {}).pop(name, None)
        self._worklist.want(group)

    async def _settle(self, group: str) -> None:
        """Make what is missing in a group, and delete what is too much. Raises `StatusError`."""
        definitions = self._versions.get(group, {})
        wanted = frozenset[str]().union(*definitions.values())
        if not definitions:
            self._versions.pop(group, None)
        for version in sorted(wanted):
            await self._ensure(system.custom_api_service(group, version))
        for name in self._unwanted(group, wanted):
            await self._call("DELETE", registry.APISERVICES.path("", name))

    async def _ensure(self, wanted: Object) -> None:
        """Make an APIService, or have it say again what it should; one that the user has made his own stays his."""
        name = wanted["metadata"]["name"]
        found = self._ctx.reader.get(*_API_SERVICES, "", name)
        if found is None:
            await self._call("POST", registry.APISERVICES.path(), wanted)
        elif _is_managed(found) and found["spec"] != wanted["spec"]:
            await self._call("PUT", registry.APISERVICES.path("", name), {**found, "spec": wanted["spec"]})

    def _unwanted(self, group: str, wanted: frozenset[str]) -> list[str]:
        collection = self._ctx.cache.collection(registry.APISERVICES)
        ending = f".{group}"
        found = [one for key, one in collection.entries.items() if key.endswith(ending)]
        objects = [decode(collection, one) for one in found]
        return [
            one["metadata"]["name"]
            for one in objects
            if one["spec"].get("group") == group and one["spec"]["version"] not in wanted and _is_ours(one)
        ]

    async def _call(self, method: str, path: str, obj: Object | None = None) -> None:
        try:
            await loopback.call(self._handler, method, path, obj)
        except StatusError as error:
            if error.reason not in _SETTLED:
                raise


def _is_managed(api_service: Object) -> bool:
    return (api_service["metadata"].get("labels") or {}).get(system.AUTOMANAGED) == "true"


def _is_ours(api_service: Object) -> bool:
    return _is_managed(api_service) and not api_service["spec"].get("service")


def _stands(crd: Object) -> bool:
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Established" and one.get("status") == "True" for one in conditions)
