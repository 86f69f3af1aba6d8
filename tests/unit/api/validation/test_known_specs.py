"""Pod specs that were found good are not looked at again; those with faults are, and those that only look the same."""

from __future__ import annotations

import pytest

from knarr.api.validation.pod.known import Known
from knarr.apimachinery.types import Object


def _spec(volume: str, mount: str = "", other: str = "data") -> Object:
    mounts = [{"name": mount or volume, "mountPath": "/token"}]
    return {"containers": [{"name": "c", "volumeMounts": mounts}], "volumes": [{"name": volume}, {"name": other}]}


class _Counted:
    def __init__(self, *, good: bool) -> None:
        self.good, self.calls = good, 0

    def __call__(self) -> bool:
        self.calls += 1
        return self.good


def _asked(known: Known, spec: Object, *, good: bool = True) -> bool:
    check = _Counted(good=good)
    assert known.passes(spec, check) is good or not check.calls
    return bool(check.calls)


def test_pods_of_one_template_are_looked_at_once_whatever_their_token_volume_is_called() -> None:
    known = Known()
    assert _asked(known, _spec("kube-api-access-bcdfg"))
    assert not _asked(known, _spec("kube-api-access-bcdfg"))
    assert not _asked(known, _spec("kube-api-access-hjklm"))


@pytest.mark.parametrize(
    "spec",
    [
        _spec("kube-api-access-hjklm", mount="kube-api-access-bcdfg"),
        _spec("kube-api-access-hjklm", other="kube-api-access-hjklm"),
        _spec("kube-api-access-hjklm", other="kube-api-access-bcdfg"),
        _spec("kube-api-access-aeiou"),
        _spec("\0"),
        _spec("data"),
    ],
)
def test_a_spec_that_differs_in_anything_else_is_looked_at(spec: Object) -> None:
    known = Known()
    _asked(known, _spec("kube-api-access-bcdfg"))
    assert _asked(known, spec)


def test_faults_are_found_every_time() -> None:
    known = Known()
    assert _asked(known, _spec("a"), good=False) and _asked(known, _spec("a"), good=False)


def test_not_more_than_so_many_are_remembered() -> None:
    known = Known()
    for number in range(300):
        assert _asked(known, _spec(f"v{number}"))
    assert not _asked(known, _spec("v299")) and _asked(known, _spec("v0"))
    huge = _spec("x" * 9000)
    assert _asked(known, huge) and _asked(known, huge)


def test_what_nothing_can_hold_is_looked_at() -> None:
    assert _asked(Known(), {"number": 1 << 70})
