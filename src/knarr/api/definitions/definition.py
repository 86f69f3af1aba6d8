"""CustomResourceDefinitions: names, versions, conversion, columns, selectable fields; their schemas are `schema`'s.

Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from knarr.api.definitions.schema import Leniency, check_root, leniency, unrecognized_formats
from knarr.api.structural.node import mentions
from knarr.api.structural.rule_paths import field_path
from knarr.api.validation import names
from knarr.api.validation.admission import check_service, check_url
from knarr.api.validation.checks import IMMUTABLE, Errors, items, one_of, required_one_of, required_text, texts
from knarr.api.validation.go_values import internal
from knarr.api.validation.kind import Kind
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_SCOPES = ("Cluster", "Namespaced")
_FORMATS = "byte,date,date-time,double,float,int32,int64,password"
_TYPES = "boolean,date,integer,number,string"
_PROTECTED = ("k8s.io", "kubernetes.io")
_APPROVAL = "api-approved.kubernetes.io"
_APPROVAL_WANTED = (
    f'protected groups must have approval annotation "{_APPROVAL}",'
    " see https://github.com/kubernetes/enhancements/pull/1111"
)
_PRESERVED = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
_PRESERVED_DEFAULTS = "must be false in order to use defaults in the schema"
_MIXED = "may have mixed case, but should otherwise match:"
_VERSION = "apiextensions.v1.CustomResourceDefinitionVersion"
#: What the inner form has in one place where all versions agree, and where it has it.
_SHARED_PATHS = {
    "schema": "spec.validation",
    "subresources": "spec.subresources",
    "additionalPrinterColumns": "spec.additionalPrinterColumns",
    "selectableFields": "spec.selectableFields",
}
_PER_VERSION = tuple(_SHARED_PATHS)
_SELECTABLE = ("string", "boolean", "integer")
_SELECTABLE_TYPES = "string, boolean or integer. Enum string fields and strings with formats are allowed."
_MOST_SELECTABLE = 8
#: The real server says "not included", and means the opposite.
_NO_SCHEMA = "selectableFields may only be set when version.schema.openAPIV3Schema is not included"
_NO_SCHEMA_OF_ALL = "selectableFields may only be set when validations.schema is included"
#: The versions of ConversionReview.
_REVIEWS = frozenset({"v1", "v1beta1"})


def _create(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    name, group = (obj.get("metadata") or {}).get("name", ""), spec.get("group", "")
    wanted = f"{(spec.get('names') or {}).get('plural', '')}.{group}"
    if name and name != wanted:
        errors.append(field.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    _check_spec(errors, spec)
    _check_stored(errors, obj, spec)
    _check_approval(errors, obj)
    _check_preserved(errors, spec)


def _check_spec(errors: Errors, spec: Object, before: Object | None = None) -> None:
    group = spec.get("group", "")
    if not group:
        errors.append(field.required("spec.group"))
    else:
        wrong = names.dns_subdomain(group)
        if wrong:
            errors.append(field.invalid("spec.group", group, ",".join(wrong)))
        elif "." not in group:
            errors.append(field.invalid("spec.group", group, "should be a domain with at least one dot"))
    required_one_of(errors, "spec.scope", spec.get("scope", ""), _SCOPES)
    versions = items(spec, "versions")
    if spec.get("preserveUnknownFields") and any(mentions(_schema(version) or {}, "default") for version in versions):
        errors.append(field.invalid("spec.preserveUnknownFields", True, _PRESERVED_DEFAULTS))
    shared = {name for name in _PER_VERSION if _is_shared(versions, name)}
    told = _Versions(errors, versions, before)
    _check_versions(told, spec.get("versions"), shared)
    _check_names(errors, spec.get("names") or {}, "spec.names")
    if shared:
        _check_details(told, {name: versions[0].get(name) for name in shared}, _SHARED_PATHS, versions[0])
    if spec.get("conversion") is not None:
        _check_conversion(errors, spec["conversion"], "spec.conversion", (before or {}).get("conversion"))


def _is_shared(versions: Sequence[Object], name: str) -> bool:
    """Whether all versions say the same: the inner form has it once then, beside the versions."""
    first = versions[0].get(name) if versions else None
    if name == "schema" and (first or {}).get("openAPIV3Schema") is None:
        return False
    return first is not None and all(version.get(name) == first for version in versions)


def _schema(version: Object) -> Object | None:
    found: Object | None = (version.get("schema") or {}).get("openAPIV3Schema")
    return found


class _Versions:
    """The versions of a definition, where their errors go, and what the stored definition excuses."""

    def __init__(self, errors: Errors, versions: Sequence[Object], before: Object | None) -> None:
        self.errors = errors
        self.any_status = any("status" in (version.get("subresources") or {}) for version in versions)
        self._before = {version.get("name", ""): _schema(version) for version in items(before or {}, "versions")}

    def leniency(self, version: Object) -> Leniency | None:
        """What is not asked of a version's schema."""
        stored = [schema for schema in self._before.values() if schema is not None]
        if not stored:
            return None
        same = self._before.get(version.get("name", "")) == _schema(version)
        return leniency(stored, unchanged=same)


def _check_versions(told: _Versions, given: Sequence[Object] | None, shared: set[str]) -> None:
    versions, errors = given or (), told.errors
    seen: list[str] = []
    for at, version in enumerate(versions):
        path, name = f"spec.versions[{at}]", version.get("name", "")
        _check_label(errors, f"{path}.name", name, name)
        seen.append(name)
        _check_warning(errors, version, f"{path}.deprecationWarning")
        own = {key: version.get(key) for key in _PER_VERSION if key not in shared}
        _check_details(told, own, {key: f"{path}.{key}" for key in _PER_VERSION}, version)
    shown = None if given is None else [_inner(version, shared) for version in versions]
    if len(set(seen)) != len(seen):
        errors.append(field.invalid("spec.versions", shown, "must contain unique version names"))
    if sum(1 for version in versions if version.get("storage")) != 1:
        wrong = "must have exactly one version marked as storage version"
        errors.append(field.invalid("spec.versions", shown, wrong))
    if seen and seen[0]:
        # The inner form repeats the first version's name.
        _check_label(errors, "spec.version", seen[0], seen[0])


def _inner(version: Object, shared: set[str]) -> Object:
    """A version as the inner form shows it."""
    shown = internal(_VERSION, {key: value for key, value in version.items() if key not in shared})
    order = ("Name", "Served", "Storage", "Deprecated", "DeprecationWarning")
    return {key: shown[key] for key in order} | {key: value for key, value in shown.items() if key not in order}


def _check_details(told: _Versions, details: Object, paths: Mapping[str, str], version: Object) -> None:
    """What a version may say by itself: only the keys of `details` are looked at, each at its path."""
    errors = told.errors
    if "schema" in details:
        path, schema = f"{paths['schema']}.openAPIV3Schema", _schema(version)
        if schema is None:
            errors.append(field.required(path))
        else:
            own = paths is not _SHARED_PATHS
            has_status = "status" in (version.get("subresources") or {}) if own else told.any_status
            check_root(errors, schema, path, told.leniency(version), has_status=has_status)
    scale = (details.get("subresources") or {}).get("scale")
    if scale is not None:
        _check_scale(errors, scale, f"{paths['subresources']}.scale")
    for at, column in enumerate(items(details, "additionalPrinterColumns")):
        _check_column(errors, column, f"{paths['additionalPrinterColumns']}[{at}]")
    if "selectableFields" in details:
        _check_selectable(errors, version, paths["selectableFields"])


def _check_warning(errors: Errors, version: Object, path: str) -> None:
    warning = version.get("deprecationWarning")
    if warning is None:
        return
    if not version.get("deprecated"):
        errors.append(field.invalid(path, warning, "can only be set for deprecated versions"))
    if len(warning.encode()) > 256:
        errors.append(field.invalid(path, warning, "must be <= 256 characters long"))
    if not warning:
        errors.append(field.invalid(path, warning, "must not be an empty string"))
    at = next((at for at, char in enumerate(warning) if not char.isprintable()), None)
    if at is not None:
        index = len(warning[:at].encode())
        wrong = f"must only contain printable UTF-8 characters; non-printable character found at index {index}"
        errors.append(field.invalid(path, warning, wrong))


def _check_selectable(errors: Errors, version: Object, path: str) -> None:
    chosen: set[str] = set()
    schema = _schema(version)
    if schema is None:
        if items(version, "selectableFields"):
            wrong = _NO_SCHEMA_OF_ALL if path == _SHARED_PATHS["selectableFields"] else _NO_SCHEMA
            errors.append(field.invalid(path, "", wrong))
        return
    for at, selectable in enumerate(items(version, "selectableFields")):
        here, target = f"{path}[{at}].jsonPath", selectable.get("jsonPath", "")
        if not target:
            errors.append(field.required(here))
            continue
        found = field_path(schema, target, brackets=False)
        if found.problem:
            errors.append(field.invalid(here, target, f"is an invalid path: {found.problem}"))
            continue
        if found.text.removeprefix(".").partition(".")[0] == "metadata":
            errors.append(field.invalid(here, target, "must not point to fields in metadata"))
        if (found.schema or {}).get("type") not in _SELECTABLE:
            errors.append(field.invalid(here, target, f"must point to a field of type {_SELECTABLE_TYPES}"))
        if found.text in chosen:
            errors.append(field.duplicate(here, target))
        chosen.add(found.text)
    if len(chosen) > _MOST_SELECTABLE:
        errors.append(field.too_many(path, len(chosen), _MOST_SELECTABLE))


def _check_scale(errors: Errors, scale: Object, path: str) -> None:
    roots = {"specReplicasPath": ".spec.", "statusReplicasPath": ".status."}
    for key, root in roots.items():
        target, here = scale.get(key, ""), f"{path}.{key}"
        if not target:
            errors.append(field.required(here))
        elif not target.startswith("."):
            errors.append(field.invalid(here, target, "must be a simple json path starting with ."))
        elif not target.startswith(root):
            wrong = f"should be a json path under {root[:-1]}"
            errors.append(field.invalid(here, target, wrong))
    selector = scale.get("labelSelectorPath")
    if selector:
        here = f"{path}.labelSelectorPath"
        if not selector.startswith("."):
            errors.append(field.invalid(here, selector, "must be a simple json path starting with ."))
        elif not selector.startswith((".spec.", ".status.")):
            errors.append(field.invalid(here, selector, "should be a json path under either .spec or .status"))


def _check_column(errors: Errors, column: Object, path: str) -> None:
    required_text(errors, f"{path}.name", column.get("name"))
    kind, form = column.get("type", ""), column.get("format", "")
    wrong = f"must be one of {_TYPES}"
    if not kind:
        errors.append(field.required(f"{path}.type", wrong))
    elif kind not in _TYPES.split(","):
        errors.append(field.invalid(f"{path}.type", kind, wrong))
    if form and form not in _FORMATS.split(","):
        errors.append(field.invalid(f"{path}.format", form, f"must be one of {_FORMATS}"))
    target = column.get("jsonPath", "")
    if not target:
        errors.append(field.required(f"{path}.JSONPath"))
    elif not target.startswith("."):
        errors.append(field.invalid(f"{path}.JSONPath", target, "must be a simple json path starting with ."))


def _check_names(errors: Errors, given: Object, path: str, *, needed: bool = True) -> None:
    for key in ("plural", "singular", "kind", "listKind"):
        value, here = given.get(key, ""), f"{path}.{key}"
        if not value:
            errors += [field.required(here)] if needed else []
        elif key in ("plural", "singular"):
            _check_label(errors, here, value, value)
        else:
            _check_label(errors, here, value, value.lower(), f"{_MIXED} ")
    for key in ("shortNames", "categories"):
        for at, value in enumerate(items(given, key)):
            _check_label(errors, f"{path}.{key}[{at}]", value, value)
    if given.get("kind") and given.get("kind") == given.get("listKind"):
        wrong = "kind and listKind may not be the same"
        errors.append(field.invalid(f"{path}.listKind", given["listKind"], wrong))


def _check_label(errors: Errors, path: str, value: str, label: str, head: str = "") -> None:
    """A name, all that is wrong with it in one error."""
    wrong = names.dns_1035_label(label)
    if wrong:
        errors.append(field.invalid(path, value, head + ",".join(wrong)))


def _check_conversion(errors: Errors, conversion: Object, path: str, stored: Object | None = None) -> None:
    strategy, webhook = conversion.get("strategy", ""), conversion.get("webhook")
    if not strategy:
        errors.append(field.required(f"{path}.strategy"))
    else:
        one_of(errors, f"{path}.strategy", strategy, ("None", "Webhook"))
    if strategy == "Webhook":
        told = items((stored or {}).get("webhook") or {}, "conversionReviewVersions")
        _check_webhook(errors, webhook or {}, path, any_version=bool(told) and not _REVIEWS & set(told))
    elif strategy == "None" and webhook is not None:
        wrong = "should not be set when strategy is not set to Webhook"
        if webhook.get("clientConfig") is not None:
            errors.append(field.forbidden(f"{path}.webhookClientConfig", wrong))
        if items(webhook, "conversionReviewVersions"):
            errors.append(field.forbidden(f"{path}.conversionReviewVersions", wrong))


def _check_webhook(errors: Errors, webhook: Object, path: str, *, any_version: bool = False) -> None:
    """`any_version`: the stored one names none that the server knows, so that it may go on without."""
    client, versions = webhook.get("clientConfig"), items(webhook, "conversionReviewVersions")
    here = f"{path}.webhookClientConfig"
    if client is None:
        errors.append(field.required(here, "required when strategy is set to Webhook"))
    elif (client.get("url") is None) == (client.get("service") is None):
        errors.append(field.required(here, "exactly one of url or service is required"))
    elif client.get("url") is not None:
        check_url(errors, client["url"], f"{here}.url")
    else:
        check_service(errors, client["service"], f"{here}.service")
    here = f"{path}.conversionReviewVersions"
    if not versions:
        errors.append(field.required(here))
        return
    for at, version in enumerate(versions):
        texts(errors, f"{here}[{at}]", version, names.dns_1035_label(version))
        if version in versions[:at]:
            errors.append(field.invalid(f"{here}[{at}]", version, "duplicate version"))
    if not any_version and not _REVIEWS & set(versions):
        errors.append(field.invalid(here, list(versions), "must include at least one of v1, v1beta1"))


def _check_stored(errors: Errors, obj: Object, spec: Object) -> None:
    stored, path = items(obj.get("status") or {}, "storedVersions"), "status.storedVersions"
    if not stored:
        errors.append(field.invalid(path, None, "must have at least one stored version"))
        return
    missing = {name: at for at, name in enumerate(stored)}
    for version in items(spec, "versions"):
        name = version.get("name", "")
        if missing.pop(name, None) is None and version.get("storage"):
            errors.append(field.invalid(path, list(stored), f"must have the storage version {name}"))
    for name, at in missing.items():
        wrong = (
            f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions"
            f" until a storage migration ensures no data remains persisted in {name} and removes {name} from"
            " status.storedVersions"
        )
        errors.append(field.invalid(f"{path}[{at}]", name, wrong))


def _check_approval(errors: Errors, obj: Object, old: Object | None = None) -> None:
    """Groups of Kubernetes need a reference to an approval; what was stored without one stays."""
    group = (obj.get("spec") or {}).get("group", "")
    if not any(group == end or group.endswith(f".{end}") for end in _PROTECTED):
        return
    state, value = _approval(obj)
    path = f"metadata.annotations[{_APPROVAL}]"
    if old is not None and _approval(old)[0] == state:
        return
    if state == "missing":
        errors.append(field.required(path, _APPROVAL_WANTED))
    elif state == "invalid":
        wrong = "protected groups must have approval annotation value that is a URL or starts with unapproved"
        errors.append(field.invalid(path, value, wrong))


def _check_preserved(errors: Errors, spec: Object) -> None:
    if spec.get("preserveUnknownFields"):
        errors.append(field.invalid("spec.preserveUnknownFields", True, _PRESERVED))


def _approval(obj: Object) -> tuple[str, str]:
    value = ((obj.get("metadata") or {}).get("annotations") or {}).get(_APPROVAL) or ""
    if not value:
        return "missing", value
    if value.startswith("unapproved"):
        return "bypassed", value
    return "approved" if value.startswith(("https://", "http://")) else "invalid", value


def _update(errors: Errors, obj: Object, old: Object) -> None:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    _check_spec(errors, spec, before)
    _check_stored(errors, obj, spec)
    # Who has got no names yet may still change some.
    fixed = _is_established(old)
    for key in ("group", "scope") if fixed else ("group",):
        if spec.get(key) != before.get(key):
            errors.append(field.invalid(f"spec.{key}", spec.get(key), IMMUTABLE))
    new, had = spec.get("names") or {}, before.get("names") or {}
    for key in ("kind", "plural") if fixed else ("plural",):
        if new.get(key) != had.get(key):
            errors.append(field.invalid(f"spec.names.{key}", new.get(key), IMMUTABLE))
    _check_status(errors, obj, old)
    _check_approval(errors, obj, old)
    if not before.get("preserveUnknownFields"):
        _check_preserved(errors, spec)


def _check_status(errors: Errors, obj: Object, old: Object) -> None:
    """The names that were accepted; the rest of the status is the server's."""
    accepted = (obj.get("status") or {}).get("acceptedNames") or {}
    _check_names(errors, accepted, "status.acceptedNames", needed=False)


def _is_established(obj: Object) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Established" and each.get("status") == "True" for each in conditions)


def _warnings(obj: Object, old: Object | None) -> list[str]:
    """Formats that nobody checks; of an update those that the stored definition has not."""
    known = set() if old is None else set(_unchecked(old))
    return [f"unrecognized format {field.quote(name)}" for name in _unchecked(obj) if name not in known]


def _unchecked(obj: Object) -> list[str]:
    schemas = [_schema(version) for version in items(obj.get("spec") or {}, "versions")]
    found = {name for schema in schemas if schema is not None for name in unrecognized_formats(schema)}
    return sorted(found)


CUSTOMRESOURCEDEFINITIONS = Kind(
    _create, _update, {"status": _check_status}, warnings=_warnings, standard_finalizers=False
)
