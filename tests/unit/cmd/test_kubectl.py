from __future__ import annotations

from pathlib import Path

import pytest

from knarr.cmd import clusters, kubectl
from knarr.cmd.clusters import Cluster


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (["get", "pods"], {}, ("default", ("get", "pods"))),
        (["--name", "two", "get"], {}, ("two", ("get",))),
        (["--name=two", "get"], {"KNARR_NAME": "three"}, ("two", ("get",))),
        (["get"], {"KNARR_NAME": "three"}, ("three", ("get",))),
        (["create", "quota", "--name", "x"], {}, ("default", ("create", "quota", "--name", "x"))),
        ([], {}, ("default", ())),
    ],
)
def test_takes_its_own_option_and_leaves_the_rest(
    arguments: list[str], environment: dict[str, str], expected: tuple[str, tuple[str, ...]]
) -> None:
    assert kubectl.split(arguments, environment) == expected


def test_a_name_without_a_value_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert kubectl.main(["--name"]) == 2
    assert "--name" in capsys.readouterr().err


def test_says_when_there_is_no_such_cluster(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(clusters, "run_dir", lambda: tmp_path)
    assert kubectl.main(["--name", "gone", "get", "pods"]) == 1
    assert "'gone'" in capsys.readouterr().err


def script(folder: Path, text: str) -> Path:
    path = folder / "kubectl"
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_becomes_the_kubectl_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr(clusters, "run_dir", lambda: tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("os.execve", lambda *what: started.append(what))
    program = script(tmp_path, "#!/bin/sh\n")
    clusters.save(Cluster(name="two", slot=1, data_dir=str(tmp_path / "data"), port=6443))
    kubectl.main(["--name", "two", "get", "pods", "-w"])
    [(path, arguments, environment)] = started
    assert Path(path) == program
    assert arguments == ["kubectl", "get", "pods", "-w"]
    assert environment["KUBECONFIG"] == str(tmp_path / "data" / "admin.kubeconfig")


def test_without_one_on_the_path_takes_the_packaged_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = kubectl.find_kubectl()
    assert found is not None and found.is_file()
    own = script(tmp_path, "#!/bin/sh\n")
    assert kubectl.find_kubectl() == own
    assert kubectl.find_kubectl(own) == found
