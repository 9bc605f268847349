"""A step of a recurrent cell as sections of lines."""

from collections.abc import Iterator, Sequence

import numpy as np

from charrnn.explanation.explain import Explanation
from charrnn.explanation.recurrent_words import NAMES, SLOPES, WORDS
from charrnn.explanation.sections import Line, Section, Steps


class RecurrentSteps(Steps):
    """The state before, the gates, the new state, and the same back."""

    def __init__(self, explanation: Explanation, characters: Sequence[str], layer: int, units: Sequence[int]):
        super().__init__(explanation, characters, layer, units)
        self.words = WORDS[explanation.config.cell]
        self.about = self.words.summary
        self._has_vector_input = bool(layer) or explanation.has_embedding  # else a row of W_ih is picked

    def forward(self, t: int) -> Iterator[Section]:
        """From the character that is read to the loss of step ``t``."""
        v, before = self.explanation.values[t][self.layer], self.explanation.before[t][self.layer]
        left = "The state that the step before has left." if t else "The state is zero before the first step."
        yield self._in_units(before, "Before the step", (left,), {name: f"{name}′" for name in before})
        for gate, (title, activation, meaning) in self.words.gates.items():
            yield Section(
                title[0].upper() + title[1:],
                (meaning, f"{gate} = {activation}({self._sum_of(gate)}"),
                self._units,
                (
                    *self._parts(v, gate, before["h"], t),
                    Line("= sum", v[f"z_{gate}"][self.units]),
                    Line(f"{gate} = {activation}(sum)", v[gate][self.units]),
                ),
            )
        if self.words.results:
            sentences = tuple(f"{result.equation}: {result.meaning}" for result in self.words.results)
            names = {result.name: result.equation for result in self.words.results}
            yield self._in_units(v, "New state", sentences, names)
        yield self._output(t)

    def back(self, t: int) -> Iterator[Section]:
        """From the loss of step ``t`` back to its weights, each gradient with its finite difference."""
        yield self._output_back(t)
        state = [result.name for result in reversed(self.words.results) if result.name != "h"]
        arriving, source = self.explanation.arriving[t][self.layer], "the layer above"
        if self._is_top:
            source = "this step's logits (W_out dL/dlogits)"
        yield Section(
            "State",
            (
                f"dL/dh comes from {source} and from the next step.",
                *(self.words.gradients[name] for name in state),
            ),
            self._units,
            (
                *(Line(f"d{name} from the next step", value[self.units]) for name, value in arriving.items()),
                *(self._gradient(t, name, NAMES.get(name)) for name in ("h", *state)),
            ),
        )
        for gate, (title, activation, _) in self.words.gates.items():
            slope = SLOPES[activation].format(gate)
            formulas = [self.words.gradients[gate]] if gate in self.words.gradients else []
            formulas.append(f"dL/d(sum) = dL/d{gate} ⊙ {slope}")
            if not self._is_plain(gate):
                formulas.append(self.words.gradients["s"])
            formulas.append(
                "The bias and the input have the gradient of the sum; a weight has it times what the weight multiplies."
            )
            lines = [self._gradient(t, gate)] if gate != "h" else []
            lines += [
                self._gradient(t, f"z_{gate}", "(sum)"),
                self._gradient(t, f"x_{gate}", f"({self._input(t, gate)})"),
                self._gradient(t, f"b_{gate}", f"b_{gate}" if self.explanation.config.cell == "gru" else "b"),
            ]
            if not self._is_plain(gate):
                lines += [self._gradient(t, "s"), self._gradient(t, "b_s")]
            if self._all_rows:
                lines += [self._row(t, f"w_hh_{gate}", row) for row in range(self.explanation.config.hidden)]
            yield Section(f"{title[0].upper()}{title[1:]}", tuple(formulas), self._units, tuple(lines))
        if t:
            yield Section(
                "To the step before",
                self.words.before,
                self._units,
                tuple(
                    Line(
                        f"dL/d{name}′",
                        value[self.units],
                        self.explanation.differences(t, self.layer, f"{name}′", [(unit,) for unit in self.units]),
                    )
                    for name, value in self.explanation.arriving[t - 1][self.layer].items()
                ),
            )

    def _sum_of(self, gate: str) -> str:
        x = "x W_ih" if self._has_vector_input else "row of W_ih"
        return f"{x} + h′ W_hh + b)" if self._is_plain(gate) else f"{x} + b_n + r ⊙ s), where s = h′ W_hh + b_s"

    def _is_plain(self, gate: str) -> bool:
        """Whether a gate's sum has the product with W_hh as it is; a GRU's reset gate scales that of its candidate."""
        return self.explanation.equations.product(gate) == f"z_{gate}"

    def _parts(self, v, gate: str, h: np.ndarray, t: int) -> Iterator[Line]:
        """The parts of a gate's sum."""
        yield Line(self._input(t, gate), v[f"x_{gate}"][self.units])
        w_hh = v[f"w_hh_{gate}"]
        if self._all_rows:
            for row, value in enumerate(h):
                yield Line(f"h′{row + 1} = {value:.4f} times", w_hh[row, self.units])
        else:
            yield Line("h′ W_hh", (h @ w_hh)[self.units])
        if self._is_plain(gate):
            yield Line("b", v[f"b_{gate}"][self.units])
        else:
            yield from (Line(name, v[name][self.units]) for name in ("b_s", "s", "b_n"))

    def _input(self, t: int, gate: str) -> str:
        return f"x W_ih_{gate}" if self._has_vector_input else f"row of {self._read(t)} in W_ih"
