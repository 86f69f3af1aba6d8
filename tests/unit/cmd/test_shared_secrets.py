"""The servers of one datastore have the same authorities and signing key, and only those who know the token."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.cmd import shared_secrets
from knarr.cmd.shared_secrets import NAMES, SecretsError, seal, unseal
from knarr.storage.memory import MemoryStore

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@settings(max_examples=5, deadline=None)
@given(st.text(min_size=1), st.text(min_size=1))
def test_a_token_opens_what_it_has_closed_and_nothing_else(token: str, other: str) -> None:
    files = {"ca.key": b"-----BEGIN PRIVATE KEY-----"}
    sealed = seal(files, token)
    assert b"PRIVATE" not in sealed
    assert unseal(sealed, token) == files
    if other != token:
        with pytest.raises(SecretsError, match="another token"):
            unseal(sealed, other)
    with pytest.raises(SecretsError, match="give it by --token"):
        unseal(sealed, "")


def test_names_from_the_datastore_are_no_paths() -> None:
    assert unseal(seal({"../../etc/passwd": b"x", "ca.crt": b"y"}, ""), "") == {"ca.crt": b"y"}


def test_every_server_has_the_files_of_the_first(tmp_path: Path) -> None:
    async def main() -> None:
        store = MemoryStore()
        one, two = tmp_path / "one", tmp_path / "two"
        await asyncio.gather(*(shared_secrets.share(store, path, "t", NOW) for path in (one, two)))
        assert {name: (one / name).read_bytes() for name in NAMES} == {
            name: (two / name).read_bytes() for name in NAMES
        }
        assert {(two / name).stat().st_mode & 0o777 for name in NAMES} == {0o600}
        with pytest.raises(SecretsError, match="another token"):
            await shared_secrets.share(store, tmp_path / "three", "wrong", NOW)
        assert not (tmp_path / "three").exists()

    asyncio.run(main())
