"""Small models of every kind for the tests of writing together, with random weights."""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.inference.ensemble import Ensemble
from charrnn.inference.mixture import Mixture
from charrnn.inference.ngrams import Ngrams
from charrnn.model import Model
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary

TEXT = "the fox and the heron met at the river, and the fox said: good morning, heron. the heron looked away.\n"
SYMBOLS = sorted({*TEXT, "é", "漢"})


def network(cell="lstm", symbols=None, seed=1):
    """A network with weights that make its guesses differ from place to place."""
    made = Network(
        ModelConfig(vocabulary=symbols or len(SYMBOLS), hidden=24, layers=2, cell=cell), seed=seed, threads=1
    )
    made.parameters.flat[:] *= 2
    made.parameters_changed()
    return made


def model(kind):
    """A model: the name of a cell, or bytes, ensemble, mixture."""
    characters = Vocabulary.from_list(SYMBOLS)
    if kind == "bytes":
        return Model(network(symbols=256), Vocabulary.from_list(list(range(256))))
    if kind == "ensemble":
        return Model(Ensemble([network(), network("gru", seed=2)]), characters)
    if kind == "mixture":
        ngrams = Ngrams(len(characters), 5)
        ngrams.learn(characters.encode(TEXT * 3))
        return Model(Mixture(network(), ngrams, (0.6, 0.5)), characters)
    return Model(network(kind), characters)


def same(one, other):
    """Whether two arrays have the same bits, NaN among them."""
    return np.array_equal(one, other, equal_nan=True)
