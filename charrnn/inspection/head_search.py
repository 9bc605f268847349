"""Which heads follow a pattern of attention: all heads ranked by each pattern, with p values.

The test asks whether a head looks at the characters that a pattern names because of the text, or only because they lie
as far back as it looks anyway.  So the pattern's distances are closed to a circle, rotated and cut into blocks, and the
blocks are put in another order against the heads, as labels are in :mod:`charrnn.inspection.permutation`.  A pattern
that is the same distance everywhere would not change by this; instead each block gets a distance of its own by chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inspection.attention import HeadSummary, HeadSums, Places, summarise
from charrnn.inspection.autocorrelation import slowest_time
from charrnn.inspection.head_patterns import HeadPattern
from charrnn.inspection.heads import require_attention
from charrnn.inspection.permutation import Permuted, block_length
from charrnn.inspection.search import SHORTEST, Tested, why_no_p
from charrnn.model import Model
from charrnn.records import ProgressCallback, no_progress
from charrnn.system import memory

MOST = 1 << 15  # characters that are read
_KEPT_BYTES = 1 << 28  # of weights, two bytes each
_ONE = 65_535  # a weight of 1


@dataclass(frozen=True, eq=False)
class HeadFinding(Tested):
    """How far every head follows one pattern.

    ``weights`` (L, N) are the mean weights of the characters that the pattern names at ``places`` of the characters;
    ``expected`` (L, N) what they would be without the pattern. ``strengths`` (L, N) are 0 for a weight that is
    expected without the pattern, and 1 for a head that looks nowhere else.
    """

    pattern: HeadPattern
    weights: np.ndarray
    expected: np.ndarray
    places: int


@dataclass(frozen=True, eq=False)
class HeadFindings:
    """A finding for each pattern that names a character anywhere (``found``); ``absent`` names the other patterns.

    ``summary`` is what every head looks at on average over the characters that were read.
    """

    found: list[HeadFinding]
    absent: list[str]
    permutations: int
    summary: HeadSummary


def find_heads(
    model: Model,
    ids: np.ndarray,
    patterns: Sequence[HeadPattern],
    *,
    permutations: int = 199,
    seed: int = 0,
    most: int = MOST,
    progress: ProgressCallback = no_progress,
) -> HeadFindings:
    """Rank all heads by how far they follow each of ``patterns`` while the model reads at most ``most`` of ids (N,).

    Only characters count that have a whole context before them.

    Raises:
        ConfigError: the model has no attention, the text is too short, or no pattern names a character in it.
    """
    layers, heads, context = require_attention(model.network)
    least = max(SHORTEST, 2 * context)
    if len(ids) < least:
        raise ConfigError(f"{len(ids):,} characters are too few to test a pattern on: give {least:,} or more")
    each = layers * heads * context
    memory.require(2 * each * SHORTEST, f"the weights of {layers * heads:,} heads need", "choose a smaller model")
    places = Places(model, ids, patterns, min(most, max(SHORTEST, _KEPT_BYTES // (2 * each))))
    whole = places.at >= context - 1
    rows = np.where(whole, np.cumsum(whole) - 1, -1)
    backs = places.backs[:, whole]
    kept = np.zeros((backs.shape[1], context, layers * heads), np.uint16)
    sums = HeadSums(len(patterns), layers, heads, context)
    for numbers, weights in places.read(progress):
        own = rows[numbers] >= 0
        weights, numbers = weights[own], numbers[own]
        sums.add(places.at[numbers], weights, places.backs[:, numbers])
        levels = np.rint(weights * _ONE).astype(np.uint16)
        kept[rows[numbers]] = levels.reshape(len(numbers), layers * heads, context).transpose(0, 2, 1)
    summary = summarise(sums, patterns)
    present = [number for number, pattern in enumerate(patterns) if summary.places[pattern.name]]
    if not present:
        raise ConfigError(
            f"{', '.join(each.name for each in patterns)}: nowhere in this text within {context:,} places"
        )
    generator = np.random.default_rng(seed)
    tested = {number: _test(kept, backs[number], patterns[number], permutations, generator) for number in present}
    largest = np.max([test.largest for _, _, test in tested.values() if test is not None], axis=0, initial=-np.inf)

    def shaped(values: np.ndarray) -> np.ndarray:
        return values.reshape(layers, heads)

    found = []
    for number, (block, why, test) in tested.items():
        name, none = patterns[number].name, np.full(layers * heads, np.nan)
        found.append(
            HeadFinding(
                strengths=summary.strength(name),
                pattern=patterns[number],
                weights=summary.weight[name],
                expected=summary.expected[name],
                places=summary.places[name],
                p=shaped(none if test is None else test.p()),
                p_of_all=shaped(none if test is None else test.p(largest)),
                block=block,
                why_no_p=why,
            )
        )
    absent = [pattern.name for pattern in patterns if not summary.places[pattern.name]]
    return HeadFindings(found, absent, permutations, summary)


def _test(
    kept: np.ndarray, back: np.ndarray, pattern: HeadPattern, permutations: int, generator: np.random.Generator
) -> tuple[int | None, str | None, Permuted | None]:
    """The length of a block, and the test; or why there is none.

    ``kept`` (M, C, heads) are weights by distance in 65,535ths, ``back`` (M,) the pattern's distances.
    """
    characters = len(back)
    if pattern.distance is not None:
        block = block_length(1.0, characters)
        return block, None, _standardised(_other_distances(kept, pattern.distance, block, permutations, generator))
    time = slowest_time(back)
    why = why_no_p(back, characters / time)
    if why is not None:
        return None, why, None
    block = block_length(time, characters)
    return block, None, _standardised(_other_orders(kept, back, block, permutations, generator))


def _other_orders(
    kept: np.ndarray, back: np.ndarray, block: int, permutations: int, generator: np.random.Generator
) -> np.ndarray:
    """Sums of the weights at the pattern's distances (P + 1, heads): as they are, then with blocks in another order."""
    blocks = max(1, round(len(back) / block))
    size = len(back) // blocks
    back = back[: blocks * size]
    sums = np.empty((permutations + 1, kept.shape[2]))
    for number in range(permutations + 1):
        order, turn = np.arange(blocks), 0
        if number:
            order, turn = generator.permutation(blocks), generator.integers(len(back))
        moved = back[((order[:, None] * size + np.arange(size)).ravel() + turn) % len(back)]
        named = np.flatnonzero(moved >= 0)
        sums[number] = kept[named, moved[named]].sum(axis=0, dtype=np.uint64)
    return sums


def _other_distances(
    kept: np.ndarray, distance: int, block: int, permutations: int, generator: np.random.Generator
) -> np.ndarray:
    """Sums of the weights at ``distance`` (P + 1, heads), then at another distance by chance in each block."""
    blocks = max(1, round(len(kept) / block))
    size, context = len(kept) // blocks, kept.shape[1]
    of_blocks = np.stack([kept[k * size : (k + 1) * size].sum(axis=0, dtype=np.uint64) for k in range(blocks)])
    shifts = generator.integers(context, size=(permutations + 1, blocks))
    shifts[0] = 0
    return of_blocks[np.arange(blocks), (distance + shifts) % context].sum(axis=1)


def _standardised(sums: np.ndarray) -> Permuted:
    """From sums (P + 1, heads), of which the first was observed: how far above the mean, in standard deviations.

    Mean and deviation include the observed sum: so all P + 1 are treated alike, and p is exact.
    """
    sums = sums.astype(np.float64)
    deviation = sums.std(axis=0)
    above = (sums - sums.mean(axis=0)) / np.where(deviation > 0, deviation, np.inf)
    return Permuted(above[0], above.max(axis=1))
