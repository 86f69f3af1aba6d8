"""What an expression may refer to: variables with their types, and objects that it may construct."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from knarr.api.cel import objects, types
from knarr.api.cel.checker import Declarations
from knarr.api.cel.declarations import functions
from knarr.api.cel.declared import declared_type
from knarr.api.cel.types import Field, Type
from knarr.apimachinery.types import Object


@dataclass(frozen=True, slots=True)
class Environment:
    """What an expression may refer to.

    `variables`: name and type, sorted; types are written as in messages (`object` `dyn`, `list(string)`), or are
    names of Kubernetes' objects (`kubernetes.AdmissionRequest`, `kubernetes.Namespace`, `kubernetes.DRADevice`). Fields
    of a variable may stand there as well (`variables.a` `int`); `closed` names those of which only the listed fields
    exist. `constructs`: objects that may be built, unchecked (`Object`, `JSONPatch`). `devices`: what
    selectors of devices have besides (`cel.bind`, `includes`). `declared`: variables of types made of schemas.
    """

    variables: tuple[tuple[str, str], ...]
    closed: frozenset[str] = frozenset()
    constructs: tuple[str, ...] = ()
    devices: bool = False
    declared: Mapping[str, Type] | None = field(default=None, hash=False)

    def with_variable(self, name: str, kind: str) -> Environment:
        """The same with one more."""
        return replace(self, variables=tuple(sorted({**dict(self.variables), name: kind}.items())))

    def without(self, *names: str) -> Environment:
        """The same without some."""
        return replace(self, variables=tuple(pair for pair in self.variables if pair[0] not in names))

    def closing(self, name: str) -> Environment:
        """The same with a variable of which there are no fields but those of their own."""
        return replace(self, closed=self.closed | {name})


def schema_environment(schema: Object, *, root: bool = False, optional_old: bool = False) -> Environment:
    """That of rules about values of a structural schema: `self` and `oldSelf`, the latter optional where asked for.

    `root` tells that it is the schema of whole objects (or embedded ones). Keep it: it is built anew each time.
    """
    return environment_about({"self": schema, "oldSelf": schema}, root=root, optional_old=optional_old)


def environment_about(shapes: Mapping[str, Object], *, root: bool = False, optional_old: bool = False) -> Environment:
    """That of expressions about values of known schemas: variable → its JSON schema."""
    made: dict[int, Type] = {}
    for shape in shapes.values():
        if id(shape) not in made:
            made[id(shape)] = declared_type(shape, "selfType", root=root) or types.DYN
    kinds = {name: made[id(shape)] for name, shape in shapes.items()}
    if optional_old and "oldSelf" in kinds:
        kinds["oldSelf"] = types.optional_of(kinds["oldSelf"])
    return Environment((), declared=kinds)


def shapes_of(environment: Environment) -> dict[str, Object]:
    """The schemas of variables, where there are any; those of whole objects with what all objects have."""
    kinds = {name: _held(kind) for name, kind in (environment.declared or {}).items()}
    return {name: kind.shape for name, kind in kinds.items() if kind.shape is not None}


def _held(kind: Type) -> Type:
    return kind.params[0] if types.is_optional(kind) else kind


def declarations(environment: Environment) -> Declarations:
    """What the checker needs to know; kept for environments without schemas."""
    return _declarations(environment) if environment.declared is None else _made(environment)


@cache
def _declarations(environment: Environment) -> Declarations:
    return _made(environment)


def _made(environment: Environment) -> Declarations:
    kinds: dict[str, Type] = dict(environment.declared or {})
    fields: dict[str, dict[str, Type]] = {}
    given = {**dict.fromkeys(environment.closed, "dyn"), **dict(environment.variables)}
    for name, text in sorted(given.items(), key=lambda pair: pair[0].count("."), reverse=True):
        holder, _, last = name.rpartition(".")
        kind = _kind(name, text, fields.get(name), closed=name in environment.closed)
        if holder in given and given[holder] == "dyn":
            fields.setdefault(holder, {})[last] = kind
        else:
            # One whose holder is something of its own stays a name with a dot (`authorizer.requestResource`).
            kinds[name] = kind
    extra = "devices" if environment.devices else "patches" if environment.constructs else ""
    allowed = frozenset(environment.constructs)
    return Declarations(kinds, functions(extra), lambda name: objects.constructed(name, allowed))


def _kind(name: str, text: str, fields: dict[str, Type] | None, *, closed: bool) -> Type:
    if fields or closed:
        return _holder(name, fields or {}, closed=closed)
    known = objects.KNOWN.get(text)
    return types.parse(text) if known is None else known


def _holder(name: str, fields: Mapping[str, Type], *, closed: bool) -> Type:
    def find(key: str) -> Field | None:
        kind = fields.get(key)
        return None if kind is None and closed else Field(kind or types.DYN, key)

    return Type("object", f"kubernetes.{name}", find=find)
