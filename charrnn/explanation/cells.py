"""The equations of each kind of cell."""

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.explanation.equations import Equations
from charrnn.explanation.recurrent_equations import GRU, LSTM, RNN, CappedLSTM, CoupledLSTM
from charrnn.explanation.transformer_equations import Transformer

EQUATIONS: dict[str, Equations] = {
    "lstm": LSTM(),
    "capped-lstm": CappedLSTM(),
    "coupled-lstm": CoupledLSTM(),
    "gru": GRU(),
    "rnn": RNN(),
    "transformer": Transformer(),
}


def equations_of(config: ModelConfig) -> Equations:
    """The equations of the cell of a network.

    Raises:
        ConfigError: the cell has no equations here.
    """
    if config.cell not in EQUATIONS:
        raise ConfigError(f"the model's cell is {config.cell}, and only those of {', '.join(EQUATIONS)} are explained")
    return EQUATIONS[config.cell]
