from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api.custom import jsonpath

POD: dict[str, Any] = {
    "metadata": {"labels": {"app.kubernetes.io/name": "web", "a": "b"}},
    "status": {
        "conditions": [
            {"type": "Ready", "status": "True", "weight": 1},
            {"type": "Healthy", "status": "False", "weight": 5},
        ],
        "ips": ["1", "2", "3"],
    },
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".status.ips", [["1", "2", "3"]]),
        (".status.ips[0]", ["1"]),
        (".status.ips[-1]", ["3"]),
        (".status.ips[1:]", ["2", "3"]),
        (".status.ips[::2]", ["1", "3"]),
        (".status.ips[0,2]", ["1", "3"]),
        (".status.ips[*]", ["1", "2", "3"]),
        (".status.missing.more", []),
        (r".metadata.labels.app\.kubernetes\.io/name", ["web"]),
        (".metadata.labels['app.kubernetes.io/name']", ["web"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type=='Healthy')].status", ["False"]),
        ('.status.conditions[?(@.type!="Ready")].type', ["Healthy"]),
        (".status.conditions[?(@.weight>2)].type", ["Healthy"]),
        (".status.conditions[?(@.missing)].type", []),
        (".status.conditions[*].type", ["Ready", "Healthy"]),
        ("..type", ["Ready", "Healthy"]),
        ("$.status.ips[1]", ["2"]),
        (".", [POD]),
    ],
)
def test_paths_find_what_kubectl_finds(path: str, found: list[Any]) -> None:
    assert jsonpath.find(path, POD) == found


@pytest.mark.parametrize(
    "path", [".status.ips[9]", ".metadata[0]", ".metadata[?(@.a)]", ".status.conditions[?(@.weight>'2')]"]
)
def test_values_of_the_wrong_kind_are_errors(path: str) -> None:
    with pytest.raises(ValueError):
        jsonpath.find(path, POD)


@pytest.mark.parametrize("path", [".a[", ".a[x]", ".a[?(", ".a]", ".a[1:2:0]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError):
        jsonpath.parse(path)


@given(st.text(alphabet=".[]()?@='\"\\*abc0123:,- <>$", max_size=30))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    try:
        jsonpath.find(text, POD)
    except ValueError:
        return
