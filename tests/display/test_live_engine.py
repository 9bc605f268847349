"""The engine of the live page: its probabilities are Python's, its training has the gradient of the reference."""

import base64

import numpy as np
import pytest
import reference
from browser import run_script
from command_line import FABLES, ROOT

import charrnn
from charrnn.commands.live_page import live_model
from charrnn.config import ModelConfig
from charrnn.display.live_page.page import engine_source, fable
from charrnn.display.live_page.wasm import module
from charrnn.display.live_page.weights import quantised
from charrnn.inspection.clamping import clamp
from charrnn.inspection.attention import read_attention
from charrnn.inspection.reading import Reader
from charrnn.kernels.rotation import angles
from charrnn.model.model import Model
from charrnn.network.cells import cell_of
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary

CODE = base64.b64encode(module()).decode()
NETWORK = """
    if (given.code) { if (!compile(bytesOf(given.code))) throw new Error("no SIMD"); }
    const arrays = decodeArrays(given.parameters, bytesOf(given.weights));
    const network = networkOf({ ...given.model, arrays });
"""
READ = """
    network.begin();
    for (const [cell, value] of given.held ?? []) network.hold(cell, value);
    if (given.held) network.begin();
    return given.ids.map((id) => Array.from(softmax(network.step(id), network.vocabulary)));
"""


def described(model, bits):
    """A model as the page has it."""
    config = model.network.config
    about = live_model(config, model.network.parameters, bits)
    return about.about() | {"code": CODE, "weights": about.blocks()[1].partition(">")[2].partition("<")[0]}


def random_model(cell, vocabulary, layers, hidden, embedding=None, seed=5, **attention):
    network = Network(ModelConfig(vocabulary, hidden, layers, embedding, cell, **attention), seed=seed, threads=1)
    rng = np.random.default_rng(seed)
    for _name, value in network.parameters.items():
        # Biases are not 0, and expectations differ much from character to character.
        value[:] = 1.3 * value + (rng.normal(0, 0.3, value.shape) if value.ndim == 1 else 0)
    network.set_parameters(dict(network.parameters.items()))
    return Model(network, Vocabulary(map(chr, range(0x100, 0x100 + vocabulary))))


def random_transformer(vocabulary, layers, hidden, heads, context):
    return random_model("transformer", vocabulary, layers, hidden, heads=heads, context=context)


TRANSFORMERS = {
    "1x32": (31, 1, 32, 1, 64),
    "2x32, heads of 8 columns": (65, 2, 32, 4, 16),
    "3x45, heads of 15 columns": (40, 3, 45, 3, 50),
    "2x66, heads of 33 columns": (45, 2, 66, 2, 33),
    "2x5, heads of 1 column": (12, 2, 5, 5, 8),
    "4x128": (96, 4, 128, 4, 64),
    "of 2 characters": (20, 2, 24, 2, 2),
    "longer than the text": (20, 2, 24, 2, 500),
    "many characters": (700, 1, 24, 3, 20),
}
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


def probabilities(model, ids, bits, folder, **more):
    given = described(model, bits) | {"ids": ids.tolist()} | more
    return np.array(run_script(engine_source() + NETWORK + READ, given, folder))


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


@pytest.mark.parametrize("code", [CODE, ""], ids=["SIMD", "JavaScript"])
@pytest.mark.parametrize("about", TRANSFORMERS.values(), ids=TRANSFORMERS)
def test_probabilities_of_a_transformer_are_pythons(about, code, tmp_path, rng):
    """Of a text that is longer than the context, but for one; the context reaches around the ring more than once."""
    model = random_transformer(*about)
    ids = rng.integers(0, about[0], 200)
    expected = np.exp(model.read(model.vocabulary.decode(ids)).log_probabilities)
    assert expected.max(axis=1).mean() > 1.2 / about[0]
    assert np.abs(probabilities(model, ids, 32, tmp_path, code=code) - expected).max() < 1e-5
    assert np.abs(probabilities(model, ids, 16, tmp_path, code=code) - expected).max() < 1e-3


def test_a_transformer_of_bytes_reads_any_byte(tmp_path, rng):
    network = Network(ModelConfig(256, 24, 2, cell="transformer", heads=2, context=20), seed=2, threads=1)
    model = Model(network, Vocabulary(range(256)))
    ids = np.array([*range(256), *"Füchse 🦊\n".encode()])
    expected = np.exp(log_probabilities(network, ids))
    assert np.abs(probabilities(model, ids, 32, tmp_path) - expected).max() < 1e-5


def test_positions_turn_by_pythons_angles(tmp_path):
    """Whole numbers: equal and not near, for every head that has up to 300 columns."""
    sizes = list(range(1, 301))
    found = run_script(engine_source() + "return given.map((size) => turnsOf(size));", sizes, tmp_path)
    assert found == [angles(size)[: size // 2].tolist() for size in sizes]


def test_a_long_text_is_read_as_by_python(tmp_path, rng):
    """At its end the angles have gone around many times."""
    model = random_transformer(30, 2, 24, 2, 16)
    ids = rng.integers(0, 30, 9000)
    read = READ.replace("return", "const found =") + "return found.slice(-20);"
    found = np.array(
        run_script(engine_source() + NETWORK + read, described(model, 32) | {"ids": ids.tolist()}, tmp_path)
    )
    assert np.abs(found - np.exp(log_probabilities(model.network, ids)[-20:])).max() < 1e-5


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


@pytest.mark.parametrize(("layer", "unit"), [(0, 3), (1, 0), (2, 44)])
def test_a_held_column_of_the_stream_is_that_of_ablation(layer, unit, tmp_path, rng):
    model = random_transformer(*TRANSFORMERS["3x45, heads of 15 columns"])
    ids = rng.integers(0, 40, 100)
    expected = np.exp(log_probabilities(clamp(model.network, {(layer, unit): float(np.arctanh(0.9))}), ids))
    found = probabilities(model, ids, 32, tmp_path, held=[[layer * 45 + unit, 0.9]])
    assert np.abs(found - expected).max() < 1e-5
    free = probabilities(model, ids, 32, tmp_path)
    assert np.abs(found - free).max() > 1e-3
    let_go = probabilities(model, ids, 32, tmp_path, held=[[layer * 45 + unit, 0.9], [layer * 45 + unit, None]])
    assert np.array_equal(let_go, free)


def test_layers_that_hold_one_column_each_do(tmp_path, rng):
    """Layer 0 has its value, layers 1 and 2 have that of layer 2."""
    model = random_transformer(*TRANSFORMERS["3x45, heads of 15 columns"])
    given = described(model, 32) | {"ids": rng.integers(0, 40, 20).tolist(), "held": [[2 * 45 + 7, -0.5], [7, 0.25]]}
    hold = "for (const [cell, value] of given.held) network.hold(cell, value);"
    found = np.array(run_script(engine_source() + NETWORK + hold + SIGNALS, given, tmp_path))
    values = found[:, 0].reshape(20, 3, 45)[:, :, 7]
    assert np.abs(values - [0.25, -0.5, -0.5]).max() < 1e-6


ATTENTION = """
    network.begin();
    const { layers, heads } = network, numbers = (count) => [...new Array(count).keys()];
    return given.ids.map((id) => {
      network.step(id);
      return numbers(layers).map((l) => numbers(heads).map((h) => Array.from(network.attention(l, h))));
    });
"""


@pytest.mark.parametrize("name", ["3x45, heads of 15 columns", "2x32, heads of 8 columns", "of 2 characters"])
def test_heads_look_where_pythons_do(name, tmp_path, rng):
    model, context = random_transformer(*TRANSFORMERS[name]), TRANSFORMERS[name][4]
    ids = rng.integers(0, TRANSFORMERS[name][0], 80)
    given = described(model, 32) | {"ids": ids.tolist()}
    found = run_script(engine_source() + NETWORK + ATTENTION, given, tmp_path)
    expected = read_attention(model, ids, 0, len(ids)).weights
    for place, weights in enumerate(found):
        seen = min(place + 1, context)
        assert np.shape(weights) == (*expected.shape[1:3], seen)
        assert np.abs(weights - expected[place, :, :, :seen]).max() < 1e-5
        assert np.abs(np.sum(weights, axis=2) - 1).max() < 1e-6


def log_probabilities(network, ids):
    """What a network expects after each of ``ids``, read from its own initial state."""
    reader = Reader(Model(network, Vocabulary(map(chr, range(0x100, 0x100 + network.config.vocabulary)))))
    return reader.read(ids).log_probabilities


SIGNALS = """
    const values = new Float32Array(network.layers * network.hidden);
    network.begin();
    return given.ids.map((id) => {
      network.step(id);
      return network.signals.map((signal) => { network.signal(signal, values); return Array.from(values); });
    });
"""


@pytest.mark.parametrize("name", ["lstm 2x33, embedding", "capped", "coupled", "gru", "rnn", "transformer"])
def test_signals_are_pythons(name, tmp_path, rng):
    if name == "transformer":
        model = random_transformer(*TRANSFORMERS["3x45, heads of 15 columns"])
    else:
        model = random_model(*MODELS[name])
    ids = rng.integers(0, model.network.config.vocabulary, 50)
    activations = model.activations(model.vocabulary.decode(ids))
    given = described(model, 32) | {"ids": ids.tolist()}
    found = np.array(run_script(engine_source() + NETWORK + SIGNALS, given, tmp_path))
    for k, signal in enumerate(cell_of(model.network.config).signals):
        expected = activations[signal.name].reshape(len(ids), -1)
        size = max(1, np.abs(expected).max())  # the stream of a Transformer is a sum, and large
        expected = np.tanh(expected) if signal.unbounded else expected
        assert np.abs(found[:, k] - expected).max() < 1e-5 * size, signal.name


TAPE = """
    const tape = new Tape(network, network.signals[0]);
    const write = (place) => choose(network.logits, network.vocabulary, 0.8, 0, uniform(7, place));
    tape.begin(0);
    for (const id of [1, 2, 3]) tape.push(id, true);
    while (tape.length < 100) tape.push(write(tape.length), false);
    const ids = tape.ids.slice(), values = tape.values.slice(0, 100 * tape.cells), end = JSON.stringify(network.state());
    const looked = tape.after(40, (each) => Array.from(each.logits.subarray(0, each.vocabulary)));
    const kept = JSON.stringify(network.state()) === end;
    tape.cut(41);
    const after = Array.from(network.logits.subarray(0, network.vocabulary));
    while (tape.length < 100) tape.push(write(tape.length), false);
    const same = JSON.stringify(tape.ids) === JSON.stringify(ids) && JSON.stringify(network.state()) === end;
    tape.again(write);
    const again = JSON.stringify(tape.ids) === JSON.stringify(ids);
    tape.show(network.signals.at(-1));
    tape.show(network.signals[0]);
    const shown = values.every((value, k) => value === tape.values[k]);
    const other = new Tape(network, network.signals[0]);
    other.begin(null);
    other.push(1, true);
    const { bits, given: fixed } = tape;
    return { ids, looked, after, kept, same, again, shown, bits, given: fixed.slice(0, 5), first: other.bits[0] };
"""


@pytest.mark.parametrize("is_transformer", [False, True])
def test_a_tape_goes_back_and_writes_the_same_again(is_transformer, tmp_path):
    of_attention = TRANSFORMERS["2x66, heads of 33 columns"]
    model = random_transformer(*of_attention) if is_transformer else random_model(*MODELS["lstm 2x33, embedding"])
    found = run_script(engine_source() + NETWORK + TAPE, described(model, 32), tmp_path)
    assert found["looked"] == found["after"]
    assert found["kept"] and found["same"] and found["again"] and found["shown"]
    assert found["given"] == [True, True, True, False, False]
    assert found["first"] is None
    read = model.read(model.vocabulary.decode([0, *found["ids"]])).log_probabilities
    expected = -read[np.arange(100), found["ids"]] / np.log(2)
    assert np.allclose(found["bits"], expected, atol=1e-4)


EDITS = """
    const tape = new Tape(network, network.signals[0]), found = [];
    const keep = () => found.push({ ids: tape.ids.slice(), after: tape.after(tape.length - 1, ({ logits, vocabulary }) => Array.from(softmax(logits, vocabulary))) });
    tape.begin(given.first);
    given.ids.forEach((id) => tape.push(id, true));
    for (const [length, ...more] of given.edits) {
      tape.cut(length);
      for (const id of more) tape.push(id, true);
      keep();
      for (const place of [3, length - 1]) {
        found.push({ ids: tape.ids.slice(0, place + 1), after: tape.after(place, ({ logits, vocabulary }) => Array.from(softmax(logits, vocabulary))) });
      }
      keep();
    }
    const { network: { last, slots } } = tape;
    return { found, position: last.position, kept: last.kept.length, slots: slots.filter((each) => each).length };
"""


@pytest.mark.parametrize("first", [None, 0])
def test_any_way_back_gives_what_reading_from_the_beginning_gives(first, tmp_path, rng):
    """A text of a Transformer is cut and goes on otherwise, near its beginning and beyond the context, again and again."""
    vocabulary, layers, hidden, _, context = about = TRANSFORMERS["3x45, heads of 15 columns"]
    model = random_transformer(*about)
    edits = [
        [length, *rng.integers(0, vocabulary, more).tolist()]
        for length, more in ((150, 3), (20, 90), (55, 1), (5, 1), (6, 70))
    ]
    given = described(model, 32) | {"ids": rng.integers(0, vocabulary, 170).tolist(), "edits": edits, "first": first}
    found = run_script(engine_source() + NETWORK + EDITS, given, tmp_path)
    before = [] if first is None else [first]
    assert len(found["found"]) == 20
    for each in found["found"]:
        expected = np.exp(log_probabilities(model.network, np.array([*before, *each["ids"]]))[-1])
        assert np.abs(expected - each["after"]).max() < 1e-5
    assert found["position"] == 75 + len(before)
    assert found["kept"] == (2 * layers + 1) * hidden  # a state has one character, whatever the context
    assert found["slots"] <= -(-context // 32) * 32


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
