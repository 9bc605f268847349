"""The oracle: the same network in plain float64 NumPy, boring and slow.

Parameters are a dictionary by name, as ``charrnn.network.parameters.parameter_shapes`` lists them; gates are in the
order i, f, g, o; ids x, y are (T, B); a state is (h, c), each (L, B, H).  ``masks`` are dropout masks (already divided
by the probability of keeping), one (T, B, H) array for each layer's output, or None.
"""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def layer_count(parameters):
    return sum(name.startswith("w_hh_l") for name in parameters)


def forward(parameters, x, state, masks=None, capped=False):
    """Logits (T, B, V), the final state, and what backward needs."""
    steps, _lanes = x.shape
    layers = layer_count(parameters)
    h0, c0 = state
    inputs = parameters["embedding"][x] if "embedding" in parameters else np.eye(parameters["w_ih_l0"].shape[0])[x]
    trace, final_h, final_c = [], [], []
    for k in range(layers):
        w_ih, w_hh, b = (parameters[f"{name}_l{k}"] for name in ("w_ih", "w_hh", "b"))
        h, c = [h0[k]], [c0[k]]
        gates = []
        for t in range(steps):
            z = inputs[t] @ w_ih + h[-1] @ w_hh + b
            zi, zf, zg, zo = np.split(z, 4, axis=1)
            i, f, g, o = sigmoid(zi), sigmoid(zf), np.tanh(zg), sigmoid(zo)
            i = np.minimum(i, 1 - f) if capped else i
            c.append(f * c[-1] + i * g)
            h.append(o * np.tanh(c[-1]))
            gates.append((i, f, g, o))
        trace.append((inputs, gates, h, c))
        final_h.append(h[-1])
        final_c.append(c[-1])
        inputs = np.stack(h[1:])
        if masks is not None:
            inputs = inputs * masks[k]
    logits = inputs @ parameters["w_out"] + parameters["b_out"]
    return logits, (np.stack(final_h), np.stack(final_c)), (trace, inputs)


def losses(logits, y):
    """Loss (T, B) of each target; 0 where y is negative."""
    top = logits.max(axis=2, keepdims=True)
    log_sum = (top + np.log(np.exp(logits - top).sum(axis=2, keepdims=True)))[..., 0]
    target = np.take_along_axis(logits, np.maximum(y, 0)[..., None], axis=2)[..., 0]
    return np.where(y >= 0, log_sum - target, 0.0)


def loss_and_gradient(parameters, x, y, state, masks=None, smoothing=0.0, soft=(0.0, 0.0), capped=False):
    """Mean loss, its gradient by name and with respect to the incoming (h, c), logits, and the final state.

    With ``smoothing`` ε and ``soft`` (a, q), q (T, B, V), the gradient is that of the cross-entropy with the target
    (1 - a) ((1 - ε) one-hot + ε / V) + a q.
    """
    logits, final, (trace, top) = forward(parameters, x, state, masks, capped)
    count = np.count_nonzero(y >= 0)
    loss = losses(logits, y).sum() / count
    probabilities = np.exp(logits - logits.max(axis=2, keepdims=True))
    probabilities /= probabilities.sum(axis=2, keepdims=True)
    targets = (1 - smoothing) * np.eye(logits.shape[2])[np.maximum(y, 0)] + smoothing / logits.shape[2]
    targets = (1 - soft[0]) * targets + soft[0] * soft[1]
    dlogits = (probabilities - targets) * (y >= 0)[..., None] / count

    gradient = {name: np.zeros_like(value) for name, value in parameters.items()}
    gradient["w_out"] = np.einsum("tbh,tbv->hv", top, dlogits)
    gradient["b_out"] = dlogits.sum(axis=(0, 1))
    dinputs = dlogits @ parameters["w_out"].T
    steps = len(x)
    dh0, dc0 = np.zeros_like(state[0]), np.zeros_like(state[1])
    for k in reversed(range(len(trace))):
        inputs, gates, h, c = trace[k]
        w_ih, w_hh = parameters[f"w_ih_l{k}"], parameters[f"w_hh_l{k}"]
        if masks is not None:
            dinputs = dinputs * masks[k]
        dx = np.zeros_like(inputs)
        dh_next, dc = np.zeros_like(h[0]), np.zeros_like(c[0])
        for t in reversed(range(steps)):
            i, f, g, o = gates[t]
            dh = dinputs[t] + dh_next
            tanh_c = np.tanh(c[t + 1])
            dc = dc + dh * o * (1 - tanh_c**2)
            at_cap = capped & (i == 1 - f)  # there i is no function of its own input, but of f's
            dz_i = np.where(at_cap, 0.0, dc * g * i * (1 - i))
            dz_f = dc * (c[t] - np.where(at_cap, g, 0.0)) * f * (1 - f)
            dz = np.concatenate([dz_i, dz_f, dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)], axis=1)
            gradient[f"w_ih_l{k}"] += inputs[t].T @ dz
            gradient[f"w_hh_l{k}"] += h[t].T @ dz
            gradient[f"b_l{k}"] += dz.sum(axis=0)
            dx[t] = dz @ w_ih.T
            dh_next = dz @ w_hh.T
            dc = dc * f
        dh0[k], dc0[k] = dh_next, dc
        dinputs = dx
    if "embedding" in parameters:
        np.add.at(gradient["embedding"], x, dinputs)
    return loss, gradient, (dh0, dc0), logits, final


_MASK32, _MASK64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


def _splitmix(x):
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & _MASK64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & _MASK64
    return x ^ (x >> 31)


def dropout_mask(rate, numbers, steps, batch, hidden):
    """The mask (T, B, H) that the dropout kernel applies with the key of ``numbers``, in Python's whole numbers."""
    key = 0
    for number in numbers:
        key = _splitmix((key + number + 0x9E3779B97F4A7C15) & _MASK64)
    mask = np.zeros((steps, batch, hidden))
    for t in range(steps):
        for b in range(batch):
            place = _splitmix((key + t * batch + b) & _MASK64)
            for unit in range(hidden):
                x = (unit * 0x9E3779B9 + place) & _MASK32
                x = (x ^ (x >> 16)) * 0x85EBCA6B & _MASK32
                x = (x ^ (x >> 13)) * 0xC2B2AE35 & _MASK32
                x = x ^ (x >> 16) ^ (place >> 32)
                mask[t, b, unit] = x < int((1 - rate) * 2**32)
    return mask / (1 - rate)
