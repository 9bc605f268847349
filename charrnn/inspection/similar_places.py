"""Similar moments: the cells that are on during a span of text and off around it, and where else they are.

The selection and the matching are those of LSTMVis (Strobelt et al. 2018), with two changes. A
cell that is far below zero is as much on as one far above, since the sign of a cell is an accident of its training. And
the first and the last ``SLACK`` characters of a span decide nothing: a quotation's cell is off once the closing mark
has been read.

Legend: N characters, C cells of all layers, S the on-set of the span, R that of another place. Places are ranked by
|S ∩ R| / |S ∪ R|.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inspection.reading import SIGNALS
from charrnn.network.network import Network
from charrnn.text.windows import WARM_UP, ReadingWindows

SLACK = 1
LONGEST = 2000  # characters of a span
LEVELS = (1.0, 0.8, 0.6)  # parts of the on-set that must be on for a place to be looked at
POOL = 256  # places that are looked at closely
LARGEST = 2**24  # numbers in memory while they are
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class OnSet:
    """The cells (layer, unit) that are on from ``start`` to ``stop``, whether ``above`` zero or below, and their means.

    They come in the order of their distance from zero, the furthest first.
    """

    start: int
    stop: int
    signal: str
    threshold: float
    cells: list[tuple[int, int]]
    above: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Moment:
    """A place where ``shared`` cells of the on-set are on in the same way, and ``extra`` others."""

    start: int
    stop: int
    score: float
    shared: int
    extra: int


def on_set(
    network: Network, ids: np.ndarray, start: int, stop: int, threshold: float = 0.5, signal: str = "c"
) -> OnSet:
    """The cells that are on all through characters ``start`` to ``stop`` of ids (N,), and off before and behind.

    A cell is on where its signal, of c tanh(c), is ``threshold`` or more from zero.

    Raises:
        ConfigError: the span is not in the text or too long, there is no such signal, the threshold is out of range.
    """
    if signal not in SIGNALS:
        raise ConfigError(f"signal must be one of {', '.join(SIGNALS)}, not {signal!r}")
    if not 0 <= start < stop <= len(ids):
        raise ConfigError(f"characters {start:,} to {stop:,} are no span of a text of {len(ids):,}")
    if stop - start > LONGEST:
        raise ConfigError(f"a span of {stop - start:,} characters is too long: select at most {LONGEST:,}")
    if not 0 < threshold < 1:
        raise ConfigError(f"the threshold must be between 0 and 1, not {threshold:g}")
    ((sign, mean),) = _states(network, ids, [(start, stop)], threshold, signal)
    chosen = np.flatnonzero(sign)
    chosen = chosen[np.argsort(-np.abs(mean[chosen]), kind="stable")]
    units = network.config.hidden
    cells = [(int(cell // units), int(cell % units)) for cell in chosen]
    return OnSet(start, stop, signal, threshold, cells, sign[chosen] > 0, mean[chosen])


def similar(
    network: Network, ids: np.ndarray, wanted: OnSet, count: int = 10, progress: Progress | None = None
) -> list[Moment]:
    """The ``count`` places of ids (N,) most like the span of ``wanted``, itself left out; the likest first.

    The text is read twice: in batch rows, to count at every character how many cells of the on-set are on, which takes
    two bytes a character; then closely, where most of them are for a time half to twice as long as in the span.

    Raises:
        ConfigError: no cell is in the on-set.
    """
    if not wanted.cells:
        raise ConfigError("no cell is on throughout the span and off around it: lower --threshold or choose another")
    together = _together(network, ids, wanted, progress)
    places = _candidates(together, wanted)
    units, found = network.config.hidden, []
    signs = np.zeros(network.config.layers * units, np.int8)
    signs[[layer * units + unit for layer, unit in wanted.cells]] = np.where(wanted.above, 1, -1)
    for (start, stop), (sign, _) in zip(
        places, _states(network, ids, places, wanted.threshold, wanted.signal), strict=True
    ):
        shared = int(np.count_nonzero((sign == signs) & (signs != 0)))
        extra = int(np.count_nonzero(sign)) - shared
        found.append(Moment(start, stop, shared / (len(wanted.cells) + extra), shared, extra))
    length = wanted.stop - wanted.start
    found.sort(key=lambda moment: (-moment.score, abs(moment.stop - moment.start - length), moment.start))
    return [moment for moment in found if moment.shared][:count]


def _values(network: Network, signal: str) -> np.ndarray:
    """The signal (T, B, C) of the window that was read last."""
    values = network.signal(signal)
    values = values.reshape(*values.shape[:2], -1)
    return np.tanh(values) if signal == "c" else values


def _together(network: Network, ids: np.ndarray, wanted: OnSet, progress: Progress | None) -> np.ndarray:
    """How many cells of the on-set are on after each character (N,) uint16."""
    windows, done = ReadingWindows(len(ids)), 0
    state, count = network.initial_state(windows.batch), np.zeros(len(ids), np.uint16)
    columns = [layer * network.config.hidden + unit for layer, unit in wanted.cells]
    direction = np.where(wanted.above, np.float32(1), np.float32(-1))
    for at, own in windows:
        network.read(np.asarray(ids[at], np.int32), state)
        values = _values(network, wanted.signal)[:, :, columns] * direction
        count[at[own]] = np.count_nonzero(values >= wanted.threshold, axis=2)[own]
        done += len(at)
        if progress is not None:
            progress(done, windows.length)
    return count


def _candidates(together: np.ndarray, wanted: OnSet) -> list[tuple[int, int]]:
    """Spans where most of the on-set is on for a time like that of the span, those with most first."""
    size, characters = len(wanted.cells), len(together)
    on = np.flatnonzero(together[wanted.start : wanted.stop] == size)
    # A span that is found begins and ends by as much before and behind the time that its cells are on.
    lead, tail = (on[0], wanted.stop - wanted.start - 1 - on[-1]) if len(on) else (0, 0)
    length = wanted.stop - wanted.start - lead - tail
    taken = np.zeros(characters, bool)
    taken[wanted.start : wanted.stop] = True
    found: list[tuple[int, int]] = []
    for level in LEVELS:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], together >= np.ceil(level * size), [False]])))
        runs = edges.reshape(-1, 2)
        sizes = runs[:, 1] - runs[:, 0]
        similar = (2 * sizes >= length) & (sizes <= 2 * length)
        runs, unlike = runs[similar], np.abs(np.log(sizes[similar] / length))
        for start, stop in runs[np.argsort(unlike, kind="stable")].tolist():
            if len(found) == POOL:
                return found
            if not taken[start:stop].any():
                taken[start:stop] = True
                found.append((max(start - int(lead), 0), min(stop + int(tail), characters)))
    return found


def _states(
    network: Network, ids: np.ndarray, spans: list[tuple[int, int]], threshold: float, signal: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each span (start, stop), which cells are on throughout and off around (C,): 1, -1 or 0; and means (C,)."""
    steps = WARM_UP + 2 + max((stop - start for start, stop in spans), default=0)
    cells = network.config.layers * network.config.hidden
    at_once = max(1, min(32, LARGEST // (steps * cells)))
    for first in range(0, len(spans), at_once):
        group = spans[first : first + at_once]
        begins = np.array([max(start - 1 - WARM_UP, 0) for start, _ in group])
        x = np.minimum(begins + np.arange(steps)[:, None], len(ids) - 1)
        network.read(np.ascontiguousarray(ids[x], np.int32), network.initial_state(len(group)))
        values = _values(network, signal)
        for b, (start, stop) in enumerate(group):
            begin = int(begins[b])
            yield _on(values[:, b], start - begin, stop - begin, threshold, stop < len(ids))


def _on(values: np.ndarray, start: int, stop: int, threshold: float, followed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Which cells of one batch row's values (T, C) are on from ``start`` to ``stop`` and off around; their means."""
    core = values[start + SLACK : stop - SLACK] if stop - start > 2 * SLACK else values[start:stop]
    mean = core.mean(axis=0)
    sign = np.where(mean >= 0, 1, -1).astype(np.int8)
    on = (core * sign >= threshold).all(axis=0)
    if start:
        on &= values[start - 1] * sign < threshold
    if followed:
        on &= values[stop] * sign < threshold
    return np.where(on, sign, 0).astype(np.int8), mean
