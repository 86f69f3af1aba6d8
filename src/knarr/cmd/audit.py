"""The audit log of a server, from its flags: kube-apiserver's."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knarr.apiserver.audit.auditor import Auditor
    from knarr.apiserver.audit.policy import Policy
    from knarr.component_base.clock import Clock

_MEGABYTE = 1 << 20
#: Megabytes of a file when nothing is said.
_SIZE = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument("--audit-policy-file", type=Path, help="a Policy (audit.k8s.io/v1): what is written down")
    parser.add_argument("--audit-log-path", default="", help="file that audit events are appended to; - is stdout")
    parser.add_argument(
        "--audit-log-maxsize", type=int, default=0, help="megabytes from which a new file is begun; 0: 100"
    )
    parser.add_argument("--audit-log-maxbackup", type=int, default=0, help="older files that are kept; 0: all")
    parser.add_argument("--audit-log-maxage", type=int, default=0, help="days that older files are kept; 0: always")


def policy_of(arguments: argparse.Namespace) -> Policy | None:
    """The policy; None for a server that writes nothing down. Raises `ValueError`, `OSError`."""
    path = arguments.audit_policy_file
    if path is None:
        return None
    from knarr.apiserver.audit import policy

    try:
        found = policy.parse(_document(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return found if arguments.audit_log_path else None


def auditor_of(arguments: argparse.Namespace, policy: Policy, clock: Clock) -> Auditor:
    """What writes down. Raises `OSError`."""
    from knarr.apiserver.audit.auditor import Auditor
    from knarr.apiserver.audit.log import AuditLog, Rotation

    rotation = Rotation(
        (arguments.audit_log_maxsize or _SIZE) * _MEGABYTE, arguments.audit_log_maxbackup, arguments.audit_log_maxage
    )
    return Auditor(policy, AuditLog(arguments.audit_log_path, rotation, clock).write, clock)


def _document(path: Path) -> Any:
    import yaml

    try:
        return yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
