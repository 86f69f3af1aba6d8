"""Which texts are names of what: one function a syntax, each giving the sentences that say what is wrong.

The sentences follow k8s.io/apimachinery/pkg/util/validation; an empty result is a good name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

from knarr.apimachinery import dns_names, label_syntax
from knarr.apimachinery.dns_names import SUBDOMAIN_TEXT, bytes_over, pattern_wrong

NameCheck = Callable[[str], tuple[str, ...]]

_UNDERSCORED_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_UNDERSCORED_TEXT = rf"{_UNDERSCORED_LABEL}(\.{_UNDERSCORED_LABEL})*"
_WILDCARD_TEXT = rf"\*\.{SUBDOMAIN_TEXT}"
_CONFIG_KEY_TEXT = "[-._a-zA-Z0-9]+"
_C_IDENTIFIER_TEXT = "[A-Za-z_][A-Za-z0-9_]*"
_HEADER_TEXT = "[-A-Za-z0-9]+"
_PERCENT_TEXT = "[0-9]+%"

_UNDERSCORED = re.compile(_UNDERSCORED_TEXT)
_WILDCARD = re.compile(_WILDCARD_TEXT)
_CONFIG_KEY = re.compile(_CONFIG_KEY_TEXT)
_C_IDENTIFIER = re.compile(_C_IDENTIFIER_TEXT)
_HEADER = re.compile(_HEADER_TEXT)
_PERCENT = re.compile(_PERCENT_TEXT)
_PORT_CHARACTERS = re.compile("[-a-z0-9]+")
_PORT_LETTER = re.compile("[a-z]")
_PATH_CHARACTERS = r"A-Za-z0-9/\-._~%!$&'()*+,;=:"
_PATH = re.compile(f"[{_PATH_CHARACTERS}]+")


_UNDERSCORED_WRONG = pattern_wrong(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start"
    " and end with an alphanumeric character",
    _UNDERSCORED_TEXT,
    "example.com",
)
_WILDCARD_WRONG = pattern_wrong(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower"
    " case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    _WILDCARD_TEXT,
    "*.example.com",
)
_CONFIG_KEY_WRONG = pattern_wrong(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _CONFIG_KEY_TEXT,
    "key.name",
    "KEY_NAME",
    "key-name",
)
_C_IDENTIFIER_WRONG = pattern_wrong(
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters"
    " or '_'",
    _C_IDENTIFIER_TEXT,
    "my_name",
    "MY_NAME",
    "MyName",
)
_HEADER_WRONG = pattern_wrong(
    "a valid HTTP header must consist of alphanumeric characters or '-'", _HEADER_TEXT, "X-Header-Name"
)
_PERCENT_WRONG = pattern_wrong(
    "a valid percent string must be a numeric string followed by an ending '%'", _PERCENT_TEXT, "1%", "93%"
)
_DOMAIN_PATH_WRONG = 'must be a domain-prefixed path (such as "acme.io/foo")'
IP_WRONG = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_WRONG = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def long_name(value: str) -> tuple[str, ...]:
    """A subdomain, of kinds whose names are checked declaratively: the limit is told in bytes."""
    over = bytes_over(value, 253, "bytes")
    return (*over, *(text for text in dns_subdomain(value) if "no more than" not in text))


def dns_search(value: str) -> tuple[str, ...]:
    """A subdomain whose labels may have underscores, as a resolver's search list takes it."""
    errors = bytes_over(value, 253)
    return errors if _UNDERSCORED.fullmatch(value) else (*errors, _UNDERSCORED_WRONG)


def wildcard_subdomain(value: str) -> tuple[str, ...]:
    """`*.` and a subdomain."""
    errors = bytes_over(value, 253)
    return errors if _WILDCARD.fullmatch(value) else (*errors, _WILDCARD_WRONG)


def path_segment(value: str) -> tuple[str, ...]:
    """What can stand between slashes of a URL: the names of RBAC's kinds and others."""
    if value in (".", ".."):
        return (f"may not be '{value}'",)
    return tuple(f"may not contain '{char}'" for char in "/%" if char in value)


LABEL_WRONG = dns_names.LABEL_WRONG
dns_subdomain, dns_label, dns_1035_label = dns_names.dns_subdomain, dns_names.dns_label, dns_names.dns_1035_label
qualified_name = label_syntax.key_errors
label_value = label_syntax.value_errors


@lru_cache(maxsize=1024)
def fully_qualified(value: str) -> tuple[str, ...]:
    """A domain name with at least three segments (webhooks' names)."""
    if not value:
        return ()
    errors = dns_subdomain(value)
    if errors:
        return errors
    return ("should be a domain with at least three segments separated by dots",) if value.count(".") < 2 else ()


def domain_prefixed_path(value: str) -> tuple[str, ...]:
    """`acme.io/foo`."""
    host, slash, path = value.partition("/")
    if not slash or not host or not path:
        return (_DOMAIN_PATH_WRONG,)
    errors = dns_subdomain(host)
    if errors:
        return errors
    if _PATH.fullmatch(path):
        return ()
    return (f"Invalid path (regex used for validation is '[{_PATH_CHARACTERS}]+')",)


@lru_cache(maxsize=1024)
def config_key(value: str) -> tuple[str, ...]:
    """A key of a ConfigMap or Secret: it becomes a file's name."""
    errors = bytes_over(value, 253)
    if not _CONFIG_KEY.fullmatch(value):
        errors = (*errors, _CONFIG_KEY_WRONG)
    return errors + dotted(value)


def dotted(value: str) -> tuple[str, ...]:
    """`.`, `..` and names that begin with `..` are not files."""
    if value in (".", ".."):
        return (f"must not be '{value}'",)
    return ("must not start with '..'",) if value.startswith("..") else ()


def env_var_name(value: str) -> tuple[str, ...]:
    """A container's environment variable, as v1.34 relaxed it."""
    if not value:
        return ("environment variable name must be non-empty",)
    good = all(" " <= char <= "~" and char != "=" for char in value)
    wrong = "a valid environment variable name must consist only of printable ASCII characters other than '='"
    return () if good else (wrong,)


def port_name(value: str) -> tuple[str, ...]:
    """An IANA service name: at most 15 of a-z, 0-9 and hyphens, with a letter."""
    errors = [*bytes_over(value, 15)]
    if not _PORT_CHARACTERS.fullmatch(value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _PORT_LETTER.search(value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return tuple(errors)


def port_number(value: int) -> tuple[str, ...]:
    """A port."""
    return () if 1 <= value <= 65535 else ("must be between 1 and 65535, inclusive",)


def in_range(value: int, low: int, high: int) -> tuple[str, ...]:
    """A number between two others."""
    return () if low <= value <= high else (f"must be between {low} and {high}, inclusive",)


def c_identifier(value: str) -> tuple[str, ...]:
    """A name of the C language."""
    return () if _C_IDENTIFIER.fullmatch(value) else (_C_IDENTIFIER_WRONG,)


def http_header(value: str) -> tuple[str, ...]:
    """The name of an HTTP header."""
    return () if _HEADER.fullmatch(value) else (_HEADER_WRONG,)


def percent(value: str) -> tuple[str, ...]:
    """`25%`."""
    return () if _PERCENT.fullmatch(value) else (_PERCENT_WRONG,)


def ip(value: str) -> tuple[str, ...]:
    """An IP address without leading zeros."""
    if parse_ip(value) is not None:
        return _mapped(value)
    if _dotted_quad(value) and any(len(part) > 1 and part[0] == "0" for part in value.split(".")):
        return ("must not have leading 0s",)
    return (IP_WRONG,)


def canonical_ip(value: str) -> tuple[str, ...]:
    """The same, written in the one way there is."""
    wrong, parsed = ip(value), parse_ip(value)
    return wrong if wrong or str(parsed) == value else (f'must be in canonical form ("{parsed}")',)


def _dotted_quad(value: str) -> bool:
    parts = value.split(".")
    return len(parts) == 4 and all(part.isascii() and part.isdigit() and int(part) <= 255 for part in parts)


def _mapped(value: str) -> tuple[str, ...]:
    return ("must not be an IPv4-mapped IPv6 address",) if value.lower().startswith("::ffff:") else ()


def ip_sloppy(value: str) -> tuple[str, ...]:
    """An IP address as older APIs take it: leading zeros and IPv4-mapped addresses are fine."""
    return () if parse_ip_sloppy(value) is not None else (IP_WRONG,)


def cidr(value: str) -> tuple[str, ...]:
    """A network in CIDR notation without leading zeros, and without bits beyond the prefix."""
    network = parse_cidr(value)
    if network is None:
        return (CIDR_WRONG,)
    address, _, length = value.partition("/")
    parsed = parse_ip(address)
    if parsed is None or length != str(int(length)):
        return ("must not have leading 0s in IP or prefix length",)
    if _mapped(address):
        return ("must not have an IPv4-mapped IPv6 address",)
    return () if network.network_address == parsed else ("must not have bits set beyond the prefix length",)


def canonical_cidr(value: str) -> tuple[str, ...]:
    """The same, written in the one way there is."""
    wrong, network = cidr(value), parse_cidr(value)
    return wrong if wrong or str(network) == value else (f'must be in canonical form ("{network}")',)


def cidr_sloppy(value: str) -> tuple[str, ...]:
    """A network in CIDR notation as older APIs take it: bits beyond the prefix are fine."""
    return () if parse_cidr(value) is not None else (CIDR_WRONG,)


def _length_good(length: str, most: int) -> bool:
    return length.isascii() and length.isdigit() and int(length) <= most


def parse_ip(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, or None for what is none (zones are none)."""
    if "%" in value:
        return None
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        return None


def parse_ip_sloppy(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """As `parse_ip`, but decimal parts may have leading zeros."""
    if _dotted_quad(value):
        return parse_ip(".".join(str(int(part)) for part in value.split(".")))
    return parse_ip(value)


def parse_cidr(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """A network, host bits cut off, or None."""
    address, slash, length = value.partition("/")
    parsed = parse_ip_sloppy(address)
    if not slash or parsed is None or not _length_good(length, parsed.max_prefixlen):
        return None
    return ipaddress.ip_network(f"{parsed}/{int(length)}", strict=False)


def generated_base(base: str, check: NameCheck) -> tuple[str, ...]:
    """`generateName` judged as the name it will become: a hyphen at its end is fine."""
    masked = base[:-1] + "a" if len(base) > 1 and base.endswith("-") else base
    return check(masked)
