from __future__ import annotations

from typing import Any

from knarr.api.semantics import affinity


def node_spec(*terms: dict[str, Any], **selector: str) -> dict[str, Any]:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"nodeSelector": selector, "affinity": {"nodeAffinity": required} if terms else {}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


def test_node_selector_and_terms() -> None:
    assert affinity.required_nodes({}) is None
    match = affinity.required_nodes(node_spec(a="1"))
    assert match is not None and match({"a": "1"}, "n") and not match({}, "n")
    either = node_spec(
        {"matchExpressions": [expression("a", "In", "1", "2"), expression("b", "DoesNotExist")]},
        {"matchExpressions": [expression("n", "Gt", "5")]},
        {},
    )
    match = affinity.required_nodes(either)
    assert match is not None
    assert match({"a": "2"}, "n") and match({"n": "6"}, "n")
    assert not match({"a": "2", "b": ""}, "n") and not match({"n": "5"}, "n") and not match({}, "n")
    empty = affinity.required_nodes(node_spec({}))
    assert empty is not None and not empty({}, "n")


def test_named_nodes() -> None:
    field = {"matchFields": [expression("metadata.name", "In", "x")]}
    match = affinity.required_nodes(node_spec(field))
    assert match is not None and match({}, "x") and not match({}, "y")
    assert affinity.required_node_names(node_spec(field)) == frozenset("x")
    other = {"matchFields": [expression("metadata.name", "In", "y")]}
    assert affinity.required_node_names(node_spec(field, other)) == frozenset("xy")
    conflict = {"matchFields": [*field["matchFields"], *other["matchFields"]]}
    assert affinity.required_node_names(node_spec(conflict)) == frozenset()
    assert affinity.required_node_names(node_spec(field, {"matchExpressions": []})) is None
    assert affinity.required_node_names(node_spec(a="1")) is None


def test_pod_terms() -> None:
    own = affinity.pod_term({"topologyKey": "z", "labelSelector": {"matchLabels": {"a": "1"}}}, "ns")
    assert own.matches("ns", {"a": "1"}, {}) and not own.matches("other", {"a": "1"}, {})
    assert not own.matches("ns", {}, {})
    everywhere = affinity.pod_term({"topologyKey": "z", "labelSelector": {}, "namespaceSelector": {}}, "ns")
    assert everywhere.matches("other", {}, {})
    nobody = affinity.pod_term({"topologyKey": "z"}, "ns")
    assert not nobody.matches("ns", {}, {})
    labelled = affinity.pod_term(
        {"labelSelector": {}, "namespaces": ["x"], "namespaceSelector": {"matchLabels": {"t": "1"}}}, "ns"
    )
    assert (
        labelled.matches("x", {}, {}) and labelled.matches("y", {}, {"t": "1"}) and not labelled.matches("ns", {}, {})
    )
