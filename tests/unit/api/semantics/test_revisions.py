"""Hashes, names and sameness of ControllerRevisions."""

from __future__ import annotations

import pytest

from knarr.api.semantics import revisions
from knarr.apimachinery.types import Object


def make_template(**meta: object) -> Object:
    container = {
        "image": "test",
        "imagePullPolicy": "Always",
        "name": "test",
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    spec = {
        "containers": [container],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }
    return {"metadata": {"labels": {"app": "foo"}, "annotations": {"test": "value"}, **meta}, "spec": spec}


def make_revision(template: Object, **fields: object) -> Object:
    return {"metadata": {"name": "r", "namespace": "default"}, "data": revisions.data_of(template), **fields}


def test_the_hash_is_that_of_a_real_controller() -> None:
    """As kube-controller-manager v1.34 and v1.33 named the revisions of this template."""
    assert revisions.revision_hash(revisions.data_of(make_template()), 0) == "776999688b"
    assert revisions.revision_hash(revisions.data_of(make_template(creationTimestamp=None)), 0) == "c77f6d978"


def test_the_data_is_sorted_as_go_writes_maps() -> None:
    template = revisions.data_of({"spec": {"b": 1, "a": {"d": 1, "c": 1}}, "metadata": {}})["spec"]["template"]
    assert [list(template), list(template["spec"]), list(template["spec"]["a"])] == [
        ["$patch", "metadata", "spec"],
        ["a", "b"],
        ["c", "d"],
    ]


def test_the_hash_is_of_the_text_that_go_writes() -> None:
    plain, counted = revisions.revision_hash({"a": "<&>"}, 0), revisions.revision_hash({"a": "<&>"}, 1)
    assert plain == revisions.revision_hash({"a": "<&>"}, 0) != counted


def test_a_revision_of_before_is_the_same_without_its_empty_timestamp() -> None:
    old = make_revision(make_template(creationTimestamp=None))
    assert revisions.holds(old, make_template())
    assert not revisions.holds(old, make_template(annotations={}))
    assert not revisions.holds({"metadata": {"name": "r"}, "data": {"spec": 1}}, make_template())


def test_the_template_comes_back() -> None:
    assert revisions.template_in(make_revision(make_template())) == make_template()
    with pytest.raises(ValueError, match="holds no pod template"):
        revisions.template_in({"metadata": {"name": "r"}, "data": {}})


def test_revisions_are_ordered_by_number_then_age_then_name() -> None:
    made = [
        {"metadata": {"name": name, "creationTimestamp": since}, "revision": number}
        for name, since, number in (("d", "2", 2), ("c", "2", 1), ("b", "1", 1), ("a", "2", 1))
    ]
    assert [item["metadata"]["name"] for item in revisions.ordered(made)] == ["b", "a", "c", "d"]


def test_long_names_of_owners_are_cut() -> None:
    assert revisions.name_of("x" * 300, "abc") == "x" * 223 + "-abc"
