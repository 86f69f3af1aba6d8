"""Renews a node's client certificate by a CertificateSigningRequest, when nobody else has done it in time.

The server beside a node renews its certificate after two thirds of its life. A node without one asks the cluster, which
approves and signs what nodes ask for themselves; whoever uses the kubeconfig follows the file.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from knarr.component_base import logs
from knarr.component_base.clock import Clock

if TYPE_CHECKING:
    from knarr.apimachinery.types import Object
    from knarr.client.client import Client

_log = logs.get("credentials")
#: The part of a certificate's life after which the node asks.
_PART = 0.8
#: Seconds between looks at the file, and for which a request is waited for.
_LOOK, _PATIENCE = 600.0, 900.0
_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"


class Rotation:
    """Renews the certificate in the kubeconfig at `path`, as `client`, who is the node `name`."""

    def __init__(self, name: str, path: Path, client: Client, clock: Clock) -> None:
        self._name = name
        self._path = path
        self._client = client
        self._clock = clock

    async def run(self) -> None:
        """Renew whenever it is time, for ever. Raises `StatusError`, `TimeoutError`, `OSError`: then try again."""
        while True:
            left = self._left()
            if left <= 0:
                await self.renew()
            else:
                await self._clock.sleep(min(left, _LOOK))

    def _left(self) -> float:
        """Seconds until it is time; for ever where no certificate is used."""
        from knarr.component_base import certificates, kubeconfig

        certificate = kubeconfig.load(self._path).certificate
        if not certificate:
            return float("inf")
        return (certificates.moment_of_life(certificate, _PART) - self._clock.now()).total_seconds()

    async def renew(self) -> None:
        """Ask for a certificate, wait for it, and write it to the file."""
        from knarr.component_base import certificates, kubeconfig
        from knarr.component_base.certificates import Leaf

        pair = certificates.new_request(Leaf(f"system:node:{self._name}", ("system:nodes",), client=True))
        certificate = await self._signed(pair.certificate)
        access = replace(kubeconfig.load(self._path), certificate=certificate, key=pair.key)
        kubeconfig.write(self._path, "knarr", access)
        _log.info("rotated the node's client certificate", node=self._name)

    async def _signed(self, request: bytes) -> bytes:
        from knarr.api.registry import CSRS

        spec = {
            "request": base64.b64encode(request).decode(),
            "signerName": _SIGNER,
            "usages": ["digital signature", "client auth"],
        }
        made = await self._client.create(CSRS, {"metadata": {"generateName": "csr-"}, "spec": spec})
        async with asyncio.timeout(_PATIENCE):
            return await self._awaited(made)

    async def _awaited(self, made: Object) -> bytes:
        from knarr.api.registry import CSRS

        meta = made["metadata"]
        options = {"fieldSelector": f"metadata.name={meta['name']}", "resourceVersion": meta["resourceVersion"]}
        events = self._client.watch(CSRS, **options)
        async with contextlib.aclosing(events):
            async for event in events:
                status = event.object.get("status") or {}
                if event.type == "DELETED" or any(
                    item["type"] in ("Denied", "Failed") for item in status.get("conditions") or ()
                ):
                    raise RuntimeError(f"CertificateSigningRequest {meta['name']} was refused")
                if status.get("certificate"):
                    return base64.b64decode(status["certificate"])
        raise ConnectionError(f"the watch of CertificateSigningRequest {meta['name']} ended")
