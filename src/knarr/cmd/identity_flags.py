"""The options of `knarr server` about who asks, what he may, and the certificates he gets: those of Kubernetes."""

from __future__ import annotations

import argparse
import datetime

from knarr.apimachinery import durations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument(
        "--cluster-signing-duration",
        type=_duration,
        default=_duration("8760h"),
        help="the longest life of certificates for CertificateSigningRequests",
    )


def _duration(text: str) -> datetime.timedelta:
    return datetime.timedelta(seconds=durations.parse(text))
