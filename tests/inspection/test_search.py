"""Cells ranked by hypotheses: kernels, ranks, permutations and probe against plain computations."""

from dataclasses import replace

import numpy as np
import pytest
from teams import every_thread_works

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.inference.ensemble import Ensemble
from charrnn.inspection import search as finding
from charrnn.inspection import sweep as sweeping
from charrnn.inspection.autocorrelation import autocorrelation_time, slowest_time
from charrnn.inspection.hypotheses import Hypothesis, hypothesis, label_text
from charrnn.inspection.passage import EncodedText
from charrnn.inspection.permutation import block_length, permute
from charrnn.inspection.probe import probe
from charrnn.inspection.ranks import Ranks, auc, rank_score, spearman
from charrnn.inspection.search import find
from charrnn.inspection.sweep import Sweep
from charrnn.kernels.histograms import BINS
from charrnn.model import Model
from charrnn.network.network import Network
from charrnn.system.threads import Team
from charrnn.text.vocabulary import Vocabulary


def ranks_of(values):
    """Mid-ranks from 0 to 1, by comparing everything with everything."""
    return ((values[:, None] > values).sum(1) + ((values[:, None] == values).sum(1)) / 2) / len(values)


def plain_auc(values, label):
    above = values[label][:, None] - values[~label]
    return ((above > 0) + (above == 0) / 2).mean()


@pytest.fixture(scope="module")
def small(text):
    """An untrained network, and a text."""
    text = text.read_text()[:6000]
    vocabulary = Vocabulary(sorted(set(text)))
    network = Network(ModelConfig(len(vocabulary), 20, 2), seed=3, threads=2)
    return Model(network, vocabulary), vocabulary.encode(text)


def test_scores_of_ranks(rng):
    values, label = rng.integers(0, 9, 300), rng.random(300) < 0.3
    counts, positives = np.bincount(values, minlength=9), np.bincount(values, weights=label, minlength=9)
    assert auc(counts, positives) == pytest.approx(plain_auc(values, label))
    numbers = rng.integers(0, 5, 300) + (values > 4)
    g = Ranks(numbers)(numbers)
    np.testing.assert_allclose(g, ranks_of(numbers) - 0.5, atol=1e-6)
    expected = np.corrcoef(ranks_of(values), ranks_of(numbers))[0, 1]
    assert spearman(counts, np.bincount(values, weights=g, minlength=9), float((g**2).sum())) == pytest.approx(expected)
    assert rank_score(values, g, False) == pytest.approx(expected)
    assert rank_score(values, label, True) == pytest.approx(plain_auc(values, label))
    assert np.isnan(auc(counts, counts))
    assert np.isnan(spearman(np.array([5, 0]), np.zeros(2), 1.0))


@pytest.mark.parametrize("characters", [6000, 1500])  # five batch rows, and one
@pytest.mark.parametrize("signal", "cho")
def test_every_score_is_that_of_the_values(small, signal, characters):
    model, ids = small
    ids = ids[-characters:]
    wanted = [hypothesis(name) for name in ("quotes", "column", "word")]
    found = find(model, ids, wanted, signal=signal, permutations=3).found
    state, parts = model.network.initial_state(1), []
    for start in range(0, len(ids), 64):
        parts.append(model.network.trace(ids[start : start + 64], state)[signal])
    values = np.concatenate(parts).reshape(len(ids), -1)
    for each, of in zip(found, wanted, strict=True):
        truth = label_text(EncodedText(model.vocabulary, ids), of)
        for cell in (0, 7, 31):
            score = each.scores.ravel()[cell]
            if each.is_mask:
                assert score == pytest.approx(plain_auc(values[:, cell], truth), abs=2e-3)
                assert each.base == truth.mean()
            else:
                assert score == pytest.approx(rank_score(values[:, cell], Ranks(truth)(truth), False), abs=2e-3)


def test_the_same_bits_for_any_threads_and_parts_that_add_up(small, monkeypatch):
    model, ids = small
    wanted, found = [hypothesis("column"), hypothesis("quotes")], []
    for threads in (1, 2, 3):
        several = Model(Network(model.network.config, seed=3, threads=threads), model.vocabulary)
        with every_thread_works(threads) as watch:
            found.append(find(several, ids, wanted, permutations=99))
        assert threads in watch.workers("network")
        assert threads in watch.workers("histograms")
        assert watch.most == threads
        assert max(watch.workers("weight_gradients")) == min(threads, 2)  # two panels: of permutations, of the probe
    single, several = found[0], found[1]
    for each in found[1:]:
        for one, other in zip(each.found, single.found, strict=True):
            np.testing.assert_array_equal(one.scores, other.scores)
            np.testing.assert_array_equal(one.p, other.p)
            assert one.probe == other.probe
    monkeypatch.setattr(EncodedText, "parts", lambda self: [(0, 2500), (2500, 5100), (5100, len(self))])
    monkeypatch.setattr(sweeping, "KEPT_BYTES", 32 * 2 * 3000)
    monkeypatch.setattr(finding, "_REFERENCE", 3000)
    parted = find(model, ids, wanted, permutations=99)
    assert parted.stride == 2
    for one, other in zip(several.found, parted.found, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=3e-3)


def test_what_is_kept_is_what_was_counted(small):
    model, ids = small
    encoded = EncodedText(model.vocabulary, ids)
    numbers = (np.arange(len(ids)) / len(ids)).astype(np.float32)
    swept = sweeping.sweep(model.network, encoded, lambda start, stop: numbers[start:stop, None], 1)
    assert swept.counts.sum(axis=1).tolist() == [len(ids)] * 40
    np.testing.assert_array_equal(swept.labels[:, 0], numbers[:: swept.stride])
    for cell in (0, 39):
        np.testing.assert_array_equal(np.bincount(swept.bins[:, cell], minlength=BINS), swept.counts[cell])
        weights = np.bincount(swept.bins[:, cell], weights=numbers, minlength=BINS)
        np.testing.assert_allclose(swept.sums[cell, :, 0], weights, rtol=1e-5)
    h = model.activations(model.vocabulary.decode(ids[:2000]))["h"]
    every = swept.state_stride
    np.testing.assert_allclose(swept.states[: 2000 // every, :20], h[: 2000 // every * every : every, 0], atol=1e-3)


def drifting(rng, count, columns, memory):
    """Noise (count, columns) whose autocorrelation is multiplied by ``memory`` at every step."""
    values = rng.normal(size=(count, columns))
    for k in range(1, count):
        values[k] = memory * values[k - 1] + np.sqrt(1 - memory**2) * values[k]
    return values


def test_autocorrelation_times_and_block_lengths(rng):
    values = drifting(rng, 40_000, 1, 0.9)[:, 0]
    assert autocorrelation_time(values) == pytest.approx(1.9 / 0.1, rel=0.2)
    assert autocorrelation_time(rng.normal(size=10_000)) == pytest.approx(1, abs=0.2)
    assert autocorrelation_time(np.ones(50)) == 1
    assert slowest_time(values) == pytest.approx(1.9 / 0.1, rel=0.5)
    clustered = rng.random(40_000) < np.where(telegraph(rng, 40_000, 2000), 0.02, 0.002)
    assert autocorrelation_time(clustered) < 5
    assert slowest_time(clustered) > 300


def test_block_lengths():
    assert block_length(3.0, 100_000) == 500
    assert block_length(90.0, 100_000) == 1000  # labels share a few lengths
    assert block_length(3.0, 8000) == 200
    assert block_length(3000.0, 100_000) == 32_000
    assert block_length(6000.0, 100_000) == 100_000  # there is no room for two blocks: rotations
    assert block_length(10_000.0, 100_000) == 100_000


def telegraph(rng, count, run):
    """A mask (count,) that changes at random, on average after ``run`` characters."""
    changes = rng.random(count) < 1 / run
    return (np.cumsum(changes) + rng.integers(2)) % 2 == 1


def binned(cells):
    """A sweep over cells (M, C) without labels."""
    order = np.argsort(np.argsort(cells, axis=0), axis=0) * BINS // len(cells)
    counts = np.stack([np.bincount(column, minlength=BINS) for column in order.T])
    nothing, bins = np.zeros((len(cells), 0), np.float32), order.astype(np.uint8)
    return Sweep(counts, np.zeros((*counts.shape, 0)), bins, nothing, 1, np.zeros((0, 2), np.float16), 1)


def permuted(swept, label, block, permutations, seed=0):
    labelled = replace(swept, labels=label[:, None].astype(np.float32))
    return permute(Team(1), labelled, [0], block, permutations, seed)[0]


def test_random_labels_are_found_no_more_often_than_stated(rng):
    """Labels and cells with autocorrelation, independent of each other, at p <= 0.1 and 0.025."""
    cells = np.hstack([drifting(rng, 6000, 12, memory) for memory in (0.98, 0.9, 0.3)])
    cells[:, :4] += cells[:, 4:8]  # some resemble each other
    swept, random = binned(cells), drifting(rng, 6000, 160, 0.98) > 0.7
    least = np.array([permuted(swept, label, 200, 39, seed).p().min() for seed, label in enumerate(random.T)])
    assert 0.03 < (least <= 0.1).mean() < 0.18  # four standard deviations of 160 trials
    assert (least <= 0.025).mean() < 0.075


@pytest.mark.parametrize("run", [30, 300, 1500, 5000])
def test_slow_and_clustered_random_masks_are_found_no_more_often_than_stated(rng, run):
    """On 20,000 characters; cells that change quickly and slowly."""
    cells = np.hstack([drifting(rng, 20_000, 8, memory) for memory in (0.5, 0.99, 0.9975, 0.9997)])
    swept, least = binned(cells), []
    for seed in range(80):
        label = telegraph(rng, 20_000, run)
        if seed % 2:  # few characters, more of them where the mask holds
            label = rng.random(20_000) < np.where(label, 0.02, 0.004)
        block = block_length(slowest_time(label), len(label))
        if label.any() and not label.all() and slowest_time(label) < len(label) / 10:
            least.append(permuted(swept, label, block, 39, seed).p().min())
    assert len(least) > 50
    assert np.mean(np.array(least) <= 0.025) < 0.1  # two of 80 are expected, and 8 happen once in 1,000 times
    assert np.mean(np.array(least) <= 0.1) < 0.22
    assert np.mean(np.array(least) <= 0.5) > 0.25  # nor is the test too careful


@pytest.mark.parametrize("kind", ["telegraph", "clustered"])
def test_a_cell_with_a_trend_is_found_no_more_often_than_stated(rng, kind):
    """A trend does not close to a circle, as a rotated label does: one p of 0.05 was 0.15 of the time."""
    swept, least = binned(np.arange(5000.0)[:, None]), []
    for seed in range(150):
        label = telegraph(rng, 5000, 1500)
        if kind == "clustered":
            label = rng.random(5000) < np.where(label, 0.02, 0.002)
        time = slowest_time(label)
        if label.any() and not label.all() and time < 500:
            least.append(permuted(swept, label, block_length(time, 5000), 59, seed).p().min())
    assert len(least) > 80
    assert np.mean(np.array(least) <= 0.05) < 0.11


def test_a_label_that_is_constant_where_the_test_looks_has_no_p(small, monkeypatch):
    model, ids = small
    monkeypatch.setattr(sweeping, "MOST_KEPT", 3000)  # every second character
    odd = Hypothesis("odd", "odd places", lambda passage: (passage.start + np.arange(len(passage))) % 2 == 1)
    (found,) = find(model, ids, [odd], permutations=9).found
    assert found.block is None and found.probe is None and np.isnan(found.p).all()
    assert found.why_no_p == "the label is the same at all 3,000 places that the test looks at"


def test_a_number_that_is_constant_but_at_the_end_is_not_slow():
    values = np.zeros(5000, np.float32)
    values[-1] = 5
    assert slowest_time(values - np.float32(0.1)) < 10


def test_a_slow_label_that_a_cell_knows_is_found(rng):
    cells, label = drifting(rng, 20_000, 12, 0.9975), telegraph(rng, 20_000, 600)
    cells[:, 5] += 3 * label
    block = block_length(slowest_time(label), len(label))
    assert block > 5000
    found = permuted(binned(cells), label, block, 199).p()
    assert found[5] <= 0.01
    assert np.delete(found, 5).min() > 0.05


def test_a_label_that_hardly_changes_has_no_p(small):
    model, ids = small
    half = Hypothesis("half", "the second half", lambda passage: passage.start + np.arange(len(passage)) > len(ids) / 2)
    found = find(model, ids, [half, hypothesis("column")], permutations=9)
    slow, quick = found.found
    assert slow.block is None
    assert np.isnan(slow.p).all() and np.isnan(slow.p_of_all).all()
    assert "changes so slowly" in slow.why_no_p
    assert quick.why_no_p is None
    assert quick.p.min() == quick.p_of_all.min() == 0.1  # the slow label does not count


def test_short_blocks_would_deceive(rng):
    """Why there are blocks: with blocks of single characters, the same labels look like findings."""
    swept, random = binned(drifting(rng, 6000, 12, 0.98)), drifting(rng, 6000, 10, 0.98) > 0.7
    least = [permuted(swept, label, 1, 39).p().min() for label in random.T]
    assert np.mean(np.array(least) <= 0.05) > 0.8


def test_a_label_that_a_cell_knows_is_found(rng):
    cells = drifting(rng, 6000, 12, 0.95)
    label = cells[:, 5] + drifting(rng, 6000, 1, 0.95)[:, 0] > 1
    found = permuted(binned(cells), label, 200, 199)
    assert found.p()[5] == 1 / 200
    assert np.delete(found.p(), 5).min() > 0.05
    assert found.p(found.largest + 100)[5] == 1


def test_a_probe_finds_a_label_that_is_spread_over_cells(rng):
    states = rng.normal(size=(4000, 30)).astype(np.float16)
    label = (states @ rng.normal(size=30) > 0).astype(np.float32)
    noise = (rng.random(4000) < 0.5).astype(np.float32)
    spread, nothing = probe(Team(1), states, np.stack([label, noise], axis=1), [True, True], states[:, [3, 3]], 100)
    assert spread.score > 0.98
    assert spread.cell < 0.75
    assert abs(nothing.score - 0.5) < 0.06
    assert spread.places == 2000
    rare = (np.arange(4000) < 50).astype(np.float32)  # in a block for fitting, in no held-back block
    (unknown,) = probe(Team(1), states, rare[:, None], [True], states[:, [3]], 100)
    assert np.isnan(unknown.score)
    expected = plain_auc(states[np.arange(4000) // 100 % 2 == 1, 3], label[np.arange(4000) // 100 % 2 == 1] > 0)
    assert spread.cell == pytest.approx(expected, abs=1e-6)


def test_a_probe_knows_nothing_of_a_slow_random_label_if_blocks_are_long(rng):
    """Blocks shorter than a label's runs: neighbours in time are alike, and the probe knows the label from them."""
    scores = {100: [], 5000: []}
    for _ in range(12):
        states = drifting(rng, 20_000, 30, 0.9995).astype(np.float16)
        label = telegraph(rng, 20_000, 1000).astype(np.float32)[:, None]
        for block, found in scores.items():
            found.append(probe(Team(1), states, label, [True], states[:, [3]], block)[0].score)
    assert np.nanmean(scores[100]) > 0.75
    assert 0.35 < np.nanmean(scores[5000]) < 0.65


def test_what_cannot_be_tested(small, monkeypatch):
    model, ids = small
    never = Hypothesis("never", "never so", lambda passage: np.zeros(len(passage), bool))
    with pytest.raises(ConfigError, match="never: nowhere or everywhere in this text"):
        find(model, ids, [never])
    with pytest.raises(ConfigError, match="ensemble"):
        find(Model(Ensemble([model.network, model.network]), model.vocabulary), ids, [never])
    with pytest.raises(ConfigError, match="too few"):
        find(model, ids[:500], [hypothesis("column")])
    monkeypatch.setattr("charrnn.system.memory.installed", lambda: 10_000_000)
    with pytest.raises(ConfigError, match=r"100,000 permutations need about 0\.0 GB, and this machine has 0\.0"):
        find(model, ids, [hypothesis("column")], permutations=100_000)
    monkeypatch.undo()
    found = find(model, ids, [never, hypothesis("column")], permutations=3, with_probe=False)
    assert found.absent == ["never"]
    assert found.found[0].probe is None
