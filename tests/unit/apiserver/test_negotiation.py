from __future__ import annotations

import pytest

from knarr.apimachinery.errors import StatusError
from knarr.apiserver import negotiation
from knarr.apiserver.negotiation import JSON, YAML, negotiate

_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "media", "kind"),
    [
        ("", JSON, ""),
        ("*/*", JSON, ""),
        ("application/*", JSON, ""),
        ("application/yaml", YAML, ""),
        ("text/html, application/json;q=0.9", JSON, ""),
        ("application/json;q=0.1, application/yaml", YAML, ""),
        (f"{_TABLE},application/json", JSON, "Table"),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", JSON, ""),
        ("application/vnd.kubernetes.protobuf,application/json", "application/vnd.kubernetes.protobuf", ""),
        ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", JSON, "PartialObjectMetadataList"),
    ],
)
def test_the_best_form_that_is_offered(accept: str, media: str, kind: str) -> None:
    form = negotiate(accept)
    assert (form.media, form.kind) == (media, kind)


def test_without_tables_the_next_clause_counts() -> None:
    assert negotiate(f"{_TABLE},application/json", tables=False).kind == ""


@pytest.mark.parametrize("accept", ["text/html", "bogus", "application/json;as=Bogus;v=v1;g=meta.k8s.io"])
def test_what_cannot_be_given_is_refused(accept: str) -> None:
    with pytest.raises(StatusError) as caught:
        negotiate(accept)
    assert caught.value.code == 406


def test_bodies_of_other_types_are_refused() -> None:
    assert negotiation.body_media("application/json; charset=utf-8") == JSON
    with pytest.raises(StatusError) as caught:
        negotiation.body_media("application/json, application/yaml")
    assert caught.value.code == 415
