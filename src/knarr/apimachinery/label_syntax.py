"""Which texts are label keys and label values; the sentences follow k8s.io/apimachinery's content validation."""

from __future__ import annotations

import re
from functools import lru_cache

_NAME_TEXT = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_SUBDOMAIN_TEXT = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_NAME = re.compile(_NAME_TEXT)
_SUBDOMAIN = re.compile(_SUBDOMAIN_TEXT)

_NAME_WRONG = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    f" (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME_TEXT}')"
)
_SUBDOMAIN_WRONG = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    f" end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN_TEXT}')"
)
_VALUE_WRONG = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    f" '({_NAME_TEXT})?')"
)


@lru_cache(maxsize=4096)
def key_errors(key: str) -> tuple[str, ...]:
    """What is wrong with a label key (an optional DNS prefix, a slash, a name); empty when nothing is."""
    prefix, slash, name = key.partition("/")
    if "/" in name:
        wrong = f"a valid label key {_NAME_WRONG} with an optional DNS subdomain prefix and '/' (e.g."
        return (f"{wrong} 'example.com/MyName')",)
    if not slash:
        return tuple(_name_errors(prefix))
    return (*_prefix_errors(prefix), *_name_errors(name))


@lru_cache(maxsize=4096)
def value_errors(value: str) -> tuple[str, ...]:
    """What is wrong with a label value; empty when nothing is."""
    errors = []
    if len(value.encode()) > 63:
        errors.append("must be no more than 63 bytes")
    if value and not _NAME.fullmatch(value):
        errors.append(_VALUE_WRONG)
    return tuple(errors)


def _prefix_errors(prefix: str) -> list[str]:
    if not prefix:
        return ["prefix part must be non-empty"]
    errors = []
    if len(prefix.encode()) > 253:
        errors.append("prefix part must be no more than 253 characters")
    if not _SUBDOMAIN.fullmatch(prefix):
        errors.append(f"prefix part {_SUBDOMAIN_WRONG}")
    return errors


def _name_errors(name: str) -> list[str]:
    errors = []
    if not name:
        errors.append("name part must be non-empty")
    elif len(name.encode()) > 63:
        errors.append("name part must be no more than 63 bytes")
    if not _NAME.fullmatch(name):
        errors.append(f"name part {_NAME_WRONG}")
    return errors
