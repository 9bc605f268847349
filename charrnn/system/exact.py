"""Powers and a cosine with the same bits on every machine: C libraries differ in the last one.

Python's decimal arithmetic consists of whole numbers, so it is the same everywhere.  The results are the nearest
doubles of the true values, or, once in 10²⁰ times, their neighbours.
"""

import decimal
from decimal import Decimal

_DIGITS = decimal.Context(prec=40)
_PI = Decimal("3.1415926535897932384626433832795028841971")


def power(base: float, exponent: float) -> float:
    """``base`` (from 0 to 1) to the power of ``exponent`` (0 or more); 0⁰ is 1."""
    with decimal.localcontext(_DIGITS):
        if not base or not exponent:
            return float(not exponent)
        return float(Decimal(base) ** Decimal(exponent))


def cosine_of_half_turns(x: float) -> float:
    """cos(πx) for x from 0 to 1."""
    with decimal.localcontext(_DIGITS):
        square, term, total, n = (_PI * Decimal(x)) ** 2, Decimal(1), Decimal(1), 0
        while abs(term) > Decimal("1e-30"):
            n += 2
            term *= -square / (n * (n - 1))
            total += term
        return float(total)
