"""A mixture of a network and n-grams: its equation, its weights, its texts, and the way into a checkpoint and back."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke, succeed
from teams import every_thread_works

import charrnn
from charrnn.checkpoints import tensor_file
from charrnn.checkpoints.checkpoint import Checkpoint, checksum
from charrnn.checkpoints.description import HIGHEST_ORDER, HIGHEST_WEIGHT, NgramSettings
from charrnn.config import ModelConfig
from charrnn.errors import CheckpointError
from charrnn.inference.ensemble import Ensemble
from charrnn.inference.loss import evaluate
from charrnn.inference.mixture import (
    MOST,
    Mixture,
    fit_weights,
)
from charrnn.inference.ngrams import ORDER, Ngrams, new_readers
from charrnn.inference.sampler import Choice, Sampler
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary

V = 9
FABLES = Path(__file__).parents[2] / "corpora" / "fables.txt"


def network(seed=1, threads=1, hidden=12):
    return Network(ModelConfig(V, hidden, 2), seed=seed, threads=threads)


def symbols(count, seed=0):
    """Words of three symbols in random order."""
    rng = np.random.default_rng(seed)
    words = np.random.default_rng(5).integers(0, V, (6, 3))
    return words[rng.integers(0, 6, count // 3)].ravel().astype(np.int32)


@pytest.fixture
def ngrams():
    found = Ngrams(V, 6)
    found.learn(symbols(900))
    return found


MODELS = pytest.mark.parametrize("member", [network, lambda: Ensemble([network(1), network(2)])], ids=["one", "two"])


@MODELS
def test_the_losses_are_those_of_the_equation_and_probabilities_sum_to_one(ngrams, member):
    member, weights = member(), (0.7, 0.4)
    mixture, x = Mixture(member, ngrams, weights), symbols(150, 1).reshape(-1, 3)
    y = np.where(np.random.default_rng(2).random(x.shape) < 0.2, -1, np.roll(x, -1, axis=0)).astype(np.int32)
    a = member.log_probabilities(x, member.initial_state(3))
    b = ngrams.read(x, new_readers(3), Network(ModelConfig(V, 2, 1), threads=1).team).astype(np.float64)
    p = np.exp(weights[0] * a + weights[1] * b)
    p /= p.sum(axis=-1, keepdims=True)
    wanted = np.where(y < 0, 0, -np.log(np.take_along_axis(p, np.maximum(y, 0)[..., None], axis=-1)[..., 0]))
    np.testing.assert_allclose(mixture.losses(x, y, mixture.initial_state(3)), wanted, atol=1e-9)
    found = mixture.log_probabilities(x, mixture.initial_state(3))
    np.testing.assert_allclose(np.exp(found).sum(axis=-1), 1, atol=1e-12)


@MODELS
def test_a_text_is_drawn_from_these_probabilities(ngrams, member):
    mixture, prime, draws = Mixture(member(), ngrams, (0.6, 0.5)), symbols(30, 3), 20_000
    drawn = Sampler(mixture, prime, draws, seed=4).draw(1)[0]
    p = np.exp(mixture.log_probabilities(prime[:, None].copy(), mixture.initial_state(1))[-1, 0])
    np.testing.assert_allclose(np.bincount(drawn, minlength=V) / draws, p, atol=0.015)


@MODELS
def test_a_text_is_the_same_in_any_pieces_and_continues_what_was_drawn(ngrams, member):
    mixture = Mixture(member(), ngrams, (0.6, 0.5))
    whole = Sampler(mixture, [1, 2], 3, Choice(0.0)).draw(40)[:, 0]
    pieces = Sampler(mixture, [1, 2], 1, Choice(0.0))
    np.testing.assert_array_equal(np.concatenate([pieces.draw(n)[:, 0] for n in (1, 7, 32)]), whole)
    text = np.concatenate([[1, 2], whole]).astype(np.int32)
    logs = mixture.log_probabilities(text[:, None].copy(), mixture.initial_state(1))[:, 0]
    np.testing.assert_array_equal(logs[1:-1].argmax(axis=-1), whole)


def test_two_threads_draw_the_same_text(ngrams):
    expected = Sampler(Mixture(network(), ngrams, (0.6, 0.5)), [1, 2], 4, seed=7).draw(60)
    with every_thread_works() as watch:
        found = Sampler(Mixture(network(threads=2), ngrams, (0.6, 0.5)), [1, 2], 4, seed=7).draw(60)
    assert watch.workers("sampler") == {2}
    np.testing.assert_array_equal(found, expected)


def test_the_weights_have_the_least_loss(ngrams):
    member, text = network(), symbols(3000, 6)
    weights = fit_weights(member, ngrams, text).weights
    best = evaluate(Mixture(member, ngrams, weights), text).loss
    assert best < evaluate(member, text).loss
    for change in ((0.1, 0), (-0.1, 0), (0, 0.1), (0, -0.1)):
        other = tuple(np.add(weights, change))
        assert evaluate(Mixture(member, ngrams, other), text).loss > best - 1e-3  # the weights have a prior


def test_n_grams_that_know_nothing_do_no_harm():
    member, wrong, text = network(), Ngrams(V, 6), symbols(3000, 6)
    wrong.learn(np.zeros(2000, np.int32))
    mixture = Mixture(member, wrong, fit_weights(member, wrong, text).weights)
    assert evaluate(mixture, text).loss < evaluate(member, text).loss + 1e-3


# ---- in a checkpoint ------------------------------------------------------------------------------------


@pytest.fixture(params=[V, 300, 70_000], ids=["1 byte", "2 bytes", "4 bytes"])
def saved(request, tmp_path):
    size = request.param
    vocabulary = Vocabulary([chr(0x100 + k) if k < 0xD000 else chr(0x10000 + k) for k in range(size)])
    model = Network(ModelConfig(size, 2, 1, embedding=2), seed=1, threads=1)
    ids = np.random.default_rng(9).integers(0, size, 50).astype(np.int32)
    parameters = dict(model.parameters.items())
    settings = NgramSettings(6, 0.6, 0.5)
    checkpoint = Checkpoint(model.config, vocabulary, parameters=parameters, ngrams=settings, ngram_text=ids)
    checkpoint.save(tmp_path / "mixed.safetensors")
    return tmp_path / "mixed.safetensors", checkpoint


def test_a_checkpoint_keeps_them(saved):
    path, checkpoint = saved
    found = Checkpoint.load(path)
    assert found.ngrams == checkpoint.ngrams
    np.testing.assert_array_equal(found.ngram_text, checkpoint.ngram_text)
    model = charrnn.load(path, threads=1).mixed()
    assert model.network.weights == (0.6, 0.5)
    assert model.network.ngrams.learnt == 50
    assert found.shared().ngram_text is None
    assert found.shared(with_ngrams=True).ngrams == checkpoint.ngrams


@pytest.mark.parametrize(
    "change",
    [
        {"ngram_text": np.full(50, V, np.int32)},
        {"ngrams": NgramSettings(0, 0.6, 0.5)},
        {"ngrams": NgramSettings(10**6, 0.6, 0.5)},
        {"ngrams": NgramSettings(6, -1.0, 0.5)},
        {"ngrams": NgramSettings(6, 0.6, 1e9)},
        {"ngrams": NgramSettings(6, 0.6, None)},
    ],
    ids=lambda change: str(change)[:60],
)
def test_what_a_reader_would_refuse_is_not_written(tmp_path, change):
    model = network()
    vocabulary = Vocabulary(list("abcdefghi"))
    checkpoint = Checkpoint(
        model.config,
        vocabulary,
        parameters=dict(model.parameters.items()),
        ngrams=NgramSettings(6, 0.6, 0.5),
        ngram_text=symbols(50),
    )
    with pytest.raises(CheckpointError):
        dataclasses.replace(checkpoint, **change).save(tmp_path / "bad.safetensors")
    assert not list(tmp_path.iterdir())


# ---- on the command line --------------------------------------------------------------------------------


def test_a_run_ends_with_them_and_commands_use_them(model):
    records = [json.loads(line) for line in (model / "metrics.jsonl").read_text().splitlines()]
    last = [record for record in records if record["event"] != "sealed"][-2:]
    assert [record["event"] for record in last] == ["mixed", "finished"]
    assert last[0]["mixed_val_loss"] == last[1]["mixed_val_loss"] < last[0]["val_loss"]
    report = json.loads(succeed("evaluate", model, "--part", "validation", "--json").stdout)
    assert report["mixed"]["loss"] == pytest.approx(last[0]["mixed_val_loss"], abs=1e-3)
    assert report["loss"] == pytest.approx(last[0]["val_loss"], abs=1e-3)
    assert "mixed" not in json.loads(
        succeed("evaluate", model, "--part", "validation", "--json", "--ngrams", "off").stdout
    )
    whole = json.loads(succeed("evaluate", model, "--part", "all", "--json").stdout)
    assert "mixed" not in whole  # the n-grams have learnt most of it
    assert "mixed" in json.loads(succeed("evaluate", model, "--json", "--ngrams", "on").stdout)
    shown = succeed("evaluate", model, "--online").stdout
    assert shown.count("with n-grams") == 2
    texts = {succeed("sample", model, "-n", 80, "--seed", 1, "--ngrams", how).stdout for how in ("on", "off")}
    assert len(texts) == 2
    assert succeed("sample", model, "-n", 80, "--seed", 1).stdout in texts


def test_reports_know_of_them(model):
    found = json.loads(succeed("info", model / "best.safetensors", "--json").stdout)["ngrams"]
    assert found.keys() == {"order", "network_weight", "ngram_weight", "characters"}
    assert f"learn {found['characters']:,} characters" in " ".join(
        succeed("info", model / "best.safetensors").stdout.split()
    )
    assert json.loads(succeed("info", model, "--json").stdout)["ngrams"] is None  # the last checkpoint goes on training
    alone, together = (
        json.loads(succeed("novelty", model, "-n", 3000, "--json", "--ngrams", how).stdout)["novelty"]["ngrams"]
        for how in ("off", "on")
    )
    assert together[8]["generated"] < alone[8]["generated"]


def test_a_model_without_them_says_so(model, tmp_path):
    succeed("export", model, tmp_path / "plain.safetensors")
    for command, text in (("sample", []), ("evaluate", [FABLES, "--unknown", "replace"])):
        result = invoke(command, tmp_path / "plain.safetensors", *text, "--ngrams", "on")
        assert result.exit_code == 1
        assert "it has no n-grams" in result.stderr
    result = invoke("export", tmp_path / "plain.safetensors", tmp_path / "other.safetensors", "--ngrams", "on")
    assert result.exit_code == 1
    succeed("export", model, tmp_path / "whole.safetensors", "--ngrams", "on")
    succeed("sample", tmp_path / "whole.safetensors", "-n", 20, "--ngrams", "on")


def test_a_run_may_do_without_them(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the fox and the heron\n" * 60)
    small = ["--hidden", 4, "--layers", 1, "--steps", 5, "-q", "--threads", 1, "--out", tmp_path]
    succeed("train", text, "--name", "plain", *small, "--ngrams", "off")
    assert Checkpoint.load(tmp_path / "plain" / "best.safetensors").ngrams is None
    result = invoke("train", text, "--name", "plain", *small[4:], "--resume")
    assert result.exit_code == 1
    assert "the run is complete" in result.stderr
    succeed("train", text, "--name", "unscored", *small, "--split", "100/0/0")
    assert not (tmp_path / "unscored" / "best.safetensors").exists()


def tampered(path, change):
    """Write the checkpoint again, with tensors that ``change`` has changed and a right checksum."""
    with path.open("rb") as file:
        header = tensor_file.read_header(file)
        tensors = tensor_file.read_tensors(file, header.shapes(), header.types())
    about = header.metadata["charrnn"]
    tensors, about = change(dict(tensors), about)
    path.write_bytes(tensor_file.serialise(tensors, {"charrnn": about, "sha256": checksum(about, tensors)}))


TAMPERED = {
    "no text": lambda tensors, about: ({k: v for k, v in tensors.items() if k != "ngrams.text"}, about),
    "too wide": lambda tensors, about: (tensors | {"ngrams.text": np.zeros((25, 3), np.uint8)}, about),
    "flat": lambda tensors, about: (tensors | {"ngrams.text": np.zeros(50, np.uint8)}, about),
    "floats": lambda tensors, about: (tensors | {"ngrams.text": np.zeros((50, 1), np.float32)}, about),
    "an id too high": lambda tensors, about: (tensors | {"ngrams.text": tensors["ngrams.text"] | 0xFF}, about),
    "weights as bytes": lambda tensors, about: (tensors | {"head.bias": np.zeros(9, np.uint8)}, about),
    "a text without settings": lambda tensors, about: (tensors, about.replace('"ngrams"', '"other"')),
    "an order that is no number": lambda tensors, about: (tensors, about.replace('"order": 6', '"order": "6"')),
}


@pytest.mark.parametrize("saved", [V], indirect=True)
@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED)
def test_a_tampered_checkpoint_is_refused(saved, change):
    path, _ = saved
    tampered(path, lambda tensors, about: (tensors, about))
    Checkpoint.load(path)
    tampered(path, change)
    with pytest.raises(CheckpointError):
        Checkpoint.load(path)


def test_a_weight_that_is_fitted_can_be_read():
    assert MOST == HIGHEST_WEIGHT
    assert ORDER <= HIGHEST_ORDER
