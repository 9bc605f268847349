"""What a model loses when cells are held: where, how surely, at which characters, and against other cells.

Losses of a network on a text, inside and outside of a mask, and how surely those of two networks differ.

Legend: N characters to predict, V characters known, K blocks of consecutive ones. The mask (N + 1,) belongs to the
text: a target counts as *inside* if the mask holds for the character read just before it, since it is there that
what the network remembers is of use to the prediction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inspection.clamping import Cell, clamp, require_cells
from charrnn.network.network import Network
from charrnn.text.windows import ReadingWindows

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
    network: Network,
    ids: np.ndarray,
    mask: np.ndarray | None = None,
    block: int = BLOCK,
    means: Sequence[Cell] = (),
    most: int | None = None,
    progress: Progress | None = None,
) -> tuple[Tally, np.ndarray]:
    """Score ids (N + 1,) in batch rows, keeping sums only; also the mean c (len(means), 2) of cells outside and inside.

    At most ``most`` of them are scored, in stretches spread over the text; ``progress`` is called with the characters
    that were and all that will be.
    """
    scored = len(ids) - 1
    windows, known, blocks = ReadingWindows(scored, most=most), network.config.vocabulary, -(-scored // block)
    state = network.initial_state(windows.batch)
    loss, count = np.zeros((2, blocks, 2))
    symbol_loss, symbol_count = np.zeros((2, known, 2))
    cells = np.zeros((len(means), 2))
    done = 0
    for at, own in windows:
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


MOST, MOST_COMPARED = 1 << 20, 100_000  # characters read for the cells themselves, and for each comparison
ENOUGH = 0.01  # of what is compared, inside and outside: fewer would settle an order by chance


@dataclass(frozen=True)
class Symbol:
    """How one character is predicted inside the mask or outside of it: mean losses in nats over ``count`` places."""

    id: int
    inside: bool
    count: int
    before: float
    after: float

    @property
    def cost(self) -> float:
        """Nats that its places lose altogether."""
        return self.count * (self.after - self.before)


@dataclass(frozen=True)
class Rival:
    """Cells held on the characters of the comparison: what that changes."""

    cells: tuple[Cell, ...]
    overall: float
    contrast: float


@dataclass(frozen=True)
class Ablation:
    """What holding ``values`` costs: losses after minus losses before, in nats per character.

    ``contrast`` is ``inside`` minus ``outside``, ``share`` the part of the characters that is inside; without a mask
    none is, and ``inside`` and ``contrast`` are NaN. ``symbols`` are all that occur, those that lose most first.
    ``on`` and ``off`` are the means that each cell has inside and outside. ``characters`` were scored, of
    ``text_characters``; to the ``rivals``, other cells of the same layers held in the same way, the cells were
    ``compared`` on ``compared_characters`` of them.
    """

    values: dict[Cell, float]
    characters: int
    text_characters: int
    block: int
    loss: float
    overall: Change
    inside: Change
    outside: Change
    contrast: Change
    share: float
    symbols: list[Symbol]
    on: dict[Cell, float]
    off: dict[Cell, float]
    rivals: list[Rival]
    compared: Rival
    compared_characters: int

    @property
    def masked(self) -> bool:
        """Whether there is a mask that holds somewhere and not everywhere."""
        return 0 < self.share < 1

    @property
    def rank(self) -> int:
        """Place among the rivals, 1 the dearest: by the contrast, without a mask by the whole."""
        own, *others = (each.contrast if self.masked else each.overall for each in (self.compared, *self.rivals))
        return 1 + sum(other >= own for other in others)


def ablate(
    network: Network,
    ids: np.ndarray,
    cells: Sequence[Cell],
    held: float | str = 0.0,
    mask: np.ndarray | None = None,
    *,
    rivals: int = 20,
    seed: int = 0,
    most: int = MOST,
    most_compared: int = MOST_COMPARED,
    progress: Progress | None = None,
) -> Ablation:
    """Hold ``cells`` while the network reads ids (N + 1,), and see what that costs.

    A long text is read in stretches spread over it, ``most`` characters in all, and ``most_compared`` for each
    comparison with other cells, or ``most`` if of so few less than a hundredth are inside the mask, or outside.

    Args:
        network: the model; it stays as it is.
        ids: the text.
        cells: pairs of a layer and a unit, held together.
        held: the value of c, or ``mean``: that of each cell over the text.
        mask: (N + 1,) where a hypothesis holds, for a comparison of inside and outside.
        rivals: how many random choices of other cells of the same layers to hold in the same way.
        seed: of that choice and of the bootstrap.
        most, most_compared: see above.
        progress: called with the characters read and all that will be.

    Raises:
        ConfigError: a cell that is not there or named twice, a text too short, a mask of another length.
    """
    cells = [(int(layer), int(unit)) for layer, unit in cells]
    require_cells(network, cells)
    if not cells or len(set(cells)) < len(cells):
        raise ConfigError("give one cell or several, each once")
    if len(ids) < 2:
        raise ConfigError("there is nothing to predict in fewer than 2 characters")
    if mask is not None and len(mask) != len(ids):
        raise ConfigError(f"the mask has {len(mask):,} values, the text {len(ids):,} characters")
    if not (held == "mean" or isinstance(held, int | float)):
        raise ConfigError(f"cells are held at a number or at their mean, not at {held!r}")
    generator = np.random.default_rng(seed)
    others = _others(network, cells, rivals, generator)
    scored = len(ids) - 1
    passes = _Passes(ids, mask, int(np.clip(scored // 100, 100, BLOCK)), progress)
    most, few = min(scored, most), min(scored, most, most_compared)
    if mask is not None and few < most:
        inside = int(np.count_nonzero(passes.inside(few)))
        if min(inside, few - inside) < few * ENOUGH:
            few = most
    anew = bool(others) and few < most
    passes.work = 2 * most + (len(others) + 2 * anew) * few
    named = [*cells, *(cell for other in others for cell in other)]
    free, means = passes.read(network, most, named)
    weight = free.count.sum(axis=0) / free.count.sum()
    whole = dict(zip(named, np.nansum(means * weight, axis=1), strict=True))
    off, on = (dict(zip(cells, map(float, column), strict=False)) for column in means.T)

    def values_of(chosen: Sequence[Cell]) -> dict[Cell, float]:
        return {cell: float(whole[cell]) if held == "mean" else float(held) for cell in chosen}

    values = values_of(cells)
    after, _ = passes.read(clamp(network, values), most)
    overall, outside, inside, contrast = changes(free, after, generator)
    compared, base = Rival(tuple(cells), overall.value, contrast.value), free
    if anew:
        base, _ = passes.read(network, few)
        compared = _rival(cells, base, passes.read(clamp(network, values), few)[0])
    found = [_rival(other, base, passes.read(clamp(network, values_of(other)), few)[0]) for other in others]
    return Ablation(
        values=values,
        characters=int(free.count.sum()),
        text_characters=scored,
        block=passes.block,
        loss=free.mean,
        overall=overall,
        inside=inside,
        outside=outside,
        contrast=contrast,
        share=float(weight[INSIDE]),
        symbols=_symbols(free, after),
        on=on,
        off=off,
        rivals=found,
        compared=compared,
        compared_characters=int(base.count.sum()),
    )


class _Passes:
    """Readings of one text with one network after the other; ``work`` is how many characters that will be in all."""

    def __init__(self, ids: np.ndarray, mask: np.ndarray | None, block: int, progress: Progress | None):
        self._ids, self._mask, self.block, self._progress = ids, mask, block, progress
        self.work, self._done = 0, 0

    def inside(self, most: int) -> np.ndarray:
        """The mask (n,) where it counts, if at most ``most`` characters are scored."""
        return np.concatenate(
            [np.asarray(self._mask[at[own]], bool) for at, own in ReadingWindows(len(self._ids) - 1, most=most)]
        )

    def read(self, network: Network, most: int, means: Sequence[Cell] = ()) -> tuple[Tally, np.ndarray]:
        """The tally of ``network`` on at most ``most`` characters, and the means of cells."""

        def report(done: int, _: int) -> None:
            if self._progress is not None:
                self._progress(self._done + done, self.work)

        found = tally(network, self._ids, self._mask, self.block, means, most, report)
        self._done += int(found[0].count.sum())
        return found


def _rival(cells: Sequence[Cell], free: Tally, held: Tally) -> Rival:
    theirs = differences((held.loss - free.loss).sum(axis=0), free.count.sum(axis=0))
    return Rival(tuple(cells), float(theirs[0]), float(theirs[3]))


def _others(network: Network, cells: Sequence[Cell], count: int, generator: np.random.Generator) -> list[list[Cell]]:
    """Random choices of cells in the layers of ``cells``, none of which is among them; single cells never twice."""
    free = {}
    for layer in sorted({layer for layer, _ in cells}):
        units = [unit for unit in range(network.config.hidden) if (layer, unit) not in cells]
        free[layer] = generator.permutation(units)
    wanted = {layer: sum(of == layer for of, _ in cells) for layer in free}
    if len(cells) == 1:
        ((layer, units),) = free.items()
        return [[(layer, int(unit))] for unit in units[:count]]
    if any(len(units) < wanted[layer] for layer, units in free.items()):
        return []

    def draw() -> list[Cell]:
        picks = {layer: generator.choice(units, wanted[layer], replace=False) for layer, units in free.items()}
        return [(layer, int(unit)) for layer, units in picks.items() for unit in units]

    return [draw() for _ in range(count)]


def _symbols(before: Tally, after: Tally) -> list[Symbol]:
    """All characters that occur, inside the mask and outside each for itself, those that lose most nats first."""
    count, old, new = before.symbol_count.ravel(), before.symbol_loss.ravel(), after.symbol_loss.ravel()
    return [
        Symbol(int(k // 2), bool(k % 2), int(count[k]), float(old[k] / count[k]), float(new[k] / count[k]))
        for k in np.argsort(old - new, kind="stable")
        if count[k]
    ]
