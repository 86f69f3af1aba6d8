"""What the pod worker remembers of one pod."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from knarr.api.semantics.pod_state import is_terminal
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.kubelet.podworker.model import Backoff, Record, Seen


class PodState:
    """The state of one pod. `host_ips` are the node's addresses."""

    def __init__(self, pod: Object, host_ips: tuple[str, ...] = ()) -> None:
        reported = pod.get("status") or {}
        self.pod = pod
        self.host_ips = host_ips
        self.uid = str(pod["metadata"]["uid"])
        self.records: dict[str, Record] = {}
        self.sandbox_id = ""
        self.sandbox_attempt = -1
        self.ips: tuple[str, ...] = ()
        self.start_time: datetime | None = timestamps.parse_optional(reported.get("startTime"))
        #: The kind of instruction that is under way: "", "prepare", "sandbox", "pull:NAME", "start:NAME".
        self.busy = ""
        self.prepared = False
        self.images: dict[str, str] = {}
        #: Ends that were seen before the start was answered, by container id.
        self.early: dict[str, Seen] = {}
        #: A `Resize` is under way.
        self.resizing = False
        self.retry = Backoff()
        self.not_before = 0.0
        #: "" → "stopping" → "sandbox" → "teardown" → "done".
        self.ending = ""
        self.grace: int | None = None
        self.failure: tuple[str, str] | None = None
        self.removed = False
        self.deleted = False
        self.cancelled = False
        #: Somebody else (an earlier kubelet, the pod collector) has reported the pod's end: it never runs again.
        self.foreign_end = is_terminal(pod)
        self.conditions: dict[str, Object] = {each["type"]: each for each in reported.get("conditions") or ()}
        self.read_spec()

    @property
    def finished(self) -> bool:
        """Nothing runs any more and nothing will."""
        return self.ending == "done"

    @property
    def deleting(self) -> bool:
        """The pod object is on its way out or gone."""
        return self.removed or "deletionTimestamp" in self.pod["metadata"]

    def of_kind(self, *kinds: str) -> list[Record]:
        """The containers of these kinds, in the spec's order."""
        return [record for record in self.records.values() if record.kind in kinds]

    def read_spec(self) -> None:
        """Bring the records up to the spec's containers; ephemeral ones may be added at any time."""
        for kind, each in containers(self.pod["spec"]):
            record = self.records.get(each["name"])
            if record is None:
                self.records[each["name"]] = Record(each, kind)
            else:
                record.spec = each


def containers(spec: Object) -> Iterator[tuple[str, Object]]:
    """(kind, container) of all containers: init ones first, ephemeral ones last."""
    for each in spec.get("initContainers") or ():
        yield "sidecar" if each.get("restartPolicy") == "Always" else "init", each
    for each in spec.get("containers") or ():
        yield "main", each
    for each in spec.get("ephemeralContainers") or ():
        yield "ephemeral", each
