"""The handlers of all subresources that lead out of the API server, by (plural, subresource)."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from knarr.apiserver import request_info
from knarr.apiserver.attributes import Reader
from knarr.apiserver.connect import proxy
from knarr.apiserver.connect.kubelets import Kubelets
from knarr.apiserver.connect.logs import Logs
from knarr.apiserver.connect.streams import Exec, PortForward
from knarr.apiserver.request import Request, Response
from knarr.component_base import http_client
from knarr.component_base.http_client import Connect

Connector: TypeAlias = Callable[[Request], Awaitable[Response]]


def build(
    reader: Reader, kubelet_tls: ssl.SSLContext, connect: Connect = http_client.connect
) -> Mapping[tuple[str, str], Connector]:
    """The connectors over a cache. `kubelet_tls` verifies kubelets and carries the client certificate."""
    kubelets = Kubelets(kubelet_tls, connect)
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
