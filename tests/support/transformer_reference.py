"""The oracle of the Transformer: forward and backward in plain float64 NumPy, boring and slow.

Parameters are a dictionary by name: ``embedding`` (V, H); of layer k ``g_att_l{k}`` (H,), ``w_qkv_l{k}`` (H, 3H),
``w_att_l{k}`` (H, H), ``g_mlp_l{k}`` (H,), ``w_up_l{k}`` (H, 2F), ``w_down_l{k}`` (F, H); then ``g_out`` (H,),
``w_out`` (H, V) and ``b_out`` (V,).  Ids x, y are (T, B).  The columns of ``w_qkv`` are q | k | v, each with its heads
in order; the columns of ``w_up`` are gate | up.

    n = RMSNorm(x) ⊙ g_att          q, k, v = n W_qkv         q and k rotated by the position
    a = softmax(q kᵀ / √d) v        over the last C characters, each head for itself
    x = x + dropout(a W_att)
    m = RMSNorm(x) ⊙ g_mlp          gate, up = m W_up
    x = x + dropout((silu(gate) ⊙ up) W_down)

A state is a dictionary: ``k`` (rotated) and ``v`` (L, B, C, H), and ``position`` (L, B, 1), how many characters were
read before.  The newest character is in the last row.  No gradient flows into a state.

``masks`` are dropout masks (already divided by the probability of keeping) by name, each optional: ``input``
(T, B, H), ``attention`` and ``mlp`` (L, T, B, H); ``weights`` (L, T, B, heads, C + T), whose last axis begins with the
character C positions before the window.
"""

from typing import NamedTuple

import numpy as np
from reference import losses, sigmoid

EPSILON, BASE, TURN = 1e-5, 10_000.0, 2**23


class Layer(NamedTuple):
    """What one layer computed, (T, B, …); ``attention[b]`` is the second result of :func:`attention` for row b."""

    n: np.ndarray
    att_norm: tuple
    qkv: np.ndarray
    attention: list
    a: np.ndarray
    m: np.ndarray
    mlp_norm: tuple
    gate: np.ndarray
    up: np.ndarray
    hidden: np.ndarray
    output: np.ndarray


def layer_count(parameters):
    return sum(name.startswith("w_qkv_l") for name in parameters)


def empty_state(layers, batch, context, hidden):
    """The state before the first character."""
    cache = (layers, batch, context, hidden)
    return {"k": np.zeros(cache), "v": np.zeros(cache), "position": np.zeros((layers, batch, 1))}


def steps_of_turn(width):
    """For each pair i of a head's columns: θ_i in steps of 2π / 2^23, whole numbers (⌊d/2⌋,)."""
    theta = BASE ** (-2 * np.arange(width // 2) / width)
    return np.round(theta * TURN / (2 * np.pi)).astype(np.int64)


def rotate(x, positions, backwards=False):
    """x (N, heads, d), rotated by the angles of its ``positions`` (N,); ``backwards`` by the opposite angles."""
    pairs = x.shape[2] // 2
    angle = positions.astype(np.int64)[:, None] * steps_of_turn(x.shape[2]) % TURN * (2 * np.pi / TURN)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None] * (-1 if backwards else 1)
    first, second = x[..., :pairs], x[..., pairs : 2 * pairs]
    return np.concatenate([first * cos - second * sin, first * sin + second * cos, x[..., 2 * pairs :]], axis=2)


def normed(x, gain):
    """RMSNorm(x) ⊙ gain, and what its backward needs."""
    scale = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPSILON)
    return x * scale * gain, (x * scale, scale)


def normed_backward(dn, gain, kept):
    """The gradients of x and of the gain."""
    unit, scale = kept
    dunit = dn * gain
    return scale * (dunit - unit * (dunit * unit).mean(axis=-1, keepdims=True)), (dn * unit).sum(axis=(0, 1))


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def remembered(position, context):
    """The positions, before ``position``, of the characters that a cache still has and a query can still see."""
    return np.arange(max(0, position - context + 1), position)


def attention(qkv, k_cache, v_cache, position, heads, mask=None):
    """One batch row: qkv (T, 3H) becomes a (T, H); the caches (C, H) move on, in place.

    Also what the backward needs: rotated q (T, heads, d); rotated k and v (N, heads, d) of the N characters that the
    cache had and that were read; weights (heads, T, N); positions of the queries (T,); the mask of the weights.
    """
    steps, hidden, context = len(qkv), len(qkv[0]) // 3, len(k_cache)
    q, k, v = (part.reshape(steps, heads, -1) for part in np.split(qkv, 3, axis=1))
    now, before = position + np.arange(steps), remembered(position, context)
    q, k = rotate(q, now), rotate(k, now)
    keys, values = (
        np.concatenate([cache[context - len(before) :].reshape(-1, heads, hidden // heads), new])
        for cache, new in ((k_cache, k), (v_cache, v))
    )
    places = np.concatenate([before, now])
    seen = (places <= now[:, None]) & (places > now[:, None] - context)
    scores = np.einsum("thd,nhd->htn", q, keys) / np.sqrt(q.shape[2])
    weights = softmax(np.where(seen, scores, -np.inf))
    for cache, new in ((k_cache, k), (v_cache, v)):
        cache[:] = np.concatenate([cache, new.reshape(steps, hidden)])[-context:]
    mask = 1.0 if mask is None else mask[:, :, places - position + context].swapaxes(0, 1)
    a = np.einsum("htn,nhd->thd", weights * mask, values).reshape(steps, hidden)
    return a, (q, keys, values, weights, now, mask)


def attention_backward(da, kept):
    """The gradient of qkv (T, 3H) from that of a (T, H)."""
    q, keys, values, weights, now, mask = kept
    steps, heads, width = q.shape
    da = da.reshape(q.shape)
    dweights = np.einsum("thd,nhd->htn", da, values) * mask
    dscores = weights * (dweights - (weights * dweights).sum(axis=2, keepdims=True)) / np.sqrt(width)
    dq = np.einsum("htn,nhd->thd", dscores, keys)
    dk = np.einsum("htn,thd->nhd", dscores, q)[-steps:]  # what the cache had is constant
    dv = np.einsum("htn,thd->nhd", weights * mask, da)[-steps:]
    parts = rotate(dq, now, backwards=True), rotate(dk, now, backwards=True), dv
    return np.concatenate([part.reshape(steps, heads * width) for part in parts], axis=1)


def forward(parameters, x, state, heads, masks=None):
    """Logits (T, B, V), the final state, and what backward needs.

    The third is a dictionary with ``layers``, a :class:`Layer` for each, and ``top`` (T, B, H), which the head reads.
    """
    steps, batch = x.shape
    masks = masks or {}
    final = {name: np.array(value, float) for name, value in state.items()}
    stream = parameters["embedding"][x] * masks.get("input", 1.0)
    layers = []
    for k in range(layer_count(parameters)):
        g_att, w_qkv, w_att, g_mlp, w_up, w_down = (
            parameters[f"{name}_l{k}"] for name in ("g_att", "w_qkv", "w_att", "g_mlp", "w_up", "w_down")
        )
        n, att_norm = normed(stream, g_att)
        qkv = n @ w_qkv
        a, kept = np.empty_like(stream), []
        for b in range(batch):
            position = int(state["position"][k, b, 0])
            mask = masks["weights"][k][:, b] if "weights" in masks else None
            a[:, b], parts = attention(qkv[:, b], final["k"][k, b], final["v"][k, b], position, heads, mask)
            kept.append(parts)
        final["position"][k] += steps
        stream = stream + a @ w_att * _mask(masks, "attention", k)
        m, mlp_norm = normed(stream, g_mlp)
        gate, up = np.split(m @ w_up, 2, axis=2)
        hidden = gate * sigmoid(gate) * up
        stream = stream + hidden @ w_down * _mask(masks, "mlp", k)
        layers.append(Layer(n, att_norm, qkv, kept, a, m, mlp_norm, gate, up, hidden, stream))
    top, norm = normed(stream, parameters["g_out"])
    return top @ parameters["w_out"] + parameters["b_out"], final, {"layers": layers, "top": top, "norm": norm}


def _mask(masks, name, k):
    return masks[name][k] if name in masks else 1.0


def loss_and_gradient(parameters, x, y, state, heads, masks=None, smoothing=0.0, soft=(0.0, 0.0)):
    """Mean loss, its gradient by name, logits, and the final state.

    ``smoothing`` and ``soft`` are as in :func:`reference.loss_and_gradient`.
    """
    masks = masks or {}
    logits, final, trace = forward(parameters, x, state, heads, masks)
    count = np.count_nonzero(y >= 0)
    loss = losses(logits, y).sum() / count
    targets = (1 - smoothing) * np.eye(logits.shape[2])[np.maximum(y, 0)] + smoothing / logits.shape[2]
    targets = (1 - soft[0]) * targets + soft[0] * soft[1]
    dlogits = (softmax(logits) - targets) * (y >= 0)[..., None] / count

    def outer(inputs, doutputs):
        return np.einsum("tbi,tbo->io", inputs, doutputs)

    gradient = {"w_out": outer(trace["top"], dlogits), "b_out": dlogits.sum(axis=(0, 1))}
    dstream, gradient["g_out"] = normed_backward(dlogits @ parameters["w_out"].T, parameters["g_out"], trace["norm"])
    for k in reversed(range(len(trace["layers"]))):
        layer = trace["layers"][k]
        g_att, w_qkv, w_att, g_mlp, w_up, w_down = (
            parameters[f"{name}_l{k}"] for name in ("g_att", "w_qkv", "w_att", "g_mlp", "w_up", "w_down")
        )
        dmlp = dstream * _mask(masks, "mlp", k)
        gradient[f"w_down_l{k}"] = outer(layer.hidden, dmlp)
        dhidden, gate, s = dmlp @ w_down.T, layer.gate, sigmoid(layer.gate)
        dgate = dhidden * layer.up * s * (1 + gate * (1 - s))
        dgated = np.concatenate([dgate, dhidden * gate * s], axis=2)
        gradient[f"w_up_l{k}"] = outer(layer.m, dgated)
        dx, gradient[f"g_mlp_l{k}"] = normed_backward(dgated @ w_up.T, g_mlp, layer.mlp_norm)
        dstream = dstream + dx

        datt = dstream * _mask(masks, "attention", k)
        gradient[f"w_att_l{k}"] = outer(layer.a, datt)
        da = datt @ w_att.T
        dqkv = np.stack([attention_backward(da[:, b], kept) for b, kept in enumerate(layer.attention)], axis=1)
        gradient[f"w_qkv_l{k}"] = outer(layer.n, dqkv)
        dx, gradient[f"g_att_l{k}"] = normed_backward(dqkv @ w_qkv.T, g_att, layer.att_norm)
        dstream = dstream + dx
    gradient["embedding"] = np.zeros_like(parameters["embedding"])
    np.add.at(gradient["embedding"], x, dstream * masks.get("input", 1.0))
    return loss, {name: gradient[name] for name in parameters}, logits, final
