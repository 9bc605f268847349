"""Drawing text: the distribution, the filters, and that a seed means a text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from teams import every_thread_works
from writing_models import model as small_model

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.inference.sampler import Choice, Sampler
from charrnn.inference.stream_team import TOGETHER
from charrnn.kernels.barrier import ARRIVED
from charrnn.kernels.sampling import write
from charrnn.network.network import Network

CONFIG = ModelConfig(21, 24, 2)


@pytest.fixture(scope="module")
def network():
    return Network(CONFIG, seed=8, threads=2)


def softmax(logits):
    e = np.exp(logits - logits.max())
    return e / e.sum()


def next_logits(network, ids):
    return network.forward(np.array(ids, np.int32)[:, None], network.initial_state(1))[-1, 0].astype(float)


def test_greedy_takes_the_likeliest_of_the_forward_pass(network):
    ids = [3, 1, 4]
    drawn = Sampler(network, ids, choice=Choice(0.0)).draw(30)[:, 0]
    for choice in drawn:
        assert choice == next_logits(network, ids).argmax()
        ids.append(int(choice))


def frequencies(network, choice, draws=40_000):
    drawn = Sampler(network, [5, 2], draws, choice, seed=3).draw(1)[0]
    return np.bincount(drawn, minlength=CONFIG.vocabulary) / draws


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_frequencies_are_the_softmax(network, temperature):
    expected = softmax(next_logits(network, [5, 2]) / temperature)
    np.testing.assert_allclose(frequencies(network, Choice(temperature)), expected, atol=0.012)


def filtered(p, choice):
    """What is left of probabilities p, by the definitions, normalised."""
    order = np.argsort(-p, kind="stable")
    kept = order[: choice.top_k or len(p)]
    kept = kept[p[kept] >= choice.min_p * p.max()]
    mass = p[kept] / p[kept].sum()
    kept = kept[: int(np.searchsorted(np.cumsum(mass), choice.top_p * (1 - 1e-9))) + 1]
    left = np.zeros_like(p)
    left[kept] = p[kept]
    return left / left.sum()


@pytest.mark.parametrize(
    "choice",
    [
        Choice(top_k=1),
        Choice(top_k=4),
        Choice(top_k=100),
        Choice(top_p=0.5),
        Choice(top_p=1e-6),
        Choice(min_p=0.4),
        Choice(min_p=1.0),
        Choice(0.7, top_k=9, top_p=0.8, min_p=0.05),
    ],
    ids=str,
)
def test_filters_keep_what_they_should(network, choice):
    expected = filtered(softmax(next_logits(network, [5, 2]) / choice.temperature), choice)
    found = frequencies(network, choice)
    assert set(np.flatnonzero(found)) <= set(np.flatnonzero(expected))
    np.testing.assert_allclose(found, expected, atol=0.012)


@given(chunks=st.lists(st.integers(1, 9), min_size=1, max_size=6), streams=st.integers(1, 7), threads=st.integers(1, 5))
def test_a_seed_means_a_text_for_any_chunks_streams_and_threads(chunks, streams, threads):
    expected = Sampler(Network(CONFIG, seed=8, threads=1), [1, 2], 1, seed=11).draw(sum(chunks))[:, 0]
    with every_thread_works(threads) as watch:
        sampler = Sampler(Network(CONFIG, seed=8, threads=threads), [1, 2], streams, seed=11)
        drawn = np.concatenate([sampler.draw(chunk) for chunk in chunks])
    if streams > 1:
        assert watch.workers("sampler") == {min(threads, streams)}
    else:  # by turns one thread, and all of them together
        assert watch.workers("sampler") == ({1} if len(chunks) == 1 else {1, threads})
    np.testing.assert_array_equal(drawn[:, 0], expected)
    assert streams == 1 or not all((drawn[:, 0] == drawn[:, k]).all() for k in range(1, streams)) or len(drawn) < 4


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_that_write_one_text_together_write_the_same(threads):
    config = ModelConfig(150, 70, 3)  # panels that do not share out evenly
    alone = Sampler(Network(config, seed=4, threads=1), [1, 2], seed=11)
    together = Sampler(Network(config, seed=4, threads=threads), [1, 2], seed=11)
    together._strategies.next = lambda: TOGETHER
    for characters in (1, 30, 7):
        expected = alone.draw(characters)
        with every_thread_works(threads) as watch:
            np.testing.assert_array_equal(together.draw(characters), expected)
        assert watch.workers("sampler") == {threads}
    assert together._flags[ARRIVED] == threads * 7 * 5  # three layers, the logits, the choice


def test_a_thread_that_fails_sets_the_others_free(network, monkeypatch):
    def fail_at_the_second(*arguments):
        if arguments[5].worker == 1:
            raise KeyboardInterrupt
        write(*arguments)

    sampler = Sampler(network, [1])
    sampler._strategies.next = lambda: TOGETHER
    monkeypatch.setattr("charrnn.inference.sampler.write", fail_at_the_second)
    with every_thread_works() as watch, pytest.raises(KeyboardInterrupt):
        sampler.draw(10)
    assert watch.workers("sampler") == {2}


def test_seeds_differ(network):
    texts = {Sampler(network, [0], seed=seed).draw(20).tobytes() for seed in range(10)}
    assert len(texts) == 10


def test_extreme_temperatures_draw_known_characters(network):
    for temperature in (1e-30, 1e-5, 1e30):
        drawn = Sampler(network, [0], 3, Choice(temperature)).draw(50)
        assert drawn.min() >= 0
        assert drawn.max() < CONFIG.vocabulary


@pytest.mark.parametrize(
    "options",
    [{"temperature": -1}, {"temperature": np.nan}, {"temperature": np.inf}, {"top_k": -1}, {"top_p": 0}, {"min_p": 2}],
)
def test_absurd_choices_are_refused(options):
    with pytest.raises(ConfigError):
        Choice(**options)


@pytest.mark.parametrize("prime", [[], [-1], [21], [0, 99999], [[1, 2]]])
def test_primes_out_of_range_are_refused_not_read(network, prime):
    with pytest.raises(ConfigError, match="prime"):
        Sampler(network, prime)


def test_no_texts_at_all(network):
    with pytest.raises(ConfigError, match="at least 1"):
        Sampler(network, [1], 0)


@pytest.mark.parametrize("kind", ["lstm", "transformer", "ensemble", "mixture"])
def test_a_state_is_as_good_as_the_text_that_led_to_it_and_stays_as_it_is(kind):
    model = small_model(kind)
    ids = model.encode("the fox and the heron met at the river")
    state = model.network.initial_state(1)
    model.network.log_probabilities(np.ascontiguousarray(ids[:30, None]), state)
    whole, on = Sampler(model.network, ids, seed=4), Sampler(model.network, ids[30:], seed=4, state=state)
    assert (whole.draw(40) == on.draw(40)).all()
    again = Sampler(model.network, ids[30:], seed=4, state=state)
    assert (again.draw(40) == Sampler(model.network, ids, seed=4).draw(40)).all()


def test_generators_are_used_instead_of_a_seed(network):
    ids = np.array([3, 1, 4], np.int32)
    own = [np.random.default_rng([7, stream]) for stream in range(2)]
    drawn = Sampler(network, ids, 2, seed=1, generators=own).draw(20)
    assert (drawn == Sampler(network, ids, 2, seed=7).draw(20)).all()
    later = np.random.default_rng([7, 0])
    later.bit_generator.advance(5)
    after = np.concatenate([ids, drawn[:5, 0]])
    assert (Sampler(network, after, generators=[later]).draw(15)[:, 0] == drawn[5:, 0]).all()
