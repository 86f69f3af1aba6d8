"""Which version of Kubernetes this server is."""

from __future__ import annotations

import platform

import knarr
from knarr.apimachinery.types import Object


def version_info() -> Object:
    """What `/version` says."""
    major, minor, *_ = knarr.KUBERNETES_VERSION.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": knarr.GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": platform.python_implementation(),
        "platform": f"linux/{_ARCHITECTURES.get(platform.machine(), platform.machine())}",
    }


_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
