"""Secrets that hold tokens: those of service accounts (`kubernetes.io/service-account-token`) and bootstrap tokens.

Input: a Secret. Output: whose it is, what its token says.
Source: https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets and
https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
"""

from __future__ import annotations

import base64
import binascii
import datetime

from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object

TYPE = "kubernetes.io/service-account-token"
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
#: Labels with the day (`2026-01-31`) of a token's last use, and since which day it is not good any more.
LAST_USED, INVALID_SINCE = "kubernetes.io/legacy-token-last-used", "kubernetes.io/legacy-token-invalid-since"
#: The ConfigMap in `kube-system` that says since which day uses are noted.
TRACKING = "kube-apiserver-legacy-service-account-token-tracking"
DAY = "%Y-%m-%d"
#: Issuer of the tokens that stand in Secrets.
LEGACY_ISSUER = "kubernetes/serviceaccount"
BOOTSTRAP_TYPE, BOOTSTRAP_PREFIX = "bootstrap.kubernetes.io/token", "bootstrap-token-"


def account_of(secret: Object) -> str:
    """The name of the account whose token it holds; empty for other Secrets."""
    if secret.get("type") != TYPE:
        return ""
    return str((secret["metadata"].get("annotations") or {}).get(NAME, ""))


def is_of(secret: Object, account: Object) -> bool:
    """Whether it holds a token of this very account, not of an earlier one of its name."""
    if account_of(secret) != account["metadata"]["name"]:
        return False
    uid = (secret["metadata"].get("annotations") or {}).get(UID, "")
    return not uid or uid == account["metadata"]["uid"]


def claims(account: Object, secret: Object) -> Object:
    """The claims of the token that a Secret gets; it never expires."""
    namespace, name = account["metadata"]["namespace"], account["metadata"]["name"]
    prefix = "kubernetes.io/serviceaccount/"
    return {
        "iss": LEGACY_ISSUER,
        f"{prefix}namespace": namespace,
        f"{prefix}secret.name": secret["metadata"]["name"],
        f"{prefix}service-account.name": name,
        f"{prefix}service-account.uid": account["metadata"]["uid"],
        "sub": f"system:serviceaccount:{namespace}:{name}",
    }


def text(secret: Object, key: str) -> str:
    """An entry of a Secret, decoded; empty where it is absent or no text."""
    try:
        return base64.b64decode((secret.get("data") or {}).get(key) or "").decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def expiry(secret: Object) -> datetime.datetime | None:
    """When a bootstrap token ends; None for never. Raises `ValueError` for what is no time."""
    return timestamps.parse_optional(text(secret, "expiration"))
