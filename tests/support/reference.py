"""The oracle: the same network in plain float64 NumPy, boring and slow.

Parameters are a dictionary by name, as ``charrnn.network.parameters.parameter_shapes`` lists them; ids x, y are (T, B);
a state is (h, c) of an LSTM, else (h,), each (L, B, H).  ``masks`` are dropout masks (already divided by the
probability of keeping), one (T, B, H) array for each layer's output, or None.
"""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class LSTM:
    """Gates are in the order i, f, g, o."""

    state = "hc"
    capped = False

    def step(self, x, w_ih, w_hh, b, h, c):
        """The state after a step, and what ``back`` needs."""
        zi, zf, zg, zo = np.split(x @ w_ih + h @ w_hh + b, 4, axis=1)
        i, f, g, o = sigmoid(zi), sigmoid(zf), np.tanh(zg), sigmoid(zo)
        i = np.minimum(i, 1 - f) if self.capped else i
        c = f * c + i * g
        return (o * np.tanh(c), c), (i, f, g, o)

    def back(self, gates, before, after, dh, dc):
        """Gradients: of what W_ih, W_hh and b each add to the gates, and of the state before but for W_hh's part."""
        i, f, g, o = gates
        tanh_c = np.tanh(after[1])
        dc = dc + dh * o * (1 - tanh_c**2)
        at_cap = self.capped & (i == 1 - f)  # there i is no function of its own input, but of f's
        dz_i = np.where(at_cap, 0.0, dc * g * i * (1 - i))
        dz_f = dc * (before[1] - np.where(at_cap, g, 0.0)) * f * (1 - f)
        dz = np.concatenate([dz_i, dz_f, dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)], axis=1)
        return (dz, dz, dz), (0.0, dc * f)


class CappedLSTM(LSTM):
    capped = True


class CoupledLSTM:
    """Gates are in the order f, g, o; i is 1 - f."""

    state = "hc"

    def step(self, x, w_ih, w_hh, b, h, c):
        zf, zg, zo = np.split(x @ w_ih + h @ w_hh + b, 3, axis=1)
        f, g, o = sigmoid(zf), np.tanh(zg), sigmoid(zo)
        c = f * c + (1 - f) * g
        return (o * np.tanh(c), c), (f, g, o)

    def back(self, gates, before, after, dh, dc):
        f, g, o = gates
        tanh_c = np.tanh(after[1])
        dc = dc + dh * o * (1 - tanh_c**2)
        parts = [dc * (before[1] - g) * f * (1 - f), dc * (1 - f) * (1 - g**2), dh * tanh_c * o * (1 - o)]
        dz = np.concatenate(parts, axis=1)
        return (dz, dz, dz), (0.0, dc * f)


class RNN:
    state = "h"

    def step(self, x, w_ih, w_hh, b, h):
        return (np.tanh(x @ w_ih + h @ w_hh + b),), ()

    def back(self, _, before, after, dh):
        dz = dh * (1 - after[0] ** 2)
        return (dz, dz, dz), (0.0,)


class GRU:
    """Gates are in the order r, z, n; the bias has n twice, n_x and n_h."""

    state = "h"

    def step(self, x, w_ih, w_hh, b, h):
        b_r, b_z, b_nx, b_nh = np.split(b, 4)
        from_x = x @ w_ih + np.concatenate([b_r, b_z, b_nx])
        from_h = h @ w_hh + np.concatenate([0 * b_r, 0 * b_z, b_nh])
        (xr, xz, xn), (hr, hz, hn) = (np.split(each, 3, axis=1) for each in (from_x, from_h))
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        n = np.tanh(xn + r * hn)
        return ((1 - z) * n + z * h,), (r, z, n, hn)

    def back(self, gates, before, after, dh):
        r, z, n, hn = gates
        dn = dh * (1 - z) * (1 - n**2)
        dr, dz = dn * hn * r * (1 - r), dh * (before[0] - n) * z * (1 - z)
        parts = ([dr, dz, dn], [dr, dz, dn * r], [dr, dz, dn, dn * r])
        return tuple(np.concatenate(part, axis=1) for part in parts), (dh * z,)


CELLS = {"lstm": LSTM(), "capped-lstm": CappedLSTM(), "coupled-lstm": CoupledLSTM(), "rnn": RNN(), "gru": GRU()}


def layer_count(parameters):
    return sum(name.startswith("w_hh_l") for name in parameters)


def forward(parameters, x, state, masks=None, cell="lstm"):
    """Logits (T, B, V), the final state, and what backward needs."""
    inputs = parameters["embedding"][x] if "embedding" in parameters else np.eye(parameters["w_ih_l0"].shape[0])[x]
    trace, final = [], []
    for k in range(layer_count(parameters)):
        weights = [parameters[f"{name}_l{k}"] for name in ("w_ih", "w_hh", "b")]
        states, kept = [tuple(part[k] for part in state)], []
        for row in inputs:
            after, gates = CELLS[cell].step(row, *weights, *states[-1])
            states.append(after)
            kept.append(gates)
        trace.append((inputs, kept, *([each[n] for each in states] for n in range(len(state)))))
        final.append(states[-1])
        inputs = np.stack([after[0] for after in states[1:]])
        if masks is not None:
            inputs = inputs * masks[k]
    logits = inputs @ parameters["w_out"] + parameters["b_out"]
    return logits, tuple(np.stack(part) for part in zip(*final, strict=True)), (trace, inputs)


def losses(logits, y):
    """Loss (T, B) of each target; 0 where y is negative."""
    top = logits.max(axis=2, keepdims=True)
    log_sum = (top + np.log(np.exp(logits - top).sum(axis=2, keepdims=True)))[..., 0]
    target = np.take_along_axis(logits, np.maximum(y, 0)[..., None], axis=2)[..., 0]
    return np.where(y >= 0, log_sum - target, 0.0)


def changes_penalty(trace, tar, count):
    """The penalty tar / (N H) Σ (h_t - h_{t-1})² on the top layer's outputs h (T, B, H), and its gradient (T, B, H)."""
    h = np.stack(trace[-1][2][1:])
    changes, each = np.diff(h, axis=0), tar / (count * h.shape[2])
    gradient = np.zeros_like(h)
    gradient[1:] += 2 * each * changes
    gradient[:-1] -= 2 * each * changes
    return each * (changes**2).sum(), gradient


def loss_and_gradient(parameters, x, y, state, masks=None, smoothing=0.0, soft=(0.0, 0.0), cell="lstm", tar=0.0):
    """Mean loss, its gradient by name and with respect to the incoming state, logits, and the final state.

    With ``smoothing`` ε and ``soft`` (a, q), q (T, B, V), the gradient is that of the cross-entropy with the target
    (1 - a) ((1 - ε) one-hot + ε / V) + a q, and that of the penalty with the weight ``tar``.
    """
    logits, final, (trace, top) = forward(parameters, x, state, masks, cell)
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
    incoming = tuple(np.zeros_like(part) for part in state)
    for k in reversed(range(len(trace))):
        inputs, kept, *states = trace[k]
        w_ih, w_hh = parameters[f"w_ih_l{k}"], parameters[f"w_hh_l{k}"]
        if masks is not None:
            dinputs = dinputs * masks[k]
        if k == len(trace) - 1:
            dinputs = dinputs + changes_penalty(trace, tar, count)[1]
        dx, through = np.zeros_like(inputs), [0.0] * len(state)
        for t in reversed(range(len(x))):
            before, after = ([part[at] for part in states] for at in (t, t + 1))
            added, beside = CELLS[cell].back(kept[t], before, after, dinputs[t] + through[0], *through[1:])
            gradient[f"w_ih_l{k}"] += inputs[t].T @ added[0]
            gradient[f"w_hh_l{k}"] += before[0].T @ added[1]
            gradient[f"b_l{k}"] += added[2].sum(axis=0)
            dx[t] = added[0] @ w_ih.T
            through = [beside[0] + added[1] @ w_hh.T, *beside[1:]]
        for part, value in zip(incoming, through, strict=True):
            part[k] = value
        dinputs = dx
    if "embedding" in parameters:
        np.add.at(gradient["embedding"], x, dinputs)
    return loss, gradient, incoming, logits, final


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
