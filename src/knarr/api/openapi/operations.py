"""What an operation and a path are, before a document of one version is made of them.

Names, parameters and media types are kube-apiserver's, so that generated clients look alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from knarr.api.openapi.parameters import Parameter, ordered

JSON, YAML, PROTOBUF, CBOR = (
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/cbor",
)
#: Media types in the order of v2 documents; v3 documents sort them.
MEDIA = (JSON, YAML, PROTOBUF, CBOR)
STREAMED = (*MEDIA, f"{JSON};stream=watch", f"{PROTOBUF};stream=watch", "application/cbor-seq")
DISCOVERED = (JSON, YAML, PROTOBUF)
ANY = ("*/*",)
PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "application/apply-patch+cbor",
)
#: Those of custom resources.
PLAIN = (JSON, YAML)
PLAIN_PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")
OK, MADE, TAKEN = "200", "201", "202"
TEXTS = {OK: "OK", MADE: "Created", TAKEN: "Accepted"}
#: The answer of operations that give text.
TEXT = "string"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. Types are named as in the tables (`core.v1.Pod`)."""

    id: str
    tag: str
    description: str
    #: Type of the answer, `TEXT`, or empty when there is none.
    answer: str
    produces: tuple[str, ...] = MEDIA
    #: What the v2 document says is taken.
    consumes: tuple[str, ...] = ANY
    #: Type of the body; empty for none.
    body: str = ""
    optional_body: bool = False
    codes: tuple[str, ...] = (OK,)
    parameters: frozenset[Parameter] = frozenset()
    #: `x-kubernetes-action`; empty where no resource is concerned.
    action: str = ""
    #: Group, version and kind that the action is about.
    gvk: tuple[str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class PathItem:
    """The operations of one path by method; parameters that all of them have stand once, on the path."""

    operations: Mapping[str, Operation]
    shared: tuple[Parameter, ...] = field(init=False)

    def __post_init__(self) -> None:
        common = frozenset.intersection(*(each.parameters for each in self.operations.values()))
        object.__setattr__(self, "shared", ordered(common))

    def own(self, operation: Operation) -> tuple[Parameter, ...]:
        """The parameters that only this operation has."""
        return ordered(operation.parameters.difference(self.shared))


def types_of(items: Collection[PathItem]) -> frozenset[str]:
    """Every type that the operations name."""
    found = {name for item in items for each in item.operations.values() for name in (each.answer, each.body)}
    return frozenset(found - {"", TEXT})
