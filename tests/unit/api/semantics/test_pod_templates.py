"""Hashes and equality of pod templates."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from knarr.api.codec.types import named
from knarr.api.semantics import go_dump, pod_templates
from knarr.apimachinery.types import Object

REFERENCE = Path(__file__).parents[5] / "shared" / "reference"


def template() -> Object:
    container = {
        "image": "nginx",
        "imagePullPolicy": "Always",
        "name": "c",
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
    return {"metadata": {"labels": {"a": "b"}}, "spec": spec}


def test_the_hash_is_that_of_a_real_controller() -> None:
    """As kube-controller-manager v1.36.2 named the ReplicaSet of this template."""
    assert pod_templates.template_hash(template()) == "6459647ccc"


def test_a_collision_gives_another_hash() -> None:
    hashes = {pod_templates.template_hash(template(), count) for count in range(4)}
    assert len(hashes) == 4
    assert all(re.fullmatch("[bcdfghjklmnpqrstvwxz2456789]{1,10}", item) for item in hashes)


def test_templates_are_the_same_whatever_their_hash_label() -> None:
    one, other = template(), template()
    other["metadata"]["labels"][pod_templates.HASH_LABEL] = "x"
    assert pod_templates.equal_ignoring_hash(one, other)
    other["spec"]["containers"][0]["args"] = ["x"]
    assert not pod_templates.equal_ignoring_hash(one, other)


def test_a_source_that_is_merely_there_makes_a_difference() -> None:
    one, other = template(), template()
    one["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    other["spec"]["volumes"] = [{"name": "v", "configMap": {}}]
    assert not pod_templates.equal_ignoring_hash(one, other)


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference material is not here")
def test_fields_stand_in_the_order_of_the_published_definitions() -> None:
    messages = json.loads((REFERENCE / "protobuf_fields.json").read_text())["k8s.io.api.core.v1"]
    for name in ("PodSpec", "Container", "PodSecurityContext", "SecurityContext", "VolumeMount", "Probe"):
        wanted = [field for field in messages[name] if field != "handler"]
        found = [field.name for field in go_dump.ordered(named(f"core.v1.{name}")) if "." not in field.go]
        assert found == wanted, name


def test_values_are_written_as_go_writes_them() -> None:
    container = {
        "name": "c",
        "resources": {"requests": {"memory": "64Mi", "cpu": "100m"}},
        "livenessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 10},
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    }
    text = go_dump.dump(container, "core.v1.Container")
    assert (
        "Requests:(v1.ResourceList)map[cpu:{i:(resource.int64Amount){value:(int64)100 scale:(resource.Scale)-3} "
        "d:(resource.infDecAmount){Dec:(*inf.Dec)<nil>} s:(string)100m Format:(resource.Format)DecimalSI} "
        "memory:{i:(resource.int64Amount){value:(int64)67108864 scale:(resource.Scale)0} "
    ) in text
    assert (
        "LivenessProbe:(*v1.Probe){ProbeHandler:(v1.ProbeHandler){Exec:(*v1.ExecAction)<nil> HTTPGet:(*v1.HTTPG" in text
    )
    assert "Port:(intstr.IntOrString){Type:(intstr.Type)0 IntVal:(int32)80 StrVal:(string)}" in text
    assert (
        "SecretKeyRef:(*v1.SecretKeySelector){LocalObjectReference:(v1.LocalObjectReference){Name:(string)s} Key:"
        in text
    )
