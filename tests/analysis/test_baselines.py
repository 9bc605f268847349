"""Compressors against the standard library's one-shot functions, and losses of n-grams."""

import bz2
import gzip
import lzma

import numpy as np
import pytest

from charrnn.analysis.baselines import compressions, ngram_losses
from charrnn.text.vocabulary import Vocabulary

WHOLE = {
    "gzip": lambda data: gzip.compress(data, 9),
    "bzip2": bz2.compress,
    "xz": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
}


@pytest.mark.parametrize("vocabulary", [Vocabulary("aäß☃ \n"), Vocabulary(range(6))], ids=["characters", "bytes"])
def test_sizes_are_as_if_the_whole_text_were_compressed_at_once(rng, vocabulary):
    ids = rng.choice(6, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05], size=12_000).astype(np.uint8)
    training, scored = ids[:9000], ids[9000:]

    def data(part):
        text = vocabulary.decode(part)
        return text if isinstance(text, bytes) else text.encode()

    for found in compressions(training, scored, vocabulary):
        size = {name: len(WHOLE[found.name](data(part))) for name, part in (("all", ids), ("one", training))}
        # They differ by less than a header, because xz has a smaller dictionary here.
        assert found.alone * 3000 / 8 == pytest.approx(len(WHOLE[found.name](data(scored))), abs=8)
        assert found.after * 3000 / 8 == pytest.approx(size["all"] - size["one"], abs=8)


def test_a_text_that_was_read_before_costs_next_to_nothing(rng):
    vocabulary, ids = Vocabulary("abcd"), rng.integers(4, size=5000).astype(np.uint8)
    calls = []
    found = {each.name: each for each in compressions(ids, ids[-2000:], vocabulary, lambda *call: calls.append(call))}
    assert found["gzip"].alone > 2
    assert found["gzip"].after < 0.2
    assert found["xz"].after < 0.2
    assert calls == [(done, 9) for done in range(1, 10)]


def test_losses_begin_with_the_uniform_distribution(rng):
    training, scored = rng.choice(4, p=[0.7, 0.1, 0.1, 0.1], size=(2, 3000))
    losses = ngram_losses(training, scored, training, 4)
    assert len(losses) == 13
    assert losses[0] == pytest.approx(np.log(4))
    entropy = 0.7 * np.log(1 / 0.7) + 0.3 * np.log(10)
    assert losses[1] == pytest.approx(entropy, abs=0.05)
    assert min(losses) == pytest.approx(losses[1], abs=0.01)
