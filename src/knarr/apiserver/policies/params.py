"""What a binding hands to its policy's expressions as `params`.

Input: the `paramKind` of the policy, the `paramRef` of the binding, the namespace of the request. Output: the objects,
each of which the policy is evaluated with; one None where the policy has no parameters.
"""

from __future__ import annotations

from knarr.apimachinery import labels
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.gvk import parse_api_version
from knarr.apimachinery.types import Object
from knarr.apiserver import projection
from knarr.apiserver.served import Scope, ServedResources
from knarr.apiserver.watch_cache import Entry

#: Decoded parameters that are kept: they are asked for with every request.
_KEPT = 256


class ConfigurationError(Exception):
    """A policy or a binding that cannot be used as it stands; the failure policy says what follows."""


class Params:
    """Finds parameters of any kind that the server serves. What it gives is shared: read-only."""

    def __init__(self, served: ServedResources) -> None:
        self._served = served
        self._scopes: dict[tuple[str, str], Scope] = {}
        self._generation = -1
        self._kept: dict[tuple[str, str], tuple[Entry, Object]] = {}

    def scope(self, kind: Object) -> Scope:
        """The resource of a `paramKind`. Raises `ConfigurationError`."""
        found = self._scope(kind)
        if found is None:
            group, version = parse_api_version(kind.get("apiVersion", ""))
            named = f"{group}/{version}, Kind={kind.get('kind', '')}"
            raise ConfigurationError(f"failed to find resource referenced by paramKind: '{named}'")
        return found

    def _scope(self, kind: Object) -> Scope | None:
        if self._generation != self._served.generation:
            self._scopes = {
                (scope.resource.api_version, scope.resource.kind): scope
                for scope in self._served
                if scope.collection is not None
            }
            self._generation = self._served.generation
        return self._scopes.get((kind.get("apiVersion", ""), kind.get("kind", "")))

    async def collect(self, kind: Object | None, ref: Object | None, namespace: str) -> list[Object | None]:
        """The parameters of a binding for a request in a namespace. Raises `ConfigurationError`."""
        if kind is None or ref is None:
            return [None]
        scope = self.scope(kind)
        place = _place(scope, ref, namespace)
        if ref.get("name"):
            entries = self._named(scope, place, ref["name"])
        else:
            entries = self._selected(scope, place, ref.get("selector"))
        found = [await self._decoded(scope, entry) for entry in entries]
        if not found and ref.get("parameterNotFoundAction") == "Deny":
            raise ConfigurationError("no params found for policy binding with `Deny` parameterNotFoundAction")
        return list(found)

    def _named(self, scope: Scope, namespace: str, name: str) -> list[Entry]:
        entry = scope.keep.entries.get(scope.prefix(namespace) + name)
        return [] if entry is None else [entry]

    def _selected(self, scope: Scope, namespace: str, selector: Object | None) -> list[Entry]:
        wanted = labels.from_object(selector)
        entries = scope.keep.range(scope.prefix(namespace))
        return [entry for entry in entries if wanted.matches(entry.head.metadata.labels)]

    async def _decoded(self, scope: Scope, entry: Entry) -> Object:
        """The object in the version that the policy names. Raises `ConfigurationError` where a webhook fails."""
        key = (scope.resource.api_version, entry.key)
        kept = self._kept.get(key)
        if kept is not None and kept[0] is entry:
            return kept[1]
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        try:
            obj = projection.served(scope, await projection.viewed(scope, entry))
        except StatusError as error:
            raise ConfigurationError(error.message) from error
        self._kept[key] = (entry, obj)
        return obj


def _place(scope: Scope, ref: Object, namespace: str) -> str:
    """The namespace in which parameters lie. Raises `ConfigurationError`."""
    given: str = ref.get("namespace") or ""
    if not scope.resource.namespaced:
        if given:
            raise ConfigurationError("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        return ""
    if not given and not namespace:
        raise ConfigurationError(
            "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
        )
    return given or namespace
