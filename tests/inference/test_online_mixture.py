"""A mixture that learns on: its equation and exponents against NumPy, positions in words, and that it sees the past."""

import numpy as np
import pytest
from teams import every_thread_works

from charrnn.config import DynamicEvaluationConfig, ModelConfig
from charrnn.inference.mixture import Mixture
from charrnn.inference.ngrams import Ngrams
from charrnn.inference.online_mixture import POSITIONS, OnlineExponents, OnlineMixture, WordPositions
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
    """-log p of targets by the equation, with exponents (M, K)."""
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


def test_what_does_not_count_has_no_loss_and_teaches_nothing():
    learner = network()
    online = OnlineMixture(mixture(learner), VOCABULARY)
    x, y = symbols(60, 1), np.full(60, -1)
    logs = learner.log_probabilities(x[:, None], learner.initial_state(1))[:, 0]
    before = online._exponents.values.copy()
    assert not online.score(logs, x, y, learner.team).any()
    np.testing.assert_array_equal(online._exponents.values, before)
    y[7] = 3
    assert np.flatnonzero(online.score(logs, x, y, learner.team)).tolist() == [7]
    assert (online._exponents.values != before).any()


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
    exponents = OnlineExponents((0.3, 0.9, 0.1), 2)
    target = np.random.default_rng(2).integers(0, V, 40)
    for _ in range(3):
        exponents.learn(logs, target, places)
    found = exponents.mixed(logs, places)
    np.testing.assert_allclose(np.exp(found).sum(axis=-1), 1)
    np.testing.assert_allclose(
        -found[np.arange(40), target], losses(logs, target, exponents.values[places]), rtol=1e-12
    )
    assert not np.allclose(exponents.values[0], exponents.values[1])


def test_exponents_come_to_those_with_the_least_loss():
    """Targets are drawn from a mixture with other exponents at each kind of position, which are found."""
    rng, wanted = np.random.default_rng(3), np.array([[0.9, 0.2, 0.1], [0.2, 1.1, 0.4]])
    exponents = OnlineExponents((0.1, 1.5, 0.0), 2)
    for part in range(300):
        logs, places = log_probabilities(40, seed=part), rng.integers(0, 2, 40)
        chances = np.exp(np.einsum("mk,kmv->mv", wanted[places], logs))
        chances /= chances.sum(axis=-1, keepdims=True)
        exponents.learn(logs, np.array([rng.choice(V, p=each) for each in chances]), places)
    np.testing.assert_allclose(exponents.values, wanted, atol=0.1)


@pytest.mark.parametrize("count", [0, 5])
def test_exponents_stay_where_nothing_can_be_learnt(count):
    exponents = OnlineExponents((0.6, 0.4), 1)
    exponents.learn(np.zeros((2, count, 1)), np.zeros(count, np.int64), np.zeros(count, np.int64))  # one certain symbol
    np.testing.assert_allclose(exponents.values, [[0.6, 0.4]])


def test_one_surprise_hardly_moves_exponents():
    """The n-grams that know the text alone were sure of a symbol that nothing else expected."""
    exponents = OnlineExponents((0.7, 0.25, 0.05), POSITIONS)
    logs = np.log(np.full((3, 1, V), 0.001))
    logs[:2, :, 0] = np.log(1 - 0.001 * (V - 1))
    logs[2, :, 3], logs[2, :, 0] = np.log(1 - 0.001 * (V - 1)), np.log(0.001)
    exponents.learn(log_probabilities(1), np.array([0]), np.array([1]))
    exponents.learn(logs, np.array([3]), np.array([2]))
    assert (exponents.values[2] >= 0).all()
    np.testing.assert_allclose(exponents.values[2], [0.7, 0.25, 0.05], atol=0.5)


def test_n_grams_of_recent_text_begin_anew(monkeypatch):
    monkeypatch.setattr("charrnn.inference.online_mixture.RECENT", 200)
    learner = network()
    online = OnlineMixture(mixture(learner), VOCABULARY)
    learnt = []
    for start in range(0, 600, 50):
        online.learn(symbols(600)[start : start + 50])
        learnt.append(online._recent.learnt)
    assert learnt == [50, 100, 150, 200] * 3
    assert online._ngrams.learnt == 900 + 600


def test_long_parts_are_scored_window_by_window(monkeypatch):
    monkeypatch.setattr("charrnn.inference.online_mixture._WINDOW", 40)
    learner, x, y = network(), symbols(300, 1)[:-1], symbols(300, 1)[1:]
    logs = learner.log_probabilities(x[:, None], learner.initial_state(1))[:, 0]
    one, other = (OnlineMixture(mixture(learner), VOCABULARY) for _ in range(2))
    parts = [other.score(logs[k : k + 40], x[k : k + 40], y[k : k + 40], learner.team) for k in range(0, len(x), 40)]
    np.testing.assert_array_equal(one.score(logs, x, y, learner.team), np.concatenate(parts))


def test_positions():
    def after(vocabulary, ids):
        positions = WordPositions(vocabulary)
        return np.concatenate([positions.after(np.array(part)) for part in (ids[:3], ids[3:])]).tolist()

    text = "abcAb A.\nc"
    found = after(VOCABULARY, [VOCABULARY.symbols.index(each) for each in text])
    assert found == [3, 4, 5, 8, 5, 1, 6, 2, 0, 3]
    assert found == after(Vocabulary(range(256)), list(text.encode()))
    assert after(Vocabulary(range(256)), list("éü".encode())) == [3, 4, 5, 5]
    assert after(VOCABULARY, [VOCABULARY.symbols.index("A")] * 4) == [6, 7, 8, 8]
    assert set(found) <= set(range(POSITIONS))
