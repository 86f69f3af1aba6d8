"""The condition of flow schemas that tells whether their priority level exists."""

from __future__ import annotations

from knarr.api import registry
from knarr.apimachinery import field_sets, managed_fields, timestamps
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.managed_fields import Entry
from knarr.apimachinery.types import Object
from knarr.apiserver import guarded
from knarr.apiserver.context import Context
from knarr.apiserver.guarded import Target
from knarr.apiserver.watch_cache import Change, Collection
from knarr.component_base.tasks import Tasks

_MANAGER = "api-priority-and-fairness-config-consumer-v1"
_GROUP = "flowcontrol.apiserver.k8s.io"


class FlowStatus:
    """Keeps the condition `Dangling`; listens to the watch cache."""

    def __init__(self, ctx: Context, tasks: Tasks) -> None:
        self._ctx = ctx
        self._tasks = tasks

    def on_change(self, collection: Collection, change: Change) -> None:
        """Look at the schemas that a change concerns."""
        if collection.resource.group != _GROUP or change.deleted and collection.resource.plural == "flowschemas":
            return
        name = change.entry.head.metadata.name
        if collection.resource.plural == "flowschemas":
            self._tasks.start(self._look_at(name), "flow-schema")
        elif change.deleted or change.previous is None:
            for schema in self._ctx.reader.list("flowschemas", _GROUP):
                if _level(schema) == name:
                    self._tasks.start(self._look_at(schema["metadata"]["name"]), "flow-schema")

    async def _look_at(self, name: str) -> None:
        schema = self._ctx.reader.get("flowschemas", _GROUP, "", name)
        if schema is None or not self._differs(schema):
            return
        target = Target(self._ctx.served.of(registry.FLOWSCHEMAS), "", name)
        try:
            await guarded.change(self._ctx, target, self._with_condition)
        except StatusError as error:
            # It is gone meanwhile: nothing is left to say of it.
            if error.code != 404:
                raise

    def _differs(self, schema: Object) -> bool:
        conditions = (schema.get("status") or {}).get("conditions") or ()
        wanted = self._condition(schema)
        have: Object = next((item for item in conditions if item.get("type") == "Dangling"), {})
        return any(have.get(key) != wanted[key] for key in ("status", "reason", "message"))

    def _with_condition(self, schema: Object) -> Object:
        if not self._differs(schema):
            return schema
        status = schema.get("status") or {}
        others = [item for item in status.get("conditions") or () if item.get("type") != "Dangling"]
        condition = self._condition(schema)
        metadata = dict(schema["metadata"])
        managed_fields.put(metadata, _owner(schema["apiVersion"], condition))
        return {**schema, "metadata": metadata, "status": {**status, "conditions": [*others, condition]}}

    def _condition(self, schema: Object) -> Object:
        level = _level(schema)
        found = self._ctx.reader.get("prioritylevelconfigurations", _GROUP, "", level) is not None
        tail = "and it exists" if found else "but there is no such object"
        return {
            "type": "Dangling",
            "status": "False" if found else "True",
            "lastTransitionTime": timestamps.seconds(self._ctx.clock.now()),
            "reason": "Found" if found else "NotFound",
            "message": f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" {tail}',
        }


def _owner(api_version: str, condition: Object) -> Entry:
    """Kubernetes applies the condition: its manager owns it whole."""
    item = {field_sets.SELF: field_sets.LEAF, **{f"f:{name}": field_sets.LEAF for name in condition}}
    fields = {"f:status": {"f:conditions": {'k:{"type":"Dangling"}': item}}}
    return Entry(_MANAGER, managed_fields.APPLY, api_version, fields, "status", condition["lastTransitionTime"])


def _level(schema: Object) -> str:
    spec = schema.get("spec") or {}
    return str((spec.get("priorityLevelConfiguration") or {}).get("name", ""))
