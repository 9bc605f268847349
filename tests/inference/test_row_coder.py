"""Coding rows: the same bytes for any threads, what the losses say they take, and back."""

import math

import numpy as np
import pytest
from teams import every_thread_works

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.inference.row_coder import RowCoder
from charrnn.inference.stream_team import TOGETHER
from charrnn.network.cells import CELLS
from charrnn.network.network import Network

V = 30


def network(cell="lstm", threads=1, hidden=40, vocabulary=V):
    return Network(ModelConfig(vocabulary, hidden, 2, cell=cell), seed=3, threads=threads)


def text(steps, rows, seed=1, highest=V):
    return np.random.default_rng(seed).integers(0, highest, (steps, rows)).astype(np.int32)


def encode(made, symbols, lengths=None, pieces=(1, 7, 1000)):
    """The codes of symbols, given piece by piece."""
    lengths = np.full(made.rows, len(symbols)) if lengths is None else np.array(lengths)
    made.begin_encoding()
    start = 0
    for piece in pieces:
        stop = min(start + piece, len(symbols))
        made.encode(symbols[start:stop], np.clip(lengths - start, 0, stop - start))
        start = stop
    return made.end_encoding()


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_encoded_is_decoded(cell):
    symbols, lengths = text(60, 5, highest=V + 1), np.array([60, 59, 60, 0, 1])
    codes = encode(RowCoder(network(cell), 5, 4, 7, True), symbols, lengths)
    made = RowCoder(network(cell), 5, 4, 7, True)
    made.begin_decoding(codes)
    back = np.concatenate([made.decode(20, np.clip(lengths - start, 0, 20)) for start in (0, 20, 40)])
    assert made.is_at_end and not made.is_damaged
    for row, length in enumerate(lengths):
        assert (back[:length, row] == symbols[:length, row]).all()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("threads", [2, 3])
def test_the_codes_are_the_same_for_any_number_of_threads(cell, threads):
    symbols = text(40, 7)
    expected = encode(RowCoder(network(cell), 7, 0, 0, True), symbols)
    with every_thread_works(threads):
        assert encode(RowCoder(network(cell, threads), 7, 0, 0, True), symbols) == expected


@pytest.mark.parametrize("threads", [2, 3])
def test_one_row_is_the_same_when_all_threads_share_it(threads):
    symbols = text(40, 1)
    expected = encode(RowCoder(network(), 1, 0, 0, True), symbols)
    together = RowCoder(network(threads=threads), 1, 0, 0, True)
    together._strategies.next = lambda: TOGETHER
    with every_thread_works(threads):
        assert encode(together, symbols) == expected


def test_a_row_does_not_depend_on_the_others():
    symbols = text(40, 3)
    together = encode(RowCoder(network(), 3, 0, 0, True), symbols)
    assert [encode(RowCoder(network(), 1, 0, 0, True), symbols[:, [row]])[0] for row in range(3)] == together


def test_the_codes_take_what_the_losses_say():
    trained, rows, steps = network(), 3, 2000
    trained.parameters["b_out"][:] = np.linspace(-3, 3, V)
    trained.parameters_changed()
    p = np.exp(np.linspace(-3, 3, V))
    symbols = np.random.default_rng(2).choice(V, (steps, rows), p=p / p.sum()).astype(np.int32)
    codes = encode(RowCoder(trained, rows, 0, 0, False), symbols, pieces=(steps,))
    x = np.concatenate([np.zeros((1, rows), np.int32), symbols[:-1]])
    losses = trained.losses(x, symbols, trained.initial_state(rows)).sum(axis=0) / math.log(2) / 8
    for code, loss in zip(codes, losses, strict=True):
        assert loss - 1 <= len(code) <= 1.0005 * loss + 2


def test_the_state_stays_from_one_code_to_the_next():
    symbols = text(40, 2)
    made, other = RowCoder(network(), 2, 0, 0, True), RowCoder(network(), 2, 0, 0, True)
    first, second = encode(made, symbols[:20]), encode(made, symbols[20:])
    other.begin_decoding(first)
    other.decode(20, np.array([20, 20]))
    other.begin_decoding(second)
    assert (other.decode(20, np.array([20, 20])) == symbols[20:]).all()
    made.reset()
    assert encode(made, symbols[:20]) == first


def test_a_large_vocabulary(rng):
    many = 5000
    symbols = rng.integers(0, many + 1, (30, 2)).astype(np.int32)
    codes = encode(RowCoder(network(hidden=16, vocabulary=many), 2, 0, 1, True), symbols)
    made = RowCoder(network(hidden=16, vocabulary=many), 2, 0, 1, True)
    made.begin_decoding(codes)
    assert (made.decode(30, np.array([30, 30])) == symbols).all()


def test_weights_that_are_no_numbers_still_code():
    broken = network()
    broken.parameters["w_out"][:] = np.nan
    symbols = text(50, 2)
    codes = encode(RowCoder(broken, 2, 0, 0, True), symbols)
    made = RowCoder(broken, 2, 0, 0, True)
    made.begin_decoding(codes)
    assert (made.decode(50, np.array([50, 50])) == symbols).all()


def test_too_many_rows_for_the_memory_are_refused(monkeypatch):
    monkeypatch.setattr("charrnn.system.memory.installed", lambda: 1000)
    with pytest.raises(ConfigError, match="this machine has"):
        RowCoder(network(), 200, 0, 0, True)
