"""The equations of the recurrent cells, forward and back, for one step of one layer.

Legend: a layer has H units.  x is what it reads, h′ and c′ are its state before the step.
"""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from charrnn.config import ModelConfig
from charrnn.explanation.equations import Equations, Say, State, Values, sigmoid


@dataclass(frozen=True)
class Weights:
    """The weights of a layer by gate: ``w_ih[gate]`` (D, H), ``w_hh[gate]`` (H, H), ``b[gate]`` (H,), float64."""

    w_ih: Values
    w_hh: Values
    b: Values


class Recurrent(Equations):
    """What a recurrent cell computes.

    Attributes:
        gates: the names of the gates, in the order of the weights.
        biases: the names of the parts of the bias.
        tanh_gates: the gates whose activation is tanh; that of the others is the sigmoid.
        state: the names of what a step leaves to the next one.
    """

    gates: str
    biases: tuple[str, ...]
    tanh_gates: str
    state: tuple[str, ...]

    def layers(self, config: ModelConfig, parameters: Values) -> list[Weights]:
        """The weights by gate, of arrays (D, GH), (H, GH) and (GH,), or (4H,) of a GRU's b."""
        count, found = len(self.gates), []
        for layer in range(config.layers):
            w_ih, w_hh, b = (parameters[f"{name}_l{layer}"] for name in ("w_ih", "w_hh", "b"))
            found.append(
                Weights(
                    dict(zip(self.gates, np.split(w_ih, count, axis=1), strict=True)),
                    dict(zip(self.gates, np.split(w_hh, count, axis=1), strict=True)),
                    dict(zip(self.biases, np.split(b, len(self.biases)), strict=True)),
                )
            )
        return found

    def begin(self, config: ModelConfig, texts: tuple[int, ...] = ()) -> State:
        """Zeros."""
        return dict.fromkeys(self.state, np.zeros((*texts, config.hidden)))

    def forward(self, weights: Weights, x: np.ndarray, before: State, say: Say) -> tuple[np.ndarray, State]:
        """The new h, and the new state."""
        after = self.step(weights, x, before, say)
        return after["h"], after

    def back(self, weights, v, before, doutput, later) -> tuple[Values, np.ndarray, State]:
        """All gradients; h is read by the layer above and by the next step."""
        d = dict(later) | {"h": later["h"] + doutput}
        earlier = self.back_step(weights, v, before, d)
        return d, sum(d[f"x_{gate}"] @ weights.w_ih[gate].T for gate in self.gates), earlier

    def weight_gradients(self, v, before, d) -> Values:
        """Those of W_hh, by gate. (The biases have those of their sums.)"""
        return {f"w_hh_{gate}": np.outer(before["h"], d[self.product(gate)]) for gate in self.gates}

    @abstractmethod
    def step(self, weights: Weights, x: np.ndarray, before: Values, say: Say) -> Values:
        """The new state, of the input x (…, D) and the state ``before``."""

    @abstractmethod
    def back_step(self, weights: Weights, v: Values, before: Values, d: Values) -> Values:
        """The gradients d of all values v of a step but the weights; at first d has only those of the new state.

        Returns the gradients of the state before the step.
        """

    def inputs(self, weights: Weights, gate: str, x: np.ndarray, say: Say) -> np.ndarray:
        """x W_ih; for a one-hot x it is a row of W_ih."""
        return say(f"x_{gate}", x @ weights.w_ih[gate])

    def product(self, gate: str) -> str:
        """The name of the value that h′ W_hh of a gate is a part of."""
        return f"z_{gate}"

    def summed(self, weights: Weights, gate: str, x: np.ndarray, h: np.ndarray, say: Say) -> np.ndarray:
        """z = x W_ih + h′ W_hh + b."""
        w_hh, b = say(f"w_hh_{gate}", weights.w_hh[gate]), say(f"b_{gate}", weights.b[gate])
        return say(f"z_{gate}", self.inputs(weights, gate, x, say) + h @ w_hh + b)

    def back_summed(self, weights: Weights, gate: str, v: Values, d: Values) -> np.ndarray:
        """The gradients of a gate's sum, input and bias from that of the gate; returns its part of dh′."""
        slope = 1.0 - v[gate] ** 2 if gate in self.tanh_gates else v[gate] * (1.0 - v[gate])
        dz = d[f"z_{gate}"] = d[gate] * slope
        d[f"x_{gate}"] = d[f"b_{gate}"] = dz
        return dz @ weights.w_hh[gate].T


class RNN(Recurrent):
    """h = tanh(x W_ih + h′ W_hh + b) (Elman 1990)."""

    gates, biases, tanh_gates, state = "h", ("h",), "h", ("h",)

    def step(self, weights, x, before, say) -> Values:
        """The new h."""
        return {"h": say("h", np.tanh(self.summed(weights, "h", x, before["h"], say)))}

    def back_step(self, weights, v, before, d) -> Values:
        """dh′ from dh."""
        return {"h": self.back_summed(weights, "h", v, d)}


class LSTM(Recurrent):
    """c = f ⊙ c′ + i ⊙ g and h = o ⊙ tanh(c) (Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000)."""

    gates, biases, tanh_gates, state = "ifgo", tuple("ifgo"), "g", ("h", "c")
    used = "i"  # the name of the value that g is multiplied by

    def step(self, weights, x, before, say) -> Values:
        """The new h and c."""
        a = {}
        for gate in self.gates:
            z = self.summed(weights, gate, x, before["h"], say)
            a[gate] = say(gate, np.tanh(z) if gate in self.tanh_gates else sigmoid(z))
        c = say("c", a["f"] * before["c"] + self.let_in(a, say) * a["g"])
        tanh_c = say("tanh_c", np.tanh(c))
        return {"h": say("h", a["o"] * tanh_c), "c": c}

    def back_step(self, weights, v, before, d) -> Values:
        """dh′ and dc′ from dh, and from the part of dc that comes from the next step."""
        d["o"] = d["h"] * v["tanh_c"]
        d["tanh_c"] = d["h"] * v["o"]
        d["c"] = d["c"] + d["tanh_c"] * (1.0 - v["tanh_c"] ** 2)
        d["f"], d[self.used], d["g"] = d["c"] * before["c"], d["c"] * v["g"], d["c"] * v[self.used]
        self.back_let_in(v, d)
        parts = [self.back_summed(weights, gate, v, d) for gate in self.gates]
        return {"h": sum(parts), "c": d["c"] * v["f"]}

    def let_in(self, a: Values, say: Say) -> np.ndarray:
        """What the candidate g is multiplied by: the input gate, made of the gates ``a``."""
        return a["i"]

    def back_let_in(self, v: Values, d: Values) -> None:
        """The gradients of the gates that :meth:`let_in` reads, from that of its value."""


class CappedLSTM(LSTM):
    """The LSTM whose input gate is at most 1 - f (as in Melis, Kočiský & Blunsom 2020)."""

    used = "least"

    def let_in(self, a, say) -> np.ndarray:
        """min(i, 1 - f)."""
        return say("least", np.minimum(a["i"], 1.0 - a["f"]))

    def back_let_in(self, v, d) -> None:
        """The smaller one has the gradient; where they are equal, i has it."""
        is_free = v["i"] <= 1.0 - v["f"]
        d["i"] = np.where(is_free, d["least"], 0.0)
        d["f"] = d["f"] - np.where(is_free, 0.0, d["least"])


class CoupledLSTM(LSTM):
    """The LSTM whose input gate is 1 - f (Greff et al. 2017)."""

    gates, biases = "fgo", tuple("fgo")

    def let_in(self, a, say) -> np.ndarray:
        """1 - f."""
        return say("i", 1.0 - a["f"])

    def back_let_in(self, v, d) -> None:
        """f has the gradient of i with the other sign."""
        d["f"] = d["f"] - d["i"]


class GRU(Recurrent):
    """h = (1 - z) ⊙ n + z ⊙ h′ (Cho et al. 2014, in PyTorch's form: the reset gate scales the product with W_hh)."""

    gates, biases, tanh_gates, state = "rzn", ("r", "z", "n", "s"), "n", ("h",)

    def product(self, gate: str) -> str:
        """s for the candidate: the reset gate scales it before it is added."""
        return "s" if gate == "n" else super().product(gate)

    def step(self, weights, x, before, say) -> Values:
        """The new h."""
        h = before["h"]
        r = say("r", sigmoid(self.summed(weights, "r", x, h, say)))
        z = say("z", sigmoid(self.summed(weights, "z", x, h, say)))
        w_hh, b_s, b = say("w_hh_n", weights.w_hh["n"]), say("b_s", weights.b["s"]), say("b_n", weights.b["n"])
        s = say("s", h @ w_hh + b_s)
        n = say("n", np.tanh(say("z_n", self.inputs(weights, "n", x, say) + b + r * s)))
        return {"h": say("h", (1.0 - z) * n + z * h)}

    def back_step(self, weights, v, before, d) -> Values:
        """dh′ from dh."""
        h = before["h"]
        d["n"], d["z"] = d["h"] * (1.0 - v["z"]), d["h"] * (h - v["n"])
        dz = d["z_n"] = d["n"] * (1.0 - v["n"] ** 2)
        d["x_n"] = d["b_n"] = dz
        d["r"], ds = dz * v["s"], dz * v["r"]
        d["s"] = d["b_s"] = ds
        parts = [self.back_summed(weights, gate, v, d) for gate in "rz"]
        return {"h": d["h"] * v["z"] + ds @ weights.w_hh["n"].T + parts[0] + parts[1]}
