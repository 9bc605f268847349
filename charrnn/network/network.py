"""CharLSTM: a character-level LSTM, its loss and its gradient.

Legend: T steps, B batch rows, V characters, H hidden units, L layers.  A window of text is (T, B); its work is done in
phases by a team of threads.  In the first, each thread takes a group of batch rows through all layers and back; in
the second, threads share out the weights' gradients, panel by panel.  No sum is ever split over threads, so
the result is the same bits for any number of them.
"""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.kernels import compiler
from charrnn.kernels.cross_entropy import cross_entropy
from charrnn.kernels.dropout import dropout
from charrnn.kernels.linear import linear
from charrnn.kernels.lstm import layer_backward, layer_forward
from charrnn.kernels.packing import pack, pack_bias, pack_table, pack_transposed
from charrnn.kernels.simd import WIDTH
from charrnn.kernels.weight_gradients import panel_groups, row_gradient, weight_gradient
from charrnn.network.initialisation import initialise
from charrnn.network.packed_weights import PackedWeights, as_rows, padded
from charrnn.network.parameters import Parameters
from charrnn.network.regularisation import Regularisation
from charrnn.network.workspace import Layout, Workspace, in_order
from charrnn.system.stopwatch import Stopwatch
from charrnn.system.threads import OWN, Team, available_threads

# Below so many multiply-adds, and so many weights to pack, the work is done before other threads would be awake.
SMALL_WINDOW, SMALL_MODEL = 20_000_000, 100_000


@dataclass
class LSTMState:
    """What the layers remember between windows: ``h`` and ``c``, each (L, B, H) float32."""

    h: np.ndarray
    c: np.ndarray

    def copy(self) -> "LSTMState":
        """An independent copy."""
        return LSTMState(self.h.copy(), self.c.copy())


class CharLSTM:
    """The network: ``parameters`` and ``gradient`` are flat buffers with views by name.

    Args:
        config: its sizes.
        seed: fills the parameters with starting values; None leaves them zero.
        threads: how many to use; None for all that this process may use.
        init, forget_bias: which starting values, see :func:`charrnn.network.initialisation.initialise`.
    """

    def __init__(
        self,
        config: ModelConfig,
        seed: int | None = 0,
        threads: int | None = None,
        init: str = "unit",
        forget_bias: float = 1.0,
    ):
        compiler.prepare(linear, layer_forward, cross_entropy, pack, pack_bias, pack_table)
        self.config = config
        self.parameters = Parameters(config)
        self.team = Team(available_threads() if threads is None else threads)
        self.alone = Team(1)
        weakref.finalize(self, self.team.close)
        self.packed = PackedWeights(config, self.parameters)
        self.workspace: Workspace | None = None
        self.layout: Layout | None = None
        self.gradient: Parameters | None = None
        self._packed_for: str | None = None
        self.stopwatch: Stopwatch | None = None
        if seed is not None:
            initialise(self.parameters, config, seed, init, forget_bias)

    # ---- state and weights ----------------------------------------------------------------------------

    def initial_state(self, batch: int) -> LSTMState:
        """A state of zeros for ``batch`` batch rows."""
        shape = (self.config.layers, batch, self.config.hidden)
        return LSTMState(np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def set_parameters(self, values: Mapping[str, np.ndarray]) -> None:
        """Take over parameters by name, each of the shape of its view."""
        for name, value in values.items():
            self.parameters[name][:] = value
        self.parameters_changed()

    def parameters_changed(self) -> None:
        """Say that parameters were written to: they are packed anew before they are next used."""
        self._packed_for = None

    def prepare_training(self) -> None:
        """Have the kernels of the way back, and room for ``gradient``; done when needed in any case.

        The first compilation takes seconds: who measures how long a step takes has it done before.
        """
        if self.gradient is None:
            compiler.prepare(pack_transposed, dropout, layer_backward, weight_gradient, row_gradient)
            self.gradient = Parameters(self.config)

    def forward_weights(self) -> PackedWeights:
        """The packed weights, up to date for a forward pass."""
        self.refresh(training=False)
        return self.packed

    def refresh(self, training: bool) -> None:
        """Have the packed weights up to date, the transposes too if ``training``; done when needed in any case."""
        if self._packed_for is None or (training and self._packed_for != "training"):
            if training:
                self.prepare_training()
            self.packed.refresh(self.alone if self.parameters.size < SMALL_MODEL else self.team, training)
            self._packed_for = "training" if training else "forward"

    def _pack_thinned(self, regular: Regularisation) -> None:
        """Pack the parameters with some left out, for one step."""
        self.prepare_training()
        before = self.parameters.flat.copy()
        regular.thin(self.parameters)
        self.parameters_changed()
        self.refresh(training=True)
        self.parameters.flat[:] = before

    # ---- what it computes -----------------------------------------------------------------------------

    def forward(self, x: np.ndarray, state: LSTMState) -> np.ndarray:
        """Logits (T, B, V) for ids x (T, B) int32; ``state`` moves on."""
        window = self._open(x, None, state, training=False, rate=0.0)
        self._each_group(window, partial(self._forward, window))
        return as_rows(window.logits[:, window.layout.rows], self.config.vocabulary)

    def read(self, x: np.ndarray, state: LSTMState) -> None:
        """As :meth:`forward` without logits, for those who want signals alone: ``state`` moves on."""
        window = self._open(x, None, state, training=False, rate=0.0)
        self._each_group(window, partial(self._layers, window))

    def losses(self, x: np.ndarray, y: np.ndarray, state: LSTMState) -> np.ndarray:
        """Loss (T, B) in nats for every target y (T, B), 0 where y < 0; ``state`` moves on.

        A view, valid until the next call.
        """
        window = self._open(x, y, state, training=False, rate=0.0)

        def work(worker, first, last):
            self._forward(window, worker, first, last)
            self._cross_entropy(window, y, 0, 0, first, last)

        self._each_group(window, work)
        return window.losses

    def loss_and_gradient(
        self, x: np.ndarray, y: np.ndarray, state: LSTMState, regular: Regularisation | None = None
    ) -> float:
        """Mean loss over the targets y (T, B) that are not negative; ``gradient`` is set and ``state`` moves on.

        Back-propagation through time stops at the window's start (Williams & Peng 1990): the incoming state is
        taken as given.
        """
        regular = regular or Regularisation()
        count = int(np.count_nonzero(y >= 0))
        if regular.thins_weights:
            self._pack_thinned(regular)
        window = self._open(x, y, state, training=True, rate=regular.dropout)

        def work(worker, first, last):
            self._forward(window, worker, first, last, regular)
            self._cross_entropy(window, y, 1 / max(count, 1), regular.label_smoothing, first, last)
            self._output_backward(window, first, last)
            self._lap(worker, "output")
            self._backward(window, first, last, regular)
            self._lap(worker, "backward")

        self._each_group(window, work)
        self._weight_gradients(window)
        if regular.thins_weights:
            regular.thin(self.gradient)
            self.parameters_changed()
        self._lap(0, "gradients")
        return float(window.losses.sum(dtype=np.float64)) / max(count, 1)

    def signal(self, name: str) -> np.ndarray:
        """A signal (T, B, L, H) of the window that :meth:`forward` or :meth:`losses` read last, in an array of its own.

        ``name`` is h, c, i, f, g or o. ``c`` is the cell before its tanh; i, f, o are in [0, 1], g and h in [-1, 1].
        """
        hidden = self.config.hidden
        rows = self.layout.rows
        layers = [blocks[rows].reshape(*rows.shape, -1)[:, :, :hidden] for blocks in self.signal_blocks(name)]
        return np.stack(layers, axis=2)

    def signal_blocks(self, name: str) -> list[np.ndarray]:
        """The same in blocks of units: for each layer (R, H/16 rounded up, 16).

        ``layout.rows`` says which row a place has; those of incoming states are among them.  A view, or a copy of h:
        valid until the next call.  What stands in the padding, from unit H on, means nothing.
        """
        space, size = self.workspace, self.layout.size
        if name == "h":
            rows = [as_rows(array[:, :size], padded(self.config.hidden)) for array in space.h]
            return [array.reshape(size, -1, WIDTH) for array in rows]
        if name == "c":
            return [array[:, :size].swapaxes(0, 1) for array in space.c]
        gate = WIDTH * "ifgo".index(name)
        return [array[:, :size, gate : gate + WIDTH].swapaxes(0, 1) for array in space.gates]

    def gates(self) -> list[np.ndarray]:
        """For each layer (T, B, H/16 rounded up, 64): i, f, g, o of 16 units, after ``loss_and_gradient`` dz."""
        return [array.swapaxes(0, 1)[self.layout.rows] for array in self.workspace.gates]

    def trace(self, x: np.ndarray, state: LSTMState) -> dict[str, np.ndarray]:
        """Every signal for ids x (T,): h, c, i, f, g, o as (T, L, H) and ``log_probabilities`` (T, V); state moves on.

        The signals are those of :meth:`signal`.
        """
        x = np.ascontiguousarray(x, np.int32).reshape(-1, 1)
        logits = self.forward(x, state)[:, 0].astype(np.float64)
        signals = {name: self.signal(name)[:, 0] for name in "hcifgo"}
        logits -= logits.max(axis=1, keepdims=True)
        signals["log_probabilities"] = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return signals

    # ---- one window -----------------------------------------------------------------------------------

    def _open(self, x, y, state, training, rate):
        """Check the window and have its arrays ready."""
        for ids in (x, y):
            if ids is not None and (ids.dtype != np.int32 or not ids.flags.c_contiguous or ids.shape != x.shape):
                raise ConfigError("x and y must be C-contiguous int32 arrays of one shape (steps, batch rows)")
        if x.ndim != 2 or not x.size:
            raise ConfigError(f"a window has at least one step and one batch row, not the shape {x.shape}")
        steps, batch = x.shape
        if state.h.shape != (self.config.layers, batch, self.config.hidden) or state.c.shape != state.h.shape:
            raise ConfigError(f"the state has shape {state.h.shape}, which does not fit {batch} batch rows")
        if any(part.dtype != np.float32 or not part.flags.carray for part in (state.h, state.c)):
            raise ConfigError("the state must be C-contiguous float32 arrays that can be written to")
        if not 0 <= x.min() <= x.max() < self.config.vocabulary:
            raise ConfigError(f"ids must be from 0 to {self.config.vocabulary - 1}")
        if y is not None and y.max(initial=-1) >= self.config.vocabulary:
            raise ConfigError(f"targets must be below {self.config.vocabulary}")
        space = self.workspace
        if space is None or not space.fits(steps, batch, training, rate > 0):
            self.workspace = space = None  # let go of the old arrays before the new ones are made
            self.workspace = space = Workspace(self.config, steps, batch, self.team.threads, training, rate > 0)
        self.refresh(training)
        team = self._team_for(x)
        if self.layout is None or not self.layout.fits(steps, batch, team.threads):
            self.layout = Layout(steps, batch, team.threads)
        return Window(x, state, space, self.layout, team, rate > 0)

    def _lap(self, worker, name):
        """Tell a stopwatch, if there is one, what worker 0 has just done."""
        if self.stopwatch is not None and worker == 0:
            self.stopwatch.lap(name)

    def _each_group(self, window, work):
        """Call work(worker, first, last) for the window's groups of batch rows."""
        window.team.run(work, window.layout.groups)

    def _team_for(self, x):
        """All threads, or this one alone where that is quicker; the result is the same."""
        return self.alone if x.size * self.parameters.size < SMALL_WINDOW else self.team

    def _forward(self, window, worker, first, last, regular=None):
        self._layers(window, worker, first, last, regular)
        self._lap(worker, "forward")
        packed, top = self.packed, window.passed_on(self.config.layers - 1)
        rows = window.layout.of_group(first, last)
        linear(top, packed.output.forward, packed.output_bias, *rows, window.logits)

    def _layers(self, window, worker, first, last, regular=None):
        packed = self.packed
        for k in range(self.config.layers):
            below = window.passed_on(k - 1) if k else window.h[0]  # nothing of it is read if there is none
            weights = packed.beneath[k][0], packed.recurrent[k].forward
            state, arrays = (window.state.h[k], window.state.c[k]), (window.gates[k], window.h[k], window.c[k])
            layer_forward(window.x, packed.tables[k], below, *weights, first, last, *state, *arrays)
            if window.dropout:
                regular.drop(k, window.h[k], window.layout.batch, first, last, window.dropped[k])

    def _cross_entropy(self, window, y, scale, smoothing, first, last):
        scales = np.float32(scale), np.float32(smoothing)
        cross_entropy(y, *scales, self.config.vocabulary, first, last, window.logits, window.losses)

    def _output_backward(self, window, first, last):
        no_bias, rows = self.packed.no_bias(self.config.hidden), window.layout.of_group(first, last)
        linear(window.logits, self.packed.output.transposed, no_bias, *rows, window.dh)

    def _backward(self, window, first, last, regular):
        packed, dh = self.packed, window.dh
        for k in reversed(range(self.config.layers)):
            if window.dropout:
                regular.drop(k, dh, window.layout.batch, first, last, dh)
            weights = packed.recurrent[k].transposed, packed.beneath[k][1]
            layer_backward(*weights, first, last, window.gates[k], window.c[k], dh, window.space.dc)

    def _weight_gradients(self, window):
        gradient, dtable, calls = self.gradient, window.space.dtable, []
        here, before = window.layout.portions, window.layout.portions_from_before
        for k in range(self.config.layers):
            dz, bias = window.gates[k], gradient[f"b_l{k}"]
            calls += self._weight_calls(window.h[k], dz, before, gradient[f"w_hh_l{k}"], bias, gated=True)
            if k:
                calls += self._weight_calls(window.passed_on(k - 1), dz, here, gradient[f"w_ih_l{k}"], None, gated=True)
        top = window.passed_on(self.config.layers - 1)
        calls += self._weight_calls(top, window.logits, here, gradient["w_out"], gradient["b_out"], gated=False)
        # The rows are the first layer's weights where no embedding is between.
        picked = np.zeros((0, 4 * self.config.hidden), np.float32) if self.config.embedding else gradient["w_ih_l0"]
        for first, last in panel_groups(len(dtable), self.team.threads):
            calls.append((row_gradient, (window.x, window.gates[0], window.layout.rows, first, last, dtable, picked)))
        window.team.share_out(calls, window.space.scratch)
        if self.config.embedding:
            self._embedding_gradient(window)

    def _embedding_gradient(self, window):
        """From the gradient of the look-up table to those of the embedding and the first layer's weights."""
        space, dtable, gradient, config = window.space, window.space.dtable, self.gradient, self.config
        rows = in_order(config.vocabulary)
        calls = self._weight_calls(self.packed.embedding, dtable, rows, gradient["w_ih_l0"], None, gated=True)
        window.team.share_out(calls, space.scratch)
        transposed, no_bias = self.packed.input[0].transposed, self.packed.no_bias(config.embedding)
        linear(dtable, transposed, no_bias, 0, config.vocabulary, space.dembedding)
        gradient["embedding"][:] = as_rows(space.dembedding, config.embedding)

    def _weight_calls(self, x, dy, portions, gradient, bias, gated):
        """Gradient (K, N) = Σ xᵀ dy and bias (N,) = Σ dy, if there is one, as calls to be shared out."""
        bias = np.zeros((0, gradient.shape[1]), np.float32) if bias is None else bias[None]
        return [
            (weight_gradient, (x, dy, *portions, first, last, OWN, gated, gradient, bias))
            for first, last in panel_groups(len(dy), self.team.threads)
        ]


class Window:
    """The part of a workspace that T steps of it use, as views; ``state`` moves on when ``team`` makes the steps."""

    def __init__(self, x: np.ndarray, state: LSTMState, space: Workspace, layout: Layout, team: Team, dropout: bool):
        self.x, self.state, self.space, self.layout = x, state, space, layout
        self.team, self.dropout = team, dropout
        self.gates = [array[:, : layout.size] for array in space.gates]
        self.h = [array[:, : layout.size] for array in space.h]
        self.c = [array[:, : layout.size] for array in space.c]
        self.logits, self.losses = space.logits[:, : layout.size], space.losses[: layout.steps]
        if space.dropped is not None:
            self.dropped = [array[:, : layout.size] for array in space.dropped]
        if space.training:
            self.dh = space.dh[:, : layout.size]

    def passed_on(self, layer: int) -> np.ndarray:
        """What a layer hands to the next: h, or what dropout left of it (panels, R, 64)."""
        return self.dropped[layer] if self.dropout else self.h[layer]
