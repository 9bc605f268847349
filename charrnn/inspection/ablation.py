"""What a model loses when cells are clamped: where, how surely, at which characters, and compared with other cells.

Clamped cells keep one value (:mod:`charrnn.inspection.clamping`); heads of a Transformer are silenced. The losses of
the changed network are compared with its losses when nothing is clamped, inside and outside of a mask.

Legend: N characters to predict, V characters in the vocabulary, K blocks of consecutive characters. The mask (N + 1,)
belongs to the text. A target counts as *inside* if the mask holds for the character before it, because at that
character the network's memory can help to predict the target.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inspection.autocorrelation import autocorrelation_time, is_slow
from charrnn.inspection.clamping import Cell, clamp, require_cells
from charrnn.inspection.heads import Head, require_attention, require_heads, silence
from charrnn.network.network import Network
from charrnn.records import ProgressCallback, no_progress
from charrnn.text.windows import ReadingWindows

MOST, MOST_COMPARED = 1 << 20, 100_000  # characters read for the cells themselves, and for each comparison
ENOUGH = 0.01  # share of a comparison's characters that must be inside, and outside: fewer would rank cells by chance

BLOCK, LEAST_BLOCKS = 500, 20  # characters in a block; with fewer blocks there is no interval
CONFIDENCE = 0.95
RESAMPLES = 2000
_NUMBERS_AT_ONCE = 2_000_000  # in memory, while resampling


@dataclass(frozen=True)
class Change:
    """A difference of mean losses in nats per character, and its confidence interval of 95 % from ``low`` to ``high``.

    The interval is NaN where there are too few blocks. All three numbers are NaN where no character was counted.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SymbolLoss:
    """Mean losses in nats of one character, inside or outside of the mask, over the ``count`` places where it stands.

    ``before`` is the loss when no cell is clamped, ``after`` the loss when cells are clamped.
    """

    id: int
    inside: bool
    count: int
    before: float
    after: float


@dataclass(frozen=True)
class ClampingEffect:
    """How clamping ``cells`` changes the mean loss, ``overall`` and inside minus outside (``contrast``)."""

    cells: tuple[Cell, ...]
    overall: float
    contrast: float


@dataclass(frozen=True)
class Ablation:
    """What clamping cells at ``values`` costs: losses after minus losses before, in nats per character.

    ``characters`` of ``text_characters`` were scored, in blocks of ``block`` for the intervals. ``loss`` is the mean
    loss when no cell is clamped. ``contrast`` is ``inside`` minus ``outside``; ``share`` is the part of the characters
    that is inside. Without a mask no character is inside, and ``inside`` and ``contrast`` are NaN. ``symbols`` are all
    characters that occur, the largest sum of lost nats first. ``mean_inside`` and ``mean_outside`` are each cell's
    means of the signal that is held. Heads that are silenced have the value 0, and no means.

    ``controls`` are other cells of the same layers, or other heads of the network, changed in the same way and read on
    ``compared_characters``. ``compared`` is the effect of the chosen cells on those same characters.
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
    symbols: list[SymbolLoss]
    mean_inside: dict[Cell, float]
    mean_outside: dict[Cell, float]
    controls: list[ClampingEffect]
    compared: ClampingEffect
    compared_characters: int

    @property
    def masked(self) -> bool:
        """Whether there is a mask that holds somewhere and not everywhere."""
        return 0 < self.share < 1

    @property
    def rank(self) -> int:
        """The place of the cells among the controls, 1 for the largest effect: by contrast, without a mask overall."""
        own, *others = (each.contrast if self.masked else each.overall for each in (self.compared, *self.controls))
        return 1 + sum(other >= own for other in others)


def ablate(
    network: Network,
    ids: np.ndarray,
    cells: Sequence[Cell],
    value: float | str = 0.0,
    mask: np.ndarray | None = None,
    *,
    controls: int = 20,
    seed: int = 0,
    most: int = MOST,
    most_compared: int = MOST_COMPARED,
    progress: ProgressCallback = no_progress,
) -> Ablation:
    """Clamp ``cells`` while the network reads ids (N + 1,), and measure what that costs.

    Args:
        network: the model; it is not changed.
        ids: the text.
        cells: pairs (layer, unit), all clamped at the same time.
        value: the value of the signal that clamping holds, or ``mean``: each cell's own mean over the text.
        mask: (N + 1,) where a hypothesis holds, to compare inside with outside.
        controls: how many random choices of other cells of the same layers to clamp in the same way.
        seed: of this choice and of the bootstrap.
        most: how many characters to read. A longer text is read in stretches that are spread over it.
        most_compared: how many characters to read for each comparison with the controls. It becomes ``most`` if of so
            few characters less than a hundredth is inside the mask, or outside.
        progress: called with the characters read in all passes, and how many there will be.

    Raises:
        ConfigError: a cell does not exist or is named twice, the text is too short, the mask has another length than
            the text, or ``value`` is neither a number nor ``mean``.
    """
    cells = [(int(layer), int(unit)) for layer, unit in cells]
    require_cells(network, cells)
    _require_once(cells, "cell")
    if not (value == "mean" or isinstance(value, int | float)):
        raise ConfigError(f"cells are clamped at a number or at their mean, not at {value!r}")

    generator = np.random.default_rng(seed)
    others = _random_cells(network, cells, controls, generator)
    seen = [*cells, *(cell for other in others for cell in other)]
    return _measure(
        network, ids, mask, _Changes(cells, others, seen, value, clamp), (most, most_compared), generator, progress
    )


def ablate_heads(
    network: Network,
    ids: np.ndarray,
    heads: Sequence[Head],
    mask: np.ndarray | None = None,
    *,
    controls: int = 20,
    seed: int = 0,
    most: int = MOST,
    most_compared: int = MOST_COMPARED,
    progress: ProgressCallback = no_progress,
) -> Ablation:
    """Silence ``heads`` of a Transformer while it reads ids (N + 1,), and measure what that costs.

    It is :func:`ablate` with pairs (layer, head) in place of cells; they have no means. The ``controls`` are other
    heads of the network, of any layer.

    Raises:
        ConfigError: the network has no attention, a head does not exist or is named twice, the text is too short, or
            the mask has another length than the text.
    """
    heads = [(int(layer), int(head)) for layer, head in heads]
    require_heads(network, heads)
    _require_once(heads, "head")
    generator = np.random.default_rng(seed)
    layers, number, _ = require_attention(network)
    rest = [head for head in np.ndindex(layers, number) if head not in heads]
    others = _random_groups(rest, len(heads), controls, generator)

    return _measure(
        network, ids, mask, _Changes(heads, others, [], 0.0, silence), (most, most_compared), generator, progress
    )


def _require_once(chosen: Sequence[Cell], kind: str) -> None:
    if not chosen or len(set(chosen)) < len(chosen):
        raise ConfigError(f"give one {kind} or several, each once")


def _random_groups(rest: list[Head], size: int, count: int, generator: np.random.Generator) -> list[list[Head]]:
    """Random choices of ``size`` among the ``rest``; a single one is chosen only once."""
    if size == 1:
        return [[rest[place]] for place in generator.permutation(len(rest))[:count]]
    if len(rest) < size:
        return []
    return [[rest[place] for place in generator.choice(len(rest), size, replace=False)] for _ in range(count)]


class _Changes(NamedTuple):
    """What is done to a network: to ``chosen`` cells or heads, and to each of ``others`` for comparison.

    They are held at ``value``, a number or their ``mean``; ``edit(network, values)`` is the network with this. Means
    are taken of the cells ``seen``.
    """

    chosen: Sequence[Cell]
    others: Sequence[Sequence[Cell]]
    seen: Sequence[Cell]
    value: float | str
    edit: Callable[[Network, Mapping[Cell, float]], Network]


def _measure(
    network: Network,
    ids: np.ndarray,
    mask: np.ndarray | None,
    changes_made: _Changes,
    limits: tuple[int, int],
    generator: np.random.Generator,
    progress: ProgressCallback,
) -> Ablation:
    """The costs of changes; ``limits`` are the most characters to read, and the most for each comparison."""
    cells, others, seen, value, edit = changes_made
    if len(ids) < 2:
        raise ConfigError("there is nothing to predict in fewer than 2 characters")
    if mask is not None and len(mask) != len(ids):
        raise ConfigError(f"the mask has {len(mask):,} values, the text {len(ids):,} characters")
    scored = len(ids) - 1
    most, few = min(scored, limits[0]), min(scored, *limits)
    if mask is not None and few < most:
        counted = ReadingWindows(scored, most=few, warm_up=network.warm_up)
        inside = sum(int(np.count_nonzero(mask[places[own]])) for places, own in counted)
        if min(inside, few - inside) < few * ENOUGH:
            few = most
    # On fewer characters, the free network and the chosen cells are read again: like is compared with like.
    again = bool(others) and few < most
    block, done, work = int(np.clip(scored // 100, 100, BLOCK)), 0, 2 * most + (len(others) + 2 * again) * few

    def read(network: Network, most: int, cells: Sequence[Cell] = ()) -> tuple[LossSums, np.ndarray]:
        nonlocal done
        found = sum_losses(network, ids, mask, block, cells, most, lambda now, _: progress(done + now, work))
        done += int(found[0].count.sum())
        return found

    free, means = read(network, most, seen)
    weight = free.count.sum(axis=0) / free.count.sum()
    whole = dict(zip(seen, np.nansum(means * weight, axis=1), strict=True))
    outside_means, inside_means = (dict(zip(cells, map(float, column), strict=False)) for column in means.T)

    def values_of(cells: Sequence[Cell]) -> dict[Cell, float]:
        return {cell: float(whole[cell] if value == "mean" else value) for cell in cells}

    values = values_of(cells)
    after, _ = read(edit(network, values), most)
    join = blocks_to_join(free, after)
    overall, outside, inside, contrast = changes(free, after, generator, join)
    base = read(network, few)[0] if again else free

    def effect(chosen: Sequence[Cell]) -> ClampingEffect:
        after, _ = read(edit(network, values_of(chosen)), few)
        overall, *_, contrast = _differences((after.loss - base.loss).sum(axis=0), base.count.sum(axis=0))
        return ClampingEffect(tuple(chosen), float(overall), float(contrast))

    return Ablation(
        values=values,
        characters=int(free.count.sum()),
        text_characters=scored,
        block=block * join,
        loss=free.mean,
        overall=overall,
        inside=inside,
        outside=outside,
        contrast=contrast,
        share=float(weight[1]),
        symbols=_symbol_losses(free, after),
        mean_inside=inside_means,
        mean_outside=outside_means,
        compared=effect(cells) if again else ClampingEffect(tuple(cells), overall.value, contrast.value),
        controls=[effect(other) for other in others],
        compared_characters=int(base.count.sum()),
    )


def _random_cells(
    network: Network, cells: Sequence[Cell], count: int, generator: np.random.Generator
) -> list[list[Cell]]:
    """Random choices of as many other cells in the same layers as ``cells`` has; a single cell is chosen only once."""
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


@dataclass(frozen=True)
class LossSums:
    """Sums of a network's losses on a text, in nats, outside (column 0) and inside (column 1) of a mask.

    ``loss`` and ``count`` (K, 2) are sums by block, ``symbol_loss`` and ``symbol_count`` (V, 2) by target character.
    """

    loss: np.ndarray
    count: np.ndarray
    symbol_loss: np.ndarray
    symbol_count: np.ndarray

    @property
    def mean(self) -> float:
        """Nats per character over the whole text."""
        return float(self.loss.sum() / self.count.sum())


def sum_losses(
    network: Network,
    ids: np.ndarray,
    mask: np.ndarray | None = None,
    block: int = BLOCK,
    cells: Sequence[Cell] = (),
    most: int | None = None,
    progress: ProgressCallback = no_progress,
) -> tuple[LossSums, np.ndarray]:
    """Score ids (N + 1,) in several batch rows at once and keep sums only.

    At most ``most`` targets are scored, in stretches spread over the text. ``progress`` is called with the targets
    scored and the number of all that will be scored.

    Returns:
        The sums, and the means of the signal that clamping holds, (len(cells), 2), of ``cells`` outside and inside.
    """
    scored = len(ids) - 1
    windows = ReadingWindows(scored, most=most, warm_up=network.warm_up)
    symbols, blocks = network.config.vocabulary, -(-scored // block)
    state = network.initial_state(windows.batch)
    sums = LossSums(*np.zeros((2, blocks, 2)), *np.zeros((2, symbols, 2)))
    means = np.zeros((len(cells), 2))
    done = 0
    for places, own in windows:
        y = np.asarray(ids[places + 1], np.int32)
        losses = network.losses(np.asarray(ids[places], np.int32), y, state)[own]
        inside = np.zeros(len(losses), int) if mask is None else np.asarray(mask[places[own]], bool).astype(int)
        _add_losses(sums.loss, sums.count, places[own] // block, inside, losses)
        _add_losses(sums.symbol_loss, sums.symbol_count, y[own], inside, losses)
        if cells:
            signal = network.signal(network.cell.clamped)[own]
            for number, (layer, unit) in enumerate(cells):
                means[number] += np.bincount(inside, signal[:, layer, unit], 2)
        done += len(losses)
        progress(done, scored if most is None else min(scored, most))
    with np.errstate(invalid="ignore"):
        return sums, means / sums.count.sum(axis=0)


def _add_losses(sums: np.ndarray, counts: np.ndarray, rows: np.ndarray, inside: np.ndarray, losses: np.ndarray) -> None:
    """Add losses (n,) to ``sums`` (R, 2) and their number to ``counts`` (R, 2), each at its row and column."""
    place = 2 * rows + inside
    sums += np.bincount(place, losses, sums.size).reshape(sums.shape)
    counts += np.bincount(place, minlength=counts.size).reshape(counts.shape)


def blocks_to_join(before: LossSums, after: LossSums) -> int:
    """How many neighbouring blocks must be joined, because what they lose changes slowly along the text; 1 for none.

    It is twice the autocorrelation time of what a block lost beyond the mean, unless chance may explain that time.
    """
    lost, count = _lost(before, after)
    beyond = lost - count * lost.sum(axis=0) / np.maximum(count.sum(axis=0), 1)
    time = max(map(autocorrelation_time, beyond.T))
    return math.ceil(2 * time) if is_slow(time, len(lost)) else 1


def changes(before: LossSums, after: LossSums, generator: np.random.Generator, join: int = 1) -> list[Change]:
    """The change overall, outside, inside, and inside minus outside, with intervals from a bootstrap of whole blocks.

    Neighbouring characters are not independent, but blocks of them nearly are, if ``join`` neighbouring blocks become
    one. K blocks that do not overlap (Carlstein 1986) are drawn with replacement; each statistic of a draw is a ratio
    of sums. The intervals are percentile intervals (Efron & Tibshirani 1993, section 13.3).
    """
    lost, count = _lost(before, after)
    starts = np.arange(0, len(lost), join)
    lost, count = np.add.reduceat(lost, starts), np.add.reduceat(count, starts)
    blocks = len(lost)
    values = _differences(lost.sum(axis=0), count.sum(axis=0))
    if blocks < LEAST_BLOCKS:
        return [Change(float(value), np.nan, np.nan) for value in values]
    resampled, at_once = [], max(1, _NUMBERS_AT_ONCE // blocks)
    for start in range(0, RESAMPLES, at_once):
        # How often each block is drawn (draws, K).
        times = generator.multinomial(blocks, np.full(blocks, 1 / blocks), min(at_once, RESAMPLES - start))
        resampled.append(_differences(times @ lost, times @ count))
    bounds = [_interval(column) for column in np.concatenate(resampled).T]
    return [Change(float(value), *bound) for value, bound in zip(values, bounds, strict=True)]


def _lost(before: LossSums, after: LossSums) -> tuple[np.ndarray, np.ndarray]:
    """Nats lost, and characters, (K, 2) of the blocks that were read."""
    read = before.count.sum(axis=1) > 0
    return (after.loss - before.loss)[read], before.count[read]


def _differences(lost: np.ndarray, count: np.ndarray) -> np.ndarray:
    """From sums (…, 2) outside and inside: mean loss (…, 4) overall, outside, inside, inside minus outside."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means = lost / np.where(count > 0, count, np.nan)
    outside, inside = means[..., 0], means[..., 1]
    return np.stack([lost.sum(axis=-1) / count.sum(axis=-1), outside, inside, inside - outside], axis=-1)


def _interval(values: np.ndarray) -> tuple[float, float]:
    """The confidence interval of resampled ``values``; NaN means that a resample had no character inside."""
    values = values[np.isfinite(values)]
    tails = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    return tuple(np.quantile(values, tails).tolist()) if len(values) else (np.nan, np.nan)


def _symbol_losses(before: LossSums, after: LossSums) -> list[SymbolLoss]:
    """All characters that occur, inside and outside of the mask separately; the largest sum of lost nats first."""
    count, old, new = before.symbol_count.ravel(), before.symbol_loss.ravel(), after.symbol_loss.ravel()
    return [
        SymbolLoss(int(k // 2), bool(k % 2), int(count[k]), float(old[k] / count[k]), float(new[k] / count[k]))
        for k in np.argsort(old - new, kind="stable")
        if count[k]
    ]
