"""What clients are told of addresses that are fine but oddly written.

Source of the sentences: k8s.io/apimachinery/pkg/util/validation/ip.go.
"""

from __future__ import annotations

from knarr.api.validation import names
from knarr.apimachinery.field import quote


def address_warnings(path: str, value: str) -> list[str]:
    """An IP address with leading zeros, one inside IPv6, or IPv6 that is not in its canonical form."""
    parsed = names.parse_ip_sloppy(value)
    if parsed is None or str(parsed) == value:
        return []
    if names.ip(value):
        preferred = getattr(parsed, "ipv4_mapped", None) or parsed
        head = f"{path}: non-standard IP address {quote(value)} will be considered invalid"
        return [f"{head} in a future Kubernetes release: use {quote(str(preferred))}"]
    canonical = quote(str(parsed))
    return [f"{path}: IPv6 address {quote(value)} should be in RFC 5952 canonical format ({canonical})"]


def network_warnings(path: str, value: str) -> list[str]:
    """An IPv6 network that is not in its canonical form. The others are refused."""
    parsed = names.parse_cidr(value)
    if parsed is None or parsed.version == 4 or str(parsed) == value:
        return []
    return [f"{path}: IPv6 CIDR value {quote(value)} should be in RFC 5952 canonical format ({quote(str(parsed))})"]
