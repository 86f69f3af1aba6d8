"""ServiceAccount: every pod runs as an account that exists, and finds that account's token mounted.

Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from knarr.apimachinery.types import Object
from knarr.apiserver.admission.plugin import Kinds, refuse
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.authz.node_graph import MIRROR_ANNOTATION, pod_references

_DEFAULT = "default"
_VOLUME = "kube-api-access-"
_MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_ENFORCE = "kubernetes.io/enforce-mountable-secrets"
#: Asked lifetime of the token, in seconds; the odd number marks it as the one that the server adds.
_SECONDS = 3607


def _concerns(operation: str, subresource: str) -> bool:
    """Only new pods and new containers have something to be completed or checked."""
    return (operation, subresource) in (("CREATE", ""), ("UPDATE", "ephemeralcontainers"))


class ServiceAccount:
    """Fills in a pod's account, token volume and pull secrets."""

    name = "ServiceAccount"
    kinds: Kinds = frozenset({("pods", "")})
    concerns = staticmethod(_concerns)

    def __init__(self, suffix: Callable[[], str]) -> None:
        """`suffix` gives the five random characters of a volume's name."""
        self._suffix = suffix

    def admit(self, attributes: Attributes) -> None:
        """Complete a new pod. Raises `StatusError` when its account does not exist."""
        pod = attributes.object
        if attributes.operation != "CREATE" or attributes.subresource or pod is None:
            return
        if not _is_mirror(pod):
            spec = pod["spec"]
            spec["serviceAccountName"] = spec["serviceAccount"] = spec.get("serviceAccountName") or _DEFAULT
            account = self._account(attributes, spec["serviceAccountName"])
            if _automounts(account, spec):
                self._mount(spec)
            if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
                spec["imagePullSecrets"] = [{"name": item.get("name", "")} for item in account["imagePullSecrets"]]
            if _enforces(account):
                _check_secrets(attributes, pod, account)
        else:
            _check_mirror(attributes, pod)

    def validate(self, attributes: Attributes) -> None:
        """Check what a new pod, or new ephemeral containers, refer to. Raises `StatusError`."""
        pod = attributes.object
        if pod is None:
            return
        if attributes.operation == "UPDATE" and attributes.subresource == "ephemeralcontainers":
            account = self._account(attributes, pod["spec"].get("serviceAccountName", ""))
            if _enforces(account):
                _check_variables(attributes, pod, account, ("ephemeralContainers",))
            return
        if attributes.operation != "CREATE" or attributes.subresource:
            return
        if _is_mirror(pod):
            _check_mirror(attributes, pod)
            return
        name = pod["spec"].get("serviceAccountName")
        if not name:
            where = f"{attributes.namespace}/{pod['metadata'].get('name', '')}"
            raise refuse(attributes, f"no service account specified for pod {where}")
        account = self._account(attributes, name)
        if _enforces(account):
            _check_secrets(attributes, pod, account)

    @staticmethod
    def _account(attributes: Attributes, name: str) -> Object:
        account = attributes.reader.get("serviceaccounts", "", attributes.namespace, name)
        if account is None:
            where = f"{attributes.namespace}/{name}"
            raise refuse(attributes, f'error looking up service account {where}: serviceaccount "{name}" not found')
        return account

    def _mount(self, spec: Object) -> None:
        volumes = spec.get("volumes") or []
        existing = next((item["name"] for item in volumes if item.get("name", "").startswith(_VOLUME)), "")
        name = existing or _VOLUME + self._suffix()
        needed = False
        for kind in ("initContainers", "containers"):
            for container in spec.get(kind) or ():
                mounts = container.get("volumeMounts") or []
                if not any(mount.get("mountPath") == _MOUNT_PATH for mount in mounts):
                    container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": _MOUNT_PATH}]
                    needed = True
        if needed and not existing:
            spec["volumes"] = [*volumes, token_volume(name)]


def token_volume(name: str) -> Object:
    """The volume with an account's token, the cluster's authority and the pod's namespace."""
    return {
        "name": name,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": _SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {
                    "downwardAPI": {
                        "items": [
                            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                        ]
                    }
                },
            ],
            "defaultMode": 0o644,
        },
    }


def _is_mirror(pod: Object) -> bool:
    return MIRROR_ANNOTATION in (pod["metadata"].get("annotations") or {})


def _automounts(account: Object, spec: Object) -> bool:
    for source in (spec, account):
        if source.get("automountServiceAccountToken") is not None:
            return bool(source["automountServiceAccountToken"])
    return True


def _check_mirror(attributes: Attributes, pod: Object) -> None:
    if pod["spec"].get("serviceAccountName"):
        raise refuse(attributes, "a mirror pod may not reference service accounts")
    if any(resource == "secrets" and name for resource, name in pod_references(pod)):
        raise refuse(attributes, "a mirror pod may not reference secrets")
    for volume in pod["spec"].get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if source.get("serviceAccountToken") is not None:
                raise refuse(attributes, "a mirror pod may not use ServiceAccountToken volume projections")


def _enforces(account: Object) -> bool:
    value = (account["metadata"].get("annotations") or {}).get(_ENFORCE, "")
    return value in ("1", "t", "T", "TRUE", "true", "True")


def _check_secrets(attributes: Attributes, pod: Object, account: Object) -> None:
    """The secrets of a pod whose account demands that it lists them all."""
    name = account["metadata"]["name"]
    mountable = _names(account, "secrets")
    for volume in pod["spec"].get("volumes") or ():
        secret = (volume.get("secret") or {}).get("secretName")
        if secret and secret not in mountable:
            why = f'volume with secret.secretName="{secret}" is not allowed because service account {name}'
            raise refuse(attributes, f"{why} does not reference that secret")
    _check_variables(attributes, pod, account, ("initContainers", "containers"))
    pullable = _names(account, "imagePullSecrets")
    for index, item in enumerate(pod["spec"].get("imagePullSecrets") or ()):
        if item.get("name") not in pullable:
            why = (
                f'imagePullSecrets[{index}].name="{item.get("name", "")}" is not allowed because service account {name}'
            )
            raise refuse(attributes, f"{why} does not reference that imagePullSecret")


_LABELS = {"initContainers": "init container", "containers": "container", "ephemeralContainers": "ephemeral container"}


def _check_variables(attributes: Attributes, pod: Object, account: Object, kinds: tuple[str, ...]) -> None:
    mountable = _names(account, "secrets")
    for kind in kinds:
        for container in pod["spec"].get(kind) or ():
            for source, secret in _secret_variables(container):
                if secret not in mountable:
                    raise refuse(
                        attributes,
                        f"{_LABELS[kind]} {container.get('name', '')} with {source} referencing "
                        f'secret.secretName="{secret}" is not allowed because service account '
                        f"{account['metadata']['name']} does not reference that secret",
                    )


def _secret_variables(container: Object) -> Iterator[tuple[str, str]]:
    for variable in container.get("env") or ():
        ref = (variable.get("valueFrom") or {}).get("secretKeyRef")
        if ref is not None:
            yield f"envVar {variable.get('name', '')}", ref.get("name", "")
    for source in container.get("envFrom") or ():
        if source.get("secretRef") is not None:
            yield "envFrom", source["secretRef"].get("name", "")


def _names(account: Object, field: str) -> frozenset[str]:
    return frozenset(item.get("name", "") for item in account.get(field) or ())
