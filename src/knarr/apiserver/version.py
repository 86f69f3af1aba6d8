"""Which version of Kubernetes this server is."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

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
        "gitCommit": _commit(Path(knarr.__file__).parents[2] / ".git"),
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation(),
        "platform": f"linux/{_ARCHITECTURES.get(platform.machine(), platform.machine())}",
    }


@cache
def _commit(git: Path) -> str:
    """The commit a clone stood at when it was first asked; `unknown` where the package was installed without one."""
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        if (git / name).exists():
            return (git / name).read_text().strip()
        lines = (git / "packed-refs").read_text().splitlines()
    except OSError:
        return _UNKNOWN
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), _UNKNOWN)


_UNKNOWN = "unknown"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
