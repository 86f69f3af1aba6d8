"""Names in the DNS: which texts are labels and subdomains, and the sentences that say what is wrong with others.

The sentences follow k8s.io/apimachinery/pkg/util/validation; an empty result is a good name.
"""

from __future__ import annotations

import re
from functools import lru_cache

LABEL_TEXT = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN_TEXT = rf"{LABEL_TEXT}(\.{LABEL_TEXT})*"
_1035_TEXT = "[a-z]([-a-z0-9]*[a-z0-9])?"

LABEL = re.compile(LABEL_TEXT)
SUBDOMAIN = re.compile(SUBDOMAIN_TEXT)
_1035 = re.compile(_1035_TEXT)


def pattern_wrong(message: str, pattern: str, *examples: str) -> str:
    """The sentence for a text that does not match, with examples of ones that do."""
    listed = f"'{examples[0]}', " + "".join(f" or '{example}', " for example in examples[1:])
    return f"{message} (e.g. {listed}regex used for validation is '{pattern}')"


LABEL_WRONG = pattern_wrong(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character",
    LABEL_TEXT,
    "my-name",
    "123-abc",
)
SUBDOMAIN_WRONG = pattern_wrong(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character",
    SUBDOMAIN_TEXT,
    "example.com",
)
_1035_WRONG = pattern_wrong(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character,"
    " and end with an alphanumeric character",
    _1035_TEXT,
    "my-name",
    "abc-123",
)


def bytes_over(value: str, limit: int, unit: str = "characters") -> tuple[str, ...]:
    """What is said of a text of too many bytes."""
    return (f"must be no more than {limit} {unit}",) if len(value.encode()) > limit else ()


@lru_cache(maxsize=4096)
def dns_subdomain(value: str) -> tuple[str, ...]:
    """Most objects' names: dot-separated labels, 253 bytes at most."""
    errors = bytes_over(value, 253)
    return errors if SUBDOMAIN.fullmatch(value) else (*errors, SUBDOMAIN_WRONG)


@lru_cache(maxsize=4096)
def dns_label(value: str) -> tuple[str, ...]:
    """Containers', volumes' and namespaces' names: one label, 63 bytes at most."""
    errors = bytes_over(value, 63)
    if LABEL.fullmatch(value):
        return errors
    if SUBDOMAIN.fullmatch(value):
        return (*errors, "must not contain dots")
    return (*errors, LABEL_WRONG)


@lru_cache(maxsize=1024)
def dns_1035_label(value: str) -> tuple[str, ...]:
    """A label that starts with a letter."""
    errors = bytes_over(value, 63)
    return errors if _1035.fullmatch(value) else (*errors, _1035_WRONG)
