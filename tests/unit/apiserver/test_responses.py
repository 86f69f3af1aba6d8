"""Headers of answers."""

from __future__ import annotations

from knarr.apiserver import responses
from knarr.apiserver.request import Response


def _headers(*warnings: str) -> list[str]:
    response = Response(200, b"", "", {})
    responses.add_warnings(response, warnings)
    return [value for name, value in response.repeated if name == "Warning"]


def test_every_warning_is_told_once_and_quoted() -> None:
    assert _headers('say "a"', "b", "b") == ['299 - "say \\"a\\""', '299 - "b"']


def test_long_warnings_are_told_whole_until_they_are_too_long_together() -> None:
    assert _headers("x" * 4096) == [f'299 - "{"x" * 4096}"']
    many = _headers(*(f"{number:04}" + "x" * 400 for number in range(40)))
    assert len(many) == 16
    assert many[1] == f'299 - "0001{"x" * 252}"'
