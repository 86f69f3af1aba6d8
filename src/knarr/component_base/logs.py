"""Structured logs: one line a decision, `time level component message key=value …`, on standard error."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

_SIMPLE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+")


def _show(value: Any) -> str:
    if isinstance(value, BaseException):
        value = f"{type(value).__name__}: {value}"
    text = str(value)
    if text and all(char in _SIMPLE for char in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


class Logger:
    """The logger of one component."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"knarr.{name}")
        self._name = name

    def _write(self, level: int, message: str, fields: dict[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            tail = "".join(f" {key}={_show(value)}" for key, value in fields.items())
            self._logger.log(level, "%s%s", message, tail)

    def debug(self, message: str, **fields: Any) -> None:
        """Detail for somebody who looks into this component."""
        self._write(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: Any) -> None:
        """A decision."""
        self._write(logging.INFO, message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """Something failed and will be tried again."""
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """Something failed for good; an `error` field that is an exception brings its traceback."""
        error = fields.get("error")
        if isinstance(error, BaseException):
            fields["trace"] = "".join(traceback.format_exception(error))[-2000:]
        self._write(logging.ERROR, message, fields)


def get(name: str) -> Logger:
    """The logger of component `name`."""
    return Logger(name)


def configure(level: str = "INFO") -> None:
    """Send knarr's logs to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    )
    root = logging.getLogger("knarr")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False
