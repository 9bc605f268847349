"""The engine of the live page, in Node.js or in Chromium, beside Python's networks."""

import base64

import numpy as np
from browser import run_script

from charrnn.commands.live_page import live_model
from charrnn.config import ModelConfig
from charrnn.display.live_page.page import engine_source
from charrnn.display.live_page.wasm import module
from charrnn.inspection.reading import Reader
from charrnn.model.model import Model
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


def probabilities(model, ids, bits, folder, **more):
    given = described(model, bits) | {"ids": ids.tolist()} | more
    return np.array(run_script(engine_source() + NETWORK + READ, given, folder))


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
