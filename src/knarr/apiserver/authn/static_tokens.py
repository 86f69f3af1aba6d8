"""Tokens from a file: `token,user,uid,"group1,group2"` a line.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence

from knarr.apiserver.authn.tokens import AUTHENTICATED, Authenticated, for_server
from knarr.apiserver.request import UserInfo


class StaticTokens:
    """Knows the tokens of a file, which is read once."""

    def __init__(self, text: str, audiences: Sequence[str]) -> None:
        """`audiences` are the API server's. Raises `ValueError` for a line that is none."""
        self._audiences = tuple(audiences)
        #: By their digests: so a look-up takes no longer for a token that is nearly right.
        self._users = {_digest(token): user for token, user in _lines(text)}

    def authenticate(self, token: str, wanted: Sequence[str]) -> Authenticated | None:
        """Who the file says a token is."""
        user = self._users.get(_digest(token))
        return for_server(user, self._audiences, wanted) if user is not None else None


def _lines(text: str) -> list[tuple[str, UserInfo]]:
    found = []
    for number, row in enumerate(csv.reader(io.StringIO(text), skipinitialspace=True), 1):
        fields = [field.strip() for field in row]
        if not any(fields):
            continue
        if len(fields) < 3:
            raise ValueError(f"line {number}: token file must have at least 3 columns (token, user name, user uid)")
        token, name, uid = fields[:3]
        if not token:
            # Kubernetes warns and goes on.
            continue
        groups = [group.strip() for group in (fields[3] if len(fields) > 3 else "").split(",") if group.strip()]
        found.append((token, UserInfo(name, (*groups, AUTHENTICATED), uid)))
    return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
