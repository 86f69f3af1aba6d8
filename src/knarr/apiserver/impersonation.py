"""Impersonation: a user who may do so acts as another one, named in the request's headers.

Source: https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from knarr.apimachinery.errors import bad_request
from knarr.apimachinery.field import quote
from knarr.apiserver.authz.decision import Authorizer, forbidden
from knarr.apiserver.request import Request, RequestInfo, UserInfo

_AUTHENTICATION = "authentication.k8s.io"
_EXTRA = "impersonate-extra-"
_ACCOUNT = "system:serviceaccount:"
_ANONYMOUS = "system:anonymous"
_MEMBERS, _OTHERS = "system:authenticated", "system:unauthenticated"


def impersonate(request: Request, user: UserInfo, authorizer: Authorizer) -> UserInfo:
    """The user that the request acts as: `user` himself unless the headers name another one.

    Raises `StatusError`: 400 for headers without a user name, 403 when `user` may not act as that one.
    """
    # One search in all names: nearly no request has such headers, and every one comes by here.
    if "impersonate-" not in "\n".join(request.headers):
        return user
    wanted = _wanted(request)
    if not wanted.name:
        if wanted.uid or wanted.groups or wanted.extra:
            raise bad_request(f"requested {_show(wanted)} without impersonating a user name")
        return user
    for question in _questions(wanted):
        decision = authorizer.authorize(user, question)
        if not decision.allowed:
            raise forbidden(user, question, decision)
    return _complete(wanted)


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


def _questions(wanted: UserInfo) -> Iterator[RequestInfo]:
    """What the impersonator must be allowed, one question a part of the wanted user."""
    namespace, name = account_name(wanted.name)
    if name:
        yield _question("", "serviceaccounts", name, namespace=namespace)
    else:
        yield _question("", "users", wanted.name)
    if wanted.uid:
        yield _question(_AUTHENTICATION, "uids", wanted.uid)
    for group in wanted.groups:
        yield _question("", "groups", group)
    for key, values in wanted.extra.items():
        for value in values:
            yield _question(_AUTHENTICATION, "userextras", value, subresource=key)


def _question(group: str, resource: str, name: str, *, namespace: str = "", subresource: str = "") -> RequestInfo:
    return RequestInfo("impersonate", "", True, group, "v1", namespace, resource, subresource, name)


def account_name(user: str) -> tuple[str, str]:
    """Namespace and name of the service account that a user name stands for; empty for other users."""
    parts = user.split(":")
    if user.startswith(_ACCOUNT) and len(parts) == 4 and parts[2] and parts[3]:
        return parts[2], parts[3]
    return "", ""


def _complete(wanted: UserInfo) -> UserInfo:
    groups = wanted.groups
    namespace, name = account_name(wanted.name)
    if name and not groups:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    if wanted.name == _ANONYMOUS:
        missing = _OTHERS if _OTHERS not in groups else ""
    else:
        missing = _MEMBERS if _OTHERS not in groups and _MEMBERS not in groups else ""
    if missing:
        groups = (*groups, missing)
    return UserInfo(wanted.name, groups, wanted.uid, wanted.extra)


def _show(user: UserInfo) -> str:
    """A user as Go prints it with %#v."""
    groups = f"[]string{{{', '.join(map(quote, user.groups))}}}" if user.groups else "[]string(nil)"
    extra = _show_extra(user.extra) if user.extra else "map[string][]string(nil)"
    return f"&user.DefaultInfo{{Name:{quote(user.name)}, UID:{quote(user.uid)}, Groups:{groups}, Extra:{extra}}}"


def _show_extra(extra: Mapping[str, tuple[str, ...]]) -> str:
    items = [f"{quote(key)}:[]string{{{', '.join(map(quote, extra[key]))}}}" for key in sorted(extra)]
    return f"map[string][]string{{{', '.join(items)}}}"
