"""Deletes bootstrap tokens that have expired.

Input: a Secret of type `bootstrap.kubernetes.io/token`. Output: its deletion, at its end.
Source: pkg/controller/bootstrap (TokenCleaner).
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import SECRETS
from knarr.api.semantics import token_secrets
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Context, Delete, Result
from knarr.controller_runtime.controller import Controller, Watch, key_of
from knarr.controller_runtime.snapshot import Key, Snapshot

NAMESPACE = "kube-system"


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Delete one token once it is past its end; look again then."""
    secret = snapshot.get(*key)
    if secret is None:
        return DONE
    left = _left(secret, context)
    if left is None:
        return DONE
    if left > 0:
        return Result(requeue_after=left)
    return Result((Delete(SECRETS, key.namespace, key.name, secret["metadata"]["uid"]),))


def _left(secret: Object, context: Context) -> float | None:
    """Seconds until a token ends; None for never. What is no time has ended."""
    try:
        end = token_secrets.expiry(secret)
    except ValueError:
        return 0.0
    return None if end is None else (end - context.now).total_seconds()


def _tokens(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    if new is None or new.get("type") != token_secrets.BOOTSTRAP_TYPE or new["metadata"]["namespace"] != NAMESPACE:
        return ()
    return [key_of(SECRETS, new)]


CONTROLLER = Controller(
    name="token-cleaner",
    queue="token_cleaner",
    resource=SECRETS,
    watches=(Watch(SECRETS, _tokens),),
    writes=("delete secrets",),
    reconcile=reconcile,
)
