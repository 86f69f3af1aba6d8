"""The `AdmissionRequest` of a write: what webhooks are sent, and what expressions know as `request`.

Input: attributes, as what they matched, the objects in that version. Output: plain JSON, which shares the objects.
Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#request
"""

from __future__ import annotations

from knarr.api.resources import Resource
from knarr.apimachinery.gvk import GroupVersionKind
from knarr.apimachinery.types import Object
from knarr.apiserver import users
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.matching import rules
from knarr.apiserver.matching.criteria import Match, kind_of
from knarr.apiserver.matching.versions import Versioned


def request(attributes: Attributes, match: Match, objects: Versioned) -> Object:
    """The request, without its uid."""
    out = about(attributes, match)
    out["object"] = objects.object
    out["oldObject"] = objects.old_object
    return out


def about(attributes: Attributes, match: Match) -> Object:
    """The request without its objects."""
    resource, part = attributes.resource, attributes.subresource
    own = kind_of(resource, part) or resource.gvk
    namespace = rules.namespace_of(attributes)
    out: Object = {
        "kind": _kind(match.kind),
        "resource": _resource(match.resource),
        "requestKind": _kind(own),
        "requestResource": _resource(resource),
        "operation": attributes.operation,
        "userInfo": users.shown(attributes.user),
        "dryRun": attributes.dry_run,
        "options": attributes.options or None,
    }
    if part:
        out["subResource"] = out["requestSubResource"] = part
    if attributes.name:
        out["name"] = attributes.name
    if namespace:
        out["namespace"] = namespace
    return out


def _kind(kind: GroupVersionKind) -> Object:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _resource(resource: Resource) -> Object:
    return {"group": resource.group, "version": resource.version, "resource": resource.plural}
