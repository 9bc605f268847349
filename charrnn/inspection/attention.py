"""Where the heads of a Transformer look while it reads a text: their weights, and what each head does on average.

Legend: L layers, N heads of a layer, C the context: a head looks at a character and the C - 1 before it.  Weights are
kept by distance: column j belongs to the character j places back.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inspection.head_patterns import PATTERNS, HeadPattern
from charrnn.inspection.heads import Head, require_attention, require_heads
from charrnn.inspection.passage import EncodedText
from charrnn.inspection.reading import CONTEXT, LARGEST, stretch
from charrnn.model import Model
from charrnn.network.network import Network
from charrnn.records import ProgressCallback, in_steps, no_progress
from charrnn.text.windows import ReadingWindows

MOST = 1 << 16  # characters that a summary reads
LEAST = 0.1  # the least strength, see :func:`strength`, with which a head gets the name of a pattern
LEAST_PLACES = 0.01  # the part of the characters at which a pattern has a place, for it to name a head
_AT_ONCE = 1 << 24  # weights of a window, at most
_BATCH, _STEPS = 32, 64


@dataclass(frozen=True, eq=False)
class AttentionReading:
    """What every head looked at while T characters were read.

    ``weights`` (T, L, N, C) float32 are by distance; those of a head at a place add up to 1. ``text`` has the T
    characters, ``before`` up to C - 1 characters before them.
    """

    text: str
    before: str
    weights: np.ndarray

    def matrix(self, head: Head) -> np.ndarray:
        """The weights of a head (T, 1 + T) by character: column 0 is the sum over ``before``, column 1 + n is n."""
        steps, context = len(self.text), self.weights.shape[3]
        by_distance = self.weights[:, head[0], head[1]]
        found = np.zeros((steps, 1 + steps), np.float32)
        for row in range(steps):
            near = min(row + 1, context)
            found[row, row + 2 - near : row + 2] = by_distance[row, :near][::-1]
            found[row, 0] = by_distance[row, near:].sum()
        return found

    def looked_at(self, place: int) -> tuple[str, np.ndarray]:
        """The characters up to ``place`` that a head can look at, K <= C, and their weights (K, L, N)."""
        text = self.before + self.text[: place + 1]
        count = min(len(text), self.weights.shape[3])
        return text[len(text) - count :], self.weights[place, :, :, :count].transpose(2, 0, 1)[::-1]


def read_attention(
    model: Model, ids: np.ndarray, offset: int = 0, length: int | None = None, progress: ProgressCallback = no_progress
) -> AttentionReading:
    """Read ``length`` characters of ids (N,) from ``offset`` on, after the characters before them that have an effect.

    Raises:
        ConfigError: there is nothing to read, the model has no attention, or the weights would need more than a
            gigabyte.
    """
    layers, heads, context = require_attention(model.network)
    network, (part, lead) = model.network, _with_lead(model.network, ids, offset, length)
    each, count = layers * heads * context, len(part) - lead
    if count * each > LARGEST:
        raise ConfigError(
            f"the attention of {count:,} characters is too much: give a --length up to {LARGEST // each:,}"
        )
    part, state = np.asarray(part, np.int32), network.initial_state(1)
    weights = np.empty((count, layers, heads, context), np.float32)
    for first, last in in_steps(len(part), _steps(network), progress):
        network.read(part[first:last, None], state)
        own = max(first, lead)
        if own < last:
            for layer in range(layers):
                weights[own - lead : last - lead, layer] = network.attention_weights(layer)[own - first :, 0]
    text = model.vocabulary.characters(part)
    return AttentionReading(text[lead:], text[max(lead - context + 1, 0) : lead], weights)


def _with_lead(network: Network, ids: np.ndarray, offset: int, length: int | None) -> tuple[np.ndarray, int]:
    """The part of ids (N,) with the ids before it that have an effect on it, and how many ids these are; a view."""
    layers, _, context = require_attention(network)
    return stretch(ids, offset, length, max(CONTEXT, layers * context))


class Places:
    """The places of a text that are read, at most ``most``, in stretches spread over it, and where patterns point.

    ``at`` (M,) are the places in order, ``backs`` (K, M) how many places back the characters lie that K patterns name,
    -1 where there is none within the context.
    """

    def __init__(self, model: Model, ids: np.ndarray, patterns: Sequence[HeadPattern], most: int):
        self._network, self._ids, self._most = model.network, ids, most
        context = require_attention(model.network)[2]
        self.at = np.sort(np.concatenate([at[own] for at, own in self._windows()]))
        text = EncodedText(model.vocabulary, ids)
        ends = np.append(np.flatnonzero(np.diff(self.at) > 1), len(self.at) - 1)
        bounds = zip(self.at[np.append(0, ends[:-1] + 1)].tolist(), (self.at[ends] + 1).tolist(), strict=True)
        found = [[text.label(each.back, *bound) for each in patterns] for bound in bounds]
        self.backs = np.concatenate(found, axis=1)
        self.backs[self.backs >= context] = -1

    def read(self, progress: ProgressCallback = no_progress) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Read the text in several batch rows; yield numbers (n,) of places and weights (n, L, N, C), each once."""
        layers = range(self._network.config.layers)
        for at, own in _read_windows(self._network, self._ids, self._windows(progress)):
            weights = [self._network.attention_weights(layer)[own] for layer in layers]
            yield np.searchsorted(self.at, at), np.stack(weights, axis=1)

    def _windows(self, progress: ProgressCallback = no_progress) -> ReadingWindows:
        return _windows(self._network, len(self._ids), self._most, progress)


def _windows(
    network: Network, characters: int, most: int | None = None, progress: ProgressCallback = no_progress
) -> ReadingWindows:
    """Windows over a text, of which the weights of all heads have room in memory."""
    steps = _steps(network)
    batch = _AT_ONCE // (math.prod(require_attention(network)) * steps)
    return ReadingWindows(characters, max(1, min(_BATCH, batch)), steps, most, progress, warm_up=network.warm_up)


def _steps(network: Network) -> int:
    """How many characters of one batch row are read at a time."""
    return max(1, min(_STEPS, _AT_ONCE // math.prod(require_attention(network))))


def _read_windows(
    network: Network, ids: np.ndarray, windows: ReadingWindows
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read ``windows`` of ids (N,); yield the places that count in each (n,), and where they are in it (T, B) bool."""
    state = network.initial_state(windows.batch)
    for at, own in windows:
        network.read(np.ascontiguousarray(ids[at], np.int32), state)
        yield at[own], own


def strongest(
    model: Model,
    ids: np.ndarray,
    heads: Sequence[Head],
    offset: int = 0,
    length: int | None = None,
    count: int = 6,
    progress: ProgressCallback = no_progress,
) -> tuple[np.ndarray, np.ndarray]:
    """The characters that K ``heads`` look at most while ``length`` characters from ``offset`` on are read.

    Returns:
        How many places back they are (N, K, count) int32, and their weights (N, K, count) float32, the largest first;
        0 where there is no further character.

    Raises:
        ConfigError: the model has no attention, there is no such head, or nothing to read.
    """
    network, (part, lead) = model.network, _with_lead(model.network, ids, offset, length)
    require_heads(network, heads)
    count = min(count, require_attention(network)[2])
    backs = np.zeros((len(part) - lead, len(heads), count), np.int32)
    found = np.zeros(backs.shape, np.float32)
    for at, own in _read_windows(network, part, _windows(network, len(part), None, progress)):
        wanted = at >= lead
        for layer in {layer for layer, _ in heads}:
            weights = network.attention_weights(layer)[own][wanted]
            for number in (number for number, head in enumerate(heads) if head[0] == layer):
                of_head = weights[:, heads[number][1]]
                best = np.argsort(-of_head, axis=1, kind="stable")[:, :count]
                backs[at[wanted] - lead, number] = best
                found[at[wanted] - lead, number] = np.take_along_axis(of_head, best, axis=1)
    backs[found == 0] = 0
    return backs, found


class HeadSums:
    """Sums over places of what heads look at: by distance, and at the characters that patterns name."""

    def __init__(self, patterns: int, layers: int, heads: int, context: int):
        self.characters = 0
        self.by_distance = np.zeros((layers, heads, context))
        self.entropy = np.zeros((layers, heads))
        self.weight = np.zeros((patterns, layers, heads))
        self.distances = np.zeros((patterns, context), np.int64)  # how often a pattern names this distance
        self.histories = np.zeros(context, np.int64)  # how often so many earlier characters could be looked at

    def add(self, at: np.ndarray, weights: np.ndarray, backs: np.ndarray) -> None:
        """Add places ``at`` (n,) with weights (n, L, N, C) and the patterns' distances (K, n)."""
        context = weights.shape[3]
        self.characters += len(at)
        self.by_distance += weights.sum(axis=0, dtype=np.float64)
        logarithms = np.log2(np.maximum(weights, np.float32(1e-30)))
        self.entropy -= np.einsum("nlhc,nlhc->lh", weights, logarithms, dtype=np.float64)
        self.histories += np.bincount(np.minimum(at, context - 1), minlength=context)
        for number, back in enumerate(backs):
            named = np.flatnonzero(back >= 0)
            self.weight[number] += weights[named, :, :, back[named]].sum(axis=0, dtype=np.float64)
            self.distances[number] += np.bincount(back[named], minlength=context)


@dataclass(frozen=True, eq=False)
class HeadSummary:
    """What every head looks at on average over ``characters`` of a text.

    ``by_distance`` (L, N, C) are mean weights. ``distance`` (L, N) are mean distances in characters, ``entropy`` (L, N)
    mean entropies of the weights in bits. Of each pattern by name, ``places`` says at how many characters it names one,
    and ``weight`` and ``expected`` (L, N) have the mean weight of that character, and what it would be without the
    pattern: :func:`expected_weights`.
    """

    characters: int
    by_distance: np.ndarray
    distance: np.ndarray
    entropy: np.ndarray
    places: Mapping[str, int]
    weight: Mapping[str, np.ndarray]
    expected: Mapping[str, np.ndarray]

    @property
    def heads(self) -> list[Head]:
        """All heads."""
        return [(int(layer), int(head)) for layer, head in np.ndindex(self.distance.shape)]

    def strength(self, pattern: str) -> np.ndarray:
        """How far each head follows the pattern (L, N): 0 as expected without it, 1 if it looks nowhere else.

        It is the share that goes to the pattern of the weight that is not expected there.
        """
        weight, expected = self.weight[pattern], self.expected[pattern]
        return (weight - expected) / np.maximum(1 - expected, 1e-6)

    def ranked(self) -> list[Head]:
        """All heads, the one first that follows a pattern most."""
        present = [self.strength(name) for name in self._frequent]
        if not present:
            return self.heads
        most = np.max(present, axis=0)
        return sorted(self.heads, key=lambda head: -most[head])

    @property
    def _frequent(self) -> list[str]:
        """The patterns that name a character at enough places: the mean weight of a few places says little."""
        return [name for name, places in self.places.items() if places >= max(1, LEAST_PLACES * self.characters)]

    def best(self, head: Head) -> str | None:
        """The pattern that a head follows most, if by ``LEAST`` or more."""
        found = {name: self.strength(name)[head] for name in self._frequent}
        best = max(found, key=found.__getitem__, default=None)
        return best if best is not None and found[best] >= LEAST else None


def expected_weights(sums: HeadSums, patterns: Sequence[HeadPattern]) -> tuple[np.ndarray, np.ndarray]:
    """What heads would give to the patterns' characters if they knew nothing of them, and what they give: (K, L, N).

    A pattern that depends on the text is compared with the same distances at any place: a head that looks nearby gives
    much to whatever is near. A pattern that is a distance is compared with all distances alike.  NaN where a pattern
    names no character.
    """
    mean, counts = sums.by_distance / sums.characters, sums.distances.sum(axis=1)
    alike = (sums.histories / np.arange(1, len(sums.histories) + 1)).sum() / sums.characters
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = np.einsum("kc,lhc->klh", sums.distances, mean) / counts[:, None, None]
        weight = sums.weight / counts[:, None, None]
    for number, pattern in enumerate(patterns):
        if pattern.distance is not None:
            expected[number] = alike
    return expected, weight


def summarise(sums: HeadSums, patterns: Sequence[HeadPattern]) -> HeadSummary:
    """The means."""
    mean = sums.by_distance / sums.characters
    expected, weight = expected_weights(sums, patterns)
    names = [each.name for each in patterns]
    return HeadSummary(
        characters=sums.characters,
        by_distance=mean,
        distance=mean @ np.arange(mean.shape[2]),
        entropy=np.maximum(sums.entropy / sums.characters, 0),
        places=dict(zip(names, map(int, sums.distances.sum(axis=1)), strict=True)),
        weight=dict(zip(names, weight, strict=True)),
        expected=dict(zip(names, expected, strict=True)),
    )


def summary(
    model: Model,
    ids: np.ndarray,
    patterns: Sequence[HeadPattern] = PATTERNS,
    most: int = MOST,
    progress: ProgressCallback = no_progress,
) -> HeadSummary:
    """Read at most ``most`` of ids (N,), in stretches spread over the text, and say what every head looks at.

    Raises:
        ConfigError: the model has no attention, or there is nothing to read.
    """
    layers, heads, context = require_attention(model.network)
    if not len(ids):
        raise ConfigError("there is nothing to read")
    places, sums = Places(model, ids, patterns, most), HeadSums(len(patterns), layers, heads, context)
    for numbers, weights in places.read(progress):
        sums.add(places.at[numbers], weights, places.backs[:, numbers])
    return summarise(sums, patterns)
