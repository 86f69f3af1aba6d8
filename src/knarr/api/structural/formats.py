"""The formats of strings that are checked: by name without dashes, as the registry of formats compares them.

Source: k8s.io/kube-openapi/pkg/validation/strfmt; which of them count: apiextensions-apiserver, validation/formats.go.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from knarr.api.validation import names

_UUID = "[0-9a-f]{8}-?[0-9a-f]{4}-?%s[0-9a-f]{3}-?%s[0-9a-f]{3}-?[0-9a-f]{12}"
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))", re.ASCII)
_GO_DURATION = re.compile(r"[-+]?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)")
_WORDY_DURATION = re.compile(r"(\d+)\s*([A-Za-zµ]+)", re.ASCII)
#: Units of a wordy duration; what begins with the last of a row is that unit too.
_UNITS = (
    ("ns", "nano"),
    ("us", "µs", "micro"),
    ("ms", "milli"),
    ("s", "sec"),
    ("m", "min"),
    ("h", "hr", "hour"),
    ("d", "day"),
    ("w", "wk", "week"),
)
_LABEL = r"[^\W_]"
_HOSTNAME = re.compile(
    rf"{_LABEL}((-?{_LABEL}){{0,62}})?|({_LABEL}([\w-]{{0,61}}{_LABEL})?\.)+{_LABEL}(-?{_LABEL}){{1,62}}"
)
_CARD = re.compile(
    "(4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|(222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"
    "|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11}"
    "|6[27][0-9]{14})"
)
_MAC_SIZES = (6, 8, 20)
_LONGEST_NAME, _LONGEST_LABEL = 255, 63


def _whole(pattern: str, flags: int = 0) -> Callable[[str], bool]:
    compiled = re.compile(pattern, flags)
    return lambda text: compiled.fullmatch(text) is not None


def _is_date(text: str) -> bool:
    if len(text) != 10 or not text.isascii():
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_date_time(text: str) -> bool:
    parts = text.lower().split("t")
    if len(parts) < 2 or not _is_date(parts[0]):
        return False
    found = _TIME.fullmatch(parts[1])
    return found is not None and found[1] <= "23" and found[2] <= "59" and found[3] <= "59"


def _is_duration(text: str) -> bool:
    if _GO_DURATION.fullmatch(text):
        return True
    return any(_is_unit(unit.lower()) for _, unit in _WORDY_DURATION.findall(text))


def _is_unit(unit: str) -> bool:
    return any(unit in row or unit.startswith(row[-1]) for row in _UNITS)


def _is_hostname(text: str) -> bool:
    if not _HOSTNAME.fullmatch(text) or len(text.encode()) > _LONGEST_NAME:
        return False
    return all(len(part.encode()) <= _LONGEST_LABEL for part in text.split("."))


def _is_email(text: str) -> bool:
    # Loaded late: nearly no server needs it, and it would take a part of each one's start.
    from email.utils import parseaddr

    _, address = parseaddr(text)
    local, at, domain = address.rpartition("@")
    return bool(local and at and domain) and not any(char.isspace() for char in address)


def _is_uri(text: str) -> bool:
    if not text or any(ord(char) < 0x20 or ord(char) == 0x7F for char in text):
        return False
    if text.startswith("/") or text == "*":
        return True
    try:
        found = urlsplit(text)
        return bool(found.scheme) and found.port != -1
    except ValueError:
        return False


def _is_ip(text: str, mark: str) -> bool:
    return mark in text and names.parse_ip(text) is not None


def _is_cidr(text: str) -> bool:
    return names.parse_cidr(text) is not None


def _is_mac(text: str) -> bool:
    for mark, width in ((":", 2), ("-", 2), (".", 4)):
        parts = text.split(mark)
        if len(parts) > 1:
            good = all(len(part) == width and _HEX(part) for part in parts)
            return good and len(parts) * width // 2 in _MAC_SIZES
    return False


_HEX = _whole("[0-9a-fA-F]+")


def _digits(text: str) -> str:
    return text.replace("-", "").replace(" ", "")


def _is_isbn10(text: str) -> bool:
    given = _digits(text)
    if not re.fullmatch(r"[0-9]{9}[0-9X]", given):
        return False
    return sum((at + 1) * (10 if char == "X" else int(char)) for at, char in enumerate(given)) % 11 == 0


def _is_isbn13(text: str) -> bool:
    given = _digits(text)
    if not re.fullmatch("[0-9]{13}", given):
        return False
    return sum(int(char) * (3 if at % 2 else 1) for at, char in enumerate(given)) % 10 == 0


def _is_credit_card(text: str) -> bool:
    given = re.sub("[^0-9]+", "", text)
    if not _CARD.fullmatch(given):
        return False
    doubled = (int(char) * (2 if at % 2 else 1) for at, char in enumerate(reversed(given)))
    return sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10 == 0


def _is_colour(text: str) -> bool:
    found = re.fullmatch(r"rgb\(\s*([0-9]+)\s*,\s*([0-9]+)\s*,\s*([0-9]+)\s*\)", text)
    return found is not None and all(int(part) <= 255 and part == str(int(part)) for part in found.groups())


#: What checks a string of each format.
FORMATS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _whole("[0-9a-fA-F]{24}"),
    "uri": _is_uri,
    "email": _is_email,
    "hostname": _is_hostname,
    "ipv4": lambda text: _is_ip(text, "."),
    "ipv6": lambda text: _is_ip(text, ":"),
    "cidr": _is_cidr,
    "mac": _is_mac,
    "uuid": _whole(_UUID % ("[0-9a-f]", "[0-9a-f]"), re.IGNORECASE),
    "uuid3": _whole(_UUID % ("3", "[0-9a-f]"), re.IGNORECASE),
    "uuid4": _whole(_UUID % ("4", "[89ab]"), re.IGNORECASE),
    "uuid5": _whole(_UUID % ("5", "[89ab]"), re.IGNORECASE),
    "isbn": lambda text: _is_isbn10(text) or _is_isbn13(text),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "creditcard": _is_credit_card,
    "ssn": _whole(r"[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}"),
    "hexcolor": _whole("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _is_colour,
    "byte": _whole("(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"),
    "password": lambda _text: True,
    "date": _is_date,
    "datetime": _is_date_time,
    "duration": _is_duration,
    "k8sshortname": lambda text: not names.dns_label(text),
    "k8slongname": lambda text: not names.dns_subdomain(text),
}
#: Formats of numbers: they count where the type is a number.
NUMERIC = frozenset({"int32", "int64", "uint32", "uint64", "float", "float32", "double", "float64"})


def known(name: str) -> str:
    """A format as the schema names it, empty where it does not count."""
    return name if name.replace("-", "") in FORMATS or name in NUMERIC else ""


def fits(name: str, text: str) -> bool:
    """Whether a string has a format; a format that is none of strings' is fine."""
    check = FORMATS.get(name.replace("-", ""))
    return check is None or check(text)
