"""Structural schemas of custom resources: pruning, defaults, validation, who owns which fields.

Pure: JSON in, JSON out. `Schema.compile` takes an `openAPIV3Schema` as a CustomResourceDefinition holds it.
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

from knarr.api.structural.effort import Effort, TooDearError
from knarr.api.structural.embedded import FieldFault
from knarr.api.structural.schema import Schema

__all__ = ["Effort", "FieldFault", "Schema", "TooDearError"]
