"""Soft targets: what teachers expect, and a network that learns from them."""

import dataclasses

import numpy as np
import pytest
from teams import every_thread_works
from training_runs import CONFIG, TEXT, VOCABULARY, contents, trainer

from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import ConfigError
from charrnn.inference.ensemble import Ensemble
from charrnn.inference.ngrams import Ngrams, new_readers
from charrnn.network.network import Network
from charrnn.system.threads import Team
from charrnn.training.distillation import MOST, SoftTargets, targets_of_networks, targets_of_ngrams

IDS = VOCABULARY.encode(TEXT).astype(VOCABULARY.dtype)


def teachers(*seeds):
    return Ensemble([Network(ModelConfig(len(VOCABULARY), 8, 1), seed=seed, threads=1) for seed in seeds])


def test_they_are_the_likeliest_characters_of_the_teachers_mean():
    model = teachers(1, 2)
    logs = model.log_probabilities(IDS[:-1, None].astype(np.int32), model.initial_state(1))[:, 0]
    places = np.arange(1, len(IDS))
    soft = targets_of_networks(model, IDS, 0.3).at(places[:, None], 0.5)
    assert soft.weight == np.float32(0.3)
    assert soft.ids.shape == soft.q.shape == (len(places), 1, MOST)
    expected = np.sort(np.exp(logs), axis=1)[:, ::-1][:, :MOST]
    expected /= expected.sum(axis=1, keepdims=True)
    order = np.argsort(-soft.q[:, 0], axis=1)
    np.testing.assert_allclose(np.take_along_axis(soft.q[:, 0], order, 1), expected, rtol=2e-3)
    np.testing.assert_allclose(soft.q.sum(axis=2), 1, rtol=1e-3)
    own = np.take_along_axis(np.exp(logs), soft.ids[:, 0], axis=1)
    np.testing.assert_allclose(own / own.sum(axis=1, keepdims=True), soft.q[:, 0], rtol=2e-3)


def test_a_step_learns_from_the_targets_of_its_own_places(tmp_path):
    """The soft targets of a window are those of the characters in its y."""
    made = trainer(tmp_path / "run", CONFIG)
    asked, targets = [], targets_of_networks(teachers(1), made.subject.parts.train, 0.5)
    at = targets.at
    targets.at = lambda places, done: asked.append(places) or at(places, done)
    made.subject.soft_targets = targets
    next(record for record in made.run() if record.event == "step")
    _, y = made.subject.windows.window(0, 0)
    text = made.subject.parts.train
    assert np.array_equal(np.where(y < 0, -1, text[asked[0]]), y)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_result_is_the_same_on_any_number_of_threads(tmp_path, weight):
    plain, outcomes = trainer(tmp_path / "plain", CONFIG), []
    list(plain.run())
    for threads in (1, 2):
        made = trainer(tmp_path / str(threads), CONFIG, threads=threads)
        made.subject.soft_targets = targets_of_networks(teachers(1, 2), made.subject.parts.train, weight)
        with every_thread_works(threads):
            list(made.run())
        outcomes.append(contents(tmp_path / str(threads) / "last.safetensors"))
    assert outcomes[0] == outcomes[1]
    assert (outcomes[0] == contents(tmp_path / "plain" / "last.safetensors")) == (weight == 0)


def test_a_network_comes_nearer_to_its_teachers(tmp_path):
    """Learning from soft targets alone, a network predicts more like its teachers than learning from the text."""
    model, distances = teachers(1, 2), {}
    x = IDS[:300, None].astype(np.int32)
    expected = model.log_probabilities(x, model.initial_state(1))
    for weight in (0.0, 1.0):
        made = trainer(tmp_path / str(weight), dataclasses.replace(CONFIG, dropout=0.0, lr=0.02))
        made.subject.soft_targets = targets_of_networks(model, made.subject.parts.train, weight)
        list(made.run())
        found = made.network.log_probabilities(x, made.network.initial_state(1))
        distances[weight] = float((np.exp(expected) * (expected - found)).sum(axis=-1).mean())
    assert distances[1.0] < 0.1 < 1 < distances[0.0]


def test_a_text_whose_targets_do_not_fit_in_memory_is_refused(monkeypatch):
    monkeypatch.setattr("charrnn.system.memory.installed", lambda: 1000)
    with pytest.raises(ConfigError, match="leave them out"):
        SoftTargets(len(IDS), len(VOCABULARY), (0.5, 0.5))


# ---- n-grams as teachers


def with_ngrams(**given):
    return dataclasses.replace(CONFIG, ngram_targets=0.25, **given)


@pytest.mark.parametrize("threads", [1, 2])
def test_n_grams_teach_a_half_of_the_text_after_learning_the_other(threads):
    done = []
    targets = targets_of_ngrams(
        IDS, len(VOCABULARY), (0.25, 0.0), Team(threads), progress=lambda *progress: done.append(progress)
    )
    soft, length = targets.at(np.arange(len(IDS))[:, None], 0.0), len(IDS)
    assert soft.weight == 0.25
    for part in range(2):
        first, last = length * part // 2, length * (part + 1) // 2
        ngrams, team = Ngrams(len(VOCABULARY)), Team(1)
        ngrams.learn(np.concatenate([IDS[last:], IDS[:first]]).astype(np.int32))
        begin = max(first - 30, 0)
        logs = ngrams.read(IDS[begin : last - 1, None].astype(np.int32), new_readers(1), team)[first - begin - 1 :, 0]
        for place, expected in zip(range(last - len(logs), last), np.exp(logs), strict=True):
            best = np.sort(expected)[::-1][:MOST]
            np.testing.assert_allclose(np.sort(soft.q[place, 0])[::-1], best / best.sum(), rtol=2e-3, atol=1e-6)
            np.testing.assert_allclose(np.sort(expected[soft.ids[place, 0]])[::-1], best, rtol=1e-5)
    assert {total for _, total in done} == {2 * length}
    assert [first for first, _ in done] == sorted(first for first, _ in done)
    assert threads > 1 or done[-1] == (2 * length, 2 * length)


def test_an_error_of_the_report_ends_all_threads():
    def report(done, total):
        raise RuntimeError("that is enough")

    with pytest.raises(RuntimeError, match="enough"):
        targets_of_ngrams(IDS, len(VOCABULARY), (0.25, 0.0), Team(2), progress=report)


@pytest.mark.parametrize("length", [2, 3, 5, 40])
def test_n_grams_teach_a_short_text(length):
    soft = targets_of_ngrams(IDS[:length], len(VOCABULARY), (0.25, 0.0), Team(3)).at(np.arange(length)[:, None], 0.0)
    np.testing.assert_allclose(soft.q.sum(axis=2), 1, rtol=2e-3)


def test_a_run_learns_from_them_and_gives_the_same_on_any_number_of_threads(tmp_path):
    outcomes = {}
    for name, config, threads in (("off", CONFIG, 1), ("one", with_ngrams(), 1), ("two", with_ngrams(), 2)):
        made = trainer(tmp_path / name, config, threads=threads)
        with every_thread_works(threads):
            list(made.run())
        outcomes[name] = contents(tmp_path / name / "last.safetensors")
    assert outcomes["one"] == outcomes["two"] != outcomes["off"]


def test_a_resumed_run_has_the_same_targets(tmp_path):
    list(trainer(tmp_path / "whole", with_ngrams()).run())
    begun = trainer(tmp_path / "parts", with_ngrams())
    for record in begun.run():
        if record.event == "step" and record.step == 23:
            begun.stop()
    resume = begun.folder.load_last(pytest.fail)[1]
    list(trainer(tmp_path / "parts", with_ngrams(), resume=resume).run())
    assert contents(tmp_path / "parts" / "last.safetensors") == contents(tmp_path / "whole" / "last.safetensors")


def test_who_is_not_taught_by_n_grams(tmp_path, monkeypatch):
    def learns(config):
        made = trainer(tmp_path / "run", config)
        made.learn_from_ngrams()
        assert (made.subject.soft_targets is not None) == made.subject.learns_from_ngrams
        return made.subject.learns_from_ngrams

    assert learns(with_ngrams())
    assert not learns(CONFIG)
    assert not learns(with_ngrams(teachers=1))
    assert learns(with_ngrams(steps=None, time_budget=3600.0))
    assert not learns(with_ngrams(steps=None, time_budget=1e-3))
    monkeypatch.setattr("charrnn.training.run.MOST_SYMBOLS", 5)
    assert not learns(with_ngrams())


def test_a_stop_ends_what_they_read(tmp_path):
    made = trainer(tmp_path / "run", with_ngrams())
    made.learn_from_ngrams(lambda done, total: made.stop())
    assert made.subject.soft_targets is None
    assert [record.event for record in made.run()] == ["started", "saved", "finished"]


def test_settings_of_an_earlier_version_have_no_n_grams_and_no_penalty():
    values = CONFIG.to_dict()
    del values["ngram_targets"], values["tar"]
    assert TrainConfig.from_dict(values).ngram_targets == 0
    assert TrainConfig.from_dict(values).tar == 0
    assert TrainConfig().ngram_targets > 0


@pytest.mark.parametrize(("first", "dropout", "last"), [(0.25, 0.4, 0.1), (0.2, 0.9, 0.2), (0.05, 0.4, 0.05)])
def test_the_part_of_n_grams_falls_to_a_quarter_of_the_dropout(tmp_path, first, dropout, last):
    made = trainer(tmp_path / "run", dataclasses.replace(CONFIG, ngram_targets=first, dropout=dropout))
    made.learn_from_ngrams()
    parts = [made.subject.soft_targets.at(np.arange(9)[:, None], done).weight for done in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(parts, [first, (first + last) / 2, last], rtol=1e-6)


def test_the_part_of_n_grams_falls_and_that_of_networks_stays():
    ngrams, places = targets_of_ngrams(IDS, len(VOCABULARY), (0.4, 0.0), Team(1)), np.arange(9)[:, None]
    assert [float(ngrams.at(places, done).weight) for done in (0.0, 0.25, 1.0)] == pytest.approx([0.4, 0.3, 0])
    networks = targets_of_networks(teachers(1), IDS, 0.4)
    assert [float(networks.at(places, done).weight) for done in (0.0, 1.0)] == pytest.approx([0.4, 0.4])
