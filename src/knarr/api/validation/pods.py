"""Pods and PodTemplates as kinds."""

from __future__ import annotations

from knarr.api.validation.checks import Errors
from knarr.api.validation.kind import Kind
from knarr.api.validation.pod import spec, update
from knarr.api.validation.pod.warnings import pod_warnings, template_warnings
from knarr.apimachinery.types import Object


def _template(errors: Errors, obj: Object) -> None:
    spec.check_template(errors, obj.get("template") or {}, "template")


PODS = Kind(
    spec.check_create,
    update.check_update,
    {
        "status": update.check_status_update,
        "ephemeralcontainers": update.check_ephemeral_update,
        "resize": update.check_resize,
    },
    warnings=pod_warnings,
)
PODTEMPLATES = Kind(_template, warnings=lambda obj, old: template_warnings(obj, old, "template"))
