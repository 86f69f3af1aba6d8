"""Files of environment variables, as `fileKeyRef` reads them: `NAME='value'`, a subset of the shell's syntax.

Input: a file's text. Output: values. A value stands in single quotes, taken literally, over several lines if need be.
https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-via-file/
"""

from __future__ import annotations

import re

_SKIPPED = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)+")
_NAME = re.compile(r"[ \t]*([^=\n]*)=")
_QUOTED = re.compile(r"'([^']*)'[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_EMPTY = re.compile(r"[ \t][^\n]*(?:\n|\Z)")


class EnvFileFault(ValueError):
    """A file that is not of this form."""


def lookup(text: str, key: str) -> str:
    """The value of a name; empty when it is not there. What follows the name is not looked at.

    Raises `EnvFileFault`, which names the line.
    """
    text = text.replace("\r\n", "\n")
    text += "" if text.endswith("\n") else "\n"
    at = 0
    while at < len(text):
        if skipped := _SKIPPED.match(text, at):
            at = skipped.end()
            continue
        name, at = _read_name(text, at)
        # As in a shell, a blank after `=` makes the value empty.
        match = _QUOTED.match(text, at) or _EMPTY.match(text, at)
        if match is None:
            raise _fault(text, at, "a value must be enclosed in single quotes, with nothing but a comment behind it")
        if name == key:
            return match[1] if match.re is _QUOTED else ""
        at = match.end()
    return ""


def _read_name(text: str, at: int) -> tuple[str, int]:
    match = _NAME.match(text, at)
    if match is None:
        raise _fault(text, at, "missing '='")
    if not match[1] or match[1] != match[1].rstrip(" \t"):
        raise _fault(text, at, "there must be a name, and no blank before '='")
    return match[1], match.end()


def _fault(text: str, at: int, why: str) -> EnvFileFault:
    line = text.count("\n", 0, at) + 1
    return EnvFileFault(f"invalid environment variable format at line {line}: {why}")
