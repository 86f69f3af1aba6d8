"""Status errors: the one error tree of the API.

Input: what went wrong, in the terms of the caller. Output: an exception that knows its HTTP code and its
`Status` body. Message texts follow k8s.io/apimachinery/pkg/api/errors.
"""

from __future__ import annotations

from collections.abc import Sequence

from knarr.apimachinery.field import FieldError
from knarr.apimachinery.gvk import qualified
from knarr.apimachinery.types import Object


class StatusError(Exception):
    """A failed API request: `code`, `reason`, `message` and `details` as in the `Status` kind."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        #: List metadata of the Status: the continue token that an expired one is replaced by.
        self.metadata: Object = {}

    def status(self) -> Object:
        """The `Status` object that a client receives."""
        out: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            out["reason"] = self.reason
        if self.details is not None:
            out["details"] = self.details
        out["code"] = self.code
        return out


def from_status(status: Object) -> StatusError:
    """The error a received `Status` body stands for."""
    return StatusError(
        int(status.get("code", 500)), status.get("reason", ""), status.get("message", ""), status.get("details")
    )


def _details(resource: str, group: str, name: str) -> Object:
    out: Object = {}
    if name:
        out["name"] = name
    if group:
        out["group"] = group
    if resource:
        out["kind"] = resource
    return out


def not_found(resource: str, group: str, name: str) -> StatusError:
    """404: `pods "a" not found`."""
    message = f'{qualified(resource, group)} "{name}" not found'
    return StatusError(404, "NotFound", message, _details(resource, group, name))


def page_not_found() -> StatusError:
    """404 for a path that names no resource."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: str, group: str, name: str) -> StatusError:
    """409: `pods "a" already exists`."""
    message = f'{qualified(resource, group)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, _details(resource, group, name))


def conflict(resource: str, group: str, name: str, why: str) -> StatusError:
    """409: the object was changed, or a precondition failed; `why` is the sentence behind the colon."""
    message = f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}'
    return StatusError(409, "Conflict", message, _details(resource, group, name))


#: The sentence of an optimistic-lock conflict.
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(kind: str, group: str, name: str, errors: Sequence[FieldError]) -> StatusError:
    """422 with one cause a field error. `kind` is the kind (`Pod`), not the resource."""
    parts = list(dict.fromkeys(str(error) for error in errors))
    text = parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]"
    details = _details(kind, group, name)
    details["causes"] = [{"reason": error.reason, "message": error.body(), "field": error.field} for error in errors]
    head = f'{qualified(kind, group)} "{name}" is invalid'
    return StatusError(422, "Invalid", f"{head}: {text}" if parts else head, details)


def bad_request(message: str) -> StatusError:
    """400."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401: credentials were sent and are not valid."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: str, group: str, name: str, why: str) -> StatusError:
    """403. `why` is the sentence behind the colon."""
    if resource:
        message = (
            f'{qualified(resource, group)} "{name}" is forbidden: {why}'
            if name
            else (f"{qualified(resource, group)} is forbidden: {why}")
        )
    else:
        message = f"forbidden: {why}"
    return StatusError(403, "Forbidden", message, _details(resource, group, name))


def method_not_supported(resource: str, group: str, verb: str) -> StatusError:
    """405 for a verb a resource does not serve."""
    message = f'{verb} is not supported on resources of kind "{qualified(resource, group)}"'
    return StatusError(405, "MethodNotAllowed", message, _details(resource, group, ""))


def not_acceptable(accepted: Sequence[str]) -> StatusError:
    """406."""
    message = "only the following media types are accepted: " + ", ".join(accepted)
    return StatusError(406, "NotAcceptable", message)


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    """415."""
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return StatusError(415, "UnsupportedMediaType", message)


def expired(message: str) -> StatusError:
    """410: the resourceVersion or continue token lies before the oldest revision kept."""
    return StatusError(410, "Expired", message)


def request_entity_too_large(message: str) -> StatusError:
    """413."""
    return StatusError(413, "RequestEntityTooLarge", message)


def too_many_requests(message: str, retry_after: int = 0) -> StatusError:
    """429, also used by evictions that a disruption budget refuses. `retry_after` in seconds."""
    return StatusError(429, "TooManyRequests", message, {"retryAfterSeconds": retry_after} if retry_after else {})


def internal(message: str) -> StatusError:
    """500."""
    details: Object = {"causes": [{"message": message}]}
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", details)


def service_unavailable(message: str) -> StatusError:
    """503."""
    return StatusError(503, "ServiceUnavailable", message)


def timeout(message: str, retry_after: int = 0) -> StatusError:
    """504."""
    details: Object = {"retryAfterSeconds": retry_after} if retry_after else {}
    return StatusError(504, "Timeout", f"Timeout: {message}", details)
