"""How much memory a run needs, so that an absurd one is refused before it starts."""

from dataclasses import replace

from charrnn.config import ModelConfig, TrainConfig
from charrnn.kernels.tiles import PANEL
from charrnn.network.packed_weights import padded, panels
from charrnn.network.parameters import parameter_count
from charrnn.system.memory import require
from charrnn.text.windows import fitting_window

_MOMENTS = {"adamw": 2, "adam": 2}  # of the other optimisers one


def needed(model: ModelConfig, training: TrainConfig) -> int:
    """Bytes that training needs, nearly, at the moment of a save.

    What the run keeps is parameters, moments, the average of the parameters if there is one, and the guard's copy of
    these.  All that is once more in the file that is being written, the parameters turned about.  Beside it are the
    gradient, two packed forms, and the workspace.
    """
    hidden, wide, vocabulary = padded(model.hidden), PANEL * panels(model.hidden), PANEL * panels(model.vocabulary)
    kept = 1 + _MOMENTS.get(training.optimizer, 1) + bool(training.ema)
    rows = training.batch_size * (training.seq_len + 1)
    workspace = rows * (model.layers * (5 * hidden + 2 * wide) + wide + vocabulary)
    return 4 * ((4 * kept + 4) * parameter_count(model) + workspace + 2 * model.vocabulary * 4 * hidden)


def check(model: ModelConfig, training: TrainConfig, length: int | None = None) -> None:
    """Refuse what cannot fit, in the windows that a text of ``length`` characters fills if that is known.

    Raises:
        ConfigError: with what it would need and what there is.
    """
    if length is not None:
        batch, steps = fitting_window(length, training.batch_size, training.seq_len)
        training = replace(training, batch_size=batch, seq_len=steps)
    require(
        needed(model, training),
        f"{model.layers} x {model.hidden} with windows of {training.batch_size} x {training.seq_len} needs",
        "choose a smaller hidden size, batch size or sequence length",
    )
