"""Whether another API server answers, and what it says it serves.

Source: k8s.io/kube-aggregator/pkg/controllers/status/remote.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.aggregation import backends
from knarr.apiserver.aggregation.backends import Backends
from knarr.apiserver.aggregation.routes import Route
from knarr.apiserver.request import UserInfo
from knarr.component_base.http_client import Outgoing

#: Seconds that an answer may take.
_PATIENCE = 5.0
#: Bytes of a document that are read.
_MOST = 16 * 1024 * 1024
#: As whom this server asks: one that may always see what is asked for.
ASKER = UserInfo("system:kube-aggregator", ("system:masters",))


class CheckError(Exception):
    """The other server does not answer as it must; the text says how."""


async def discover(asked: Backends, route: Route) -> Object:
    """The `APIResourceList` of a route. Raises `CheckError`."""
    found = await document(asked, route, route.path)
    return found if isinstance(found, dict) else {}


async def document(asked: Backends, route: Route, path: str) -> Any:
    """A JSON document of the other server; None for one that is no JSON. Raises `CheckError`."""
    try:
        address = asked.address(route)
    except (StatusError, ValueError) as error:
        raise CheckError(str(error)) from error
    url = f"https://{address.authority}{path}"
    headers = (*backends.identity(ASKER), ("Accept", "application/json"))
    try:
        async with asyncio.timeout(_PATIENCE):
            answer = await asked.send(address, Outgoing("GET", path, headers))
            body = await answer.read(_MOST)
    except TimeoutError as error:
        raise _missing(url, f'Get "{url}": context deadline exceeded') from error
    except ConnectionError as error:
        raise _missing(url, f'Get "{url}": {error}') from error
    if not 200 <= answer.status < 300:
        raise _missing(url, f"bad status from {url}: {answer.status}")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


async def optional(asked: Backends, route: Route, path: str) -> Any:
    """A document that a server need not have; None where it has none."""
    try:
        return await document(asked, route, path)
    except CheckError:
        return None


def _missing(url: str, why: str) -> CheckError:
    return CheckError(f"failing or missing response from {url}: {why}")
