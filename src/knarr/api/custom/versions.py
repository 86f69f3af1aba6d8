"""Versions of custom resources: their order, and the hash that discovery shows for the stored one.

Source: k8s.io/apimachinery/pkg/version/helpers.go (CompareKubeAwareVersionStrings), k8s.io/apiserver/pkg/endpoints/
discovery/storageversionhash.go.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

_VERSION = re.compile(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?")
_STABLE, _BETA, _ALPHA, _OTHER = 3, 2, 1, 0


def rank(version: str) -> tuple[Any, ...]:
    """Sorts versions; the most preferred one is the greatest: `v10`, `v2`, `v1`, `v2beta1`, `v1alpha2`, `foo`."""
    found = _VERSION.fullmatch(version)
    if found is None:
        # Others come last, and among themselves in the order of letters.
        return _OTHER, (*(-ord(char) for char in version), 1)
    major, kind, minor = found.groups()
    stability = {None: _STABLE, "beta": _BETA, "alpha": _ALPHA}[kind]
    return stability, int(major), int(minor or 0)


def storage_hash(group: str, version: str, kind: str) -> str:
    """What tells clients whether a resource is stored as it was."""
    digest = hashlib.sha256(f"{group}/{version}/{kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()
