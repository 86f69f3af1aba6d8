from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api import codec
from knarr.api.codec import exact, fast, yaml_text
from knarr.api.codec.types import FieldInfo, Shape, TypeInfo, named

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"a": "b"}},
    "spec": {"containers": [{"name": "c", "image": "x"}]},
}


def decode(kind: str, body: Any, api_version: str = "v1") -> codec.Decoded:
    return codec.decode(api_version, kind, body if isinstance(body, bytes) else orjson.dumps(body))


def message(kind: str, body: Any, api_version: str = "v1") -> str:
    with pytest.raises(codec.DecodeError) as caught:
        decode(kind, body, api_version)
    assert caught.value.code == 400
    return caught.value.message


def pod(**spec: Any) -> dict[str, Any]:
    return {**POD, "spec": {"containers": [{"name": "c", "image": "x"}], **spec}}


def test_always_written_fields_are_there_and_empty_ones_are_not() -> None:
    found = decode("Pod", pod(nodeName="", hostNetwork=False, volumes=[], priority=0)).object
    assert found["spec"] == {"containers": [{"name": "c", "image": "x", "resources": {}}], "priority": 0}
    assert found["status"] == {}


def test_missing_required_lists_and_pointers_are_null() -> None:
    found = decode("Deployment", {"metadata": {"name": "d"}, "spec": {}}, "apps/v1").object
    assert found["spec"] == {
        "selector": None,
        "template": {"metadata": {}, "spec": {"containers": None}},
        "strategy": {},
    }
    assert decode("ClusterRole", {"rules": []}, "rbac.authorization.k8s.io/v1").object["rules"] is None


def test_kind_and_version_are_filled_in_behind_the_metadata() -> None:
    assert list(decode("ConfigMap", b'{"data":{"a":"b"},"metadata":{"name":"x"}}').object) == [
        "metadata",
        "kind",
        "apiVersion",
        "data",
    ]
    assert decode("ConfigMap", b"null").object == {"metadata": {}, "kind": "ConfigMap", "apiVersion": "v1"}


def test_nulls_leave_values_alone_and_clear_what_can_be_nil() -> None:
    body = pod(volumes=None, hostNetwork=None, securityContext=None)
    for metadata in (
        {"name": "p", "creationTimestamp": None, "labels": None},
        {"name": "p", "creationTimestamp": None},
    ):
        found = decode("Pod", {**body, "metadata": metadata}).object
        assert found["metadata"] == {"name": "p"}
    assert found["spec"] == decode("Pod", pod()).object["spec"]


@pytest.mark.parametrize(
    ("given_text", "canonical"), [("1000m", "1"), ("0.5", "500m"), (2, "2"), (0.1, "100m"), (None, "0")]
)
def test_quantities_are_canonical(given_text: Any, canonical: str) -> None:
    body = {"spec": {"hard": {"cpu": given_text}}}
    assert decode("ResourceQuota", body).object["spec"]["hard"] == {"cpu": canonical}


def test_times_are_in_utc_and_whole_seconds() -> None:
    def started(text: str) -> Any:
        return decode("Pod", {"status": {"startTime": text}}).object["status"]["startTime"]

    assert started("2026-01-02T03:04:05.9+01:00") == "2026-01-02T02:04:05Z"
    assert started("2026-01-02T03:04:05Z") == "2026-01-02T03:04:05Z"
    lease = decode("Lease", {"spec": {"renewTime": "2026-01-02T03:04:05.000001+01:00"}}, "coordination.k8s.io/v1")
    assert lease.object["spec"] == {"renewTime": "2026-01-02T02:04:05.000001Z"}


@pytest.mark.parametrize(
    ("spec", "what", "field", "go"),
    [
        ({"activeDeadlineSeconds": "x"}, "string", "PodSpec.spec.activeDeadlineSeconds", "int64"),
        ({"priority": 1.5}, "number 1.5", "PodSpec.spec.priority", "int32"),
        ({"priority": 1 << 31}, "number 2147483648", "PodSpec.spec.priority", "int32"),
        ({"restartPolicy": 1}, "number", "PodSpec.spec.restartPolicy", "v1.RestartPolicy"),
        ({"containers": "x"}, "string", "PodSpec.spec.containers", "[]v1.Container"),
        ({"containers": [1]}, "number", "PodSpec.spec.containers", "v1.Container"),
        (
            {"volumes": [{"emptyDir": []}]},
            "array",
            "Volume.spec.volumes.VolumeSource.emptyDir",
            "v1.EmptyDirVolumeSource",
        ),
        ({"nodeSelector": {"a": True}}, "bool", "PodSpec.spec.nodeSelector", "string"),
    ],
)
def test_a_wrong_type_is_told_as_go_tells_it(spec: Any, what: str, field: str, go: str) -> None:
    assert message("Pod", pod(**spec)) == (
        'Pod in version "v1" cannot be handled as a Pod: '
        f"json: cannot unmarshal {what} into Go struct field {field} of type {go}"
    )


def test_values_that_decode_themselves_end_decoding_at_once() -> None:
    head = 'Pod in version "v1" cannot be handled as a Pod: '
    limits = {"hostNetwork": "x", "containers": [{"resources": {"limits": {"cpu": "abc"}}}]}
    assert message("Pod", pod(**limits)).startswith(head + "quantities must match the regular expression")
    metadata = {**POD, "metadata": {"creationTimestamp": "yesterday"}}
    assert message("Pod", metadata) == (
        head + 'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"'
    )
    assert message("Secret", {"data": {"a": "dg==x"}}).endswith("illegal base64 data at input byte 4")


def test_bodies_of_another_kind_or_version_are_refused() -> None:
    assert message("ConfigMap", {"apiVersion": "v1", "kind": "Secret"}) == (
        'Secret in version "v1" cannot be handled as a ConfigMap: '
        "converting (v1.Secret) to (core.ConfigMap): unknown conversion"
    )
    assert message("ConfigMap", {"apiVersion": "v1", "kind": "Other"}) == (
        'Other in version "v1" cannot be handled as a ConfigMap: '
        'no kind "Other" is registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30"'
    )
    hpa = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler"}
    assert message("HorizontalPodAutoscaler", hpa, "autoscaling/v2") == (
        "the API version in the data (autoscaling/v1) does not match the expected API version (autoscaling/v2)"
    )


@pytest.mark.parametrize(
    ("body", "fault", "shown"),
    [
        (b"", "unexpected end of JSON input", "<empty>"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string", '{"a":1,}'),
        (b"{'a':1}", "invalid character '\\'' looking for beginning of object key string", "{'a':1}"),
        (b'{"a":tru}', "invalid character '}' in literal true (expecting 'e')", '{"a":tru}'),
        (b'{"a":[1 2]}', "invalid character '2' after array element", '{"a":[1 2]}'),
        (b'{"a" 1}', "invalid character '1' after object key", '{"a" 1}'),
        (b'{"a":"\\x"}', "invalid character 'x' in string escape code", '{"a":"\\x"}'),
        (b'{"a":"\t"}', "invalid character '\\t' in string literal", '{"a":"\t"}'),
        (b'{"a":01}', "invalid character '1' after object key:value pair", '{"a":01}'),
        (b'{"a":NaN}', "invalid character 'N' looking for beginning of value", '{"a":NaN}'),
        (b"{} x", "invalid character 'x' after top-level value", "{} x"),
    ],
)
def test_syntax_errors_are_told_as_go_tells_them(body: bytes, fault: str, shown: str) -> None:
    assert message("ConfigMap", body) == (
        "the object provided is unrecognized (must be of type ConfigMap): "
        f"couldn't get version/kind; json parse error: {fault} ({shown})"
    )


def test_unknown_and_repeated_fields_are_told_in_order() -> None:
    body = b'{"metadata":{"name":"p","bogus":1},"spec":{"containers":[{"name":"a","x":1,"name":"b"}],"Volumes":[]}}'
    found = decode("Pod", body)
    assert found.problems == (
        'unknown field "metadata.bogus"',
        'unknown field "spec.containers[0].x"',
        'duplicate field "spec.containers[0].name"',
        'unknown field "spec.Volumes"',
    )
    assert found.object["spec"]["containers"][0]["name"] == "b"
    strict = codec.strict_error("v1", "Pod", found.problems[:1])
    assert strict.message == (
        'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "metadata.bogus"'
    )


def test_repeated_keys_of_maps_are_found_whatever_the_spacing() -> None:
    assert decode("ConfigMap", b'{ "data" : {"a": "1", "a" :"2"}}').problems == ('duplicate field "data.a"',)
    assert decode("ConfigMap", b'{"data":{"a":"\\u0041","b":"\\""}}').problems == ()


def test_yaml_is_read_by_the_rules_of_yaml_1_1() -> None:
    found = codec.decode(
        "v1", "ConfigMap", b"metadata: {name: cm}\ndata: {a: 2024-01-01, b: 1:30}\n---\nx: y\n", yaml=True
    )
    assert found.object["data"] == {"a": "2024-01-01", "b": "1:30"}
    with pytest.raises(
        codec.DecodeError, match="cannot unmarshal bool into Go struct field ConfigMap.data of type string"
    ):
        codec.decode("v1", "ConfigMap", b"data: {a: yes}", yaml=True)
    repeated = codec.decode("v1", "ConfigMap", b"metadata:\n  name: a\n  name: b\nbogus: 1\n", yaml=True)
    assert repeated.problems == ('line 3: key "name" already set in map', 'unknown field "bogus"')
    assert repeated.object["metadata"]["name"] == "b"
    assert codec.decode("v1", "ConfigMap", b"# nothing\n", yaml=True).object["metadata"] == {}
    merged = codec.decode("v1", "ConfigMap", b"data:\n  <<: {a: '1', b: '2'}\n  b: 'on'\n", yaml=True)
    assert merged.object["data"] == {"a": "1", "b": "on"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("08", 8),
        ("1_000", 1000),
        ("+5", 5),
        ("1.50", 1.5),
        (".5e1", 5),
        ("1e3", "1e3"),
        ("1e+3", 1000),
        ("1.", "1."),
        ("y", True),
        ("Off", False),
        ("~", None),
        ("null", None),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("-", "-"),
    ],
)
def test_plain_scalars_of_yaml(text: str, value: Any) -> None:
    found = yaml_text.parse(f"[{text}]".encode() if text != "-" else b'["-"]')
    assert found == ([value], [])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.text("ab:#'\"1 \n-é"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab1 "), inner, max_size=3),
    max_leaves=8,
)


@given(_JSON)
def test_json_is_yaml(value: Any) -> None:
    assert yaml_text.parse(orjson.dumps(value))[0] == value


def test_normalise_tells_the_bare_cause() -> None:
    with pytest.raises(codec.DecodeError) as caught:
        codec.normalise("apps/v1", "Deployment", {"apiVersion": "apps/v1", "kind": "Pod"})
    assert caught.value.cause.startswith('no kind "Pod" is registered for version "apps/v1"')
    found = codec.normalise("v1", "Pod", {**POD, "bogus": 1})
    assert found.problems == ('unknown field "bogus"',)


def test_a_schema_may_be_a_bool_a_list_or_a_schema() -> None:
    schema = {"items": {"type": "x", "nullable": False}, "additionalProperties": False, "default": {"a": None}}
    body = {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"properties": {"a": schema}}}}]}}
    found = decode("CustomResourceDefinition", body, "apiextensions.k8s.io/v1").object
    read = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["a"]
    assert read == {"items": {"type": "x"}, "additionalProperties": False, "default": {"a": None}}


def test_custom_objects_keep_their_content_and_get_canonical_metadata() -> None:
    body = (
        b'{"apiVersion":"e.com/v1","kind":"W","metadata":{"name":"w","bogus":1,"creationTimestamp":null,"labels":{}},'
        b'"spec":{"a":"1","a":"2","n":null,"f":1.5,"l":[{"x":1,"x":2}]},"top":1}'
    )
    found = codec.decode_custom("e.com/v1", "W", body)
    assert found.object["metadata"] == {"name": "w"}
    assert found.object["spec"] == {"a": "2", "n": None, "f": 1.5, "l": [{"x": 2}]}
    assert found.problems == (
        'duplicate field "spec.a"',
        'duplicate field "spec.l[0].x"',
        'unknown field "metadata.bogus"',
    )
    with pytest.raises(codec.DecodeError, match="Object 'Kind' is missing in 'object has no kind field '"):
        codec.decode_custom("e.com/v1", "W", b"null")
    with pytest.raises(codec.DecodeError, match="cannot unmarshal number into Go struct field ObjectMeta.labels"):
        codec.decode_custom("e.com/v1", "W", b'{"kind":"W","metadata":{"labels":{"a":1}}}')


def test_merge_schemas_know_keys_and_strategies() -> None:
    schema = codec.merge_schema("apps/v1", "Deployment")
    assert schema is not None
    spec = schema.merge_field("spec")
    assert spec is not None and spec.schema is not None
    strategy, template = spec.schema.merge_field("strategy"), spec.schema.merge_field("template")
    assert strategy is not None and strategy.strategy == ""
    assert template is not None and template.schema is not None
    pod_spec = template.schema.merge_field("spec")
    assert pod_spec is not None and pod_spec.schema is not None
    containers = pod_spec.schema.merge_field("containers")
    assert containers is not None and (containers.strategy, containers.merge_key) == ("merge", "name")
    assert schema.merge_field("bogus") is None
    assert codec.merge_schema("example.com/v1", "Widget") is None


_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": st.sampled_from(["", "a", "é\u2028"]),
    "boolean": st.booleans(),
    "int32": st.integers(-3, 1 << 31),
    "int64": st.integers(-3, 3),
    "bytes": st.sampled_from(["", "aGk=", "aG\nk="]),
    "quantity": st.sampled_from(["0", "1000m", "0.5", "1Gi", 3]),
    "time": st.sampled_from(["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5+02:00"]),
    "micro_time": st.sampled_from(["2026-01-02T03:04:05.000001Z", "2026-01-02T03:04:05.000001+02:00"]),
    "int_or_string": st.sampled_from([0, 80, "http"]),
    "raw": st.sampled_from([{"a": [1, None]}, {}]),
}


def values(shape: Shape, depth: int) -> st.SearchStrategy[Any]:
    if shape.kind == "struct":
        return structs(shape.info, depth)
    if shape.kind in ("list", "map"):
        assert shape.item is not None
        items = values(shape.item, depth)
        return st.lists(items, max_size=2) if shape.kind == "list" else st.dictionaries(st.sampled_from("ab"), items)
    return _SCALARS[shape.kind]


def structs(info: TypeInfo, depth: int) -> st.SearchStrategy[Any]:
    def some(field: FieldInfo) -> st.SearchStrategy[Any]:
        return st.none() | values(field.shape, depth - 1)

    names = [name for name in info.fields if name not in ("kind", "apiVersion")]
    if depth == 0 or not names:
        return st.just({})
    return st.lists(st.sampled_from(names), max_size=4, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({name: some(info.fields[name]) for name in chosen})
    )


@given(
    st.data(), st.sampled_from(["core.v1.Pod", "apps.v1.Deployment", "core.v1.Event", "policy.v1.PodDisruptionBudget"])
)
def test_decoding_is_stable_and_both_ways_agree(data: st.DataObject, name: str) -> None:
    info = named(name)
    body = data.draw(structs(info, 6))
    try:
        once, _ = exact.read(info, body)
    except ValueError:
        return
    assert exact.read(info, once) == (once, ())
    read = fast.reader(info)
    assert read is not None
    try:
        quick = read(body)
    except ValueError:
        return
    assert orjson.dumps(quick) == orjson.dumps(once)
