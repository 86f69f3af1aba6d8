"""The schema of one version of a definition: structure, defaults, what is supported, rules and their cost.

Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go.
"""

from __future__ import annotations

from dataclasses import dataclass

from knarr.api.definitions.defaults import default_faults
from knarr.api.definitions.structure import below, structural_faults, unsupported
from knarr.api.definitions.supported import Context, Supported, broken_keys, has_open_set
from knarr.api.structural import formats
from knarr.api.validation.checks import Errors
from knarr.api.validation.go_values import internal
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_SCHEMA = "apiextensions.v1.JSONSchemaProps"
#: Go's names of what may stand at the root where the status is a part of its own.
_AT_ROOT = (
    "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern"
    " MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields"
    " XValidations"
)
_ONLY = f"only [{_AT_ROOT}] fields are allowed at the root of the schema if the status subresource is enabled"
_ONLY_OBJECT = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'


@dataclass(frozen=True, slots=True)
class Leniency:
    """What is not asked of a changed definition, for the stored one has it too.

    `defaults`: unknown fields in defaults; `sets`: sets of objects that are not atomic; `keys`: keys that an item may
    lack; `types`: types that there are not; `costs`: rules that are too dear, where the schema did not change.
    """

    defaults: bool = False
    sets: bool = False
    keys: bool = False
    types: bool = False
    costs: bool = False


def leniency(schemas: list[Object], *, unchanged: bool) -> Leniency:
    """That of an update, given the schemas of the stored definition's versions."""
    every = [one for schema in schemas for one in _all(schema)]
    return Leniency(
        defaults=any(_has_unpruned(schema) for schema in schemas),
        sets=any(has_open_set(one) for one in every),
        keys=any(broken_keys(one, "") for one in every),
        types=any(Supported.has_unknown_type(one) for one in every),
        costs=unchanged,
    )


def _all(schema: Object) -> list[Object]:
    found, at = [schema], 0
    while at < len(found):
        found.extend(below(found[at]))
        at += 1
    return found


def _has_unpruned(schema: Object) -> bool:
    if not any(one.get("default") is not None for one in _all(schema)) or unsupported(schema):
        return False
    if structural_faults(schema, ""):
        return False
    return any(error.detail == "must not have unknown fields" for error in default_faults(schema, "", pruned=True))


def check_root(
    errors: Errors, schema: Object, path: str, lenient: Leniency | None = None, *, has_status: bool = False
) -> None:
    """Append what is wrong with a version's schema that stands at a path. `has_status`: it has that subresource."""
    rules = lenient or Leniency()
    found: Errors = []
    if has_status:
        _check_status_root(found, schema, path)
    if schema.get("nullable"):
        found.append(field.forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    problem = unsupported(schema)
    wrong = [] if problem else structural_faults(schema, path)
    if not problem and not wrong:
        wrong = default_faults(schema, path, pruned=not rules.defaults)
    found += wrong
    checker = Supported(rules.sets, rules.keys, rules.types, rules.costs)
    judged = checker.check(schema, Context(path, rules=not problem and not wrong))
    found += judged
    if problem and not found:
        found.append(field.invalid(path, "", problem))
    checker.budget.check(found, path)
    errors += found


def _check_status_root(errors: Errors, schema: Object, path: str) -> None:
    if schema.get("type") not in (None, "", "object"):
        errors.append(field.invalid(f"{path}.type", schema["type"], _ONLY_OBJECT))
        return
    allowed = set(_AT_ROOT.split())
    for name, value in schema.items():
        if value in (None, "", False, [], {}) and name != "x-kubernetes-preserve-unknown-fields":
            continue
        if _go_name(name) not in allowed:
            errors.append(field.invalid(path, internal(_SCHEMA, schema), _ONLY))
            return


def _go_name(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.replace("kubernetes-", "").split("-"))


def unrecognized_formats(schema: Object) -> list[str]:
    """The formats of strings that nobody checks, sorted."""
    found = {one["format"] for one in _all(schema) if one.get("type") == "string" and one.get("format")}
    return sorted(name for name in found if not formats.known(name))
