"""Notes on Secrets with tokens the day on which they were last used, and since when that is done.

Source: https://kubernetes.io/docs/concepts/security/service-accounts/#legacy-serviceaccount-token-tracking
"""

from __future__ import annotations

from knarr.api import registry
from knarr.api.semantics import token_secrets
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver import loopback
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.http_server import Handler
from knarr.component_base.tasks import Tasks

_log = logs.get("authn")


class TokenUses:
    """Told of uses while requests are answered; writes afterwards. `handler` is the server's own."""

    def __init__(self, clock: Clock, tasks: Tasks) -> None:
        self._clock = clock
        self._tasks = tasks
        #: Secrets that are being written.
        self._busy: set[str] = set()
        self.handler: Handler | None = None

    def note(self, secret: Object) -> None:
        """The token of this Secret has been used."""
        meta = secret["metadata"]
        today = self._clock.now().strftime(token_secrets.DAY)
        if (meta.get("labels") or {}).get(token_secrets.LAST_USED) == today or meta["uid"] in self._busy:
            return
        self._busy.add(meta["uid"])
        self._tasks.start(self._write(meta, today), "token use")

    async def _write(self, meta: Object, today: str) -> None:
        path = registry.SECRETS.path(meta["namespace"], meta["name"])
        patch = {"metadata": {"uid": meta["uid"], "labels": {token_secrets.LAST_USED: today}}}
        try:
            if self.handler is not None:
                await loopback.call(self.handler, "PATCH", path, patch, loopback.MERGE_PATCH)
        except StatusError as error:
            # The next use tries again.
            _log.warning("a token's use is not noted", secret=meta["name"], namespace=meta["namespace"], error=error)
        finally:
            self._busy.discard(meta["uid"])


def tracking_map(today: str) -> Object:
    """The ConfigMap that says since when uses are noted."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": token_secrets.TRACKING, "namespace": "kube-system"},
        "data": {"since": today},
    }
