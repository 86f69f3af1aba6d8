"""What is wrong with a definition's schemas."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.definitions.definition import CUSTOMRESOURCEDEFINITIONS
from knarr.apimachinery.field import FieldError

_PATH = "spec.validation.openAPIV3Schema"


def _definition(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **more}
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    return {
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
        "status": {"storedVersions": ["v1"]},
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _causes(schema: dict[str, Any], old: dict[str, Any] | None = None, **more: Any) -> list[tuple[str, str]]:
    errors: list[FieldError] = []
    obj = _definition(schema, **more)
    if old is None:
        CUSTOMRESOURCEDEFINITIONS.create(errors, obj)
    else:
        assert CUSTOMRESOURCEDEFINITIONS.update is not None
        CUSTOMRESOURCEDEFINITIONS.update(errors, obj, _definition(old))
    return [(error.field.removeprefix(_PATH), error.body()) for error in errors]


@pytest.mark.parametrize(
    ("schema", "cause"),
    [
        (
            {"type": "object", "additionalProperties": {"type": "string"}},
            (".additionalProperties", "Forbidden: must not be used at the root"),
        ),
        (
            _object(metadata={"type": "object", "properties": {"labels": {"type": "object"}}}),
            (
                ".properties[metadata]",
                "Forbidden: must not specify anything other than name and generateName, but metadata is implicitly"
                " specified",
            ),
        ),
        (
            {**_object(a={"type": "string"}), "anyOf": [{"properties": {"b": {"minLength": 1}}}]},
            (
                ".properties[b]",
                f"Required value: because it is defined in {_PATH}.anyOf[0].properties[b]",
            ),
        ),
        (
            _object(a={"type": "string", "not": {"nullable": True}}),
            (".properties[a].not.nullable", "Forbidden: must be false to be structural"),
        ),
        (
            _object(a={"x-kubernetes-int-or-string": True, "x-kubernetes-preserve-unknown-fields": True}),
            (
                ".properties[a].x-kubernetes-preserve-unknown-fields",
                "Invalid value: true: must be false if x-kubernetes-int-or-string is true",
            ),
        ),
        (
            _object(a={"type": "string", "pattern": "a(?=b)"}),
            (
                ".properties[a].pattern",
                'Invalid value: "a(?=b)": must be a valid regular expression, but isn\'t: error parsing regexp:'
                " invalid or unsupported Perl syntax: `(?=`",
            ),
        ),
        ({**_object(), "nullable": True}, (".nullable", "Forbidden: nullable cannot be true at the root")),
        ({**_object(), "$schema": "x"}, ("", "Invalid value: \"\": OpenAPIV3Schema 'schema' is not supported")),
        (
            _object(a={"type": "string", "x-kubernetes-map-type": "loose"}),
            (".properties[a].type", 'Invalid value: "string": must be object if x-kubernetes-map-type is specified'),
        ),
    ],
)
def test_schemas_are_structural(schema: dict[str, Any], cause: tuple[str, str]) -> None:
    assert _causes(schema)[0] == cause


def test_an_integer_or_string_may_be_told_so_in_two_ways() -> None:
    both = [{"type": "integer"}, {"type": "string"}]
    either = {"x-kubernetes-int-or-string": True}
    assert _causes(_object(a={**either, "anyOf": both}, b={**either, "allOf": [{"anyOf": both}]})) == []
    assert _causes(_object(a={**either, "oneOf": both}))


@pytest.mark.parametrize(
    ("schema", "cause"),
    [
        (
            {"type": "integer", "default": "x"},
            'Invalid value: "string":  in body must be of type integer: "string"',
        ),
        (
            {"type": "object", "properties": {"b": {"type": "string"}}, "default": {"c": 1}},
            'Invalid value: {"c":1}: must not have unknown fields',
        ),
        (
            {"type": "string", "default": "x", "x-kubernetes-validations": [{"rule": "self == 'y'"}]},
            "Invalid value: \"x\": failed rule: self == 'y'",
        ),
        ({"type": "string", "enum": ["a"], "default": "b"}, 'Unsupported value: "b": supported values: "a"'),
    ],
)
def test_defaults_fit_where_they_stand(schema: dict[str, Any], cause: str) -> None:
    assert _causes(_object(a=schema)) == [(".properties[a].default", cause)]


def test_defaults_in_metadata_of_objects_within_are_good_metadata() -> None:
    name = {"type": "string", "default": "a/b"}
    metadata = {"type": "object", "properties": {"name": name}}
    inner = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"metadata": metadata}}
    ((path, text),) = _causes(_object(e=inner))
    assert path == ".properties[e].properties[metadata].properties[name].default"
    assert text.startswith('Invalid value: "a/b": must result in valid metadata: metadata.name: Invalid value')


@pytest.mark.parametrize(
    ("rule", "cause"),
    [
        ({"rule": "true", "message": "a\nb"}, (".message", "message must not contain line breaks")),
        ({"rule": "true\n"}, ("", "")),
        ({"rule": "true ||\nfalse"}, (".message", "message must be specified if rule contains line breaks")),
        ({"rule": "true", "fieldPath": ".b"}, (".fieldPath", "fieldPath must be a valid path")),
        (
            {"rule": "true", "optionalOldSelf": True},
            (".optionalOldSelf", "may not be set if oldSelf is not used in rule"),
        ),
        ({"rule": "self.a"}, (".rule", "cel expression must evaluate to a bool")),
        (
            {"rule": "true", "messageExpression": "1"},
            (".messageExpression", "messageExpression must evaluate to a string"),
        ),
    ],
)
def test_rules_are_complete(rule: dict[str, Any], cause: tuple[str, str]) -> None:
    found = _causes({**_object(a={"type": "string"}), "x-kubernetes-validations": [rule]})
    shown = [(path.removeprefix(".x-kubernetes-validations[0]"), text.rpartition(": ")[2]) for path, text in found]
    assert shown == ([cause] if cause[0] else [])


def test_old_values_are_asked_for_only_where_they_can_be_found() -> None:
    item = {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}
    ((path, text),) = _causes(_object(l={"type": "array", "items": item, "maxItems": 3}))
    assert path.endswith("items.x-kubernetes-validations[0].rule")
    assert text.endswith(f"uncorrelatable portion of the schema within {_PATH}.properties[l]")


def test_selectable_fields_are_scalars_of_the_schema() -> None:
    targets = [".spec.a", ".spec.b", ".spec['a']", ".metadata.name", ".spec.a"]
    schema = _object(
        spec=_object(a={"type": "string"}, b={"type": "number"}),
        metadata={"type": "object", "properties": {"name": {"type": "string"}}},
    )
    found = _causes(schema, selectableFields=[{"jsonPath": target} for target in targets])
    assert [(path[-11:], text.rpartition(": ")[2]) for path, text in found] == [
        ("1].jsonPath", "must point to a field of type string, boolean or integer. Enum string fields and strings"
         " with formats are allowed."),
        ("2].jsonPath", "array notation is not allowed"),
        ("3].jsonPath", "must not point to fields in metadata"),
        ("4].jsonPath", '".spec.a"'),
    ]  # fmt: skip


def test_selectable_fields_need_a_schema() -> None:
    obj = _definition(_object(), selectableFields=[{"jsonPath": ".spec.a"}])
    del obj["spec"]["versions"][0]["schema"]
    errors: list[FieldError] = []
    CUSTOMRESOURCEDEFINITIONS.create(errors, obj)
    assert [error.field for error in errors] == ["spec.versions[0].schema.openAPIV3Schema", "spec.selectableFields"]


def test_with_a_status_of_its_own_the_root_says_little() -> None:
    schema = {**_object(), "maxProperties": 3}
    assert _causes(schema) == []
    ((path, text),) = _causes(schema, subresources={"status": {}})
    assert path == "" and "fields are allowed at the root of the schema if the status subresource is enabled" in text


def test_what_was_stored_is_not_asked_of_an_update() -> None:
    keys = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    loose = _object(l={"type": "array", "items": _object(k={"type": "string"}), **keys})
    assert _causes(loose) and _causes(loose, loose) == []
    stale = _object(a={**_object(b={"type": "string"}), "default": {"c": 1}})
    assert _causes(stale) and _causes(stale, stale) == []
    text = {"type": "string", "x-kubernetes-validations": [{"rule": "self.matches('^a*b*c*$')"}]}
    dear = _object(l={"type": "array", "items": text, "maxItems": 100})
    assert _causes(dear) and len(_causes(dear, dear)) < len(_causes(dear))


def test_formats_that_nobody_checks_are_told() -> None:
    obj = _definition(_object(a={"type": "string", "format": "odd"}, b={"type": "string", "format": "date-time"}))
    assert CUSTOMRESOURCEDEFINITIONS.warnings(obj, None) == ['unrecognized format "odd"']
    assert CUSTOMRESOURCEDEFINITIONS.warnings(obj, obj) == []


def test_all_that_is_wrong_with_a_name_is_one_error() -> None:
    obj = _definition(_object())
    obj["spec"]["names"]["kind"] = "A_" + "b" * 70
    errors: list[FieldError] = []
    CUSTOMRESOURCEDEFINITIONS.create(errors, obj)
    (found,) = (error for error in errors if error.field == "spec.names.kind")
    assert found.detail.count("must be no more than 63") == found.detail.count("DNS-1035 label") == 1


def test_accepted_names_are_good_ones() -> None:
    errors: list[FieldError] = []
    old, new = _definition(_object()), _definition(_object())
    new["status"]["acceptedNames"] = {"plural": "Bad Name", "kind": ""}
    CUSTOMRESOURCEDEFINITIONS.parts["status"](errors, new, old)
    assert [error.field for error in errors] == ["status.acceptedNames.plural"]


def test_unknown_fields_are_kept_by_schemas_alone() -> None:
    before, keeping = _definition(_object()), _definition(_object())
    keeping["spec"]["preserveUnknownFields"] = True
    wanted = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
    cause = ("spec.preserveUnknownFields", f"Invalid value: true: {wanted}")
    assert CUSTOMRESOURCEDEFINITIONS.update is not None
    for check in (
        CUSTOMRESOURCEDEFINITIONS.create,
        lambda errors, obj: CUSTOMRESOURCEDEFINITIONS.update(errors, obj, before),
    ):
        errors: list[FieldError] = []
        check(errors, keeping)
        assert [(error.field, error.body()) for error in errors] == [cause]
    # What was stored so may stay, without defaults.
    errors = []
    CUSTOMRESOURCEDEFINITIONS.update(errors, keeping, keeping)
    assert not errors
    with_default = _definition(_object(a={"type": "string", "default": "x"}))
    with_default["spec"]["preserveUnknownFields"] = True
    CUSTOMRESOURCEDEFINITIONS.update(errors, with_default, keeping)
    assert [error.body() for error in errors] == [
        "Invalid value: true: must be false in order to use defaults in the schema"
    ]
