"""The programs that a node runs and does not bring along."""

from __future__ import annotations

import os
import shutil

_CNI_BIN = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
#: Where system programs lie; not everybody's PATH has it all.
SBIN = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


class MissingProgram(FileNotFoundError):
    """A program or plugin the node needs is not installed; the text names the package."""


def find(program: str, package: str) -> str:
    """The path of a program. Raises `MissingProgram`."""
    found = shutil.which(program) or shutil.which(program, path=SBIN)
    if found is None:
        raise MissingProgram(f"{program} is not installed: install the package {package}")
    return found


def find_cni_plugins() -> str:
    """The folder of the CNI plugins. Raises `MissingProgram`."""
    for folder in _CNI_BIN:
        if os.access(f"{folder}/bridge", os.X_OK):
            return folder
    raise MissingProgram("no CNI plugins found: install the package containernetworking-plugins")
