"""Content negotiation: in which form an answer goes out, and in which a body came in.

Source of the rules: k8s.io/apiserver/pkg/endpoints/handlers/negotiation.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from knarr.apimachinery.errors import StatusError, not_acceptable, unsupported_media_type

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
#: What is accepted and sent, in order of preference.
MEDIA_TYPES = (JSON, YAML, PROTOBUF)
TABLE, PARTIAL, PARTIAL_LIST = "Table", "PartialObjectMetadata", "PartialObjectMetadataList"
#: In what a watch is sent.
STREAMS = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")
#: Characters of an Accept header up to which what it says is remembered.
_REMEMBERED = 1024
_META = "meta.k8s.io"
_TRANSFORMS = frozenset({TABLE, PARTIAL, PARTIAL_LIST})


class Form(NamedTuple):
    """How an answer is written: the media type, and the kind the object is turned into (empty: as it is)."""

    media: str = JSON
    kind: str = ""
    version: str = ""
    pretty: bool = False

    @property
    def content_type(self) -> str:
        """The Content-Type header."""
        return self.media


PLAIN = Form()


def negotiate(accept: str, *, streams: bool = False, tables: bool = True, messages: bool = True) -> Form:
    """The form that an Accept header asks for. `streams` names the watch types in the 406.

    Without `tables` nothing is served as a Table, without `messages` objects are not served as protobuf (their metadata
    is), and the next clause counts. Raises `StatusError` 406.
    """
    if not accept or accept == JSON:
        return PLAIN
    # Only what is short is remembered: else strangers could fill the memory.
    choose = _negotiate if len(accept) < _REMEMBERED else _negotiate.__wrapped__
    return choose(accept, streams, tables, messages)


@lru_cache(maxsize=512)
def _negotiate(accept: str, streams: bool, tables: bool, messages: bool) -> Form:  # noqa: FBT001
    matched = False
    for clause in _clauses(accept):
        for media in MEDIA_TYPES:
            if not _matches(clause.media, media):
                continue
            matched = True
            form = _form(media, clause.parameters)
            if form is None or (form.kind == TABLE and not tables):
                continue
            if messages or form.kind or media != PROTOBUF:
                return form
    if matched:
        raise not_acceptable(MEDIA_TYPES)
    offered = MEDIA_TYPES + (STREAMS if streams else ())
    text = f"406: Not Acceptable\n\nAvailable representations: {', '.join(offered)}"
    raise StatusError(406, "NotAcceptable", text, {})


def error_media(accept: str) -> str:
    """In what a failure is told: the first type that the client takes as it is, else JSON."""
    if not accept or accept == JSON or len(accept) > _REMEMBERED:
        return JSON
    for clause in _clauses(accept):
        for media in MEDIA_TYPES:
            if _matches(clause.media, media) and not clause.parameters.get("as"):
                return media
    return JSON


class _Clause(NamedTuple):
    media: str
    parameters: dict[str, str]
    quality: float


def _clauses(accept: str) -> list[_Clause]:
    """The clauses, best first; those of equal quality keep their order, wildcards come last."""
    found = []
    for text in accept.split(","):
        media, *rest = (part.strip() for part in text.split(";"))
        parameters = dict(part.partition("=")[::2] for part in rest if part)
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 1.0
        found.append(_Clause(media.lower(), parameters, quality))
    found.sort(key=lambda clause: (-clause.quality, clause.media.count("*")))
    return found


def _matches(wanted: str, media: str) -> bool:
    if wanted in ("*/*", media):
        return True
    return wanted.endswith("/*") and media.startswith(wanted[:-1])


def _form(media: str, parameters: dict[str, str]) -> Form | None:
    """The form of one clause, None when it asks for a kind that is not offered."""
    kind, group, version = parameters.get("as", ""), parameters.get("g", ""), parameters.get("v", "")
    if kind:
        versions = ("v1", "v1beta1")
        if kind not in _TRANSFORMS or group != _META or version not in versions:
            return None
        if kind == TABLE and media == PROTOBUF:
            return None
    elif group or version:
        return None
    return Form(media, kind, version, parameters.get("pretty", "") == "1")


def body_media(content_type: str) -> str:
    """The media type of a request's body; JSON when the header is absent. Raises `StatusError` 415."""
    if not content_type or content_type == JSON:
        return JSON
    media = content_type.split(";", 1)[0].strip().lower()
    if media in MEDIA_TYPES and "," not in content_type:
        return media
    raise unsupported_media_type(MEDIA_TYPES)
