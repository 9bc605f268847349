"""Which characters made a prediction: contributions of each character read to the score of one that may come next.

The score of a character is its logit minus the mean of all logits, which does not change its probability.  With
integrated gradients (Sundararajan, Taly & Yan 2017, equation 1), the contribution of the character at place t is

    (e_t - a)ᵀ ∫₀¹ ∂score(a + s (e - a)) / ∂e_t ds

e_t (E,) is what the first layer reads at place t, a row of W_ih's or of the embedding's input, and a is the mean row of
the vocabulary: a text that says nothing.  The contributions add up to the score of the text minus that of the
text that says nothing.  In the score, what the last layer gives (a Transformer: the last norm) is summed over cells, so
each contribution is a sum over them, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.explanation.cells import equations_of
from charrnn.explanation.equations import State, Values, no_gradient
from charrnn.records import ProgressCallback, no_progress

NODES = 8  # of Gauss and Legendre, in each part of the way
PARTS = 4  # of the way, at first: a part is halved until the contributions on it add up
TOLERANCE = 1e-5  # between the sum of all contributions and the difference of the scores
LEAST = 2.0**-16  # the length of a part that is not halved again; the whole way has 1


class _Step(NamedTuple):
    """What a layer computed in a step, and its state before and after."""

    values: Values
    before: State
    after: State


@dataclass(frozen=True)
class Attribution:
    """Contributions to the score of a character after a text of T characters.

    ``score`` is the text's, ``score_of_nothing`` that of a text that says nothing; ``contributions`` (T,) add up to
    their difference.  ``cells`` (K,) are numbers of cells of the top layer, ``through`` (K, T) the parts of the
    contributions that go through each of them, and ``by_cell`` (H,) the sums of those of every cell.  ``probabilities``
    (V,) are those of the next character.
    """

    score: float
    score_of_nothing: float
    contributions: np.ndarray
    cells: np.ndarray
    through: np.ndarray
    by_cell: np.ndarray
    probabilities: np.ndarray


class Attributor:
    """Explains predictions of a network whose config is complete, in float64.

    Raises:
        ConfigError: the network's cell has no equations here.
    """

    def __init__(self, config: ModelConfig, parameters):
        self._equations = equations_of(config)
        weights = {name: np.asarray(value, np.float64) for name, value in parameters.items()}
        self._config, self._layers = config, self._equations.layers(config, weights)
        self._rows = weights.get("embedding", np.eye(config.vocabulary))
        self._nothing = self._rows.mean(axis=0)
        self._w_out = weights["w_out"] - weights["w_out"].mean(axis=1, keepdims=True)
        self._b_out = weights["b_out"] - weights["b_out"].mean()

    def scores(self, ids: Sequence[int]) -> np.ndarray:
        """(V,) the scores of the characters after a text of ids (T,), read from a state of zeros."""
        return self._read([self._rows[each][None] for each in ids])[0][0] @ self._w_out + self._b_out

    def attribute(
        self, ids: Sequence[int], target: int, cells: int = 0, progress: ProgressCallback = no_progress
    ) -> Attribution:
        """What each of the ids (T,), read from a state of zeros, contributes to the score of ``target`` behind them.

        ``cells`` says how many cells are listed, those with the largest contributions.  ``progress`` is called with the
        part of the way that is done, in thousandths, and 1000.

        Raises:
            ConfigError: there is nothing to read.
        """
        if not len(ids):
            raise ConfigError("there is no character before the one to explain")
        top, top_of_nothing = (
            self._read(inputs)[0][0]
            for inputs in ([self._rows[each][None] for each in ids], [self._nothing[None]] * len(ids))
        )
        scores, of_nothing = (state @ self._w_out + self._b_out for state in (top, top_of_nothing))
        column = self._w_out[:, target]
        by_cell = (top - top_of_nothing) * column
        chosen = np.argsort(-np.abs(by_cell), kind="stable")[:cells]
        found = self._integrated(ids, column, chosen, progress)
        powers = np.exp(scores - scores.max())
        return Attribution(
            float(scores[target]),
            float(of_nothing[target]),
            found[0],
            chosen,
            found[1:],
            by_cell,
            powers / powers.sum(),
        )

    def _integrated(self, ids, column: np.ndarray, cells: np.ndarray, progress: ProgressCallback) -> np.ndarray:
        """(1 + K, T): the contributions, and their parts through each of K cells.

        On each part of the way the contributions have to add up to the change of the score, which is known without an
        integral.  So the error is known, too, and a part where the score changes fast is halved.
        """
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        change = np.stack([self._rows[each] - self._nothing for each in ids])
        starts = np.zeros((1 + len(cells), 1, self._config.hidden))
        starts[0, 0] = column
        for number, cell in enumerate(cells, 1):
            starts[number, 0, cell] = column[cell]
        found, done = np.zeros((1 + len(cells), len(ids))), 0.0
        parts = [(part / PARTS, (part + 1) / PARTS) for part in reversed(range(PARTS))]
        while parts:
            begin, end = parts.pop()
            length = end - begin
            points = np.concatenate([[begin, end], begin + length * (nodes + 1) / 2])
            top, steps = self._read([self._nothing + points[:, None] * each for each in change])
            scores = top @ column
            gradients = self._back(steps, slice(2, None), starts)
            own = np.stack(
                [
                    np.einsum("kpe,p,e->k", gradient, weights * length / 2, change[t])
                    for t, gradient in enumerate(gradients)
                ],
                axis=1,
            )
            if abs(own[0].sum() - (scores[1] - scores[0])) > TOLERANCE * length and length > LEAST:
                middle = (begin + end) / 2
                parts += [(middle, end), (begin, middle)]
                continue
            found, done = found + own, end
            progress(round(1000 * done), 1000)
        return found

    def _read(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, list[list[_Step]]]:
        """What the last layer gives (P, H) after inputs (P, E) each, and what each layer computed in each step."""
        state = [self._equations.begin(self._config, (len(inputs[0]),)) for _ in self._layers]
        steps = []
        for x in inputs:
            step = []
            for layer, weights in enumerate(self._layers):
                values: Values = {}

                def keep(name, value, values=values):
                    values[name] = value
                    return value

                before = state[layer]
                x, state[layer] = self._equations.forward(weights, x, before, keep)
                step.append(_Step(values, before, state[layer]))
            steps.append(step)
        return x, steps

    def _back(self, steps: list[list[_Step]], points: slice, start: np.ndarray) -> list[np.ndarray]:
        """The gradients (K, P, E) of each input at some of the points.

        ``start`` (K, 1, H) are those of what the last layer gives.
        """
        later = [no_gradient(_at(step.after, points)) for step in steps[-1]]
        found, doutput = [], start
        for step in reversed(steps):
            for layer, (weights, (values, before, _)) in reversed([*enumerate(zip(self._layers, step, strict=True))]):
                values, before = _at(values, points), _at(before, points)
                _, doutput, later[layer] = self._equations.back(weights, values, before, doutput, later[layer])
            found.append(doutput)
            doutput = np.zeros_like(start)
        return found[::-1]


def _at(values: State, points: slice) -> State:
    """Values at some of the points."""
    return {
        name: [each[points] for each in value] if isinstance(value, list) else value[points]
        for name, value in values.items()
    }
