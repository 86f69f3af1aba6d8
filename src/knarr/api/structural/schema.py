"""A version's schema at work: what becomes of an object that is sent, stored or read, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from knarr.api.structural import causes, defaulting, embedded, lists, pruning
from knarr.api.structural.effort import Effort
from knarr.api.structural.node import Node
from knarr.api.structural.ownership import ownership
from knarr.api.structural.validity import Check, checker
from knarr.apimachinery import field
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.field_schema import FieldSchema
from knarr.apimachinery.types import Object

if TYPE_CHECKING:
    from knarr.api.structural.compiled_rules import RuleTree

#: Errors after which rules are not run: the rules may count on the shape that the schema gives.
_BLOCKING = frozenset(
    {"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"}
)
_UNCHECKED = (
    "some validation rules were not checked because the object was invalid;"
    " correct the existing errors to complete validation"
)


_RULES = "x-kubernetes-validations"


class Schema:
    """The structural schema of one version of a custom resource. Objects that are given are never changed."""

    def __init__(self, openapi: Object) -> None:
        # What an object is called and its metadata are not the schema's.
        self.root = Node(openapi, embedded=True)

    @classmethod
    def compile(cls, openapi: Object | None) -> Schema:
        """The schema of an `openAPIV3Schema` as the definition holds it; it is kept, not copied."""
        return cls(openapi or {"type": "object", "x-kubernetes-preserve-unknown-fields": True})

    def prune(self, obj: Object) -> tuple[Object, list[str]]:
        """The object without unknown fields and stray nulls, and the paths of the unknown fields, sorted."""
        return pruning.prune(self.root, obj)

    def default(self, obj: Object) -> Object:
        """The object with the schema's defaults: of what was sent, and of what was stored without them."""
        found: Object = defaulting.fill(self.root, obj)
        return found

    def accept(self, obj: Object) -> tuple[Object, list[str]]:
        """An object as it was sent (its own metadata is the caller's), pruned, coerced and with defaults.

        Gives the paths of unknown fields, for `fieldValidation`. Raises `embedded.FieldFault` for malformed metadata of
        an object within.
        """
        pruned, unknown = self.prune(obj)
        coerced, inside = embedded.coerce(self.root, pruned)
        return self.default(coerced), unknown + inside

    def restore(self, obj: Object) -> Object:
        """An object as it was stored, in the form of this schema."""
        return self.default(embedded.coerce(self.root, self.prune(obj)[0], lenient=True)[0])

    @cached_property
    def ownership(self) -> FieldSchema:
        """What managed fields and server-side apply must know."""
        return ownership(self.root)

    def validate(
        self,
        obj: Object,
        old: Object | None = None,
        *,
        head: Sequence[FieldError] = (),
        scale: Sequence[FieldError] = (),
        effort: Effort | None = None,
    ) -> list[FieldError]:
        """All that is wrong with an object, in the real server's order; on update unchanged faults pass.

        `head` are the errors found in its kind, version and metadata, `scale` those of its Scale's numbers: they stand
        among the others and count when it is decided whether rules are run. Raises `TooDearError` where `effort` is
        quick and rules cost more than that.
        """
        errors = [*head, *self._faults(self.root, obj, old, "")]
        errors += [*scale, *embedded.faults(self.root, obj)]
        errors += self._repeated(obj, old)
        return errors + self._broken_rules(errors, obj, old, effort or Effort())

    def validate_status(
        self,
        obj: Object,
        old: Object,
        *,
        head: Sequence[FieldError] = (),
        scale: Sequence[FieldError] = (),
        effort: Effort | None = None,
    ) -> list[FieldError]:
        """The same of an update of the status."""
        errors = [*head]
        node = self.root.field("status")
        if node is not None and "status" in obj:
            errors += self._faults(node, obj["status"], old.get("status"), "status", update=True)
        errors += scale
        errors += self._repeated(obj, old)
        return errors + self._broken_rules(errors, obj, old, effort or Effort())

    def _faults(self, node: Node, value: Any, old: Any, prefix: str, *, update: bool = False) -> list[FieldError]:
        check = self._status_check if prefix else self._check
        if check(value):
            return []
        return causes.faults(node, value, old=old, update=update or old is not None, prefix=prefix)

    @cached_property
    def _check(self) -> Check:
        return checker(self.root.schema)

    @cached_property
    def _status_check(self) -> Check:
        node = self.root.field("status")
        return checker(node.schema if node is not None else {})

    def _repeated(self, obj: Object, old: Object | None) -> list[FieldError]:
        """Items that stand twice; none where the old object had such too."""
        found = lists.repeated(self.root, obj)
        return [] if found and old is not None and lists.repeated(self.root, old) else found

    def _broken_rules(
        self, errors: Sequence[FieldError], obj: Object, old: Object | None, effort: Effort
    ) -> list[FieldError]:
        if not self.root.has_below(_RULES):
            return []
        if any(error.reason in _BLOCKING for error in errors):
            return [field.invalid("<nil>", None, _UNCHECKED)]
        # CEL is loaded with the first rule.
        from knarr.api.structural.rules import broken

        return broken(self._rules, obj, old, effort)

    @cached_property
    def _rules(self) -> RuleTree:
        from knarr.api.structural.compiled_rules import RuleTree

        return RuleTree(self.root, whole=True)
