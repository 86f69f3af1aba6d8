"""NamespaceLifecycle: nothing is created where a namespace is absent or ends; some namespaces never end."""

from __future__ import annotations

from knarr.apimachinery.errors import StatusError, forbidden, not_found
from knarr.apiserver.admission.plugin import Kinds, refuse
from knarr.apiserver.attributes import Attributes

_IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle:
    """Looks at the namespace of every write."""

    name = "NamespaceLifecycle"
    kinds: Kinds = None

    def admit(self, attributes: Attributes) -> None:
        """Refuse what the namespace's state forbids. Raises `StatusError`."""
        resource = attributes.resource
        if resource.plural == "namespaces" and not resource.group:
            if attributes.operation == "DELETE" and attributes.name in _IMMORTAL:
                raise forbidden("namespaces", "", attributes.name, "this namespace may not be deleted")
            return
        if not attributes.namespace or attributes.operation in ("DELETE", "CONNECT"):
            return
        if resource.plural == "localsubjectaccessreviews":
            return
        namespace = attributes.reader.get("namespaces", "", "", attributes.namespace)
        if namespace is None:
            raise not_found("namespaces", "", attributes.namespace)
        phase = (namespace.get("status") or {}).get("phase")
        if attributes.operation == "CREATE" and phase == "Terminating":
            raise _terminating(attributes)


def _terminating(attributes: Attributes) -> StatusError:
    namespace = attributes.namespace
    error = refuse(attributes, f"unable to create new content in namespace {namespace} because it is being terminated")
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    error.details = {**(error.details or {}), "causes": [cause]}
    return error
