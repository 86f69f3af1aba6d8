"""Kubeconfig files: others' contexts survive, and what is written can be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from knarr.component_base import kubeconfig
from knarr.component_base.kubeconfig import Access

ACCESS = Access("https://127.0.0.1:6443", b"CA", b"CERT", b"KEY", namespace="ns")
FOREIGN = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "prod", "cluster": {"server": "https://prod", "proxy-url": "http://p"}}],
    "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "me"}}],
    "users": [{"name": "me", "user": {"exec": {"command": "aws"}}}],
    "current-context": "prod",
    "extensions": [{"name": "x", "extension": {}}],
}


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a" / "config"
    kubeconfig.write(path, "knarr", ACCESS)
    assert kubeconfig.load(path) == ACCESS
    assert path.stat().st_mode & 0o777 == 0o600


def test_merging_keeps_others_and_removing_restores(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(FOREIGN))
    path.chmod(0o640)
    kubeconfig.merge(path, "knarr", ACCESS)
    kubeconfig.merge(path, "knarr", Access("https://other", token="t"))
    merged = yaml.safe_load(path.read_text())
    assert merged["current-context"] == "knarr"
    assert [item["name"] for item in merged["clusters"]] == ["prod", "knarr"]
    assert merged["clusters"][0] == FOREIGN["clusters"][0]
    assert merged["extensions"] == FOREIGN["extensions"]
    assert kubeconfig.load(path) == Access("https://other", token="t")
    assert path.stat().st_mode & 0o777 == 0o640
    kubeconfig.remove(path, "knarr")
    assert yaml.safe_load(path.read_text()) == FOREIGN


def test_a_context_that_is_not_there_is_no_error_to_remove(tmp_path: Path) -> None:
    path = tmp_path / "config"
    kubeconfig.remove(path, "knarr")
    assert not path.exists()
    path.write_text(yaml.safe_dump(FOREIGN))
    before = path.read_bytes()
    kubeconfig.remove(path, "knarr")
    assert path.read_bytes() == before


def test_a_broken_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("clusters: [")
    with pytest.raises(ValueError, match="no valid YAML"):
        kubeconfig.merge(path, "knarr", ACCESS)
    assert path.read_text() == "clusters: ["


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text(yaml.safe_dump(FOREIGN))
    link.symlink_to(target)
    kubeconfig.merge(link, "knarr", ACCESS)
    assert link.is_symlink()
    assert kubeconfig.load(target).server == ACCESS.server


def test_files_beside_the_kubeconfig_are_read(tmp_path: Path) -> None:
    path = tmp_path / "config"
    (tmp_path / "ca.crt").write_bytes(b"CA")
    (tmp_path / "token").write_text("secret\n")
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "https://x", "certificate-authority": "ca.crt"}}],
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"tokenFile": "token"}}],
    }
    path.write_text(yaml.safe_dump(config))
    access = kubeconfig.load(path, "a")
    assert (access.authority, access.token) == (b"CA", "secret")
    with pytest.raises(ValueError, match="no context 'b'"):
        kubeconfig.load(path, "b")


def test_a_credential_plugin_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(FOREIGN))
    with pytest.raises(ValueError, match="credential plugin"):
        kubeconfig.load(path)


def test_the_invoking_user_is_who_called_sudo() -> None:
    path, owner = kubeconfig.invoking_user({"HOME": "/home/x"})
    assert owner[0] == os.geteuid()
    assert path == Path("/home/x/.kube/config")
    assert kubeconfig.invoking_user({"KUBECONFIG": "/a:/b"})[0] == Path("/a")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_new_file_belongs_to_the_invoking_user(tmp_path: Path) -> None:
    import pwd

    nobody = pwd.getpwnam("nobody")
    path, owner = kubeconfig.invoking_user({"SUDO_UID": str(nobody.pw_uid), "HOME": "/root"})
    assert owner == (nobody.pw_uid, nobody.pw_gid)
    assert path == Path(nobody.pw_dir) / ".kube" / "config"
    new = tmp_path / ".kube" / "config"
    kubeconfig.merge(new, "knarr", ACCESS, owner)
    assert {(item.stat().st_uid, item.stat().st_gid) for item in (new, new.parent)} == {owner}
    assert tmp_path.stat().st_uid == 0
