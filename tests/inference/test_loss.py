"""The loss of a text: every character is scored once, with the state that the text before it leads to."""

import numpy as np
import pytest
import reference
from simulated_ranks import on_ranks
from teams import every_thread_works

from charrnn.config import ModelConfig
from charrnn.inference.ensemble import Ensemble
from charrnn.inference.loss import evaluate
from charrnn.network.network import Network


@pytest.fixture(scope="module")
def network():
    return Network(ModelConfig(12, 20, 2), seed=2, threads=2)


def exact(network, ids):
    parameters = {name: view.astype(float) for name, view in network.parameters.items()}
    state = tuple(np.zeros((2, 2, 1, 20)))
    logits, _, _ = reference.forward(parameters, ids[:-1, None], state)
    return reference.losses(logits, ids[1:, None]).mean()


@pytest.mark.parametrize("length", [2, 3, 65, 500])
def test_a_short_text_is_read_in_one_batch_row(network, rng, length):
    ids = rng.integers(12, size=length).astype(np.uint8)
    result = evaluate(network, ids)
    assert result.characters == length - 1
    assert result.loss == pytest.approx(exact(network, ids), rel=1e-6)
    assert result.bpc == pytest.approx(result.loss / np.log(2))
    assert result.perplexity == pytest.approx(np.exp(result.loss))


def test_many_batch_rows_give_nearly_the_same_loss(network, rng):
    ids = rng.integers(12, size=20_000).astype(np.uint8)
    result = evaluate(network, ids)
    assert result.characters == 19_999
    assert result.loss == pytest.approx(exact(network, ids), rel=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_loss_is_the_same_for_any_number_of_threads(rng, batch):
    ids, found = rng.integers(12, size=8000).astype(np.uint8), []
    for threads in (1, 2, 3, 7):
        networks = [Network(ModelConfig(12, hidden, 2), seed=2, threads=threads) for hidden in (20, 33)]
        with every_thread_works(min(threads, batch)) as watch:
            found.append([evaluate(each, ids, batch=batch) for each in (*networks, Ensemble(networks))])
        assert watch.workers("network") == {min(threads, batch)}
    assert found[1:] == found[:1] * 3


def test_the_first_character_is_scored_if_the_one_before_it_is_given(network, rng):
    ids = rng.integers(12, size=300).astype(np.uint8)
    with_context = evaluate(network, ids[1:], before=int(ids[0]))
    assert with_context == evaluate(network, ids)


def test_progress_is_reported_to_the_end(network, rng):
    calls = []
    evaluate(network, rng.integers(12, size=5000), progress=lambda done, total: calls.append((done, total)))
    assert calls[-1][0] == calls[-1][1]
    assert calls == sorted(calls)


@pytest.mark.parametrize("carry", [True, False])
@pytest.mark.parametrize("length", [3, 2500, 9000])
def test_ranks_get_the_loss_of_one_process(rng, length, carry):
    """Of a short text some ranks have no batch row."""
    ids, model = rng.integers(12, size=length).astype(np.uint8), ModelConfig(12, 20, 2)
    network = Network(model, seed=2, threads=1)
    whole = evaluate(network, ids, batch=6, steps=50, carry=carry)
    for size in (2, 3, 4):
        networks = [Network(model, seed=2, threads=1) for _ in range(size)]
        found = on_ranks(
            size,
            lambda ranks, each=networks: evaluate(each[ranks.number], ids, None, 6, 50, carry=carry, ranks=ranks),
        )
        assert found == [whole] * size
