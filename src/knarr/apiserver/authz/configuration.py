"""Which authorizers there are by an AuthorizationConfiguration.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#using-configuration-file-for-authorization
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from knarr.apimachinery import durations
from knarr.apimachinery.types import Object
from knarr.apiserver import config_files
from knarr.apiserver.authz import conditions
from knarr.apiserver.authz.settings import (
    ABAC,
    LONGEST,
    MODES,
    WEBHOOK,
    AuthorizationSettings,
    AuthorizerSpec,
    HookSpec,
    Terms,
)
from knarr.component_base import kubeconfig

KIND = "AuthorizationConfiguration"
VERSIONS = ("v1", "v1beta1", "v1alpha1")
_MOST_CONDITIONS = 64
_WEBHOOK_FIELDS = (
    "authorizedTTL",
    "cacheAuthorizedRequests",
    "unauthorizedTTL",
    "cacheUnauthorizedRequests",
    "timeout",
    "subjectAccessReviewVersion",
    "matchConditionSubjectAccessReviewVersion",
    "failurePolicy",
    "connectionInfo",
    "matchConditions",
)


def load(path: Path) -> AuthorizationSettings:
    """What an AuthorizationConfiguration says. Raises `ValueError`, `OSError`."""
    found = config_files.load(path, KIND, VERSIONS)
    config_files.known(found, "", ("apiVersion", "kind", "authorizers"))
    listed = config_files.items(found.get("authorizers"), "authorizers")
    if not listed:
        raise ValueError("authorizers: Required value: at least one authorization mode must be defined")
    specs = tuple(_authorizer(item, f"authorizers[{at}]", path.parent) for at, item in enumerate(listed))
    names = [spec.name for spec in specs]
    types = [spec.type for spec in specs if spec.type != WEBHOOK]
    for kind, values in (("name", names), ("type", types)):
        twice = next((value for at, value in enumerate(values) if value in values[:at]), None)
        if twice is not None:
            raise ValueError(f'authorizers.{kind}: Duplicate value: "{twice}"')
    return AuthorizationSettings(specs, path)


def _authorizer(item: Any, path: str, folder: Path) -> AuthorizerSpec:
    found = config_files.known(item, path, ("type", "name", "webhook"))
    kind, name = found.get("type"), str(found.get("name") or "")
    if kind == ABAC:
        raise ValueError(f"{path}.type: ABAC is had by --authorization-mode and --authorization-policy-file")
    if kind not in MODES:
        raise ValueError(f"{path}.type: Unsupported value: {kind!r}: supported values: {', '.join(sorted(MODES))}")
    if not name:
        raise ValueError(f"{path}.name: Required value")
    hook = found.get("webhook")
    if (kind == WEBHOOK) != (hook is not None):
        raise ValueError(f"{path}.webhook: is required with type Webhook, and only then")
    return AuthorizerSpec(str(kind), name, _hook(hook, f"{path}.webhook", folder) if hook is not None else None)


def _hook(item: Any, path: str, folder: Path) -> HookSpec:
    found = config_files.known(item, path, _WEBHOOK_FIELDS)
    version = _one_of(found, "subjectAccessReviewVersion", path, ("v1", "v1beta1"))
    policy = _one_of(found, "failurePolicy", path, ("NoOpinion", "Deny"))
    timeout = _seconds(found, "timeout", path)
    if not 0 < timeout <= LONGEST:
        raise ValueError(f"{path}.timeout: Invalid value: must be greater than 0s and at most 30s")
    wanted = _conditions(found.get("matchConditions"), f"{path}.matchConditions")
    if wanted:
        _one_of(found, "matchConditionSubjectAccessReviewVersion", path, ("v1",))
    terms = Terms(
        api_version=f"authorization.k8s.io/{version}",
        keep_allowed=_kept(found, "authorizedTTL", "cacheAuthorizedRequests", path),
        keep_refused=_kept(found, "unauthorizedTTL", "cacheUnauthorizedRequests", path),
        denies_on_error=policy == "Deny",
        conditions=wanted,
    )
    return HookSpec(_connection(found.get("connectionInfo"), f"{path}.connectionInfo", folder), terms, timeout)


def _conditions(item: Any, path: str) -> tuple[str, ...]:
    found: list[str] = []
    for at, each in enumerate(config_files.items(item, path)):
        here = f"{path}[{at}].expression"
        text = str(config_files.known(each, f"{path}[{at}]", ("expression",)).get("expression") or "").strip()
        if not text:
            raise ValueError(f"{here}: Required value")
        if text in found:
            raise ValueError(f'{here}: Duplicate value: "{text}"')
        wrong = conditions.problem(text)
        if wrong:
            raise ValueError(f'{here}: Invalid value: "{text}": {wrong}')
        found.append(text)
    if len(found) > _MOST_CONDITIONS:
        raise ValueError(f"{path}: Too many: {len(found)}: must have at most {_MOST_CONDITIONS} items")
    return tuple(found)


def _connection(item: Any, path: str, folder: Path) -> Path | None:
    found = config_files.known(item, path, ("type", "kubeConfigFile"))
    kind = _one_of(found, "type", path, ("KubeConfigFile", "InClusterConfig"))
    file = found.get("kubeConfigFile")
    if kind == "InClusterConfig":
        if file:
            raise ValueError(f"{path}.kubeConfigFile: can only be set when type=KubeConfigFile")
        raise ValueError(f"{path}.type: InClusterConfig is for API servers that run in a pod; this one does not")
    if not file or not (folder / str(file)).is_absolute() or not (folder / str(file)).is_file():
        raise ValueError(f"{path}.kubeConfigFile: Invalid value: {file!r}: must be a regular file")
    kubeconfig.load(folder / str(file))
    return folder / str(file)


def _one_of(found: Object, name: str, path: str, values: Sequence[str]) -> str:
    value = found.get(name)
    if not value:
        raise ValueError(f"{path}.{name}: Required value")
    if value not in values:
        raise ValueError(f"{path}.{name}: Unsupported value: {value!r}: supported values: {', '.join(values)}")
    return str(value)


def _kept(found: Object, name: str, switch: str, path: str) -> float:
    seconds = _seconds(found, name, path)
    if seconds <= 0:
        raise ValueError(f"{path}.{name}: Invalid value: must be greater than zero")
    return seconds if found.get(switch, True) else 0.0


def _seconds(found: Object, name: str, path: str) -> float:
    value = found.get(name)
    if value is None:
        raise ValueError(f"{path}.{name}: Required value")
    return durations.parse(str(value))
