"""Policies in a whole API server: how they are found, what they see, in which order they come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.component.apiserver import test_conversion
from tests.component.apiserver.test_custom_resources import established
from tests.component.apiserver.world import NAMESPACE, World, config_map, eventually, pod, running
from tests.webhook_server import item, patch, serving

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import MERGE_PATCH, Client

GROUP = "admissionregistration.k8s.io"
SCALERS = registry.resource("horizontalpodautoscalers", "autoscaling")
CONFIG_MAPS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
PODS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}


def story(tell: Callable[[World, Client], Awaitable[None]], tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            await tell(world, world.client())

    asyncio.run(main())


def match(rule: Object, **more: Any) -> Object:
    return {"resourceRules": [{"operations": ["*"], **rule}], **more}


async def bind(client: Client, flavour: str, name: str, **spec: Any) -> None:
    actions = {"validationActions": ["Deny"]} if flavour == "validating" else {}
    resource = registry.resource(f"{flavour}admissionpolicybindings", GROUP)
    await client.create(resource, {"metadata": {"name": name}, "spec": {"policyName": name, **actions, **spec}})


async def validate(
    client: Client, name: str, rule: Object, *expressions: str, binding: Any = None, **spec: Any
) -> None:
    rules = [{"expression": text} for text in expressions]
    body = {"matchConstraints": match(rule), "validations": rules, **spec}
    await client.create(registry.VALIDATINGADMISSIONPOLICIES, {"metadata": {"name": name}, "spec": body})
    await bind(client, "validating", name, **(binding or {}))


async def mutate(client: Client, name: str, rule: Object, *expressions: str, again: bool = False, **spec: Any) -> None:
    mutations = [
        {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": text}} for text in expressions
    ]
    policy = "IfNeeded" if again else "Never"
    body = {"matchConstraints": match(rule), "mutations": mutations, "reinvocationPolicy": policy, **spec}
    resource = registry.resource("mutatingadmissionpolicies", GROUP)
    await client.create(resource, {"metadata": {"name": name}, "spec": body})
    await bind(client, "mutating", name)


async def refused(work: Awaitable[Object]) -> StatusError:
    with pytest.raises(StatusError) as error:
        await work
    return error.value


def labelled(value: str, key: str = "l") -> str:
    return f'Object{{metadata: Object.metadata{{labels: {{"{key}": {value}}}}}}}'


def test_deletions_show_the_old_object_alone(tmp_path: Path) -> None:
    async def tell(_world: World, client: Client) -> None:
        kept = "request.operation != 'DELETE' || object == null && oldObject.metadata.name != 'kept'"
        await validate(client, "kept", CONFIG_MAPS, kept)
        for name in ("kept", "other"):
            await client.create(registry.CONFIGMAPS, config_map(name), NAMESPACE)
        await client.delete(registry.CONFIGMAPS, "other", NAMESPACE)
        error = await refused(client.delete(registry.CONFIGMAPS, "kept", NAMESPACE))
        assert (error.code, error.reason) == (422, "Invalid")
        await client.get(registry.CONFIGMAPS, "kept", NAMESPACE)

    story(tell, tmp_path)


def test_a_generated_name_is_known_to_validation_and_not_to_mutation(tmp_path: Path) -> None:
    async def tell(_world: World, client: Client) -> None:
        await mutate(client, "name", CONFIG_MAPS, labelled("string(has(object.metadata.name))"))
        await validate(client, "name", CONFIG_MAPS, "object.metadata.name.startsWith('g-') && request.name != ''")
        made = await client.create(registry.CONFIGMAPS, {"metadata": {"generateName": "g-"}}, NAMESPACE)
        assert made["metadata"]["labels"] == {"l": "false"}

    story(tell, tmp_path)


def test_equivalent_resources_are_seen_in_the_version_of_the_rule(tmp_path: Path) -> None:
    rule = {"apiGroups": ["autoscaling"], "apiVersions": ["v1"], "resources": ["horizontalpodautoscalers"]}

    async def tell(_world: World, client: Client) -> None:
        seen = "object.spec.targetCPUUtilizationPercentage < 90 && request.requestKind.version == 'v2'"
        await validate(client, "cpu", rule, f"request.kind.version == 'v1' && {seen}")
        patch = "Object{spec: Object.spec{targetCPUUtilizationPercentage: 50}}"
        await mutate(client, "cpu", rule, f"object.spec.minReplicas == 2 ? {patch} : Object{{}}")
        made = await client.create(SCALERS, scaler("a", 80, 2), NAMESPACE)
        assert made["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 50
        assert (await refused(client.create(SCALERS, scaler("b", 95, 1), NAMESPACE))).code == 422

    story(tell, tmp_path)


def scaler(name: str, percent: int, least: int) -> Object:
    target = {"type": "Utilization", "averageUtilization": percent}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    spec = {"scaleTargetRef": ref, "minReplicas": least, "maxReplicas": 3, "metrics": [metric]}
    return {"metadata": {"name": name}, "spec": spec}


def test_bindings_narrow_down_and_bring_their_own_parameters(tmp_path: Path) -> None:
    async def tell(_world: World, client: Client) -> None:
        for name, most in (("few", "1"), ("many", "3")):
            one = {"metadata": {"name": name, "labels": {"size": name}}, "data": {"most": most}}
            await client.create(registry.CONFIGMAPS, one, NAMESPACE)
        kind = {"apiVersion": "v1", "kind": "ConfigMap"}
        rule = "size(object.spec.containers) <= int(params.data.most)"
        ref = {"selector": {"matchLabels": {"size": "many"}}, "parameterNotFoundAction": "Deny"}
        await validate(client, "most", PODS, rule, paramKind=kind, binding={"paramRef": ref})
        await client.create(registry.PODS, pod("two", containers=containers(2)), NAMESPACE)
        narrow = {"objectSelector": {"matchLabels": {"tier": "small"}}}
        small = {"paramRef": {"name": "few", "parameterNotFoundAction": "Deny"}, "matchResources": narrow}
        resource = registry.VALIDATINGADMISSIONPOLICYBINDINGS
        spec = {"policyName": "most", "validationActions": ["Deny"], **small}
        await client.create(resource, {"metadata": {"name": "small"}, "spec": spec})
        await client.create(registry.PODS, pod("again", containers=containers(2)), NAMESPACE)
        tiny = pod("tiny", containers=containers(2))
        tiny["metadata"]["labels"] = {"tier": "small"}
        error = await refused(client.create(registry.PODS, tiny, NAMESPACE))
        assert "ValidatingAdmissionPolicy 'most' with binding 'small' denied request" in error.message

    story(tell, tmp_path)


def containers(count: int) -> list[Object]:
    return [{"name": f"c{number}", "image": "i"} for number in range(count)]


def test_a_policy_whose_parameters_are_of_no_kind_is_misconfigured(tmp_path: Path) -> None:
    async def tell(_world: World, client: Client) -> None:
        kind = {"apiVersion": "rules.example.com/v1", "kind": "Limit"}
        ref = {"name": "x", "parameterNotFoundAction": "Deny"}
        await validate(client, "typo", CONFIG_MAPS, "true", paramKind=kind, binding={"paramRef": ref})
        error = await refused(client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE))
        why = "failed to find resource referenced by paramKind: 'rules.example.com/v1, Kind=Limit'"
        assert f"'typo' denied request: failed to configure policy: {why}" in error.message
        change = {"spec": {"failurePolicy": "Ignore"}}
        await client.patch(registry.VALIDATINGADMISSIONPOLICIES, "typo", change, content_type=MERGE_PATCH)
        await client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)

    story(tell, tmp_path)


@pytest.mark.parametrize(("again", "labels"), [(True, {"a": "true", "b": "1"}), (False, {"a": "false", "b": "1"})])
def test_policies_are_asked_again_after_later_changes_if_they_want(
    tmp_path: Path,
    again: bool,  # noqa: FBT001
    labels: Object,
) -> None:
    async def tell(_world: World, client: Client) -> None:
        await mutate(
            client, "a", PODS, labelled("string('b' in object.metadata.?labels.orValue({}))", "a"), again=again
        )
        await mutate(client, "b", PODS, labelled('"1"', "b"))
        made = await client.create(registry.PODS, pod("p"), NAMESPACE)
        assert made["metadata"]["labels"] == labels

    story(tell, tmp_path)


def test_policies_are_asked_again_after_webhooks_have_changed_the_object(tmp_path: Path) -> None:
    async def tell(_world: World, client: Client) -> None:
        seen = "has(object.data.hook) ? object.data.hook : 'none'"
        for name, again in (("once", False), ("again", True)):
            await mutate(client, name, CONFIG_MAPS, labelled(seen, name), again=again)
        hooks = registry.resource("mutatingwebhookconfigurations", GROUP)
        hook = {
            "name": "hook.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": server.client_config("/hook"),
            "rules": [{"operations": ["*"], **CONFIG_MAPS}],
        }
        await client.create(hooks, {"metadata": {"name": "hook"}, "webhooks": [hook]})
        made = await client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
        assert made["metadata"]["labels"] == {"once": "none", "again": "called"}

    (tmp_path / "hook").mkdir()
    with serving(tmp_path / "hook") as server:
        server.on("/hook", lambda _: patch(item("hook", "called")))
        story(tell, tmp_path)


def test_plugins_look_at_what_policies_have_made(tmp_path: Path) -> None:
    """A container that a policy adds gets what the ServiceAccount plugin gives all containers."""
    added = 'Object.spec.containers{name: "s", image: "j"}'

    async def tell(_world: World, client: Client) -> None:
        await mutate(client, "sidecar", PODS, f"Object{{spec: Object.spec{{containers: [{added}]}}}}")
        made = await client.create(registry.PODS, pod("p"), NAMESPACE)
        mounts = {item["name"]: len(item.get("volumeMounts") or ()) for item in made["spec"]["containers"]}
        assert mounts == {"c": 1, "s": 1}

    story(tell, tmp_path)


def test_what_a_mutation_cannot_do_refuses_the_request_as_a_whole(tmp_path: Path) -> None:
    async def tell(_world: World, client: Client) -> None:
        await mutate(
            client, "args", PODS, 'Object{spec: Object.spec{tolerations: [Object.spec.tolerations{key: "k"}]}}'
        )
        error = await refused(client.create(registry.PODS, pod("p"), NAMESPACE))
        text = "may not mutate atomic arrays, maps or structs: .spec.tolerations"
        assert (error.code, error.reason) == (403, "Invalid")
        assert error.message == (
            "policy 'args' with binding 'args' denied request: "
            f"error applying patch: invalid ApplyConfiguration: {text}"
        )
        change = {"spec": {"failurePolicy": "Ignore"}}
        resource = registry.resource("mutatingadmissionpolicies", GROUP)
        await client.patch(resource, "args", change, content_type=MERGE_PATCH)
        await client.create(registry.PODS, pod("p"), NAMESPACE)

    story(tell, tmp_path)


def test_managed_fields_that_a_policy_spoils_are_mended(tmp_path: Path) -> None:
    async def tell(_world: World, client: Client) -> None:
        spoil = '[JSONPatch{op: "replace", path: "/metadata/managedFields/0/operation", value: "Guess"}]'
        mutation = {"patchType": "JSONPatch", "jsonPatch": {"expression": spoil}}
        spec = {"matchConstraints": match(CONFIG_MAPS), "mutations": [mutation], "reinvocationPolicy": "Never"}
        resource = registry.resource("mutatingadmissionpolicies", GROUP)
        await client.create(resource, {"metadata": {"name": "spoil"}, "spec": spec})
        await bind(client, "mutating", "spoil")
        made = await client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
        assert [item["operation"] for item in made["metadata"]["managedFields"]] == ["Update"]

    story(tell, tmp_path)


@pytest.mark.parametrize("resource", [registry.VALIDATINGADMISSIONPOLICIES, registry.VALIDATINGADMISSIONPOLICYBINDINGS])
def test_nobody_is_locked_out_of_policies(tmp_path: Path, resource: Resource) -> None:
    async def tell(_world: World, client: Client) -> None:
        rule = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
        await validate(client, "never", rule, "false")
        assert (await refused(client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE))).code == 422
        await client.create(
            registry.resource("selfsubjectaccessreviews", "authorization.k8s.io"),
            {"spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}},
        )
        await client.delete(resource, "never")
        await client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)

    story(tell, tmp_path)


def test_while_a_rule_that_never_ends_runs_others_are_served(tmp_path: Path) -> None:
    deep = "object.data.all(a, object.data.all(b, object.data.all(c, object.data.all(d, a + b + c + d != ''))))"

    async def tell(world: World, client: Client) -> None:
        await validate(client, "deep", CONFIG_MAPS, deep)
        big = config_map("big")
        big["data"] = {f"k{number}": "" for number in range(300)}
        hanging = asyncio.ensure_future(client.create(registry.CONFIGMAPS, big, NAMESPACE))
        other, served = world.client("admin"), 0
        while not hanging.done():
            await other.get(registry.NAMESPACES, NAMESPACE)
            served += 1
        error = await refused(hanging)
        assert "operation cancelled: actual cost limit exceeded" in error.message
        # Two whole answers while the rule ran: a loop that it held would have given the first only after its end.
        assert served > 1

    story(tell, tmp_path)


# custom resources

WIDGETS = Resource("example.com", "v1", "widgets", "Widget", namespaced=True)
WIDGET_RULE = {"apiGroups": ["example.com"], "apiVersions": ["v1"], "resources": ["widgets"]}


async def define(world: World, client: Client) -> None:
    """Serve widgets: a size, colours that are a set, a list by name with defaults."""
    part = {"name": {"type": "string"}, "weight": {"type": "integer", "default": 7}}
    parts = {
        "type": "array",
        "items": {"type": "object", "required": ["name"], "properties": part},
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    }
    spec = {"size": {"type": "integer"}, "parts": parts, "args": {"type": "array", "items": {"type": "string"}}}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": spec}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "widgets", "kind": "Widget"}
    body = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    crd = {"metadata": {"name": "widgets.example.com"}, "spec": body}
    await client.create(registry.CUSTOMRESOURCEDEFINITIONS, crd)
    await eventually(lambda: world.api.ctx.served.get("example.com", "v1", "widgets") is not None)


def widget(name: str, **spec: Any) -> Object:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


def test_custom_resources_are_judged_and_may_be_parameters(tmp_path: Path) -> None:
    async def tell(world: World, client: Client) -> None:
        kind = {"apiVersion": "example.com/v1", "kind": "Widget"}
        ref = {"paramRef": {"name": "limit", "parameterNotFoundAction": "Deny"}}
        rule = "object.metadata.name == 'limit' || object.spec.size <= params.spec.size"
        await validate(client, "size", WIDGET_RULE, rule, paramKind=kind, binding=ref)
        # The kind comes after the policy.
        await define(world, client)
        error = await refused(client.create(WIDGETS, widget("a", size=1), NAMESPACE))
        assert "no params found for policy binding" in error.message
        await client.patch(
            registry.VALIDATINGADMISSIONPOLICYBINDINGS,
            "size",
            {"spec": {"paramRef": {"parameterNotFoundAction": "Allow"}}},
            content_type=MERGE_PATCH,
        )
        await client.create(WIDGETS, widget("limit", size=3), NAMESPACE)
        await client.create(WIDGETS, widget("a", size=3), NAMESPACE)
        error = await refused(client.create(WIDGETS, widget("b", size=4), NAMESPACE))
        assert error.message.startswith('widgets.example.com "b" is forbidden: ValidatingAdmissionPolicy')

    story(tell, tmp_path)


def test_what_is_asked_of_the_scale_subresource_is_changed_there(tmp_path: Path) -> None:
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments/scale"]}

    async def tell(_world: World, client: Client) -> None:
        most = "Object{spec: Object.spec{replicas: object.spec.replicas > 3 ? 3 : object.spec.replicas}}"
        await mutate(client, "most", rule, most)
        await validate(client, "kind", rule, "object.kind == 'Scale' && request.kind.kind == 'Scale'")
        deployments = registry.resource("deployments", "apps")
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": containers(1)}}
        spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
        await client.create(deployments, {"metadata": {"name": "d"}, "spec": spec}, NAMESPACE)
        change = {"spec": {"replicas": 9}}
        await client.patch(deployments, "d", change, NAMESPACE, content_type=MERGE_PATCH, subresource="scale")
        assert (await client.get(deployments, "d", NAMESPACE))["spec"]["replicas"] == 3

    story(tell, tmp_path)


def test_custom_resources_are_changed_by_their_schema(tmp_path: Path) -> None:
    part = 'Object.spec.parts{name: "wheel"}'

    async def tell(world: World, client: Client) -> None:
        await define(world, client)
        await mutate(client, "wheel", WIDGET_RULE, f"Object{{spec: Object.spec{{parts: [{part}]}}}}")
        made = await client.create(WIDGETS, widget("a", parts=[{"name": "seat", "weight": 1}]), NAMESPACE)
        assert made["spec"]["parts"] == [{"name": "seat", "weight": 1}, {"name": "wheel", "weight": 7}]
        await mutate(client, "args", WIDGET_RULE, 'Object{spec: Object.spec{args: ["x"]}}')
        error = await refused(client.create(WIDGETS, widget("b"), NAMESPACE))
        assert error.message.endswith("may not mutate atomic arrays, maps or structs: .spec.args")

    story(tell, tmp_path)


def test_plugins_that_look_twice_do_nothing_twice(tmp_path: Path) -> None:
    async def tell(_world: World, client: Client) -> None:
        priority = {"metadata": {"name": "high"}, "value": 1000}
        await client.create(registry.resource("priorityclasses", "scheduling.k8s.io"), priority)
        toleration = {"key": "k", "operator": "Exists"}
        runtime = {
            "metadata": {"name": "deep"},
            "handler": "h",
            "overhead": {"podFixed": {"cpu": "10m"}},
            "scheduling": {"nodeSelector": {"a": "b"}, "tolerations": [toleration]},
        }
        await client.create(registry.resource("runtimeclasses", "node.k8s.io"), runtime)
        limits = {"limits": [{"type": "Container", "default": {"cpu": "2"}, "defaultRequest": {"cpu": "1"}}]}
        await client.create(registry.resource("limitranges"), {"metadata": {"name": "l"}, "spec": limits}, NAMESPACE)
        spec = {"priorityClassName": "high", "runtimeClassName": "deep"}
        plain = await client.create(registry.PODS, pod("plain", **spec), NAMESPACE)
        await mutate(client, "l", PODS, labelled('"x"'))
        seen_twice = await client.create(registry.PODS, pod("twice", **spec), NAMESPACE)
        assert seen_twice["metadata"]["labels"] == {"l": "x"}
        assert _without_names(seen_twice["spec"]) == _without_names(plain["spec"])

    story(tell, tmp_path)


def _without_names(spec: Object) -> Object:
    """A pod's spec without the generated name of its token's volume."""
    volumes = [{**volume, "name": "token"} for volume in spec["volumes"]]
    mounts = [{**mount, "name": "token"} for mount in spec["containers"][0]["volumeMounts"]]
    return {**spec, "volumes": volumes, "containers": [{**spec["containers"][0], "volumeMounts": mounts}]}


def test_parameters_are_of_the_version_that_the_policy_names_where_a_webhook_converts(tmp_path: Path) -> None:
    async def tell(world: World, client: Client) -> None:
        await established(world, client, test_conversion.definition(server))
        kind = {"apiVersion": "example.com/v2", "kind": "Widget"}
        ref = {"paramRef": {"name": "p", "parameterNotFoundAction": "Deny"}}
        await validate(client, "port", CONFIG_MAPS, "object.data.k == params.port", paramKind=kind, binding=ref)
        param = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "p"}, "hostPort": "h:0"}
        await client.create(test_conversion.V1, param, NAMESPACE)
        await client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
        change = {"hostPort": "h:1"}
        await client.patch(test_conversion.V1, "p", change, NAMESPACE, content_type=MERGE_PATCH)
        error = await refused(client.create(registry.CONFIGMAPS, config_map("b"), NAMESPACE))
        assert "failed expression: object.data.k == params.port" in error.message
        server.on("/convert", lambda _: {"result": {"status": "Failure", "message": "no"}, "convertedObjects": []})
        await client.patch(test_conversion.V1, "p", {"hostPort": "h:2"}, NAMESPACE, content_type=MERGE_PATCH)
        error = await refused(client.create(registry.CONFIGMAPS, config_map("b"), NAMESPACE))
        assert "denied request: failed to configure binding: conversion webhook for example.com/v1" in error.message

    (tmp_path / "hook").mkdir()
    with serving(tmp_path / "hook") as server:
        server.on("/convert", test_conversion.convert)
        story(tell, tmp_path)
