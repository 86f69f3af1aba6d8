"""`metav1.Condition`s, where Kubernetes checks them.

Source of the rules: k8s.io/apimachinery/pkg/apis/meta/v1/validation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, one_of, texts
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_MAX_REASON, _MAX_MESSAGE = 1024, 32 * 1024
_REASON_TEXT = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_REASON = re.compile(_REASON_TEXT)
_REASON_WRONG = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric"
    " characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or"
    " 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is "
    f"'{_REASON_TEXT}')"
)


def check_conditions(errors: Errors, conditions: Sequence[Object], path: str) -> None:
    """Each condition, and that none stands twice."""
    seen: set[str] = set()
    for at, condition in enumerate(conditions):
        here, kind = f"{path}[{at}]", condition.get("type", "")
        if kind in seen:
            errors.append(field.duplicate(f"{here}.type", kind))
        seen.add(kind)
        _check_condition(errors, condition, here)


def _check_condition(errors: Errors, condition: Object, path: str) -> None:
    texts(errors, f"{path}.type", condition.get("type", ""), names.qualified_name(condition.get("type", "")))
    one_of(errors, f"{path}.status", condition.get("status", ""), ("False", "True", "Unknown"))
    if condition.get("observedGeneration", 0) < 0:
        wrong = "must be greater than or equal to zero"
        errors.append(field.invalid(f"{path}.observedGeneration", condition["observedGeneration"], wrong))
    if not condition.get("lastTransitionTime"):
        errors.append(field.required(f"{path}.lastTransitionTime", "must be set"))
    reason = condition.get("reason", "")
    if not reason:
        errors.append(field.required(f"{path}.reason", "must be set"))
    else:
        if not _REASON.fullmatch(reason):
            errors.append(field.invalid(f"{path}.reason", reason, _REASON_WRONG))
        if len(reason.encode()) > _MAX_REASON:
            errors.append(field.too_long(f"{path}.reason", _MAX_REASON))
    if len(condition.get("message", "").encode()) > _MAX_MESSAGE:
        errors.append(field.too_long(f"{path}.message", _MAX_MESSAGE))
