"""Losses of a network on a text, inside and outside of a mask, and how surely those of two networks differ.

Legend: N characters to predict, V characters known, K blocks of consecutive ones. The mask (N + 1,) belongs to the
text: a target counts as *inside* if the mask holds for the character read just before it, since it is there that
what the network remembers is of use to the prediction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.inspection.intervention import Cell
from charrnn.lanes import Lanes
from charrnn.network import CharLSTM

BLOCK, LEAST_BLOCKS = 500, 20  # characters that depend on each other, and blocks that tell anything of a spread
RESAMPLES, MEMORY = 2000, 2_000_000  # and numbers in memory for them at a time
CONFIDENCE = 0.95
OUTSIDE, INSIDE = 0, 1

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Tally:
    """Losses of a network on a text, in nats, summed outside (0) and inside (1) of a mask.

    ``loss`` and ``count`` (K, 2) by block, ``symbol_loss`` and ``symbol_count`` (V, 2) by the character predicted.
    """

    loss: np.ndarray
    count: np.ndarray
    symbol_loss: np.ndarray
    symbol_count: np.ndarray

    @property
    def mean(self) -> float:
        """Nats per character over all of the text."""
        return float(self.loss.sum() / self.count.sum())


@dataclass(frozen=True)
class Change:
    """A difference of mean losses in nats per character, ``low`` to ``high`` its interval of 95 %.

    The interval is NaN where there are too few blocks for one, all three are where nothing was counted.
    """

    value: float
    low: float
    high: float


def tally(
    network: CharLSTM,
    ids: np.ndarray,
    mask: np.ndarray | None = None,
    block: int = BLOCK,
    means: Sequence[Cell] = (),
    most: int | None = None,
    progress: Progress | None = None,
) -> tuple[Tally, np.ndarray]:
    """Score ids (N + 1,) in lanes, keeping sums only; also the mean c (len(means), 2) of cells outside and inside.

    At most ``most`` of them are scored, in stretches spread over the text; ``progress`` is called with the characters
    that were and all that will be.
    """
    scored = len(ids) - 1
    lanes, known, blocks = Lanes(scored, most=most), network.config.vocabulary, -(-scored // block)
    state = network.initial_state(lanes.count)
    loss, count = np.zeros((2, blocks, 2))
    symbol_loss, symbol_count = np.zeros((2, known, 2))
    cells = np.zeros((len(means), 2))
    done = 0
    for at, own in lanes.windows():
        y = np.asarray(ids[at + 1], np.int32)
        losses = network.losses(np.asarray(ids[at], np.int32), y, state)[own]
        inside = np.zeros(len(losses), int) if mask is None else np.asarray(mask[at[own]], bool).astype(int)
        for place, size, sums, counts in (
            (at[own] // block, blocks, loss, count),
            (y[own], known, symbol_loss, symbol_count),
        ):
            key = 2 * place + inside
            sums += np.bincount(key, losses, 2 * size).reshape(size, 2)
            counts += np.bincount(key, minlength=2 * size).reshape(size, 2)
        if means:
            signal = network.signal("c")[own]
            for number, (layer, unit) in enumerate(means):
                cells[number] += np.bincount(inside, signal[:, layer, unit], 2)
        done += len(losses)
        if progress is not None:
            progress(done, scored if most is None else min(scored, most))
    with np.errstate(invalid="ignore"):
        return Tally(loss, count, symbol_loss, symbol_count), cells / count.sum(axis=0)


def changes(before: Tally, after: Tally, generator: np.random.Generator) -> list[Change]:
    """The change overall, outside, inside, and inside minus outside, with intervals from a bootstrap of whole blocks.

    Neighbouring characters are not independent; blocks of them nearly are. Percentile intervals (Efron & Tibshirani
    1993, section 13.3) of statistics of K blocks drawn with replacement (Carlstein 1986: blocks that do not overlap),
    each statistic a ratio of sums.
    """
    read = before.count.sum(axis=1) > 0
    lost, count = (after.loss - before.loss)[read], before.count[read]
    blocks = len(lost)
    values = differences(lost.sum(axis=0), count.sum(axis=0))
    if blocks < LEAST_BLOCKS:
        return [Change(float(value), np.nan, np.nan) for value in values]
    resampled, at_once = [], max(1, MEMORY // blocks)
    for start in range(0, RESAMPLES, at_once):
        # How often each block is drawn.
        times = generator.multinomial(blocks, np.full(blocks, 1 / blocks), min(at_once, RESAMPLES - start))
        resampled.append(differences(times @ lost, times @ count))
    tails = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    # A resample without a single character inside has no mean there, nor has a text without any.
    bounds = [_quantiles(column, tails) for column in np.concatenate(resampled).T]
    return [Change(float(value), *bound) for value, bound in zip(values, bounds, strict=True)]


def differences(lost: np.ndarray, count: np.ndarray) -> np.ndarray:
    """From sums (…, 2) outside and inside: mean loss (…, 4) overall, outside, inside, inside minus outside."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means = lost / np.where(count > 0, count, np.nan)
    outside, inside = means[..., 0], means[..., 1]
    return np.stack([lost.sum(axis=-1) / count.sum(axis=-1), outside, inside, inside - outside], axis=-1)


def _quantiles(values: np.ndarray, parts: tuple[float, float]) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    return tuple(np.quantile(values, parts).tolist()) if len(values) else (np.nan, np.nan)
