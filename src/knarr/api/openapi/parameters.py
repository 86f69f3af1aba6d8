"""Parameters of operations: name, place, type, and the name that the v2 document shares them under.

kube-apiserver derives the shared names from a hash of the whole parameter, text included; client generators use them
as names, so the published ones stand here. Parameters without one are written out wherever they are used.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Parameter(NamedTuple):
    """A parameter of the path or the query."""

    name: str
    place: str
    type: str
    #: Key in the v2 document's `parameters`; empty when it is not shared.
    shared: str = ""


def _query(type_: str, *names: str) -> dict[str, Parameter]:
    """Query parameters, from `name` or `name-hash`, by name."""
    found = (_split(name) for name in names)
    return {name: Parameter(name, "query", type_, shared) for name, shared in found}


def _split(text: str) -> tuple[str, str]:
    name, dash, _ = text.partition("-")
    return name, text if dash else ""


NAME = Parameter("name", "path", "string")
NAMESPACE = Parameter("namespace", "path", "string", "namespace-vgWSWtn3")
SUBPATH = Parameter("path", "path", "string", "path-z6Ciiujn")
PRETTY = Parameter("pretty", "query", "string", "pretty-tJGM1-ng")
#: Patches may leave the field manager out only when they do not apply, so it is another parameter.
PATCH_MANAGER = Parameter("fieldManager", "query", "string", "fieldManager-7c6nTn1T")

_STRINGS = _query(
    "string", "continue-QfD61s0i", "dryRun", "fieldManager-Qy4HdaTW", "fieldSelector-xIcQKXFG", "fieldValidation",
    "labelSelector-5Zw57w4C", "propagationPolicy-6jk3prlO", "resourceVersion-5WAnf1kx",
    "resourceVersionMatch-t8XhRHeC", "shardSelector-Kgyki_3_",
)  # fmt: skip
_INTEGERS = _query("integer", "gracePeriodSeconds--K5HaBOS", "limit-1NfNmdNH", "timeoutSeconds-yvYezaOC")
_BOOLEANS = _query(
    "boolean", "allowWatchBookmarks-HC2hJt-J", "force-tOGGb0Yi",
    "ignoreStoreReadErrorWithClusterBreakingPotential-QbNkfIqj", "orphanDependents-uRB25kX5",
    "sendInitialEvents-rLXlEK_k", "watch-XNNPZGbK",
)  # fmt: skip
_ALL = _STRINGS | _INTEGERS | _BOOLEANS


def named(*names: str) -> frozenset[Parameter]:
    """Query parameters of the generic verbs. Raises `KeyError`."""
    return frozenset(_ALL[name] for name in names)


LIST = named(
    "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
    "resourceVersionMatch", "sendInitialEvents", "shardSelector", "timeoutSeconds", "watch",
)  # fmt: skip
DELETE = named(
    "dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential", "orphanDependents",
    "propagationPolicy",
)  # fmt: skip
DELETE_COLLECTION = DELETE | LIST - named("allowWatchBookmarks", "watch")
WRITE = named("dryRun", "fieldManager", "fieldValidation")
PATCH = named("dryRun", "fieldValidation", "force") | {PATCH_MANAGER}


def _options(*groups: dict[str, Parameter]) -> frozenset[Parameter]:
    return frozenset(each for group in groups for each in group.values())


#: Parameters of the kinds that stand in queries: the options of subresources that connect, and of logs.
OPTIONS: dict[str, frozenset[Parameter]] = {
    "PodAttachOptions": _options(
        _query("string", "container-_Q-EJ3nR"),
        _query("boolean", "stderr-26jJhFUR", "stdin-sEFnN3IS", "stdout-005YMKE6", "tty-g7MlET_l"),
    ),
    "PodExecOptions": _options(
        _query("string", "command-Py3eQybp", "container-i5dOmRiM"),
        _query("boolean", "stderr-W_1TNlWc", "stdin-PSzNhyUC", "stdout--EZLRwV1", "tty-s0flW37O"),
    ),
    "PodLogOptions": _options(
        _query("string", "container-1GeXxFDC", "stream-l-48cgXv"),
        _query(
            "boolean", "follow-9OIXh_2R", "insecureSkipTLSVerifyBackend-gM00jVbe", "previous-1jxDPu3y",
            "timestamps-c17fW1w_",
        ),
        _query("integer", "limitBytes-zwd1RXuc", "sinceSeconds-vE2NLdnP", "tailLines-9xQLWHMV"),
    ),
    "PodPortForwardOptions": _options(_query("integer", "ports-91KROJmm")),
    "PodProxyOptions": _options(_query("string", "path-oPbzgLUj")),
    "ServiceProxyOptions": _options(_query("string", "path-QCf0eosM")),
    "NodeProxyOptions": _options(_query("string", "path-rFDtV0x9")),
}  # fmt: skip

#: Bodies that are the same everywhere, by type, as the v2 document shares them.
SHARED_BODIES = {"meta.v1.DeleteOptions": "body-2Y1dVQaQ", "meta.v1.Patch": "body-78PwaGsr"}
_CONNECTED = frozenset(each for options in OPTIONS.values() for each in options)
#: Parameters that the v2 document shares.
SHARED = frozenset(
    each for each in (NAMESPACE, SUBPATH, PRETTY, PATCH_MANAGER, *_ALL.values(), *_CONNECTED) if each.shared
)


def ordered(parameters: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """In the order of documents."""
    return tuple(sorted(parameters))
