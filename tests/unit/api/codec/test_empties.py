"""Empty lists and maps come back for judging, and go again."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from knarr.api import codec

_BODY = {
    "apiVersion": "apps/v1",
    "kind": "ReplicaSet",
    "metadata": {"name": "r", "labels": {}},
    "spec": {
        "selector": {"matchLabels": {}},
        "template": {
            "metadata": {"annotations": {}},
            "spec": {"containers": [{"name": "a", "image": "i"}, {"name": "c", "image": "i", "args": [], "env": []}]},
        },
    },
}


def test_what_decoding_left_out_is_put_back_where_it_was() -> None:
    obj = codec.normalise("apps/v1", "ReplicaSet", _BODY).object
    assert codec.refill("apps/v1", "ReplicaSet", obj, _BODY)
    assert obj["metadata"]["labels"] == {}
    first, second = obj["spec"]["template"]["spec"]["containers"]
    assert "args" not in first
    assert (second["args"], second["env"]) == ([], [])
    # Selectors are shown as they are written, without what is empty.
    assert obj["spec"]["selector"] == {}


def test_lists_that_are_written_as_null_can_stay_while_others_go() -> None:
    body = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "rules": [],
        "metadata": {"labels": {}},
    }
    obj = codec.normalise(body["apiVersion"], "ClusterRole", body).object  # type: ignore[arg-type]
    codec.refill("rbac.authorization.k8s.io/v1", "ClusterRole", obj, body)
    codec.strip("rbac.authorization.k8s.io/v1", "ClusterRole", obj, nulls=False)
    assert (obj["rules"], "labels" in obj["metadata"]) == ([], False)
    codec.strip("rbac.authorization.k8s.io/v1", "ClusterRole", obj)
    assert obj["rules"] is None


_MAPS = st.dictionaries(st.sampled_from("ab"), st.text("xy", max_size=2), max_size=2)


@given(_MAPS, _MAPS, st.lists(st.text("xy", max_size=2), max_size=2))
def test_stripping_undoes_refilling(labels: dict[str, str], annotations: dict[str, str], args: list[str]) -> None:
    body = copy.deepcopy(_BODY)
    body["metadata"] = {"name": "r", "labels": labels, "annotations": annotations}
    body["spec"]["template"]["spec"]["containers"][1]["args"] = args  # type: ignore[index]
    canonical = codec.normalise("apps/v1", "ReplicaSet", body).object
    obj = copy.deepcopy(canonical)
    codec.refill("apps/v1", "ReplicaSet", obj, body)
    codec.strip("apps/v1", "ReplicaSet", obj)
    assert obj == canonical
