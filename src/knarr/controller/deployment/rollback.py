"""Going back to an earlier revision, asked for by an annotation: what `extensions/v1beta1` had a subresource for.

Input: a round's draft in which the new ReplicaSet stands. Output: the Deployment with the template and annotations of
the revision, its request struck out, and an event that says how it went.
"""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.registry import DEPLOYMENTS
from knarr.api.semantics import pod_templates
from knarr.apimachinery.types import Object
from knarr.controller.deployment import replica_sets as sets
from knarr.controller.deployment.draft import Draft
from knarr.controller_runtime.changes import EventNote, Result, Update

_ASKED = "deprecated.deployment.rollback.to"


def asked(deployment: Object) -> int | None:
    """The revision to go back to; 0 is the last but one, None that nobody asks."""
    text = (deployment["metadata"].get("annotations") or {}).get(_ASKED)
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def roll_back(draft: Draft) -> Result:
    """Carry out what is asked for."""
    deployment = draft.deployment
    revision = asked(deployment) or _last_but_one(draft.all)
    if not revision:
        return _answer(deployment, "Warning", "DeploymentRollbackRevisionNotFound", "Unable to find last revision.")
    found = next((item for item in draft.all if sets.revision(item) == revision), None)
    if found is None:
        text = "Unable to find the revision to rollback to."
        return _answer(deployment, "Warning", "DeploymentRollbackRevisionNotFound", text)
    name, template = deployment["metadata"]["name"], deployment["spec"]["template"]
    if pod_templates.equal_ignoring_hash(found["spec"]["template"], template):
        text = f'The rollback revision contains the same template as current deployment "{name}"'
        return _answer(deployment, "Warning", "DeploymentRollbackTemplateUnchanged", text)
    text = f'Rolled back deployment "{name}" to revision {revision}'
    return _answer(_as_of(deployment, found), "Normal", "DeploymentRollback", text)


def _last_but_one(replica_sets: Sequence[Object]) -> int:
    """The second highest revision; 0 where there is none."""
    revisions = sorted(map(sets.revision, replica_sets), reverse=True)
    return revisions[1] if len(revisions) > 1 else 0


def _as_of(deployment: Object, replica_set: Object) -> Object:
    """The Deployment as it was when the ReplicaSet was new."""
    meta = deployment["metadata"]
    own = {name: value for name, value in (meta.get("annotations") or {}).items() if name in sets.OWN}
    given = replica_set["metadata"].get("annotations") or {}
    annotations = {**own, **{name: value for name, value in given.items() if name not in sets.OWN}}
    template = replica_set["spec"]["template"]
    labels = dict((template.get("metadata") or {}).get("labels") or {})
    labels.pop(pod_templates.HASH_LABEL, None)
    template = {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}}
    return {
        **deployment,
        "metadata": {**meta, "annotations": annotations},
        "spec": {**deployment["spec"], "template": template},
    }


def _answer(deployment: Object, kind: str, reason: str, text: str) -> Result:
    meta = deployment["metadata"]
    annotations = {name: value for name, value in meta["annotations"].items() if name != _ASKED}
    answered = {**deployment, "metadata": {**meta, "annotations": annotations}}
    return Result((Update(DEPLOYMENTS, answered, done=EventNote(deployment, kind, reason, text)),))
