"""The paths that belong to no resource: discovery, version, the issuer of service-account tokens."""

from __future__ import annotations

from knarr.api.openapi import paths
from knarr.api.openapi.operations import DISCOVERED, JSON, MEDIA, TEXT, Operation, PathItem

#: Documents that every server has, by name, each of one path.
NAMES = (".well-known/openid-configuration", "api", "apis", "openid/v1/jwks", "version")


def root(name: str) -> dict[str, PathItem]:
    """The path of a document of `NAMES`. Raises `KeyError`."""
    return {f"/{name}/": PathItem({"get": _ROOTS[name]})}


def group(name: str) -> dict[str, PathItem]:
    """The path that tells a group's versions."""
    within, tag = paths.names(name, "")
    operation = _discovery(f"get{within}APIGroup", tag, "get information of a group", "meta.v1.APIGroup")
    return {f"/apis/{name}/": PathItem({"get": operation})}


def group_version(name: str, version: str) -> dict[str, PathItem]:
    """The path that tells a group-version's resources."""
    within, tag = paths.names(name, version)
    prefix = f"/apis/{name}/{version}/" if name else f"/api/{version}/"
    operation = Operation(
        id=f"get{within}APIResources",
        tag=tag,
        description="get available resources",
        answer="meta.v1.APIResourceList",
        produces=MEDIA,
        consumes=MEDIA,
    )
    return {prefix: PathItem({"get": operation})}


def _discovery(name: str, tag: str, said: str, answer: str) -> Operation:
    return Operation(name, tag, said, answer, produces=DISCOVERED, consumes=DISCOVERED)


_ROOTS = {
    ".well-known/openid-configuration": Operation(
        id="getServiceAccountIssuerOpenIDConfiguration",
        tag="WellKnown",
        description="get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'",
        answer=TEXT,
        produces=(JSON,),
        consumes=(),
    ),
    "api": _discovery("getCoreAPIVersions", "core", "get available API versions", "meta.v1.APIVersions"),
    "apis": _discovery("getAPIVersions", "apis", "get available API versions", "meta.v1.APIGroupList"),
    "openid/v1/jwks": Operation(
        id="getServiceAccountIssuerOpenIDKeyset",
        tag="openid",
        description="get the keys that verify service account tokens",
        answer=TEXT,
        produces=("application/jwk-set+json",),
        consumes=(),
    ),
    "version": Operation(
        id="getCodeVersion",
        tag="version",
        description="get the version information for this server",
        answer="machinery.version.Info",
        produces=(JSON,),
        consumes=(JSON,),
    ),
}
