"""How long values along a text resemble each other: how many of them are worth one independent value."""

import math

import numpy as np

_COARSER, _FEWEST_MEANS = 8, 64


def autocorrelation_time(values: np.ndarray) -> float:
    """The autocorrelation time τ = 1 + 2 Σ ρ_k of values (N,), in steps: they are worth N / τ independent values.

    The sum ends at the first k that is at least five times the sum so far (Sokal 1997).
    """
    values = np.asarray(values, np.float64)
    if np.ptp(values) == 0:
        return 1.0
    centred = values - values.mean()
    count = len(centred)
    power = np.abs(np.fft.rfft(centred, 2 * count)) ** 2
    correlation = np.fft.irfft(power)[:count]
    times = 2 * np.cumsum(correlation / correlation[0]) - 1
    enough = np.flatnonzero(np.arange(count) >= 5 * times)
    return float(max(times[enough[0] if len(enough) else -1], 1.0))


def is_slow(time: float, count: int) -> bool:
    """Whether neighbours among ``count`` values with this autocorrelation time resemble each other.

    Independent values have the time 1, and a measured one has a standard error of sqrt(2 (2 W + 1) / count) for a sum
    over W = 5 steps (Sokal 1997). The time is slow if it is at least 2, and three standard errors above 1.
    """
    return time >= max(2.0, 1 + 3 * math.sqrt(22 / count))


def slowest_time(values: np.ndarray) -> float:
    """The longest autocorrelation time of values (N,), in steps, whether they or only their local means change slowly.

    A label that changes quickly may still come in clusters (digits in some chapters and not in others). So the time is
    also measured for the means of 8, 64, 512, … values, as long as there are 64 means. It counts where neighbouring
    means resemble each other.
    """
    values = np.asarray(values, np.float64)
    slowest, scale = autocorrelation_time(values), 1
    while len(values) >= _COARSER * _FEWEST_MEANS:
        scale *= _COARSER
        values = values[: len(values) // _COARSER * _COARSER].reshape(-1, _COARSER).mean(axis=1)
        time = autocorrelation_time(values)
        if is_slow(time, len(values)):
            slowest = max(slowest, scale * time)
    return slowest
