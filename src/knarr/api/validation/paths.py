"""Paths in file systems: absolute, relative, without backsteps."""

from __future__ import annotations

from knarr.api.validation.checks import Errors
from knarr.apimachinery import field


def no_backsteps(errors: Errors, target: str, path: str) -> None:
    """No part of the path is `..`."""
    if ".." in target and ".." in target.split("/"):
        errors.append(field.invalid(path, target, "must not contain '..'"))


def check_descending(errors: Errors, target: str, path: str, *, not_dotted: bool = False) -> None:
    """A relative path that stays below; `not_dotted`: it may not begin with `..` at all."""
    if target.startswith("/"):
        errors.append(field.invalid(path, target, "must be a relative path"))
    no_backsteps(errors, target, path)
    if not_dotted and target.startswith("..") and not target.startswith("../"):
        errors.append(field.invalid(path, target, "must not start with '..'"))
