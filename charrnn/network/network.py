"""A network: layers and a head, its loss and its gradient.

Legend: T steps, B batch rows, V characters, H hidden units, L layers.  A window of text is (T, B), and a team of
threads works on it in phases.  In the first phase each thread takes a group of batch rows through all layers and back;
in the second, threads share out the weights' gradients panel by panel.  No sum is split between threads, so the result
is the same bits for any number of them.  Sums over the batch rows can be divided into groups, so that several
computers can share them (:mod:`charrnn.network.sum_tree`).
"""

import math
import operator
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.kernels import compiler
from charrnn.kernels.dropout import dropout
from charrnn.kernels.output_changes import add_change_gradient
from charrnn.kernels.packing import Group
from charrnn.kernels.weight_gradients import sort_places
from charrnn.network.cells import cell_of
from charrnn.network.head import Head
from charrnn.network.initialisation import initialise
from charrnn.network.layers import Call, Layer, Window
from charrnn.network.packed_weights import as_rows
from charrnn.network.parameters import Parameters
from charrnn.network.regularisation import NOTHING, Regularisation
from charrnn.network.sum_tree import tree_sum
from charrnn.network.workspace import Layout, Workspace
from charrnn.system.memory import require
from charrnn.system.stopwatch import Stopwatch
from charrnn.system.threads import Team, available_threads

# Below this many multiply-adds of a window, and weights to pack, one thread finishes before another has woken up.
SMALL_WINDOW, SMALL_MODEL = 20_000_000, 100_000


class Elsewhere(NamedTuple):
    """What other computers have of a window whose batch rows are shared.

    ``count`` is the number of all targets.  ``add_up`` adds the sums of all computers: it is called with arrays of
    float32, which it changes, and with the sum of the losses here, and returns the sum of all losses.
    """

    count: int
    add_up: Callable[[Sequence[np.ndarray], float], float]


class State:
    """What the layers remember between windows: arrays (L, B, …) float32 by name; an LSTM has ``h`` and ``c``."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self.arrays = dict(arrays)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    @property
    def batch(self) -> int:
        """B."""
        return next(iter(self.arrays.values())).shape[1]

    def layer(self, index: int) -> dict[str, np.ndarray]:
        """Views (B, …) of one layer's part, by name."""
        return {name: array[index] for name, array in self.arrays.items()}

    def copy(self) -> "State":
        """An independent copy."""
        return State({name: array.copy() for name, array in self.arrays.items()})

    def clear(self) -> None:
        """Forget everything: zeros."""
        for array in self.arrays.values():
            array[:] = 0


class Network:
    """Layers and a head; ``parameters`` and ``gradient`` are flat buffers with views by name.

    Args:
        config: its sizes.
        seed: fills the parameters with starting values; None leaves them zero.
        threads: how many to use; None for all that this process may use.
        init, forget_bias: which starting values, see :func:`charrnn.network.initialisation.initialise`.

    Attributes:
        sum_groups: groups into which the sums over a window's batch rows are divided; None does not divide them, which
            is the quickest way.
    """

    def __init__(
        self,
        config: ModelConfig,
        seed: int | None = 0,
        threads: int | None = None,
        init: str = "unit",
        forget_bias: float = 1.0,
    ):
        self.config, self.cell = config, cell_of(config)
        self.layers = [self.cell.layer(config, index) for index in range(config.layers)]
        self.prepare(config)
        self.parameters = Parameters(config)
        self.team = Team(available_threads() if threads is None else threads)
        self.alone = Team(1)
        weakref.finalize(self, self.team.close)
        for layer in self.layers:
            layer.bind(self.parameters)
        self.head = Head(config, self.parameters)
        self.workspace: Workspace | None = None
        self.layout: Layout | None = None
        self.gradient: Parameters | None = None
        self._can_train = False
        self._packed_for: str | None = None
        self._pass: _WindowPass | None = None
        self.stopwatch: Stopwatch | None = None
        self.sum_groups: int | None = None
        if seed is not None:
            initialise(self.parameters, config, seed, init, forget_bias)

    @staticmethod
    def kernels(config: ModelConfig) -> tuple[list, list, list]:
        """The kernels of the forward pass, of the backward pass, and of a step of a text that is written."""
        cell = cell_of(config)
        parts = [*(cell.layer(config, index) for index in range(config.layers)), Head]
        forward, backward = ([kernel for part in parts for kernel in part.kernels[number]] for number in (0, 1))
        return (
            forward,
            [*backward, dropout, add_change_gradient, sort_places],
            [step for part in parts for step in part.steps],
        )

    @classmethod
    def prepare(cls, config: ModelConfig, *others) -> None:
        """Load or compile the kernels of the forward pass, and ``others``, all at once."""
        compiler.prepare(*others, *cls.kernels(config)[0])

    # ---- state and weights ----------------------------------------------------------------------------

    def initial_state(self, batch: int) -> State:
        """A state of zeros for ``batch`` batch rows.

        Raises:
            ConfigError: this machine has not enough memory for it.
        """
        self.require_memory(batch)
        shapes, layers = self.cell.state_shapes(self.config, batch), self.config.layers
        return State({name: np.zeros((layers, *shape), np.float32) for name, shape in shapes.items()})

    def require_memory(self, batch: int) -> None:
        """Refuse ``batch`` texts whose state, with a copy and the layers' caches, does not fit into the memory.

        Raises:
            ConfigError: with what they would need and what there is.
        """
        states = self.config.layers * sum(map(math.prod, self.cell.state_shapes(self.config, batch).values()))
        caches = sum(math.prod(shape) for layer in self.layers for shape in layer.cache_shapes(1, batch).values())
        texts = f"{batch:,} texts at once" if batch > 1 else "a text"
        what = f"what the network remembers of {texts} takes"
        require(4 * (2 * states + caches), what, "use a larger machine, fewer texts at once, or a shorter context")

    def set_parameters(self, values: Mapping[str, np.ndarray]) -> None:
        """Take over parameters by name, each of the shape of its view."""
        for name, value in values.items():
            self.parameters[name][:] = value
        self.parameters_changed()

    def parameters_changed(self) -> None:
        """Call this after writing to the parameters: they are packed again before their next use."""
        self._packed_for = None

    def prepare_training(self) -> None:
        """Load or compile the kernels of the backward pass, and make room for ``gradient``.

        The first training step does this too.  Call it before a step is timed: the first compilation takes seconds.
        """
        if not self._can_train:
            compiler.prepare(*self.kernels(self.config)[1])
            self._can_train = True
        if self.gradient is None:
            self.gradient = Parameters(self.config)

    def refresh(self, training: bool) -> None:
        """Pack the weights unless they are up to date, with their transposes if ``training``."""
        if self._packed_for is None or (training and self._packed_for != "training"):
            if training:
                self.prepare_training()
            team = self.alone if self.parameters.size < SMALL_MODEL else self.team
            team.share_out([call for part in (*self.layers, self.head) for call in part.packing(training)])
            for layer in self.layers:
                layer.finish_packing()
            self._packed_for = "training" if training else "forward"

    @property
    def warm_up(self) -> int:
        """After how many characters what was read before has practically no influence on the state."""
        return self.cell.warm_up(self.config)

    @property
    def packed_bytes(self) -> int:
        """Bytes of the packed weights."""
        return sum(part.nbytes for part in (*self.layers, self.head))

    def _pack_thinned(self, regular: Regularisation) -> None:
        """Pack the parameters with some left out, for one step."""
        self.prepare_training()
        before = self.parameters.flat.copy()
        regular.thin(self.parameters)
        self.parameters_changed()
        self.refresh(training=True)
        self.parameters.flat[:] = before

    # ---- what it computes -----------------------------------------------------------------------------

    def forward(self, x: np.ndarray, state: State) -> np.ndarray:
        """Logits (T, B, V) for ids x (T, B) int32; ``state`` moves on."""
        run = self._open(x, None, state)
        run.each_group(run.forward)
        return as_rows(run.logits[:, self.layout.rows], self.config.vocabulary)

    def log_probabilities(self, x: np.ndarray, state: State) -> np.ndarray:
        """log softmax of the logits, (T, B, V) float64 in nats, for ids x (T, B) int32; ``state`` moves on."""
        logits = self.forward(x, state).astype(np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))

    def read(self, x: np.ndarray, state: State) -> None:
        """As :meth:`forward` without logits, where only signals are wanted: ``state`` moves on."""
        run = self._open(x, None, state)
        run.each_group(run.layers_forward)

    def losses(self, x: np.ndarray, y: np.ndarray, state: State) -> np.ndarray:
        """Loss (T, B) in nats for every target y (T, B), 0 where y < 0; ``state`` moves on.

        A view, valid until the next call.
        """
        run = self._open(x, y, state)

        def work(worker: int, group: Group) -> None:
            run.forward(worker, group)
            run.cross_entropy(y, 0, NOTHING, group)

        run.each_group(work)
        return run.losses

    def loss_and_gradient(
        self,
        x: np.ndarray,
        y: np.ndarray,
        state: State,
        regular: Regularisation | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> float:
        """Mean loss over the targets y (T, B) that are not negative; ``gradient`` is set and ``state`` moves on.

        With ``elsewhere`` it is the mean loss, and the gradient, over the batch rows of all computers.
        Back-propagation through time stops at the window's start (Williams & Peng 1990): the incoming state is taken
        as given.
        """
        regular = regular or NOTHING
        count = int(np.count_nonzero(y >= 0)) if elsewhere is None else elsewhere.count
        if regular.thins_weights:
            self._pack_thinned(regular)
        run = self._open(x, y, state, training=True, regular=regular)

        def work(worker: int, group: Group) -> None:
            run.forward(worker, group)
            run.cross_entropy(y, 1 / max(count, 1), regular, group)
            run.backward(worker, group, regular, 1 / max(count, 1))

        run.each_group(work)
        loss = run.weight_gradients(elsewhere)
        if regular.thins_weights:
            regular.thin(self.gradient)
            self.parameters_changed()
        self.lap(0, "gradients")
        return loss / max(count, 1)

    def signal(self, name: str) -> np.ndarray:
        """A signal (T, B, L, H) of the window that was read last, in an array of its own.

        ``name`` is one of the cell's signals, before a tanh that :class:`charrnn.network.cell.Signal` may ask for.
        """
        rows = self.layout.rows
        layers = [blocks[rows].reshape(*rows.shape, -1) for blocks in self.signal_blocks(name)]
        return np.stack([layer[:, :, : self.config.hidden] for layer in layers], axis=2)

    def signal_blocks(self, name: str) -> list[np.ndarray]:
        """A signal in blocks of units: for each layer (R, ⌈H/16⌉, 16), a view or a copy, valid until the next call.

        ``layout.rows`` has the row of each place; other rows hold incoming states.  Values from unit H on are padding.
        """
        pairs = zip(self.layers, self.workspace.layers, strict=True)
        return [layer.signal(_of_size(arrays, self.layout.size), name) for layer, arrays in pairs]

    def attention_weights(self, layer: int) -> np.ndarray:
        """What the N heads of a layer looked at in the window that was read last: (T, B, N, C) float32.

        Column j is the weight of the character j places back, column 0 that of the character itself.  The weights of a
        head at a place add up to 1.  They are 0 for places before the first character of the text.

        Raises:
            ConfigError: the cell has no attention.
        """
        if not self.cell.heads(self.config):
            raise ConfigError(self.cell.no_attention)
        arrays = self.workspace.layers[layer] | self.workspace.caches[layer]
        return self.layers[layer].attention_weights(arrays, self.layout)

    def preactivation_gradients(self) -> list[np.ndarray]:
        """After :meth:`loss_and_gradient`: each layer's gradient with respect to its pre-activations, (T, B, …)."""
        pairs = zip(self.layers, self.workspace.layers, strict=True)
        return [layer.preactivation_gradient(arrays)[self.layout.rows] for layer, arrays in pairs]

    def trace(self, x: np.ndarray, state: State) -> dict[str, np.ndarray]:
        """Every signal by name, (T, L, H), and ``log_probabilities`` (T, V) for ids x (T,); ``state`` moves on.

        The signals are those of :meth:`signal`.
        """
        x = np.ascontiguousarray(x, np.int32).reshape(-1, 1)
        log_probabilities = self.log_probabilities(x, state)[:, 0]
        signals = {signal.name: self.signal(signal.name)[:, 0] for signal in self.cell.signals}
        return signals | {"log_probabilities": log_probabilities}

    def lap(self, worker: int, name: str) -> None:
        """If there is a stopwatch, count the time since the last lap of worker 0 as ``name``."""
        if self.stopwatch is not None and worker == 0:
            self.stopwatch.lap(name)

    # ---- one window -----------------------------------------------------------------------------------

    def _open(self, x, y, state, training=False, regular=None) -> "_WindowPass":
        """Check a window's ids and state, and have its arrays ready."""
        _check_ids(x, y, self.config.vocabulary)
        steps, batch = x.shape
        _check_state(state, self.config.layers, self.cell.state_shapes(self.config, batch))
        summed = None if self.sum_groups is None else min(self.sum_groups, batch)
        if self.workspace is None or not self.workspace.fits(steps, batch, summed):
            self.workspace = self._pass = None  # free the old arrays before the new ones are made
            self.workspace = Workspace(self.config, self.layers, steps, batch, self.team.threads, summed)
        if regular is not None and not regular.dropout:
            regular = None
        self.refresh(training)
        # The result is the same on any number of threads.
        team = self.alone if x.size * self.parameters.size < SMALL_WINDOW else self.team
        if self.layout is None or not self.layout.fits(steps, batch, team.threads, summed):
            self.layout, self._pass = Layout(steps, batch, team.threads, summed), None
        if self.workspace.prepare(training, regular is not None) or self._pass is None:
            self._pass = _WindowPass(self, team)
        self._pass.begin(x, state, regular)
        return self._pass


class _WindowPass:
    """A network's work on windows of one size: views of the workspace, and the phases of the work.

    The views and the calls of the weight gradients are made once, because windows of a size come by the thousand.
    """

    def __init__(self, network: Network, team: Team):
        space, layout = network.workspace, network.layout
        # A strong reference would be a cycle, and the network's arrays and threads would stay until a garbage
        # collection.
        self._network, self._team, self._space = weakref.proxy(network), team, space
        self._window = Window(space.x[: layout.steps], layout, space.shared, layout.picked(space.starts))
        pairs = zip(space.layers, space.caches, strict=True)
        self._arrays = [_of_size(arrays, layout.size) | caches for arrays, caches in pairs]
        self.logits, self.losses = space.logits[:, : layout.size], space.losses[: layout.steps]
        self._dropped = [array[:, : layout.size] for array in space.dropped]
        self._dh = None if space.dh is None else space.dh[:, : layout.size]
        self._groups = [(group,) for group in layout.groups]
        self._gradient_calls: dict[bool, list[Call]] = {}

    def begin(self, x: np.ndarray, state: State, dropout: Regularisation | None) -> None:
        """Take the next window: its ids and state, and the dropout of its step, if there is any."""
        self._window.x[:] = x
        self._states = [state.layer(index) for index in range(len(self._arrays))]
        self._window.dropout = dropout

    def each_group(self, work) -> None:
        """Call work(worker, group) for the window's groups of batch rows."""
        self._team.run(work, self._groups)

    def _output(self, index: int) -> np.ndarray | None:
        """The output of layer ``index``: h, or what dropout leaves of it (Q, R, 64); None for layer -1."""
        if index < 0:
            return None
        layer = self._network.layers[index]
        return self._dropped[index] if self._drops(layer) else self._arrays[index][layer.output]

    def _drops(self, layer: Layer) -> bool:
        """Whether some of a layer's output is dropped in this step."""
        return self._window.dropout is not None and layer.drops_output

    def layers_forward(self, worker: int, group: Group) -> None:
        """All layers of a group."""
        batch = self._window.layout.batch
        for k, layer in enumerate(self._network.layers):
            layer.forward(self._window, self._arrays[k], self._output(k - 1), self._states[k], group)
            if self._drops(layer):
                self._window.dropout.drop((k,), self._arrays[k][layer.output], batch, group, self._dropped[k])

    def forward(self, worker: int, group: Group) -> None:
        """All layers and the logits of a group."""
        self.layers_forward(worker, group)
        self._network.lap(worker, "forward")
        self._network.head.forward(self._window, self._output(len(self._arrays) - 1), self.logits, group)

    def cross_entropy(self, y: np.ndarray, scale: float, regular: Regularisation, group: Group) -> None:
        """The losses of a group; where ``scale`` is not 0 its logits become their gradient."""
        self._network.head.losses(y, scale, regular, group, self.logits, self.losses)

    def backward(self, worker: int, group: Group, regular: Regularisation, scale: float) -> None:
        """Back through all layers, from a group's gradient of the logits. The loss was multiplied by ``scale``."""
        network, batch, top = self._network, self._window.layout.batch, len(self._network.layers) - 1
        network.head.backward(self._window, self.logits, self._dh, group)
        network.lap(worker, "output")
        for k in reversed(range(len(network.layers))):
            if self._drops(network.layers[k]):
                self._window.dropout.drop((k,), self._dh, batch, group, self._dh)
            if k == top:
                h = self._arrays[k][network.layers[k].output]
                regular.penalise_changes(h, scale / network.config.hidden, batch, group, self._dh)
            network.layers[k].backward(self._window, self._arrays[k], self._dh, group)
        network.lap(worker, "backward")

    def weight_gradients(self, elsewhere: Elsewhere | None) -> float:
        """The gradient of all parameters, after :meth:`backward` of all groups; returns the sum of the losses."""
        network, scratch, drops = self._network, self._space.scratch, self._window.dropout is not None
        window, layout = self._window, self._window.layout
        if drops not in self._gradient_calls:
            self._gradient_calls[drops] = self._calls_of_gradients()
        sort_places(window.x, layout.rows, layout.sum_bounds, *window.picked[:3])
        self._team.share_out(self._gradient_calls[drops], scratch)
        # NumPy adds the rows of an array one by one unless they lie together; so a copy, in which they always do.
        parts = (np.ascontiguousarray(self.losses[:, first:last]) for first, last in layout.sum_bounds)
        loss = float(tree_sum((part.sum(dtype=np.float64) for part in parts), len(layout.sum_bounds), operator.add))
        if elsewhere is not None:
            sums = [array for layer in network.layers for array in layer.partial_sums(window)]
            loss = elsewhere.add_up([network.gradient.flat, *sums], loss)
        for layer in network.layers:
            layer.finish_gradient(window, network.gradient, self._team, scratch)
        network.head.finish_gradient(network.gradient, self._team)
        return loss

    def _calls_of_gradients(self) -> list[Call]:
        network, window, gradient, calls = self._network, self._window, self._network.gradient, []
        threads = network.team.threads
        for k, layer in enumerate(network.layers):
            calls += layer.gradient_calls(window, self._arrays[k], self._output(k - 1), gradient, threads)
        top = self._output(len(network.layers) - 1)
        return calls + network.head.gradient_calls(window, top, self.logits, gradient, threads)


def _of_size(arrays: Mapping[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    """The first ``size`` rows of arrays (panels, R, columns)."""
    return {name: array[:, :size] for name, array in arrays.items()}


def _check_ids(x: np.ndarray, y: np.ndarray | None, vocabulary: int) -> None:
    for ids in (x, y):
        if ids is not None and (ids.dtype != np.int32 or not ids.flags.c_contiguous or ids.shape != x.shape):
            raise ConfigError("x and y must be C-contiguous int32 arrays of one shape (steps, batch rows)")
    if x.ndim != 2 or not x.size:
        raise ConfigError(f"a window has at least one step and one batch row, not the shape {x.shape}")
    if x.view(np.uint32).max() >= vocabulary:  # negative ids are large unsigned numbers
        raise ConfigError(f"ids must be from 0 to {vocabulary - 1}")
    if y is not None and y.max(initial=-1) >= vocabulary:
        raise ConfigError(f"targets must be below {vocabulary}")


def _check_state(state: State, layers: int, shapes: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in shapes.items():
        array = state.arrays.get(name)
        if array is None:
            raise ConfigError(f"the state {name} is missing")
        if array.shape != (layers, *shape):
            raise ConfigError(f"the state {name} has shape {array.shape}, which does not fit {shape[0]} batch rows")
        if array.dtype != np.float32 or not array.flags.carray:
            raise ConfigError("the state must be C-contiguous float32 arrays that can be written to")
