"""The output layer: logits of the next character, their loss, and their gradient."""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.kernels.cross_entropy import cross_entropy
from charrnn.kernels.linear import Head as Arguments
from charrnn.kernels.linear import linear, linear_step
from charrnn.kernels.packing import PLAIN, Group, pack, pack_bias, pack_transposed
from charrnn.kernels.weight_gradients import weight_gradient
from charrnn.network.layers import Call, Window
from charrnn.network.packed_weights import GainedMatrix, Matrix, padded
from charrnn.network.parameters import Parameters, aligned_zeros
from charrnn.network.regularisation import Regularisation
from charrnn.network.workspace import weight_calls


class Head:
    """logits = h W_out + b_out, for V characters padded to Vp; padded logits are -inf.

    If the network has a last norm, whose gains are ``g_out``, h is normalised, and W_out is multiplied by the gains.
    """

    kernels = ((linear, cross_entropy, pack, pack_bias), (pack_transposed, weight_gradient))
    steps = (linear_step,)

    def __init__(self, config: ModelConfig, parameters: Parameters):
        self.vocabulary = config.vocabulary
        self.is_gained = "g_out" in parameters
        if self.is_gained:
            self.matrix: Matrix = GainedMatrix(parameters["w_out"], parameters["g_out"])
        else:
            self.matrix = Matrix(parameters["w_out"])
        self.bias, self.packed_bias = parameters["b_out"], aligned_zeros(padded(config.vocabulary))
        self.packed_bias[config.vocabulary :] = -np.inf
        self._no_bias = aligned_zeros(padded(config.hidden))

    def packing(self, training: bool) -> list[Call]:
        """Calls that pack the matrix and the bias."""
        return [*self.matrix.packing(training), (pack_bias, (self.bias, PLAIN, self.packed_bias))]

    @property
    def nbytes(self) -> int:
        """Bytes of the packed weights."""
        return self.matrix.nbytes + self.packed_bias.nbytes

    def forward(self, window: Window, h: np.ndarray, logits: np.ndarray, group: Group) -> None:
        """Logits (⌈V/64⌉, R, 64) of the top layer's output h (Q, R, 64)."""
        linear(h, self.matrix.forward, self.packed_bias, *window.layout.of_group(group), logits)

    def losses(self, y, scale: float, regular: Regularisation, group: Group, logits, losses: np.ndarray) -> None:
        """losses (T, B) of targets y; if ``scale`` is not 0, logits become their gradient times ``scale``.

        ``regular`` has the smoothing and the soft targets for the gradient.
        """
        smoothing, soft = np.float32(regular.label_smoothing), regular.soft
        cross_entropy(y, np.float32(scale), smoothing, soft, self.vocabulary, group, logits, losses)

    def backward(self, window: Window, dlogits: np.ndarray, dh: np.ndarray, group: Group) -> None:
        """dh (Q, R, 64) from the gradient of the logits."""
        linear(dlogits, self.matrix.transposed, self._no_bias, *window.layout.of_group(group), dh)

    def gradient_calls(self, window: Window, h, dlogits, gradient: Parameters, threads: int) -> list[Call]:
        """Calls that make the gradient of W_out and b_out."""
        w_out, b_out = gradient["w_out"], gradient["b_out"]
        return weight_calls(h, dlogits, window.layout.portions, w_out, b_out, threads)

    def finish_gradient(self, gradient: Parameters, team) -> None:
        """The gradient of the gains, after the calls of :meth:`gradient_calls`."""
        if self.is_gained:
            self.matrix.finish_gradient(team, gradient["w_out"], gradient["g_out"])

    def step_arguments(self, h: np.ndarray, logits: np.ndarray) -> tuple[int, ...]:
        """The step's arguments: from the top layer's output h (Q, 2 B, 64) to logits (B, Vp)."""
        w, bias = self.matrix.forward, self.packed_bias
        return Arguments(
            x_at=h.ctypes.data,
            x_panel=h.strides[0] // 4,
            w_at=w.ctypes.data,
            panels=w.shape[0],
            depth=w.shape[1],
            bias_at=bias.ctypes.data,
            logits_at=logits.ctypes.data,
            width=logits.shape[1],
        )
