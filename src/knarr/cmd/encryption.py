"""Encryption at rest for a server: its configuration is read, followed while the server runs, and laid over the store.

The file is `--encryption-provider-config`, else the one in the data directory that `knarr secrets-encrypt` keeps. A
changed file takes effect within a second; one that is wrong is logged and counted, and the old one stays in force.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knarr.cmd import datastore
from knarr.cmd.kms_plugins import KmsPlugins
from knarr.component_base import logs
from knarr.component_base.metrics import ALPHA, About, Counter, Gauge
from knarr.storage.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from knarr.component_base.clock import Clock
    from knarr.component_base.metrics import Family
    from knarr.storage.encryption.store import EncryptedStore
    from knarr.storage.encryption.transformer import Transformer
    from knarr.storage.store import Store

#: Seconds between two looks at the file.
_LOOK = 1.0
_OWN_FILE = "encryption-config.json"
CONFIG_INFO = "apiserver_encryption_config_controller_last_config_info"
_log = logs.get("encryption")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a server about it: kube-apiserver's, and K3s'."""
    parser.add_argument("--encryption-provider-config", type=Path, help="an EncryptionConfiguration; followed")
    parser.add_argument("--secrets-encryption", action="store_true", help="encrypt Secrets, with a key of its own")


def own_file(data_dir: Path) -> Path:
    """The configuration that `knarr secrets-encrypt` keeps."""
    return data_dir / _OWN_FILE


def file_of(arguments: argparse.Namespace) -> Path | None:
    """The configuration in force; None for a server that encrypts nothing. Raises `ValueError`, `OSError`."""
    own = own_file(arguments.data_dir)
    if arguments.encryption_provider_config is not None:
        if arguments.secrets_encryption:
            raise ValueError("--secrets-encryption and --encryption-provider-config exclude each other")
        return Path(arguments.encryption_provider_config)
    if arguments.secrets_encryption and datastore.is_shared(arguments):
        raise ValueError("servers share the datastore: give each the same --encryption-provider-config")
    if arguments.secrets_encryption:
        make_own(arguments.data_dir)
    return own if own.exists() else None


def make_own(data_dir: Path) -> None:
    """Have Secrets encrypted, unless there is a configuration already."""
    if not own_file(data_dir).exists():
        from knarr.storage.encryption import own_config

        own_config.write(own_file(data_dir), own_config.enabled(None))


class Encryption:
    """The rules in force."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises `ValueError`, `OSError`."""
        self._path = path
        self._store: EncryptedStore | None = None
        info = About(CONFIG_INFO, "Information about the last applied encryption configuration.", ("hash",), ALPHA)
        self._info = Gauge(info)
        name = "apiserver_encryption_config_controller_automatic_reloads_total"
        text = "Total number of reload successes and failures of encryption configuration."
        self._reloads = Counter(About(name, text, ("status",), ALPHA))
        self._seen = path.read_bytes()
        self._transformer = _transformer(self._seen)
        self._plugins = KmsPlugins()

    @property
    def has_plugins(self) -> bool:
        """Whether KMS plugins guard keys."""
        return bool(self._transformer.kms)

    def plugins_are_well(self) -> bool:
        """Whether all of them answer."""
        return self._plugins.well

    @property
    def metrics(self) -> Iterable[Family]:
        """Which configuration is in force, and how often it was read again."""
        return (self._info, self._reloads)

    async def over(self, below: Store) -> Store:
        """The store with encryption over it. Raises `StoreError` when a KMS plugin does not answer."""
        from knarr.storage.encryption.store import encrypted

        await _refresh(self._transformer)
        self._store = encrypted(below, self._transformer)
        self._applied()
        return self._store

    async def run(self, clock: Clock) -> None:
        """Follow the file and the plugins' keys, for ever."""
        self._plugins.use(self._transformer.kms, clock.monotonic())
        while True:
            await clock.sleep(_LOOK)
            if await self._look():
                self._plugins.use(self._transformer.kms, clock.monotonic())
            await self._plugins.look(clock.monotonic())

    def close(self) -> None:
        """Leave the plugins alone."""
        for provider in self._transformer.kms:
            provider.close()

    async def _look(self) -> bool:
        """Whether another configuration is in force now."""
        content = self._path.read_bytes()
        if content == self._seen or self._store is None:
            return False
        self._seen = content
        try:
            transformer = _transformer(content)
            await _refresh(transformer)
        except (ValueError, StoreError) as error:
            self._reloads.add(("failure",))
            _log.error("the old encryption configuration stays", file=str(self._path), error=error)
            return False
        self.close()
        self._transformer = transformer
        self._store.use(transformer)
        self._reloads.add(("success",))
        self._applied()
        _log.info("encryption configuration changed", file=str(self._path))
        return True

    def _applied(self) -> None:
        self._info.values.clear()
        self._info.set(1, (config_hash(self._seen),))


def config_hash(content: bytes) -> str:
    """How a configuration is named in the metric."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _transformer(content: bytes) -> Transformer:
    from knarr.storage.encryption.config import parse
    from knarr.storage.encryption.transformer import Transformer

    return Transformer(parse(_document(content)))


def _document(content: bytes) -> Any:
    if content.lstrip().startswith(b"{"):
        import orjson

        return orjson.loads(content)
    import yaml

    try:
        return yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


async def _refresh(transformer: Transformer) -> None:
    for provider in transformer.kms:
        await provider.refresh()
