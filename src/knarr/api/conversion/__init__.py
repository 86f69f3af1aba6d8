"""The same object in another version, and the scale of a workload.

Input: a canonical object, not changed. Output: a canonical object of the target's kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from knarr.api import codec
from knarr.api.conversion import autoscaling, devices, events, scales
from knarr.api.conversion.scales import scale_of, set_scale
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object

__all__ = ["convert", "scale_of", "scales", "set_scale"]

#: Conversions that change more than the version: (kind, from, to), the versions with their groups.
_CONVERSIONS: Mapping[tuple[str, str, str], Callable[[Object], Object]] = {
    ("Event", "v1", "events.k8s.io/v1"): events.from_core,
    ("Event", "events.k8s.io/v1", "v1"): events.to_core,
    ("HorizontalPodAutoscaler", "autoscaling/v1", "autoscaling/v2"): autoscaling.to_v2,
    ("HorizontalPodAutoscaler", "autoscaling/v2", "autoscaling/v1"): autoscaling.to_v1,
    ("ResourceClaim", "resource.k8s.io/v1beta1", "resource.k8s.io/v1"): devices.claim_to_v1,
    ("ResourceClaim", "resource.k8s.io/v1", "resource.k8s.io/v1beta1"): devices.claim_to_v1beta1,
    ("ResourceClaimTemplate", "resource.k8s.io/v1beta1", "resource.k8s.io/v1"): devices.template_to_v1,
    ("ResourceClaimTemplate", "resource.k8s.io/v1", "resource.k8s.io/v1beta1"): devices.template_to_v1beta1,
    ("ResourceSlice", "resource.k8s.io/v1beta1", "resource.k8s.io/v1"): devices.slice_to_v1,
    ("ResourceSlice", "resource.k8s.io/v1", "resource.k8s.io/v1beta1"): devices.slice_to_v1beta1,
}


def convert(obj: Object, source: Resource, target: Resource) -> Object:
    """The object in the target's version; versions that differ by name alone share its parts with the source."""
    change = _CONVERSIONS.get((source.kind, source.api_version, target.api_version))
    if change is None:
        return {**obj, "apiVersion": target.api_version}
    changed = {**change(obj), "kind": target.kind, "apiVersion": target.api_version}
    return codec.normalise(target.api_version, target.kind, changed).object
