from __future__ import annotations

import os
from pathlib import Path

from knarr.kubelet.volumes.usage import over_limit, used


def test_a_file_with_two_names_counts_once_and_links_do_not_lead_out(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    (folder / "sub").mkdir(parents=True)
    empty = used(folder)
    (folder / "sub/a").write_bytes(b"x" * 100_000)
    os.link(folder / "sub/a", folder / "b")
    (tmp_path / "large").write_bytes(b"x" * 1_000_000)
    (folder / "c").symlink_to(tmp_path / "large")
    assert 100_000 <= used(folder) - empty < 120_000
    assert used(tmp_path / "absent") == 0


def test_an_empty_dir_that_outgrew_its_limit(tmp_path: Path) -> None:
    volumes = [
        {"name": "free", "emptyDir": {}},
        {"name": "ram", "emptyDir": {"medium": "Memory", "sizeLimit": "1"}},
        {"name": "tight", "emptyDir": {"sizeLimit": "64Ki"}},
    ]
    pod = {"spec": {"volumes": volumes}}
    for name in ("free", "ram", "tight"):
        (tmp_path / "kubernetes.io~empty-dir" / name).mkdir(parents=True)
        (tmp_path / "kubernetes.io~empty-dir" / name / "f").write_bytes(b"x" * 20_000)
    assert over_limit(pod, tmp_path) == ""
    (tmp_path / "kubernetes.io~empty-dir/tight/g").write_bytes(b"x" * 80_000)
    assert over_limit(pod, tmp_path) == 'Usage of EmptyDir volume "tight" exceeds the limit "64Ki". '
