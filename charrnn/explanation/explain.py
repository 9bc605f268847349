"""A short text read by a small network, step by step: all values, their gradients, and finite differences beside them.

L is the sum of the losses of all steps.  (In training it is the mean.)  A gradient dL/dv of a value v at a step says by
how much L grows when v grows a little at this step, and everything after it is computed anew.  A weight that is used in
every step has a gradient at each of them; its whole gradient is their sum.
"""

from collections.abc import Sequence

import numpy as np

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.explanation.cells import equations_of
from charrnn.explanation.equations import State, Values, no_gradient, softmax

DISTANCE = 1e-3  # of the points of a finite difference
HEAD = -1  # the number of the layer that makes logits


class Explanation:
    """All values of a network that reads ``ids`` (T + 1,): step t reads id t and is to predict id t + 1.

    Args:
        config: the network's, complete; its cell is one of :data:`charrnn.explanation.cells.EQUATIONS`.
        parameters: the weights by charrnn's names, as :class:`charrnn.network.parameters.Parameters` has them.
        ids: the text, two characters or more.

    Attributes:
        steps: T.
        losses: (T,) nats.
        values: for each step, and each layer and HEAD, its values by name: ``values[t][layer]["c"]`` (H,).  HEAD's
            "top" (H,) is what the logits are made of.
        gradients: the same for dL/dv.
        before: for each step and layer the state before the step, ``before[t][layer]["h"]`` (H,); of a Transformer
            ``before[t][layer]["k"]``, a list of t keys (H,).
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
        self._of_layers = self.equations.layers(config, self._weights)
        self.before, self.values = [], []
        state = [self.equations.begin(config) for _ in self._of_layers]
        for t in range(self.steps):
            self.before.append(state)
            found: dict[int, Values] = {layer: {} for layer in (*range(config.layers), HEAD)}

            def keep(layer, name, value, found=found):
                found[layer][name] = value
                return value

            state = self._step(t, state, keep)
            self.values.append(found)
        self._end = state
        self.losses = np.array([float(values[HEAD]["loss"]) for values in self.values])
        self._back()

    def input(self, t: int) -> np.ndarray:
        """What the first layer reads at step t: (V,) one-hot, or (E,) a row of the embedding."""
        if self.has_embedding:
            return self._weights["embedding"][self.ids[t]]
        return np.eye(1, self.config.vocabulary, self.ids[t])[0]

    @property
    def has_embedding(self) -> bool:
        """Whether the first layer reads a row of an embedding."""
        return "embedding" in self._weights

    def _step(self, t: int, state: list[State], say) -> list[State]:
        """One step of all layers; ``say(layer, name, value)`` returns the value to go on with."""
        x, after = self.input(t), []
        for layer, weights in enumerate(self._of_layers):

            def say_of_layer(name, value, layer=layer):
                return say(layer, name, value)

            x, new = self.equations.forward(weights, x, state[layer], say_of_layer)
            after.append(new)
        x = say(HEAD, "top", x)
        w_out, b_out = say(HEAD, "w_out", self._weights["w_out"]), say(HEAD, "b_out", self._weights["b_out"])
        logits = say(HEAD, "logits", x @ w_out + b_out)
        highest = logits.max()
        say(HEAD, "p", softmax(logits))
        say(HEAD, "loss", highest + np.log(np.exp(logits - highest).sum()) - logits[self.ids[t + 1]])
        return after

    def _back(self) -> None:
        """The gradients of all values, from the last step to the first."""
        self.gradients, self.arriving = [{} for _ in range(self.steps)], [[] for _ in range(self.steps)]
        later = [no_gradient(state) for state in self._end]
        for t in reversed(range(self.steps)):
            self.arriving[t], head = later, self.values[t][HEAD]
            dlogits = head["p"] - np.eye(1, self.config.vocabulary, self.ids[t + 1])[0]
            w_out, doutput = np.outer(head["top"], dlogits), head["w_out"] @ dlogits
            self.gradients[t][HEAD] = {"logits": dlogits, "b_out": dlogits, "w_out": w_out, "top": doutput}
            later = [{} for _ in self._of_layers]
            for layer, weights in reversed([*enumerate(self._of_layers)]):
                values, before = self.values[t][layer], self.before[t][layer]
                d, dx, later[layer] = self.equations.back(weights, values, before, doutput, self.arriving[t][layer])
                self.gradients[t][layer] = d | self.equations.weight_gradients(values, before, d)
                doutput = dx

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
