"""How often gates are at their ends while a model reads.

Karpathy, Johnson & Li (2015), "Visualizing and Understanding Recurrent Networks", section 4.2: a gate below 0.1 is
left-saturated, one above 0.9 right-saturated.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.lanes import Lanes
from charrnn.network import CharLSTM

LOW, HIGH = 0.1, 0.9  # a gate below is as good as closed, one above as good as open
GATES = ("i", "f", "o")  # in [0, 1]
SIGNED = ("g", "tanh_c")  # in [-1, 1]: what is low for them is below -HIGH


@dataclass(frozen=True, eq=False)
class Saturation:
    """Shares of time, 0 to 1, over ``characters`` read.

    Attributes:
        low: by name (i, f, o, g, tanh_c), for each unit (L, H) float64 the share of time below 0.1, or below -0.9 for g
            and tanh_c.
        high: the same above 0.9.
        characters: how many were read.
    """

    low: dict[str, np.ndarray]
    high: dict[str, np.ndarray]
    characters: int


def saturation(
    network: CharLSTM,
    ids: np.ndarray,
    lanes: int = 32,
    steps: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Saturation:
    """Count how often each unit's gates are at their ends while ``network`` reads ids (N,) from a state of zeros.

    Memory does not depend on N. ``progress`` is called with the steps done and their number.

    Raises:
        ConfigError: there is nothing to read.
    """
    if not len(ids):
        raise ConfigError("there is nothing to read in an empty text")
    shared = Lanes(len(ids), lanes, steps)
    state = network.initial_state(shared.count)
    shape = network.config.layers, network.config.hidden
    names = (*GATES, *SIGNED)
    low, high = ({name: np.zeros(shape) for name in names} for _ in range(2))
    done = 0
    for at, own in shared.windows():
        network.read(ids[at].astype(np.int32), state)
        for name in names:
            values = np.tanh(network.signal("c")) if name == "tanh_c" else network.signal(name)
            values = values.reshape(own.size, *shape)
            if not own.all():
                values = values[own.ravel()]
            low[name] += (values < (LOW if name in GATES else -HIGH)).sum(axis=0)
            high[name] += (values > HIGH).sum(axis=0)
        done += len(at)
        if progress is not None:
            progress(done, shared.length)
    for counts in (*low.values(), *high.values()):
        counts /= len(ids)
    return Saturation(low, high, len(ids))
