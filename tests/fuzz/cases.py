"""How many cases are run, and what hostile data is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

#: Cases are made and failing ones made smaller; explaining those takes as long again.
_PHASES = (Phase.generate, Phase.shrink)
_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def fuzz(normal: int, long: int, **given_by: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """Run a test on `normal` cases, or on `long` ones in `scripts/test --long`."""

    def decorate(test: Callable[..., None]) -> Any:
        @pytest.mark.parametrize(
            "count", [pytest.param(normal, id="quick"), pytest.param(long, id="long", marks=pytest.mark.long)]
        )
        def run(count: int) -> None:
            chosen = settings(max_examples=count, suppress_health_check=_CHECKS, phases=_PHASES, database=None)

            def once(**cases: Any) -> None:
                # A function of its own for each run: settings can be given to one only once.
                test(**cases)

            given(**given_by)(chosen(once))()

        run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
        return run

    return decorate


#: Texts that decoders, databases and printers have stumbled over.
ODD_TEXTS = (
    "",
    " ",
    ".",
    "..",
    "/",
    "%2F",
    "a/b",
    "\0",
    "\n",
    "\r\n",
    "\ufeff",
    "\u202e",
    "\U0001f600",
    "é" * 300,
    "a" * 70,
    "a" * 300,
    "A_B",
    "-a",
    "a-",
    "1",
    "01",
    "-1",
    "1e999",
    "NaN",
    "Infinity",
    "null",
    "true",
    "~",
    "{}",
    "[]",
    "$patch",
    "$deleteFromPrimitiveList/a",
    "$setElementOrder/a",
    "$retainKeys",
    "0x10",
    "1Gi",
    "-1Gi",
    "1.5m",
    "9" * 30,
    "99999999999999999999",
    "9223372036854775808",
    "2026-01-01T00:00:00Z",
    "0000-00-00T00:00:00Z",
    "k=v",
    "a in (b)",
    "!a",
    "a==b,c!=d",
    "(((",
    ",,,",
    "a>1",
    "metadata.name=x",
    "default",
    "kube-system",
    "*",
    "8080",
    "65536",
    "10.96.0.1",
    "::1",
    "fe80::1%eth0",
    "a.b.c",
    "example.com/x",
    "Always",
    "TCP",
    "v1",
    "apps/v1",
    "k8s.io",
)
texts = st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=12))
numbers = st.one_of(
    st.sampled_from([0, 1, -1, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, -(2**63), 2**64 - 1, 0.5, 1e300, -0.0]),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
#: JSON that no library would write.
ODD_JSON = (
    b"",
    b" ",
    b"nul",
    b"{",
    b"}",
    b"[",
    b'"',
    b"NaN",
    b"-",
    b"1e",
    b"[1,]",
    b"{,}",
    b'{"a"}',
    b'{"a":}',
    b"\xff\xfe",
    b'{"a":1,"a":2}',
    b'"\\ud800"',
    b'{"metadata":{"name":"\\ud800"}}',
    b'"\xed\xa0\x80"',
    b'"\x00"',
    b"[" * 100_000,
    b'{"a":' * 20_000,
    b"[" * 1000 + b"]" * 1000,
    b'{"spec":' * 600 + b"1" + b"}" * 600,
    b"1" * 5000,
    b"-" * 9,
    b'{"metadata":{"generation":' + b"9" * 400 + b"}}",
    b'{"a":1e400}',
    b"\xef\xbb\xbf{}",
    b'{"kind":"List","items":[]}',
    b"{}{}",
    b"{}\n---\n{}",
    b'{"metadata":null}',
    b'{"metadata":[]}',
    b'{"apiVersion":1,"kind":{}}',
    b"// c\n{}",
)
#: YAML that costs much, or means something else than it looks like.
ODD_YAML = (
    b"a: *a",
    b"a: &a [*a]",
    b"&a [*a, *a]",
    b"!!python/object:os.system {}",
    b"? [1]: 2",
    b"a: 1\na: 2",
    b"%TAG ! x",
    b"a: &x [1,2]\n"
    + b"\n".join(b"b%d: &b%d [%s]" % (n, n, b",".join([b"*x" if not n else b"*b%d" % (n - 1)] * 9)) for n in range(9)),
    b"- " * 5000,
    b"{" * 5000,
    b"[" * 5000,
    b"a: " * 3,
    b"\t",
    b"--- !<x>\n",
    b"a: .nan",
    b"a: .inf",
    b"a: 0o17",
    b"1: 2",
    b"~: ~",
    b"a: !!binary x",
    b"a: 2026-01-01",
    b"a: 1:30:00",
    b"<<: {a: 1}",
    b"<<: 1",
    b"a: |\n  b",
    b"@",
    b"\x00",
    b"\xff",
    b'a: "\\ud800"',
    b"a: 'b",
    b'a: "\\x"',
    b"---\n---\n",
    b"...",
    b"!!set {a}",
    b"!!omap [a: 1]",
    b"a: 1e999",
    b"? ? ? a",
    b"a: &b !!str c",
    b"# only",
    b"true: 1\nyes: 2",
)


def dumped(value: Any) -> bytes:
    """A value as JSON."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


@st.composite
def mutated(draw: st.DrawFn, original: st.SearchStrategy[bytes]) -> bytes:
    """Bytes with a few damages: flipped, cut, doubled, replaced."""
    data = bytearray(draw(original))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 8)))
        how = draw(st.integers(0, 4))
        if how == 0:
            del data[at:end]
        elif how == 1:
            data[at:at] = data[at:end]
        elif how == 2:
            data[at:end] = draw(st.binary(max_size=6))
        elif how == 3 and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif how == 4:
            del data[at:]
    return bytes(data)


@st.composite
def altered(draw: st.DrawFn, original: Any) -> Any:
    """A JSON value with a few of its parts replaced, dropped, added or moved."""
    value = orjson.loads(orjson.dumps(original))
    for _ in range(draw(st.integers(0, 3))):
        value = _alter(draw, value, 0)
    return value


def _alter(draw: st.DrawFn, value: Any, depth: int) -> Any:
    if not isinstance(value, dict | list) or not value or (depth > 0 and draw(st.integers(0, 4)) == 0):
        return draw(values)
    if isinstance(value, list):
        at = draw(st.integers(0, len(value) - 1))
        value[at] = _alter(draw, value[at], depth + 1)
        if draw(st.integers(0, 5)) == 0:
            value.append(value[at])
        return value
    key = draw(st.sampled_from(sorted(value)))
    how = draw(st.integers(0, 7))
    if how == 0:
        del value[key]
    elif how == 1:
        value[draw(texts)] = value[key]
    else:
        value[key] = _alter(draw, value[key], depth + 1)
    return value
