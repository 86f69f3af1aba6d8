"""What the parts of a pod's spec must know of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from knarr.apimachinery.types import Object


@dataclass(slots=True)
class PodContext:
    """The whole that a container belongs to.

    `volumes` are the pod's by name, `claims` the names of its resource claims with the count of requests unknown;
    `grace` is the termination grace period in seconds; `host_users` whether the pod uses the host's user namespace.
    """

    volumes: Mapping[str, Object]
    claims: tuple[str, ...]
    grace: int
    restart_policy: str
    host_users: bool
    windows: bool = False
    names: set[str] = field(default_factory=set)


def context_of(spec: Object) -> PodContext:
    """The context of a spec."""
    return PodContext(
        volumes={volume.get("name", ""): volume for volume in spec.get("volumes") or ()},
        claims=tuple(claim["name"] for claim in spec.get("resourceClaims") or () if claim.get("name")),
        grace=spec.get("terminationGracePeriodSeconds") or 0,
        restart_policy=spec.get("restartPolicy", ""),
        host_users=spec.get("hostUsers", True) is not False,
        windows=(spec.get("os") or {}).get("name") == "windows",
    )
