"""Numbers as they come from a slider, a configuration or a learner's cell: accepted, or refused with a reason."""

import math
from numbers import Integral, Real


def number(name: str, value: object, *, minimum: float = 0.0, above: bool = False, advice: str = "") -> float:
    """Return ``value`` as a float.

    Args:
        name: what the caller calls it; the error starts with it.
        value: a finite real number; ``bool`` and text are refused.
        minimum: the smallest value that makes sense.
        above: whether ``minimum`` itself makes no sense.
        advice: added to the error: what to do instead.

    Raises:
        ValueError: it is no such number. The message says what to give instead.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(_sentence(f"{name} is {value!r}, a {type(value).__name__}; give an int or a float", advice))
    try:
        result = float(value)
    except OverflowError:  # an int or a fraction beyond 1.8e308
        raise ValueError(_sentence(f"{name} is too large for a float; give a smaller number", advice)) from None
    if not math.isfinite(result):
        raise ValueError(_sentence(f"{name} is {result}; give a finite number", advice))
    if result < minimum or (above and result == minimum):
        bound = "greater than" if above else "at least"
        raise ValueError(_sentence(f"{name} is {result:g}; give a number that is {bound} {minimum:g}", advice))
    return result


def whole(name: str, value: object, *, minimum: int = 0, maximum: int | None = None, advice: str = "") -> int:
    """Return ``value`` as an int; arguments and errors as for `number`, without fractions."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        kind = type(value).__name__
        raise ValueError(_sentence(f"{name} is {value!r}, a {kind}; give a whole number", advice))
    result = int(value)
    if result < minimum:
        raise ValueError(
            _sentence(f"{name} is {_text(result)}; give a whole number that is at least {minimum}", advice)
        )
    if maximum is not None and result > maximum:
        raise ValueError(_sentence(f"{name} is {_text(result)}; give a whole number that is at most {maximum}", advice))
    return result


def counted(count: int, noun: str) -> str:
    """Return ``count`` and the noun, in the plural unless it is 1: "1 process", "2 processes"."""
    return f"{count} {noun}" + ("" if count == 1 else "es" if noun.endswith("s") else "s")


def _text(value: int) -> str:
    # Python writes no int of more than 4,300 digits (https://docs.python.org/3/library/stdtypes.html#int-max-str-digits)
    return str(value) if value.bit_length() < 1000 else f"an integer of {value.bit_length()} bits"


def _sentence(problem: str, advice: str) -> str:
    return f"{problem}. {advice}" if advice else f"{problem}."
