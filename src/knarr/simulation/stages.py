"""Stages: what happens to a simulated node or pod, when, and how likely. Pure; read from YAML or built in.

The shape is that of KWOK's Stage (https://kwok.sigs.k8s.io/docs/user/stages-configuration/): a resource, a selector,
a weight, a delay, and what is next. Two things differ: keys are the paths of `paths` and not jq, and what is next is
data (`pod`, `node`, a merge patch of the status) and not a template in Go's language.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from knarr.apimachinery.types import Object
from knarr.simulation import paths

API_VERSION = "simulation.knarr.dev/v1alpha1"
KINDS = ("Node", "Pod")
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
_PHASES = ("Pending", "Running", "Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on what stands at a path."""

    path: tuple[paths.Step, ...]
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, obj: Object) -> bool:
        """Whether an object meets it. `In` wants one of the values there, `NotIn` none of them."""
        found = [_text(value) for value in paths.values(obj, self.path)]
        if self.operator == "Exists":
            return bool(found)
        if self.operator == "DoesNotExist":
            return not found
        return any(value in self.values for value in found) == (self.operator == "In")


@dataclass(frozen=True, slots=True)
class PodState:
    """What a pod's containers are made to look like."""

    phase: str = "Running"
    ready: bool = True
    exit_code: int = 0
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class NodeState:
    """Whether a node says that it is ready, and why."""

    ready: bool = True
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Next:
    """What a stage does: any of these, in this order."""

    event: Mapping[str, str] | None = None
    pod: PodState | None = None
    node: NodeState | None = None
    #: A merge patch of the object's status.
    status: Object | None = None
    #: The object is gone: a pod without grace.
    delete: bool = False
    #: Seconds for which a node neither renews its lease nor plays its pods, as if it had lost its network.
    silence: float = 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage. The delay is drawn between `delay` and `longest`, both in seconds."""

    name: str
    kind: str
    next: Next
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()
    weight: int = 1
    delay: float = 0.0
    longest: float = 0.0

    def selects(self, obj: Object) -> bool:
        """Whether the stage may come for an object as it is now."""
        meta = obj["metadata"]
        return (
            self.labels.items() <= (meta.get("labels") or {}).items()
            and self.annotations.items() <= (meta.get("annotations") or {}).items()
            and all(each.holds(obj) for each in self.requirements)
        )


def choose(stages: Iterable[Stage], obj: Object, seed: str) -> tuple[Stage, float] | None:
    """The stage that comes for an object, and after how many seconds; None if it rests.

    Several that select it are drawn by their weights. The draw hangs on the seed, the object and its state alone, so
    an event that changes nothing changes no plan.
    """
    fitting = [stage for stage in stages if stage.selects(obj)]
    if not fitting:
        return None
    names = ",".join(stage.name for stage in fitting)
    which, when = _draws(f"{seed}/{obj['metadata'].get('uid', '')}/{names}")
    stage = _weighted(fitting, which)
    return stage, stage.delay + when * max(stage.longest - stage.delay, 0.0)


def _draws(text: str) -> tuple[float, float]:
    """Two numbers in [0, 1) that hang on the text alone."""
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8]) / 2**64, int.from_bytes(digest[8:]) / 2**64


def _weighted(stages: Sequence[Stage], draw: float) -> Stage:
    left = draw * sum(stage.weight for stage in stages)
    for stage in stages:
        left -= stage.weight
        if left < 0:
            return stage
    return stages[0]


def load(documents: Iterable[Any]) -> tuple[Stage, ...]:
    """Stages out of the documents of a YAML file. Raises `ValueError` that says which one is wrong, and where."""
    stages: list[Stage] = []
    for number, document in enumerate(documents, 1):
        if document is None:
            continue
        try:
            stages.append(_stage(document))
        except (ValueError, TypeError) as error:
            raise ValueError(f"document {number}: {error}") from error
    if not stages:
        raise ValueError("no stage in it")
    return tuple(stages)


def _stage(document: Any) -> Stage:
    top = _Fields(document, "")
    if (top.take("apiVersion", str), top.take("kind", str)) != (API_VERSION, "Stage"):
        raise ValueError(f"expected apiVersion {API_VERSION} and kind Stage")
    name = top.within("metadata").take("name", str)
    spec = top.within("spec")
    resource, selector, delay = spec.within("resourceRef"), spec.within("selector"), spec.within("delay")
    kind = resource.one_of("kind", KINDS)
    shortest = delay.take("durationMilliseconds", int, 0) / 1000
    stage = Stage(
        name=name,
        kind=kind,
        next=_next(spec.within("next"), kind),
        labels=selector.take("matchLabels", dict, {}),
        annotations=selector.take("matchAnnotations", dict, {}),
        requirements=tuple(_requirement(each) for each in selector.list("matchExpressions")),
        weight=spec.take("weight", int, 1),
        delay=shortest,
        longest=delay.take("jitterDurationMilliseconds", int, 0) / 1000,
    )
    if stage.weight < 0 or shortest < 0:
        raise ValueError("spec.weight and spec.delay must not be negative")
    for part in (resource, selector, delay, spec, top):
        part.end()
    return stage


def _requirement(fields: _Fields) -> Requirement:
    path = paths.parse(fields.take("key", str))
    operator = fields.one_of("operator", _OPERATORS)
    values = tuple(_text(value) for value in fields.take("values", list, []))
    if bool(values) != (operator in ("In", "NotIn")):
        raise ValueError(f"{fields.path}.values: needed by In and NotIn, and by nothing else")
    fields.end()
    return Requirement(path, operator, values)


def _next(fields: _Fields, kind: str) -> Next:
    pod, node, event = fields.optional("pod"), fields.optional("node"), fields.optional("event")
    for part, wanted in ((pod, "Pod"), (node, "Node")):
        if part is not None and kind != wanted:
            raise ValueError(f"{part.path}: only for a stage of a {wanted}")
    silence = float(fields.take("silenceSeconds", int, 0))
    if silence and kind != "Node":
        raise ValueError(f"{fields.path}.silenceSeconds: only for a stage of a Node")
    out = Next(
        event=_event(event) if event else None,
        pod=_pod_state(pod) if pod else None,
        node=_node_state(node) if node else None,
        status=fields.take("status", dict, {}) or None,
        delete=fields.take("delete", bool, False),
        silence=silence,
    )
    if out == Next():
        raise ValueError(f"{fields.path}: says nothing: expected pod, node, status, event, delete or silenceSeconds")
    fields.end()
    return out


def _event(fields: _Fields) -> dict[str, str]:
    out = {"type": fields.one_of("type", ("Normal", "Warning"))}
    out.update({name: fields.take(name, str) for name in ("reason", "message")})
    fields.end()
    return out


def _pod_state(fields: _Fields) -> PodState:
    phase = fields.one_of("phase", _PHASES)
    out = PodState(
        phase=phase,
        ready=fields.take("ready", bool, phase == "Running"),
        exit_code=fields.take("exitCode", int, 1 if phase == "Failed" else 0),
        reason=fields.take("reason", str, ""),
        message=fields.take("message", str, ""),
    )
    fields.end()
    return out


def _node_state(fields: _Fields) -> NodeState:
    out = NodeState(fields.take("ready", bool), fields.take("reason", str, ""), fields.take("message", str, ""))
    fields.end()
    return out


_REQUIRED: Any = object()


class _Fields:
    """A mapping that is read field by field; what nobody asked for is an error."""

    def __init__(self, data: Any, path: str) -> None:
        if not isinstance(data, dict):
            raise ValueError(f"{path or 'the document'}: expected a mapping")
        self.path, self._rest = path, dict(data)

    def take(self, name: str, kind: type, default: Any = _REQUIRED) -> Any:
        """A field's value."""
        value = self._rest.pop(name, default)
        if value is _REQUIRED:
            raise ValueError(f"{self.path}.{name}: is missing")
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"{self.path}.{name}: expected {kind.__name__}, got {value!r}")
        return value

    def one_of(self, name: str, allowed: Sequence[str]) -> str:
        """A field that has one of a few values."""
        value: str = self.take(name, str)
        if value not in allowed:
            raise ValueError(f"{self.path}.{name}: {value!r} is none of {', '.join(allowed)}")
        return value

    def within(self, name: str) -> _Fields:
        """The mapping in a field, empty if it is absent."""
        return _Fields(self._rest.pop(name, {}), f"{self.path}.{name}")

    def optional(self, name: str) -> _Fields | None:
        """The mapping in a field; None if it is absent."""
        return self.within(name) if name in self._rest else None

    def list(self, name: str) -> list[_Fields]:
        """The mappings in a list."""
        found = self.take(name, list, [])
        return [_Fields(each, f"{self.path}.{name}[{index}]") for index, each in enumerate(found)]

    def end(self) -> None:
        """Raises `ValueError` for fields that nobody asked for."""
        if self._rest:
            raise ValueError(f"{self.path}.{next(iter(self._rest))}: unknown field")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
