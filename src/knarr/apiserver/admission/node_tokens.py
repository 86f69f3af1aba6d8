"""The tokens a kubelet may ask for: those of pods on its node, for audiences that the pods name.

Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
"""

from __future__ import annotations

from knarr.apimachinery.errors import not_found
from knarr.apimachinery.field import quote
from knarr.apimachinery.types import Object
from knarr.apiserver.admission.plugin import refuse
from knarr.apiserver.attributes import Attributes, Reader
from knarr.apiserver.authz.decision import Authorizer
from knarr.apiserver.request import RequestInfo


def check_token_request(node: str, attributes: Attributes, authorizer: Authorizer) -> None:
    """Check a kubelet's TokenRequest. Raises `StatusError`."""
    spec = (attributes.object or {}).get("spec") or {}
    ref = spec.get("boundObjectRef") or {}
    if ref.get("apiVersion") != "v1" or ref.get("kind") != "Pod" or not ref.get("name"):
        raise refuse(attributes, "node requested token not bound to a pod")
    if not ref.get("uid"):
        raise refuse(attributes, "node requested token with a pod binding without a uid")
    pod = attributes.reader.get("pods", "", attributes.namespace, ref["name"])
    if pod is None:
        raise not_found("pods", "", ref["name"])
    if pod["metadata"].get("uid") != ref["uid"]:
        why = f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record. "
        raise refuse(attributes, f"{why}The object might have been deleted and then recreated")
    if (pod.get("spec") or {}).get("nodeName") != node:
        raise refuse(attributes, "node requested token bound to a pod scheduled on a different node")
    _check_audience(attributes, authorizer, pod, spec.get("audiences") or [])


def _check_audience(attributes: Attributes, authorizer: Authorizer, pod: Object, audiences: list[str]) -> None:
    if len(audiences) > 1:
        raise refuse(attributes, "node may only request 0 or 1 audiences")
    audience = audiences[0] if audiences else ""
    if _mentions(attributes.reader, pod, audience):
        return
    info = RequestInfo(
        verb="request-serviceaccounts-token-audience",
        path="",
        is_resource=True,
        version="v1",
        namespace=attributes.namespace,
        resource=audience,
        name=attributes.name,
    )
    if not authorizer.authorize(attributes.user, info).allowed:
        why = f"audience {quote(audience)} not found in pod spec volume"
        raise refuse(attributes, f"{why}, {attributes.user.name} is not authorized to request this audience")


def _mentions(reader: Reader, pod: Object, audience: str) -> bool:
    """Tell whether a volume of the pod needs a token for this audience."""
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            token = source.get("serviceAccountToken")
            if token is not None and token.get("audience", "") == audience:
                return True
        driver = _driver(reader, pod, volume)
        if driver and _driver_wants(reader, driver, audience):
            return True
    return False


def _driver_wants(reader: Reader, driver: str, audience: str) -> bool:
    found = reader.get("csidrivers", "storage.k8s.io", "", driver)
    requests = ((found or {}).get("spec") or {}).get("tokenRequests") or ()
    return any(request.get("audience", "") == audience for request in requests)


def _driver(reader: Reader, pod: Object, volume: Object) -> str:
    """The CSI driver behind a volume; empty when there is none, or its claim is not bound."""
    if volume.get("csi") is not None:
        return str(volume["csi"].get("driver", ""))
    if volume.get("persistentVolumeClaim") is not None:
        claim_name = volume["persistentVolumeClaim"].get("claimName", "")
    elif volume.get("ephemeral") is not None:
        claim_name = f"{pod['metadata']['name']}-{volume.get('name', '')}"
    else:
        return ""
    claim = reader.get("persistentvolumeclaims", "", pod["metadata"].get("namespace", ""), claim_name)
    bound = ((claim or {}).get("spec") or {}).get("volumeName")
    if not bound:
        return ""
    backing = reader.get("persistentvolumes", "", "", bound)
    return str((((backing or {}).get("spec") or {}).get("csi") or {}).get("driver", ""))
