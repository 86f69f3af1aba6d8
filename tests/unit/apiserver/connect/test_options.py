from __future__ import annotations

import pytest

from knarr.apimachinery.errors import StatusError
from knarr.apiserver.connect import options


def refusal(query: dict[str, str]) -> StatusError:
    with pytest.raises(StatusError) as caught:
        options.log_options(query, "p")
    return caught.value


def test_log_options_reach_the_kubelet_under_their_names() -> None:
    query = {
        "container": "c",
        "follow": "true",
        "previous": "1",
        "timestamps": "false",
        "tailLines": "0",
        "limitBytes": "10",
        "sinceTime": "2026-01-02T03:04:05+01:00",
    }
    assert options.log_options(query, "p").pairs() == [
        ("follow", "true"),
        ("previous", "true"),
        ("tailLines", "0"),
        ("limitBytes", "10"),
        ("sinceTime", "2026-01-02T02:04:05Z"),
    ]
    assert options.log_options({}, "p").pairs() == []
    assert options.log_options({"sinceSeconds": "5"}, "p").pairs() == [("sinceSeconds", "5")]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"tailLines": "-1"}, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ({"limitBytes": "0"}, "limitBytes: Invalid value: 0: must be greater than 0"),
        ({"sinceSeconds": "0"}, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        (
            {"sinceSeconds": "1", "sinceTime": "2026-01-02T03:04:05Z"},
            "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
    ],
)
def test_log_options_without_sense_are_invalid(query: dict[str, str], text: str) -> None:
    error = refusal(query)
    assert (error.code, error.reason) == (422, "Invalid")
    assert error.message.startswith('PodLogOptions "p" is invalid: ')
    assert text in error.message


def test_log_options_that_cannot_be_read_are_bad_requests() -> None:
    assert refusal({"tailLines": "x"}).message == 'strconv.ParseInt: parsing "x": invalid syntax'
    error = refusal({"sinceTime": "yesterday"})
    assert error.code == 400
    assert error.message.startswith('parsing time "yesterday" as "2006-01-02T15:04:05Z07:00"')


def test_exec_options_reach_the_kubelet_under_its_names() -> None:
    query = {"stdin": "true", "stdout": "1", "stderr": "false", "tty": "true", "container": "c"}
    found = options.exec_options(query, {"command": ["sh", "-c", "a b"]}, attach=False)
    assert found.pairs() == [
        ("input", "1"),
        ("output", "1"),
        ("tty", "1"),
        ("command", "sh"),
        ("command", "-c"),
        ("command", "a b"),
    ]


def test_an_attach_wants_the_outputs_unless_denied() -> None:
    assert options.exec_options({}, {}, attach=True).pairs() == [("output", "1"), ("error", "1")]
    assert options.exec_options({"stdout": "false"}, {"command": ["x"]}, attach=True).pairs() == [("error", "1")]
    assert options.exec_options({}, {}, attach=False).pairs() == []


def test_ports() -> None:
    assert options.ports({"ports": ["80,81", "82"]}) == [("port", "80,81,82")]
    assert options.ports({}) == []
    with pytest.raises(StatusError):
        options.ports({"ports": ["http"]})
