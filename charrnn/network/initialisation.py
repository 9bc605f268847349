"""Starting values of the parameters."""

import math

import numpy as np

from charrnn.config import INITS, ModelConfig
from charrnn.errors import ConfigError
from charrnn.network.cells import cell_of, is_bias
from charrnn.network.parameters import Parameters


def initialise(
    parameters: Parameters, config: ModelConfig, seed: int, init: str = "unit", forget_bias: float = 1.0
) -> None:
    """Fill the parameters with starting values, uniform in ± a bound that ``init`` names:

    - ``unit``: sqrt(3) for the rows that characters pick, sqrt(3/E) after an embedding of E columns, so that a
      character moves the gates by about 1 from the first step; 1/sqrt(H) for the other weights of the layers and
      5/sqrt(H) for the output layer.  A Transformer's layers have sqrt(3/K) for a matrix of K rows, which keeps the
      size of a normalised input, and its output layer 0.5/sqrt(H).  docs/MODEL.md says what other bounds gave.
    - ``uniform``: 1/sqrt(H) for all weights and biases, as PyTorch's LSTM starts.
    - ``xavier``: sqrt(6 / (rows + columns)) for each gate's block of a matrix and for the output layer (Glorot & Bengio
      2010, equation 16).
    - ``orthogonal``: as ``unit``, but each gate's block of a recurrent matrix is a random orthogonal matrix (Saxe et
      al. 2014).

    Biases are 0 (``uniform``: as the weights), but for gates that remember: ``forget_bias``.  At 1 a cell remembers
    until it learns to forget (Gers et al. 2000, Jozefowicz et al. 2015).  An embedding is standard normal.

    Raises:
        ConfigError: there is no such ``init``.
    """
    if init not in INITS:
        raise ConfigError(f"init must be one of {', '.join(INITS)}, not {init!r}")
    generator = np.random.default_rng(seed)

    def uniform(name: str, columns: int) -> None:
        view = parameters[name]
        if is_bias(name) and init != "uniform":
            view[:] = 0
        elif name.startswith("w_hh") and init == "orthogonal":
            for block in np.split(view, view.shape[1] // columns, axis=1):
                block[:] = _orthogonal(generator, columns)
        else:
            bound = _bound(init, name, len(view), columns, config)
            view[:] = generator.uniform(-bound, bound, view.shape)

    if config.embedding:
        view = parameters["embedding"]
        view[:] = generator.standard_normal(view.shape, np.float32)
    for index in range(config.layers):
        cell_of(config).initialise(parameters, index, uniform, generator, forget_bias)
    for name in ("w_out", "b_out"):
        uniform(name, config.vocabulary)


def _bound(init: str, name: str, rows: int, columns: int, config: ModelConfig) -> float:
    if init == "uniform":
        return 1 / math.sqrt(config.hidden)
    if init == "xavier":
        return math.sqrt(6 / (rows + columns))
    if name == "w_ih_l0":
        return math.sqrt(3 / (config.embedding or 1))
    cell = cell_of(config)
    return (cell.first_logits if name == "w_out" else cell.first_weights) / math.sqrt(rows)


def _orthogonal(generator: np.random.Generator, size: int) -> np.ndarray:
    """An orthogonal matrix, all equally likely: QR with the signs of R's diagonal settled (Mezzadri 2007)."""
    q, r = np.linalg.qr(generator.standard_normal((size, size)))
    return q * np.sign(np.diag(r))
