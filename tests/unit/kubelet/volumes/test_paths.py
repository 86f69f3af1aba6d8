from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from knarr.kubelet.volumes import host_path, subpath
from knarr.kubelet.volumes.mounts import mount_points
from knarr.kubelet.volumes.plugin import VolumeError


def opened(volume: Path, path: str) -> str:
    handle = subpath.open_below(volume, path)
    try:
        return os.readlink(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def test_parts_of_a_volume_are_opened_or_made(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    volume.mkdir(mode=0o777)
    volume.chmod(0o2777)
    (volume / "file").write_text("x")
    assert opened(volume, "file") == str(volume / "file")
    assert opened(volume, ".") == str(volume)
    assert opened(volume, "a/b") == str(volume / "a/b")
    assert stat.S_IMODE((volume / "a").stat().st_mode) == 0o2777


def test_links_hold_inside_the_volume_only(tmp_path: Path) -> None:
    volume, outside = tmp_path / "v", tmp_path / "v2"
    (volume / "data").mkdir(parents=True)
    outside.mkdir()
    (volume / "key").symlink_to("data")
    (volume / "up").symlink_to("../v2")
    (volume / "far").symlink_to("/etc")
    assert opened(volume, "key") == str(volume / "data")
    for path in ("up", "up/new", "far/passwd", "../v2"):
        with pytest.raises(PermissionError):
            subpath.open_below(volume, path)
    assert list(outside.iterdir()) == []


def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = tmp_path / "v"
    volume.mkdir()
    (volume / "a").symlink_to("/etc")
    monkeypatch.setattr(os.path, "realpath", lambda path: str(path))  # as if the swap came right after the check
    with pytest.raises(PermissionError, match="has become a symbolic link"):
        subpath.open_below(volume, "a/ssh")


@pytest.mark.parametrize("path", ["/etc", "..", "a/../b"])
def test_sub_paths_that_are_refused(path: str) -> None:
    with pytest.raises(VolumeError):
        subpath.check(path)


def test_host_path_types(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    fitting = {"Directory": ".", "File": "file", "Socket": "socket", "": "absent"}
    for kind, name in fitting.items():
        host_path.check(str(tmp_path / name), kind)
    host_path.check("/dev/null", "CharDevice")
    host_path.check(str(tmp_path / "new/folder"), "DirectoryOrCreate")
    host_path.check(str(tmp_path / "new/file"), "FileOrCreate")
    assert (tmp_path / "new/folder").is_dir()
    assert (tmp_path / "new/file").is_file()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("Directory", "is not a directory"),
        ("DirectoryOrCreate", "is not a directory"),
        ("Socket", "is not a socket file"),
        ("CharDevice", "is not a character device"),
        ("BlockDevice", "is not a block device"),
    ],
)
def test_a_host_path_of_another_type_is_refused(tmp_path: Path, kind: str, text: str) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(VolumeError, match=f"^hostPath type check failed: {path} {text}$"):
        host_path.check(str(path), kind)


def test_the_mount_table_is_read_with_its_escapes(tmp_path: Path) -> None:
    text = "\n".join(
        [
            "1 0 8:1 / / rw - ext4 /dev/sda rw",
            f"2 1 0:5 / {tmp_path}/a\\040b rw,nosuid shared:3 master:1 - tmpfs tmpfs rw",
            f"3 1 0:6 / {tmp_path}x rw - tmpfs tmpfs rw",
            f"4 2 0:7 / {tmp_path}/a\\040b/c rw - tmpfs tmpfs rw",
        ]
    )
    assert mount_points(tmp_path, text) == [f"{tmp_path}/a b", f"{tmp_path}/a b/c"]
