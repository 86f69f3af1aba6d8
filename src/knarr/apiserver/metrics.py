"""The server's own metrics: requests by verb and resource, their duration, running watches."""

from __future__ import annotations

import bisect
from collections.abc import Iterator

from knarr.apiserver.request import RequestInfo

_BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60)
Key = tuple[str, str, str, str, str, str]


class Metrics:
    """Counters that cost a dictionary look-up each."""

    def __init__(self) -> None:
        self._requests: dict[tuple[Key, int], int] = {}
        self._durations: dict[Key, list[float]] = {}
        self.watches: dict[tuple[str, str, str], int] = {}

    def request(self, info: RequestInfo, code: int, seconds: float) -> None:
        """Count one answered request. A watch's duration is no latency and is left out."""
        verb = info.verb.upper()
        key = (verb, info.group, info.version, info.resource, info.subresource, _scope(info))
        counter = (key, code)
        self._requests[counter] = self._requests.get(counter, 0) + 1
        if verb == "WATCH":
            return
        counts = self._durations.get(key)
        if counts is None:
            counts = self._durations[key] = [0.0] * (len(_BUCKETS) + 2)
        counts[bisect.bisect_left(_BUCKETS, seconds)] += 1
        counts[-1] += seconds

    def lines(self) -> Iterator[str]:
        """The metrics in Prometheus' text form."""
        yield "# TYPE apiserver_request_total counter"
        for (key, code), count in self._requests.items():
            yield f'apiserver_request_total{{code="{code}",{_labels(key)}}} {count}'
        yield "# TYPE apiserver_request_duration_seconds histogram"
        for key, counts in self._durations.items():
            yield from _histogram("apiserver_request_duration_seconds", _labels(key), counts)
        yield "# TYPE apiserver_longrunning_requests gauge"
        for (group, version, resource), count in self.watches.items():
            labels = f'group="{group}",version="{version}",resource="{resource}",verb="WATCH"'
            yield f"apiserver_longrunning_requests{{{labels}}} {count}"


def _scope(info: RequestInfo) -> str:
    if not info.is_resource:
        return ""
    if info.name and info.verb not in ("list", "watch", "deletecollection"):
        return "resource"
    return "namespace" if info.namespace else "cluster"


def _labels(key: Key) -> str:
    names = ("verb", "group", "version", "resource", "subresource", "scope")
    return ",".join(f'{name}="{value}"' for name, value in zip(names, key, strict=True))


def _histogram(name: str, labels: str, counts: list[float]) -> Iterator[str]:
    total = 0
    for bound, count in zip(_BUCKETS, counts, strict=False):
        total += int(count)
        yield f'{name}_bucket{{{labels},le="{bound:g}"}} {total}'
    total += int(counts[len(_BUCKETS)])
    yield f'{name}_bucket{{{labels},le="+Inf"}} {total}'
    yield f"{name}_sum{{{labels}}} {counts[-1]:.6f}"
    yield f"{name}_count{{{labels}}} {total}"
