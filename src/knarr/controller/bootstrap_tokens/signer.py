"""Signs the ConfigMap `kube-public/cluster-info` with every bootstrap token, so that who has a token can trust it.

Input: the ConfigMap, the tokens. Output: the ConfigMap with one detached signature (JWS, HS256) a token.
Source: pkg/controller/bootstrap (Signer), https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/#configmap-signing
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable

from knarr.api.registry import CONFIGMAPS, SECRETS
from knarr.api.semantics import token_secrets
from knarr.apimachinery.types import Object
from knarr.controller.bootstrap_tokens.cleaner import NAMESPACE
from knarr.controller_runtime.changes import DONE, Context, Result, Update
from knarr.controller_runtime.controller import Controller, Watch
from knarr.controller_runtime.snapshot import Key, Snapshot

_PUBLIC, _NAME = "kube-public", "cluster-info"
_KEY = Key(CONFIGMAPS, _PUBLIC, _NAME)
_SIGNATURE = "jws-kubeconfig-"
_ID, _SECRET = re.compile(r"[a-z0-9]{6}"), re.compile(r"[a-z0-9]{16}")


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Bring the signatures up to date."""
    info = snapshot.get(*key)
    if info is None:
        return DONE
    data = {name: text for name, text in (info.get("data") or {}).items() if not name.startswith(_SIGNATURE)}
    content = data.get("kubeconfig")
    if content is None:
        # There is nothing to sign.
        return DONE
    for secret in snapshot.list(SECRETS, NAMESPACE):
        if secret.get("type") == token_secrets.BOOTSTRAP_TYPE and _may_sign(secret, context):
            name = token_secrets.text(secret, "token-id")
            data[_SIGNATURE + name] = detached(content, name, token_secrets.text(secret, "token-secret"))
    return DONE if data == info.get("data") else Result((Update(CONFIGMAPS, {**info, "data": data}),))


def detached(content: str, token_id: str, secret: str) -> str:
    """The signature of a text, without the text: `HEADER..SIGNATURE`."""
    header = _encode(b'{"alg":"HS256","kid":"%b"}' % token_id.encode())
    signed = f"{header}.{_encode(content.encode())}".encode()
    return f"{header}..{_encode(hmac.digest(secret.encode(), signed, hashlib.sha256))}"


def _may_sign(secret: Object, context: Context) -> bool:
    name = token_secrets.text(secret, "token-id")
    if secret["metadata"]["name"] != token_secrets.BOOTSTRAP_PREFIX + name or not _ID.fullmatch(name):
        return False
    if not _SECRET.fullmatch(token_secrets.text(secret, "token-secret")):
        return False
    if token_secrets.text(secret, "usage-bootstrap-signing") != "true":
        return False
    try:
        end = token_secrets.expiry(secret)
    except ValueError:
        return False
    return end is None or end > context.now


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _info(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    meta = (new or old or {})["metadata"]
    return (_KEY,) if (meta["namespace"], meta["name"]) == (_PUBLIC, _NAME) else ()


def _token(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    one = new or old or {}
    bootstrap = one.get("type") == token_secrets.BOOTSTRAP_TYPE and one["metadata"]["namespace"] == NAMESPACE
    return (_KEY,) if bootstrap else ()


CONTROLLER = Controller(
    name="bootstrap-signer",
    queue="bootstrap_signer_queue",
    resource=CONFIGMAPS,
    watches=(Watch(CONFIGMAPS, _info), Watch(SECRETS, _token)),
    writes=("update configmaps",),
    reconcile=reconcile,
)
