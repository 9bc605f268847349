"""Similar places: the cells that are on during a span of text and off around it, and where else they are on.

Selection and matching follow LSTMVis (Strobelt et al. 2018), with two changes. A cell far below zero counts as on as
much as a cell far above, because the sign of a cell is an accident of its training. And the first and last ``SLACK``
characters of a span do not count: a cell that keeps track of quotations is off once the closing mark has been read.

Legend: N characters, C cells of all layers, S the on-set of the span, R the on-set of another place. Places are ranked
by |S ∩ R| / |S ∪ R|.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inspection.clamping import Cell
from charrnn.model.reading import shown_values
from charrnn.network.network import Network
from charrnn.records import ProgressCallback, no_progress
from charrnn.text.windows import ReadingWindows

SLACK = 1
LONGEST = 2000  # characters of a span
LEVELS = (1.0, 0.8, 0.6)  # a candidate is where this part of the on-set is on
CANDIDATES = 256  # places that are compared cell by cell
LARGEST = 2**24  # numbers in memory meanwhile


@dataclass(frozen=True)
class OnSet:
    """The K ``cells`` (layer, unit) that are on from ``start`` to ``stop`` - 1, the furthest from zero first.

    ``above`` (K,) bool says whether a cell is above zero, ``values`` (K,) float32 are the cells' means over the span.
    """

    start: int
    stop: int
    signal: str
    threshold: float
    cells: list[Cell]
    above: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class SimilarPlace:
    """A place where ``shared`` cells of the on-set are on with the same sign, and ``extra`` other cells are on."""

    start: int
    stop: int
    score: float
    shared: int
    extra: int


def on_set(
    network: Network, ids: np.ndarray, start: int, stop: int, threshold: float = 0.5, signal: str | None = None
) -> OnSet:
    """Find the cells that are on at all characters ``start`` to ``stop`` - 1 of ids (N,), and off before and after.

    A cell is on where its signal (c through tanh) is ``threshold`` or more away from zero.

    Raises:
        ConfigError: the span is not in the text or too long, there is no such signal, the threshold is out of range.
    """
    signal = network.cell.signal(signal).name
    if not 0 <= start < stop <= len(ids):
        raise ConfigError(f"characters {start:,} to {stop:,} are no span of a text of {len(ids):,}")
    if stop - start > LONGEST:
        raise ConfigError(f"a span of {stop - start:,} characters is too long: select at most {LONGEST:,}")
    if not 0 < threshold < 1:
        raise ConfigError(f"the threshold must be between 0 and 1, not {threshold:g}")
    ((sign, mean),) = _signs_and_means(network, ids, [(start, stop)], threshold, signal)
    chosen = np.flatnonzero(sign)
    chosen = chosen[np.argsort(-np.abs(mean[chosen]), kind="stable")]
    units = network.config.hidden
    cells = [(cell // units, cell % units) for cell in chosen.tolist()]
    return OnSet(start, stop, signal, threshold, cells, sign[chosen] > 0, mean[chosen])


def similar(
    network: Network, ids: np.ndarray, wanted: OnSet, count: int = 10, progress: ProgressCallback = no_progress
) -> list[SimilarPlace]:
    """The ``count`` places of ids (N,) that are most like the span of ``wanted``, the most similar first.

    The span itself is left out. The text is read twice: first in several batch rows at once, to count at every
    character how many cells of the on-set are on (two bytes a character); then only the candidates, where most of these
    cells are on for half to twice as long as in the span, are read and compared cell by cell.

    Raises:
        ConfigError: no cell is in the on-set.
    """
    if not wanted.cells:
        raise ConfigError("no cell is on throughout the span and off around it: lower --threshold or choose another")
    candidates = _candidates(_count_on(network, ids, wanted, progress), wanted)
    units, found = network.config.hidden, []
    signs = np.zeros(network.config.layers * units, np.int8)
    signs[[layer * units + unit for layer, unit in wanted.cells]] = np.where(wanted.above, 1, -1)
    compared = _signs_and_means(network, ids, candidates, wanted.threshold, wanted.signal)
    for (start, stop), (sign, _) in zip(candidates, compared, strict=True):
        shared = int(np.count_nonzero((sign == signs) & (signs != 0)))
        extra = int(np.count_nonzero(sign)) - shared
        found.append(SimilarPlace(start, stop, shared / (len(wanted.cells) + extra), shared, extra))
    length = wanted.stop - wanted.start
    found.sort(key=lambda place: (-place.score, abs(place.stop - place.start - length), place.start))
    return [place for place in found if place.shared][:count]


def _count_on(network: Network, ids: np.ndarray, wanted: OnSet, progress: ProgressCallback) -> np.ndarray:
    """How many cells of the on-set are on after each character (N,) uint16."""
    windows = ReadingWindows(len(ids), progress=progress, warm_up=network.warm_up)
    state, count = network.initial_state(windows.batch), np.zeros(len(ids), np.uint16)
    columns = [layer * network.config.hidden + unit for layer, unit in wanted.cells]
    direction = np.where(wanted.above, np.float32(1), np.float32(-1))
    for at, own in windows:
        network.read(np.asarray(ids[at], np.int32), state)
        values = _values(network, wanted.signal)[:, :, columns] * direction
        count[at[own]] = np.count_nonzero(values >= wanted.threshold, axis=2)[own]
    return count


def _candidates(count: np.ndarray, wanted: OnSet) -> list[tuple[int, int]]:
    """Spans where most of the on-set is on, for about as long as in the wanted span; the largest part of it first.

    ``count`` (N,) says how many cells of the on-set are on after each character.
    """
    size, characters = len(wanted.cells), len(count)
    on = np.flatnonzero(count[wanted.start : wanted.stop] == size)
    # In the wanted span, all cells are on after ``lead`` characters and until ``tail`` characters before its end. A
    # candidate is extended by as much.
    lead, tail = (on[0], wanted.stop - wanted.start - 1 - on[-1]) if len(on) else (0, 0)
    length = wanted.stop - wanted.start - lead - tail
    taken = np.zeros(characters, bool)
    taken[wanted.start : wanted.stop] = True
    found: list[tuple[int, int]] = []
    for level in LEVELS:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], count >= np.ceil(level * size), [False]])))
        runs = edges.reshape(-1, 2)
        sizes = runs[:, 1] - runs[:, 0]
        similar = (2 * sizes >= length) & (sizes <= 2 * length)
        runs, unlike = runs[similar], np.abs(np.log(sizes[similar] / length))
        for start, stop in runs[np.argsort(unlike, kind="stable")].tolist():
            if len(found) == CANDIDATES:
                return found
            if not taken[start:stop].any():
                taken[start:stop] = True
                found.append((max(start - int(lead), 0), min(stop + int(tail), characters)))
    return found


def _signs_and_means(
    network: Network, ids: np.ndarray, spans: list[tuple[int, int]], threshold: float, signal: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for each span (start, stop) the cells that are on, 1 above zero and -1 below, else 0 (C,); and means (C,).

    Each span is read in its own batch row, after the characters of the warm-up before it.
    """
    warm_up = network.warm_up
    steps = warm_up + 2 + max((stop - start for start, stop in spans), default=0)
    cells = network.config.layers * network.config.hidden
    at_once = max(1, min(32, LARGEST // (steps * cells)))
    for first in range(0, len(spans), at_once):
        group = spans[first : first + at_once]
        begins = np.array([max(start - 1 - warm_up, 0) for start, _ in group])
        x = np.minimum(begins + np.arange(steps)[:, None], len(ids) - 1)
        network.read(np.ascontiguousarray(ids[x], np.int32), network.initial_state(len(group)))
        values = _values(network, signal)
        for b, (start, stop) in enumerate(group):
            begin = int(begins[b])
            yield _sign_and_mean(values[:, b], start - begin, stop - begin, threshold, stop < len(ids))


def _sign_and_mean(
    values: np.ndarray, start: int, stop: int, threshold: float, has_next: bool
) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`_signs_and_means`, for one span in the values (T, C) of one batch row.

    ``has_next`` says whether the text has a character at ``stop``.
    """
    core = values[start + SLACK : stop - SLACK] if stop - start > 2 * SLACK else values[start:stop]
    mean = core.mean(axis=0)
    sign = np.where(mean >= 0, 1, -1).astype(np.int8)
    on = (core * sign >= threshold).all(axis=0)
    if start:
        on &= values[start - 1] * sign < threshold
    if has_next:
        on &= values[stop] * sign < threshold
    return np.where(on, sign, 0).astype(np.int8), mean


def _values(network: Network, signal: str) -> np.ndarray:
    """The signal (T, B, C) of the window that was read last, as it is shown."""
    values = network.signal(signal)
    return shown_values(network.cell.signal(signal), values.reshape(*values.shape[:2], -1))
