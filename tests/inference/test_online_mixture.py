"""A mixture that learns on: its equation and its weights against NumPy, its places, and that it sees the past only."""

import numpy as np
import pytest
from teams import every_thread_works

from charrnn.config import DynamicEvaluationConfig, ModelConfig
from charrnn.inference.mixture import Mixture
from charrnn.inference.ngrams import Ngrams
from charrnn.inference.online_mixture import PLACES, OnlineMixture, OnlineWeights, Places
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.dynamic_evaluation import evaluate_dynamically

VOCABULARY = Vocabulary("\n abcAB.")
V = len(VOCABULARY)


def network(threads=1):
    return Network(ModelConfig(V, 12, 2), seed=1, threads=threads)


def symbols(count, seed=0):
    """Words of three symbols in random order."""
    rng = np.random.default_rng(seed)
    words = np.random.default_rng(5).integers(0, V, (6, 3))
    return words[rng.integers(0, 6, count // 3)].ravel().astype(np.int32)


def mixture(learner, weights=(0.5, 0.6)):
    ngrams = Ngrams(V, 6)
    ngrams.learn(symbols(900))
    return Mixture(learner, ngrams, weights)


def log_probabilities(count, kinds=3, seed=0):
    logs = np.random.default_rng(seed).normal(size=(kinds, count, V))
    return logs - np.log(np.exp(logs).sum(axis=-1, keepdims=True))


def losses(logs, target, weights):
    """-log p of targets by the equation, with the weights of each place (M, K)."""
    total = np.einsum("mk,kmv->mv", weights, logs)
    return np.log(np.exp(total).sum(axis=-1)) - total[np.arange(len(target)), target]


def test_all_learn_on():
    learner, text = network(), np.tile(np.random.default_rng(8).integers(0, V, 200), 4).astype(np.int32)
    mixed = mixture(learner)
    config = DynamicEvaluationConfig(1e-3, 20, 0.0)
    found = evaluate_dynamically(learner, text, config=config, mixture=OnlineMixture(mixed, VOCABULARY))
    assert mixed.ngrams.learnt == 900 + len(text) - 1
    assert found.mixture.loss < found.network.loss - 0.5
    assert found.mixture.characters == found.network.characters == len(text) - 1
    assert found.network == evaluate_dynamically(learner, text, config=config).network  # which the mixture leaves alone


def test_recent_text_is_remembered():
    """N-grams that know nothing, and a network that learns nothing: what is left is what the text itself teaches."""
    learner, text = network(), np.tile(np.random.default_rng(8).integers(0, V, 200), 4).astype(np.int32)
    wrong = Ngrams(V, 6)
    wrong.learn(np.zeros(5000, np.int32))
    online = OnlineMixture(Mixture(learner, wrong, (1.0, 0.0)), VOCABULARY)
    found = evaluate_dynamically(learner, text, config=DynamicEvaluationConfig(lr=0), mixture=online)
    assert found.mixture.loss < found.network.loss - 0.5


def test_no_score_depends_on_what_follows():
    text = symbols(600, 3)
    changed = text.copy()
    changed[301:] = (changed[301:] + 1) % V

    def scores(ids):
        learner = network()
        online, state, found = OnlineMixture(mixture(learner), VOCABULARY), learner.initial_state(1), []
        for start in range(0, len(ids) - 1, 50):
            x, y = ids[start : start + 50][: len(ids) - 1 - start], ids[start + 1 : start + 51]
            found.append(online.score(learner.log_probabilities(x[:, None], state)[:, 0], x, y, learner.team))
            online.learn(x)
        return np.concatenate(found)

    one, other = scores(text), scores(changed)
    np.testing.assert_array_equal(one[:300], other[:300])
    assert not np.allclose(one[300:], other[300:])


def test_what_does_not_count_has_no_loss_and_teaches_no_weights():
    learner = network()
    online = OnlineMixture(mixture(learner), VOCABULARY)
    x, y = symbols(60, 1), np.full(60, -1)
    logs = learner.log_probabilities(x[:, None], learner.initial_state(1))[:, 0]
    before = online._weights._weights.copy()
    assert not online.score(logs, x, y, learner.team).any()
    np.testing.assert_array_equal(online._weights._weights, before)
    y[7] = 3
    assert np.flatnonzero(online.score(logs, x, y, learner.team)).tolist() == [7]
    assert (online._weights._weights != before).any()


def test_the_same_bits_for_any_number_of_threads():
    def found(threads):
        learner = network(threads)
        return evaluate_dynamically(learner, symbols(600, 2), mixture=OnlineMixture(mixture(learner), VOCABULARY))

    expected = found(1)
    for threads in (2, 3):
        with every_thread_works(threads):
            assert found(threads) == expected


def test_the_mixture_is_its_equation():
    logs, places = log_probabilities(40), np.random.default_rng(1).integers(0, 2, 40)
    weights = OnlineWeights((0.3, 0.9, 0.1), 2)
    target = np.random.default_rng(2).integers(0, V, 40)
    for _ in range(3):
        weights.learn(logs, target, places)
    found = weights.mixed(logs, places)
    np.testing.assert_allclose(np.exp(found).sum(axis=-1), 1)
    np.testing.assert_allclose(
        -found[np.arange(40), target], losses(logs, target, weights._weights[places]), rtol=1e-12
    )
    assert not np.allclose(weights._weights[0], weights._weights[1])


def test_weights_come_to_those_with_the_least_loss():
    """Targets are drawn from a mixture with other weights at each kind of place, which are found."""
    rng, wanted = np.random.default_rng(3), np.array([[0.9, 0.2, 0.1], [0.2, 1.1, 0.4]])
    weights = OnlineWeights((0.1, 1.5, 0.0), 2)
    for part in range(300):
        logs, places = log_probabilities(40, seed=part), rng.integers(0, 2, 40)
        chances = np.exp(np.einsum("mk,kmv->mv", wanted[places], logs))
        chances /= chances.sum(axis=-1, keepdims=True)
        weights.learn(logs, np.array([rng.choice(V, p=each) for each in chances]), places)
    np.testing.assert_allclose(weights._weights, wanted, atol=0.1)


@pytest.mark.parametrize("count", [0, 5])
def test_weights_stay_where_nothing_can_be_learnt(count):
    weights = OnlineWeights((0.6, 0.4), 1)
    weights.learn(np.zeros((2, count, 1)), np.zeros(count, np.int64), np.zeros(count, np.int64))  # one certain symbol
    np.testing.assert_allclose(weights._weights, [[0.6, 0.4]])


def test_places():
    def after(vocabulary, ids):
        places = Places(vocabulary)
        return np.concatenate([places.after(np.array(part)) for part in (ids[:3], ids[3:])]).tolist()

    text = "abcAb A.\nc"
    found = after(VOCABULARY, [VOCABULARY.symbols.index(each) for each in text])
    assert found == [5 + 3, 10 + 3, 15 + 3, 15 + 4, 15 + 3, 2, 5 + 4, 1, 0, 5 + 3]
    assert found == after(Vocabulary(range(256)), list(text.encode()))
    assert after(Vocabulary(range(256)), list("éü".encode())) == [5 + 3, 10 + 3, 15 + 3, 15 + 3]
    assert max(found) < PLACES
