"""An operator as people write them with kopf: a manifest for each Voyage, kept in step, and voyages that are judged.

Run by `kopf run`; the environment names the certificate that its webhook is served with.
"""

from __future__ import annotations

import os
from typing import Any

import kopf
from kubernetes import client, config

GROUP, VERSION, PLURAL = "knarr.example.com", "v1", "voyages"


@kopf.on.startup()
def begin(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Reach the cluster; serve the webhook on loopback and register it."""
    config.load_kube_config(os.environ["KUBECONFIG"])  # type: ignore[no-untyped-call]
    folder = os.environ["VOYAGES_TLS"]
    settings.admission.managed = f"auto.{GROUP}"
    settings.admission.server = kopf.WebhookServer(
        addr="127.0.0.1",
        host="localhost",
        certfile=f"{folder}/webhook.crt",
        pkeyfile=f"{folder}/webhook.key",
        cafile=f"{folder}/ca.crt",
    )


@kopf.on.validate(GROUP, VERSION, PLURAL)
def judge(spec: Any, warnings: Any, **_: Any) -> None:
    """Nobody sails without a harbour; a crew of one is warned."""
    if spec.get("harbour") == "nowhere":
        raise kopf.AdmissionError("no ship sails to nowhere", code=400)
    if spec.get("crew") == 1:
        warnings.append("one sailor is a small crew")


@kopf.on.mutate(GROUP, VERSION, PLURAL)
def complete(spec: Any, patch: Any, **_: Any) -> None:
    """A voyage has a cargo."""
    if "cargo" not in spec:
        patch.spec["cargo"] = "ballast"


@kopf.on.create(GROUP, VERSION, PLURAL)
def load(spec: Any, name: Any, namespace: Any, **_: Any) -> dict[str, str]:
    """Write the manifest; what is returned stands in the status."""
    manifest: Any = {"metadata": {"name": f"manifest-{name}"}, "data": {"cargo": spec["cargo"]}}
    kopf.adopt(manifest)
    client.CoreV1Api().create_namespaced_config_map(namespace, manifest)
    return {"manifest": f"manifest-{name}"}


@kopf.on.field(GROUP, VERSION, PLURAL, field="spec.cargo")
def reload(new: Any, old: Any, name: Any, namespace: Any, **_: Any) -> None:
    """Write another cargo down."""
    if old is not None and new is not None:
        patch = {"data": {"cargo": new}}
        client.CoreV1Api().patch_namespaced_config_map(f"manifest-{name}", namespace, patch)


@kopf.on.delete(GROUP, VERSION, PLURAL)
def unload(name: Any, namespace: Any, **_: Any) -> None:
    """Leave word that the voyage is over."""
    log: Any = {"metadata": {"name": f"log-{name}"}, "data": {"end": "home"}}
    client.CoreV1Api().create_namespaced_config_map(namespace, log)


@kopf.timer(GROUP, VERSION, PLURAL, interval=0.5)
def sail(status: Any, patch: Any, **_: Any) -> None:
    """Count the days."""
    patch.status["days"] = int(status.get("days") or 0) + 1
