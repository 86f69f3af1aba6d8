"""Kinds that are never stored: reviews. A POST is a question, the answer is its body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from knarr.apimachinery.types import Object
from knarr.apiserver import access_reviews, bodies, creating, kinds, metadata, read
from knarr.apiserver.context import Context
from knarr.apiserver.creating import Call
from knarr.apiserver.negotiation import Form
from knarr.apiserver.request import Request, Response
from knarr.apiserver.served import Scope

Review = Callable[[Call, Object], Object]


def _token(one: Call, body: Object) -> Object:
    return access_reviews.token_review(body, one.ctx.authenticator.tokens)


def _self_subject(one: Call, body: Object) -> Object:
    return access_reviews.self_subject(body, one.user, one.ctx.clock.now())


def _subject_access(one: Call, body: Object) -> Object:
    return access_reviews.subject_access(body, one.ctx.authorizers)


def _self_access(one: Call, body: Object) -> Object:
    return access_reviews.self_subject_access(body, one.user, one.ctx.authorizers)


def _local_access(one: Call, body: Object) -> Object:
    return access_reviews.local_subject_access(body, one.info.namespace, one.ctx.authorizers)


def _rules(one: Call, body: Object) -> Object:
    return access_reviews.self_subject_rules(body, one.user, one.ctx.authorizers)


#: Plural → what answers it.
REVIEWS: dict[str, Review] = {
    "tokenreviews": _token,
    "selfsubjectreviews": _self_subject,
    "subjectaccessreviews": _subject_access,
    "selfsubjectaccessreviews": _self_access,
    "localsubjectaccessreviews": _local_access,
    "selfsubjectrulesreviews": _rules,
}


async def review(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """Answer a POST of a review. Raises `StatusError`."""
    one = creating.call(ctx, scope, request, "CreateOptions")
    body = bodies.read(request, scope.resource, one.opts.validation)
    kinds.default(scope.resource, body)
    metadata.ensure_namespace(scope.resource, body, one.info.namespace)
    metadata.wipe_system_fields(body)
    creating.manage_fields(one, scope.resource, body)
    attributes = one.attributes("CREATE", body, None, "")
    await ctx.admission.admit(attributes)
    await ctx.admission.validate(attributes)
    answer = REVIEWS[scope.resource.plural](one, body)
    return read.object_response(ctx, scope, answer, request, form, 201)


Handler = Callable[[Context, Scope, Request, Form], Awaitable[Response]]
