"""A step of a layer of a Transformer as sections of lines."""

from collections.abc import Iterator

import numpy as np

from charrnn.explanation.sections import MOST_ROWS, Line, Section, Steps

_EARLIER = 3  # characters before the step whose keys and values are shown with their gradients
_NORM = "A norm divides by the root of the mean square, and multiplies by a gain."
_BACK_THROUGH = (
    "Back through a norm z = gain ⊙ u, where u = h / r: dL/dh = (g - u times the mean of g ⊙ u) / r, g = gain ⊙ dL/dz"
)


class TransformerSteps(Steps):
    """Attention, what it adds to the stream, the MLP, what that adds, and the same back."""

    about = (
        "A Transformer makes no new state in a step. Each character leaves a key and a value. The heads of later "
        "characters compare a query with the keys, and take in most of the values whose keys match."
    )
    top = "z"

    def forward(self, t: int) -> Iterator[Section]:
        """From the character that is read to the loss of step ``t``."""
        v = self.explanation.values[t][self.layer]
        source = f"the row of {self._read(t)} in the embedding" if not self.layer else "what the layer below has given"
        yield self._in_units(v, "Stream", (f"x is {source}.", _NORM), {"x": "x", "n": "n = norm(x)"})
        yield self._in_units(
            v,
            "Query, key and value",
            (
                "q = n W_q: What this character looks for.",
                "k = n W_k: By what later characters can find this one.",
                "v = n W_v: What they get from it.",
            ),
            {name: name for name in "qkv"},
        )
        yield self._attention(t, v)
        yield self._in_units(
            v,
            "What the heads have found",
            (
                "a: The values, each times its weight, added up; each head fills units of its own.",
                "x′ = x + a W_att: The heads add to the stream.",
            ),
            {"a": "a", "added": "a W_att", "middle": "x′ = x + a W_att", "m": "m = norm(x′)"},
        )
        yield self._mlp(v)
        last = {"normed": "z = norm(h)"} if self._is_top else {}
        yield self._in_units(
            v,
            "New stream",
            ("h = x′ + (silu(gate) ⊙ up) W_down: The MLP adds to the stream, too.",),
            {"mlp": "(silu(gate) ⊙ up) W_down", "h": "h"} | last,
        )
        yield self._output(t)

    def back(self, t: int) -> Iterator[Section]:
        """From the loss of step ``t`` back to its weights, each gradient with its finite difference."""
        v = self.explanation.values[t][self.layer]
        yield self._output_back(t)
        if self._is_top:
            sentences, names = ("dL/dz = W_out dL/dlogits", _BACK_THROUGH), {"normed": "z", "h": "h"}
        else:
            sentences, names = ("dL/dh comes from the layer above.",), {"h": "h"}
        yield self._in_units_back(t, "New stream", sentences, names)
        columns = self._largest(v)
        yield Section(
            "MLP",
            (
                "dL/d(silu(gate) ⊙ up) = W_down dL/dh",
                "dL/dup is that ⊙ silu(gate); dL/dgate is that ⊙ up ⊙ silu′(gate), silu′(z) = σ(z) (1 + z (1 - σ(z)))",
            ),
            tuple(str(column + 1) for column in columns),
            tuple(
                self._gradient(t, name, label, shown=columns)
                for name, label in {"gated": "(silu(gate) ⊙ up)", "gate": "gate", "up": "up"}.items()
            ),
        )
        rows = tuple(self._row(t, "w_att", row) for row in range(self.explanation.config.hidden) if self._all_rows)
        yield self._in_units_back(
            t,
            "What the heads have found",
            (
                "dL/dx′ = dL/dh + what comes back through the MLP and its norm: the stream hands the gradient on.",
                "dL/da = W_att dL/dx′, and dL/dW_att = a times dL/dx′",
            ),
            {"middle": "x′", "a": "a"},
            rows,
        )
        yield self._attention_back(t)
        yield self._in_units_back(
            t,
            "Query, key and value",
            (
                "dL/dq = dL/dscore times the turned k / √d, summed over the characters",
                "dL/dk = dL/dscore times q / √d, turned back, and dL/dv = weight times dL/da: from this step, and from "
                "later ones whose heads look back here.",
                "A weight has the gradient of what it makes times what it multiplies.",
            ),
            {name: name for name in "qkv"},
        )
        if t:
            yield self._to_earlier(t)
        yield self._in_units_back(
            t,
            "Stream",
            (
                "dL/dx = dL/dx′ + what comes back through attention and its norm",
                *(() if self.layer else ("It is the gradient of the row of the embedding.",)),
            ),
            {"n": "n", "x": "x"},
        )

    # ---- parts

    def _in_units_back(self, t: int, title: str, sentences: tuple[str, ...], names, more: tuple[Line, ...] = ()):
        """Gradients of the units; ``names`` has the label of each."""
        lines = tuple(self._gradient(t, name, label) for name, label in names.items())
        return Section(title, sentences, self._units, (*lines, *more))

    def _places(self, t: int) -> list[int]:
        """Which of the characters that the heads see at step ``t`` are shown, among these: the last ones."""
        seen = self.explanation.values[t][self.layer]["weights"].shape[1]
        return list(range(max(0, seen - MOST_ROWS), seen))

    def _named_places(self, t: int) -> tuple[str, ...]:
        """The characters of :meth:`_places`, with their distances."""
        seen, ids = self.explanation.values[t][self.layer]["weights"].shape[1], self.explanation.ids
        backs = [seen - 1 - place for place in self._places(t)]
        return tuple(f"{self.characters[ids[t - back]]} {-back}" for back in backs)

    def _attention(self, t: int, v) -> Section:
        """Scores and weights of each head."""
        places, lines = self._places(t), []
        size = self.explanation.config.hidden // self.explanation.config.heads
        for head in range(self.explanation.config.heads):
            lines += [
                Line(f"score, head {head + 1}", v["scores"][head, places]),
                Line(f"weight, head {head + 1}", v["weights"][head, places]),
            ]
        sentences = [
            f"Each of the {self.explanation.config.heads} heads has d = {size} units of its own."
            if self.explanation.config.heads > 1
            else f"One head: d = {size}.",
            "score = q · k / √d, where k is turned by an angle for each character that it lies back",
            "weight = softmax(scores): the weights of a head sum to 1",
            "A column is a character that is seen, and how far back it is.",
        ]
        seen = v["weights"].shape[1]
        if seen > len(places):
            sentences.append(f"Shown are the last {len(places)} of the {seen} characters that the heads see.")
        return Section("Attention", tuple(sentences), self._named_places(t), tuple(lines))

    def _attention_back(self, t: int) -> Section:
        lines, places = [], self._places(t)
        for head in range(self.explanation.config.heads):
            shown = [(head, place) for place in places]
            lines += [
                self._gradient(t, name, f"{label}, head {head + 1}", shown=shown)
                for name, label in (("weights", "weight"), ("scores", "score"))
            ]
        sentences = (
            "dL/dweight = dL/da · v",
            "dL/dscore = weight (dL/dweight - the mean of dL/dweight, weighted)",
        )
        return Section("Attention", sentences, self._named_places(t), tuple(lines))

    def _largest(self, v) -> list[int]:
        """The columns of the MLP with the largest products, in their order."""
        return sorted(np.argsort(-np.abs(v["gated"]), kind="stable")[:MOST_ROWS].tolist())

    def _mlp(self, v) -> Section:
        columns = self._largest(v)
        names = {"gate": "gate = m W_gate", "up": "up = m W_up", "gated": "silu(gate) ⊙ up"}
        return Section(
            "MLP",
            (
                "silu(z) = z σ(z) is near 0 for a negative z, and near z for a positive one: so a gate opens or shuts.",
                f"Of its {len(v['gated'])} columns these {len(columns)}, by number, have the largest products.",
            ),
            tuple(str(column + 1) for column in columns),
            tuple(Line(label, v[name][columns]) for name, label in names.items()),
        )

    def _to_earlier(self, t: int) -> Section:
        """What arrives at the keys and values of the characters before."""
        arriving, lines = self.explanation.arriving[t - 1][self.layer], []
        for place in range(max(0, t - _EARLIER), t):
            for name in ("k", "v"):
                lines.append(
                    Line(
                        f"dL/d{name} of {self._read(place)} {place - t}",
                        arriving[name][place][self.units],
                        self.explanation.differences(t, self.layer, f"{name}′", [(place, unit) for unit in self.units]),
                    )
                )
        return Section(
            "To the characters before",
            ("A key and a value get a gradient from every later step that looks at them, at any distance.",),
            self._units,
            tuple(lines),
        )
