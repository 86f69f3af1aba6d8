"""Compares rules: what one list grants that another does not.

Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from knarr.apimachinery.field import quote
from knarr.apimachinery.types import Object


def uncovered(owned: Iterable[Object], wanted: Iterable[Object]) -> list[Object]:
    """The parts of `wanted`, one verb and resource each, that no single rule of `owned` grants."""
    have = list(owned)
    return [part for rule in wanted for part in break_down(rule) if not any(_covers(rule, part) for rule in have)]


def break_down(rule: Object) -> Iterator[Object]:
    """A rule as rules of one verb, one group, one resource and at most one name, or one verb and one URL."""
    verbs = rule.get("verbs") or ()
    names = rule.get("resourceNames") or ()
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            for verb in verbs:
                part: Object = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                if not names:
                    yield part
                for name in names:
                    yield {**part, "resourceNames": [name]}
    for url in rule.get("nonResourceURLs") or ():
        for verb in verbs:
            yield {"nonResourceURLs": [url], "verbs": [verb]}


def _covers(owner: Object, part: Object) -> bool:
    """Tell whether one rule grants a broken-down one."""
    if not _has_all(owner.get("verbs") or (), part["verbs"]):
        return False
    if "nonResourceURLs" in part:
        return _urls_cover(owner.get("nonResourceURLs") or (), part["nonResourceURLs"][0])
    if not _has_all(owner.get("apiGroups") or (), part["apiGroups"]):
        return False
    if not _resource_covered(owner.get("resources") or (), part["resources"][0]):
        return False
    names = owner.get("resourceNames") or ()
    wanted = part.get("resourceNames") or ()
    return not names or (bool(wanted) and all(name in names for name in wanted))


def _has_all(have: Collection[str], wanted: Iterable[str]) -> bool:
    return "*" in have or all(item in have for item in wanted)


def _resource_covered(have: Collection[str], resource: str) -> bool:
    if "*" in have or resource in have:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in have


def _urls_cover(have: Iterable[str], url: str) -> bool:
    return any(mine in ("*", url) or (mine.endswith("*") and url.startswith(mine.rstrip("*"))) for mine in have)


def compact(parts: Iterable[Object]) -> list[Object]:
    """Broken-down rules with the verbs of the same resource put together again, in the order of appearance."""
    out: dict[tuple[str, ...], Object] = {}
    for part in parts:
        if "nonResourceURLs" in part:
            out[("url", part["nonResourceURLs"][0], part["verbs"][0])] = part
            continue
        key = (part["apiGroups"][0], part["resources"][0], *part.get("resourceNames", ()))
        known = out.get(key)
        if known is None:
            out[key] = {**part, "verbs": list(part["verbs"])}
        else:
            known["verbs"] += part["verbs"]
    return list(out.values())


def show_rule(rule: Object) -> str:
    """A rule as a refusal prints it: `{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}`."""
    fields = (
        ("APIGroups", "apiGroups"),
        ("Resources", "resources"),
        ("ResourceNames", "resourceNames"),
        ("NonResourceURLs", "nonResourceURLs"),
        ("Verbs", "verbs"),
    )
    parts = [f"{label}:[{' '.join(map(quote, rule[name]))}]" for label, name in fields if rule.get(name)]
    return "{" + ", ".join(parts) + "}"
