"""APIServices."""

from __future__ import annotations

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, items, one_of, required_text, texts
from knarr.api.validation.kind import META_BOTH, Kind
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_LOCAL = "local APIServices may not"


def _create(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    name, group, version = (obj.get("metadata") or {}).get("name", ""), spec.get("group", ""), spec.get("version", "")
    wanted = f"{version}.{group}"
    if name and name != wanted and not names.path_segment(name):
        wrong = f'must be `spec.version+"."+spec.group`: {field.quote(wanted)}'
        errors.append(field.invalid("metadata.name", name, wrong))
    if version not in ("", "v1") or group:
        texts(errors, "spec.group", group, names.dns_subdomain(group))
    texts(errors, "spec.version", version, names.dns_1035_label(version))
    for key, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        value = spec.get(key, 0)
        if not 0 < value <= most:
            errors.append(field.invalid(f"spec.{key}", value, f"must be positive and less than {most}"))
    _check_service(errors, spec)


def _check_service(errors: Errors, spec: Object) -> None:
    service = spec.get("service")
    if service is None:
        if spec.get("caBundle"):
            errors.append(field.invalid("spec.caBundle", f"{len(spec['caBundle'])} bytes", f"{_LOCAL} have a caBundle"))
        if spec.get("insecureSkipTLSVerify"):
            wrong = f"{_LOCAL} have insecureSkipTLSVerify"
            errors.append(field.invalid("spec.insecureSkipTLSVerify", True, wrong))
        return
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        wrong = "may not be true if caBundle is present"
        errors.append(field.invalid("spec.insecureSkipTLSVerify", True, wrong))
    for key in ("namespace", "name"):
        required_text(errors, f"spec.service.{key}", service.get(key))
    number = service.get("port")
    if number is not None:
        for text in names.port_number(number):
            errors.append(field.invalid("spec.service.port", number, f"port is not valid: {text}"))


def _status(errors: Errors, obj: Object, old: Object) -> None:
    for at, condition in enumerate(items(obj.get("status") or {}, "conditions")):
        one_of(errors, f"status.conditions[{at}].status", condition.get("status", ""), ("True", "False", "Unknown"))


APISERVICES = Kind(_create, parts={"status": _status}, name=names.path_segment, update_meta=META_BOTH)
