"""A short text read by a small network, step by step: all values, their gradients, and finite differences beside them.

L is the sum of the losses of all steps.  (In training it is the mean.)  A gradient dL/dv of a value v at a step says by
how much L grows when v grows a little at this step, and everything after it is computed anew.  A weight that is used in
every step has a gradient at each of them; its whole gradient is their sum.
"""

from collections.abc import Sequence

import numpy as np

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.explanation.equations import Values, equations_of, softmax

DISTANCE = 1e-3  # of the points of a finite difference
HEAD = -1  # the number of the layer that makes logits


class Explanation:
    """All values of a network that reads ``ids`` (T + 1,): step t reads id t and is to predict id t + 1.

    Args:
        config: the network's; its cell is one of :data:`charrnn.explanation.equations.EQUATIONS`.
        parameters: the weights by charrnn's names, as :class:`charrnn.network.parameters.Parameters` has them.
        ids: the text, two characters or more.

    Attributes:
        steps: T.
        losses: (T,) nats.
        values: for each step, and each layer and HEAD, its values by name: ``values[t][layer]["c"]`` (H,).
        gradients: the same for dL/dv.
        before: for each step and layer the state before the step, ``before[t][layer]["h"]`` (H,).
        arriving: for each step and layer the part of the gradient of its state that comes from the next step.

    Raises:
        ConfigError: the cell has no equations here, or the text is too short.
    """

    def __init__(self, config: ModelConfig, parameters, ids: Sequence[int]):
        if len(ids) < 2:
            raise ConfigError("a text needs two characters or more: one to read, and the next one to predict")
        self.config, self.ids, self.steps = config, list(ids), len(ids) - 1
        self.equations = equations_of(config)
        self._weights = {name: np.asarray(value, np.float64) for name, value in parameters.items()}
        self._of_layers = [
            self.equations.weights(*(self._weights[f"{name}_l{layer}"] for name in ("w_ih", "w_hh", "b")))
            for layer in range(config.layers)
        ]
        zeros = [dict.fromkeys(self.equations.state, np.zeros(config.hidden)) for _ in range(config.layers)]
        self.before, self.values = [], []
        state = zeros
        for t in range(self.steps):
            self.before.append(state)
            found: dict[int, Values] = {layer: {} for layer in (*range(config.layers), HEAD)}

            def keep(layer, name, value, found=found):
                found[layer][name] = value
                return value

            state = self._step(t, state, keep)
            self.values.append(found)
        self.losses = np.array([float(values[HEAD]["loss"]) for values in self.values])
        self._back()

    def input(self, t: int) -> np.ndarray:
        """What the first layer reads at step t: (V,) one-hot, or (E,) a row of the embedding."""
        if self.config.embedding:
            return self._weights["embedding"][self.ids[t]]
        return np.eye(1, self.config.vocabulary, self.ids[t])[0]

    def weight(self, layer: int, name: str) -> np.ndarray:
        """The weights of a layer's value such as w_hh_i (H, H)."""
        kind, gate = name.rsplit("_", 1)
        return getattr(self._of_layers[layer], kind)[gate]

    def _step(self, t: int, state: list[Values], say) -> list[Values]:
        """One step of all layers; ``say(layer, name, value)`` returns the value to go on with."""
        x, after = self.input(t), []
        for layer, weights in enumerate(self._of_layers):
            after.append(
                self.equations.forward(
                    weights, x, state[layer], lambda name, value, layer=layer: say(layer, name, value)
                )
            )
            x = after[-1]["h"]
        w_out, b_out = say(HEAD, "w_out", self._weights["w_out"]), say(HEAD, "b_out", self._weights["b_out"])
        logits = say(HEAD, "logits", x @ w_out + b_out)
        highest = logits.max()
        say(HEAD, "p", softmax(logits))
        say(HEAD, "loss", highest + np.log(np.exp(logits - highest).sum()) - logits[self.ids[t + 1]])
        return after

    def _back(self) -> None:
        """The gradients of all values, from the last step to the first."""
        layers = range(self.config.layers)
        self.gradients, self.arriving = [{} for _ in range(self.steps)], [[] for _ in range(self.steps)]
        later = [dict.fromkeys(self.equations.state, np.zeros(self.config.hidden)) for _ in layers]
        for t in reversed(range(self.steps)):
            self.arriving[t], head = later, self.values[t][HEAD]
            dlogits = head["p"] - np.eye(1, self.config.vocabulary, self.ids[t + 1])[0]
            top = self.values[t][self.config.layers - 1]["h"]
            self.gradients[t][HEAD] = {"logits": dlogits, "b_out": dlogits, "w_out": np.outer(top, dlogits)}
            dh, later = head["w_out"] @ dlogits, [{} for _ in layers]
            for layer in reversed(layers):
                weights, values = self._of_layers[layer], self.values[t][layer]
                d = {name: value.copy() for name, value in self.arriving[t][layer].items()}
                d["h"] = d["h"] + dh
                later[layer] = self.equations.back(weights, values, self.before[t][layer], d)
                for gate in self.equations.gates:
                    d[f"w_hh_{gate}"] = np.outer(self.before[t][layer]["h"], d[self.equations.product(gate)])
                self.gradients[t][layer] = d
                dh = self.equations.back_input(weights, d)

    def loss_with(self, t: int, layer: int, name: str, index: tuple[int, ...], change: float) -> float:
        """The sum of the losses from step t on, if an element of a value is changed at step t; h′ is h before it."""

        def nudged(of_layer: int, of_name: str, value: np.ndarray) -> np.ndarray:
            if (of_layer, of_name) == (layer, name):
                value = np.array(value)
                value[index] += change
            return value

        losses, state = [], self.before[t]
        if name.endswith("′"):
            state = [dict(of_layer) for of_layer in state]
            state[layer][name[:-1]] = nudged(layer, name, state[layer][name[:-1]])
        for step in range(t, self.steps):

            def say(of_layer, of_name, value, first=step == t):
                value = nudged(of_layer, of_name, value) if first else value
                if of_name == "loss":
                    losses.append(float(value))
                return value

            state = self._step(step, state, say)
        return sum(losses)

    def difference(self, t: int, layer: int, name: str, index: tuple[int, ...]) -> float:
        """dL/dv of an element of a value by finite differences, from four points (error of the order DISTANCE⁴)."""

        def between(distance: float) -> float:
            ahead, behind = (self.loss_with(t, layer, name, index, sign * distance) for sign in (1.0, -1.0))
            return (ahead - behind) / (2.0 * distance)

        return (4.0 * between(DISTANCE) - between(2.0 * DISTANCE)) / 3.0

    def differences(self, t: int, layer: int, name: str, indices: Sequence[tuple[int, ...]]) -> np.ndarray:
        """:meth:`difference` of several elements."""
        return np.array([self.difference(t, layer, name, index) for index in indices])
