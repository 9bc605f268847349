"""N-grams beside a network: the logarithm, and that the mixture costs what its probabilities say."""

import numpy as np
from numba import njit

from charrnn.config import ModelConfig
from charrnn.inference.online_ngrams import OnlineNgrams
from charrnn.inference.row_coder import RowCoder
from charrnn.kernels.activations import log
from charrnn.kernels.simd import load, store
from charrnn.network.network import Network
from charrnn.network.parameters import aligned_zeros

V = 40


@njit
def log_all(x):
    for k in range(0, x.size, 16):
        store(x.ctypes.data, k, log(load(x.ctypes.data, k)))


def test_the_logarithm(rng):
    x = aligned_zeros(1 << 16)
    x[:] = np.exp(rng.uniform(-87, 88, x.size))
    x[:4] = 1, 2, 0.5, np.float32(1e-30)
    expected = np.log(x.astype(np.float64))
    log_all(x)
    assert x[0] == 0
    assert (np.abs(x - expected) <= 2e-7 * np.maximum(np.abs(expected), 1)).all()


def coder(threads=1):
    network = Network(ModelConfig(V, 16, 1), seed=2, threads=threads)
    ngrams = OnlineNgrams(V)
    return RowCoder(network, 1, 0, 0, False, ngrams), ngrams


def encoded(symbols, threads=1):
    made, ngrams = coder(threads)
    made.begin_encoding()
    for start in range(0, len(symbols), 32):
        piece, before = symbols[start : start + 32], made.ids.copy()
        made.encode(piece[:, None], np.array([len(piece)]))
        ngrams.learn(np.concatenate([before, piece[:-1]]))
    return made.end_encoding(), ngrams


def test_a_repeated_text_becomes_cheap_and_is_decoded(rng):
    symbols = np.tile(rng.integers(0, V, 100), 10).astype(np.int32)
    codes, ngrams = encoded(symbols)
    assert len(codes[0]) < 1000 * np.log2(V) / 8 / 3  # a third of what guessing costs
    assert ngrams.blend().weights[0, 1] > 0.7  # n-grams are worth more than they were at first
    made, other = coder()
    made.begin_decoding(codes)
    back = []
    for start in range(0, len(symbols), 32):
        size, before = min(32, len(symbols) - start), made.ids.copy()
        piece = made.decode(size, np.array([size]))[:, 0]
        other.learn(np.concatenate([before, piece[:-1]]))
        back.append(piece)
    assert (np.concatenate(back) == symbols).all()
    assert made.is_at_end


def test_weights_stay_numbers_when_a_network_has_none(rng):
    made, ngrams = coder()
    made.network.parameters["w_out"][:] = np.nan
    made.network.parameters_changed()
    made.begin_encoding()
    made.encode(rng.integers(0, V, (50, 1)).astype(np.int32), np.array([50]))
    assert np.isfinite(ngrams.blend().weights).all()
