"""Impersonation: a user who may do so acts as another one, named in the request's headers.

Source: https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from knarr.apimachinery.errors import StatusError, bad_request, internal
from knarr.apimachinery.field import quote
from knarr.apiserver.authz.decision import Authorizer
from knarr.apiserver.impersonation_modes import MODES, Attempt, Mode
from knarr.apiserver.request import Request, RequestInfo, UserInfo

_EXTRA = "impersonate-extra-"
#: Impersonators whose mode is remembered.
_REMEMBERED = 10_000


class Impersonation:
    """Lets users act as others. Remembers the mode that worked last for each, and tries it first."""

    def __init__(self) -> None:
        self._last: dict[str, Mode] = {}

    def user_of(self, request: Request, user: UserInfo, authorizer: Authorizer) -> UserInfo:
        """The user that the request acts as: `user` himself unless the headers name another one.

        Raises `StatusError`: 400 for headers without a user name, 403 when `user` may not act as that one.
        """
        if not impersonates(request.headers):
            return user
        wanted = _wanted(request)
        if not wanted.name:
            if wanted.uid or wanted.groups or wanted.extra:
                raise bad_request(f"requested {_show(wanted)} without impersonating a user name")
            return user
        info = request.info or RequestInfo(request.method.lower(), request.path)
        found, mode = self._by_any(Attempt(wanted, user, info, authorizer))
        if request.record is not None:
            request.record.constraint = mode.verb if mode.name else ""
        return found

    def _by_any(self, attempt: Attempt) -> tuple[UserInfo, Mode]:
        """By the first mode that works; else the first refusal is told. Raises `StatusError` 403."""
        last = self._last.get(attempt.user.name)
        first: StatusError | None = None
        for mode in MODES if last is None else (last, *(mode for mode in MODES if mode is not last)):
            try:
                found = attempt.by(mode)
            except StatusError as refusal:
                first = first or refusal
                continue
            if found is not None:
                self._remember(attempt.user.name, mode)
                return found, mode
        raise first or internal("all impersonation modes failed")

    def _remember(self, name: str, mode: Mode) -> None:
        if len(self._last) >= _REMEMBERED:
            self._last.clear()
        self._last[name] = mode


def impersonates(headers: Iterable[str]) -> bool:
    """Whether headers of these names tell to act as another one."""
    # One search in all names: nearly no request has such headers, and every one comes by here.
    return "impersonate-" in "\n".join(headers)


def _wanted(request: Request) -> UserInfo:
    """The user as the headers name it."""
    extra: dict[str, tuple[str, ...]] = {}
    for name in request.headers:
        if name.startswith(_EXTRA):
            extra[unquote(name[len(_EXTRA) :])] = _values(request, name)
    return UserInfo(
        name=_first(request, "impersonate-user"),
        groups=_values(request, "impersonate-group"),
        uid=_first(request, "impersonate-uid"),
        extra=extra,
    )


def _values(request: Request, name: str) -> tuple[str, ...]:
    repeated = request.repeated.get(name)
    if repeated is not None:
        return tuple(repeated)
    return (request.headers[name],) if name in request.headers else ()


def _first(request: Request, name: str) -> str:
    return next(iter(_values(request, name)), "")


def _show(user: UserInfo) -> str:
    """A user as Go prints it with %#v."""
    groups = f"[]string{{{', '.join(map(quote, user.groups))}}}" if user.groups else "[]string(nil)"
    extra = _show_extra(user.extra) if user.extra else "map[string][]string(nil)"
    return f"&user.DefaultInfo{{Name:{quote(user.name)}, UID:{quote(user.uid)}, Groups:{groups}, Extra:{extra}}}"


def _show_extra(extra: Mapping[str, tuple[str, ...]]) -> str:
    items = [f"{quote(key)}:[]string{{{', '.join(map(quote, extra[key]))}}}" for key in sorted(extra)]
    return f"map[string][]string{{{', '.join(items)}}}"
