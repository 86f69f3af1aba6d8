"""The Pod Security policy of a namespace, as its labels `pod-security.kubernetes.io/…` say.

Input: labels. Output: level and version for each of enforce, audit and warn, and what is wrong with the labels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeGuard

from knarr.apimachinery import field
from knarr.apimachinery.field import FieldError

PREFIX = "pod-security.kubernetes.io/"
PRIVILEGED, BASELINE, RESTRICTED = LEVELS = ("privileged", "baseline", "restricted")
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


@dataclass(frozen=True, slots=True)
class Settings:
    """What an administrator sets for the whole cluster: the policy of namespaces without labels, and who is exempt."""

    defaults: Policy = Policy()
    usernames: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    runtime_classes: frozenset[str] = frozenset()


def of_labels(labels: Mapping[str, str] | None, defaults: Policy) -> tuple[Policy, list[FieldError]]:
    """The policy that labels ask for. A wrong level counts as `restricted` to enforce, as `privileged` else.

    Who says nothing about warnings is warned of what is enforced.
    """
    if not has_labels(labels):
        return defaults, []
    errors: list[FieldError] = []
    enforce = _mode(labels, "enforce", defaults.enforce, errors)
    audit = _mode(labels, "audit", defaults.audit, errors)
    warn = _mode(labels, "warn", defaults.warn, errors)
    if f"{PREFIX}warn" not in labels and f"{PREFIX}enforce" in labels and stricter(enforce.level, warn.level):
        warn = LevelVersion(enforce.level, warn.minor if f"{PREFIX}warn-version" in labels else enforce.minor)
    return Policy(enforce, audit, warn), errors


def has_labels(labels: Mapping[str, str] | None) -> TypeGuard[Mapping[str, str]]:
    """Whether there are labels of Pod Security."""
    return labels is not None and any(label.startswith(PREFIX) for label in labels)


def level_version(level: str, version: str) -> LevelVersion:
    """A level and version as labels and configurations spell them. Raises `ValueError` for what is neither."""
    if level not in LEVELS:
        raise ValueError(f"must be one of {', '.join(LEVELS)}")
    return LevelVersion(level, _minor(version))


def _minor(version: str) -> int | None:
    found = _VERSION.fullmatch(version)
    if found is None and version != "latest":
        raise ValueError('must be "latest" or "v1.x"')
    return int(found[1]) if found else None


def _mode(labels: Mapping[str, str], mode: str, default: LevelVersion, errors: list[FieldError]) -> LevelVersion:
    level, minor = labels.get(PREFIX + mode, default.level), default.minor
    if level not in LEVELS:
        errors.append(_error(PREFIX + mode, level, f"must be one of {', '.join(LEVELS)}"))
        level = RESTRICTED if mode == "enforce" else PRIVILEGED
    label = f"{PREFIX}{mode}-version"
    if label in labels:
        try:
            minor = _minor(labels[label])
        except ValueError as error:
            errors.append(_error(label, labels[label], str(error)))
            minor = None
    return LevelVersion(level, minor)


def _error(label: str, value: str, detail: str) -> FieldError:
    return field.invalid(f"metadata.labels[{label}]", value, detail)


def stricter(level: str, other: str) -> bool:
    """Whether a level allows less than another."""
    return LEVELS.index(level) > LEVELS.index(other)
