"""The handlers of all subresources that lead out of the API server, by (plural, subresource).

What they are made of (WebSockets, SPDY, rewriting of pages) takes a while to load: it is, when one is first asked for.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from knarr.apiserver import request_info
from knarr.apiserver.attributes import Reader
from knarr.apiserver.request import Request, Response

if TYPE_CHECKING:
    from knarr.component_base.http_client import Connect

Connector: TypeAlias = Callable[[Request], Awaitable[Response]]
Key: TypeAlias = tuple[str, str]
_KEYS: tuple[Key, ...] = (
    ("pods", "log"),
    ("pods", "exec"),
    ("pods", "attach"),
    ("pods", "portforward"),
    ("pods", "proxy"),
    ("services", "proxy"),
    ("nodes", "proxy"),
)


def build(reader: Reader, kubelet_tls: ssl.SSLContext, connect: Connect | None = None) -> Mapping[Key, Connector]:
    """The connectors over a cache. `kubelet_tls` verifies kubelets and carries the client certificate."""
    made: dict[Key, Connector] = {}

    def connector(key: Key) -> Connector:
        async def answer(request: Request) -> Response:
            if not made:
                made.update(_make(reader, kubelet_tls, connect))
            return await made[key](request)

        return answer

    return {key: connector(key) for key in _KEYS}


def _make(reader: Reader, kubelet_tls: ssl.SSLContext, connect: Connect | None) -> dict[Key, Connector]:
    from knarr.apiserver.connect import proxy
    from knarr.apiserver.connect.kubelets import Kubelets
    from knarr.apiserver.connect.logs import Logs
    from knarr.apiserver.connect.streams import Exec, PortForward
    from knarr.component_base import http_client

    kubelets = Kubelets(kubelet_tls, connect or http_client.connect)
    return {
        ("pods", "log"): Logs(reader, kubelets),
        ("pods", "exec"): Exec(reader, kubelets),
        ("pods", "attach"): Exec(reader, kubelets, attach=True),
        ("pods", "portforward"): PortForward(reader, kubelets),
        ("pods", "proxy"): proxy.pods(reader, kubelets),
        ("services", "proxy"): proxy.services(reader, kubelets),
        ("nodes", "proxy"): proxy.nodes(reader, kubelets),
    }


def streams_body(method: str, path: str) -> bool:
    """Whether a request's body is passed on as it comes in: what goes through a proxy, however large."""
    info = request_info.of(method, path, {})
    return info.is_resource and info.subresource == "proxy"
