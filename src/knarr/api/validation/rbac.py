"""Roles and bindings."""

from __future__ import annotations

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, items, one_of, texts
from knarr.api.validation.go_values import internal
from knarr.api.validation.kind import META_BOTH, Kind
from knarr.api.validation.selectors import check_label_selector
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_GROUP = "rbac.authorization.k8s.io"
_SUBJECTS = ("ServiceAccount", "User", "Group")


def _role(errors: Errors, obj: Object) -> None:
    for at, rule in enumerate(items(obj, "rules")):
        _check_rule(errors, rule, f"rules[{at}]", namespaced=True)


def _cluster_role(errors: Errors, obj: Object) -> None:
    for at, rule in enumerate(items(obj, "rules")):
        _check_rule(errors, rule, f"rules[{at}]", namespaced=False)
    aggregation = obj.get("aggregationRule")
    if aggregation is None:
        return
    selectors, path = items(aggregation, "clusterRoleSelectors"), "aggregationRule.clusterRoleSelectors"
    if not selectors:
        wrong = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        errors.append(field.required(path, wrong))
    for at, selector in enumerate(selectors):
        before = len(errors)
        check_label_selector(errors, selector, f"{path}[{at}]")
        if len(errors) > before:
            errors.append(field.invalid(f"{path}[{at}]", None, "invalid label selector."))


def _check_rule(errors: Errors, rule: Object, path: str, *, namespaced: bool) -> None:
    urls, groups, resources = (items(rule, name) for name in ("nonResourceURLs", "apiGroups", "resources"))
    if not items(rule, "verbs"):
        errors.append(field.required(f"{path}.verbs", "verbs must contain at least one value"))
    if urls:
        if namespaced:
            wrong = "namespaced rules cannot apply to non-resource URLs"
            errors.append(field.invalid(f"{path}.nonResourceURLs", list(urls), wrong))
        if groups or resources or items(rule, "resourceNames"):
            wrong = "rules cannot apply to both regular resources and non-resource URLs"
            errors.append(field.invalid(f"{path}.nonResourceURLs", list(urls), wrong))
        return
    if not groups:
        errors.append(field.required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not resources:
        errors.append(field.required(f"{path}.resources", "resource rules must supply at least one resource"))


def _role_binding(errors: Errors, obj: Object) -> None:
    _binding(errors, obj, ("Role", "ClusterRole"), namespaced=True)


def _cluster_role_binding(errors: Errors, obj: Object) -> None:
    _binding(errors, obj, ("ClusterRole",), namespaced=False)


def _binding(errors: Errors, obj: Object, kinds: tuple[str, ...], *, namespaced: bool) -> None:
    role = obj.get("roleRef") or {}
    one_of(errors, "roleRef.apiGroup", role.get("apiGroup", ""), (_GROUP,))
    one_of(errors, "roleRef.kind", role.get("kind", ""), kinds)
    name = role.get("name", "")
    if not name:
        errors.append(field.required("roleRef.name"))
    else:
        texts(errors, "roleRef.name", name, names.path_segment(name))
    for at, subject in enumerate(items(obj, "subjects")):
        _check_subject(errors, subject, f"subjects[{at}]", namespaced=namespaced)


def _check_subject(errors: Errors, subject: Object, path: str, *, namespaced: bool) -> None:
    name, kind, group = (subject.get(key, "") for key in ("name", "kind", "apiGroup"))
    if not name:
        errors.append(field.required(f"{path}.name"))
    if kind == "ServiceAccount":
        if name:
            texts(errors, f"{path}.name", name, names.dns_subdomain(name))
        if group:
            errors.append(field.not_supported(f"{path}.apiGroup", group, ("",)))
        if not namespaced and not subject.get("namespace"):
            errors.append(field.required(f"{path}.namespace"))
    elif kind in _SUBJECTS:
        if group != _GROUP:
            errors.append(field.not_supported(f"{path}.apiGroup", group, (_GROUP,)))
    else:
        errors.append(field.not_supported(f"{path}.kind", kind, _SUBJECTS))


def _update_role_binding(errors: Errors, obj: Object, old: Object) -> None:
    _role_binding(errors, obj)
    _check_ref(errors, obj, old)


def _update_cluster_role_binding(errors: Errors, obj: Object, old: Object) -> None:
    _cluster_role_binding(errors, obj)
    _check_ref(errors, obj, old)


def _check_ref(errors: Errors, obj: Object, old: Object) -> None:
    if (obj.get("roleRef") or {}) != (old.get("roleRef") or {}):
        shown = internal("rbac.v1.RoleRef", obj.get("roleRef") or {})
        errors.append(field.invalid("roleRef", shown, "cannot change roleRef"))


ROLES = Kind(_role, name=names.path_segment, update_meta=META_BOTH)
CLUSTERROLES = Kind(_cluster_role, name=names.path_segment, update_meta=META_BOTH)
ROLEBINDINGS = Kind(_role_binding, _update_role_binding, name=names.path_segment, update_meta=META_BOTH)
CLUSTERROLEBINDINGS = Kind(
    _cluster_role_binding, _update_cluster_role_binding, name=names.path_segment, update_meta=META_BOTH
)
