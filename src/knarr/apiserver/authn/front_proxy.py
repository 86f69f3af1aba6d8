"""Users that a front proxy vouches for: it has a certificate of its own authority, and names them in headers.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#authenticating-proxy
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from knarr.apimachinery.errors import unauthorized
from knarr.apiserver.request import Request, UserInfo

#: A certificate's subject or issuer, as the ssl module gives it.
Name = tuple[tuple[tuple[str, str], ...], ...]


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """Whom to believe: who has a certificate of these issuers, for one of these names (any, if there are none).

    Header names are in lower case; of several the first that is there counts.
    """

    issuers: frozenset[Name] = frozenset()
    #: The issuers of clients' own certificates. One may be both.
    client_issuers: frozenset[Name] = frozenset()
    names: Sequence[str] = ("front-proxy-client",)
    user: Sequence[str] = ("x-remote-user",)
    uid: Sequence[str] = ("x-remote-uid",)
    group: Sequence[str] = ("x-remote-group",)
    extra: Sequence[str] = ("x-remote-extra-",)

    def user_of(self, request: Request) -> UserInfo | None:
        """Whom a proxy vouches for; None when it says nothing. Raises `StatusError` 401 for a strange one."""
        name = next((value for key in self.user for value in values(request, key) if value), "")
        if not name:
            return None
        if self.names and (request.peer is None or request.peer[0] not in self.names):
            raise unauthorized()
        groups = tuple(group for key in self.group for group in values(request, key))
        uid = next((value for key in self.uid for value in values(request, key) if value), "")
        return UserInfo(name, groups, uid, self._extra(request))

    def has(self, request: Request) -> bool:
        """Whether a request comes with a proxy's certificate."""
        return request.peer_issuer in self.issuers

    def is_client(self, request: Request) -> bool:
        """Whether a proxy's certificate may stand for its own subject as well."""
        return request.peer_issuer in self.client_issuers

    def _extra(self, request: Request) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for prefix in self.extra:
            for key in request.headers:
                if key.startswith(prefix):
                    name = unquote(key[len(prefix) :])
                    found[name] = (*found.get(name, ()), *values(request, key))
        return found


def values(request: Request, key: str) -> tuple[str, ...]:
    """All values of a header that may be repeated."""
    repeated = request.repeated.get(key)
    if repeated is not None:
        return tuple(repeated)
    return (request.headers[key],) if key in request.headers else ()
