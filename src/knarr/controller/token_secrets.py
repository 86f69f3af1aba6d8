"""Fills Secrets of type `kubernetes.io/service-account-token`, and clears them away with their account.

Input: such a Secret, its ServiceAccount, the API server's CA, a signer of tokens. Output: the Secret with a token, CA
and namespace; its deletion when the account is gone (a live read says so); an account without references to a Secret
that is gone. Source: pkg/controller/serviceaccount (TokensController).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable

from knarr.api.registry import SECRETS, SERVICEACCOUNTS
from knarr.api.semantics import token_secrets
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Context, Delete, Read, Result, Update
from knarr.controller_runtime.controller import Controller, Watch, key_of
from knarr.controller_runtime.snapshot import Key, Snapshot

#: Signs the claims of a token.
Sign = Callable[[Object], str]


def controller(sign: Sign, root_ca: str) -> Controller:
    """The controller that signs with `sign` and publishes a PEM bundle with each token."""

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        secret = snapshot.get(*key)
        if secret is None:
            return _forgotten(key, snapshot)
        name = token_secrets.account_of(secret)
        if not name or secret["metadata"].get("deletionTimestamp"):
            return DONE
        account = snapshot.get(SERVICEACCOUNTS, key.namespace, name)
        if account is not None and token_secrets.is_of(secret, account):
            filled = _filled(secret, account, sign, root_ca)
            return DONE if filled == secret else Result((Update(SECRETS, filled),))
        return _orphaned(secret, Read(SERVICEACCOUNTS, key.namespace, name), context)

    return Controller(
        name="",
        title="serviceaccount-token-controller",
        resource=SECRETS,
        watches=(Watch(SECRETS, _tokens), Watch(SERVICEACCOUNTS, _of_account)),
        writes=("update, delete secrets", "update serviceaccounts"),
        reconcile=reconcile,
    )


def _filled(secret: Object, account: Object, sign: Sign, root_ca: str) -> Object:
    """The Secret with all that is to be in it."""
    meta, data = secret["metadata"], dict(secret.get("data") or {})
    annotations = {**(meta.get("annotations") or {}), token_secrets.UID: account["metadata"]["uid"]}
    authority = _encode(root_ca)
    if root_ca and data.get("ca.crt") != authority:
        data["ca.crt"] = authority
    if not data.get("namespace"):
        data["namespace"] = _encode(meta["namespace"])
    if not data.get("token"):
        data["token"] = _encode(sign(token_secrets.claims(account, secret)))
    return {**secret, "metadata": {**meta, "annotations": annotations}, "data": data}


def _orphaned(secret: Object, read: Read, context: Context) -> Result:
    """The watch of accounts may be behind: only the server itself knows that there is none."""
    if read not in context.live:
        return Result(reads=(read,))
    account = context.live[read]
    if account is not None and token_secrets.is_of(secret, account):
        # Its event comes, and wakes this key.
        return DONE
    meta = secret["metadata"]
    return Result((Delete(SECRETS, meta["namespace"], meta["name"], meta["uid"]),))


def _forgotten(key: Key, snapshot: Snapshot) -> Result:
    """Accounts without references to a Secret that is gone."""
    changes = []
    for account in snapshot.list(SERVICEACCOUNTS, key.namespace):
        references = account.get("secrets") or []
        left = [item for item in references if item.get("name") != key.name]
        if len(left) != len(references):
            changes.append(Update(SERVICEACCOUNTS, {**account, "secrets": left}))
    return Result(tuple(changes))


def _tokens(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    one = new or old or {}
    return [key_of(SECRETS, one)] if token_secrets.account_of(one) else ()


def _of_account(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """An account that comes or goes concerns the Secrets that name it."""
    if old is not None and new is not None and old["metadata"]["uid"] == new["metadata"]["uid"]:
        return ()
    meta = (new or old or {})["metadata"]
    secrets = snapshot.list(SECRETS, meta["namespace"])
    return [key_of(SECRETS, each) for each in secrets if token_secrets.account_of(each) == meta["name"]]


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
