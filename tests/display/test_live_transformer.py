"""Transformers in the engine of the live page: probabilities, weights of heads, held columns, and every way back."""

import numpy as np
import pytest
from browser import run_script
from live_engine import CODE, NETWORK, READ, SIGNALS, described, log_probabilities, probabilities, random_model

from charrnn.config import ModelConfig
from charrnn.display.live_page.page import engine_source
from charrnn.inspection.attention import read_attention
from charrnn.inspection.clamping import clamp
from charrnn.kernels.rotation import angles
from charrnn.model.model import Model
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary


def random_transformer(vocabulary, layers, hidden, heads, context):
    return random_model("transformer", vocabulary, layers, hidden, heads=heads, context=context)


MODELS = {
    "1x32": (31, 1, 32, 1, 64),
    "2x32, heads of 8 columns": (65, 2, 32, 4, 16),
    "3x45, heads of 15 columns": (40, 3, 45, 3, 50),
    "2x66, heads of 33 columns": (45, 2, 66, 2, 33),
    "2x5, heads of 1 column": (12, 2, 5, 5, 8),
    "4x128": (96, 4, 128, 4, 64),
    "of 2 characters": (20, 2, 24, 2, 2),
    "of more than the text": (20, 2, 24, 2, 500),
    "many characters": (700, 1, 24, 3, 20),
}
ODD = "3x45, heads of 15 columns"


@pytest.mark.parametrize("code", [CODE, ""], ids=["SIMD", "JavaScript"])
@pytest.mark.parametrize("about", MODELS.values(), ids=MODELS)
def test_probabilities_are_pythons(about, code, tmp_path, rng):
    """The text is longer than the context of all models but one."""
    model = random_transformer(*about)
    ids = rng.integers(0, about[0], 200)
    expected = np.exp(model.read(model.vocabulary.decode(ids)).log_probabilities)
    assert expected.max(axis=1).mean() > 1.2 / about[0]  # there is something to compare
    assert np.abs(probabilities(model, ids, 32, tmp_path, code=code) - expected).max() < 1e-5
    assert np.abs(probabilities(model, ids, 16, tmp_path, code=code) - expected).max() < 1e-3


def test_a_model_of_bytes_reads_any_byte(tmp_path):
    network = Network(ModelConfig(256, 24, 2, cell="transformer", heads=2, context=20), seed=2, threads=1)
    ids = np.array([*range(256), *"Füchse 🦊\n".encode()])
    found = probabilities(Model(network, Vocabulary(range(256))), ids, 32, tmp_path)
    assert np.abs(found - np.exp(log_probabilities(network, ids))).max() < 1e-5


def test_angles_are_pythons(tmp_path):
    """They are whole numbers: equal and not near, for heads of up to 300 columns."""
    sizes = list(range(1, 301))
    found = run_script(engine_source() + "return given.map((size) => turnsOf(size));", sizes, tmp_path)
    assert found == [angles(size)[: size // 2].tolist() for size in sizes]


def test_the_end_of_a_long_text(tmp_path, rng):
    model = random_transformer(30, 2, 24, 2, 16)
    ids = rng.integers(0, 30, 9000)
    read = READ.replace("return", "const found =") + "return found.slice(-20);"
    given = described(model, 32) | {"ids": ids.tolist()}
    found = np.array(run_script(engine_source() + NETWORK + read, given, tmp_path))
    assert np.abs(found - np.exp(log_probabilities(model.network, ids)[-20:])).max() < 1e-5


def test_the_signal_is_pythons(tmp_path, rng):
    """tanh(h). h is a sum and large: its error is that of its size."""
    model, ids = random_transformer(*MODELS[ODD]), rng.integers(0, 40, 50)
    stream = model.activations(model.vocabulary.decode(ids))["h"].reshape(50, -1)
    given = described(model, 32) | {"ids": ids.tolist()}
    found = np.array(run_script(engine_source() + NETWORK + SIGNALS, given, tmp_path))
    assert found.shape[1] == 1
    assert np.abs(found[:, 0] - np.tanh(stream)).max() < 1e-5 * np.abs(stream).max()


ATTENTION = """
    network.begin();
    const { layers, heads } = network, numbers = (count) => [...new Array(count).keys()];
    return given.ids.map((id) => {
      network.step(id);
      return numbers(layers).map((l) => numbers(heads).map((h) => Array.from(network.attention(l, h))));
    });
"""


@pytest.mark.parametrize("name", [ODD, "2x32, heads of 8 columns", "of 2 characters"])
def test_heads_look_where_pythons_do(name, tmp_path, rng):
    model, context = random_transformer(*MODELS[name]), MODELS[name][4]
    ids = rng.integers(0, MODELS[name][0], 80)
    given = described(model, 32) | {"ids": ids.tolist()}
    found = run_script(engine_source() + NETWORK + ATTENTION, given, tmp_path)
    expected = read_attention(model, ids, 0, len(ids)).weights
    for place, weights in enumerate(found):
        seen = min(place + 1, context)
        assert np.shape(weights) == (*expected.shape[1:3], seen)
        assert np.abs(weights - expected[place, :, :, :seen]).max() < 1e-5
        assert np.abs(np.sum(weights, axis=2) - 1).max() < 1e-6


@pytest.mark.parametrize(("layer", "unit"), [(0, 3), (1, 0), (2, 44)])
def test_a_held_column_of_the_stream_is_that_of_ablation(layer, unit, tmp_path, rng):
    model, cell = random_transformer(*MODELS[ODD]), layer * 45 + unit
    ids = rng.integers(0, 40, 100)
    expected = np.exp(log_probabilities(clamp(model.network, {(layer, unit): float(np.arctanh(0.9))}), ids))
    assert np.abs(probabilities(model, ids, 32, tmp_path, held=[[cell, 0.9]]) - expected).max() < 1e-5
    free = probabilities(model, ids, 32, tmp_path)
    assert np.abs(free - expected).max() > 1e-3
    assert np.array_equal(probabilities(model, ids, 32, tmp_path, held=[[cell, 0.9], [cell, None]]), free)


def test_layers_that_hold_the_same_column_each_have_their_value(tmp_path, rng):
    """Layer 0 has its own, layers 1 and 2 have that of layer 2."""
    model = random_transformer(*MODELS[ODD])
    given = described(model, 32) | {"ids": rng.integers(0, 40, 20).tolist(), "held": [[2 * 45 + 7, -0.5], [7, 0.25]]}
    hold = "for (const [cell, value] of given.held) network.hold(cell, value);"
    found = np.array(run_script(engine_source() + NETWORK + hold + SIGNALS, given, tmp_path))
    assert np.abs(found[:, 0].reshape(20, 3, 45)[:, :, 7] - [0.25, -0.5, -0.5]).max() < 1e-6


EDITS = """
    const tape = new Tape(network, network.signals[0]), found = [];
    const look = (place) => {
      const after = tape.after(place, ({ logits, vocabulary }) => Array.from(softmax(logits, vocabulary)));
      found.push({ ids: tape.ids.slice(0, place + 1), after });
    };
    tape.begin(given.first);
    for (const id of given.ids) tape.push(id, true);
    for (const [length, ...more] of given.edits) {
      tape.cut(length);
      for (const id of more) tape.push(id, true);
      for (const place of [tape.length - 1, 3, length - 1, tape.length - 1]) look(place);
    }
    const last = network.state(), slots = network.slots.filter((each) => each).length;
    return { found, position: last.position, kept: last.kept.length, slots };
"""


@pytest.mark.parametrize("first", [None, 0])
def test_any_way_back_gives_what_reading_from_the_beginning_gives(first, tmp_path, rng):
    """A text is cut, near its beginning and beyond the context, goes on otherwise, and is looked at elsewhere."""
    vocabulary, layers, hidden, _, context = about = MODELS[ODD]
    model, before = random_transformer(*about), [] if first is None else [first]
    lengths = ((150, 3), (20, 90), (55, 1), (5, 1), (6, 70))
    edits = [[length, *rng.integers(0, vocabulary, more).tolist()] for length, more in lengths]
    ids = rng.integers(0, vocabulary, 170).tolist()
    given = described(model, 32) | {"ids": ids, "edits": edits, "first": first}
    found = run_script(engine_source() + NETWORK + EDITS, given, tmp_path)
    assert len(found["found"]) == 20
    for each in found["found"]:
        expected = np.exp(log_probabilities(model.network, np.array([*before, *each["ids"]]))[-1])
        assert np.abs(expected - each["after"]).max() < 1e-5
    assert found["position"] == 75 + len(before)
    assert found["kept"] == (2 * layers + 1) * hidden  # a state has one character, whatever the context
    assert found["slots"] <= -(-context // 32) * 32


SAME = """
    const tape = new Tape(network, network.signals[0]);
    const write = (place) => choose(network.logits, network.vocabulary, 0.8, 0, uniform(7, place));
    tape.begin(0);
    for (const id of [1, 2, 3]) tape.push(id, true);
    while (tape.length < 100) tape.push(write(tape.length), false);
    const text = () => JSON.stringify([tape.ids, tape.bits, Array.from(network.logits), network.state()]);
    const first = text();
    const values = tape.values.slice(0, 100 * tape.cells), looked = tape.after(40, (each) => Array.from(each.logits));
    const found = [text() === first];
    tape.cut(41);
    found.push(JSON.stringify(looked) === JSON.stringify(Array.from(network.logits)));
    while (tape.length < 100) tape.push(write(tape.length), false);
    found.push(text() === first);
    tape.again(write);
    found.push(text() === first, values.every((value, k) => value === tape.values[k]));
    return found;
"""


def test_a_text_is_written_again_to_the_bit(tmp_path):
    model = random_transformer(*MODELS["2x66, heads of 33 columns"])
    assert run_script(engine_source() + NETWORK + SAME, described(model, 32), tmp_path) == [True] * 5
