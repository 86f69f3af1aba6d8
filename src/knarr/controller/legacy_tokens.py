"""Ends tokens that were made for accounts by themselves, stand in Secrets, and that nobody has used for a year.

Input: a Secret with a token, its account, the pods that mount it, since when uses are noted (a ConfigMap). Output: a
label that makes the token invalid; a year later the Secret's deletion.
Source: pkg/controller/serviceaccount (LegacySATokenCleaner).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from knarr.api.registry import CONFIGMAPS, PODS, SECRETS, SERVICEACCOUNTS
from knarr.api.semantics import token_secrets
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Context, Delete, Patch, Read, Result
from knarr.controller_runtime.controller import Controller, Watch, key_of, nobody
from knarr.controller_runtime.snapshot import Key, Snapshot

#: How long a token may be unused.
PERIOD = datetime.timedelta(days=365)
_DAY = datetime.timedelta(days=1)
_TRACKING = Read(CONFIGMAPS, "kube-system", token_secrets.TRACKING)


def controller(period: datetime.timedelta = PERIOD) -> Controller:
    """The controller that gives unused tokens this long."""

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        secret = snapshot.get(*key)
        if secret is None or not _is_candidate(secret, snapshot):
            return DONE
        limit = context.now - period
        if _is_in_use(secret, snapshot, limit):
            return Result(requeue_after=_DAY.total_seconds())
        if _TRACKING not in context.live:
            return Result(reads=(_TRACKING,))
        since = _day((context.live[_TRACKING] or {}).get("data", {}).get("since", ""))
        # The day it began is not a whole one.
        if since is None or since + _DAY > limit:
            return Result(requeue_after=_DAY.total_seconds())
        return _ended(secret, limit, context.now)

    return Controller(
        name="legacy-service-account-token-cleaner",
        resource=SECRETS,
        watches=(Watch(SECRETS, _tokens), Watch(SERVICEACCOUNTS, nobody), Watch(PODS, nobody)),
        writes=("patch, delete secrets",),
        reconcile=reconcile,
    )


def _is_candidate(secret: Object, snapshot: Snapshot) -> bool:
    """Only what an account itself refers to was made by itself."""
    name, meta = token_secrets.account_of(secret), secret["metadata"]
    if not name or meta.get("deletionTimestamp"):
        return False
    account = snapshot.get(SERVICEACCOUNTS, meta["namespace"], name)
    if account is None or not token_secrets.is_of(secret, account):
        return False
    return any(item.get("name") == meta["name"] for item in account.get("secrets") or ())


def _is_in_use(secret: Object, snapshot: Snapshot, limit: datetime.datetime) -> bool:
    meta = secret["metadata"]
    if timestamps.parse(meta["creationTimestamp"]) >= limit:
        return True
    used = (meta.get("labels") or {}).get(token_secrets.LAST_USED)
    if used is not None and (_day(used) is None or used >= limit.strftime(token_secrets.DAY)):
        return True
    return any(meta["name"] in _mounted(pod) for pod in snapshot.list(PODS, meta["namespace"]))


def _mounted(pod: Object) -> Iterable[str]:
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        yield (volume.get("secret") or {}).get("secretName", "")
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield (source.get("secret") or {}).get("name", "")


def _ended(secret: Object, limit: datetime.datetime, now: datetime.datetime) -> Result:
    meta = secret["metadata"]
    since = (meta.get("labels") or {}).get(token_secrets.INVALID_SINCE, "")
    if _day(since) is None:
        labels = {token_secrets.INVALID_SINCE: now.strftime(token_secrets.DAY)}
        patch = {"metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "labels": labels}}
        return Result((Patch(SECRETS, meta["namespace"], meta["name"], patch),))
    if since >= limit.strftime(token_secrets.DAY):
        return Result(requeue_after=_DAY.total_seconds())
    version = meta["resourceVersion"]
    return Result((Delete(SECRETS, meta["namespace"], meta["name"], meta["uid"], resource_version=version),))


def _day(text: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(text, token_secrets.DAY).replace(tzinfo=datetime.UTC)
    except ValueError:
        return None


def _tokens(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    return [key_of(SECRETS, new)] if new is not None and token_secrets.account_of(new) else ()
