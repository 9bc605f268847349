"""Which cells are worth looking at when there is no hypothesis.

They are ranked by :func:`charrnn.model.reading.scores`.
"""

from dataclasses import dataclass

import numpy as np

from charrnn.model.reading import Reading, scores

ALIKE = 0.9  # cells with a larger correlation, of either sign, show the same thing


@dataclass(frozen=True)
class ScoredCell:
    """A cell and its score."""

    layer: int
    unit: int
    score: float

    @property
    def cell(self) -> tuple[int, int]:
        """The layer and the unit."""
        return self.layer, self.unit


def gallery(reading: Reading, count: int) -> list[ScoredCell]:
    """The ``count`` best cells, best first, without cells that are ``ALIKE`` a better one."""
    ranked = scores(reading)
    _layers, units = ranked.shape
    flat = reading.values.reshape(len(reading.values), -1).astype(np.float64)
    flat = flat - flat.mean(axis=0)
    flat /= np.maximum(np.linalg.norm(flat, axis=0), 1e-12)
    chosen: list[int] = []
    for index in np.argsort(-ranked.ravel(), kind="stable").tolist():
        if len(chosen) == count:
            break
        if chosen and np.abs(flat[:, chosen].T @ flat[:, index]).max() > ALIKE:
            continue
        chosen.append(index)
    return [ScoredCell(index // units, index % units, float(ranked.flat[index])) for index in chosen]


def most_varied(values: np.ndarray, stretches: list[tuple[int, int]]) -> tuple[int, int]:
    """The stretch (start, stop) in which values (N, K) vary most: the one with the largest mean of K variances."""
    sums = np.cumsum(np.vstack([np.zeros(values.shape[1]), values]), axis=0)
    squares = np.cumsum(np.vstack([np.zeros(values.shape[1]), values**2]), axis=0)

    def variance(stretch: tuple[int, int]) -> float:
        start, stop = stretch
        mean = (sums[stop] - sums[start]) / (stop - start)
        return float(((squares[stop] - squares[start]) / (stop - start) - mean**2).mean())

    return max(stretches, key=variance)


def liveliest_stretch(text: str, values: np.ndarray, width: int) -> tuple[int, int]:
    """The stretch (start, stop) of ``width`` characters that begins with a line and in which values (N, K) vary most.

    ``text`` has N characters. If no line has ``width`` characters after its beginning, the stretch begins at 0.
    """
    length = len(text)
    stretches = [(begin, begin + width) for begin in line_bounds(text) if begin + width <= length]
    return most_varied(values, stretches or [(0, min(width, length))])


def line_bounds(text: str) -> list[int]:
    """Where the lines of ``text`` begin, and at the end of the list the length of ``text``."""
    begins = [0, *(place + 1 for place, sign in enumerate(text) if sign == "\n")]
    return begins if begins[-1] == len(text) else [*begins, len(text)]
