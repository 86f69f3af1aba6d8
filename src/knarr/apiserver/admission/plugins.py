"""The admission plugins in Kubernetes' order: one visible list.

`build` makes them once; `Plugins.admit` runs before validation, `Plugins.validate` after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from knarr.apiserver.admission.certificate_requests import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from knarr.apiserver.admission.claim_resize import PersistentVolumeClaimResize
from knarr.apiserver.admission.config import AdmissionConfig
from knarr.apiserver.admission.default_class import DefaultIngressClass, DefaultStorageClass
from knarr.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from knarr.apiserver.admission.limit_ranger import LimitRanger
from knarr.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from knarr.apiserver.admission.node_restriction import NodeRestriction
from knarr.apiserver.admission.plugin import Mutator, Validator
from knarr.apiserver.admission.pod_security import PodSecurity
from knarr.apiserver.admission.pod_standards.metrics import PodSecurityMetrics
from knarr.apiserver.admission.pod_topology_labels import PodTopologyLabels
from knarr.apiserver.admission.priority import Priority
from knarr.apiserver.admission.runtime_class import RuntimeClass
from knarr.apiserver.admission.service_account import ServiceAccount
from knarr.apiserver.admission.storage_protection import StorageObjectInUseProtection
from knarr.apiserver.admission.taint_nodes import TaintNodesByCondition
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.authz.decision import Authorizer

#: The plugins in Kubernetes' order.
ORDER: tuple[type[Any], ...] = (
    NamespaceLifecycle,
    LimitRanger,
    ServiceAccount,
    NodeRestriction,
    TaintNodesByCondition,
    PodSecurity,
    Priority,
    DefaultTolerationSeconds,
    DefaultStorageClass,
    StorageObjectInUseProtection,
    PersistentVolumeClaimResize,
    RuntimeClass,
    CertificateApproval,
    CertificateSigning,
    # ClusterTrustBundleAttest stands here; its API is not on by default.
    CertificateSubjectRestriction,
    DefaultIngressClass,
    PodTopologyLabels,
)
#: What comes after them, in this order; it stands outside since it waits for others.
OUTER = (
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
    "ResourceQuota",
)


class Plugins:
    """The plugins that are on. Calls go to those alone that want the resource."""

    def __init__(self, plugins: Iterable[Any]) -> None:
        self.all = tuple(plugins)
        self._mutators: dict[tuple[str, str], tuple[Mutator, ...]] = {}
        self._validators: dict[tuple[str, str], tuple[Validator, ...]] = {}

    def mutators(self, key: tuple[str, str]) -> tuple[Mutator, ...]:
        """The plugins that may change objects of a resource, in order."""
        found = self._mutators.get(key)
        if found is None:
            found = self._mutators[key] = tuple(self._wanting(key, "admit"))
        return found

    def validators(self, key: tuple[str, str]) -> tuple[Validator, ...]:
        """The plugins that may refuse objects of a resource, in order."""
        found = self._validators.get(key)
        if found is None:
            found = self._validators[key] = tuple(self._wanting(key, "validate"))
        return found

    def _wanting(self, key: tuple[str, str], method: str) -> Iterable[Any]:
        return (
            plugin for plugin in self.all if hasattr(plugin, method) and (plugin.kinds is None or key in plugin.kinds)
        )

    def admit(self, attributes: Attributes) -> None:
        """Run the mutating half. Raises `StatusError`."""
        for plugin in self.mutators(attributes.kind_key):
            plugin.admit(attributes)

    def validate(self, attributes: Attributes) -> None:
        """Run the validating half. Raises `StatusError`."""
        for plugin in self.validators(attributes.kind_key):
            plugin.validate(attributes)


def build(
    authorizer: Authorizer, suffix: Callable[[], str], config: AdmissionConfig, metrics: PodSecurityMetrics
) -> Plugins:
    """All plugins but the disabled ones. `suffix` gives five random characters, for volume names."""
    given: dict[type[Any], tuple[Any, ...]] = {
        ServiceAccount: (suffix,),
        NodeRestriction: (authorizer,),
        PodSecurity: (config.pod_security, metrics),
        CertificateApproval: (authorizer,),
        CertificateSigning: (authorizer,),
    }
    wanted = (plugin for plugin in ORDER if plugin.name not in config.disabled)
    return Plugins(plugin(*given.get(plugin, ())) for plugin in wanted)


def check_names(names: Iterable[str]) -> None:
    """Raises `ValueError` for a name that no plugin has."""
    known = {plugin.name for plugin in ORDER}.union(OUTER)
    for name in names:
        if name not in known:
            raise ValueError(f'admission-control plugin "{name}" is unknown')
