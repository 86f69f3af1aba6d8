from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery import quantity
from knarr.apimachinery.quantity import Format, Quantity, parse

SUFFIXES = {
    "": Fraction(1), "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "k": Fraction(10**3),
    "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12), "P": Fraction(10**15), "E": Fraction(10**18),
    "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30), "Ti": Fraction(2**40), "Pi": Fraction(2**50),
    "e3": Fraction(1000), "e-2": Fraction(1, 100), "E+2": Fraction(100),
}  # fmt: skip


def number(q: Quantity) -> Fraction:
    return Fraction(q.mantissa) * Fraction(10) ** q.exponent


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"), ("0Ki", "0"), ("00", "0"), ("-", "0"), ("0.5", "500m"), ("1500Mi", "1500Mi"), ("1024Mi", "1Gi"),
        ("1000", "1k"), ("1000m", "1"), ("1500m", "1500m"), ("1.5", "1500m"), ("0.1", "100m"), ("2.5Gi", "2560Mi"),
        ("0.5Ki", "512"), ("1.1Ki", "1126400m"), ("1e3", "1e3"), ("1E3", "1E3"), ("10e2", "1e3"), ("1.5e3", "1500"),
        ("100n", "100n"), ("0.1n", "1n"), ("1.00000000001", "1000000001n"), ("1Ei", "1Ei"),
        ("100Ei", "9223372036854775807"),
        ("123456789012345678901", "123456789012345678901"), ("-1.5", "-1500m"), ("+5", "+5"), ("1.500", "1.500"),
        ("8Ki", "8Ki"), ("1023Ki", "1023Ki"), ("0.0001Ki", "102400u"), ("1G", "1G"), (".5", "500m"), ("1.", "1."),
        ("0.001", "1m"), ("12e-3", "12e-3"), ("1e6", "1e6"), ("1000000", "1M"),
    ],
)  # fmt: skip
def test_canonical_text(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", quantity.FORMAT_WRONG), ("a", quantity.FORMAT_WRONG), ("1x", quantity.FORMAT_WRONG),
        ("1.2.3", quantity.FORMAT_WRONG), ("1 ", quantity.FORMAT_WRONG), ("1K", quantity.SUFFIX_WRONG),
        ("1mi", quantity.SUFFIX_WRONG), ("1ki", quantity.SUFFIX_WRONG), ("1e", quantity.SUFFIX_WRONG),
        ("1+2", quantity.SUFFIX_WRONG), ("1MiB", quantity.FORMAT_WRONG), ("1e99999999999", quantity.SUFFIX_WRONG),
    ],
)  # fmt: skip
def test_bad_text(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(text)
    assert str(error.value) == message


def test_numbers_and_json() -> None:
    assert str(parse(1)) == "1"
    assert str(parse(0.5)) == "500m"
    assert str(parse(1000)) == "1k"
    assert quantity.from_json(" 5 ") == parse(5)
    assert quantity.from_json(None) == parse("0")
    with pytest.raises(ValueError):
        quantity.from_json({})
    with pytest.raises(ValueError):
        parse(True)


def test_rounding_is_up() -> None:
    assert parse("1m").value() == 1
    assert parse("-1m").value() == -1
    assert parse("1.0001").milli() == 1001
    assert parse("100m").milli() == 100
    assert parse("1e30").value() == quantity.MAX_INT64
    assert str(parse("1.0001").round_up(-3)) == "1001m"
    assert parse("1").round_up(-3) is parse("1")


def test_arithmetic_keeps_the_format() -> None:
    assert str(parse("1Gi") + parse("1")) == "1073741825"
    assert str(parse("0") + parse("1Gi")) == "1Gi"
    assert str(parse("1Gi") - parse("512Mi")) == "512Mi"
    assert str(parse("1") - parse("1500m")) == "-500m"
    assert str(parse("100m") * 3) == "300m"
    assert quantity.of(2048, Format.BINARY_SI) == parse("2Ki")
    assert str(quantity.of_milli(1500)) == "1500m"


def test_huge_exponents_stay_cheap() -> None:
    assert parse("1e999999999") > parse("1Ei")
    assert parse("-1e999999999") < parse("0")
    assert parse("1e-999999999") == parse("1n")
    assert hash(parse("1e999999999")) is not None
    assert parse("1e999999999") != parse("1e999999998")


TEXTS = st.builds(
    lambda sign, whole, fraction, suffix: f"{sign}{whole}{'.' + fraction if fraction else ''}{suffix}",
    st.sampled_from(["", "-", "+"]),
    st.integers(0, 10**20).map(str),
    st.text("0123456789", max_size=8),
    st.sampled_from(sorted(SUFFIXES)),
)


def exact(text: str) -> Fraction:
    body = text.lstrip("+-")
    digits = "".join(char for char in body.split("e")[0].split("E+")[0] if char in "0123456789.")
    suffix = body[len(digits) :]
    return Fraction(digits) * SUFFIXES[suffix] * (-1 if text[0] == "-" else 1)


@given(TEXTS)
def test_value_is_exact_to_the_nano(text: str) -> None:
    want = exact(text)
    got = number(parse(text))
    if got == want:
        return
    if abs(got) == quantity.MAX_INT64:
        assert abs(want) > quantity.MAX_INT64
        return
    assert (got * 10**9).denominator == 1
    assert 0 < abs(got) - abs(want) < Fraction(1, 10**9)


@given(TEXTS)
def test_canonical_text_round_trips(text: str) -> None:
    first = parse(text)
    if abs(number(first)) >= 10**21 and first.format is Format.DECIMAL_SI:
        return  # no letter stands for more than E
    again = parse(str(first))
    assert again == first
    assert str(again) == str(first)


@given(TEXTS, TEXTS)
def test_order_and_sum_follow_the_numbers(left: str, right: str) -> None:
    a, b = parse(left), parse(right)
    assert (a < b) == (number(a) < number(b))
    assert (a == b) == (number(a) == number(b))
    assert number(a + b) == number(a) + number(b)
    assert number(a - b) == number(a) - number(b)
    if a == b:
        assert hash(a) == hash(b)
