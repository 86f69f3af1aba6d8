"""An operator written with kopf, run unchanged: custom resource, webhooks, finalizers, owner references, timers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.cluster import Cluster, until

from knarr.component_base import certificates
from knarr.component_base.certificates import Authority, Leaf
from knarr.component_base.clock import RealClock

pytestmark = pytest.mark.rootless
_CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: voyages.knarr.example.com}
spec:
  group: knarr.example.com
  scope: Namespaced
  names: {plural: voyages, singular: voyage, kind: Voyage, shortNames: [voy]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns:
    - {name: Harbour, type: string, jsonPath: .spec.harbour}
    - {name: Days, type: integer, jsonPath: .status.days}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [harbour]
            properties:
              harbour: {type: string}
              cargo: {type: string}
              crew: {type: integer, minimum: 1, default: 12}
            x-kubernetes-validations:
            - rule: "self.harbour != 'Vinland' || self.crew >= 30"
              message: "Vinland is far: 30 sailors at least"
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""
_VOYAGE = """
apiVersion: knarr.example.com/v1
kind: Voyage
metadata: {name: %s}
spec: {harbour: %s%s}
"""


@pytest.fixture(scope="module")
def operated(api_only: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster with the definition and the operator."""
    folder = tmp_path_factory.mktemp("operator")
    now = RealClock().now()
    authority = Authority.load_or_create(folder, "ca", now)
    leaf = Leaf("webhook", dns=("localhost",), ips=("127.0.0.1",), server=True)
    certificates.leaf_files(authority, folder, "webhook", leaf, now)
    api_only.kubectl("create", "namespace", "voyages")
    api_only.kubectl("apply", "-f", "-", text=_CRD)
    api_only.kubectl("wait", "--for=condition=Established", "crd/voyages.knarr.example.com", "--timeout=180s")
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "--namespace", "voyages"]
    environment = {**os.environ, "KUBECONFIG": str(api_only.kubeconfig), "VOYAGES_TLS": str(folder)}
    with (folder / "log").open("wb") as log:
        operator = subprocess.Popen(
            [*command, str(Path(__file__).with_name("voyages_operator.py"))],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        ready = ("get", "validatingwebhookconfiguration", "auto.knarr.example.com", "-o", "name")
        until(
            lambda: api_only.try_kubectl(*ready).returncode == 0,
            f"the operator runs: {(folder / 'log').read_text()[-2000:]}",
        )
        yield api_only
    finally:
        # Voyages have a finalizer of the operator's: he goes last.
        api_only.try_kubectl("delete", "voyages", "-n", "voyages", "--all", "--timeout=180s")
        operator.terminate()
        operator.wait(90)
        for kind in ("validating", "mutating"):
            api_only.try_kubectl("delete", f"{kind}webhookconfiguration", "auto.knarr.example.com")
        api_only.try_kubectl("delete", "crd", "voyages.knarr.example.com", "--timeout=180s")
        api_only.try_kubectl("delete", "namespace", "voyages", "--wait=false")


def _sail(cluster: Cluster, name: str, harbour: str, more: str = "") -> subprocess.CompletedProcess[str]:
    manifest = _VOYAGE % (name, harbour, more)
    return cluster.try_kubectl("apply", "-n", "voyages", "-f", "-", text=manifest)


def _get(cluster: Cluster, what: str, path: str) -> str:
    return cluster.try_kubectl("get", "-n", "voyages", *what.split(), "-o", f"jsonpath={path}").stdout


def test_a_voyage_from_beginning_to_end(operated: Cluster) -> None:
    done = _sail(operated, "first", "Bergen")
    assert done.returncode == 0, done.stderr
    assert _get(operated, "voyage first", "{.spec.cargo}/{.spec.crew}") == "ballast/12"
    until(lambda: _get(operated, "cm manifest-first", "{.data.cargo}") == "ballast", "the manifest is written")
    uid = _get(operated, "voyage first", "{.metadata.uid}")
    assert _get(operated, "cm manifest-first", "{.metadata.ownerReferences[0].uid}") == uid
    until(lambda: _get(operated, "voyage first", "{.status.load.manifest}") == "manifest-first", "status is set")
    assert "kopf" in _get(operated, "voyage first", "{.metadata.finalizers[0]}")
    operated.kubectl("patch", "voyage", "first", "-n", "voyages", "--type=merge", "-p", '{"spec":{"cargo":"timber"}}')
    until(lambda: _get(operated, "cm manifest-first", "{.data.cargo}") == "timber", "the manifest follows")
    until(lambda: int(_get(operated, "voyage first", "{.status.days}") or 0) >= 2, "the days are counted")
    shown = operated.kubectl("get", "voy", "-n", "voyages").splitlines()
    assert shown[0].split() == ["NAME", "HARBOUR", "DAYS"] and shown[1].split()[:2] == ["first", "Bergen"]
    operated.kubectl("delete", "voyage", "first", "-n", "voyages", "--timeout=180s")
    assert _get(operated, "cm log-first", "{.data.end}") == "home"
    until(lambda: not _get(operated, "cm manifest-first", "{.metadata.name}"), "the manifest goes with it")


def test_who_is_judged(operated: Cluster) -> None:
    nowhere = _sail(operated, "lost", "nowhere")
    assert nowhere.returncode == 1 and "no ship sails to nowhere" in nowhere.stderr
    alone = _sail(operated, "alone", "Bergen", ", crew: 1")
    assert alone.returncode == 0 and "Warning: one sailor is a small crew" in alone.stderr
    far = _sail(operated, "far", "Vinland")
    assert far.returncode == 1 and "Vinland is far: 30 sailors at least" in far.stderr
    assert _sail(operated, "far", "Vinland", ", crew: 40").returncode == 0
    assert "must be of type integer" in _sail(operated, "odd", "Bergen", ", crew: many").stderr
