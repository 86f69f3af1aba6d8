"""Named formats of texts (https://pkg.go.dev/k8s.io/apiserver/pkg/cel/library#Format), and escapes for JSON patches."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from knarr.api.cel import times
from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.functions import urls
from knarr.api.cel.functions.registry import Library
from knarr.api.cel.values import NONE, Optional
from knarr.apimachinery import dns_names, label_syntax

library = Library()
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.I | re.ASCII)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})", re.ASCII)
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[zZ]|[+-][0-9]{2}:?[0-9]{2})?", re.ASCII
)


class Format:
    """A format: its name, what it says of a text, and how long a pattern checking it counts as."""

    __slots__ = ("check", "name", "pattern_size")
    kind = "kubernetes.NamedFormat"

    def __init__(self, name: str, pattern_size: int, check: Callable[[str], Sequence[str]]) -> None:
        self.name, self.pattern_size, self.check = name, pattern_size, check


def _prefix(check: Callable[[str], Sequence[str]]) -> Callable[[str], Sequence[str]]:
    # What is a prefix may end in a dash: something follows it.
    return lambda text: check(text[:-1] + "a" if len(text) > 1 and text.endswith("-") else text)


def _pattern(pattern: re.Pattern[str], wrong: str) -> Callable[[str], Sequence[str]]:
    return lambda text: () if pattern.fullmatch(text) else (wrong,)


def _uri(text: str) -> Sequence[str]:
    try:
        urls.parse(text)
    except ValueError as error:
        return (str(error),)
    return ()


def _date(text: str) -> Sequence[str]:
    try:
        return () if times.read_date(text) is not None else ("invalid date",)
    except EvaluationError:
        return ("invalid date",)


_FORMATS = {
    "dns1123Label": Format("DNS1123Label", 30, dns_names.dns_label),
    "dns1123Subdomain": Format("DNS1123Subdomain", 60, dns_names.dns_subdomain),
    "dns1035Label": Format("DNS1035Label", 30, dns_names.dns_1035_label),
    "qualifiedName": Format("QualifiedName", 60, label_syntax.key_errors),
    "dns1123LabelPrefix": Format("DNS1123LabelPrefix", 30, _prefix(dns_names.dns_label)),
    "dns1123SubdomainPrefix": Format("DNS1123SubdomainPrefix", 60, _prefix(dns_names.dns_subdomain)),
    "dns1035LabelPrefix": Format("DNS1035LabelPrefix", 30, _prefix(dns_names.dns_1035_label)),
    "labelValue": Format("LabelValue", 40, label_syntax.value_errors),
    # The sizes of patterns that Kubernetes takes for these are those of the libraries it uses.
    "uri": Format("URI", 1077, _uri),
    "uuid": Format("uuid", 73, _pattern(_UUID, "does not match the UUID format")),
    "byte": Format("byte", 90, _pattern(_BASE64, "invalid base64")),
    "date": Format("date", 144, _date),
    "datetime": Format("datetime", 144, _pattern(_DATE_TIME, "invalid datetime")),
}


def _add(name: str, found: Format) -> None:
    library.add(f"format.{name}")(lambda: found)


for _name, _found in _FORMATS.items():
    _add(_name, _found)


@library.add("format.named", str)
def _named(name: str) -> Optional:
    found = _FORMATS.get(name)
    return NONE if found is None else Optional(found)


@library.add("validate", Format, str)
def _validate(value: Format, text: str) -> Optional:
    wrong = list(value.check(text))
    return Optional(wrong) if wrong else NONE


@library.add("jsonpatch.escapeKey", str)
def _escape_key(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


@library.add("includes", list, object)
def _includes_item(items: list[object], value: object) -> bool:
    return value in items


@library.add("includes", object, object)
def _includes(held: object, value: object) -> bool:
    return held == value
