"""Environment variables, and the references to fields, resources and keys that they share with volumes."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, required_name, texts
from knarr.api.validation.paths import check_descending
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

#: Fields an environment variable can hold.
ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
#: Fields a file of a downward API volume can hold.
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_KNOWN_FIELDS = frozenset(
    {*ENV_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "spec.schedulerName", "status.phase", "spec.host"}
)
_SUBSCRIPTED = ("metadata.annotations", "metadata.labels")
_RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_RESOURCE_PREFIXES = ("limits.hugepages-", "requests.hugepages-")
_ONE_SOURCE = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
_TOO_MANY_SOURCES = "may not have more than one field specified at a time"
_CPU_DIVISORS = ("1m", "1")
_SIZE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")


def check_env(errors: Errors, variables: Sequence[Object], path: str) -> None:
    """A container's `env`."""
    for at, variable in enumerate(variables):
        name = variable.get("name", "")
        if not name:
            errors.append(field.required(f"{path}[{at}].name"))
        else:
            wrong = names.env_var_name(name)
            if wrong:
                texts(errors, f"{path}[{at}].name", name, wrong)
        source = variable.get("valueFrom")
        if source is not None:
            _check_source(errors, source, variable.get("value", ""), f"{path}[{at}].valueFrom")


def _check_source(errors: Errors, source: Object, value: str, path: str) -> None:
    if "fieldRef" in source:
        check_field_ref(errors, source["fieldRef"], ENV_FIELDS, f"{path}.fieldRef")
    if "resourceFieldRef" in source:
        check_resource_ref(errors, source["resourceFieldRef"], f"{path}.resourceFieldRef", volume=False)
    for name in ("configMapKeyRef", "secretKeyRef"):
        if name in source:
            _check_key_ref(errors, source[name], f"{path}.{name}")
    if "fileKeyRef" in source:
        _check_file_ref(errors, source["fileKeyRef"], f"{path}.fileKeyRef")
    count = len(source)
    if count == 0:
        errors.append(field.invalid(path, "", _ONE_SOURCE))
    if value and count:
        errors.append(field.invalid(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        errors.append(field.invalid(path, "", _TOO_MANY_SOURCES))


def check_field_ref(errors: Errors, ref: Object, known: Sequence[str], path: str) -> None:
    """A reference to one of the pod's own fields."""
    version, label = ref.get("apiVersion", ""), ref.get("fieldPath", "")
    if not version:
        errors.append(field.required(f"{path}.apiVersion"))
        return
    if not label:
        errors.append(field.required(f"{path}.fieldPath"))
        return
    base, subscript = _subscript(label)
    wrong = _convert(version, label, base, subscript)
    if wrong:
        errors.append(field.invalid(f"{path}.fieldPath", label, f"error converting fieldPath: {wrong}"))
    elif subscript is not None:
        key = subscript.lower() if base == "metadata.annotations" else subscript
        texts(errors, path, subscript, names.qualified_name(key))
    elif (base := "spec.nodeName" if label == "spec.host" else label) not in known:
        errors.append(field.not_supported(f"{path}.fieldPath", base, known))


def _subscript(label: str) -> tuple[str, str | None]:
    """`metadata.labels['a']` as (`metadata.labels`, `a`)."""
    if label.endswith("']") and "['" in label:
        base, _, rest = label.partition("['")
        if base:
            return base, rest[:-2]
    return label, None


def _convert(version: str, label: str, base: str, subscript: str | None) -> str:
    if version != "v1":
        return f"unsupported pod version: {version}"
    if subscript is not None:
        return "" if base in _SUBSCRIPTED else f"field label does not support subscript: {label}"
    return "" if label in _KNOWN_FIELDS else f"field label not supported: {label}"


def check_resource_ref(errors: Errors, ref: Object, path: str, *, volume: bool) -> None:
    """A reference to a container's request or limit."""
    resource = ref.get("resource", "")
    if volume and not ref.get("containerName"):
        errors.append(field.required(f"{path}.containerName"))
    elif not resource:
        errors.append(field.required(f"{path}.resource"))
    elif resource not in _RESOURCES and not resource.startswith(_RESOURCE_PREFIXES):
        errors.append(field.not_supported(f"{path}.resource", resource, _RESOURCES))
    _check_divisor(errors, resource, ref.get("divisor", "0"), path)


def _check_divisor(errors: Errors, resource: str, divisor: str, path: str) -> None:
    if divisor in ("0", ""):
        return
    name = resource.partition(".")[2]
    known: tuple[str, ...] = _SIZE_DIVISORS
    what = name
    if name == "cpu":
        known = _CPU_DIVISORS
    elif name == "ephemeral-storage":
        what = "local ephemeral storage"
    elif name.startswith("hugepages-"):
        what = "hugepages"
    elif name != "memory":
        return
    if divisor not in known:
        listed = "1m and 1" if name == "cpu" else ", ".join(known)
        wrong = f"only divisor's values {listed} are supported with the {what} resource"
        errors.append(field.invalid(f"{path}.divisor", resource, wrong))


def _check_key_ref(errors: Errors, ref: Object, path: str) -> None:
    name = ref.get("name", "")
    texts(errors, f"{path}.name", name, names.dns_subdomain(name))
    required_name(errors, f"{path}.key", ref.get("key", ""), names.config_key)


def _check_file_ref(errors: Errors, ref: Object, path: str) -> None:
    required_name(errors, f"{path}.key", ref.get("key", ""), names.env_var_name)
    required_name(errors, f"{path}.volumeName", ref.get("volumeName", ""), names.dns_label)
    file = ref.get("path", "")
    if not file:
        errors.append(field.required(f"{path}.path"))
    else:
        check_descending(errors, file, f"{path}.path")


def check_env_from(errors: Errors, sources: Sequence[Object], path: str) -> None:
    """A container's `envFrom`."""
    for at, source in enumerate(sources):
        here = f"{path}[{at}]"
        prefix = source.get("prefix", "")
        if prefix:
            texts(errors, f"{here}.prefix", prefix, names.env_var_name(prefix))
        given = [name for name in ("configMapRef", "secretRef") if name in source]
        for name in given:
            required_name(errors, f"{here}.{name}.name", source[name].get("name", ""), names.dns_subdomain)
        if not given:
            errors.append(field.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            errors.append(field.invalid(path, "", _TOO_MANY_SOURCES))


def check_downward_file(errors: Errors, file: Object, path: str) -> None:
    """One file of a downward API volume; `path` is the volume's, without the file's index."""
    target = file.get("path", "")
    if not target:
        errors.append(field.required(f"{path}.path"))
    check_descending(errors, target, f"{path}.path", not_dotted=True)
    if "fieldRef" in file:
        check_field_ref(errors, file["fieldRef"], VOLUME_FIELDS, f"{path}.fieldRef")
        if "resourceFieldRef" in file:
            wrong = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.append(field.invalid(path, "resource", wrong))
    elif "resourceFieldRef" in file:
        check_resource_ref(errors, file["resourceFieldRef"], f"{path}.resourceFieldRef", volume=True)
    else:
        errors.append(field.required(path, "one of fieldRef and resourceFieldRef is required"))
    check_mode(errors, file.get("mode"), f"{path}.mode")


def check_mode(errors: Errors, mode: int | None, path: str) -> None:
    """A file's permission bits."""
    if mode is not None and not 0 <= mode <= 0o777:
        errors.append(field.invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive"))
