from __future__ import annotations

from typing import Any

import orjson

from knarr.api.custom import columns, definition, scale, status, versions
from knarr.api.resources import Definition
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object

NOW = "2024-01-02T00:00:00Z"


def crd(name: str = "widgets.example.com", **spec: Any) -> Object:
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    return {
        "metadata": {"name": name, "uid": "u"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": names,
            "versions": [{"name": "v1", "served": True, "storage": True}],
            **spec,
        },
    }


def conditions(found: Object) -> dict[str, tuple[str, str, str]]:
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in found["conditions"]}


def test_versions_are_ranked_as_kubernetes_ranks_them() -> None:
    ranked = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"]
    assert sorted(sorted(ranked, key=len), key=versions.rank, reverse=True) == ranked


def test_names_that_nobody_has_are_accepted() -> None:
    found = status.settled(crd(), [], NOW)
    assert found["acceptedNames"]["kind"] == "Widget"
    assert conditions(found) == {
        "NamesAccepted": ("True", "NoConflicts", "no conflicts found"),
        "Established": ("True", "InitialNamesAccepted", "the initial names have been accepted"),
    }
    # Nothing changes when it is looked at again, and times stay.
    assert status.settled({**crd(), "status": found}, [], "2030-01-01T00:00:00Z") == found


def test_the_last_clash_is_told_and_the_other_names_are_taken() -> None:
    other = {"plural": "gadgets", "singular": "widget", "kind": "Gadget", "listKind": "GadgetList"}
    found = status.settled(crd(), [other], NOW)
    assert found["acceptedNames"] == {"plural": "widgets", "kind": "Widget", "listKind": "WidgetList"}
    assert conditions(found)["NamesAccepted"] == ("False", "SingularConflict", '"widget" is already in use')
    assert conditions(found)["Established"][:2] == ("False", "NotAccepted")


def test_several_short_names_that_are_taken_are_all_told() -> None:
    other = {"plural": "gadgets", "shortNames": ["a", "b"], "kind": "Gadget"}
    asked = crd()
    asked["spec"]["names"]["shortNames"] = ["a", "b", "c"]
    found = status.settled(asked, [other], NOW)
    message = '["a" is already in use, "b" is already in use]'
    assert conditions(found)["NamesAccepted"] == ("False", "ShortNamesConflict", message)
    assert "shortNames" not in found["acceptedNames"]


def test_who_is_established_stays_so_with_a_clash() -> None:
    settled = {**crd(), "status": status.settled(crd(), [], NOW)}
    settled["spec"]["names"]["shortNames"] = ["g"]
    found = status.settled(settled, [{"plural": "gadgets", "shortNames": ["g"]}], NOW)
    assert (conditions(found)["NamesAccepted"][0], conditions(found)["Established"][0]) == ("False", "True")


def test_groups_of_the_community_need_an_approval() -> None:
    asked = crd(group="widgets.k8s.io")
    for text, wanted in {
        "": ("False", "MissingAnnotation"),
        "unapproved, experimental": ("False", "UnapprovedAnnotation"),
        "https://github.com/kubernetes/kubernetes/pull/1": ("True", "ApprovedAnnotation"),
        "why not": ("False", "InvalidAnnotation"),
    }.items():
        asked["metadata"]["annotations"] = {"api-approved.kubernetes.io": text}
        found = conditions(status.settled(asked, [], NOW))
        assert found["KubernetesAPIApprovalPolicyConformant"][:2] == wanted


def test_a_definition_that_is_deleted_waits_for_its_objects() -> None:
    found = status.marked(crd(), NOW)
    assert found["metadata"]["finalizers"] == [status.FINALIZER]
    assert conditions(found["status"])["Terminating"][:2] == ("True", "InstanceDeletionPending")


def served(*listed: Object, **spec: Any) -> Definition:
    found = crd(versions=list(listed), **spec)
    found["status"] = status.settled(found, [], NOW)
    return definition.define(found, orjson.dumps(found))


def test_a_deprecated_version_names_the_best_one() -> None:
    found = served(
        {"name": "v1", "served": True, "storage": True},
        {"name": "v2", "served": True},
        {"name": "v1beta1", "served": True, "deprecated": True},
        {"name": "v3alpha1", "served": True, "deprecated": True, "deprecationWarning": "no"},
    )
    texts = {name: each.custom.deprecation for name, each in found.versions.items() if each.custom is not None}
    assert texts == {
        "v1": "",
        "v2": "",
        "v1beta1": "example.com/v1beta1 Widget is deprecated; use example.com/v2 Widget",
        "v3alpha1": "no",
    }


def test_columns_show_what_their_type_says() -> None:
    kinds = {"s": "string", "i": "integer", "n": "number", "b": "boolean", "d": "date", "m": "string", "x": "integer"}
    listed = [{"name": name, "type": kind, "jsonPath": f".spec.{name}"} for name, kind in kinds.items()]
    found = served({"name": "v1", "served": True, "storage": True, "additionalPrinterColumns": listed})
    spec = {"s": 5, "i": 5.7, "n": 1.5, "b": True, "d": "2024-01-01T00:00:00Z", "m": {"b": [1], "a": None}, "x": "text"}
    obj = {"metadata": {"name": "w"}, "spec": spec}
    cells = columns.cells(found.versions["v1"], obj, timestamps.parse(NOW))
    assert cells == ["w", "5", 5, 1.5, True, "24h", '{"a":null,"b":[1]}', None]
    assert columns.cells(found.versions["v1"], {"metadata": {"name": "w"}}, timestamps.parse(NOW))[1:] == [None] * 7


def test_a_scale_is_read_and_written_where_the_definition_says() -> None:
    paths = {"specReplicasPath": ".spec.size.wanted", "statusReplicasPath": ".status.size"}
    obj: Object = {"metadata": {"name": "w"}, "spec": {"other": 1}}
    changed = scale.set_scale(paths, obj, {"metadata": {}, "spec": {"replicas": 3}})
    assert changed["spec"] == {"other": 1, "size": {"wanted": 3}}
    assert obj["spec"] == {"other": 1}
    assert scale.scale_of(paths, changed)["spec"] == {"replicas": 3}
    (error,) = scale.errors(paths, {"metadata": {}, "spec": {"size": {"wanted": "3"}}})
    assert error.detail == ".spec.size.wanted accessor error: 3 is of the type string, expected int64"


def test_other_components_see_the_best_version_of_what_is_served() -> None:
    asked = crd(versions=[{"name": "v1beta1", "served": True, "storage": True}, {"name": "v1", "served": True}])
    assert definition.preferred(asked) is None
    asked["status"] = status.settled(asked, [], NOW)
    found = definition.preferred(asked)
    assert found is not None
    assert (found.api_version, found.plural, found.namespaced) == ("example.com/v1", "widgets", True)
    assert definition.preferred(definition.outline(asked)) is not None
