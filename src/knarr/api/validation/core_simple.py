"""ConfigMaps, Secrets, ServiceAccounts and Namespaces."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from knarr.api.validation import meta, names
from knarr.api.validation.checks import Errors, immutable, items, texts
from knarr.api.validation.kind import META_BOTH, Kind, no_create, nothing
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_LIMIT = 1024 * 1024
_FROZEN = "field is immutable when `immutable` is set"


def _config_map(errors: Errors, obj: Object) -> None:
    total = 0
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    for key, value in data.items():
        if wrong := names.config_key(key):
            texts(errors, f"data[{key}]", key, wrong)
        if key in binary:
            errors.append(field.invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        total += len(value.encode())
    for key, value in binary.items():
        texts(errors, f"binaryData[{key}]", key, names.config_key(key))
        total += _size(value)
    if total > _LIMIT:
        errors.append(field.too_long("[]", _LIMIT))


def _size(encoded: str | None) -> int:
    """Bytes of a base64 text; a value may be null."""
    if not encoded:
        return 0
    return len(encoded) * 3 // 4 - encoded[-2:].count("=")


def _update_config_map(errors: Errors, obj: Object, old: Object) -> None:
    if old.get("immutable"):
        _check_frozen(errors, obj, old, ("data", "binaryData"))
    _config_map(errors, obj)


def _check_frozen(errors: Errors, obj: Object, old: Object, fields: tuple[str, ...]) -> None:
    if not obj.get("immutable"):
        errors.append(field.forbidden("immutable", _FROZEN))
    for name in fields:
        if (obj.get(name) or {}) != (old.get(name) or {}):
            errors.append(field.forbidden(name, _FROZEN))


def _secret(errors: Errors, obj: Object) -> None:
    data = obj.get("data") or {}
    for key in data:
        texts(errors, f"data[{key}]", key, names.config_key(key))
    if sum(map(_size, data.values())) > _LIMIT:
        errors.append(field.too_long("data", _LIMIT))
    _check_type(errors, obj, data)


def _check_type(errors: Errors, obj: Object, data: Mapping[str, str]) -> None:
    kind = obj.get("type", "")
    if kind == "kubernetes.io/service-account-token":
        account = ((obj.get("metadata") or {}).get("annotations") or {}).get("kubernetes.io/service-account.name")
        if not account:
            errors.append(field.required("metadata.annotations[kubernetes.io/service-account.name]"))
    elif kind in _KEYS:
        for key in _KEYS[kind]:
            if key not in data or (key == "ssh-privatekey" and not data[key]):
                errors.append(field.required(f"data[{key}]"))
        for key in _JSON_KEYS.get(kind, ()):
            if key in data:
                _check_json(errors, data[key] or "", f"data[{key}]")
    elif kind == "kubernetes.io/basic-auth" and "username" not in data and "password" not in data:
        errors.append(field.required("data[username]"))
        errors.append(field.required("data[password]"))


_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_JSON_KEYS = {kind: _KEYS[kind] for kind in ("kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson")}


def _check_json(errors: Errors, encoded: str, path: str) -> None:
    import base64

    data = base64.b64decode(encoded)
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        errors.append(field.invalid(path, "<secret contents redacted>", _json_text(data)))
        return
    if not isinstance(found, dict):
        kind = {str: "string", list: "array", bool: "bool", type(None): "null"}.get(type(found), "number")
        if found is not None:
            wrong = f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
            errors.append(field.invalid(path, "<secret contents redacted>", wrong))


def _json_text(data: bytes) -> str:
    stripped = data.lstrip(b" \t\r\n")
    if not stripped:
        return "unexpected end of JSON input"
    first = chr(stripped[0])
    if first not in '{["-0123456789tfn':
        shown = f"'{first}'" if first.isprintable() else f"'\\x{stripped[0]:02x}'"
        return f"invalid character {shown} looking for beginning of value"
    return "unexpected end of JSON input"


def _update_secret(errors: Errors, obj: Object, old: Object) -> None:
    immutable(errors, "type", obj.get("type"), old.get("type"))
    if old.get("immutable"):
        _check_frozen(errors, obj, old, ("data",))
    _secret(errors, obj)


def _warn_secret(obj: Object, old: Object | None) -> list[str]:
    if obj.get("type") != "kubernetes.io/tls":
        return []
    data = obj.get("data") or {}
    if old is not None and (old.get("data") or {}) == data:
        return []
    from knarr.api.validation.tls_pair import problem

    found = problem(data.get("tls.crt") or "", data.get("tls.key") or "")
    return [found] if found else []


def _warn_account(obj: Object, old: Object | None) -> list[str]:
    key = "kubernetes.io/enforce-mountable-secrets"
    annotations, out = (obj.get("metadata") or {}).get("annotations") or {}, []
    had = ((old or {}).get("metadata") or {}).get("annotations") or {}
    if key in annotations and key not in had:
        wrong = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
        out.append(f"metadata.annotations[{key}]: {wrong}")
    return out


def _namespace(errors: Errors, obj: Object) -> None:
    for name in items(obj.get("spec") or {}, "finalizers"):
        _namespace_finalizer(errors, name, "spec.finalizers")


def _namespace_finalizer(errors: Errors, name: str, path: str) -> None:
    meta.check_finalizer(errors, name, path)
    if "/" not in name and name != "kubernetes":
        wrong = "name is neither a standard finalizer name nor is it fully qualified"
        errors.append(field.invalid(path, name, wrong))


def _namespace_status(errors: Errors, obj: Object, old: Object) -> None:
    phase = (obj.get("status") or {}).get("phase", "")
    if (obj.get("metadata") or {}).get("deletionTimestamp"):
        if phase != "Terminating":
            wrong = "may only be 'Terminating' if `deletionTimestamp` is not empty"
            errors.append(field.invalid("status.Phase", phase, wrong))
    elif phase != "Active":
        wrong = "may only be 'Active' if `deletionTimestamp` is empty"
        errors.append(field.invalid("status.Phase", phase, wrong))


def _finalize_namespace(errors: Errors, obj: Object, old: Object) -> None:
    for at, name in enumerate(items(obj.get("spec") or {}, "finalizers")):
        _namespace_finalizer(errors, name, f"spec.finalizers[{at}]")


CONFIGMAPS = Kind(_config_map, _update_config_map)
SECRETS = Kind(_secret, _update_secret, warnings=_warn_secret)
SERVICEACCOUNTS = Kind(no_create, nothing, warnings=_warn_account, update_meta=META_BOTH)
NAMESPACES = Kind(
    _namespace,
    nothing,
    {"status": _namespace_status, "finalize": _finalize_namespace},
    name=names.dns_label,
)
