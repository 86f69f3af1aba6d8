"""Decoders given garbage raise their own error, and no other."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import strategies as st
from tests.fuzz.cases import ODD_JSON, ODD_YAML, dumped, fuzz, mutated, texts, values

from knarr.api import protobuf
from knarr.api.codec import json_text, yaml_text
from knarr.apimachinery import fields, labels, quantity
from knarr.apimachinery.errors import StatusError
from knarr.apiserver import continue_token, negotiation, request_info

json_bytes = st.one_of(
    values.map(dumped), mutated(values.map(dumped)), st.sampled_from(ODD_JSON), st.binary(max_size=30)
)
_PIECES = [
    "a",
    "b",
    "=",
    "==",
    "!=",
    "!",
    " in ",
    " notin ",
    "(",
    ")",
    ",",
    ">",
    "<",
    " gt ",
    "1",
    "x/y",
    "\\",
    "\\,",
    '"',
    " ",
    "é",
    "\0",
    "-",
]
selectors = st.one_of(st.lists(st.sampled_from(_PIECES), max_size=8).map("".join), texts)


@fuzz(100, 5_000, data=json_bytes)
def test_json(data: bytes) -> None:
    try:
        found = json_text.plain(json_text.parse(data))
    except ValueError as error:
        if str(error) != json_text.TOO_DEEP:
            with pytest.raises(orjson.JSONDecodeError):
                orjson.loads(data)
    else:
        json_text.syntax_error(data.decode("utf-8", "replace"))
        orjson.dumps(found) if _fits(found) else None


def _fits(value: Any) -> bool:
    """Whether another library could write it at all: integers beyond 64 bits and deep values aside."""
    return not isinstance(value, list | dict | int) or isinstance(value, int) and -(2**63) <= value < 2**64


@fuzz(
    75,
    5_000,
    data=st.one_of(
        json_bytes,
        st.sampled_from(ODD_YAML),
        mutated(st.sampled_from(ODD_YAML)),
        st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace")),
    ),
)
def test_yaml(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        yaml_text.parse(data)


@fuzz(
    100,
    8_000,
    data=st.one_of(st.binary(max_size=60), mutated(st.just(b"\n\x06\n\x01a\x12\x01b\x12\x04\n\x02\x08\x01" * 3))),
    kind=st.sampled_from(["Pod", "Service", "ConfigMap", "Event", "Node"]),
)
def test_protobuf(data: bytes, kind: str) -> None:
    with contextlib.suppress(ValueError):
        protobuf.decode("v1", kind, data)
    with contextlib.suppress(ValueError):
        protobuf.open_envelope(protobuf.MAGIC + data)


@fuzz(150, 10_000, text=selectors)
def test_selectors(text: str) -> None:
    for parse in (labels.parse, fields.parse):
        with contextlib.suppress(ValueError):
            parse(text)
    request_info.of("GET", f"/api/v1/{text}", {"labelSelector": text, "fieldSelector": text, "watch": text})


@fuzz(100, 5_000, text=st.one_of(texts, st.text(alphabet="0123456789.eE+-KMGTPinumk", max_size=12)))
def test_quantities(text: str) -> None:
    with contextlib.suppress(ValueError):
        quantity.parse(text)


@fuzz(
    100,
    5_000,
    text=st.one_of(
        texts,
        st.binary(max_size=30).map(bytes.hex),
        st.sampled_from(
            ["eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIifQ", "eyJydiI6e319", "W10", "bnVsbA", "MQ"]
        ),
    ),
)
def test_continue_tokens_and_media_types(text: str) -> None:
    for parse in (continue_token.decode, negotiation.negotiate, negotiation.body_media):
        try:
            parse(text)
        except StatusError as error:
            assert 400 <= error.code < 500
