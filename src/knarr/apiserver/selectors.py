"""Selecting objects by labels and fields, on the partially decoded heads of the cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from knarr.api.resources import Resource
from knarr.apimachinery import fields, labels
from knarr.apimachinery.errors import bad_request
from knarr.apimachinery.field import quote
from knarr.apiserver import selectable
from knarr.apiserver.selectable import Getter

Match = Callable[[Any], bool]
#: Requirements up to which it is worth looking for a shorter test.
_FEW = 16
#: Kinds with selectable fields of their own whose refusal differs from the common one.
_PLAIN_TEXT = "field label not supported: {}"
_WITH_KIND = "field label {} not supported for {}"


@dataclass(frozen=True, slots=True)
class Selectors:
    """A label and a field selector."""

    label: labels.Selector = labels.EVERYTHING
    field: fields.Selector = fields.EVERYTHING

    @property
    def is_everything(self) -> bool:
        """Whether every object is selected."""
        return self.label.is_everything and self.field.is_everything

    def one_label(self) -> tuple[str, str] | None:
        """A label and the value it must have, if there is such a demand: the first one."""
        return self.label.one_value

    @property
    def is_one_label(self) -> bool:
        """Whether `one_label` is all that is demanded, if there is one."""
        return len(self.label.requirements) == 1 and self.field.is_everything

    def compile(self, getters: Mapping[str, Getter]) -> Match | None:
        """A test on heads; None when every object passes."""
        if self.is_everything:
            return None
        label = self.label
        tests = [(getters.get(term.field, _namespace), term.value, term.negated) for term in self.field.terms]
        if not tests:
            return _by_labels(label)

        def matches(head: Any) -> bool:
            for get, value, negated in tests:
                if (get(head) == value) == negated:
                    return False
            return label.matches(head.metadata.labels)

        return matches


def _by_labels(selector: labels.Selector) -> Match:
    """A test of labels alone; the common ones, that a label has one value, without detours."""
    if len(selector.requirements) > _FEW:
        return lambda head: selector.matches(head.metadata.labels)
    pairs = [(item.key, selector.exact(item.key)) for item in selector.requirements]
    if len({key for key, _ in pairs}) < len(pairs) or any(value is None for _, value in pairs):
        return lambda head: selector.matches(head.metadata.labels)
    if len(pairs) == 1:
        key, value = pairs[0]
        return lambda head: (have := head.metadata.labels) is not None and have.get(key) == value

    def matches(head: Any) -> bool:
        have = head.metadata.labels
        return have is not None and all(have.get(key) == value for key, value in pairs)

    return matches


def transform_of(resource: Resource) -> fields.Transform:
    """Checks the field labels of a resource's field selectors. Raises `StatusError` 400 for unknown ones."""
    special = selectable.head_type(resource.group, resource.plural) is not selectable.Head
    if (resource.plural, resource.group) in _COMMON:
        special = False
    known = selectable.getters(resource.group, resource.plural, namespaced=resource.namespaced)
    if not special:
        known = {"metadata.name": known["metadata.name"]}

    renamed = _RENAMED.get((resource.plural, resource.group), {})
    known = {name: getter for name, getter in known.items() if name not in renamed.values() or name in _BY_ANY_NAME}

    def transform(name: str, value: str) -> tuple[str, str]:
        if name in renamed:
            return renamed[name], value
        if name in known:
            return name, value
        if name == "metadata.namespace" and not special:
            # Known to every kind; objects without namespaces have the empty one.
            return name, value
        raise bad_request(_refusal(resource, name, special=special))

    return transform


def custom_transform(resource: Resource) -> fields.Transform:
    """The same for a custom resource: the fields that its definition lists."""
    custom = resource.custom
    listed = {path.removeprefix(".") for path in (custom.selectable if custom is not None else ())}
    known = {"metadata.name", *(("metadata.namespace",) if resource.namespaced else ()), *listed}

    def transform(name: str, value: str) -> tuple[str, str]:
        if name in known:
            return name, value
        raise bad_request(_PLAIN_TEXT.format(name))

    return transform


def _refusal(resource: Resource, name: str, *, special: bool) -> str:
    if not special:
        return f'{quote(name)} is not a known field selector: only "metadata.name", "metadata.namespace"'
    if resource.group == "batch":
        return _WITH_KIND.format(quote(name), resource.kind)
    return _PLAIN_TEXT.format(name)


#: Names that some kinds' fields have in a version, and those they are kept under.
_RENAMED: dict[tuple[str, str], dict[str, str]] = {
    ("pods", ""): {"spec.host": "spec.nodeName"},
    ("events", "events.k8s.io"): {
        "reportingController": "reportingComponent",
        **{
            f"regarding.{part}": f"involvedObject.{part}"
            for part in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        },
    },
}
#: Those that are known under their own name as well.
_BY_ANY_NAME = frozenset({"spec.nodeName"})
#: Kinds whose own fields are kept for internal use: no conversion of their labels is registered.
_COMMON = frozenset({("replicasets", "apps")})


def _namespace(head: Any) -> str:
    """`metadata.namespace`, which may be asked of objects without one too."""
    text: str = head.metadata.namespace
    return text
