"""The pods that a Job makes."""

from __future__ import annotations

from knarr.api.registry import JOBS
from knarr.api.semantics import owners
from knarr.apimachinery.types import Object
from knarr.controller.job import failure_policy, pods
from knarr.controller.job.facts import Facts, limits_indexes
from knarr.controller_runtime import dependents
from knarr.controller_runtime.changes import Create
from knarr.controller_runtime.names import generated

_ENV = "JOB_COMPLETION_INDEX"
#: Longest `generateName` that is not shortened.
_LONGEST_BASE = 63 - 5


def create(facts: Facts, index: int | None, suffix: str) -> Create:
    """Make a pod, of an index where the Job has indexes."""
    job = facts.job
    meta, template = job["metadata"], job["spec"]["template"]
    base = _base(meta["name"], index)
    name = generated(base, suffix)
    given = template.get("metadata") or {}
    pod_meta: Object = {"name": name, "generateName": base, "namespace": meta["namespace"]}
    pod_meta |= {field: dict(given[field]) for field in ("labels", "annotations") if given.get(field)}
    pod_meta["finalizers"] = list(dict.fromkeys([*(given.get("finalizers") or ()), pods.TRACKING]))
    pod_meta["ownerReferences"] = [owners.controller_reference(job, JOBS)]
    spec = template["spec"]
    if index is not None:
        spec = _indexed_spec(spec, f"{meta['name']}-{index}")
        pod_meta["labels"] = {**pod_meta.get("labels", {}), pods.INDEX: str(index)}
        pod_meta["annotations"] = {**pod_meta.get("annotations", {}), **_index_annotations(facts, index)}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": pod_meta, "spec": spec}
    return dependents.create_pod(job, pod)


def _base(name: str, index: int | None) -> str:
    if index is None:
        return f"{name}-"
    end = f"-{index}-"
    return name[: _LONGEST_BASE - len(end)] + end


def _indexed_spec(spec: Object, hostname: str) -> Object:
    out = {**spec, "hostname": hostname}
    for kind in ("initContainers", "containers"):
        if spec.get(kind):
            out[kind] = [_with_index(container) for container in spec[kind]]
    return out


def _with_index(container: Object) -> Object:
    env = container.get("env") or []
    if any(variable.get("name") == _ENV for variable in env):
        return container
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{pods.INDEX}']"}}
    return {**container, "env": [*env, {"name": _ENV, "valueFrom": source}]}


def _index_annotations(facts: Facts, index: int) -> dict[str, str]:
    out = {pods.INDEX: str(index)}
    if not limits_indexes(facts.job):
        return out
    replaced = facts.awaiting_replacement.get(index)
    failures = ignored = 0
    if replaced is not None:
        counts = failure_policy.judge(facts.job, replaced).counts
        failures = pods.failures(replaced) + counts
        ignored = pods.ignored_failures(replaced) + (not counts)
    out[pods.FAILURES] = str(failures)
    if ignored:
        out[pods.IGNORED_FAILURES] = str(ignored)
    return out
