"""How surely a score is no accident, when neighbours resemble each other and many cells were tried.

The label is cut into blocks of consecutive characters, and these are put in another order against the cells: what
hangs together within a block stays together, any relation of label and cells is broken (blocks as in Künsch 1989; the
text is made a circle and turned by a random amount first, as in Politis & Romano 1992, so that cuts fall anywhere).
Every permutation gives a score to every cell.  Divided by each cell's own spread, the largest over all cells is what
the best of so many cells reaches by accident; the share of permutations in which it is as large as a cell's own score
is that cell's p, right for all cells together (maxT of Westfall & Young 1993).
"""

from dataclasses import dataclass

import numpy as np

from charrnn.inspection.block_sums import Products
from charrnn.inspection.ranks import mid_ranks
from charrnn.inspection.sweep import Sweep
from charrnn.kernels import compiler
from charrnn.kernels.histograms import look_up_bins
from charrnn.kernels.tiles import PANEL
from charrnn.network.packed_weights import as_panels
from charrnn.network.parameters import aligned_zeros
from charrnn.network.workspace import panels
from charrnn.system.threads import Team

LEAST_BLOCK, LEAST_BLOCKS = 500, 40
_TIMES = 10  # autocorrelation times in a block
_ROWS = 2048


@dataclass(frozen=True, eq=False)
class Permuted:
    """Strengths over each cell's spread: ``observed`` (C,), and ``largest`` (P + 1,) over cells, the first observed."""

    observed: np.ndarray
    largest: np.ndarray

    def p(self, largest: np.ndarray | None = None) -> np.ndarray:
        """p of every cell (C,) against these maxima, or others that take in more: 1 / (P + 1) at the least."""
        among = np.sort(self.largest if largest is None else largest)
        # A hair below, so that the observed maximum counts as one of them.
        above = len(among) - np.searchsorted(among, self.observed * (1 - 1e-9))
        return above / len(among)


def autocorrelation_time(values: np.ndarray) -> float:
    """1 + 2 Σ ρ_k of values (N,), in steps: N of them are worth N over this many independent ones.

    The sum ends at the first k that is beyond five times itself (Sokal 1997).
    """
    centred = np.asarray(values, np.float64) - np.mean(values)
    count = len(centred)
    power = np.abs(np.fft.rfft(centred, 2 * count)) ** 2
    correlation = np.fft.irfft(power)[:count]
    if correlation[0] <= 0:
        return 1.0
    times = 2 * np.cumsum(correlation / correlation[0]) - 1
    enough = np.flatnonzero(np.arange(count) >= 5 * times)
    return float(max(times[enough[0] if len(enough) else -1], 1.0))


def block_length(times: list[float], characters: int) -> int:
    """Characters of a block, for labels of these autocorrelation times, in characters."""
    wanted = max(LEAST_BLOCK, int(_TIMES * max(times)))
    return max(1, min(wanted, characters // LEAST_BLOCKS))


def permute(team: Team, sweep: Sweep, block: int, permutations: int, seed: int = 0) -> list[Permuted]:
    """Test each label at the places whose bins were kept, in blocks of ``block`` characters.

    All labels are permuted alike, so that maxima over several of them mean something.
    """
    compiler.prepare(look_up_bins)
    size = max(1, round(block / sweep.stride))
    blocks = len(sweep.bins) // size
    rows, cells = blocks * size, sweep.bins.shape[1]
    generator = np.random.default_rng(seed)
    order = np.stack([np.arange(blocks), *(generator.permutation(blocks) for _ in range(permutations))])
    turn = np.append(0, generator.integers(0, rows, permutations))
    begins = (order * size + turn[:, None]) % rows
    table = (mid_ranks(sweep.counts) - 0.5).astype(np.float32)
    circles = [
        np.lib.stride_tricks.sliding_window_view(np.append(each, each[:size]), size)
        for each in _centred(sweep.labels, rows)
    ]
    sums = [Products(team, cells, permutations + 1) for _ in circles]
    together = max(1, _ROWS // size)
    for first in range(0, blocks, together):
        last = min(first + together, blocks)
        ranks = aligned_zeros(panels(cells), (last - first) * size, PANEL)
        _look_up(team, np.ascontiguousarray(sweep.bins[first * size : last * size]), table, ranks)
        for circle, total in zip(circles, sums, strict=True):
            pieces = circle[begins[:, first:last]]  # (P + 1, blocks, size)
            total.add(ranks, as_panels(pieces.reshape(permutations + 1, -1).T))
    return [_standardised(total.total) for total in sums]


def _centred(labels: np.ndarray, rows: int) -> list[np.ndarray]:
    values = labels[:rows].astype(np.float32)
    return list((values - values.mean(axis=0)).T)


def _look_up(team: Team, bins: np.ndarray, table: np.ndarray, ranks: np.ndarray) -> None:
    rows, step = len(bins), -(-len(bins) // team.threads)
    calls = [(look_up_bins, (bins, table, k, min(k + step, rows), ranks)) for k in range(0, rows, step)]
    team.share_out(calls)


def _standardised(sums: np.ndarray) -> Permuted:
    """From Σ r g (C, P + 1), the first of what was observed.

    The spread takes in what was observed too: then all P + 1 are treated alike, and p is exact.
    """
    strength = np.abs(sums)
    strength /= np.maximum(np.sqrt((sums**2).mean(axis=1, keepdims=True)), 1e-12)
    return Permuted(strength[:, 0], strength.max(axis=0))
