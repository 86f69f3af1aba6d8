"""Which provider a key of the store is for, and which of them can read a value.

Keys: `/registry/secrets/NAMESPACE/NAME` for built-in kinds, `/registry/GROUP/PLURAL/…` for custom ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.registry import RESOURCES
from knarr.storage.encryption.config import Rule
from knarr.storage.encryption.kms import KmsProvider
from knarr.storage.encryption.provider import Identity, Provider, TransformError

_FOLDERS = {each.storage: (each.plural, each.storage_group or each.group) for each in RESOURCES if each.storage}
_PLAIN = (Identity(),)


class Transformer:
    """Encrypts and decrypts values by their key."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._by_folder: dict[str, tuple[Provider, ...]] = {}
        self.kms = [one for rule in rules for one in rule.providers if isinstance(one, KmsProvider)]

    def providers(self, key: str) -> tuple[Provider, ...]:
        """What a key is for: the providers, the writing one first; none where it stays as it is."""
        parts = key.split("/", 4)
        if len(parts) < 4 or parts[1] != "registry":
            return ()
        folder = parts[2] if parts[2] in _FOLDERS else f"{parts[2]}/{parts[3]}"
        found = self._by_folder.get(folder)
        if found is None:
            found = self._by_folder[folder] = self._find(folder)
        return found

    def _find(self, folder: str) -> tuple[Provider, ...]:
        group, _, plural = folder.partition("/")
        names = _FOLDERS.get(folder) or ((plural, group) if "." in group else None)
        if names is None:
            return ()
        return next((rule.providers for rule in self._rules if rule.covers(*names)), _PLAIN)

    def seal(self, key: str, value: bytes) -> bytes:
        """The stored form. Raises `TransformError`."""
        providers = self.providers(key)
        return providers[0].seal(key, value) if providers else value

    def open(self, key: str, stored: bytes) -> bytes:
        """The value. Raises `TransformError`."""
        providers = self.providers(key)
        return _reader(providers, key, stored).open(key, stored) if providers else stored

    async def learn(self, key: str, stored: bytes) -> None:
        """Make sure that `open` can do without asking anybody. Raises `TransformError`."""
        reader = _reader(self.providers(key) or _PLAIN, key, stored)
        if isinstance(reader, KmsProvider):
            await reader.learn(stored)

    def label_of(self, key: str, stored: bytes) -> bytes:
        """What tells how a value was written. Raises `TransformError`."""
        return _reader(self.providers(key) or _PLAIN, key, stored).label_of(stored)

    def label(self, key: str) -> bytes:
        """What tells how a value would be written now."""
        providers = self.providers(key)
        return providers[0].label if providers else b""


def _reader(providers: Sequence[Provider], key: str, stored: bytes) -> Provider:
    for one in providers:
        if one.prefix and stored.startswith(one.prefix):
            return one
    for one in providers:
        if not one.prefix and not stored.startswith(b"k8s:enc:"):
            return one
    raise TransformError(f'unable to transform key "{key}": no matching prefix found')
