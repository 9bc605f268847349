"""What a layer of a network is: the interface that every kind of layer has, and a window that layers work on.

Legend: T steps, B batch rows, H hidden units, Q = ⌈H/64⌉ panels, R rows of a window's arrays, in the order of a
:class:`charrnn.network.workspace.Layout`.

The network asks a layer for the shapes of its arrays, makes them, and hands them back with every call.  All arrays have
rows for their second axis, (panels, R, columns), and hold the columns of a row panel by panel.  Two rules connect a
layer with the rest of the network:

- the array ``output`` (Q, R, 64), most layers' ``h``, is what the layer tells the next one, zero from column H on; the
  next layer gets it in this form, as ``below``;
- unless the layer says otherwise (:meth:`Layer.begin_steps`), each name of the cell's state is the name of an array
  whose rows begin, in each group, with the incoming state.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.config import ModelConfig
from charrnn.kernels.packing import Group
from charrnn.kernels.weight_gradients import Picked
from charrnn.network.parameters import Parameters, aligned_zeros
from charrnn.network.regularisation import Regularisation
from charrnn.network.workspace import Layout

Arrays = Mapping[str, np.ndarray]
Call = tuple[Any, tuple]
"""A kernel and its arguments, for :meth:`charrnn.system.threads.Team.share_out`."""


@dataclass
class Window:
    """Characters ``x`` (T, B) int32 to read, the rows of their places, and by name the arrays that layers share.

    ``picked`` are the places sorted by their characters, once the backward pass is done.  ``dropout`` is the dropout of
    a training step, if there is any.
    """

    x: np.ndarray
    layout: Layout
    scratch: Arrays
    picked: Picked
    dropout: Regularisation | None = None


class Layer(ABC):
    """Layer ``index`` of a network.

    The weights are packed before they are used (:meth:`packing`), once for every update of the parameters.
    """

    output = "h"
    drops_output = True  # the network drops some of the output; False for a layer that has its own dropout

    def __init__(self, config: ModelConfig, index: int):
        self.config, self.index = config, index
        self.deepest = config.hidden  # the most rows of a weight matrix that :meth:`gradient_calls` has a gradient of

    # ---- arrays and weights

    @abstractmethod
    def array_shapes(self, rows: int) -> dict[str, tuple[int, int, int]]:
        """The layer's arrays by name, ``output`` among them: (panels, rows, columns)."""

    def cache_shapes(self, steps: int, batch: int) -> dict[str, tuple[int, ...]]:
        """The layer's further arrays by name, whose axes have nothing to do with rows."""
        return {}

    @abstractmethod
    def scratch_shapes(self, steps: int, batch: int) -> dict[str, tuple[int, ...]]:
        """Further arrays that :meth:`backward` and the gradients need; layers that name the same array share it."""

    @abstractmethod
    def bind(self, parameters: Parameters) -> None:
        """Take over the network's parameters, and make room for packed weights."""

    @abstractmethod
    def packing(self, training: bool) -> list[Call]:
        """Calls that pack the parameters, with the transposes that only the backward pass needs if ``training``."""

    def finish_packing(self) -> None:  # noqa: B027, most layers have nothing to do here
        """Finish the packing, after all calls of :meth:`packing` are done."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of the packed weights."""

    @property
    @abstractmethod
    def kernels(self) -> tuple[tuple, tuple]:
        """The kernels of the forward pass, and those of the backward pass."""

    # ---- a window

    @abstractmethod
    def forward(self, window: Window, arrays: Arrays, below: np.ndarray | None, state: Arrays, group: Group) -> None:
        """All steps of a group of batch rows: ``arrays`` are filled, and ``state``, (B, …) by name, moves on.

        ``below`` (Q, R, 64) is the output of the layer below; None for the first layer, which reads ``window.x``.
        """

    @abstractmethod
    def backward(self, window: Window, arrays: Arrays, dh: np.ndarray, group: Group) -> None:
        """Back through the steps of a group.

        ``dh`` (Q, R, 64) comes in as the gradient of the loss with respect to the output through the layer above; it
        becomes the gradient with respect to the output of the layer below.
        """

    @abstractmethod
    def gradient_calls(
        self, window: Window, arrays: Arrays, below: np.ndarray | None, gradient: Parameters, threads: int
    ) -> list[Call]:
        """Calls that make the gradient of the layer's parameters, after :meth:`backward` of all groups."""

    def partial_sums(self, window: Window) -> list[np.ndarray]:
        """What :meth:`finish_gradient` reads beside the gradient: sums over batch rows, in arrays of float32.

        Each array is contiguous.  If the batch rows belong to several processes, their sums are added first.
        """
        return []

    def finish_gradient(self, window: Window, gradient: Parameters, team, scratch: list[np.ndarray]) -> None:  # noqa: B027
        """Finish the gradient, after all calls of :meth:`gradient_calls` are done."""

    # ---- looking inside

    @abstractmethod
    def signal(self, arrays: Arrays, name: str) -> np.ndarray:
        """A signal of the cell in blocks of units (R, ⌈H/16⌉, 16), a view or a copy.

        Values from unit H on are padding.
        """

    @abstractmethod
    def preactivation_gradient(self, arrays: Arrays) -> np.ndarray:
        """After :meth:`backward`: the gradient with respect to the inputs of the cell's nonlinearities (R, …)."""

    def attention_weights(self, arrays: Arrays, layout: Layout) -> np.ndarray:
        """After :meth:`forward`: what N heads looked at, (T, B, N, C) float32; no heads in most layers.

        Column j is the weight of the character j places back.
        """
        return np.zeros((layout.steps, layout.batch, 0, 0), np.float32)

    # ---- one step for a few streams of text

    steps: tuple
    """Kernels with the signature :data:`charrnn.kernels.step.STEP`: one after the other they read a character, with the
    bits of :meth:`forward`.  All threads have ended a kernel before the next one begins."""

    @abstractmethod
    def step_arguments(self, arrays: Arrays, below: np.ndarray | None) -> tuple[int, ...]:
        """The steps' arguments, the same for all of them.

        ``arrays`` are those of :meth:`begin_steps`; ``below`` is the output of the layer below.
        """

    def begin_steps(self, streams: int, state: Arrays) -> dict[str, np.ndarray]:
        """Arrays for the steps of ``streams`` texts, which all begin with the ``state`` of one, (1, …) by name.

        Arrays of rows have two rows for every stream: the state before a character and what follows from it, in turn.
        """
        arrays = {name: aligned_zeros(*shape) for name, shape in self.array_shapes(2 * streams).items()}
        for name, values in state.items():
            panels, _, columns = arrays[name].shape
            row = np.zeros(panels * columns, np.float32)
            row[: values.shape[1]] = values[0]
            arrays[name][:, :streams] = row.reshape(panels, 1, columns)
        return arrays
