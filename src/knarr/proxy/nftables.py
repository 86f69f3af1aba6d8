"""Keeps one nftables table equal to the wanted ruleset. Runs `nft -f -`, which commits a whole batch or nothing."""

from __future__ import annotations

import asyncio

from knarr.component_base import logs
from knarr.proxy import transaction
from knarr.proxy.ruleset import TABLE, Ruleset

_log = logs.get("proxy")


class NftablesError(Exception):
    """`nft` refused a transaction; the text is its message."""


async def run_nft(text: str, program: str = "nft") -> None:
    """Apply one transaction in the network namespace of this process. Raises `NftablesError`."""
    process = await asyncio.create_subprocess_exec(
        program,
        "-f",
        "-",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, errors = await process.communicate(text.encode())
    finally:
        # Cancelled meanwhile: it goes with us. What it has not committed by then it never will.
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise NftablesError(errors.decode(errors="replace").strip()[:2000])


class Table:
    """The proxy's table of one family in this network namespace, and what was last loaded into it."""

    def __init__(self, program: str = "nft") -> None:
        self._program = program
        self._loaded: Ruleset | None = None

    async def apply(self, wanted: Ruleset) -> None:
        """Bring the table to `wanted`: by the difference if it is known, else (or if that fails) as a whole.

        Raises `NftablesError`; the next call then loads the whole table.
        """
        if self._loaded is not None:
            text = transaction.change(self._loaded, wanted)
            if not text:
                return
            self._loaded = None
            try:
                await run_nft(text, self._program)
            except NftablesError as error:
                # Somebody changed or flushed the table behind our back: start again from nothing.
                _log.warning("reloading nftables", error=error)
            else:
                self._loaded = wanted
                return
        await run_nft(transaction.replace(wanted), self._program)
        self._loaded = wanted

    async def verify(self) -> bool:
        """Whether the table still stands; a flushed one is reloaded by the next `apply`."""
        if self._loaded is None:
            return False
        try:
            await run_nft(f"list chain {self._loaded.family} {TABLE} nat-prerouting\n", self._program)
        except NftablesError:
            self._loaded = None
            return False
        return True

    async def remove(self) -> None:
        """Delete the table."""
        family = self._loaded.family if self._loaded else "ip"
        self._loaded = None
        await run_nft(transaction.remove(family), self._program)
