"""Quantities: the exact numbers of resources (`500m`, `1Gi`, `1e3`).

Input: the text or JSON number of a manifest. Output: an immutable `Quantity` that compares, adds and prints itself in
the canonical form of k8s.io/apimachinery/pkg/api/resource. All arithmetic is on integers; the smallest step is 1n.
A number that is already canonical prints as it was written.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache, total_ordering

FORMAT_WRONG = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
NUMERIC_WRONG = "unable to parse numeric part of quantity"
SUFFIX_WRONG = "unable to parse quantity's suffix"

MAX_INT64 = (1 << 63) - 1
_NANO = -9
_DIGITS = frozenset("0123456789")
_SUFFIX_LETTERS = frozenset("eEinumkKMGTP")
#: A power of ten beyond which a value is out of the range of an int64 whatever its mantissa.
_HUGE = 30


class Format(Enum):
    """How a quantity prints: powers of ten as letters or exponent, or powers of 1024."""

    DECIMAL_SI = "DecimalSI"
    BINARY_SI = "BinarySI"
    DECIMAL_EXPONENT = "DecimalExponent"


_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_LETTER = {exponent: letter for letter, exponent in _DECIMAL.items()}
_BINARY_LETTER = {exponent: letter for letter, exponent in _BINARY.items()}


@total_ordering
class Quantity:
    """`mantissa * 10**exponent`, with the format it prints in. Immutable; equal by value, whatever the format."""

    __slots__ = ("_milli", "_text", "_value", "exponent", "format", "mantissa")

    def __init__(
        self, mantissa: int, exponent: int = 0, format: Format = Format.DECIMAL_SI, text: str | None = None
    ) -> None:
        self.mantissa = mantissa
        self.exponent = exponent
        self.format = format
        self._text = text
        self._value: int | None = None
        self._milli: int | None = None

    def value(self) -> int:
        """The number, rounded up (away from zero) to an integer, kept within an int64."""
        if self._value is None:
            self._value = self.scaled(0)
        return self._value

    def milli(self) -> int:
        """The number of thousandths, rounded up (away from zero), kept within an int64."""
        if self._milli is None:
            self._milli = self.scaled(-3)
        return self._milli

    def scaled(self, scale: int) -> int:
        """The number in units of `10**scale`, rounded up (away from zero), kept within an int64."""
        shift = self.exponent - scale
        if shift > _HUGE and self.mantissa:
            return MAX_INT64 if self.mantissa > 0 else -MAX_INT64 - 1
        return max(-MAX_INT64 - 1, min(MAX_INT64, _shift(self.mantissa, shift)))

    def round_up(self, scale: int) -> Quantity:
        """The same number without digits below `10**scale`; what is cut off rounds away from zero."""
        if self.exponent >= scale:
            return self
        return Quantity(_shift(self.mantissa, self.exponent - scale), scale, self.format)

    @property
    def sign(self) -> int:
        """-1, 0 or 1."""
        return (self.mantissa > 0) - (self.mantissa < 0)

    def is_zero(self) -> bool:
        """Whether the number is zero."""
        return self.mantissa == 0

    def __bool__(self) -> bool:
        return self.mantissa != 0

    def __add__(self, other: Quantity) -> Quantity:
        low = min(self.exponent, other.exponent)
        total = _shift(self.mantissa, self.exponent - low) + _shift(other.mantissa, other.exponent - low)
        return Quantity(total, low, other.format if self.mantissa == 0 else self.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return self + (-other)

    def __neg__(self) -> Quantity:
        return Quantity(-self.mantissa, self.exponent, self.format)

    def __mul__(self, factor: int) -> Quantity:
        return Quantity(self.mantissa * factor, self.exponent, self.format)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and _compare(self, other) == 0

    def __lt__(self, other: Quantity) -> bool:
        return _compare(self, other) < 0

    def __hash__(self) -> int:
        return hash(_without_zeros(self.mantissa, self.exponent))

    def __float__(self) -> float:
        try:
            return float(f"{self.mantissa}e{self.exponent}")
        except OverflowError:
            return float("inf") * self.sign

    def __str__(self) -> str:
        if self._text is None:
            self._text = _canonical(self)
        return self._text

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"


ZERO = Quantity(0, text="0")


def parse(value: str | int | float) -> Quantity:
    """The quantity a text or a JSON number stands for.

    Raises `ValueError` with Kubernetes' message for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(FORMAT_WRONG)
    return _parse(value if isinstance(value, str) else repr(value))


def from_json(value: object) -> Quantity:
    """The quantity of a decoded JSON value: as `parse`, but surrounding white space and `None` (zero) are fine.

    Raises `ValueError`.
    """
    if value is None:
        return ZERO
    if isinstance(value, str):
        return _parse(value.strip())
    if isinstance(value, int | float):
        return parse(value)
    raise ValueError(FORMAT_WRONG)


def of(value: int, format: Format = Format.DECIMAL_SI) -> Quantity:
    """An integer as a quantity."""
    return Quantity(value, 0, format)


def of_milli(value: int, format: Format = Format.DECIMAL_SI) -> Quantity:
    """Thousandths (millicores) as a quantity."""
    return Quantity(value, -3, format)


@lru_cache(maxsize=8192)
def _parse(text: str) -> Quantity:
    if not text:
        raise ValueError(FORMAT_WRONG)
    negative, whole, fraction, suffix = _split(text)
    if suffix is None:
        return _of_digits(negative, whole, fraction, 0, text)
    if suffix in _DECIMAL:
        return _of_digits(negative, whole, fraction, _DECIMAL[suffix], text)
    if suffix in _BINARY:
        return _of_binary(negative, whole, fraction, _BINARY[suffix], text)
    if len(suffix) > 1 and suffix[0] in "eE":
        return _of_digits(negative, whole, fraction, _exponent(suffix[1:]), text, Format.DECIMAL_EXPONENT)
    raise ValueError(SUFFIX_WRONG)


def _split(text: str) -> tuple[bool, str, str, str | None]:
    """(negative, digits before the point without leading zeros, digits after it, suffix)."""
    end = len(text)
    begin = 1 if text[0] in "+-" else 0
    while begin < end and text[begin] == "0":
        begin += 1
    if begin == end:
        return text[0] == "-", "0", "", None
    point = _run(text, begin, _DIGITS)
    whole = text[begin:point] or "0"
    tail, fraction = point, ""
    if point < end and text[point] == ".":
        tail = _run(text, point + 1, _DIGITS)
        fraction = text[point + 1 : tail]
    stop = _run(text, tail, _SUFFIX_LETTERS)
    if stop < end and text[stop] in "+-":
        stop += 1
    if _run(text, stop, _DIGITS) < end:
        raise ValueError(FORMAT_WRONG)
    return text[0] == "-", whole, fraction, text[tail:]


def _run(text: str, begin: int, chars: frozenset[str]) -> int:
    """The first position from `begin` on whose character is none of `chars`."""
    while begin < len(text) and text[begin] in chars:
        begin += 1
    return begin


def _exponent(text: str) -> int:
    digits = text[1:] if text[0] in "+-" else text
    if not digits or not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        raise ValueError(SUFFIX_WRONG)
    return int(text)


def _of_digits(
    negative: bool,  # noqa: FBT001
    whole: str,
    fraction: str,
    exponent: int,
    text: str,
    format: Format = Format.DECIMAL_SI,
) -> Quantity:
    digits = whole + fraction
    scale = exponent - len(fraction)
    sign = -1 if negative else 1
    if len(digits) <= 18 and scale >= _NANO:
        kept = text == "0" or (scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0")
        return Quantity(sign * int(digits), scale, format, text if kept else None)
    mantissa = _big(digits)
    if scale < _NANO and mantissa:
        # Whoever asks for some gets some: what is below 1n rounds up.
        mantissa = 1 if _NANO - scale > len(digits) else _shift(mantissa, scale - _NANO)
        scale = _NANO
    return Quantity(sign * mantissa, scale, format)


def _of_binary(negative: bool, whole: str, fraction: str, power: int, text: str) -> Quantity:  # noqa: FBT001
    mantissa = _big(whole + fraction) << power
    scale = -len(fraction)
    sign = -1 if negative else 1
    if not fraction and 15 - len(whole) - int(power * 3 / 10) - 1 >= 0:
        kept = text if int(whole) & 7 else None
        return Quantity(sign * mantissa, 0, Format.BINARY_SI, kept)
    if scale < _NANO and mantissa:
        mantissa, scale = _shift(mantissa, scale - _NANO), _NANO
    if mantissa > _shift(MAX_INT64, -scale):
        mantissa, scale = MAX_INT64, 0
    below_one = 0 < mantissa < _shift(1, -scale)
    return Quantity(sign * mantissa, scale, Format.DECIMAL_SI if below_one else Format.BINARY_SI)


def _big(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        # More digits than the interpreter converts.
        raise ValueError(NUMERIC_WRONG) from None


def _shift(mantissa: int, places: int) -> int:
    """`mantissa * 10**places`, rounded away from zero."""
    if places >= 0:
        return mantissa * int(10**places)
    factor: int = 10**-places
    quotient = -(-abs(mantissa) // factor)
    return quotient if mantissa >= 0 else -quotient


def _compare(left: Quantity, right: Quantity) -> int:
    a, b = left.mantissa, right.mantissa
    if left.exponent != right.exponent:
        if left.sign != right.sign or a == 0:
            return left.sign - right.sign
        size_a, size_b = len(str(abs(a))) + left.exponent, len(str(abs(b))) + right.exponent
        if size_a != size_b:
            return left.sign if size_a > size_b else -left.sign
        low = min(left.exponent, right.exponent)
        a, b = _shift(a, left.exponent - low), _shift(b, right.exponent - low)
    return (a > b) - (a < b)


def _without_zeros(mantissa: int, exponent: int) -> tuple[int, int]:
    """The same number with all factors of ten in the exponent."""
    if mantissa == 0:
        return 0, 0
    while mantissa % 10 == 0:
        mantissa //= 10
        exponent += 1
    return mantissa, exponent


def _canonical(quantity: Quantity) -> str:
    if quantity.mantissa == 0:
        return "0"
    mantissa, exponent = _without_zeros(quantity.mantissa, quantity.exponent)
    if quantity.format is Format.BINARY_SI and 0 <= exponent <= _HUGE:
        whole = _shift(mantissa, exponent)
        if abs(whole) >= 1024:
            return _binary_text(whole)
    mantissa, exponent = mantissa * int(10 ** (exponent % 3)), exponent - exponent % 3
    if quantity.format is Format.DECIMAL_EXPONENT:
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    return f"{mantissa}{_DECIMAL_LETTER.get(exponent, '')}"


def _binary_text(whole: int) -> str:
    power = 0
    while whole % 1024 == 0:
        whole //= 1024
        power += 10
    return f"{whole}{_BINARY_LETTER.get(power, '')}"
