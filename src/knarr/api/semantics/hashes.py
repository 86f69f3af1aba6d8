"""Hashes that stand in names and labels: FNV of 32 bits, written so that no words come out.

Source: hash/fnv of Go, k8s.io/apimachinery/pkg/util/rand (SafeEncodeString).
"""

from __future__ import annotations

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_OFFSET, _PRIME, _MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF


def fnv32(data: bytes) -> int:
    """FNV-1: multiplied before each byte goes in."""
    value = _OFFSET
    for byte in data:
        value = ((value * _PRIME) & _MASK) ^ byte
    return value


def fnv32a(data: bytes) -> int:
    """FNV-1a: multiplied after each byte has gone in."""
    value = _OFFSET
    for byte in data:
        value = ((value ^ byte) * _PRIME) & _MASK
    return value


def safe(number: int) -> str:
    """The digits of a number as letters and digits that spell nothing."""
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(number))
