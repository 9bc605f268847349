"""How unusual a number is beside those before it: the robust z of a stream, in bounded memory."""

import bisect
import math
from collections import deque

COUNT = 1000  # numbers that a new one is compared with
LEAST = 20  # with fewer there is no z
FLOOR = 0.01  # the smallest scale
_NORMAL = 1.4826  # 1 / Φ⁻¹(3/4): times the MAD of normal numbers it is their standard deviation


class RobustZ:
    """The robust z of each number of a stream, against up to ``count`` numbers before it.

        z = (x - median) / max(1.4826 MAD, floor)

    MAD is the median of the distances from the median (Hampel 1974).  Up to half of the numbers before may be outliers
    without moving z much.  Where more than half of them are equal the MAD is 0, and z counts multiples of ``floor``.

    Args:
        count: so many numbers are kept, the last ones.
        floor: the smallest scale, in the unit of the numbers; above 0.
    """

    def __init__(self, count: int = COUNT, floor: float = FLOOR):
        self._count, self._floor = count, floor
        self._sorted: list[float] = []
        self._queue: deque[float] = deque()

    def add(self, number: float) -> float | None:
        """The z of the next number, or None while fewer than 20 came before.

        A number that is not finite has no z and is not kept.
        """
        if not math.isfinite(number):
            return None
        z = None
        if len(self._sorted) >= LEAST:
            median = _median_of_sorted(self._sorted)
            z = (number - median) / max(_NORMAL * self._mad(median), self._floor)
        if len(self._queue) == self._count:
            del self._sorted[bisect.bisect_left(self._sorted, self._queue.popleft())]
        self._queue.append(number)
        bisect.insort(self._sorted, number)
        return z

    def _mad(self, median: float) -> float:
        """The median of the distances from the median, in O(log n)."""
        middle = len(self._sorted) // 2
        upper = self._distance(median, middle + 1)
        return upper if len(self._sorted) % 2 else (self._distance(median, middle) + upper) / 2

    def _distance(self, median: float, k: int) -> float:
        """The k-th smallest distance, k from 1: the k numbers nearest to the median lie together when they are sorted.

        The first of them is found by bisection.
        """
        numbers, low, high = self._sorted, 0, len(self._sorted) - k
        while low < high:
            first = (low + high) // 2
            if median - numbers[first] > numbers[first + k] - median:
                low = first + 1
            else:
                high = first
        return max(median - numbers[low], numbers[low + k - 1] - median)


def _median_of_sorted(numbers: list[float]) -> float:
    middle = len(numbers) // 2
    return numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2
