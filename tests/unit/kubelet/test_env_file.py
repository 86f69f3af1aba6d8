from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery.types import Object
from knarr.kubelet.env_file import EnvFileFault, lookup
from knarr.kubelet.environment import EnvironmentFault, Surroundings, environment, file_references
from knarr.kubelet.volumes.subpath import read_file

TEXT = """
# a comment
A='1'
  B='two words'   # and a comment
LINES='first

# third'
EMPTY=
BLANK= 'x'
A='again'
"""


def test_names_and_their_values() -> None:
    found = {key: lookup(TEXT.replace("EMPTY=\n", ""), key) for key in ("A", "B", "LINES", "BLANK", "NONE")}
    assert found == {"A": "1", "B": "two words", "LINES": "first\n\n# third", "BLANK": "", "NONE": ""}


@pytest.mark.parametrize(
    ("text", "line"),
    [("A", 1), ("\nA=1", 2), ("A='1' x", 1), ("A ='1'", 1), ("='1'", 1), ("#\n\nA='1\n", 3), ("EMPTY=\n", 1)],
)
def test_what_is_not_of_this_form(text: str, line: int) -> None:
    with pytest.raises(EnvFileFault, match=f"at line {line}: "):
        lookup(text, "OTHER")


@given(st.lists(st.tuples(st.text("ABC", min_size=1), st.text("ab '#=\n$\\").map(lambda t: t.replace("'", "")))))
def test_what_is_written_is_read(pairs: list[tuple[str, str]]) -> None:
    text = "".join(f"{name}='{value}'\n" for name, value in pairs)
    first = dict(reversed(pairs))
    assert all(lookup(text, name) == value for name, value in first.items())


def container(**more: Any) -> Object:
    reference = {"volumeName": "v", "path": "f", "key": "A", **more}
    return {"name": "c", "env": [{"name": "X", "valueFrom": {"fileKeyRef": reference}}]}


def made(spec: Object, text: str | None) -> dict[str, str]:
    pod = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {}}
    return environment(pod, spec, Surroundings(files=dict.fromkeys(file_references(spec), text)))


def test_variables_from_files() -> None:
    assert made(container(), "A='1'") == {"X": "1"}
    assert made(container(optional=True), "B='1'") == {}
    assert made(container(optional=True), None) == {}
    with pytest.raises(EnvironmentFault, match='environment variable key "A" not found in file "f"'):
        made(container(), None)
    with pytest.raises(EnvironmentFault, match="^couldn't parse env file$"):
        made(container(optional=True), "A=secret")


def test_files_are_read_inside_their_volume_only(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    volume.mkdir()
    (volume / "f").write_text("x" * 10)
    (volume / "out").symlink_to("/etc/hostname")
    assert read_file(volume, "f", 4) == b"xxxx"
    assert read_file(volume, "absent/f", 4) is None
    assert not (volume / "absent").exists()
    with pytest.raises(PermissionError):
        read_file(volume, "out", 4)
    with pytest.raises(PermissionError):
        read_file(volume, ".", 4)
