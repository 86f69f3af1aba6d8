"""The `knarr` command: one program, its verbs imported when they are asked for."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

#: Verb: (module below `knarr.cmd`, what it does). A module has `add_arguments(parser)` and `run(arguments) -> int`.
VERBS: dict[str, tuple[str, str]] = {
    "up": ("up", "make a cluster on this machine"),
    "down": ("down", "end a cluster and leave nothing behind"),
    "status": ("status", "show the clusters of this machine"),
    "server": ("server", "run a server: API, controllers, scheduler"),
    "agent": ("agent", "run a node: kubelet, kube-proxy, DNS"),
    "secrets-encrypt": ("secrets_encrypt", "encrypt Secrets at rest, exchange the keys"),
    "certificate": ("certificate", "show certificates, issue them anew, exchange their authority"),
    "simulate": ("simulate", "simulate nodes and pods, without containers, on any cluster"),
    "images": ("images", "import and list the images of a node"),
    "kubectl": ("kubectl", "run kubectl against a cluster"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; gives the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (["version"], ["--version"]):
        return _version()
    if words[:1] == ["kubectl"]:
        # Everything behind the verb is kubectl's own, options too.
        return int(importlib.import_module("knarr.cmd.kubectl").main(words[1:]))
    parser = argparse.ArgumentParser(prog="knarr", description="Kubernetes in one Python package.")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    chosen = words[0] if words else ""
    for name, (module, text) in VERBS.items():
        sub = verbs.add_parser(name, help=text, description=text)
        if name == chosen:
            importlib.import_module(f"knarr.cmd.{module}").add_arguments(sub)
    verbs.add_parser("version", help="show the version")
    arguments = parser.parse_args(words)
    return int(importlib.import_module(f"knarr.cmd.{VERBS[arguments.verb][0]}").run(arguments))


def _version() -> int:
    import knarr

    print(f"knarr {knarr.__version__} (Kubernetes {knarr.KUBERNETES_VERSION})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
