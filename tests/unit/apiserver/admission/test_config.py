"""The configuration of admission."""

from __future__ import annotations

from pathlib import Path

import pytest

from knarr.apiserver.admission import config, plugins
from knarr.apiserver.admission.pod_standards.policy import LevelVersion
from knarr.apiserver.admission.resource_quota import Limited

_FILE = """
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    defaults: {enforce: baseline, enforce-version: v1.30, warn: restricted}
    exemptions: {usernames: [u], runtimeClasses: [kata], namespaces: [kube-system]}
- name: ResourceQuota
  path: quota.yaml
"""
_QUOTA = """
kind: ResourceQuotaConfiguration
limitedResources:
- {resource: persistentvolumeclaims, matchContains: [gold.storageclass.storage.k8s.io/requests.storage]}
"""


def test_a_file_sets_the_plugins(tmp_path: Path) -> None:
    (tmp_path / "admission.yaml").write_text(_FILE)
    (tmp_path / "quota.yaml").write_text(_QUOTA)
    found = config.load(tmp_path / "admission.yaml")
    assert found.pod_security.defaults.enforce == LevelVersion("baseline", 30)
    assert found.pod_security.defaults.warn == LevelVersion("restricted")
    assert found.pod_security.namespaces == {"kube-system"}
    names = ("gold.storageclass.storage.k8s.io/requests.storage",)
    assert found.limited == (Limited("persistentvolumeclaims", contains=names),)


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("enforce: baseline", "enforce: high", "plugin PodSecurity: defaults.enforce: must be one of privileged"),
        ("kind: AdmissionConfiguration", "kind: X", "an AdmissionConfiguration is wanted"),
        ("- name: PodSecurity", "- name: Priority", "plugin Priority: this plugin takes no configuration"),
        ("plugins:", "plugins: {", "admission.yaml: "),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(tmp_path: Path, old: str, new: str, wrong: str) -> None:
    (tmp_path / "admission.yaml").write_text(_FILE.replace(old, new))
    (tmp_path / "quota.yaml").write_text(_QUOTA)
    with pytest.raises(ValueError, match=wrong):
        config.load(tmp_path / "admission.yaml")


def test_only_plugins_that_exist_can_be_turned_off() -> None:
    plugins.check_names(["PodSecurity", "ResourceQuota"])
    with pytest.raises(ValueError, match='"PodSecurtiy" is unknown'):
        plugins.check_names(["PodSecurtiy"])
