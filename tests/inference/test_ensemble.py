"""Several models as one: the mean of their probabilities, judged by float64 averages of the single ones."""

import json

import numpy as np
import pytest
import reference
from command_line import SMALL, invoke, succeed
from hypothesis import given
from hypothesis import strategies as st
from teams import every_thread_works

import charrnn
from charrnn.config import ModelConfig
from charrnn.errors import ConfigError, VocabularyError
from charrnn.inference.ensemble import Ensemble, require_one_vocabulary
from charrnn.inference.loss import evaluate
from charrnn.inference.sampler import Choice, Sampler
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary

CONFIGS = [ModelConfig(21, 24, 2), ModelConfig(21, 40, 1), ModelConfig(21, 17, 3, embedding=5)]
STREAMS = 4000


def make(threads=2):
    """Networks of different sizes, far enough from uniform to disagree."""
    networks = [Network(config, seed=seed, threads=threads) for seed, config in enumerate(CONFIGS)]
    for network in networks:
        network.parameters["w_out"][:] *= 4
        network.parameters_changed()
    return networks


@pytest.fixture(scope="module")
def networks():
    return make()


def probabilities(networks, ids):
    """What follows each of ids (N,): (N, V), the mean of the oracle's softmax, in float64."""
    found = []
    for network in networks:
        parameters = {name: view.astype(float) for name, view in network.parameters.items()}
        state = tuple(np.zeros((2, network.config.layers, 1, network.config.hidden)))
        logits = reference.forward(parameters, np.array(ids)[:, None], state)[0][:, 0]
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        found.append(e / e.sum(axis=1, keepdims=True))
    return np.mean(found, axis=0)


def expected_draws(weights, seed, streams):
    """(draws, which of them are beyond doubt) by inverting the distribution at every stream's first random number."""
    uniforms = np.array([np.random.default_rng([seed, stream]).random() for stream in range(streams)])
    bounds = np.cumsum(weights / weights.sum())
    certain = np.abs(uniforms[:, None] - bounds).min(axis=1) > 1e-5
    return np.searchsorted(bounds, uniforms, side="right"), certain


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_draws_are_those_of_the_mean_of_the_softmaxes(networks, temperature):
    expected, certain = expected_draws(probabilities(networks, [5, 2])[-1] ** (1 / temperature), 3, STREAMS)
    drawn = Sampler(Ensemble(networks), [5, 2], STREAMS, Choice(temperature), seed=3).draw(1)[0]
    assert certain.mean() > 0.99
    np.testing.assert_array_equal(drawn[certain], expected[certain])


@pytest.mark.parametrize("choice", [Choice(top_k=4), Choice(min_p=0.2), Choice(0.8, top_k=9, min_p=0.05)], ids=str)
def test_filters_act_on_the_mean(networks, choice):
    weights = probabilities(networks, [5, 2])[-1] ** (1 / choice.temperature)
    weights[weights < choice.min_p * weights.max()] = 0
    if choice.top_k:
        weights[np.argsort(-weights)[choice.top_k :]] = 0
    drawn = Sampler(Ensemble(networks), [5, 2], 5000, choice, seed=3).draw(1)[0]
    assert set(drawn) <= set(np.flatnonzero(weights))
    shares = np.bincount(drawn, minlength=21) / 5000
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.03)


def test_top_p_takes_the_fewest_likeliest_of_the_mean(networks):
    weights = probabilities(networks, [5, 2])[-1]
    order = np.argsort(-weights)
    kept = order[: int(np.searchsorted(np.cumsum(weights[order]), 0.6)) + 1]
    drawn = Sampler(Ensemble(networks), [5, 2], 5000, Choice(top_p=0.6), seed=3).draw(1)[0]
    assert set(drawn) == set(kept)


def test_greedy_follows_the_mean_as_the_text_grows(networks):
    ids = [3, 1, 4]
    for choice in Sampler(Ensemble(networks), ids, choice=Choice(0.0)).draw(25)[:, 0]:
        assert choice == probabilities(networks, ids)[-1].argmax()
        ids.append(int(choice))


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_a_model_listed_several_times_writes_its_own_text(networks, copies):
    for network in networks:
        expected = Sampler(network, [1, 2], 3, Choice(0.9, top_p=0.95), seed=11).draw(200)
        found = Sampler(Ensemble([network] * copies), [1, 2], 3, Choice(0.9, top_p=0.95), seed=11).draw(200)
        np.testing.assert_array_equal(found, expected)


@given(chunks=st.lists(st.integers(1, 9), min_size=1, max_size=5), streams=st.integers(1, 5), threads=st.integers(1, 3))
def test_a_seed_means_a_text_for_any_chunks_streams_and_threads(chunks, streams, threads):
    expected = Sampler(Ensemble(make(1)), [1, 2], 1, seed=11).draw(sum(chunks))[:, 0]
    with every_thread_works(threads) as watch:
        sampler = Sampler(Ensemble(make(threads)), [1, 2], streams, seed=11)
        drawn = np.concatenate([sampler.draw(chunk) for chunk in chunks])
    if streams > 1:
        assert watch.workers("sampler") == {min(threads, streams)}
    else:  # by turns one thread, and all of them together
        assert watch.workers("sampler") == ({1} if len(chunks) == 1 else {1, threads})
    np.testing.assert_array_equal(drawn[:, 0], expected)


def test_improbable_characters_are_not_lost_at_high_temperatures():
    certain = Network(ModelConfig(3, 4, 1), seed=None, threads=1)
    certain.parameters["b_out"][:] = [0, -500, -1000]
    drawn = Sampler(Ensemble([certain, certain]), [0], 3000, Choice(1e6)).draw(1)[0]
    np.testing.assert_allclose(np.bincount(drawn, minlength=3) / 3000, 1 / 3, atol=0.04)


# ---- scoring --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [2, 70, 300])
def test_the_loss_is_that_of_the_mean_probability(networks, rng, length):
    ids = rng.integers(21, size=length).astype(np.uint8)
    expected = -np.log(probabilities(networks, ids[:-1])[np.arange(length - 1), ids[1:]]).mean()
    result = evaluate(Ensemble(networks), ids)
    assert result.characters == length - 1
    assert result.loss == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("length", [50, 5000])
def test_the_loss_is_not_above_the_mean_of_the_losses(networks, rng, length):
    ids = rng.integers(21, size=length).astype(np.uint8)
    result = evaluate(Ensemble(networks), ids, before=3)
    each = [evaluate(network, ids, before=3).loss for network in networks]
    assert result.characters == length
    assert result.loss < np.mean(each) - 0.05


def test_a_model_listed_twice_scores_as_it_does_alone(networks, rng):
    ids = rng.integers(21, size=3000)
    for network in networks:
        assert evaluate(Ensemble([network, network]), ids).loss == pytest.approx(evaluate(network, ids).loss, rel=1e-12)


def test_progress_is_reported_to_the_end(networks, rng):
    calls = []
    evaluate(Ensemble(networks), rng.integers(21, size=3000), progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1][0] == calls[-1][1]


# ---- what is refused --------------------------------------------------------------------------------------


def test_networks_of_several_vocabularies_are_refused(networks):
    with pytest.raises(ConfigError, match="vocabulary"):
        Ensemble([])
    with pytest.raises(ConfigError, match="vocabulary"):
        Ensemble([networks[0], Network(ModelConfig(20, 8, 1))])


@pytest.mark.parametrize("arguments", [([],), ([21],), ([-1],), ([0], 0)])
def test_primes_and_numbers_out_of_range_are_refused(networks, arguments):
    with pytest.raises(ConfigError):
        Sampler(Ensemble(networks), *arguments)


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ("abc", "abd", r"number 2 is 'd' \(U\+0064\), not 'c' \(U\+0063\)"),
        ("abc", "ab", "2 of them, not 3"),
        ("abc", b"abc", "bytes, not characters"),
    ],
)
def test_the_first_difference_of_two_vocabularies_is_named(one, other, difference):
    models = [("first", Vocabulary(one)), ("same", Vocabulary(one)), ("second", Vocabulary(other))]
    require_one_vocabulary(models[:2])
    with pytest.raises(VocabularyError, match=f"^second .*first: {difference}"):
        require_one_vocabulary(models)


# ---- the command and the Python interface ----------------------------------------------------------------


@pytest.fixture(scope="module")
def other(tmp_path_factory, text):
    """A larger model of the same text."""
    out = tmp_path_factory.mktemp("others")
    succeed("train", text, "--out", out, *SMALL, "--hidden", 33, "--layers", 1, "--steps", 80, "-q")
    return out / "fables"


def test_sample_with_another_model(model, other):
    options = ["-n", 120, "--seed", 5, "--prime", "The "]
    both = succeed("sample", model, "--with", other, *options)
    assert len(both.stdout) == 120
    assert both.stderr == ""
    assert both.stdout not in {succeed("sample", path, *options).stdout for path in (model, other)}
    with every_thread_works() as watch:
        three = succeed("sample", model, "--with", other, *options, "--count", 3, "--json", "--threads", 2).stdout
    assert watch.workers("sampler") == {2}
    assert json.loads(three.splitlines()[0])["text"] == both.stdout
    assert succeed("sample", model, "--with", other, *options, "--threads", 1).stdout == both.stdout
    assert charrnn.load(model, other).sample("The ", length=120, temperature=0.8, seed=5) == both.stdout
    lines = succeed("sample", model, "--with", other, *options, "--count", 3, "--json").stdout.splitlines()
    assert lines == three.splitlines()
    assert len(lines) == 3


def test_sample_with_itself_is_itself(model):
    alone = succeed("sample", model, "-n", 200, "--seed", 5).stdout
    assert succeed("sample", model, "--with", model, "--with", model, "-n", 200, "--seed", 5).stdout == alone


def test_a_model_of_other_characters_is_one_line_that_names_both(model, tmp_path):
    text = tmp_path / "digits.txt"
    text.write_text("0123456789\n" * 100)
    succeed("train", text, "--out", tmp_path, *SMALL, "--steps", 1, "-q")
    result = invoke("sample", model, "--with", tmp_path / "digits")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert str(model) in result.stderr
    assert str(tmp_path / "digits") in result.stderr
    assert "number 1 is '0'" in result.stderr


def test_a_missing_member_is_one_line(model):
    result = invoke("sample", model, "--with", model / "nowhere")
    assert result.exit_code == 1
    assert "nowhere" in result.stderr


def test_the_python_interface(model, other, text):
    both = charrnn.load(model, other)
    sample = text.read_text()[:3000]
    each = [charrnn.load(path).loss(sample) for path in (model, other)]
    assert both.loss(sample) < np.mean(each)
    assert both.sample_many(2, "The ", 30, seed=4)[0] == both.sample("The ", 30, seed=4)
    with pytest.raises(ConfigError, match="one by one"):
        both.activations(sample)
