"""A layer of a Transformer, for :class:`charrnn.network.transformer_cell.TransformerCell`: attention and an MLP.

Legend: H columns in Q = ⌈H/64⌉ panels, N heads of d = H/N columns, C the context, F columns of the MLP, whole panels.

    x = x + drop(attention(norm(x) W_qkv) W_att)
    x = x + drop((silu(gate) ⊙ up) W_down)        gate, up = norm(x) W_up

(Vaswani et al. 2017; norms before, as Xiong et al. 2020; Zhang & Sennrich's 2019 norm; Shazeer's 2020 gate.)  The gains
of a norm are a part of the matrix behind it, see :mod:`charrnn.kernels.gains`.  Dropout falls where nanoGPT has it: on
characters' rows, on the probabilities of attention, and on both terms that are added to x.
"""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.kernels import attention_window as attention
from charrnn.kernels import rows, transformer
from charrnn.kernels.attention import Heads
from charrnn.kernels.attention_window import Cache, State, Work
from charrnn.kernels.gains import gain_gradient, scale_columns, scale_rows
from charrnn.kernels.key_cache import ring_panels
from charrnn.kernels.linear import linear
from charrnn.kernels.packing import Group, pack, pack_transposed
from charrnn.kernels.rms_norm import rms_norm, rms_norm_backward
from charrnn.kernels.rotation import TURN, angles
from charrnn.kernels.simd import WIDTH
from charrnn.kernels.tiles import PANEL
from charrnn.kernels.weight_gradients import row_gradient, weight_gradient
from charrnn.network.layers import Arrays, Call, Layer, Window
from charrnn.network.packed_weights import GainedMatrix, Matrix, as_rows, padded, panels
from charrnn.network.parameters import Parameters, aligned_zeros
from charrnn.network.regularisation import ATTENTION, EMBEDDING, MLP, NO_MASK, RESIDUAL
from charrnn.network.workspace import Layout, row_calls, weight_calls


class Transformer(Layer):
    """One layer; the first one looks the characters' rows up, the last one has a norm behind it."""

    drops_output = False
    kernels = (
        (attention.forward, linear, rms_norm, rows.look_up_rows, rows.add, rows.swiglu, pack, scale_rows),
        (
            attention.backward,
            weight_gradient,
            rms_norm_backward,
            rows.swiglu_backward,
            rows.copy,
            row_gradient,
            pack_transposed,
            scale_columns,
            gain_gradient,
        ),
    )

    def __init__(self, config: ModelConfig, index: int, heads: int, context: int, mlp: int):
        super().__init__(config, index)
        size = config.hidden // heads
        self.heads = Heads(heads, size, context, np.float32(1) / np.sqrt(np.float32(size)), angles(size))
        self.mlp, self.is_last = mlp, index == config.layers - 1
        self.deepest = max(config.hidden, mlp)
        self.output = "normed" if self.is_last else "h"
        last = (transformer.normalise_last,) if self.is_last else ()
        parts = (transformer.project, transformer.look_back, transformer.combine, transformer.widen, transformer.narrow)
        self.steps = parts + last

    def array_shapes(self, rows: int) -> dict[str, tuple[int, int, int]]:
        """The stream ``x`` (first layer), ``middle`` and ``h`` (Q, rows, 64), and what is between them.

        A norm's output is (Q, rows, 64), its scale (1, rows, 1); ``qkv`` (⌈3H/64⌉, rows, 64); ``gates`` (2F/64, rows,
        64) and ``gated`` (F/64, rows, 64); ``tops`` and ``masses`` of the softmax (1, rows, N).
        """
        width, mlp = panels(self.config.hidden), self.mlp // PANEL
        narrow, one = (width, rows, PANEL), (1, rows, 1)
        shapes = {
            **dict.fromkeys(("norm", "attended", "middle", "middle_norm", "h", "dattention", "dmlp"), narrow),
            "qkv": (panels(3 * self.config.hidden), rows, PANEL),
            "gates": (2 * mlp, rows, PANEL),
            "gated": (mlp, rows, PANEL),
            **dict.fromkeys(("tops", "masses"), (1, rows, self.heads.number)),
            **dict.fromkeys(("scale", "middle_scale"), one),
        }
        if not self.index:
            shapes |= {"x": narrow, "dx": narrow}
        if self.is_last:
            shapes |= {"normed": narrow, "last_scale": one}
        return shapes

    def _ring_shapes(self, positions: int, batch: int) -> dict[str, tuple[int, ...]]:
        number, size = self.heads.number, self.heads.size
        ring = number * ring_panels(positions)
        return {"keys": (batch, ring * size, PANEL), "values": (batch, ring * panels(size) * PANEL, PANEL)}

    def cache_shapes(self, steps: int, batch: int) -> dict[str, tuple[int, ...]]:
        """The arrays of :class:`charrnn.kernels.attention_window.Cache` that have no rows."""
        scratch = attention.forward_floats(steps, self.heads.size)
        rings = self._ring_shapes(self.heads.context + steps, batch)
        return rings | {"starts": (batch, 1), "scratch": (batch, scratch)}

    def scratch_shapes(self, steps: int, batch: int) -> dict[str, tuple[int, ...]]:
        """Gradients inside of a layer, ``dwide`` (F/64, R, 64) and ``dnarrow`` (Q, R, 64); ``attention_back`` (B, …).

        For the first layer also ``dtable`` (Q, V, 64), the gradient of the embedding.
        """
        rows = batch * (steps + 1)
        shapes = {
            "dwide": (self.mlp // PANEL, rows, PANEL),
            "dnarrow": (panels(self.config.hidden), rows, PANEL),
            "attention_back": (batch, attention.backward_floats(steps, self.heads.size)),
        }
        if not self.index:
            shapes["dtable"] = (panels(self.config.hidden), self.config.vocabulary, PANEL)
        return shapes

    # ---- weights

    def bind(self, parameters: Parameters) -> None:
        """Make room for the packed weights of these parameters."""
        k = self.index
        self.embedding = None if k else parameters["embedding"]
        self.table = None if k else aligned_zeros(*parameters["embedding"].shape)
        self.qkv = GainedMatrix(parameters[f"w_qkv_l{k}"], parameters[f"g_att_l{k}"])
        self.combined = Matrix(parameters[f"w_att_l{k}"])
        self.up = GainedMatrix(parameters[f"w_up_l{k}"], parameters[f"g_mlp_l{k}"])
        self.down = Matrix(parameters[f"w_down_l{k}"])
        self.matrices = (self.qkv, self.combined, self.up, self.down)
        self._no_bias = aligned_zeros(max(padded(3 * self.config.hidden), 2 * self.mlp))

    def packing(self, training: bool) -> list[Call]:
        """Calls that pack the matrices, and copy the characters' rows."""
        calls = [call for matrix in self.matrices for call in matrix.packing(training)]
        return calls if self.table is None else [*calls, (np.copyto, (self.table, self.embedding))]

    @property
    def nbytes(self) -> int:
        """Bytes of the packed weights."""
        return sum(matrix.nbytes for matrix in self.matrices) + (0 if self.table is None else self.table.nbytes)

    # ---- a window

    def _multiply(self, x: np.ndarray, packed: np.ndarray, columns: int, span: tuple[int, int], y: np.ndarray) -> None:
        """Rows ``span`` of y = x W, for W packed with ``columns`` columns."""
        linear(x, packed, self._no_bias[: padded(columns)], *span, y)

    def forward(self, window: Window, arrays: Arrays, below: np.ndarray | None, state: Arrays, group: Group) -> None:
        """Fill all arrays."""
        hidden, wide, span = self.config.hidden, padded(self.config.hidden), window.layout.of_group(group)
        x = arrays["x"] if below is None else below
        if below is None:
            rows.look_up_rows(self.table, window.x, group, x)
            self._drop(window, EMBEDDING, group, x)
        rms_norm(x, hidden, *span, arrays["norm"], arrays["scale"])
        self._multiply(arrays["norm"], self.qkv.forward, 3 * hidden, span, arrays["qkv"])
        states = State(state["k"], state["v"], state["position"])
        cache, mask = self._cache(arrays), self._mask(window)
        attention.forward(arrays["qkv"], self.heads, group, states, mask, cache, arrays["attended"])
        self._multiply(arrays["attended"], self.combined.forward, wide, span, arrays["middle"])
        self._drop(window, RESIDUAL, group, arrays["middle"])
        rows.add(x, arrays["middle"], *span, arrays["middle"])
        rms_norm(arrays["middle"], hidden, *span, arrays["middle_norm"], arrays["middle_scale"])
        self._multiply(arrays["middle_norm"], self.up.forward, 2 * self.mlp, span, arrays["gates"])
        rows.swiglu(arrays["gates"], *span, arrays["gated"])
        self._multiply(arrays["gated"], self.down.forward, wide, span, arrays["h"])
        self._drop(window, MLP, group, arrays["h"])
        rows.add(arrays["middle"], arrays["h"], *span, arrays["h"])
        if self.is_last:
            rms_norm(arrays["h"], hidden, *span, arrays["normed"], arrays["last_scale"])

    def backward(self, window: Window, arrays: Arrays, dh: np.ndarray, group: Group) -> None:
        """qkv and gates become their gradients; dattention, dmlp and dx are what the weights' gradients need."""
        hidden, wide, span = self.config.hidden, padded(self.config.hidden), window.layout.of_group(group)
        dnarrow, dwide = (window.scratch[name][:, : window.layout.size] for name in ("dnarrow", "dwide"))
        if self.is_last:
            rows.copy(dh, *span, dnarrow)
            dh[:, span[0] : span[1]] = 0
            rms_norm_backward(arrays["normed"], arrays["last_scale"], dnarrow, hidden, *span, dh)
        rows.copy(dh, *span, arrays["dmlp"])
        self._drop(window, MLP, group, arrays["dmlp"])
        self._multiply(arrays["dmlp"], self.down.transposed, self.mlp, span, dwide)
        rows.swiglu_backward(dwide, *span, arrays["gates"])
        self._multiply(arrays["gates"], self.up.transposed, wide, span, dnarrow)
        rms_norm_backward(arrays["middle_norm"], arrays["middle_scale"], dnarrow, hidden, *span, dh)
        rows.copy(dh, *span, arrays["dattention"])
        self._drop(window, RESIDUAL, group, arrays["dattention"])
        self._multiply(arrays["dattention"], self.combined.transposed, wide, span, dnarrow)
        work = Work(window.scratch["attention_back"], attention.PLACES)
        cache, mask = self._cache(arrays), self._mask(window)
        attention.backward(arrays["qkv"], self.heads, group, mask, cache, arrays["attended"], dnarrow, work)
        self._multiply(arrays["qkv"], self.qkv.transposed, wide, span, dnarrow)
        rms_norm_backward(arrays["norm"], arrays["scale"], dnarrow, hidden, *span, dh)
        if not self.index:
            rows.copy(dh, *span, arrays["dx"])
            self._drop(window, EMBEDDING, group, arrays["dx"])

    @staticmethod
    def _cache(arrays: Arrays) -> Cache:
        return Cache(*(arrays[name] for name in Cache._fields))

    def _mask(self, window: Window):
        """The mask of the attention's probabilities."""
        return NO_MASK if window.dropout is None else window.dropout.mask(window.layout.batch, self.index, ATTENTION)

    def _drop(self, window: Window, place: int, group: Group, values: np.ndarray) -> None:
        """Drop some of the values of a group, in place."""
        if window.dropout is not None:
            window.dropout.drop((self.index, place), values, window.layout.batch, group, values)

    def gradient_calls(self, window, arrays, below, gradient, threads) -> list[Call]:
        """Calls that make the gradients of the matrices and of the embedding."""
        k, portions = self.index, window.layout.portions
        calls = []
        for name, x, dy in [
            ("w_qkv", "norm", "qkv"),
            ("w_att", "attended", "dattention"),
            ("w_up", "middle_norm", "gates"),
            ("w_down", "gated", "dmlp"),
        ]:
            calls += weight_calls(arrays[x], arrays[dy], portions, gradient[f"{name}_l{k}"], None, threads)
        if not k:
            dtable, picked = window.scratch["dtable"], gradient["embedding"]
            calls += row_calls(window.picked, arrays["dx"], dtable, picked, threads)
        return calls

    def finish_gradient(self, window, gradient, team, scratch) -> None:
        """The gradients of the gains."""
        k = self.index
        self.qkv.finish_gradient(team, gradient[f"w_qkv_l{k}"], gradient[f"g_att_l{k}"])
        self.up.finish_gradient(team, gradient[f"w_up_l{k}"], gradient[f"g_mlp_l{k}"])

    # ---- looking inside

    def signal(self, arrays: Arrays, name: str) -> np.ndarray:
        """h, the stream behind the layer."""
        found = as_rows(arrays[name], padded(self.config.hidden))
        return found.reshape(len(found), -1, WIDTH)

    def attention_weights(self, arrays: Arrays, layout: Layout) -> np.ndarray:
        """The weights (T, B, N, C) of the heads; column j belongs to the key j places back.

        The queries and keys are those of the kernels; their products and the softmax are made again.
        """
        number, size, context, scale, _ = self.heads
        steps, batch, hidden = layout.steps, layout.batch, self.config.hidden
        queries = as_rows(arrays["qkv"], hidden)[layout.rows].reshape(steps, batch, number, size)
        ring = arrays["keys"].reshape(batch, number, -1, size, PANEL)
        weights = np.empty((steps, batch, number, context), np.float32)
        for b in range(batch):
            start = int(arrays["starts"][b, 0])
            rotated = self._rotate(queries[:, b], start + np.arange(steps)).transpose(1, 0, 2)
            places = start + np.arange(1 - context, steps)
            keys = ring[b][:, places // PANEL % ring.shape[2], :, places % PANEL]  # (C + T - 1, N, d)
            scores = np.where(places < 0, np.float32(-np.inf), rotated @ keys.transpose(1, 2, 0) * scale)
            # Of the query of step t, the key j places back is in column t + C - 1 - j.
            head, row, column = scores.strides
            strides = head, row + column, -column
            seen = np.lib.stride_tricks.as_strided(scores[:, :, context - 1 :], (number, steps, context), strides)
            found = np.exp(seen - seen.max(axis=2, keepdims=True))
            weights[:, b] = (found / found.sum(axis=2, keepdims=True)).transpose(1, 0, 2)
        return weights

    def _rotate(self, queries: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Queries (T, N, d), turned by the angles of their ``positions`` (T,)."""
        half = self.heads.size // 2
        turns = positions[:, None] * self.heads.thetas[:half].astype(np.int64) % TURN / TURN
        cosine, sine = (wave(2 * np.pi * turns)[:, None].astype(np.float32) for wave in (np.cos, np.sin))
        first, second, rest = np.split(queries, [half, 2 * half], axis=2)
        return np.concatenate([first * cosine - second * sine, second * cosine + first * sine, rest], axis=2)

    def preactivation_gradient(self, arrays: Arrays) -> np.ndarray:
        """The gradient of queries, keys and values (R, 3H)."""
        return as_rows(arrays["qkv"], 3 * self.config.hidden)

    # ---- one step for a few streams of text

    def begin_steps(self, streams: int, state: Arrays) -> dict[str, np.ndarray]:
        """Rows, and rings of the context alone, with the state's keys and values."""
        number, size, context, *_ = self.heads
        arrays = {name: aligned_zeros(*shape) for name, shape in self.array_shapes(2 * streams).items()}
        arrays |= {name: aligned_zeros(*shape) for name, shape in self._ring_shapes(context, streams).items()}
        position = int(state["position"][0, 0])
        arrays["positions"] = np.full(streams, position, np.int64)
        arrays["step_scratch"] = aligned_zeros(streams * number, transformer.step_floats(size))
        ring = ring_panels(context)
        keys = arrays["keys"].reshape(streams, number, ring, size, PANEL)
        values = arrays["values"].reshape(streams, number, ring, panels(size), PANEL, PANEL)
        for back in range(1, min(position, context) + 1):
            place = position - back
            panel, slot = place // PANEL % ring, place % PANEL
            keys[:, :, panel, :, slot] = state["k"][0, context - back].reshape(number, size)
            row = np.zeros((number, panels(size) * PANEL), np.float32)
            row[:, :size] = state["v"][0, context - back].reshape(number, size)
            values[:, :, panel, :, slot] = row.reshape(number, panels(size), PANEL)
        return arrays

    def step_arguments(self, arrays: Arrays, below: np.ndarray | None) -> tuple[int, ...]:
        """The fields of :class:`charrnn.kernels.transformer.Layer`."""
        x = arrays["x"] if below is None else below
        addresses = {
            "embedding_at": self.table,
            "x_at": x,
            "norm_at": arrays["norm"],
            "qkv_at": arrays["qkv"],
            "attended_at": arrays["attended"],
            "middle_at": arrays["middle"],
            "middle_norm_at": arrays["middle_norm"],
            "gates_at": arrays["gates"],
            "gated_at": arrays["gated"],
            "h_at": arrays["h"],
            "normed_at": arrays.get("normed"),
            "w_qkv_at": self.qkv.forward,
            "w_att_at": self.combined.forward,
            "w_up_at": self.up.forward,
            "w_down_at": self.down.forward,
            "thetas_at": self.heads.thetas,
            "positions_at": arrays["positions"],
            "keys_at": arrays["keys"],
            "values_at": arrays["values"],
            "scratch_at": arrays["step_scratch"],
        }
        return transformer.Layer(
            panel=x.strides[0] // 4,
            width=self.config.hidden,
            mlp_panels=self.mlp // PANEL,
            heads=self.heads.number,
            context=self.heads.context,
            pairs=len(self.heads.thetas),
            ring_panels=ring_panels(self.heads.context),
            keys_stride=arrays["keys"].strides[0],
            values_stride=arrays["values"].strides[0],
            scratch_stride=arrays["step_scratch"].strides[0],
            **{name: 0 if array is None else array.ctypes.data for name, array in addresses.items()},
        )
