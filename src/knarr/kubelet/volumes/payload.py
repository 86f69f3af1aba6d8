"""What a volume of files holds, computed apart from its writing.

Input: ConfigMaps, Secrets or the pod, and the volume's source. Output: paths and their contents.
Raises `PayloadError` with the text users know.
"""

from __future__ import annotations

import base64
import os.path
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from knarr.apimachinery.types import Object
from knarr.kubelet.downward import DownwardError, field_value, find_container, resource_value

DEFAULT_MODE = 0o644
_LONGEST_PATH, _LONGEST_NAME = 4096, 255


class PayloadError(ValueError):
    """A source that lacks what is asked of it, or a path that no volume may have."""


@dataclass(frozen=True, slots=True)
class File:
    """One file: its bytes, its permission bits, and the user it belongs to if not root."""

    data: bytes
    mode: int = DEFAULT_MODE
    user: int | None = None


Payload: TypeAlias = dict[str, File]


def from_config_map(obj: Object | None, source: Object, default_mode: int) -> Payload:
    """The files of a ConfigMap (None: an optional one that is absent)."""
    found = obj or {}
    data = {name: str(value).encode() for name, value in (found.get("data") or {}).items()}
    data |= {name: base64.b64decode(value) for name, value in (found.get("binaryData") or {}).items()}
    return _select(data, source, default_mode, "configmap references non-existent config key")


def from_secret(obj: Object | None, source: Object, default_mode: int) -> Payload:
    """The files of a Secret (None: an optional one that is absent)."""
    data = {name: base64.b64decode(value) for name, value in ((obj or {}).get("data") or {}).items()}
    return _select(data, source, default_mode, "references non-existent secret key")


def _select(data: Mapping[str, bytes], source: Object, default_mode: int, complaint: str) -> Payload:
    items = source.get("items")
    if not items:
        return {name: File(value, default_mode) for name, value in data.items()}
    payload = {}
    for item in items:
        value = data.get(item["key"])
        if value is not None:
            payload[item["path"]] = File(value, _mode(item, default_mode))
        elif not source.get("optional"):
            raise PayloadError(f"{complaint}: {item['key']}")
    return payload


def from_downward(pod: Object, source: Object, default_mode: int, allocatable: Mapping[str, object]) -> Payload:
    """The files of the downward API."""
    payload: Payload = {}
    problems = []
    for item in source.get("items") or ():
        try:
            value = _downward_value(pod, item, allocatable)
        except DownwardError as error:
            problems.append(str(error))
            continue
        payload[os.path.normpath(item["path"])] = File(value.encode(), _mode(item, default_mode))
    if problems:
        raise PayloadError(aggregate(problems))
    return payload


def _downward_value(pod: Object, item: Object, allocatable: Mapping[str, object]) -> str:
    if reference := item.get("fieldRef"):
        return field_value(pod, reference.get("fieldPath", ""))
    reference = item.get("resourceFieldRef") or {}
    container = find_container(pod, reference.get("containerName", ""))
    return resource_value(pod, container, reference, allocatable)


def _mode(item: Object, default: int) -> int:
    mode = item.get("mode")
    return default if mode is None else int(mode)


def merge(parts: Iterable[Callable[[], Payload]]) -> Payload:
    """Several sources in one volume: later ones win, all complaints are told at once."""
    payload: Payload = {}
    problems = []
    for part in parts:
        try:
            payload |= part()
        except PayloadError as error:
            problems.append(str(error))
    if problems:
        raise PayloadError(aggregate(problems))
    return payload


def aggregate(problems: Iterable[str]) -> str:
    """Several messages as one."""
    distinct = list(dict.fromkeys(problems))
    return distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]"


def check(payload: Payload) -> Payload:
    """The same with clean paths. Raises `PayloadError` for a path that leaves the volume or hides its machinery."""
    cleaned: Payload = {}
    for path, file in payload.items():
        _check_path(path)
        cleaned[os.path.normpath(path)] = file
    return cleaned


def _check_path(path: str) -> None:
    if not path:
        raise PayloadError(f"invalid path: must not be empty: {path!r}")
    if os.path.isabs(path):
        raise PayloadError(f"invalid path: must be relative path: {path}")
    if len(path.encode()) > _LONGEST_PATH:
        raise PayloadError(f"invalid path: must be less than or equal to {_LONGEST_PATH} characters")
    parts = path.split("/")
    if ".." in parts:
        raise PayloadError(f"invalid path: must not contain '..': {path}")
    if any(len(part.encode()) > _LONGEST_NAME for part in parts):
        raise PayloadError(f"invalid path: filenames must be less than or equal to {_LONGEST_NAME} characters")
    clean = os.path.normpath(path)
    if clean.startswith("..") or clean == ".":
        raise PayloadError(f"invalid path: must not start with '..': {path}")


def run_as_user(pod: Object) -> int | None:
    """The one user that all containers of a pod run as; None when they differ or do not say."""
    spec = pod.get("spec") or {}
    pod_user = (spec.get("securityContext") or {}).get("runAsUser")
    users = set()
    for group in ("initContainers", "containers"):
        for container in spec.get(group) or ():
            user = (container.get("securityContext") or {}).get("runAsUser", pod_user)
            users.add(user)
    return users.pop() if len(users) == 1 else None
