"""How far a proposed score can be from the real one, where a device keeps rows and probes in half precision."""

import math

_LENGTH = 1.001
"""No vector in an index or a search is longer."""

_HALF_UNIT = 2.0**-11
"""Unit roundoff of float16, to the nearest: 10 bits are kept behind the first one."""

_HALF_STEP = 2.0**-25
"""Half the distance of float16's subnormal numbers, which stand for numbers below 2**-14."""

_SUM_UNIT = 2.0**-23
"""What one addition in float32 loses where it cuts off instead of rounding, as tensor cores do."""


def half_error(dimension: int) -> float:
    """Return how far a score of float16 rows and probes, added in float32, can be from that of the float32 ones.

    Let x and q be the float32 vectors, X and Q what float16 makes of them, L = 1.001 the largest length. With
    u = 2**-11 and s = 2**-25 each number changes by |X_i - x_i| <= u |x_i| + s: the first term is the rounding of
    normal numbers, the second that of subnormal ones. So, adding over i and by the Cauchy-Schwarz inequality,

        |X.Q - x.q| <= (2 u + u**2) L**2 + 2 s (1 + u) sqrt(d) L + d s**2.

    A product of two float16 numbers has 22 bits at most and is exact in float32. Adding them in any order loses, for
    each of d products, at most v = 2**-23 of a partial sum of magnitudes. A tensor core adds blocks of b products and
    the sum so far by cutting all of them, and the result, off at the largest one's 24th bit (at least so many are kept,
    and subnormal numbers too: Fasi et al., Numerical behavior of NVIDIA tensor cores, PeerJ Computer Science 7:e330,
    2021); b >= 4, so there are at most d / 4 + 1 blocks and d + 2 (d / 4 + 1) cuts. With 2 d + 2 of them for both ways
    to add, and M a bound of the lengths of X and Q,

        |fl(X.Q) - X.Q| <= c / (1 - c) M**2,   c = (2 d + 2) v,   M = (1 + u) L + sqrt(d) s.
    """
    root = math.sqrt(dimension)
    rounding = (2.0 * _HALF_UNIT + _HALF_UNIT**2) * _LENGTH**2
    subnormal = 2.0 * _HALF_STEP * (1.0 + _HALF_UNIT) * root * _LENGTH + dimension * _HALF_STEP**2
    cuts = (2.0 * dimension + 2.0) * _SUM_UNIT
    longest = (1.0 + _HALF_UNIT) * _LENGTH + root * _HALF_STEP
    return rounding + subnormal + cuts / (1.0 - cuts) * longest**2
