"""The Transformer as a kind of cell: its sizes, parameters, starting values and state.

Legend: V vocabulary, H columns of the residual stream, F columns of the MLP, C the context, L layers.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import ConfigError, ContradictionError
from charrnn.network.cell import Cell, Signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import numpy as np

    from charrnn.network.layers import Layer


class TransformerCell(Cell):
    """A decoder-only Transformer: see :mod:`charrnn.network.transformer` for its equations.

    The first layer has ``embedding`` (V, H) besides.  Layer k has the gains ``g_att_l{k}`` (H,) and ``g_mlp_l{k}``
    (H,), ``w_qkv_l{k}`` (H, 3H) with queries, keys and values of all heads, ``w_att_l{k}`` (H, H), ``w_up_l{k}``
    (H, 2F) with gates first, and ``w_down_l{k}`` (F, H).  The last layer has the gains ``g_out`` (H,) besides.

    The state has the keys ``k`` (B, C, H), rotated, and the values ``v`` (B, C, H) of the last C characters, the last
    one at the end, and the ``position`` (B, 1) of the next one.
    """

    name, title, torch_module = "transformer", "Transformer", "transformer"
    signals = (Signal("h", "tanh(h), the stream behind the layer", -1, unbounded=True),)
    gates = ()
    state, clamped = ("k", "v", "position"), "h"
    first_weights, first_logits = math.sqrt(3), 0.5
    unused = ("embedding", "variational", "recurrent_dropout", "tar", "forget_bias")
    slow = ("g_att", "w_qkv", "w_att", "g_mlp", "w_up", "w_down")
    torch_parameters: ClassVar = {
        name: (name,) for name in ("g_att", "w_qkv", "w_att", "g_mlp", "w_up", "w_down", "g_out")
    }
    HEADS, CONTEXT = 4, 64  # unless the settings say otherwise
    LAST_POSITION = 2**24  # as in charrnn.kernels.attention_window

    @property
    def features(self) -> tuple[str, ...]:
        """The stream."""
        return ("h",)

    def heads(self, config: ModelConfig) -> int:
        """How many heads: 4, or as many as divide the width."""
        if config.heads is not None:
            return config.heads
        return next(heads for heads in range(self.HEADS, 0, -1) if config.hidden % heads == 0)

    def warm_up(self, config: ModelConfig) -> int:
        """What every layer can see, one behind the other: exactly so many characters."""
        return max(self.WARM_UP, config.layers * self.context(config))

    def context(self, config: ModelConfig) -> int:
        """How many characters a head looks at."""
        return self.CONTEXT if config.context is None else config.context

    @staticmethod
    def mlp(config: ModelConfig) -> int:
        """F: 8H/3, so that three matrices have as many weights as the usual two of 4H; in whole panels."""
        return -(-8 * config.hidden // (3 * 64)) * 64

    def check(self, config: ModelConfig | TrainConfig) -> None:
        """Refuse heads that do not divide the width, too."""
        super().check(config)
        if isinstance(config, ModelConfig) and config.hidden % self.heads(config):
            near = [heads for heads in range(1, config.hidden + 1) if config.hidden % heads == 0]
            near.sort(key=lambda heads: abs(heads - config.heads))
            raise ContradictionError(
                f"{{heads}} {config.heads} do not divide {{hidden}} {config.hidden}: "
                f"{' or '.join(map(str, sorted(near[:2])))} would"
            )

    def completed(self, config: ModelConfig, steps: int | None = None) -> ModelConfig:
        """With heads and context, so that a checkpoint says what they are; a window is the usual context."""
        context = self.context(config) if config.context or steps is None else max(2, steps)
        return replace(config, heads=self.heads(config), context=context)

    def check_state(self, state: "Mapping[str, np.ndarray]") -> None:
        """Refuse positions that are not whole numbers from 0 to 2²⁴ - 1."""
        position = state["position"]
        if (position % 1).any() or position.min() < 0 or position.max() >= self.LAST_POSITION:
            raise ConfigError(
                f"the state has positions that are not whole numbers from 0 to {self.LAST_POSITION - 1:,}"
            )

    def layer(self, config: ModelConfig, index: int) -> "Layer":
        """Layer ``index`` of a network, as it computes."""
        from charrnn.network.transformer import Transformer

        return Transformer(config, index, self.heads(config), self.context(config), self.mlp(config))

    def parameter_shapes(self, config: ModelConfig, index: int) -> dict[str, tuple[int, ...]]:
        """Gains and matrices of the layer; the first one has the embedding, the last one the gains of the last norm."""
        hidden, mlp = config.hidden, self.mlp(config)
        shapes: dict[str, tuple[int, ...]] = {} if index else {"embedding": (config.vocabulary, hidden)}
        shapes |= {
            f"g_att_l{index}": (hidden,),
            f"w_qkv_l{index}": (hidden, 3 * hidden),
            f"w_att_l{index}": (hidden, hidden),
            f"g_mlp_l{index}": (hidden,),
            f"w_up_l{index}": (hidden, 2 * mlp),
            f"w_down_l{index}": (mlp, hidden),
        }
        return shapes | ({"g_out": (hidden,)} if index == config.layers - 1 else {})

    def initialise(self, parameters, index, uniform, generator, forget_bias) -> None:
        """Uniform weights; an embedding that is standard normal, and gains of 1."""
        if not index:
            embedding = parameters["embedding"]
            embedding[:] = generator.standard_normal(embedding.shape, "float32")
        for name, parts in (("w_qkv", 3), ("w_att", 1), ("w_up", 2), ("w_down", 1)):
            uniform(f"{name}_l{index}", parameters[f"{name}_l{index}"].shape[1] // parts)
        for name in (f"g_att_l{index}", f"g_mlp_l{index}", "g_out"):
            if name in parameters:
                parameters[name][:] = 1

    def state_shapes(self, config: ModelConfig, batch: int) -> dict[str, tuple[int, ...]]:
        """Keys, values and position."""
        kept = (batch, self.context(config), config.hidden)
        return {"k": kept, "v": kept, "position": (batch, 1)}

    def clamp(self, parameters, index, unit, value) -> dict[str, float]:
        """Hold a column of the stream behind this layer: it has the value from the embedding on."""
        parameters["embedding"][:, unit] = value
        for layer in range(index + 1):
            parameters[f"w_att_l{layer}"][:, unit] = 0
            parameters[f"w_down_l{layer}"][:, unit] = 0
        return {}

    def silence_head(self, parameters, config: ModelConfig, index: int, head: int) -> None:
        """Zero the rows of ``w_att`` that read the head's sum of values."""
        size = config.hidden // self.heads(config)
        parameters[f"w_att_l{index}"][head * size : (head + 1) * size] = 0

    def multiply_adds(self, config: ModelConfig, index: int) -> int:
        """The products with the four matrices, and attention to (C + 1) / 2 characters.

        That is the mean in a window of C characters that begins with an empty state.  With a carried state it is C.
        """
        hidden = config.hidden
        return 4 * hidden * hidden + 3 * hidden * self.mlp(config) + hidden * (self.context(config) + 1)
