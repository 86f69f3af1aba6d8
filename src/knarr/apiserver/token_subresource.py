"""`serviceaccounts/token`: a POST of a TokenRequest is answered with a token."""

from __future__ import annotations

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.apiserver import bodies, creating, kinds, names, read
from knarr.apiserver.context import Context
from knarr.apiserver.negotiation import Form
from knarr.apiserver.request import Request, Response
from knarr.apiserver.served import Scope

_TOKEN_REQUEST = Resource("authentication.k8s.io", "v1", "tokenrequests", "TokenRequest", namespaced=True)


async def create(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """Answer a POST. Raises `StatusError`."""
    one = creating.call(ctx, scope, request, "CreateOptions")
    body = bodies.read(request, _TOKEN_REQUEST, one.opts.validation)
    kinds.default(_TOKEN_REQUEST, body)
    creating.manage_fields(one, _TOKEN_REQUEST, body)
    attributes = one.attributes("CREATE", body, None, one.info.name)
    await ctx.admission.admit(attributes)
    await ctx.admission.validate_outside(attributes)

    def admit(complete: Object) -> None:
        attributes.object = complete
        ctx.admission.plugins.validate(attributes)

    now = ctx.clock.now()
    asked = (body.get("spec") or {}).get("expirationSeconds")
    answer = ctx.token_requests.create(body, one.info.namespace, one.info.name, now, names.uid(), admit)
    given = answer["spec"]["expirationSeconds"]
    if asked is not None and given < asked:
        request.warnings.append(f"requested expiration of {asked} seconds shortened to {given} seconds")
    return read.object_response(ctx, scope, answer, request, form, 201)
