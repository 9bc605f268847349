"""The kernel that scores lines gives each symbol the chance that the n-grams themselves give it."""

import numpy as np
import pytest

from charrnn.inference.byte_ngrams import KERNELS
from charrnn.inference.ngrams import Ngrams, new_readers
from charrnn.kernels import compiler
from charrnn.kernels.ngram_scores import evaluate_nodes, score_lines
from charrnn.system.threads import Team


@pytest.mark.parametrize("order", [1, 2, 3, 6, 20])
@pytest.mark.parametrize("length", [1, 2, 30, 3000])
def test_each_symbol_has_the_chance_that_the_ngrams_give_it(rng, order, length):
    compiler.prepare(*KERNELS)
    ngrams, before = Ngrams(7, order), 3
    text = np.minimum(rng.geometric(0.4, length) - 1, 6).astype(np.int32)
    ngrams.learn(text)
    lines = [text[:25], rng.integers(0, 7, 40), text[-9:], text[:0], np.array([before])]
    ids = np.concatenate(lines).astype(np.int32)
    bounds = np.cumsum([0, *map(len, lines)]).astype(np.int64)
    trie = ngrams.trie(new_readers(1))
    values, losses = np.zeros((len(trie.nodes), 2)), np.full(len(ids), np.nan, np.float32)
    evaluate_nodes(trie, values)
    score_lines(trie, values, ids, bounds, before, losses)
    for line, first in zip(lines, bounds, strict=False):
        x = np.array([before, *line], np.int32)[:-1, None]
        if len(x):
            logs = ngrams.read(x, new_readers(1), Team(1))[:, 0]
            expected = -logs[np.arange(len(line)), line]
            np.testing.assert_allclose(losses[first : first + len(line)], expected, rtol=2e-6, atol=1e-6)


def test_the_chances_of_all_symbols_sum_to_one(rng):
    compiler.prepare(*KERNELS)
    ngrams = Ngrams(5, 4)
    ngrams.learn(np.minimum(rng.geometric(0.5, 400) - 1, 3).astype(np.int32))  # symbol 4 is never learnt
    trie = ngrams.trie(new_readers(1))
    values = np.zeros((len(trie.nodes), 2))
    evaluate_nodes(trie, values)
    total = 0.0
    for symbol in range(5):
        losses = np.empty(4, np.float32)
        score_lines(trie, values, np.array([0, 1, 0, symbol], np.int32), np.array([0, 4]), 2, losses)
        assert losses[-1] > 0
        total += np.exp(-losses[-1])
    assert total == pytest.approx(1, abs=1e-5)
