"""A foreign cell for tests: Elman's (1990), which PyTorch calls RNN.  It enters through the layer interface alone.

    h_t = tanh(x_t W_ih + h_{t-1} W_hh + b)

It is written to be short: scalar loops forward, NumPy backward.  A layer k has ``w_ih_l{k}`` (D, H), ``w_hh_l{k}``
(H, H) and ``b_l{k}`` (H,); its products read the parameters as they are, so nothing is packed.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, types

from charrnn.errors import ConfigError
from charrnn.kernels.compiler import Array1, Array2, Ids2, Panels, intp, kernel, void
from charrnn.kernels.matmul import offset
from charrnn.kernels.packing import GROUP, first_row
from charrnn.kernels.simd import load_one, store_one
from charrnn.kernels.step import STEP, load_id, struct_loader
from charrnn.kernels.tiles import PANEL
from charrnn.network.cell import Cell, Gate, Signal
from charrnn.network.layers import Layer
from charrnn.network.packed_weights import as_panels, as_rows
from charrnn.network.workspace import padded, panels, weight_calls


class ElmanCell(Cell):
    name, title, torch_module = "elman", "Elman network", "rnn"
    signals = (Signal("h", "h, what the unit remembers and tells", -1),)
    gates = (Gate("h", "h", -1, "h"),)
    state, clamped = ("h",), "h"

    def layer(self, config, index):
        return Elman(config, index)

    def parameter_shapes(self, config, index):
        hidden, inputs = config.hidden, config.hidden if index else config.vocabulary
        return {f"w_ih_l{index}": (inputs, hidden), f"w_hh_l{index}": (hidden, hidden), f"b_l{index}": (hidden,)}

    def initialise(self, parameters, index, uniform, generator, forget_bias):
        for name in ("w_ih", "w_hh", "b"):
            uniform(f"{name}_l{index}", len(parameters[f"b_l{index}"]))

    def clamp(self, parameters, index, unit, value):
        if not abs(value) < 1:
            raise ConfigError(f"h is between -1 and 1, not {value:g}")
        parameters[f"w_ih_l{index}"][:, unit] = 0
        parameters[f"w_hh_l{index}"][:, unit] = 0
        parameters[f"b_l{index}"][unit] = math.atanh(value)
        return {"h": value}

    def multiply_adds(self, config, index):
        return config.hidden * config.hidden * (2 if index else 1)


class Arrays(NamedTuple):
    """Addresses, sizes and strides; a layer without inputs reads characters."""

    w_ih_at: int
    inputs: int
    w_hh_at: int
    b_at: int
    units: int
    below_at: int
    below_panel: int
    h_at: int
    h_panel: int


class Weights(NamedTuple):
    w_ih: np.ndarray
    w_hh: np.ndarray


load_arrays = struct_loader(types.NamedUniTuple(intp, len(Arrays._fields), Arrays))
WEIGHTS = types.NamedUniTuple(Array2, len(Weights._fields), Weights)


@njit
def advance(layer, ids_at, before, place, rows, first_unit, last_unit):
    """One time step of some units, for rows of batch rows or streams."""
    for row in range(rows):
        for unit in range(first_unit, last_unit):
            z = load_one(layer.b_at, unit)
            if layer.inputs == 0:
                z += load_one(layer.w_ih_at, load_id(ids_at, row) * layer.units + unit)
            for k in range(layer.inputs):
                x = load_one(layer.below_at, offset(k, layer.below_panel) + (place + row) * PANEL)
                z += x * load_one(layer.w_ih_at, k * layer.units + unit)
            for k in range(layer.units):
                h = load_one(layer.h_at, offset(k, layer.h_panel) + (before + row) * PANEL)
                z += h * load_one(layer.w_hh_at, k * layer.units + unit)
            store_one(layer.h_at, offset(unit, layer.h_panel) + (place + row) * PANEL, np.float32(math.tanh(z)))


@kernel(void(Ids2, Panels, WEIGHTS, Array1, intp, GROUP, Array2, Panels))
def elman_forward(x, below, weights, b, inputs, group, state, h):
    steps, rows, start = x.shape[0], group.last - group.first, first_row(group.first, x.shape[0])
    layer = Arrays(
        weights.w_ih.ctypes.data,
        inputs,
        weights.w_hh.ctypes.data,
        b.ctypes.data,
        b.size,
        below.ctypes.data,
        below.strides[0] // 4,
        h.ctypes.data,
        h.strides[0] // 4,
    )
    for row in range(rows):
        for unit in range(b.size):
            h[unit // PANEL, start + row, unit % PANEL] = state[group.first + row, unit]
    for t in range(steps):
        before, ids_at = start + t * rows, x.ctypes.data + 4 * (t * x.shape[1] + group.first)
        advance(layer, ids_at, before, before + rows, rows, 0, b.size)
    for row in range(rows):
        for unit in range(b.size):
            state[group.first + row, unit] = h[unit // PANEL, start + steps * rows + row, unit % PANEL]


@kernel(STEP)
def elman_step(arguments_at, ids_at, before, place, share):
    layer, first = load_arrays(arguments_at), share.first
    first_unit = layer.units * share.worker // share.workers
    last_unit = layer.units * (share.worker + 1) // share.workers
    rows = share.last - first
    advance(layer, ids_at + 4 * first, before + first, place + first, rows, first_unit, last_unit)


def product(x, w):
    """x (…, K) w (K, N), in an order of sums that does not depend on how many rows there are, as BLAS's does."""
    return sum(x[..., k, None] * w[k] for k in range(len(w)))


class Elman(Layer):
    kernels = ((elman_forward,), ())
    steps = (elman_step,)

    def array_shapes(self, rows):
        shape = panels(self.config.hidden), rows, PANEL
        return {"h": shape, "dz": shape}

    def scratch_shapes(self, steps, batch):
        return {}

    def bind(self, parameters):
        k = self.index
        self.w_ih, self.w_hh, self.b = (parameters[f"{name}_l{k}"] for name in ("w_ih", "w_hh", "b"))

    def packing(self, training):
        return []

    @property
    def nbytes(self):
        return 0

    def forward(self, window, arrays, below, state, group):
        inputs, below = (0, arrays["h"]) if below is None else (self.config.hidden, below)
        weights = Weights(self.w_ih, self.w_hh)
        elman_forward(window.x, below, weights, self.b, inputs, group, state["h"], arrays["h"])

    def backward(self, window, arrays, dh, group):
        rows, hidden = window.layout.rows[:, group.first : group.last], self.config.hidden
        h, upwards = (as_rows(array[:, rows.ravel()], hidden).reshape(*rows.shape, -1) for array in (arrays["h"], dh))
        dz, back = np.zeros_like(h), np.zeros_like(h[0])
        for t in reversed(range(len(rows))):
            dz[t] = (upwards[t] + back) * (1 - h[t] ** 2)
            back = product(dz[t], self.w_hh.T)
        arrays["dz"][:, rows] = as_panels(dz)
        if self.index:
            dh[:, rows] = as_panels(product(dz, self.w_ih.T))

    def gradient_calls(self, window, arrays, below, gradient, threads):
        k, dz, layout = self.index, arrays["dz"], window.layout
        w_ih, w_hh, b = (gradient[f"{name}_l{k}"] for name in ("w_ih", "w_hh", "b"))
        calls = weight_calls(arrays["h"], dz, layout.portions_from_before, w_hh, b, threads)
        if k:
            return calls + weight_calls(below, dz, layout.portions, w_ih, None, threads)
        return [*calls, (self._add_rows, (window, dz, w_ih))]

    def _add_rows(self, window, dz, w_ih):
        w_ih[:] = 0
        np.add.at(w_ih, window.x, as_rows(dz, self.config.hidden)[window.layout.rows])

    def signal(self, arrays, name):
        rows = as_rows(arrays["h"], padded(self.config.hidden))
        return rows.reshape(len(rows), -1, 16)

    def preactivation_gradient(self, arrays):
        return as_rows(arrays["dz"], self.config.hidden)

    def step_arguments(self, arrays, below):
        h, inputs = arrays["h"], 0 if below is None else self.config.hidden
        below = h if below is None else below
        return Arrays(
            *(self.w_ih.ctypes.data, inputs, self.w_hh.ctypes.data, self.b.ctypes.data, self.config.hidden),
            *(below.ctypes.data, below.strides[0] // 4, h.ctypes.data, h.strides[0] // 4),
        )
