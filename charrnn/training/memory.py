"""How much memory a run needs, so that an absurd one is refused before it starts."""

import math
from dataclasses import replace

from charrnn.config import ModelConfig, TrainConfig
from charrnn.network.cells import cell_of, parameter_count
from charrnn.network.workspace import floats_of_a_place
from charrnn.system.memory import require
from charrnn.text.windows import fitting_window
from charrnn.training.optimizer import SLOTS


def needed(model: ModelConfig, training: TrainConfig, ranks: int = 1) -> int:
    """Bytes that training needs on one of the ``ranks``, nearly, at the moment of a save.

    What the run keeps is parameters, moments, the average of the parameters if there is one, and the copy that a
    rollback goes back to.  The file that is being written holds all of them once more, with the parameters transposed.
    There are also the gradient, two packed forms of the weights, and the workspace.  The state of the batch rows is in
    the file, too, and evaluations have one of their own.
    """
    layers = [cell_of(model).layer(model, index) for index in range(model.layers)]
    kept = 1 + len(SLOTS[training.optimizer]) + bool(training.ema)
    batch = -(-training.batch_size // ranks)
    workspace = batch * (training.seq_len + 1) * floats_of_a_place(model, layers)
    size = training.seq_len, batch
    shapes = {name: shape for layer in layers for name, shape in layer.scratch_shapes(*size).items()}
    shared = sum(map(math.prod, shapes.values()))
    caches = sum(math.prod(shape) for layer in layers for shape in layer.cache_shapes(*size).values())
    states = model.layers * sum(
        map(math.prod, cell_of(model).state_shapes(model, batch * training.accumulate).values())
    )
    return 4 * ((4 * kept + 4) * parameter_count(model) + workspace + 2 * shared + caches + 3 * states)


def check(model: ModelConfig, training: TrainConfig, length: int | None = None, ranks: int = 1) -> None:
    """Refuse what cannot fit, in the windows that a text of ``length`` characters fills if that is known.

    If several ``ranks`` share the batch rows, it is what one of them needs.

    Raises:
        ConfigError: with what it would need and what there is.
    """
    if length is not None:
        batch, steps = fitting_window(length, training.rows, training.seq_len)
        training = replace(training, batch_size=-(-batch // training.accumulate), seq_len=steps)
    require(
        needed(model, training, ranks),
        f"{model.layers} x {model.hidden} with windows of {training.batch_size} x {training.seq_len} needs",
        "choose a smaller hidden size, batch size, sequence length or context",
    )
