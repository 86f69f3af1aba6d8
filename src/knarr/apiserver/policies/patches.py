"""What mutations make of an object: configurations that are merged into it, and JSON patches.

Input: the object, the value of an expression, the schema of its kind. Output: a new object, not yet canonical;
nothing is changed in place. Raises `ValueError` with Kubernetes' words.
Source: k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any

from knarr.apimachinery import field_check, field_merge, json_patch
from knarr.apimachinery.field_schema import LEAF, FieldSchema
from knarr.apimachinery.types import Object


def plain(value: Any) -> Any:
    """What an expression made as plain JSON. Raises `ValueError` for objects built as others than their place tells."""
    from knarr.api.cel.values import Built

    if isinstance(value, Built):
        wrong = list(_mismatches(value, value.kind))
        if wrong:
            raise ValueError("type mismatch: " + "\n".join(wrong))
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or type(value) in (str, bool, int, float):
        return value
    return _scalar(value)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError(f'map key "{key}" is not a string')
    return key


def _scalar(value: Any) -> Any:
    """A value that JSON writes as a text. Raises `ValueError`."""
    from knarr.api.cel import times
    from knarr.api.cel.values import Duration, Timestamp, Uint

    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Uint):
        return int(value)
    if isinstance(value, Timestamp):
        return times.timestamp_text(value)
    if isinstance(value, Duration):
        return times.duration_text(value)
    raise ValueError(f"unsupported type in an object: {type(value).__name__}")


def _mismatches(value: Any, path: str) -> Iterator[str]:
    """What is wrong with the types of objects: each is named after the fields that lead to it."""
    from knarr.api.cel.values import Built

    if isinstance(value, Built):
        if value.kind != path:
            why = "which matches field name path from root Object type"
            yield f'unexpected type name "{value.kind}", expected "{path}", {why}'
        for name, item in value.items():
            yield from _mismatches(item, f"{path}.{name}")
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _mismatches(item, path)


def operations(value: Sequence[Any]) -> list[Object]:
    """The JSON patch that an expression made. Raises `ValueError`."""
    return [
        {name: plain(item) for name, item in operation.items() if name in ("op", "path", "value") or item}
        for operation in value
    ]


def configured(schema: FieldSchema, obj: Object, config: Object) -> Object:
    """The object with all that an apply configuration says, merged as server-side apply does. Raises `ValueError`."""
    patch = {**config, "apiVersion": obj["apiVersion"], "kind": obj["kind"]}
    fault = field_check.complaint(schema, patch)
    if fault:
        raise ValueError(f"error applying patch: failed to convert patch object to typed object: {fault}")
    atomics = sorted(_atomics(schema, patch, ""))
    if atomics:
        text = f"may not mutate atomic arrays, maps or structs: {', '.join(atomics)}"
        raise ValueError(f"error applying patch: invalid ApplyConfiguration: {text}")
    fault = field_check.complaint(schema, obj)
    if fault:
        raise ValueError(f"error applying patch: failed to convert original object to typed object: {fault}")
    merged: Object = field_merge.merge(schema, obj, patch)
    return merged


def _atomics(schema: FieldSchema, value: Any, path: str) -> Iterator[str]:
    """The paths of values that would be replaced as a whole."""
    if isinstance(value, dict) and schema.shape != "list":
        if schema.kind == LEAF:
            yield path
        for name, item in value.items():
            below = schema.declared.get(name)
            if below is not None:
                yield from _atomics(below, item, f"{path}.{name}")
    elif isinstance(value, list) and schema.shape != "map":
        if schema.kind == LEAF:
            yield path
        for index, item in enumerate(value):
            if schema.item is not None:
                yield from _atomics(schema.item, item, f"{path}[{index}]")


def patched(obj: Object, operations: Sequence[Object]) -> Any:
    """The object after a JSON patch, itself after one whose test does not hold. Raises `ValueError`."""
    try:
        return json_patch.carry_out(obj, operations)
    except json_patch.TestFailedError:
        return obj
    except json_patch.DoesNotApplyError as error:
        raise ValueError(f"JSONPath: {error}") from error
