"""The documents by which others verify service-account tokens: the keys, and where they are.

Source: https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from knarr.apiserver import negotiation, responses
from knarr.apiserver.request import Request, Response
from knarr.apiserver.tokens import TokenSigner

_JWKS, _DISCOVERY = "/openid/v1/jwks", "/.well-known/openid-configuration"
_CACHED = "public, max-age=3600"


class PublishedKeys:
    """Answers both. `jwks_uri` is where the keys are, if not here."""

    def __init__(self, signer: TokenSigner, jwks_uri: str = "") -> None:
        self._signer = signer
        self._jwks_uri = jwks_uri

    def paths(self) -> Mapping[str, Callable[[Request], Response]]:
        """What is answered: nothing where the issuer is no URL that others could look at."""
        if not self._signer.issuer.startswith("https://"):
            return {}
        return {_JWKS: self._jwks, _DISCOVERY: self._openid}

    def _jwks(self, request: Request) -> Response:
        response = responses.obj(self._signer.jwks(), request, negotiation.PLAIN)
        response.content_type = "application/jwk-set+json"
        response.headers["Cache-Control"] = _CACHED
        return response

    def _openid(self, request: Request) -> Response:
        here = f"https://{request.headers.get('host', 'kubernetes.default.svc')}{_JWKS}"
        document = self._signer.discovery(self._jwks_uri or here)
        response = responses.obj(document, request, negotiation.PLAIN)
        response.headers["Cache-Control"] = _CACHED
        return response
