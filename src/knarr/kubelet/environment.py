"""A container's environment.

Input: pod, container, the objects it refers to, Services, addresses. Output: variables in the order in which they were
declared. Invariant: `env` beats `envFrom`, and both beat the Services' variables.
https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from knarr.api.registry import CONFIGMAPS, SECRETS
from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError, not_found
from knarr.apimachinery.types import Object
from knarr.kubelet import env_file, references
from knarr.kubelet.downward import Addresses, DownwardError, field_value, resource_value
from knarr.kubelet.expansion import expand
from knarr.kubelet.references import Reference
from knarr.kubelet.service_environment import service_variables


class EnvironmentFault(ValueError):
    """Why a container's configuration cannot be made: the text of `CreateContainerConfigError`."""


class Objects(Protocol):
    """Where ConfigMaps and Secrets come from (`referenced.Referenced`)."""

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object. Raises `StatusError`."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an environment is made from beside the pod. `objects` holds the referenced objects that exist."""

    services: Iterable[Object] = ()
    addresses: Addresses = field(default_factory=Addresses)
    allocatable: Mapping[str, object] = field(default_factory=dict)
    objects: Mapping[Reference, Object] = field(default_factory=dict)
    #: Texts of the files that `fileKeyRef` names, by (volume, path); None for a file that does not exist.
    files: Mapping[tuple[str, str], str | None] = field(default_factory=dict)


async def fetch(pod: Object, container: Object, objects: Objects) -> dict[Reference, Object]:
    """The objects a container's environment refers to, without those that do not exist.

    Raises `EnvironmentFault` when one cannot be read.
    """
    found = {}
    for reference in references.of_container(container, pod["metadata"]["namespace"]):
        try:
            found[reference] = await objects.get(*reference)
        except StatusError as error:
            if error.code != 404:
                raise EnvironmentFault(error.message) from error
    return found


def file_references(container: Object) -> Iterable[tuple[str, str]]:
    """The files a container's environment refers to: (volume, path)."""
    for variable in container.get("env") or ():
        if reference := (variable.get("valueFrom") or {}).get("fileKeyRef"):
            yield reference["volumeName"], reference["path"]


def environment(pod: Object, container: Object, around: Surroundings) -> dict[str, str]:
    """The variables of one container. Raises `EnvironmentFault`."""
    namespace = pod["metadata"]["namespace"]
    links = (pod.get("spec") or {}).get("enableServiceLinks", True)
    services = service_variables(around.services, namespace, links=links)
    variables: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        variables |= _whole(source, namespace, around)
    for variable in container.get("env") or ():
        name = variable["name"]
        # A value that was declared before keeps its place, but the later one holds.
        if variable.get("value"):
            variables[name] = expand(variable["value"], variables, services)
        elif variable.get("valueFrom"):
            value = _from(variable["valueFrom"], pod, container, around)
            if value is not None:
                variables[name] = value
        else:
            variables[name] = ""
    return variables | {name: value for name, value in services.items() if name not in variables}


def _whole(source: Object, namespace: str, around: Surroundings) -> dict[str, str]:
    """All entries of a ConfigMap or Secret (`envFrom`)."""
    prefix = source.get("prefix") or ""
    for key, resource in (("configMapRef", CONFIGMAPS), ("secretRef", SECRETS)):
        if reference := source.get(key):
            obj = _find(resource, namespace, reference, around)
            data = {} if obj is None else _data(resource, obj)
            return {prefix + name: data[name] for name in sorted(data)}
    return {}


def _from(source: Object, pod: Object, container: Object, around: Surroundings) -> str | None:
    """The value of a `valueFrom`; None for an optional one that is missing."""
    try:
        if reference := source.get("fieldRef"):
            return field_value(pod, reference.get("fieldPath", ""), around.addresses)
        if reference := source.get("resourceFieldRef"):
            return resource_value(pod, container, reference, around.allocatable)
    except DownwardError as error:
        raise EnvironmentFault(str(error)) from error
    if reference := source.get("fileKeyRef"):
        return _from_file(reference, around)
    namespace = pod["metadata"]["namespace"]
    for key, resource in (("configMapKeyRef", CONFIGMAPS), ("secretKeyRef", SECRETS)):
        if reference := source.get(key):
            return _entry(resource, namespace, reference, around)
    raise EnvironmentFault(f"valueFrom {', '.join(sorted(source))} is not supported by this node")


def _from_file(reference: Object, around: Surroundings) -> str | None:
    place = reference["volumeName"], reference["path"]
    if place not in around.files:
        raise EnvironmentFault(f'cannot find the volume "{place[0]}" referenced by FileKeyRef')
    text = around.files[place]
    try:
        value = env_file.lookup(text or "", reference["key"])
    except env_file.EnvFileFault as fault:
        # What the file holds is not for everybody who may read the pod.
        raise EnvironmentFault("couldn't parse env file") from fault
    if value:
        return value
    if reference.get("optional"):
        return None
    raise EnvironmentFault(f'environment variable key "{reference["key"]}" not found in file "{place[1]}"')


def _entry(resource: Resource, namespace: str, reference: Object, around: Surroundings) -> str | None:
    obj = _find(resource, namespace, reference, around)
    value = None if obj is None else _data(resource, obj).get(reference["key"])
    if value is None and not reference.get("optional"):
        where = f"{resource.kind} {namespace}/{reference.get('name', '')}"
        raise EnvironmentFault(f"couldn't find key {reference['key']} in {where}")
    return value


def _find(resource: Resource, namespace: str, reference: Object, around: Surroundings) -> Object | None:
    name = reference.get("name", "")
    obj = around.objects.get(Reference(resource, namespace, name))
    if obj is None and not reference.get("optional"):
        raise EnvironmentFault(not_found(resource.singular, resource.group, name).message)
    return obj


def _data(resource: Resource, obj: Object) -> dict[str, str]:
    data: dict[str, str] = obj.get("data") or {}
    if resource is not SECRETS:
        return data
    # Bytes that are no UTF-8 reach the container as they are.
    return {name: base64.b64decode(value).decode(errors="surrogateescape") for name, value in data.items()}
