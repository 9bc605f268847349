"""The equations of the Transformer, forward and back, for one step of one layer.

Legend: H columns in N heads of d = H/N columns; F columns of the MLP; S characters that the heads see.  x is the stream
that the layer reads.  The state is the list of the keys and of the values of all characters before.

    n = norm(x)     q, k, v = n W_q, n W_k, n W_v
    a = softmax(q · k / √d) v, for each head          k turned by the distance of its character
    x′ = x + a W_att
    m = norm(x′)    h = x′ + (silu(m W_gate) ⊙ m W_up) W_down

norm(x) = x / √(mean of x²) ⊙ gain, and a last norm is behind the last layer.  Sources and dropout are in
:mod:`charrnn.network.transformer`.  There queries and keys are both turned, each by its own position (Su et al. 2021);
the product depends on the distance alone, so here only the keys are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.config import ModelConfig
from charrnn.explanation.equations import Equations, Say, State, Values, sigmoid, softmax

EPSILON = 1e-5  # added to the mean of squares in a norm
BASE, TURN = 10_000.0, 2**23  # angles of the columns' pairs fall from 1 to 1/BASE, in multiples of 2π / TURN


@dataclass(frozen=True)
class Weights:
    """The weights of a layer, float64: gains (H,), matrices (H, H), (H, F) and (F, H); ``g_out`` of the last layer."""

    g_att: np.ndarray
    w_q: np.ndarray
    w_k: np.ndarray
    w_v: np.ndarray
    w_att: np.ndarray
    g_mlp: np.ndarray
    w_gate: np.ndarray
    w_up: np.ndarray
    w_down: np.ndarray
    g_out: np.ndarray | None
    heads: int
    context: int


def unit(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x divided by the root of its mean square, and that root (…, 1)."""
    root = np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPSILON)
    return x / root, root


def norm(x: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """x divided by the root of its mean square, times the gain (Zhang & Sennrich 2019, equation 4)."""
    return unit(x)[0] * gain


def back_norm(dnormed: np.ndarray, gain: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The gradient of x from that of norm(x)."""
    (u, root), du = unit(x), dnormed * gain
    return (du - u * (du * u).mean(axis=-1, keepdims=True)) / root


def turn(keys: np.ndarray, back: bool = False) -> np.ndarray:
    """Keys (…, S, N, d), the newest last, turned by their distances from it; ``back`` turns the other way.

    Columns i and i + ⌊d/2⌋ are a pair that turns by an angle of BASE^(-2i/d) for each character.
    """
    seen, pairs = keys.shape[-3], keys.shape[-1] // 2
    angles = np.round(BASE ** (-2 * np.arange(pairs) / keys.shape[-1]) * TURN / (2 * np.pi)).astype(np.int64)
    distances = np.arange(seen)[::-1, None] if back else -np.arange(seen)[::-1, None]
    radians = distances * angles % TURN * (2 * np.pi / TURN)
    cosine, sine = np.cos(radians)[:, None], np.sin(radians)[:, None]
    first, second, rest = np.split(keys, [pairs, 2 * pairs], axis=-1)
    return np.concatenate([first * cosine - second * sine, first * sine + second * cosine, rest], axis=-1)


class Transformer(Equations):
    """A decoder-only Transformer with norms before, rotary positions and a gated MLP."""

    def layers(self, config: ModelConfig, parameters: Values) -> list[Weights]:
        """The weights of each layer; a config without heads or context is not complete."""
        found = []
        for layer in range(config.layers):
            g_att, qkv, w_att, g_mlp, up, w_down = (
                parameters[f"{name}_l{layer}"] for name in ("g_att", "w_qkv", "w_att", "g_mlp", "w_up", "w_down")
            )
            g_out = parameters["g_out"] if layer == config.layers - 1 else None
            matrices = (g_att, *np.split(qkv, 3, axis=1), w_att, g_mlp, *np.split(up, 2, axis=1), w_down, g_out)
            found.append(Weights(*matrices, config.heads, config.context))
        return found

    def begin(self, config: ModelConfig, texts: tuple[int, ...] = ()) -> State:
        """No keys, and no values."""
        return {"k": [], "v": []}

    def forward(self, weights: Weights, x: np.ndarray, before: State, say: Say) -> tuple[np.ndarray, State]:
        """The stream behind the layer, or behind the last norm, and the state with the key and value of x."""
        x = say("x", x)
        n = say("n", norm(x, weights.g_att))
        q, k, v = say("q", n @ weights.w_q), say("k", n @ weights.w_k), say("v", n @ weights.w_v)
        after = {"k": [*before["k"], k], "v": [*before["v"], v]}
        keys, values = (self._seen(after[name], weights) for name in ("k", "v"))
        scores = np.einsum("...nd,...snd->...ns", self._by_head(q, weights), turn(keys)) / np.sqrt(keys.shape[-1])
        shares = say("weights", softmax(say("scores", scores)))
        a = say("a", np.einsum("...ns,...snd->...nd", shares, values).reshape(x.shape))
        middle = say("middle", x + say("added", a @ say("w_att", weights.w_att)))
        m = say("m", norm(middle, weights.g_mlp))
        gate, up = say("gate", m @ weights.w_gate), say("up", m @ weights.w_up)
        gated = say("gated", gate * sigmoid(gate) * up)
        h = say("h", middle + say("mlp", gated @ weights.w_down))
        return h if weights.g_out is None else say("normed", norm(h, weights.g_out)), after

    def back(self, weights, v, before, doutput, later) -> tuple[Values, np.ndarray, State]:
        """All gradients; a key and a value are read in this step and in later ones."""
        d: Values = {}
        dh = doutput
        if weights.g_out is not None:
            d["normed"] = doutput
            dh = back_norm(doutput, weights.g_out, v["h"])
        d["h"] = d["mlp"] = dh
        d["gated"] = dh @ weights.w_down.T
        s = sigmoid(v["gate"])
        d["gate"] = d["gated"] * v["up"] * s * (1.0 + v["gate"] * (1.0 - s))
        d["up"] = d["gated"] * v["gate"] * s
        d["m"] = d["gate"] @ weights.w_gate.T + d["up"] @ weights.w_up.T
        d["middle"] = d["added"] = dh + back_norm(d["m"], weights.g_mlp, v["middle"])
        d["a"] = d["middle"] @ weights.w_att.T
        d["q"], dkeys, dvalues = self._back_attention(weights, v, before, d)
        earlier = {"k": list(later["k"]), "v": list(later["v"])}
        for name, found in (("k", dkeys), ("v", dvalues)):
            first = len(earlier[name]) - found.shape[-2]
            for place in range(found.shape[-2]):
                earlier[name][first + place] = earlier[name][first + place] + found[..., place, :]
            d[name] = earlier[name].pop()
        d["n"] = d["q"] @ weights.w_q.T + d["k"] @ weights.w_k.T + d["v"] @ weights.w_v.T
        d["x"] = d["middle"] + back_norm(d["n"], weights.g_att, v["x"])
        return d, d["x"], earlier

    def weight_gradients(self, v, before, d) -> Values:
        """That of W_att; the others are made in the same way."""
        return {"w_att": np.outer(v["a"], d["added"])}

    def _back_attention(self, weights, v, before, d) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The gradients of q (…, H), and of the keys and values (…, S, H) that it sees, from that of a."""
        keys, values = (self._seen([*before[name], v[name]], weights) for name in ("k", "v"))
        root, turned = np.sqrt(keys.shape[-1]), turn(keys)
        da, q, shares = self._by_head(d["a"], weights), self._by_head(v["q"], weights), v["weights"]
        dshares = d["weights"] = np.einsum("...nd,...snd->...ns", da, values)
        d["scores"] = shares * (dshares - (shares * dshares).sum(axis=-1, keepdims=True))
        dq = np.einsum("...ns,...snd->...nd", d["scores"], turned) / root
        dkeys = turn(np.einsum("...ns,...nd->...snd", d["scores"], q), back=True) / root
        dvalues = np.einsum("...ns,...nd->...snd", shares, da)
        return tuple(each.reshape(*each.shape[:-2], -1) for each in (dq, dkeys, dvalues))

    @staticmethod
    def _by_head(x: np.ndarray, weights: Weights) -> np.ndarray:
        """x (…, H) as (…, N, d)."""
        return x.reshape(*x.shape[:-1], weights.heads, -1)

    def _seen(self, each: Sequence[np.ndarray], weights: Weights) -> np.ndarray:
        """(…, S, N, d): the last of the keys or values (…, H), as many as the context has."""
        return self._by_head(np.stack(each[-weights.context :], axis=-2), weights)
