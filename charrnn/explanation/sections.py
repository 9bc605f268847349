"""A step as sections of lines: every number with its name, first forward, then back with the finite differences."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from charrnn.explanation.explain import HEAD, Explanation

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


class Steps(ABC):
    """Makes the sections of the steps of one layer.

    Args:
        explanation: the network and its text.
        characters: the vocabulary, as it is shown.
        layer: which layer is shown.
        units: which of its units are, from 0.

    Attributes:
        about: a sentence or two about the cell.
        top: the letter of what the logits are made of.
    """

    about: str
    top = "h"

    def __init__(self, explanation: Explanation, characters: Sequence[str], layer: int, units: Sequence[int]):
        self.explanation, self.characters, self.layer, self.units = explanation, characters, layer, list(units)
        self._units = tuple(f"unit {unit + 1}" for unit in units)
        self._all_rows = explanation.config.hidden <= MOST_ROWS
        self._is_top = layer == explanation.config.layers - 1

    def summary(self, t: int) -> Summary:
        """Step ``t`` in a line."""
        p = self.explanation.values[t][HEAD]["p"][self.explanation.ids[t + 1]]
        return Summary(self._read(t), self._target(t), float(p), float(self.explanation.losses[t]))

    @abstractmethod
    def forward(self, t: int) -> Iterator[Section]:
        """From the character that is read to the loss of step ``t``."""

    @abstractmethod
    def back(self, t: int) -> Iterator[Section]:
        """From the loss of step ``t`` back to its weights, each gradient with its finite difference."""

    def _in_units(self, v, title: str, sentences: tuple[str, ...], names: dict[str, str]) -> Section:
        """Values of the units; ``names`` has the label of each."""
        lines = tuple(Line(label, v[name][self.units]) for name, label in names.items())
        return Section(title, sentences, self._units, lines)

    def _output(self, t: int) -> Section:
        head = self.explanation.values[t][HEAD]
        shown, columns = self._shown_characters(t)
        lines = []
        if self._all_rows:
            lines = [
                Line(f"{self.top}{row + 1} = {value:.4f} times", head["w_out"][row, shown])
                for row, value in enumerate(head["top"])
            ]
        p, loss = head["p"][self.explanation.ids[t + 1]], self.explanation.losses[t]
        return Section(
            "Logits, probabilities, loss",
            (
                f"logits = {self.top} W_out + b",
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
                f"dL/dW_out = {self.top} times dL/dlogits",
            ),
            columns,
            tuple(lines),
        )

    def _gradient(self, t: int, name: str, label: str | None = None, layer: int | None = None, shown=None) -> Line:
        """The gradient of a value, of the ``shown`` places in it: numbers or tuples of them; the units by default."""
        layer, shown = self.layer if layer is None else layer, self.units if shown is None else shown
        places = [place if isinstance(place, tuple) else (place,) for place in shown]
        gradient = self.explanation.gradients[t][layer][name]
        return Line(
            f"dL/d{label or name}",
            np.array([gradient[place] for place in places]),
            self.explanation.differences(t, layer, name, places),
        )

    def _row(self, t: int, name: str, row: int, layer: int | None = None, shown=None) -> Line:
        """The gradient of a row of the matrix ``name``, such as w_hh_i; the line calls it W_hh."""
        shown = self.units if shown is None else shown
        label = f"W_{name.split('_')[1]} row {row + 1}"
        return self._gradient(t, name, label, layer, [(row, column) for column in shown])

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
