"""Conversion by webhook, decided: the question, and what an answer makes of the objects.

Input: objects, the version they are wanted in, the review that came back. Output: the converted objects, or
`ConversionError` in Kubernetes' words. A webhook may change labels and annotations of the metadata, nothing else of it.
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/conversion/webhook_converter.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from knarr.apimachinery.gvk import parse_api_version
from knarr.apimachinery.types import Object

_GROUP = "apiextensions.k8s.io"
#: Versions of reviews that are known, each with the same members.
_KNOWN = ("v1", "v1beta1")
_KIND = "ConversionReview"
_MUST_BE_THE_SAME = (("kind", "kind"), ("name", "name"), ("namespace", "namespace"), ("uid", "UID"))


class ConversionError(Exception):
    """A webhook did not convert; the text is what clients are told."""


def review_version(accepted: Iterable[str]) -> str:
    """The `apiVersion` of reviews: of those that a webhook takes, the first one that is known."""
    return f"{_GROUP}/{next((each for each in accepted if each in _KNOWN), _KNOWN[0])}"


def question(objects: Sequence[Object], api_version: str, uid: str, review: str) -> bytes:
    """The review that is sent; `review` is its own `apiVersion`."""
    request = {"uid": uid, "desiredAPIVersion": api_version, "objects": list(objects)}
    return orjson.dumps({"kind": _KIND, "apiVersion": review, "request": request})


def failed(obj: Object, why: object) -> ConversionError:
    """The error of a call that came to nothing."""
    return ConversionError(f"conversion webhook for {_gvk(obj)} failed: {why}")


def answered(objects: Sequence[Object], api_version: str, asked: tuple[str, str], review: Any) -> list[Object]:
    """The converted objects of an answer; `asked` has the question's uid and its version. Raises `ConversionError`."""
    uid, version = asked
    first = objects[0]
    try:
        converted = _converted(review, uid, version)
    except ValueError as error:
        raise failed(first, error) from error
    if len(converted) != len(objects):
        text = f"conversion webhook for {_gvk(first)} returned {len(converted)} objects, expected {len(objects)}"
        raise ConversionError(text)
    out = []
    for at, (old, new) in enumerate(zip(objects, converted, strict=True)):
        why = _wrong(old, new, api_version)
        if why:
            raise ConversionError(f"conversion webhook for {_gvk(first)} returned invalid object at index {at}: {why}")
        out.append(_with_metadata(old, new))
    return out


def _converted(review: Any, uid: str, version: str) -> list[Any]:
    """The objects of an answer. Raises `ValueError`."""
    if not isinstance(review, dict) or (review.get("apiVersion"), review.get("kind")) != (version, _KIND):
        have = review if isinstance(review, dict) else {}
        got = _group_version_kind(str(have.get("apiVersion") or ""), str(have.get("kind") or ""))
        raise ValueError(f"expected webhook response of {_group_version_kind(version, _KIND)}, got {got}")
    response = review.get("response")
    if not isinstance(response, dict):
        raise ValueError("no response provided")
    if response.get("uid") != uid:
        raise ValueError(f'expected response.uid "{uid}", got "{response.get("uid") or ""}"')
    result = response.get("result")
    status = result if isinstance(result, dict) else {}
    if status.get("status") != "Success":
        said = status.get("message")
        raise ValueError(said or f"response.result.status was '{status.get('status') or ''}', not 'Success'")
    objects = response.get("convertedObjects") or []
    if not isinstance(objects, list):
        raise ValueError("response.convertedObjects is not a list")
    return objects


def _wrong(old: Object, new: Any, api_version: str) -> str:
    if not isinstance(new, dict):
        return "invalid type, expected an object"
    if new.get("apiVersion") != api_version:
        return f"invalid groupVersion (expected {api_version}, received {new.get('apiVersion') or ''})"
    meta = new.get("metadata")
    if not isinstance(meta, dict):
        return "metadata is missing"
    for name, label in _MUST_BE_THE_SAME:
        have, had = (new, old) if name == "kind" else (meta, old["metadata"])
        if (have.get(name) or "") != (had.get(name) or ""):
            return f"must have the same {label}: {have.get(name) or ''} != {had.get(name) or ''}"
    for name in ("labels", "annotations"):
        given = meta.get(name) or {}
        if not isinstance(given, dict) or not all(isinstance(each, str) for each in given.values()):
            return f"metadata.{name}: must be a map of strings"
    return ""


def _with_metadata(old: Object, new: Object) -> Object:
    """The converted object with the metadata it had, but for labels and annotations."""
    meta: Object = {key: value for key, value in old["metadata"].items() if key not in ("labels", "annotations")}
    for name in ("labels", "annotations"):
        if new["metadata"].get(name):
            meta[name] = new["metadata"][name]
    rest = {key: value for key, value in new.items() if key != "metadata"}
    return {"metadata": meta, **rest}


def _gvk(obj: Object) -> str:
    return _group_version_kind(obj.get("apiVersion") or "", obj.get("kind") or "")


def _group_version_kind(api_version: str, kind: str) -> str:
    group, version = parse_api_version(api_version) if api_version else ("", "")
    return f"{group}/{version}, Kind={kind}"
