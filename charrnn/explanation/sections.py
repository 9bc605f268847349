"""A step as sections of lines: every number with its name, first forward, then back with the finite differences."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from charrnn.explanation.explain import HEAD, Explanation
from charrnn.explanation.words import NAMES, SLOPES, WORDS

MOST_ROWS = 8  # of a weight matrix: a wider layer's products are shown as their sums


class Line(NamedTuple):
    """A named row of numbers, (N,) each: ``values``, and for a gradient the finite ``differences``."""

    label: str
    values: np.ndarray
    differences: np.ndarray | None = None


class Section(NamedTuple):
    """Lines under a title, sentences and equations, and the names of their columns."""

    title: str
    sentences: tuple[str, ...]
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


class Summary(NamedTuple):
    """A step in a line: what it reads, what comes next, and what probability and loss that has."""

    reads: str
    target: str
    probability: float
    loss: float


class Steps:
    """Makes the sections of the steps of one layer.

    Args:
        explanation: the network and its text.
        characters: the vocabulary, as it is shown.
        layer: which layer is shown.
        units: which of its units are, from 0.
    """

    def __init__(self, explanation: Explanation, characters: Sequence[str], layer: int, units: Sequence[int]):
        self.explanation, self.characters, self.layer, self.units = explanation, characters, layer, list(units)
        self.words = WORDS[explanation.config.cell]
        self._units = tuple(f"unit {unit + 1}" for unit in units)
        self._all_rows = explanation.config.hidden <= MOST_ROWS
        self._is_top = layer == explanation.config.layers - 1
        self._has_vector_input = bool(layer or explanation.config.embedding)  # else a row of W_ih is picked

    def summary(self, t: int) -> Summary:
        """Step ``t`` in a line."""
        p = self.explanation.values[t][HEAD]["p"][self.explanation.ids[t + 1]]
        return Summary(self._read(t), self._target(t), float(p), float(self.explanation.losses[t]))

    def forward(self, t: int) -> Iterator[Section]:
        """From the character that is read to the loss of step ``t``."""
        v = self.explanation.values[t][self.layer]
        h = self.explanation.before[t][self.layer]["h"]
        yield Section(
            "Before the step",
            ("The state that the step before has left." if t else "The state is zero before the first step.",),
            self._units,
            tuple(
                Line(f"{name}′", value[self.units]) for name, value in self.explanation.before[t][self.layer].items()
            ),
        )
        for gate, (title, activation, meaning) in self.words.gates.items():
            yield Section(
                title[0].upper() + title[1:],
                (meaning, f"{gate} = {activation}({self._sum_of(gate)}"),
                self._units,
                (
                    *self._parts(v, gate, h, t),
                    Line("= sum", v[f"z_{gate}"][self.units]),
                    Line(f"{gate} = {activation}(sum)", v[gate][self.units]),
                ),
            )
        if self.words.results:
            yield Section(
                "New state",
                tuple(f"{result.equation}: {result.meaning}" for result in self.words.results),
                self._units,
                tuple(Line(result.equation, v[result.name][self.units]) for result in self.words.results),
            )
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
                *(self._gradient(t, name) for name in ("h", *state)),
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

    def _output(self, t: int) -> Section:
        head = self.explanation.values[t][HEAD]
        top = self.explanation.values[t][self.explanation.config.layers - 1]["h"]
        shown, columns = self._shown_characters(t)
        lines = []
        if self._all_rows:
            lines = [
                Line(f"h{row + 1} = {value:.4f} times", head["w_out"][row, shown]) for row, value in enumerate(top)
            ]
        p, loss = head["p"][self.explanation.ids[t + 1]], self.explanation.losses[t]
        return Section(
            "Logits, probabilities, loss",
            (
                "logits = h W_out + b",
                "p = softmax(logits): exp(logits), divided by their sum",
                f"loss = -ln p of the next character, {self._target(t)}: -ln {p:.4f} = {loss:.4f}",
            ),
            columns,
            (
                *lines,
                Line("b", head["b_out"][shown]),
                Line("= logits", head["logits"][shown]),
                Line("p", head["p"][shown]),
            ),
        )

    def _output_back(self, t: int) -> Section:
        shown, columns = self._shown_characters(t)
        lines = [self._gradient(t, "logits", "logits", HEAD, shown)]
        if self._all_rows:
            lines += [self._row(t, "w_out", row, HEAD, shown) for row in range(self.explanation.config.hidden)]
        return Section(
            "Logits",
            (
                f"dL/dlogits = p - y, where y is 1 for {self._target(t)} and 0 for the others",
                "dL/db = dL/dlogits",
                "dL/dW_out = h times dL/dlogits",
            ),
            columns,
            tuple(lines),
        )

    def _gradient(self, t: int, name: str, label: str | None = None, layer: int | None = None, shown=None) -> Line:
        layer, shown = self.layer if layer is None else layer, self.units if shown is None else shown
        return Line(
            f"dL/d{label or NAMES.get(name, name)}",
            self.explanation.gradients[t][layer][name][shown],
            self.explanation.differences(t, layer, name, [(index,) for index in shown]),
        )

    def _row(self, t: int, name: str, row: int, layer: int | None = None, shown=None) -> Line:
        layer, shown = self.layer if layer is None else layer, self.units if shown is None else shown
        return Line(
            f"dL/dW_{'out' if layer == HEAD else 'hh'} row {row + 1}",
            self.explanation.gradients[t][layer][name][row, shown],
            self.explanation.differences(t, layer, name, [(row, index) for index in shown]),
        )

    def _shown_characters(self, t: int) -> tuple[list[int], tuple[str, ...]]:
        """All characters, or of many the likeliest, and the right one."""
        p = self.explanation.values[t][HEAD]["p"]
        right = self.explanation.ids[t + 1]
        shown = list(range(len(p)))
        if len(p) > MOST_ROWS:
            likeliest = [int(each) for each in np.argsort(-p, kind="stable")[:MOST_ROWS]]
            shown = likeliest if right in likeliest else [*likeliest[:-1], right]
        return shown, tuple(self.characters[each] for each in shown)

    def _read(self, t: int) -> str:
        return self.characters[self.explanation.ids[t]]

    def _target(self, t: int) -> str:
        return self.characters[self.explanation.ids[t + 1]]
