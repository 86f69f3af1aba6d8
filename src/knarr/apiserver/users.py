"""Users as the API writes them down (`UserInfo`, authentication.k8s.io/v1)."""

from __future__ import annotations

from knarr.apimachinery.types import Object
from knarr.apiserver.request import UserInfo


def shown(user: UserInfo, *, name: str = "username") -> Object:
    """A user as an object; `name` is what the field with the user's name is called (`user` in access reviews)."""
    out: Object = {name: user.name}
    if user.uid:
        out["uid"] = user.uid
    if user.groups:
        out["groups"] = list(user.groups)
    if user.extra:
        out["extra"] = {key: list(values) for key, values in user.extra.items()}
    return out
