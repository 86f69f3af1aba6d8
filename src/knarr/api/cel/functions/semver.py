"""Semantic versions (https://semver.org; https://pkg.go.dev/k8s.io/apiserver/pkg/cel/library#SemverLib, version 1)."""

from __future__ import annotations

import re
from functools import total_ordering

from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.functions.registry import Library
from knarr.apimachinery.field import quote

library = Library()
_PART = re.compile(r"[0-9A-Za-z-]+", re.ASCII)
_NAMES = ("Major", "Minor", "Patch")


@total_ordering
class Semver:
    """A version; what it was built of does not count."""

    __slots__ = ("numbers", "release")
    kind = "kubernetes.Semver"

    def __init__(self, numbers: tuple[int, int, int], release: tuple[str, ...]) -> None:
        self.numbers, self.release = numbers, release

    def _key(self) -> tuple[object, ...]:
        # Numbers (without zeros before them) come before words, and what has no pre-release after what has one.
        parts = tuple((0, len(part), part) if part.isdigit() else (1, 0, part) for part in self.release)
        return self.numbers, not self.release, parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self._key() == other._key()

    def __lt__(self, other: Semver) -> bool:
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self._key())


def _number(name: str, text: str) -> int:
    if not text or not text.isascii() or not text.isdigit():
        raise EvaluationError(f"Invalid character(s) found in {name.lower()} number {quote(text)}")
    if len(text) > 1 and text[0] == "0":
        raise EvaluationError(f"{name} number must not contain leading zeroes {quote(text)}")
    if len(text) > 20 or int(text) >= 2**64:
        raise EvaluationError(f"strconv.ParseUint: parsing {quote(text)}: value out of range")
    return int(text)


@library.add("semver", str)
def read(text: str) -> Semver:
    """The version of a text. Raises `EvaluationError`."""
    if not text:
        raise EvaluationError("Version string empty")
    parts = text.split(".", 2)
    if len(parts) != 3:
        raise EvaluationError("No Major.Minor.Patch elements found")
    patch, _, build = parts[2].partition("+")
    patch, dash, release = patch.partition("-")
    numbers = [_number(name, part) for name, part in zip(_NAMES, (parts[0], parts[1], patch), strict=True)]
    released = tuple(release.split(".")) if dash else ()
    for part in released:
        _check_release(part)
    for part in build.split(".") if "+" in parts[2] else ():
        if not part:
            raise EvaluationError("Build meta data is empty")
        if _PART.fullmatch(part) is None:
            raise EvaluationError(f"Invalid character(s) found in build meta data {quote(part)}")
    return Semver((numbers[0], numbers[1], numbers[2]), released)


def _check_release(part: str) -> None:
    if not part:
        raise EvaluationError("Prerelease is empty")
    if _PART.fullmatch(part) is None:
        raise EvaluationError(f"Invalid character(s) found in prerelease {quote(part)}")
    if part.isdigit() and len(part) > 1 and part[0] == "0":
        raise EvaluationError(f"Numeric PreRelease version must not contain leading zeroes {quote(part)}")


@library.add("semver", str, bool)
def _read_lenient(text: str, normalize: bool) -> Semver:  # noqa: FBT001 - a value
    return read(_normalized(text) if normalize else text)


def _normalized(text: str) -> str:
    """`v01.2` as `1.2.0`."""
    parts = [_unpadded(part) for part in text.removeprefix("v").split(".", 2)]
    if len(parts) < 3 and any(char in parts[-1] for char in "+-"):
        raise EvaluationError("short version cannot contain PreRelease/Build meta data")
    return ".".join([*parts, "0", "0"][:3])


def _unpadded(part: str) -> str:
    if len(part) < 2:
        return part
    stripped = part.lstrip("0")
    return stripped if stripped and stripped[0] in "0123456789" else f"0{stripped}"


@library.add("isSemver", str)
def _is_semver(text: str) -> bool:
    return _is_lenient(text, normalize=False)


@library.add("isSemver", str, bool)
def _is_lenient(text: str, normalize: bool) -> bool:  # noqa: FBT001 - a value
    try:
        _read_lenient(text, normalize)
    except EvaluationError:
        return False
    return True


@library.add("major", Semver)
def _major(value: Semver) -> int:
    return value.numbers[0]


@library.add("minor", Semver)
def _minor(value: Semver) -> int:
    return value.numbers[1]


@library.add("patch", Semver)
def _patch(value: Semver) -> int:
    return value.numbers[2]


@library.add("isGreaterThan", Semver, Semver)
def _is_greater(value: Semver, other: Semver) -> bool:
    return value > other


@library.add("isLessThan", Semver, Semver)
def _is_less(value: Semver, other: Semver) -> bool:
    return value < other


@library.add("compareTo", Semver, Semver)
def _compare(value: Semver, other: Semver) -> int:
    return (value > other) - (value < other)
