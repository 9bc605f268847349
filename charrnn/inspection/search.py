"""Which cells keep track of something: all cells ranked by each hypothesis, with p values and a linear probe."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inference.ensemble import Ensemble
from charrnn.inspection.autocorrelation import autocorrelation_time, slowest_time
from charrnn.inspection.hypotheses import Hypothesis
from charrnn.inspection.passage import EncodedText
from charrnn.inspection.permutation import FEWEST_TIMES, Permuted, block_length, permute
from charrnn.inspection.probe import Probe, probe
from charrnn.inspection.ranks import Ranks, auc, measure, spearman
from charrnn.inspection.sweep import Sweep, sweep
from charrnn.kernels.histograms import count_columns, count_words, look_up_bins
from charrnn.kernels.weight_gradients import weight_gradient
from charrnn.model import Model
from charrnn.records import ProgressCallback, no_progress
from charrnn.system import memory
from charrnn.system.threads import Team

KERNELS = (weight_gradient, count_columns, count_words, look_up_bins)
SHORTEST = 1000  # characters: a shorter text has too few blocks for a test
SIGNIFICANT = 0.05  # the largest p of a cell that is said to track something
_REFERENCE = 1 << 20  # numbers among which ranks are taken


@dataclass(frozen=True, eq=False)
class Tested:
    """Cells, or heads, ranked by one hypothesis, with a permutation test.

    ``strengths`` (L, N) say how well each of N in a layer does, at most 1. ``p`` (L, N) accounts for all of them,
    ``p_of_all`` (L, N) for all of them and all hypotheses. The test permuted blocks of ``block`` characters; if it is
    None, there is no test, ``p`` and ``p_of_all`` are NaN, and ``why_no_p`` says why.
    """

    strengths: np.ndarray
    p: np.ndarray
    p_of_all: np.ndarray
    block: int | None
    why_no_p: str | None

    def is_significant(self, place: tuple[int, int]) -> bool | None:
        """Whether a cell or head (layer, number) has a ``p_of_all`` of at most ``SIGNIFICANT``; None without a test."""
        return None if self.block is None else bool(self.p_of_all[place] <= SIGNIFICANT)

    def ranked(self, count: int) -> list[tuple[int, int]]:
        """The ``count`` strongest, (layer, number)."""
        best = np.argsort(-self.strengths, axis=None, kind="stable")[:count]
        return [divmod(int(each), self.strengths.shape[1]) for each in best]


@dataclass(frozen=True, eq=False)
class Finding(Tested):
    """How well every cell tracks one hypothesis, over all characters.

    ``scores`` (L, H) are AUC if ``is_mask``, else Spearman's ρ; ``strengths`` (L, H) are |2 AUC - 1| or |ρ|, and 0 for
    a cell that never moves. ``base`` is the share of the characters where the mask holds, NaN if the labels are
    numbers. ``effective`` is how many independent characters the text is worth for this label. ``probe`` is None if it
    was not wanted, or there is no test.
    """

    name: str
    summary: str
    is_mask: bool
    scores: np.ndarray
    base: float
    effective: float
    probe: Probe | None

    @property
    def measure(self) -> str:
        """What ``scores`` are: auc or spearman."""
        return measure(self.is_mask)


@dataclass(frozen=True, eq=False)
class Findings:
    """A finding for each hypothesis that could be tested (``found``); ``absent`` names the others.

    An absent hypothesis has the same label at all characters of the text. The scores are over all ``characters``. The
    tests used ``permutations``, at every ``stride``-th character.
    """

    found: list[Finding]
    absent: list[str]
    characters: int
    permutations: int
    stride: int


def find(
    model: Model,
    ids: np.ndarray,
    hypotheses: Sequence[Hypothesis],
    *,
    signal: str | None = None,
    permutations: int = 199,
    with_probe: bool = True,
    seed: int = 0,
    progress: ProgressCallback = no_progress,
) -> Findings:
    """Rank all cells by how well they track each of ``hypotheses`` while the model reads ids (N,).

    Raises:
        ConfigError: the model is an ensemble, the text is too short, the label of every hypothesis is the same at all
            characters, or there is not enough memory for so many permutations.
    """
    if isinstance(model.network, Ensemble):
        raise ConfigError("an ensemble has no cells of its own: look into its models one by one")
    if len(ids) < SHORTEST:
        raise ConfigError(f"{len(ids):,} characters are too few to test a hypothesis on: give {SHORTEST:,} or more")
    text, network = EncodedText(model.vocabulary, ids), model.network
    targets = [_Target(text, each) for each in hypotheses]
    absent = [target.hypothesis.name for target in targets if target.is_constant]
    targets = [target for target in targets if not target.is_constant]
    if not targets:
        raise ConfigError(f"{', '.join(absent)}: nowhere or everywhere in this text, so there is nothing to track")

    _require_memory(network.config.layers * network.config.hidden, len(targets), permutations)

    def labels(start: int, stop: int) -> np.ndarray:
        return np.stack([target.part(start, stop) for target in targets], axis=1)

    counted = sweep(network, text, labels, len(targets), signal, with_probe, progress)
    times = [counted.stride * slowest_time(column) for column in counted.labels.T]
    reasons = [why_no_p(column, len(ids) / time) for column, time in zip(counted.labels.T, times, strict=True)]
    blocks = [None if why else block_length(time, len(ids)) for why, time in zip(reasons, times, strict=True)]
    tested = _tests(network.team, counted, blocks, permutations, seed)
    largest_of_all = np.max([test.largest for test in tested if test is not None], axis=0, initial=0)
    shape = network.config.layers, network.config.hidden
    scores = [target.score(counted, k) for k, target in enumerate(targets)]
    none = np.full(shape, np.nan)
    probes = _probes(network.team, counted, targets, scores, blocks) if with_probe else [None] * len(scores)
    found = [
        Finding(
            strengths=np.nan_to_num(np.abs(2 * score - 1 if target.hypothesis.is_mask else score)).reshape(shape),
            p=none if test is None else test.p().reshape(shape),
            p_of_all=none if test is None else test.p(largest_of_all).reshape(shape),
            block=block,
            why_no_p=why,
            name=target.hypothesis.name,
            summary=target.hypothesis.summary,
            is_mask=target.hypothesis.is_mask,
            scores=score.reshape(shape),
            base=target.base,
            effective=len(ids) / (counted.stride * autocorrelation_time(column)),
            probe=probe_or_none,
        )
        for target, score, test, column, block, why, probe_or_none in zip(
            targets, scores, tested, counted.labels.T, blocks, reasons, probes, strict=True
        )
    ]
    return Findings(found, absent, len(ids), permutations, counted.stride)


def _require_memory(cells: int, labels: int, permutations: int) -> None:
    """Refuse more permutations than there is memory for.

    Each cell, label and permutation has a sum in float64 and one in float32.

    Raises:
        ConfigError: the message has the memory needed and the memory of the machine.
    """
    memory.require(12 * cells * labels * permutations, f"{permutations:,} permutations need", "ask for fewer")


def why_no_p(label: np.ndarray, slow_effective: float) -> str | None:
    """Why a ``label`` (M,), at the places that the test looks at, cannot be tested; None if it can.

    ``slow_effective`` is how many independent characters the text is worth for the slowest part of the label.
    """
    if np.ptp(label) == 0:
        return f"the label is the same at all {len(label):,} places that the test looks at"
    if slow_effective < FEWEST_TIMES:
        worth = f"{slow_effective:.0f} independent character{'s' * (round(slow_effective) != 1)}"
        return (
            f"the label, or how often it holds, changes so slowly that the text is worth about {worth}, "
            f"and {FEWEST_TIMES} are the least"
        )
    return None


def _tests(team: Team, counted: Sweep, blocks: list[int | None], permutations: int, seed: int) -> list[Permuted | None]:
    """The permutation test of each label; None where its block is None. Labels with equal blocks are tested together.

    Labels of different lengths are permuted independently of each other. So the largest score over all of them is at
    least as large as it would be if they were permuted alike, and p is not too small.
    """
    tested: dict[int, Permuted] = {}
    for block, columns in _by_block(blocks):
        tested |= zip(columns, permute(team, counted, columns, block, permutations, seed), strict=True)
    return [tested.get(k) for k in range(len(blocks))]


def _by_block(blocks: Sequence[int | None]) -> Iterator[tuple[int, list[int]]]:
    """Yield each length of a block, and the numbers of the labels that have it."""
    for block in sorted({block for block in blocks if block is not None}):
        yield block, [k for k, each in enumerate(blocks) if each == block]


class _Target:
    """The labels of a hypothesis as numbers: 0 and 1, or centred ranks.

    ``squares`` is the sum of the squared ranks that :meth:`part` has returned.
    """

    def __init__(self, text: EncodedText, hypothesis: Hypothesis):
        self.hypothesis, self._text = hypothesis, text
        self._last: tuple = (None, None)
        self.squares, self.base, self._ranks = 0.0, np.nan, None
        if hypothesis.is_mask:
            inside = sum(int(self._labels(*part).sum()) for part in text.parts())
            self.base, self.is_constant = inside / len(text), inside in (0, len(text))
            return
        step = -(-len(text) // _REFERENCE)
        self._ranks = Ranks(np.concatenate([self._labels(*part)[::step] for part in text.parts()]))
        self.is_constant = self._ranks.is_constant

    def _labels(self, start: int, stop: int) -> np.ndarray:
        # The last part is kept, so that a text of one part is labelled only once.
        if self._last[0] != (start, stop):
            self._last = (start, stop), self._text.label(self.hypothesis.label, start, stop)
        return self._last[1]

    def part(self, start: int, stop: int) -> np.ndarray:
        """The numbers (stop - start,) float32 for characters ``start`` to ``stop`` - 1; call it once for each part."""
        labels = self._labels(start, stop)
        if self._ranks is None:
            return labels.astype(np.float32)
        ranks = self._ranks(labels)
        self.squares += float((ranks.astype(np.float64) ** 2).sum())
        return ranks

    def score(self, counted: Sweep, column: int) -> np.ndarray:
        """AUC or ρ of every cell (C,), from the sums of label number ``column``."""
        sums = counted.sums[:, :, column]
        return auc(counted.counts, sums) if self._ranks is None else spearman(counted.counts, sums, self.squares)


def _probes(
    team: Team, counted: Sweep, targets: list[_Target], scores: list[np.ndarray], blocks: list[int | None]
) -> list[Probe | None]:
    """A probe for each target, compared with the cell that has the best score; None where the block is None.

    The probe is fitted and scored on blocks as long as those of the test, but at least four: in shorter blocks a label
    that changes slowly would be the same in neighbouring blocks, and the probe would know it from the places between.
    """
    every, characters = counted.state_stride // counted.stride, len(counted.bins) * counted.stride
    probes: dict[int, Probe] = {}
    for block, columns in _by_block(blocks):
        masks = [targets[k].hypothesis.is_mask for k in columns]
        strengths = [np.abs(scores[k] - is_mask / 2) for k, is_mask in zip(columns, masks, strict=True)]
        best = [int(np.argmax(np.nan_to_num(strength))) for strength in strengths]
        # The cells' bins are scored, not their states: float16 rounds tanh(c) of all large |c| to the same number.
        cells, labels = counted.bins[::every, best], counted.labels[::every][:, columns]
        places = max(1, min(block, characters // 4) // counted.state_stride)
        probes |= zip(columns, probe(team, counted.states, labels, masks, cells, places), strict=True)
    return [probes.get(k) for k in range(len(targets))]
