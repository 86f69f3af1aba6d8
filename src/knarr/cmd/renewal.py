"""The server's TLS contexts, and the renewal of what they are made of while connections go on.

Certificates that are due are issued again by themselves. SIGHUP has all of them issued anew at once, and takes over an
authority that was announced (`component_base.succession`): new connections get the new certificates, old ones stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable

from knarr.cmd.identity import Authorities
from knarr.cmd.server_files import Files
from knarr.component_base import logs
from knarr.component_base.clock import Clock

#: Seconds between looks at whether the certificates are due for renewal, at most.
_RENEWAL = 3600.0
_DAY = 86400.0
#: For TLS 1.2; 1.3 has no others. The keys are elliptic.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_log = logs.get("server")
#: Told of another authority (PEM bundle).
Succeeded = Callable[[str], Awaitable[None]]


class Renewal:
    """`serving` is for those who connect to us, `kubelets` for our connections to nodes."""

    def __init__(self, files: Files, trusted: Authorities) -> None:
        self._files = files
        self._authority = files.authority
        self._anew = asyncio.Event()
        #: Told when there are new certificates: who has loaded others must load these.
        self.renewed: Callable[[], None] = lambda: None
        self.serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.serving.minimum_version = ssl.TLSVersion.TLSv1_2
        self.serving.set_ciphers(_CIPHERS)
        # The client knows what its processor is quick at: Go's ask for AES-128, small devices for ChaCha20.
        self.serving.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        self.serving.verify_mode = ssl.CERT_OPTIONAL
        trusted.trust(self.serving)
        # With an authority given, those of the system are not trusted.
        self.kubelets = ssl.create_default_context(cadata=self._authority.decode())
        self._load()

    def ask(self) -> None:
        """Have everything issued anew."""
        self._anew.set()

    async def keep(self, clock: Clock, succeeded: Succeeded) -> None:
        """Renew for ever."""
        while True:
            anew = await self._wait(min(_RENEWAL, self._files.days * _DAY / 20))
            await asyncio.to_thread(self._files.prepare, clock.now(), anew=anew)
            self._load()
            self.renewed()
            if anew:
                _log.info("certificates issued anew")
            if self._authority != self._files.authority:
                self._authority = self._files.authority
                _log.info("another authority signs from now on")
                await succeeded(self._authority.decode())

    async def _wait(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._anew.wait()
        asked = self._anew.is_set()
        self._anew.clear()
        return asked

    def _load(self) -> None:
        files, authority = self._files, self._files.authority.decode()
        for context, pair in ((self.serving, files.serving), (self.kubelets, files.kubelet_client)):
            context.load_cert_chain(pair.certificate, pair.key)
            # Those of before are trusted as well: their certificates are still about.
            context.load_verify_locations(cadata=authority)
