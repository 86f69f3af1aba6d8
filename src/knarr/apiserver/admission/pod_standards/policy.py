"""The Pod Security policy of a namespace, as its labels `pod-security.kubernetes.io/…` say.

Input: labels. Output: level and version for each of enforce, audit and warn, and what is wrong with the labels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from knarr.apimachinery import field
from knarr.apimachinery.field import FieldError

PREFIX = "pod-security.kubernetes.io/"
PRIVILEGED, BASELINE, RESTRICTED = LEVELS = ("privileged", "baseline", "restricted")
MODES = ("enforce", "audit", "warn")
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]*)")


class LevelVersion(NamedTuple):
    """A level, and the minor version of 1.x whose standards count; None for the latest."""

    level: str = PRIVILEGED
    minor: int | None = None

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.minor is None else f'v1.{self.minor}'}"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a namespace enforces, and what it notes and warns of."""

    enforce: LevelVersion = LevelVersion()
    audit: LevelVersion = LevelVersion()
    warn: LevelVersion = LevelVersion()


PRIVILEGED_POLICY = Policy()


def of_labels(labels: Mapping[str, str] | None) -> tuple[Policy, list[FieldError]]:
    """The policy that labels ask for. A wrong level counts as `restricted` to enforce, as `privileged` else.

    Who says nothing about warnings is warned of what is enforced.
    """
    if not labels or not any(label.startswith(PREFIX) for label in labels):
        return PRIVILEGED_POLICY, []
    errors: list[FieldError] = []
    enforce, audit, warn = (_mode(labels, mode, errors) for mode in MODES)
    if f"{PREFIX}warn" not in labels and f"{PREFIX}enforce" in labels:
        minor = warn.minor if f"{PREFIX}warn-version" in labels else enforce.minor
        warn = LevelVersion(enforce.level, minor)
    return Policy(enforce, audit, warn), errors


def _mode(labels: Mapping[str, str], mode: str, errors: list[FieldError]) -> LevelVersion:
    level = labels.get(PREFIX + mode, PRIVILEGED)
    if level not in LEVELS:
        errors.append(_error(PREFIX + mode, level, f"must be one of {', '.join(LEVELS)}"))
        level = RESTRICTED if mode == "enforce" else PRIVILEGED
    label = f"{PREFIX}{mode}-version"
    version = labels.get(label, "latest")
    found = _VERSION.fullmatch(version)
    if found is None and version != "latest":
        errors.append(_error(label, version, 'must be "latest" or "v1.x"'))
    return LevelVersion(level, int(found[1]) if found else None)


def _error(label: str, value: str, detail: str) -> FieldError:
    return field.invalid(f"metadata.labels[{label}]", value, detail)


def stricter(level: str, other: str) -> bool:
    """Whether a level allows less than another."""
    return LEVELS.index(level) > LEVELS.index(other)
