"""Strategic merge patch: a merge patch that knows by which key the items of a list are told apart.

Input: a document, a patch, and the `MergeSchema` of the document's kind; neither document nor patch is changed.
Output: the patched document, which shares what the patch left alone with the input. Directives: `$patch`,
`$retainKeys`, `$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>`.

https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from knarr.apimachinery import element_order
from knarr.apimachinery.errors import StatusError, bad_request
from knarr.apimachinery.go_text import plain, type_name
from knarr.apimachinery.merge_patch import object_patch, without_nulls
from knarr.apimachinery.types import Object

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_FROM_LIST = "$deleteFromPrimitiveList"
SET_ORDER = "$setElementOrder"


class MergeSchema(Protocol):
    """What merging must know of one type."""

    def merge_field(self, name: str) -> MergeField | None:
        """How the field `name` merges, or `None` when the type has no such field."""
        ...


class MergeField(NamedTuple):
    """How one field merges.

    `strategy` is `merge`, `replace` or empty (lists without one are replaced, objects merged). `merge_key` tells the
    items of a list of objects apart. `schema` is the type of the object or of the list's items, if it is an object.
    """

    strategy: str = ""
    merge_key: str = ""
    schema: MergeSchema | None = None


_PLAIN = MergeField()


def apply(doc: Object, patch: Any, schema: MergeSchema | None) -> Object:
    """The document with the patch merged into it.

    Raises `StatusError`: 400 for what is no patch or has a malformed list directive, 422 for lists of lists, and 500
    (as kube-apiserver does) for a bad directive, a missing merge key, or an order that contradicts the patch.
    """
    return _merge_map(doc, object_patch(patch), schema)


def _broken(message: str) -> StatusError:
    return StatusError(500, "", message)


def _no_merge_key(item: Any, key: str) -> StatusError:
    return _broken(f"map: {plain(item)} does not contain declared merge key: {key}")


def _bad_directive(directive: Any, patch: Object) -> StatusError:
    return _broken(f"unknown patch type: {plain(directive)} in map: {plain(patch)}")


def _wrong_type(wanted: Any, value: Any) -> StatusError:
    return _broken(f"expected a {type_name(wanted)}, but received a {type_name(value)}")


def _field(schema: MergeSchema | None, name: str) -> MergeField:
    """How a field merges; one that is not known as a struct's field merges as JSON merge patch does."""
    found = schema.merge_field(name) if schema is not None else None
    return found or _PLAIN


def _merge_map(doc: Object, patch: Object, schema: MergeSchema | None) -> Object:
    if DIRECTIVE in patch:
        return _replaced_map(patch)
    rest = dict(patch)
    out = _retained(dict(doc), rest)
    _merge_ordered(out, rest, schema)
    for name, value in rest.items():
        if name.startswith(DELETE_FROM_LIST):
            _delete_from_list(out, _target(name, DELETE_FROM_LIST), value)
        elif value is None:
            out.pop(name, None)
        else:
            out[name] = _merged_value(out.get(name), value, _lookup(out, name, value, schema))
    return out


def _lookup(doc: Object, name: str, value: Any, schema: MergeSchema | None) -> MergeField:
    """The field's facts, looked up only where they count."""
    current = doc.get(name)
    if isinstance(value, dict | list) and type(current) is type(value):
        return _field(schema, name)
    return _PLAIN


def _merged_value(current: Any, value: Any, field: MergeField) -> Any:
    if isinstance(current, dict) and isinstance(value, dict):
        return value if field.strategy == "replace" else _merge_map(current, value, field.schema)
    if isinstance(current, list) and isinstance(value, list):
        return _merge_list(current, value, field) if field.strategy == "merge" else value
    return without_nulls(value)


def _replaced_map(patch: Object) -> Object:
    """What a map becomes by a `$patch` directive in it."""
    directive = patch[DIRECTIVE]
    if directive == "replace":
        return {name: value for name, value in patch.items() if name != DIRECTIVE}
    if directive == "delete":
        return {}
    raise _bad_directive(directive, patch)


def _retained(doc: Object, patch: Object) -> Object:
    """Carry out `$retainKeys`, and take it out of the patch: members of the document it does not list go."""
    if RETAIN_KEYS not in patch:
        return doc
    kept = patch.pop(RETAIN_KEYS)
    fine = isinstance(kept, list) and all(
        value is None or name in kept or name.startswith((DELETE_FROM_LIST, SET_ORDER)) for name, value in patch.items()
    )
    if not fine:
        raise bad_request("invalid patch format of retainKeys")
    return {name: value for name, value in doc.items() if name in kept}


def _target(name: str, directive: str) -> str:
    """The field that a directive with a slash is about."""
    head, slash, target = name.partition("/")
    if head != directive or not slash:
        kind = "primitive list" if directive == DELETE_FROM_LIST else "setElementOrder list"
        raise bad_request(f"invalid patch format of {kind}")
    return target


def _delete_from_list(doc: Object, name: str, values: Any) -> None:
    if values is None:
        doc.pop(name, None)
        return
    current = doc.get(name)
    if isinstance(values, list) and isinstance(current, list) and (current or values):
        if _item_type(current, values) is dict:
            raise _broken(f"cannot delete primitives from a list of maps: {name}")
        gone = {element_order.identity(value) for value in values}
        doc[name] = [item for item in current if element_order.identity(item) not in gone]


def _merge_ordered(doc: Object, patch: Object, schema: MergeSchema | None) -> None:
    """Carry out each `$setElementOrder` with the list it is about, and take both out of the patch."""
    for name in [name for name in patch if name.startswith(SET_ORDER)]:
        order = patch.pop(name)
        if not isinstance(order, list):
            raise _wrong_type([], order)
        target = _target(name, SET_ORDER)
        field = _field(schema, target)
        current, given = _list(doc, target), _list(patch, target)
        _check_order(given or [], order, field.merge_key)
        if current is None and given is None:
            continue
        if current is None or given is None:
            merged = (given if current is None else current) or []
        else:
            merged = _merge_list(current, given, field) if field.strategy == "merge" else given
        _item_type(current or [], given or [])
        doc[target] = _arranged(merged, order, current or [], field.merge_key)
        patch.pop(target, None)


def _list(holder: Object, name: str) -> list[Any] | None:
    if name not in holder:
        return None
    value = holder[name]
    if not isinstance(value, list):
        raise _wrong_type([], value)
    return value


def _check_order(items: list[Any], order: list[Any], merge_key: str) -> None:
    """The items of the patch must stand in the order list, in the same sequence."""
    if not items or not order:
        return
    kept = [item for item in items if not (merge_key and isinstance(item, dict) and DIRECTIVE in item)]
    at = 0
    for item in kept:
        while at < len(order) and _key(item, merge_key) != _key(order[at], merge_key):
            at += 1
        if at == len(order):
            raise _broken(
                f"The order in patch list:\n{plain(items)}\n doesn't match {SET_ORDER} list:\n{plain(order)}\n"
            )
        at += 1


def _key(item: Any, merge_key: str) -> Any:
    """What tells an item apart: the value of its merge key, or a primitive itself."""
    if not merge_key:
        return element_order.identity(item)
    if not isinstance(item, dict):
        raise _wrong_type({}, item)
    if merge_key not in item:
        raise _no_merge_key(item, merge_key)
    return element_order.identity(item[merge_key])


def _item_type(*lists: list[Any]) -> type:
    """The one type all items have."""
    found: type | None = None
    for item in (item for items in lists for item in items):
        if isinstance(item, list):
            raise StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {})
        if found is not None and type(item) is not found:
            raise _broken(f"list element types are not identical: {plain(list(lists))}")
        found = type(item)
    if found is None:
        raise _broken("no elements in any of the given slices")
    return found


def _merge_list(current: list[Any], items: list[Any], field: MergeField) -> list[Any]:
    if not current and not items:
        return current
    if _item_type(current, items) is not dict:
        unique = {element_order.identity(item): item for item in (*current, *items)}
        return _arranged(list(unique.values()), items, current, "")
    if not field.merge_key:
        raise _broken("cannot merge lists without merge key for type struct")
    current, items = _special_items(current, items, field.merge_key)
    return _arranged(_merge_items(current, items, field), items, current, field.merge_key)


def _special_items(current: list[Any], items: list[Any], merge_key: str) -> tuple[list[Any], list[Any]]:
    """Carry out the items that are directives; give (the list that is left, the items to merge into it)."""
    replace = False
    plain_items = []
    for item in items:
        directive = item.get(DIRECTIVE) if DIRECTIVE in item else ...
        if directive is ...:
            plain_items.append(item)
        elif directive == "delete":
            gone = _key(item, merge_key)
            current = [old for old in current if merge_key not in old or _key(old, merge_key) != gone]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise _broken("merging lists cannot yet be specified in the patch")
        else:
            raise _bad_directive(directive, item)
    return (plain_items, []) if replace else (current, plain_items)


def _merge_items(current: list[Any], items: list[Any], field: MergeField) -> list[Any]:
    out = list(current)
    places: dict[Any, int] = {}
    for at, item in enumerate(out):
        if field.merge_key in item:
            places.setdefault(_key(item, field.merge_key), at)
    for item in items:
        key = _key(item, field.merge_key)
        if key in places:
            out[places[key]] = _merge_map(out[places[key]], item, field.schema)
        else:
            places[key] = len(out)
            out.append(without_nulls(item))
    return out


def _arranged(items: list[Any], order: list[Any], server_order: list[Any], merge_key: str) -> list[Any]:
    """The items in their final sequence: that of `order`, with the others where the server had them."""
    return element_order.arrange(
        [(_key(item, merge_key), item) for item in items],
        [_key(item, merge_key) for item in order],
        [_key(item, merge_key) for item in server_order],
        last=lambda item: isinstance(item, dict) and item.get(DIRECTIVE) == "delete",
    )
