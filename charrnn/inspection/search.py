"""Which cells keep track of something: all cells ranked against hypotheses, with confidence, and a probe beside."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inference.ensemble import Ensemble
from charrnn.inspection.hypotheses import Hypothesis
from charrnn.inspection.passage import Script
from charrnn.inspection.permutation import autocorrelation_time, block_length, permute
from charrnn.inspection.probe import Probe, probe
from charrnn.inspection.ranks import Ranks, auc, spearman
from charrnn.inspection.sweep import Progress, Sweep, sweep
from charrnn.model import Model

SHORTEST = 1000  # characters in which blocks can be told apart
_REFERENCE = 1 << 20  # numbers that ranks are taken among


@dataclass(frozen=True, eq=False)
class Finding:
    """How well every cell tracks one hypothesis, over all characters.

    ``scores`` (L, H): AUC if ``is_mask``, else Spearman's ρ. ``p`` (L, H) accounts for the cells tried, ``p_of_all``
    for the other hypotheses too. ``base`` is how often the mask holds, or NaN; ``effective`` how many independent
    characters the text is worth for this label. ``probe`` is None where it was not wanted.
    """

    name: str
    summary: str
    is_mask: bool
    scores: np.ndarray
    p: np.ndarray
    p_of_all: np.ndarray
    base: float
    effective: float
    probe: Probe | None

    @property
    def strengths(self) -> np.ndarray:
        """(L, H) distance from what knows nothing, 0 to 1: |2 AUC - 1| or |ρ|; 0 for a cell that never moves."""
        return np.nan_to_num(np.abs(2 * self.scores - 1 if self.is_mask else self.scores))

    def ranked(self, count: int) -> list[tuple[int, int]]:
        """The ``count`` best cells, (layer, unit)."""
        best = np.argsort(-self.strengths, axis=None, kind="stable")[:count]
        units = self.scores.shape[1]
        return [(int(cell // units), int(cell % units)) for cell in best]


@dataclass(frozen=True, eq=False)
class Findings:
    """The hypotheses ``found``, over so many ``characters``.

    They were tested with ``permutations`` of blocks of ``block`` characters, at every ``stride``-th character; scores
    are of all. ``absent`` names those that hold nowhere in the text or everywhere.
    """

    found: list[Finding]
    absent: list[str]
    characters: int
    block: int
    permutations: int
    stride: int


def find(
    model: Model,
    ids: np.ndarray,
    hypotheses: Sequence[Hypothesis],
    *,
    signal: str = "c",
    permutations: int = 199,
    with_probe: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> Findings:
    """Rank all cells by how well they track each of ``hypotheses`` while the model reads ids (N,).

    Raises:
        ConfigError: the model is an ensemble, the text is too short, or no hypothesis holds in some places and not in
            others.
    """
    if isinstance(model.network, Ensemble):
        raise ConfigError("an ensemble has no cells of its own: look into its models one by one")
    if len(ids) < SHORTEST:
        raise ConfigError(f"{len(ids):,} characters are too few to test a hypothesis on: give {SHORTEST:,} or more")
    script, network = Script(model.vocabulary, ids), model.network
    targets = [_Target(script, each) for each in hypotheses]
    absent = [target.hypothesis.name for target in targets if target.is_constant]
    targets = [target for target in targets if not target.is_constant]
    if not targets:
        raise ConfigError(f"{', '.join(absent)}: the same at every character of this text: there is nothing to track")

    def labels(start: int, stop: int) -> np.ndarray:
        return np.stack([target.part(start, stop) for target in targets], axis=1)

    counted = sweep(network, script, labels, len(targets), signal, with_probe, progress)
    times = [counted.stride * autocorrelation_time(column) for column in counted.labels.T]
    block = block_length(times, len(ids))
    tested = permute(network.team, counted, block, permutations, seed)
    of_all = np.max([each.largest for each in tested], axis=0)
    shape = network.config.layers, network.config.hidden
    scores = [target.score(counted, k) for k, target in enumerate(targets)]
    probes = _probes(network.team, counted, targets, scores, block) if with_probe else [None] * len(scores)
    found = [
        Finding(
            target.hypothesis.name,
            target.hypothesis.summary,
            target.hypothesis.is_mask,
            score.reshape(shape),
            test.p().reshape(shape),
            test.p(of_all).reshape(shape),
            target.base,
            len(ids) / time,
            its_probe,
        )
        for target, score, test, time, its_probe in zip(targets, scores, tested, times, probes, strict=True)
    ]
    return Findings(found, absent, len(ids), block, permutations, counted.stride)


class _Target:
    """A hypothesis as a column of numbers: 0 and 1, or centred ranks."""

    def __init__(self, script: Script, hypothesis: Hypothesis):
        self.hypothesis, self._script = hypothesis, script
        self._last: tuple = (None, None)
        self.squares, self.base, self._ranks = 0.0, np.nan, None
        if hypothesis.is_mask:
            held = sum(int(self._values(*part).sum()) for part in script.parts())
            self.base, self.is_constant = held / len(script), held in (0, len(script))
            return
        step = -(-len(script) // _REFERENCE)
        self._ranks = Ranks(np.concatenate([self._values(*part)[::step] for part in script.parts()]))
        self.is_constant = self._ranks.is_constant

    def _values(self, start: int, stop: int) -> np.ndarray:
        # A text of one part is labelled once.
        if self._last[0] != (start, stop):
            self._last = (start, stop), self._script.labels(self.hypothesis.of, start, stop)
        return self._last[1]

    def part(self, start: int, stop: int) -> np.ndarray:
        """The column for characters start to stop, each asked for once."""
        values = self._values(start, stop)
        if self._ranks is None:
            return values.astype(np.float32)
        ranks = self._ranks(values)
        self.squares += float((ranks.astype(np.float64) ** 2).sum())
        return ranks

    def score(self, counted: Sweep, column: int) -> np.ndarray:
        """AUC or ρ of every cell (C,)."""
        sums = counted.sums[:, :, column]
        return auc(counted.counts, sums) if self._ranks is None else spearman(counted.counts, sums, self.squares)


def _probes(team, counted: Sweep, targets: list[_Target], scores: list[np.ndarray], block: int) -> list[Probe]:
    every = counted.state_stride // counted.stride
    masks = [target.hypothesis.is_mask for target in targets]
    strengths = [np.abs(score - is_mask / 2) for score, is_mask in zip(scores, masks, strict=True)]
    best = [int(np.argmax(np.nan_to_num(strength))) for strength in strengths]
    # Of the cells the bins: tanh(c) in 16 bits is the same for all that is far from zero.
    cells = counted.bins[::every, best]
    return probe(team, counted.states, counted.labels[::every], masks, cells, max(1, block // counted.state_stride))
