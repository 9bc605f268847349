"""A Transformer whose heads were made by hand, so that it is known where each of them looks.

Two layers of three heads of 32 columns look at 32 characters of a text of twelve characters:

- head 0:0 looks at the character before, and writes what it is beside what the own character is;
- head 0:1 looks at newlines;
- head 1:0 looks at places behind the own character, and writes what is there: an induction head, which needs what 0:0
  wrote;
- the other heads look at all characters alike.
"""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.model import Model
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary

SYMBOLS = "\n abcdefghij"
CONTEXT, SIZE, HEADS = 32, 32, 3
PATTERNS = {(0, 0): "previous", (0, 1): "line-start", (1, 0): "induction"}
_ALWAYS, _BEFORE = len(SYMBOLS), len(SYMBOLS) + 1  # columns of the stream: a 1, and what the character before is
_NEXT = _BEFORE + len(SYMBOLS)  # what may come next
_SLOW = [*range(10, 16), *range(26, 32)]  # columns of a head that the rotation hardly turns within the context


def text_of(characters, seed=1):
    """Random characters in lines of 40 to 49."""
    generator = np.random.default_rng(seed)
    lines = []
    while sum(map(len, lines)) < characters:
        lines.append("".join(generator.choice(list(SYMBOLS[1:]), generator.integers(40, 50))) + "\n")
    return "".join(lines)[:characters]


def model_of(threads=1):
    """The model."""
    width, count = HEADS * SIZE, len(SYMBOLS)
    config = ModelConfig(count, width, 2, cell="transformer", heads=HEADS, context=CONTEXT)
    network = Network(config, seed=0, threads=threads)
    parameters = network.parameters
    for name, view in parameters.items():
        if name.startswith(("w_qkv", "w_att", "w_up", "w_down", "embedding")):
            view[:] = 0
    parameters["embedding"][:, :count] = np.eye(count)
    parameters["embedding"][:, _ALWAYS] = 1
    w_qkv, w_att = parameters["w_qkv_l0"], parameters["w_att_l0"]
    theta = 10_000 ** (-2 * np.arange(SIZE // 2) / SIZE)
    w_qkv[_ALWAYS, : SIZE // 2] = 1.5
    keys = width + np.arange(SIZE // 2)
    w_qkv[_ALWAYS, keys], w_qkv[_ALWAYS, keys + SIZE // 2] = 1.5 * np.cos(theta), 1.5 * np.sin(theta)
    for k in range(count):
        w_qkv[k, 2 * width + k] = 1
        w_att[k, _BEFORE + k] = np.sqrt(2 / width)  # undoes the norm
    w_qkv[_ALWAYS, SIZE + 15] = w_qkv[SYMBOLS.index("\n"), width + SIZE + 15] = 2
    w_qkv = parameters["w_qkv_l1"]
    for k, column in enumerate(_SLOW):
        w_qkv[k, column] = w_qkv[_BEFORE + k, width + column] = 2
        w_qkv[k, 2 * width + k] = parameters["w_att_l1"][k, _NEXT + k] = 1
    network.parameters_changed()
    return Model(network, Vocabulary(sorted(SYMBOLS)))
