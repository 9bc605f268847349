"""Which characters made a prediction: contributions of each character read to the score of one that may come next.

The score of a character is its logit minus the mean of all logits, which does not change its probability.  With
integrated gradients (Sundararajan, Taly & Yan 2017, equation 1), the contribution of the character at place t is

    (e_t - a)ᵀ ∫₀¹ ∂score(a + s (e - a)) / ∂e_t ds

e_t (E,) is what the first layer reads at place t, a row of W_ih's or of the embedding's input, and a is the mean row of
the vocabulary: a text that says nothing.  The contributions add up to the score of the text minus that of the
text that says nothing.  The last h is a sum over cells in the score, so each contribution is a sum over them, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.explanation.equations import Values, Weights, equations_of
from charrnn.records import ProgressCallback, no_progress

NODES = 8  # of Gauss and Legendre, in each part of the way
PARTS = 4  # of the way, at first: a part is halved until the contributions on it add up
TOLERANCE = 1e-5  # between the sum of all contributions and the difference of the scores
LEAST = 2.0**-16  # the length of a part that is not halved again; the whole way has 1


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
    """Explains predictions of a recurrent network, in float64.

    Raises:
        ConfigError: the network's cell has no equations here.
    """

    def __init__(self, config: ModelConfig, parameters):
        self._equations = equations_of(config)
        weights = {name: np.asarray(value, np.float64) for name, value in parameters.items()}
        self._layers: list[Weights] = [
            self._equations.weights(*(weights[f"{name}_l{layer}"] for name in ("w_ih", "w_hh", "b")))
            for layer in range(config.layers)
        ]
        self._rows = weights["embedding"] if config.embedding else np.eye(config.vocabulary)
        self._nothing = self._rows.mean(axis=0)
        self._w_out = weights["w_out"] - weights["w_out"].mean(axis=1, keepdims=True)
        self._b_out = weights["b_out"] - weights["b_out"].mean()
        self._hidden = config.hidden

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
        h, h_of_nothing = (
            self._read(inputs)[0][0]
            for inputs in ([self._rows[each][None] for each in ids], [self._nothing[None]] * len(ids))
        )
        scores, of_nothing = (state @ self._w_out + self._b_out for state in (h, h_of_nothing))
        column = self._w_out[:, target]
        by_cell = (h - h_of_nothing) * column
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
        starts = np.zeros((1 + len(cells), 1, self._hidden))
        starts[0, 0] = column
        for number, cell in enumerate(cells, 1):
            starts[number, 0, cell] = column[cell]
        found, done = np.zeros((1 + len(cells), len(ids))), 0.0
        parts = [(part / PARTS, (part + 1) / PARTS) for part in reversed(range(PARTS))]
        while parts:
            begin, end = parts.pop()
            length = end - begin
            points = np.concatenate([[begin, end], begin + length * (nodes + 1) / 2])
            h, steps = self._read([self._nothing + points[:, None] * each for each in change])
            scores = h @ column
            gradients = self._back(_at(steps, slice(2, None)), starts)
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

    def _read(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, list]:
        """The last h (P, H) after inputs (P, E) each, and all values of all layers of all steps."""
        zeros = np.zeros((len(inputs[0]), self._hidden))
        state: list[Values] = [dict.fromkeys(self._equations.state, zeros) for _ in self._layers]
        steps = []
        for x in inputs:
            step = []
            for layer, weights in enumerate(self._layers):
                values: Values = {}

                def keep(name, value, values=values):
                    values[name] = value
                    return value

                after = self._equations.forward(weights, x, state[layer], keep)
                step.append((values, state[layer]))
                state[layer], x = after, after["h"]
            steps.append(step)
        return state[-1]["h"], steps

    def _back(self, steps: list, start: np.ndarray) -> list[np.ndarray]:
        """The gradients (K, P, E) of each input, from those of the last h, ``start`` (K, 1, H)."""
        zeros = np.zeros((len(start), len(steps[0][0][1]["h"]), self._hidden))
        later = [dict.fromkeys(self._equations.state, zeros) for _ in self._layers]
        later[-1] = later[-1] | {"h": zeros + start}
        found = []
        for step in reversed(steps):
            above = zeros
            for layer in reversed(range(len(self._layers))):
                values, before = step[layer]
                d = dict(later[layer])
                d["h"] = d["h"] + above
                later[layer] = self._equations.back(self._layers[layer], values, before, d)
                above = self._equations.back_input(self._layers[layer], d)
            found.append(above)
        return found[::-1]


def _at(steps: list, points: slice) -> list:
    """The values of steps at some of the points."""
    return [
        [tuple({name: value[points] for name, value in values.items()} for values in layer) for layer in step]
        for step in steps
    ]
