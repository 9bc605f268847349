"""How a network is learning: how far its gradient reaches back, how large its updates are, how open its gates.

docs/DIAGNOSIS.md tells how to read the numbers.  Nothing here changes the network, the run or its random numbers.
"""

import math
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.network.cell import Gate
from charrnn.network.network import Network, State
from charrnn.network.parameters import Parameters
from charrnn.records import Diagnosed, ProgressCallback, no_progress
from charrnn.text.windows import ReadingWindows

READ = 1000  # characters whose gates are looked at


def diagnose(network: Network, text: np.ndarray, batch: int, steps: int, before: np.ndarray, step: int) -> Diagnosed:
    """All that is known about ``network`` after update ``step``.

    Args:
        network: as it is after the update.
        text: ids (N,) of at least 2 characters, the same in every diagnosis, so that numbers can be compared.
        batch: how many places of the text, evenly spaced, the gradient is averaged over.
        steps: how far back it is followed, or half the text if that is less.
        before: the flat parameters before the update.
        step: the update's number.
    """
    norms = gradient_norms(network, *_windows(network, text, batch, steps))
    steps_back = _doubling(norms.shape[1])
    return Diagnosed(
        step=step,
        steps_back=steps_back,
        gradient_norms=tuple(tuple(_finite(layer[k]) for k in steps_back) for layer in norms),
        half_lengths=tuple(half_length(layer) for layer in norms),
        update_ratios=update_ratios(before, network.parameters),
        gates=gate_shares(network, text[:READ]),
        titles={gate.name: gate.title for gate in network.cell.gates},
    )


def gradient_norms(network: Network, x: np.ndarray, y: np.ndarray, state: State) -> np.ndarray:
    """How much of the last step's loss reaches each layer k steps before: (L, T) float64, k from 0 to T-1.

    The Euclidean norm of the gradient of that loss alone with respect to the layer's pre-activations z (all
    gates of its units) at step T-1-k; the root of its mean square over the batch rows.  Hochreiter (1991), Bengio,
    Simard & Frasconi (1994) and Pascanu, Mikolov & Bengio (2013) tell why it vanishes or explodes with k.

    Args:
        network: its ``gradient`` is overwritten.
        x: ids (T, B) int32.
        y: targets (T, B) int32; all but the last row are left out.
        state: at the start of the window; it is not moved on.
    """
    last = np.full_like(y, -1)
    last[-1] = y[-1]
    network.loss_and_gradient(x, last, state.copy())
    # The gradient belongs to the mean loss of n targets: multiply it by n, then average the squares over the targets.
    count = np.count_nonzero(last >= 0)
    each = [dz.reshape(len(x), -1) for dz in network.preactivation_gradients()]
    squares = np.stack([np.einsum("tn,tn->t", dz, dz, dtype=np.float64) for dz in each])
    return np.sqrt(squares * count)[:, ::-1]


def half_length(norms: np.ndarray) -> float | None:
    """In how many steps the norms (T,) halve; negative if they grow: in how many they double.

    From the slope of the straight line that fits log2 of the norms best, without the first one, which has the
    output's gradient in it.  None for fewer than two norms that are not zero, or if they do not change at all.
    """
    k = np.flatnonzero(np.isfinite(norms) & (norms > 0))
    k = k[k > 0]
    if len(k) < 2:
        return None
    slope = np.polynomial.polynomial.polyfit(k, np.log2(norms[k]), 1)[1]
    return _finite(-1 / slope) if slope else None


def update_ratios(before: np.ndarray, parameters: Parameters) -> dict[str, float | None]:
    """‖p - before‖ / ‖before‖ of each parameter by name; ``before`` is flat. None where all were zero."""
    ratios = {}
    for name, (start, stop) in parameters.ranges.items():
        size = _norm(before[start:stop])
        ratios[name] = _norm(parameters.flat[start:stop] - before[start:stop]) / size if size else None
    return ratios


def gate_shares(network: Network, ids: np.ndarray) -> tuple[dict[str, tuple[float, float] | float], ...]:
    """For each layer, the share of its gates' values that are saturated while it reads ids (N,) from a state of zeros.

    For gates in [0, 1] the shares below 0.1 and above 0.9; for gates in [-1, 1] the share with |value| above 0.9.
    """
    found = saturation(network, ids, batch=1)

    def shares(gate: Gate, layer: int) -> tuple[float, float] | float:
        low, high = (float(side[gate.name][layer].mean()) for side in (found.low, found.high))
        return low + high if gate.low < 0 else (low, high)

    layers = range(network.config.layers)
    return tuple({gate.name: shares(gate, layer) for gate in network.cell.gates} for layer in layers)


def _windows(network, text, batch, steps):
    """x, y (T, B) from the whole text, and the state that as many characters before them lead to, where there are."""
    steps = max(1, min(steps, (len(text) - 1) // 2))
    before = min(steps, len(text) - 1 - steps)
    starts = np.linspace(0, len(text) - 1 - steps - before, batch).astype(np.int64)
    ids = text[starts + np.arange(before + steps + 1)[:, None]].astype(np.int32)
    state = network.initial_state(batch)
    if before:
        network.read(ids[:before], state)
    return ids[before:-1], ids[before + 1 :], state


def _doubling(steps: int) -> tuple[int, ...]:
    """0, 1, 2, 4, 8, … and the last step."""
    powers = [2**n for n in range(steps.bit_length()) if 2**n < steps - 1]
    return tuple(sorted({0, *powers, steps - 1}))


def _norm(values: np.ndarray) -> float:
    return math.sqrt(np.square(values, dtype=np.float64).sum())


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


LOW, HIGH = 0.1, 0.9  # a gate below is nearly closed, a gate above is nearly open


@dataclass(frozen=True, eq=False)
class Saturation:
    """Shares of time, 0 to 1, over ``characters`` read.

    Attributes:
        low: by name of a gate, for each unit (L, H) float64 the share of time below 0.1, or for a gate in [-1, 1]
            below -0.9.
        high: the same above 0.9.
        characters: how many were read.
    """

    low: dict[str, np.ndarray]
    high: dict[str, np.ndarray]
    characters: int


def saturation(
    network: Network,
    ids: np.ndarray,
    batch: int = 32,
    steps: int = 64,
    progress: ProgressCallback = no_progress,
) -> Saturation:
    """Count how often each unit's gates are saturated while ``network`` reads ids (N,) from a state of zeros.

    Karpathy, Johnson & Li (2015), "Visualizing and Understanding Recurrent Networks", section 4.2: a gate below 0.1 is
    left-saturated, a gate above 0.9 right-saturated.  Memory does not depend on N.  ``progress`` is called with the
    steps done and their number.

    Raises:
        ConfigError: there is nothing to read.
    """
    if not len(ids):
        raise ConfigError("there is nothing to read in an empty text")
    windows = ReadingWindows(len(ids), batch, steps, progress=progress, warm_up=network.warm_up)
    state = network.initial_state(windows.batch)
    shape, gates = (network.config.layers, network.config.hidden), network.cell.gates
    low, high = ({gate.name: np.zeros(shape) for gate in gates} for _ in range(2))
    for at, own in windows:
        network.read(ids[at].astype(np.int32), state)
        for gate in gates:
            values = network.signal(gate.signal)
            values = values.reshape(-1, *shape) if own.all() else values[own]  # a mask copies, and is rarely needed
            if network.cell.signal(gate.signal).unbounded:
                values = np.tanh(values)
            low[gate.name] += (values < (-HIGH if gate.low < 0 else LOW)).sum(axis=0)
            high[gate.name] += (values > HIGH).sum(axis=0)
    for counts in (*low.values(), *high.values()):
        counts /= len(ids)
    return Saturation(low, high, len(ids))
