"""Kubeconfig files: write one, add a context to somebody's own and take it away again, read one for a client."""

from __future__ import annotations

import base64
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knarr.component_base.certificates import write_private

_SECTIONS = ("clusters", "contexts", "users")


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a cluster, and as whom: a client certificate or a token. Certificates and keys are PEM."""

    server: str
    authority: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""
    namespace: str = ""
    insecure: bool = False
    #: The name that the server's certificate must carry, if not that of `server`.
    server_name: str = ""


def render(name: str, access: Access) -> dict[str, Any]:
    """A whole kubeconfig with one context, which is the current one."""
    entries = _entries(name, access)
    return {"apiVersion": "v1", "kind": "Config", **entries, "current-context": name, "preferences": {}}


def write(path: Path, name: str, access: Access) -> None:
    """Write a kubeconfig with one context, mode 0600."""
    write_private(path, _dump(render(name, access)))


def merge(path: Path, name: str, access: Access, owner: tuple[int, int] | None = None) -> None:
    """Add or replace a context in a kubeconfig, keep all others, and make it the current one.

    `owner` is the (uid, gid) that a new file gets; an existing file keeps its own.
    """
    config = _load(path)
    for section, added in _entries(name, access).items():
        config[section] = [*_without(config, section, name), *added]
    config["current-context"] = name
    _store(path, config, owner)


def renew(path: Path, name: str, access: Access) -> None:
    """Replace a context that a kubeconfig has, and leave alone which one is current. Raises `ValueError`, `OSError`."""
    config = _load(path)
    if not any(each.get("name") == name for each in config.get("contexts") or ()):
        return
    for section, added in _entries(name, access).items():
        config[section] = [*_without(config, section, name), *added]
    _store(path, config, None)


def check(path: Path) -> None:
    """Raises `ValueError` or `OSError` for a file that `merge` could not add to; an absent one is fine."""
    _load(path)


def remove(path: Path, name: str) -> None:
    """Take a context, with its cluster and user, out of a kubeconfig. An absent file or context is no error."""
    if not path.exists():
        return
    config = _load(path)
    if all(len(_without(config, section, name)) == len(config.get(section) or ()) for section in _SECTIONS):
        return
    for section in _SECTIONS:
        config[section] = _without(config, section, name)
    if config.get("current-context") == name:
        config["current-context"] = config["contexts"][0]["name"] if config["contexts"] else ""
    _store(path, config, None)


def invoking_user(environment: Mapping[str, str]) -> tuple[Path, tuple[int, int]]:
    """The kubeconfig of who called the program (behind sudo: who called sudo), and the (uid, gid) for it."""
    sudo = environment.get("SUDO_UID", "")
    uid = int(sudo) if os.geteuid() == 0 and sudo.isdigit() else os.geteuid()
    entry = pwd.getpwuid(uid)
    # sudo drops or keeps KUBECONFIG as it is configured to; what is kept is meant.
    listed = [part for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    home = environment.get("HOME", "") if uid == os.geteuid() else ""
    path = Path(listed[0]) if listed else Path(home or entry.pw_dir) / ".kube" / "config"
    return path, (uid, entry.pw_gid)


def load(path: Path, context: str = "") -> Access:
    """What a context (the current one unless named) says. Raises `ValueError` for what is missing or not supported."""
    config = _load(path)
    chosen = context or config.get("current-context") or ""
    found = _named(config, "contexts", "context", chosen, path)
    cluster = _named(config, "clusters", "cluster", found.get("cluster", ""), path)
    user = _named(config, "users", "user", found["user"], path) if found.get("user") else {}
    if "exec" in user or "auth-provider" in user:
        raise ValueError(f"{path}: user {found['user']!r} uses a credential plugin, which is not supported")
    folder = path.parent
    token = user.get("token") or _content(user, "", "tokenFile", folder).decode().strip()
    return Access(
        server=cluster.get("server", ""),
        authority=_content(cluster, "certificate-authority-data", "certificate-authority", folder),
        certificate=_content(user, "client-certificate-data", "client-certificate", folder),
        key=_content(user, "client-key-data", "client-key", folder),
        token=token,
        namespace=found.get("namespace") or "",
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        server_name=cluster.get("tls-server-name") or "",
    )


def _entries(name: str, access: Access) -> dict[str, list[dict[str, Any]]]:
    cluster: dict[str, Any] = {"server": access.server}
    if access.authority:
        cluster["certificate-authority-data"] = _encode(access.authority)
    if access.insecure:
        cluster["insecure-skip-tls-verify"] = True
    if access.server_name:
        cluster["tls-server-name"] = access.server_name
    user: dict[str, Any] = {}
    if access.certificate:
        user["client-certificate-data"] = _encode(access.certificate)
        user["client-key-data"] = _encode(access.key)
    if access.token:
        user["token"] = access.token
    context = {"cluster": name, "user": name}
    if access.namespace:
        context["namespace"] = access.namespace
    return {
        "clusters": [{"name": name, "cluster": cluster}],
        "contexts": [{"name": name, "context": context}],
        "users": [{"name": name, "user": user}],
    }


def _load(path: Path) -> dict[str, Any]:
    import yaml

    if not path.exists():
        return {"apiVersion": "v1", "kind": "Config", "preferences": {}}
    try:
        loaded = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no valid YAML: {error}") from error
    if loaded is None:
        return {"apiVersion": "v1", "kind": "Config", "preferences": {}}
    if not isinstance(loaded, dict):
        raise ValueError(f"{path} is no kubeconfig")
    return loaded


def _store(path: Path, config: dict[str, Any], owner: tuple[int, int] | None) -> None:
    # A symbolic link stays one: what it points at is replaced.
    target = path.resolve()
    mode = 0o600
    if target.exists():
        state = target.stat()
        owner, mode = (state.st_uid, state.st_gid), state.st_mode & 0o777
    missing = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
    write_private(target, _dump(config), mode)
    if owner is not None and os.geteuid() == 0:
        for item in (target, *missing):
            os.chown(item, *owner)


def _dump(config: dict[str, Any]) -> bytes:
    import yaml

    # The C library's writer, where PyYAML has it: the other one is slow even for so little.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(config, Dumper=dumper, sort_keys=False, default_flow_style=False)
    return text.encode()


def _without(config: dict[str, Any], section: str, name: str) -> list[dict[str, Any]]:
    return [item for item in config.get(section) or () if item.get("name") != name]


def _named(config: dict[str, Any], section: str, field: str, name: str, path: Path) -> dict[str, Any]:
    for item in config.get(section) or ():
        if item.get("name") == name:
            return item.get(field) or {}
    raise ValueError(f"{path} has no {field} {name!r}")


def _content(part: dict[str, Any], data: str, file: str, folder: Path) -> bytes:
    if data and part.get(data):
        return base64.b64decode(str(part[data]))
    if part.get(file):
        return (folder / str(part[file])).read_bytes()
    return b""


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()
