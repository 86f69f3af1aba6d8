"""YAML request bodies, read the way sigs.k8s.io/yaml does: the first document, dates as text, keys as text."""

from __future__ import annotations

from typing import Any

import yaml

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc]
    """A safe loader without timestamps."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in _BASE.yaml_implicit_resolvers.items()
}


def load(data: bytes) -> Any:
    """The first document; None for an empty text. Raises `ValueError`."""
    loader = _Loader(data)
    try:
        return _plain(loader.get_data()) if loader.check_data() else {}
    except yaml.YAMLError as error:
        raise ValueError(_describe(error)) from error
    finally:
        loader.dispose()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key if isinstance(key, str) else _key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)


def _describe(error: yaml.YAMLError) -> str:
    """The text of go-yaml for the commonest mistakes, that of the parser for others."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", "") or error)
    if "cannot start any token" in problem or "tab" in problem:
        problem = "found a tab character that violates indentation"
    line = f"line {mark.line + 1}: " if mark is not None else ""
    return f"yaml: {line}{problem}"
