"""How likely a cell's score is by chance, when neighbouring characters resemble each other and many cells were tried.

The label is closed to a circle and rotated by a random amount. If there is room, it is then cut into blocks of
consecutive characters, and the blocks are put in another order. Within a block everything stays together, but every
relation between label and cells is broken (blocks as in Künsch 1989, the circle as in Politis & Romano 1992). A label
that changes slowly needs long blocks; if the text has no room for two of them, the label is only rotated (a circular
shift). If the label hardly changes in the whole text, its rotations resemble each other, and no p can be had. A cell
with a trend from the beginning of the text to its end does not close to a circle; so the trend is taken out of the
products of cells and labels.

Every permutation gives a score to every cell. Each score is divided by the cell's own spread over the permutations;
the largest over all cells is what the best of so many cells reaches by chance. The p of a cell is the share of
permutations whose largest score is at least as large as the cell's own. This p accounts for all cells together (maxT,
Westfall & Young 1993).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.inspection.block_sums import ProductSums
from charrnn.inspection.ranks import mid_ranks
from charrnn.inspection.sweep import Sweep
from charrnn.kernels import compiler
from charrnn.kernels.histograms import look_up_bins
from charrnn.kernels.tiles import PANEL
from charrnn.network.packed_weights import as_panels
from charrnn.network.parameters import aligned_zeros
from charrnn.network.workspace import panels
from charrnn.system.threads import Team

LEAST_BLOCK, LEAST_BLOCKS = 500, 40  # the shortest block has 500 characters, or a fortieth of the text if that is less
TIMES = 10  # autocorrelation times of the label in a block
FEWEST_TIMES = 10  # … and in a text: a text with fewer gives no p
_ROWS = 2048  # places of the text that are multiplied at a time


@dataclass(frozen=True, eq=False)
class Permuted:
    """Scores divided by each cell's spread: ``observed`` (C,), and the ``largest`` over cells in each order (P + 1,).

    The first of ``largest`` is from the order that was observed, the others from P permutations.
    """

    observed: np.ndarray
    largest: np.ndarray

    def p(self, largest: np.ndarray | None = None) -> np.ndarray:
        """p of every cell (C,), 1 / (P + 1) at the least.

        ``largest`` (P + 1,) replaces ``self.largest``, to account for the cells of several hypotheses.
        """
        among = np.sort(self.largest if largest is None else largest)
        # The factor makes the observed maximum count as one of them in spite of rounding.
        above = len(among) - np.searchsorted(among, self.observed * (1 - 1e-9))
        return above / len(among)


def block_length(time: float, characters: int) -> int:
    """The length of a block in characters, for a label whose slowest autocorrelation ``time`` is so many characters.

    It is one of a few lengths, so that labels can share permutations. It is ``characters`` where the label is only
    rotated.
    """
    length = max(1, min(LEAST_BLOCK, characters // LEAST_BLOCKS))
    while length < TIMES * time:
        length *= 2
    return length if 2 * length <= characters else characters


def permute(
    team: Team, sweep: Sweep, columns: Sequence[int], block: int, permutations: int, seed: int = 0
) -> list[Permuted]:
    """Test labels against all cells at the places whose bins ``sweep`` kept, in blocks of about ``block`` characters.

    The labels are the ``columns`` of ``sweep.labels``. They are permuted alike, so that the largest score over several
    labels can be taken.
    """
    compiler.prepare(look_up_bins)
    # Pieces of a block, of at most _ROWS places, are multiplied at a time.
    blocks = max(1, round(len(sweep.bins) * sweep.stride / block))
    pieces = -(-len(sweep.bins) // (blocks * _ROWS))
    piece = len(sweep.bins) // (blocks * pieces)
    size, count = piece * pieces, blocks * pieces
    rows, cells = count * piece, sweep.bins.shape[1]
    generator = np.random.default_rng(seed)
    order = np.stack([np.arange(blocks), *(generator.permutation(blocks) for _ in range(permutations))])
    turn = np.append(0, generator.integers(0, rows, permutations))
    begins = (order[:, :, None] * size + np.arange(0, size, piece) + turn[:, None, None]) % rows
    begins = begins.reshape(permutations + 1, count)
    table = (mid_ranks(sweep.counts) - 0.5).astype(np.float32)
    labels = sweep.labels[:rows, columns].astype(np.float32)
    labels -= labels.mean(axis=0)
    circles = [np.lib.stride_tricks.sliding_window_view(np.append(each, each[:piece]), piece) for each in labels.T]
    sums = [ProductSums(team, cells, permutations + 2) for _ in circles]
    trend = np.linspace(-1, 1, rows, dtype=np.float32)
    trend /= np.linalg.norm(trend)
    trends = np.zeros((len(circles), permutations + 1))  # Σ trend · label
    together = max(1, _ROWS // piece)
    for first in range(0, count, together):
        last = min(first + together, count)
        ranks = aligned_zeros(panels(cells), (last - first) * piece, PANEL)
        _look_up(team, np.ascontiguousarray(sweep.bins[first * piece : last * piece]), table, ranks)
        part = trend[first * piece : last * piece]
        for number, (circle, total) in enumerate(zip(circles, sums, strict=True)):
            labelled = circle[begins[:, first:last]].reshape(permutations + 1, -1)
            trends[number] += labelled @ part
            total.add(ranks, as_panels(np.vstack([labelled, part]).T))
    # Σ r g without the trend: g minus its projection on the trend.
    return [
        _standardised(total.total[:, :-1] - np.outer(total.total[:, -1], of_labels))
        for total, of_labels in zip(sums, trends, strict=True)
    ]


def _look_up(team: Team, bins: np.ndarray, table: np.ndarray, ranks: np.ndarray) -> None:
    """Write the rank of every bin (n, C) into ``ranks`` (panels, n, 64); ``table`` (C, BINS) has the ranks."""
    rows, step = len(bins), -(-len(bins) // team.threads)
    calls = [(look_up_bins, (bins, table, k, min(k + step, rows), ranks)) for k in range(0, rows, step)]
    team.share_out(calls)


def _standardised(sums: np.ndarray) -> Permuted:
    """From Σ r g (C, P + 1), whose first column is in the observed order.

    The spread includes the observed order: so all P + 1 orders are treated alike, and p is exact.
    """
    strength = np.abs(sums)
    strength /= np.maximum(np.sqrt((sums**2).mean(axis=1, keepdims=True)), 1e-12)
    return Permuted(strength[:, 0], strength.max(axis=0))
