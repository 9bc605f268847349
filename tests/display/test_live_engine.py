"""The engine of the live page: its probabilities are Python's, its training has the gradient of the reference."""

import numpy as np
import pytest
import reference
from browser import run_script
from command_line import FABLES, ROOT
from live_engine import CODE, NETWORK, SIGNALS, described, log_probabilities, probabilities, random_model

import charrnn
from charrnn.display.live_page.page import engine_source, fable
from charrnn.display.live_page.weights import quantised
from charrnn.inspection.clamping import clamp
from charrnn.network.cells import cell_of

MODELS = {
    "lstm 1x16": ("lstm", 31, 1, 16),
    "lstm 2x128": ("lstm", 65, 2, 128),
    "lstm 2x33, embedding": ("lstm", 45, 2, 33, 7),
    "lstm 1x1": ("lstm", 2, 1, 1),
    "many characters": ("lstm", 700, 1, 20),
    "capped": ("capped-lstm", 30, 2, 24),
    "coupled": ("coupled-lstm", 30, 2, 19),
    "gru": ("gru", 40, 2, 37),
    "gru, embedding": ("gru", 40, 1, 16, 5),
    "rnn": ("rnn", 33, 3, 45),
}


@pytest.mark.parametrize("code", [CODE, ""], ids=["SIMD", "JavaScript"])
@pytest.mark.parametrize("about", MODELS.values(), ids=MODELS)
def test_probabilities_are_pythons(about, code, tmp_path, rng):
    model = random_model(*about)
    ids = rng.integers(0, about[1], 200)
    text = model.vocabulary.decode(ids)
    expected = np.exp(model.read(text).log_probabilities)
    assert expected.max(axis=1).mean() > 1.2 / about[1]  # there is something to compare
    assert np.abs(probabilities(model, ids, 32, tmp_path, code=code) - expected).max() < 1e-5
    assert np.abs(probabilities(model, ids, 16, tmp_path, code=code) - expected).max() < 1e-3


@pytest.fixture(scope="module")
def fables():
    return charrnn.load(ROOT / "checkpoints" / "fables.safetensors", threads=1)


@pytest.mark.parametrize(("bits", "tolerance"), [(32, 1e-5), (16, 1e-3), (8, 0.1)])
def test_the_probabilities_of_a_trained_model(fables, bits, tolerance, tmp_path):
    text = FABLES.read_text()[4000:5000]
    expected = np.exp(fables.read(text).log_probabilities)
    found = probabilities(fables, fables.encode(text), bits, tmp_path)
    assert np.abs(found - expected).max() < tolerance
    if bits == 8:  # eight bits are not sixteen
        assert np.abs(found - expected).max() > 1e-3


@pytest.mark.parametrize("about", [MODELS["lstm 2x33, embedding"], MODELS["gru"], MODELS["rnn"], MODELS["coupled"]])
def test_held_cells_are_those_of_ablation(about, tmp_path, rng):
    model, hidden = random_model(*about), about[3]
    shown = {(0, 3): 0.5, (1, 2): -0.25}
    unbounded = cell_of(model.network.config).signals[0].unbounded
    values = {cell: float(np.arctanh(value)) if unbounded else value for cell, value in shown.items()}
    clamped = clamp(model.network, values)
    ids = rng.integers(0, about[1], 100)
    expected = log_probabilities(clamped, ids)
    held = [[layer * hidden + unit, value] for (layer, unit), value in shown.items()]
    found = probabilities(model, ids, 32, tmp_path, held=held)
    assert np.abs(found - np.exp(expected)).max() < 1e-5
    assert np.abs(found - probabilities(model, ids, 32, tmp_path)).max() > 1e-3


@pytest.mark.parametrize("name", ["lstm 2x33, embedding", "capped", "coupled", "gru", "rnn"])
def test_signals_are_pythons(name, tmp_path, rng):
    about = MODELS[name]
    model, ids = random_model(*about), rng.integers(0, about[1], 50)
    activations = model.activations(model.vocabulary.decode(ids))
    given = described(model, 32) | {"ids": ids.tolist()}
    found = np.array(run_script(engine_source() + NETWORK + SIGNALS, given, tmp_path))
    for k, signal in enumerate(cell_of(model.network.config).signals):
        expected = activations[signal.name].reshape(len(ids), -1)
        expected = np.tanh(expected) if signal.unbounded else expected
        assert np.abs(found[:, k] - expected).max() < 1e-5, signal.name


TAPE = """
    const tape = new Tape(network, network.signals[0]);
    const write = (place) => choose(network.logits, network.vocabulary, 0.8, 0, uniform(7, place));
    tape.begin(0);
    for (const id of [1, 2, 3]) tape.push(id, true);
    while (tape.length < 100) tape.push(write(tape.length), false);
    const ids = tape.ids.slice(), values = tape.values.slice(0, 100 * tape.cells), end = Array.from(network.state());
    const looked = tape.after(40, (each) => Array.from(each.logits.subarray(0, each.vocabulary)));
    const kept = JSON.stringify(Array.from(network.state())) === JSON.stringify(end);
    tape.cut(41);
    const after = Array.from(network.logits.subarray(0, network.vocabulary));
    while (tape.length < 100) tape.push(write(tape.length), false);
    const same = JSON.stringify([tape.ids, Array.from(network.state())]) === JSON.stringify([ids, end]);
    tape.again(write);
    const again = JSON.stringify(tape.ids) === JSON.stringify(ids);
    tape.show(network.signals[1]);
    tape.show(network.signals[0]);
    const shown = values.every((value, k) => value === tape.values[k]);
    const other = new Tape(network, network.signals[0]);
    other.begin(null);
    other.push(1, true);
    const { bits, given: fixed } = tape;
    return { ids, looked, after, kept, same, again, shown, bits, given: fixed.slice(0, 5), first: other.bits[0] };
"""


def test_a_tape_goes_back_and_writes_the_same_again(tmp_path):
    model = random_model(*MODELS["lstm 2x33, embedding"])
    found = run_script(engine_source() + NETWORK + TAPE, described(model, 32), tmp_path)
    assert found["looked"] == found["after"]
    assert found["kept"] and found["same"] and found["again"] and found["shown"]
    assert found["given"] == [True, True, True, False, False]
    assert found["first"] is None
    read = model.read(model.vocabulary.decode([0, *found["ids"]])).log_probabilities
    expected = -read[np.arange(100), found["ids"]] / np.log(2)
    assert np.allclose(found["bits"], expected, atol=1e-4)


CHOICES = """
    const logits = given.logits, count = logits.length, counts = (...how) => {
      const found = new Array(count).fill(0);
      for (let k = 0; k < 20000; k++) found[choose(logits, count, ...how, uniform(given.seed, k))]++;
      return found;
    };
    return [counts(1, 0), counts(0.5, 0), counts(1, 2), counts(0, 0), counts(2, 1)];
"""


def test_choices_follow_the_probabilities(tmp_path):
    logits = np.array([0.3, 2.0, -1.0, 2.0, -30.0])
    found = np.array(run_script(engine_source() + CHOICES, {"logits": logits.tolist(), "seed": 3}, tmp_path)) / 20000

    def softmax(z):
        return np.exp(z) / np.exp(z).sum()

    assert np.abs(found[0] - softmax(logits)).max() < 0.015
    assert np.abs(found[1] - softmax(2 * logits)).max() < 0.015
    assert np.abs(found[2] - [0, 0.5, 0, 0.5, 0]).max() < 0.015
    assert found[3].tolist() == found[4].tolist() == [0, 1, 0, 0, 0]
    others = run_script(engine_source() + CHOICES, {"logits": logits.tolist(), "seed": 4}, tmp_path)
    assert others[0] != (found[0] * 20000).tolist()


GRADIENT = """
    if (given.code) compile(bytesOf(given.code));
    const trainer = new Trainer(given.ids, given.vocabulary, given.hidden, { steps: given.steps, batch: given.batch });
    for (let k = 0; k < given.windows; k++) { trainer.forward(); trainer.advance(); }
    const state = [trainer.h, trainer.c].map((rows) => rows.slice(0, trainer.batch).map((row) => Array.from(row)));
    const place = trainer.place, rowLength = trainer.rowLength, loss = trainer.forward();
    trainer.backward();
    const each = ([name, array]) => [name, Array.from(array)];
    const plain = (arrays) => Object.fromEntries(Object.entries(arrays).map(each));
    return { state, place, rowLength, loss, arrays: plain(trainer.arrays), gradient: plain(trainer.gradient) };
"""


@pytest.mark.parametrize("code", [CODE, ""], ids=["SIMD", "JavaScript"])
@pytest.mark.parametrize(("vocabulary", "hidden", "windows"), [(11, 16, 0), (40, 33, 2)])
def test_the_gradient_is_that_of_the_reference(vocabulary, hidden, windows, code, tmp_path, rng):
    steps, batch = 6, 3
    ids = rng.integers(0, vocabulary, 100)
    given = {"ids": ids.tolist(), "vocabulary": vocabulary, "hidden": hidden, "steps": steps, "batch": batch}
    found = run_script(engine_source() + GRADIENT, given | {"windows": windows, "code": code}, tmp_path)
    shapes = {
        "w_ih_l0": (vocabulary, -1),
        "w_hh_l0": (hidden, -1),
        "b_l0": (-1,),
        "w_out": (hidden, -1),
        "b_out": (-1,),
    }
    parameters = {name: np.array(found["arrays"][name], float).reshape(shape) for name, shape in shapes.items()}
    at = np.arange(batch) * found["rowLength"] + found["place"] + np.arange(steps)[:, None]
    state = tuple(np.array(each, float)[None] for each in found["state"])
    assert (np.abs(state[0]).max() > 0) == (windows > 0)
    loss, gradient, *_ = reference.loss_and_gradient(parameters, ids[at], ids[at + 1], state)
    assert found["loss"] == pytest.approx(loss, rel=1e-6)
    for name, shape in shapes.items():
        value = np.array(found["gradient"][name]).reshape(shape)
        assert np.abs(value - gradient[name]).max() < 2e-6 * max(1, np.abs(gradient[name]).max()), name


LEARN = """
    compile(bytesOf(given.code));
    const symbols = [...new Set(given.text)].sort(), ids = [...given.text].map((each) => symbols.indexOf(each));
    const trainer = new Trainer(ids, symbols.length, given.hidden);
    const losses = [];
    for (let k = 0; k < given.updates; k++) losses.push(trainer.update().loss);
    const network = trainer.network([]);
    network.begin();
    return { losses, logits: Array.from(network.step(0).subarray(0, symbols.length)) };
"""


@pytest.mark.parametrize(("hidden", "updates", "most"), [(16, 250, 2.4), (64, 150, 1.6)])
def test_a_small_network_learns_a_fable(hidden, updates, most, tmp_path):
    given = {"code": CODE, "text": fable(), "hidden": hidden, "updates": updates}
    found = run_script(engine_source() + LEARN, given, tmp_path)
    assert found["losses"][0] > 3.5
    assert np.mean(found["losses"][-20:]) < most
    assert np.isfinite(found["logits"]).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_quantised_weights_are_near(bits, rng):
    value = rng.normal(size=(40, 30)).astype(np.float32)
    value[3] *= 100  # one scale a row suits this matrix
    assert quantised(value, bits).axis == 0
    assert quantised(value.T, bits).axis == 1
    step = np.abs(value).max(axis=1, keepdims=True) / (2 ** (bits - 1) - 1)
    assert (np.abs(quantised(value, bits).values() - value) <= 0.501 * step).all()
    assert np.array_equal(quantised(value.T, bits).values(), quantised(value, bits).values().T)
    assert len(quantised(value[:3, :3], bits).to_bytes()) % 4 == 0
    nothing = quantised(np.zeros((3, 4), np.float32), bits)
    assert not nothing.values().any()


def test_vectors_and_32_bits_are_exact(rng):
    value = rng.normal(size=(5, 6)).astype(np.float32)
    assert np.array_equal(quantised(value, 32).values(), value)
    assert np.array_equal(quantised(value[0], 8).values(), value[0])


def test_the_module_of_webassembly_is_valid(tmp_path):
    found = run_script(
        engine_source() + "return [compile(bytesOf(given)), compile(bytesOf(given.slice(0, -8)))];", CODE, tmp_path
    )
    assert found == [True, False]
