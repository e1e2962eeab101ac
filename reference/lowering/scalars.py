"""Arithmetic on Python floats that generated code calls: it never raises, infinity or nan says that it cannot."""

from __future__ import annotations

import math


def _power(base: float, exponent: float) -> float:
    try:
        found = base**exponent
        return math.nan if isinstance(found, complex) else float(found)
    except (OverflowError, ZeroDivisionError):
        return math.inf


def _power_error(base, base_error, exponent, exponent_error, value, w) -> float:
    if base == 0:
        return _power(base_error, exponent)
    relative = abs(exponent) * base_error / abs(base) + w
    if exponent_error:
        relative += abs(math.log(abs(base))) * exponent_error
    return abs(value) * relative


def _divide(top: float, bottom: float) -> float:
    if bottom == 0:
        return math.nan if top == 0 else math.copysign(math.inf, top)
    return top / bottom


def _ratio(error: float, size: float, below: bool = False) -> float:
    """Relative error; of a divisor as it acts on the quotient, infinite when it may be zero."""
    if error == 0:
        return 0.0
    room = size - error if below else size
    return error / room if room > 0 else (math.inf if below else 0.0)


def _inverse(size: float) -> float:
    return 1.0 / size if size else math.inf


RUNTIME = {
    "math": math,
    "power": _power,
    "power_error": _power_error,
    "divide": _divide,
    "ratio": _ratio,
    "inverse": _inverse,
}
