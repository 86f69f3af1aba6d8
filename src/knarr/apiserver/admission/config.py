"""What an administrator configures of admission: `AdmissionConfiguration` files, and which plugins are off.

Source: https://kubernetes.io/docs/reference/config-api/apiserver-config.v1/ and the pages of the plugins.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knarr.apimachinery.types import Object
from knarr.apiserver.admission.pod_standards.policy import LevelVersion, Policy, Settings, level_version
from knarr.apiserver.admission.resource_quota import Limited


@dataclass(frozen=True, slots=True)
class AdmissionConfig:
    """How the plugins of a server are set."""

    pod_security: Settings = Settings()
    #: What may only be used where a ResourceQuota covers it.
    limited: tuple[Limited, ...] = ()
    #: Names of plugins that are off.
    disabled: frozenset[str] = frozenset()


def load(path: Path | None, disabled: frozenset[str] = frozenset()) -> AdmissionConfig:
    """Read an `AdmissionConfiguration`. Raises `ValueError` that says what is wrong, `OSError`."""
    if path is None:
        return AdmissionConfig(disabled=disabled)
    found = _document(path)
    if found.get("kind") != "AdmissionConfiguration":
        raise ValueError(f"{path}: an AdmissionConfiguration is wanted, not {found.get('kind')!r}")
    settings = Settings()
    limited: tuple[Limited, ...] = ()
    for plugin in found.get("plugins") or ():
        name = plugin.get("name", "")
        try:
            config = _configuration(plugin, path.parent)
            if name == "PodSecurity":
                settings = _pod_security(config)
            elif name == "ResourceQuota":
                limited = _limited(config)
            else:
                raise ValueError("this plugin takes no configuration")
        except ValueError as error:
            raise ValueError(f"{path}: plugin {name}: {error}") from error
    return AdmissionConfig(settings, limited, disabled)


def _configuration(plugin: Object, folder: Path) -> Object:
    """The configuration of a plugin: in the file, or in one of its own."""
    if plugin.get("path"):
        return _document(folder / plugin["path"])
    found: Any = plugin.get("configuration") or {}
    if not isinstance(found, dict):
        raise ValueError("configuration must be an object")
    return found


def _document(path: Path) -> Object:
    import yaml

    try:
        found = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: an object is wanted")
    return found


def _pod_security(config: Object) -> Settings:
    _check_kind(config, "PodSecurityConfiguration")
    defaults, exempt = config.get("defaults") or {}, config.get("exemptions") or {}
    enforce, audit, warn = (_default(defaults, mode) for mode in ("enforce", "audit", "warn"))
    return Settings(
        Policy(enforce, audit, warn),
        frozenset(exempt.get("usernames") or ()),
        frozenset(exempt.get("namespaces") or ()),
        frozenset(exempt.get("runtimeClasses") or ()),
    )


def _default(defaults: Object, mode: str) -> LevelVersion:
    try:
        return level_version(defaults.get(mode) or "privileged", defaults.get(f"{mode}-version") or "latest")
    except ValueError as error:
        raise ValueError(f"defaults.{mode}: {error}") from error


def _limited(config: Object) -> tuple[Limited, ...]:
    _check_kind(config, "ResourceQuotaConfiguration")
    return tuple(
        Limited(
            item.get("resource", ""),
            item.get("apiGroup", ""),
            tuple(item.get("matchContains") or ()),
            tuple(item.get("matchScopes") or ()),
        )
        for item in config.get("limitedResources") or ()
    )


def _check_kind(config: Object, kind: str) -> None:
    if config.get("kind") != kind:
        raise ValueError(f"a {kind} is wanted, not {config.get('kind')!r}")
