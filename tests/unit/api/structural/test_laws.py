"""What holds of every schema and every object."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given

from knarr.api.structural import Schema, causes
from knarr.api.structural.validity import checker
from knarr.apimachinery import field_changes, field_merge, field_sets

from .structural_schemas import schemas, values


@given(schemas(), values())
def test_pruning_twice_is_pruning_once(openapi: dict[str, Any], obj: dict[str, Any]) -> None:
    schema = Schema.compile(openapi)
    once, _ = schema.prune(obj)
    again, unknown = schema.prune(once)
    assert (again, unknown) == (once, [])


@given(schemas(), values())
def test_defaulting_twice_is_defaulting_once(openapi: dict[str, Any], obj: dict[str, Any]) -> None:
    schema = Schema.compile(openapi)
    once = schema.default(obj)
    assert schema.default(once) == once


@given(schemas(), values())
def test_nothing_given_is_changed(openapi: dict[str, Any], obj: dict[str, Any]) -> None:
    schema = Schema.compile(openapi)
    before = deepcopy((openapi, obj))
    accepted, _ = schema.accept(obj)
    schema.validate(accepted, obj)
    assert (openapi, obj) == before


@given(schemas(), values())
def test_what_is_accepted_stays_as_it_is_when_stored_and_read(openapi: dict[str, Any], obj: dict[str, Any]) -> None:
    schema = Schema.compile(openapi)
    accepted, _ = schema.accept(obj)
    assert schema.restore(accepted) == accepted
    assert schema.accept(accepted) == (accepted, [])


@given(schemas(), values())
def test_the_quick_check_never_passes_a_fault(openapi: dict[str, Any], obj: dict[str, Any]) -> None:
    root = Schema.compile(openapi).root
    faults = causes.faults(root, obj)
    assert not (checker(openapi)(obj) and faults)


@given(schemas(), values())
def test_an_update_that_changes_nothing_is_never_at_fault(openapi: dict[str, Any], obj: dict[str, Any]) -> None:
    schema = Schema.compile(openapi)
    accepted, _ = schema.accept(obj)
    assert schema.validate(accepted, deepcopy(accepted)) == []


@given(schemas(), values(), values())
def test_an_update_has_no_fault_that_a_creation_would_not_have(
    openapi: dict[str, Any], old: dict[str, Any], new: dict[str, Any]
) -> None:
    schema = Schema.compile(openapi)
    shown = {str(error) for error in schema.validate(new)}
    assert {str(error) for error in schema.validate(new, old)} <= shown


@given(schemas(), values(), values())
def test_merged_objects_have_all_that_was_applied(
    openapi: dict[str, Any], live: dict[str, Any], config: dict[str, Any]
) -> None:
    schema = Schema.compile(openapi)
    accepted, applied = schema.accept(live)[0], schema.accept(config)[0]
    if schema.validate(accepted) or schema.validate(applied):
        return
    merged = field_merge.merge(schema.ownership, accepted, applied)
    assert field_merge.merge(schema.ownership, merged, applied) == merged
    owned, whole = (field_changes.extract(schema.ownership, value) for value in (applied, merged))
    assert field_sets.contains(whole, owned)
